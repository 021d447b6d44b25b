// SPDX-License-Identifier: GPL-2.0-only OR MIT
/* task_struct.start_boottime: since 5.5. */
#include <linux/sched.h>

unsigned long long kd_probe(struct task_struct *task);
unsigned long long kd_probe(struct task_struct *task)
{
	return task->start_boottime;
}
