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

#include "kd_bpf.h"
#include "kd_flavors.h"

const volatile __u32 kd_use_ringbuf = 0;

/* One ring for each possible CPU, made by the loader. */
struct kd_ring {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 1);
	__type(key, u32);
	__array(values, struct kd_ring);
} kd_rings SEC(".maps");

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

/* The registers saved at the entry of the current call, for hooks that are not given them. */
static KD_INLINE struct kd_regs *kd_saved_regs(void)
{
	struct task_struct *task = kd_task_now();

	if (bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_task_pt_regs))
		return (struct kd_regs *)bpf_task_pt_regs((void *)bpf_get_current_task_btf());
	return (struct kd_regs *)(KD_GET(task, stack) + KD_STACK_SIZE - sizeof(struct kd_regs));
}

static KD_INLINE long kd_output(void *ctx, void *block, u64 len)
{
	u32 cpu;
	void *ring;

	if (!kd_use_ringbuf)
		return bpf_perf_event_output(ctx, &kd_perf, BPF_F_CURRENT_CPU, block, len);
	cpu = bpf_get_smp_processor_id();
	ring = bpf_map_lookup_elem(&kd_rings, &cpu);
	if (!ring)
		return -ENOENT;
	return bpf_ringbuf_output(ring, block, len, 0);
}

#include "kd_capture.h"
#include "kd_bpf_hooks.h"
