// SPDX-License-Identifier: GPL-2.0-only OR MIT
/* thread_info.status: before 4.9, and since 4.15.2 and 4.14.18. */
#include <linux/sched.h>
#include <linux/thread_info.h>

unsigned int kd_probe(struct thread_info *info);
unsigned int kd_probe(struct thread_info *info)
{
	return info->status;
}
