// SPDX-License-Identifier: GPL-2.0-only OR MIT
/* mm_struct.rss_stat as an array of percpu_counter: since 6.2. */
#include <linux/mm_types.h>
#include <linux/percpu_counter.h>

long kd_probe(struct mm_struct *mm);
long kd_probe(struct mm_struct *mm)
{
	return (long)mm->rss_stat[0].count;
}
