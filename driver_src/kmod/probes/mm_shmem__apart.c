// SPDX-License-Identifier: GPL-2.0-only OR MIT
/* mm_struct.mm_shmempages: RHEL 7.3 and later only (3.10.0-514), since 4.5 otherwise in rss_stat. */
#include <linux/mm_types.h>

long kd_probe(struct mm_struct *mm);
long kd_probe(struct mm_struct *mm)
{
	return mm->mm_shmempages.counter;
}
