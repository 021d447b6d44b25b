// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Times of entry of the calls that are in flight: a fixed table, written at the entry and read at the exit of a call
 * with preemption off, without locks and without allocation.
 *
 * A set is one cache line of four entries. An entry is two words that CPUs write without ordering: the time, and the
 * time mixed with who stored it. A reader takes the time only where both agree, so that two writers of one entry can
 * at worst lose it, never deliver a wrong time. A set that is full loses its oldest entry.
 */
#include "kd_module.h"

#include <linux/hash.h>
#include <linux/vmalloc.h>

#define KD_ENTRY_BITS 14
#define KD_ENTRY_WAYS 4

struct kd_entry {
	u64 ts; /* 0: free */
	u64 check;
};

struct kd_entry_set {
	struct kd_entry ways[KD_ENTRY_WAYS];
} ____cacheline_aligned;

static struct kd_entry_set *kd_entry_sets;

static u64 kd_entry_mix(u32 tid, u32 salt)
{
	return (((u64)salt << 32) | tid) * 0x9e3779b97f4a7c15ULL;
}

int kd_entry_start(void)
{
	if (!kd_entry_sets)
		kd_entry_sets = vzalloc(sizeof(*kd_entry_sets) << KD_ENTRY_BITS);
	return kd_entry_sets ? 0 : -ENOMEM;
}

/* No hook may run meanwhile. */
void kd_entry_stop(void)
{
	vfree(kd_entry_sets);
	kd_entry_sets = NULL;
}

void kd_entry_store(u32 tid, u32 salt, u64 ts)
{
	struct kd_entry_set *set = &kd_entry_sets[hash_32(tid, KD_ENTRY_BITS)];
	struct kd_entry *taken = &set->ways[0];
	u64 mix = kd_entry_mix(tid, salt);
	u64 oldest = ~0ULL;
	unsigned int i;

	for (i = 0; i < KD_ENTRY_WAYS; i++) {
		u64 other = READ_ONCE(set->ways[i].ts);

		if (other && READ_ONCE(set->ways[i].check) == (other ^ mix)) {
			/* Left over from a call of this thread that never returned. */
			taken = &set->ways[i];
			break;
		}
		if (other < oldest) {
			oldest = other;
			taken = &set->ways[i];
		}
	}
	WRITE_ONCE(taken->ts, ts);
	WRITE_ONCE(taken->check, ts ^ mix);
}

u64 kd_entry_take(u32 tid, u32 salt)
{
	struct kd_entry_set *set = &kd_entry_sets[hash_32(tid, KD_ENTRY_BITS)];
	u64 mix = kd_entry_mix(tid, salt);
	unsigned int i;

	for (i = 0; i < KD_ENTRY_WAYS; i++) {
		u64 ts = READ_ONCE(set->ways[i].ts);

		if (ts && READ_ONCE(set->ways[i].check) == (ts ^ mix)) {
			WRITE_ONCE(set->ways[i].ts, 0);
			return ts;
		}
	}
	return 0;
}
