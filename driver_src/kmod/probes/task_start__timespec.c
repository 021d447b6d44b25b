// SPDX-License-Identifier: GPL-2.0-only OR MIT
/* task_struct.real_start_time as a timespec: until 3.16, RHEL 7. */
#include <linux/sched.h>

unsigned long long kd_probe(struct task_struct *task);
unsigned long long kd_probe(struct task_struct *task)
{
	return task->real_start_time.tv_sec;
}
