// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Whether the kernel sets the call's number to execve when an image of the other width begins: since 4.12 (ada26481dfe6),
 * which changed no interface. What is asked for is that of 1b028f784e8c, which it mends, of the same release. Optional.
 */
#include <linux/mm_types.h>

unsigned long kd_probe(struct mm_struct *mm);
unsigned long kd_probe(struct mm_struct *mm)
{
	return mm->mmap_compat_base;
}
