// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The CO-RE probe: one object for every kernel with BTF. Tracepoint and kprobe context; see kd_bpf_hooks.h.
 *
 * Blocks go to per-CPU ring buffers where the kernel has them, else to a perf buffer; the loader sets kd_use_ringbuf.
 */
#include <linux/bpf.h>
#include <linux/errno.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

#include "kd_types.h"
#include "kd_catalogue.h"

#define KD_READ_KERNEL(to, len, from) bpf_probe_read_kernel(to, len, from)
#define KD_READ_USER(to, len, from) bpf_probe_read_user(to, len, from)
#define KD_READ_KERNEL_STR(to, len, from) bpf_probe_read_kernel_str(to, len, from)
#define KD_READ_USER_STR(to, len, from) bpf_probe_read_user_str(to, len, from)

/*
 * Since 5.15 there are pointers to the current task and its registers that the verifier trusts: their fields are loaded without a
 * helper, in programs of every type. The loader decides, the other way is dead code then.
 */
#define KD_TRUSTED bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_task_pt_regs)

#include "kd_bpf.h"
#include "kd_flavors.h"

const volatile __u32 kd_use_ringbuf = 0;

static KD_INLINE struct task_struct *kd_task_now(void)
{
	return (struct task_struct *)bpf_get_current_task();
}

static KD_INLINE u64 kd_now(void)
{
	if (bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_ktime_get_boot_ns))
		return bpf_ktime_get_boot_ns();
	return bpf_ktime_get_ns();
}

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
	if (KD_TRUSTED)
		return kd_trusted_task()->thread_info.status & KD_TS_COMPAT;
	return kd_thread_is_compat(kd_task_now());
}

/* The registers saved at the entry of the current call, for hooks that are not given them. */
static KD_INLINE struct kd_regs *kd_saved_regs(void)
{
	return (struct kd_regs *)(KD_GET(kd_task_now(), stack) + KD_STACK_SIZE - sizeof(struct kd_regs));
}

#define KD_RESERVE kd_use_ringbuf
#include "kd_rings.h"
#include "kd_capture.h"
#include "kd_bpf_hooks.h"

/* kd_resume() masks where the values begin. */
_Static_assert(KD_HEAD_MAX <= KD_HEAD_MASK, "the verifier must believe every place where values begin");
