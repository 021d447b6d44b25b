// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The per-kernel eBPF probe, compiled against the headers of the kernel that it is for: 4.14 and later, and 3.10.0-957.el7.
 * Tracepoint and kprobe context; see kd_bpf_hooks.h. It needs no BTF of the kernel, no global data, no loops.
 *
 * Loaded on another kernel it would read garbage without an error, so it carries the release it was built for and its loader refuses it there.
 */
#ifndef KBUILD_MODNAME
#define KBUILD_MODNAME "kd_probe" /* some headers print with it; nothing here does */
#endif
#include "kd_probes.h"
#if !defined(KD_BPF_PROGRAMS__PRESENT)
#error "this kernel does not run the eBPF programs of this probe: it needs 4.14 or 3.10.0-957.el7, and CONFIG_BPF_EVENTS"
#endif

#include <linux/kconfig.h>
#include <linux/types.h>
#include <linux/sched.h>
/* linux/sched.h was cut into these in 4.11; the last RHEL 7 has the first as an empty shell. */
#if __has_include(<linux/sched/signal.h>)
#include <linux/sched/signal.h>
#endif
#if __has_include(<linux/sched/task.h>)
#include <linux/sched/task.h>
#endif
#include <linux/fdtable.h>
#include <linux/fs.h>
#include <linux/fs_struct.h>
#include <linux/dcache.h>
#include <linux/mount.h>
#include <linux/mm_types.h>
#include <linux/nsproxy.h>
#include <linux/pid_namespace.h>
#include <linux/cred.h>
#include <linux/cgroup.h>
#if __has_include(<linux/kernfs.h>) /* since 3.14 */
#include <linux/kernfs.h>
#endif
#include <linux/tty.h>
#include <linux/tty_driver.h>
#include <linux/net.h>
#include <net/sock.h>
#include <net/inet_sock.h>
#include <net/af_unix.h>
#include <linux/ipv6.h>
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "kd_catalogue.h"

#if defined(KD_BPF_READ_KERNEL__PRESENT)
#define KD_READ_KERNEL(to, len, from) bpf_probe_read_kernel(to, len, from)
#define KD_READ_USER(to, len, from) bpf_probe_read_user(to, len, from)
#define KD_READ_KERNEL_STR(to, len, from) bpf_probe_read_kernel_str(to, len, from)
#define KD_READ_USER_STR(to, len, from) bpf_probe_read_user_str(to, len, from)
#else
/*
 * One helper for both before 5.5, which reads the kernel's memory too when a caller of ours names some: an address of the upper half
 * becomes NULL, which cannot be read. Without a branch: around a call of the helper it makes the verifier forget the length's bounds.
 */
#define KD_LOWER_HALF(from) ((const void *)((u64)(from) & ~(u64)((s64)(from) >> 63)))
#define KD_READ_KERNEL(to, len, from) bpf_probe_read(to, len, from)
#define KD_READ_USER(to, len, from) bpf_probe_read(to, len, KD_LOWER_HALF(from))
#define KD_READ_KERNEL_STR(to, len, from) bpf_probe_read_str(to, len, from)
#define KD_READ_USER_STR(to, len, from) bpf_probe_read_str(to, len, KD_LOWER_HALF(from))
#endif

/* Pointers to the current task and its registers that the verifier trusts: since 5.15, and only with type information. */
#if defined(KD_BPF_TASK_PT_REGS__PRESENT) && defined(CONFIG_DEBUG_INFO_BTF)
#define KD_TRUSTED 1
#else
#define KD_TRUSTED 0
#endif

#include "kd_bpf.h"
#include "kd_kernel.h"

/* What the loader must know of the build: which clock the times come from, and whether call tracepoints can be preempted. */
const u32 kd_build_facts[4] SEC("kd_facts") = {
#if defined(KD_BPF_KTIME_BOOT__PRESENT)
	1,
#else
	0,
#endif
#if defined(KD_TRACEPOINT_FAULTABLE__PRESENT)
	1,
#else
	0,
#endif
	0,
	0,
};

const char kd_built_for[] SEC("kd_release") = KD_RELEASE;

static KD_INLINE struct task_struct *kd_task_now(void)
{
	return (struct task_struct *)bpf_get_current_task();
}

static KD_INLINE u64 kd_now(void)
{
#if defined(KD_BPF_KTIME_BOOT__PRESENT)
	return bpf_ktime_get_boot_ns();
#else
	return bpf_ktime_get_ns();
#endif
}

#if KD_TRUSTED
static KD_INLINE struct task_struct *kd_trusted_task(void)
{
	return (struct task_struct *)bpf_get_current_task_btf();
}

static KD_INLINE struct kd_regs *kd_trusted_regs(void)
{
	return (struct kd_regs *)bpf_task_pt_regs((void *)kd_trusted_task());
}

static KD_INLINE u32 kd_compat_now(void)
{
	return kd_trusted_task()->thread_info.status & KD_TS_COMPAT;
}
#else
static KD_INLINE struct task_struct *kd_trusted_task(void)
{
	return 0;
}

static KD_INLINE struct kd_regs *kd_trusted_regs(void)
{
	return 0;
}

static KD_INLINE u32 kd_compat_now(void)
{
	return kd_thread_is_compat(kd_task_now());
}
#endif

/* The registers saved at the entry of the current call, for hooks that are not given them. */
static KD_INLINE struct kd_regs *kd_saved_regs(void)
{
	struct task_struct *task = kd_task_now();

	return (struct kd_regs *)((char *)KD_GET(task, stack) + THREAD_SIZE - sizeof(struct kd_regs));
}

#if defined(KD_BPF_RINGBUF__PRESENT)
#define KD_RESERVE 1
#endif
#include "kd_rings.h"
#include "kd_capture.h"
#include "kd_bpf_hooks.h"

/* kd_resume() masks where the values begin. */
_Static_assert(KD_HEAD_MAX <= KD_HEAD_MASK, "the verifier must believe every place where values begin");
