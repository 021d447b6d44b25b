// SPDX-License-Identifier: GPL-2.0-only OR MIT
/* mm_struct.rss_stat as a structure of atomics: until 6.1. */
#include <linux/mm_types.h>

long kd_probe(struct mm_struct *mm);
long kd_probe(struct mm_struct *mm)
{
	return mm->rss_stat.count[0].counter;
}
