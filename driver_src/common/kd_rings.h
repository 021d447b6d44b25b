/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Where the two eBPF probes hand their blocks over: ring buffers, or a perf buffer where the kernel has none.
 *
 * A probe that may find ring buffers defines KD_RESERVE before: whether there are some, known when it is compiled or set by the
 * loader as a constant. One that is compiled for a kernel without them does not.
 */
#ifndef KD_RINGS_H
#define KD_RINGS_H

static KD_INLINE long kd_output_perf(void *ctx, void *block, u64 len)
{
	return bpf_perf_event_output(ctx, &kd_perf, BPF_F_CURRENT_CPU, block, len);
}

#if defined(KD_RESERVE)
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

static KD_INLINE void *kd_own_ring(void)
{
	u32 cpu = bpf_get_smp_processor_id();

	return bpf_map_lookup_elem(&kd_rings, &cpu);
}

static KD_INLINE u8 *kd_reserve(u64 size)
{
	void *ring = kd_own_ring();

	return ring ? bpf_ringbuf_reserve(ring, size, 0) : 0;
}

/* Whoever reads the rings polls them: nobody needs to be woken. */
static KD_INLINE void kd_commit(void *block)
{
	bpf_ringbuf_submit(block, BPF_RB_NO_WAKEUP);
}

static KD_INLINE long kd_output(void *ctx, void *block, u64 len)
{
	void *ring;

	if (!KD_RESERVE)
		return kd_output_perf(ctx, block, len);
	ring = kd_own_ring();
	return ring ? bpf_ringbuf_output(ring, block, len, BPF_RB_NO_WAKEUP) : -ENOENT;
}
#else
#define KD_RESERVE 0
#define kd_reserve(size) ((u8 *)0)
#define kd_commit(block) ((void)(block))
#define kd_output(ctx, block, len) kd_output_perf(ctx, block, len)
#endif

#endif
