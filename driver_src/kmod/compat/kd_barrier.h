/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Single loads and stores, the pair that publishes a block, and a bound for speculation: any context.
 *
 * READ_ONCE and WRITE_ONCE are macros since 3.19, smp_store_release and smp_load_acquire since 3.14; RHEL 7.3 and later
 * have them all in their 3.10. What is missing is made from ACCESS_ONCE and the older barriers. Until 3.19 (3.10.0-514.el7)
 * the pair takes nothing smaller than an int (char and short came with 536fa402221f in 4.0).
 */
#ifndef KD_COMPAT_BARRIER_H
#define KD_COMPAT_BARRIER_H

#include <linux/compiler.h>
#include <asm/barrier.h>

#ifndef READ_ONCE
#define READ_ONCE(x) ACCESS_ONCE(x)
#endif
#ifndef WRITE_ONCE
#define WRITE_ONCE(x, value) (ACCESS_ONCE(x) = (value))
#endif

#ifdef smp_store_release
#define kd_store_release(p, value) smp_store_release((p), (value))
#define kd_load_acquire(p) smp_load_acquire((p))
#else
#define kd_store_release(p, value)         \
	do {                               \
		smp_mb();                  \
		WRITE_ONCE(*(p), (value)); \
	} while (0)
#define kd_load_acquire(p)                               \
	({                                               \
		typeof(*(p)) kd_value = READ_ONCE(*(p)); \
		smp_mb();                                \
		kd_value;                                \
	})
#endif

/*
 * An index that was found to be below size, for what the processor does before it knows that: 0 where it is not. The kernel's own
 * array_index_nospec came in 4.16 (f3804203306e) and under other names to older ones.
 */
static __always_inline unsigned long kd_bounded(unsigned long index, unsigned long size)
{
	unsigned long mask;

	asm volatile("cmpq %1, %2\n\tsbbq %0, %0" : "=r"(mask) : "r"(size), "r"(index) : "cc");
	return index & mask;
}

#endif
