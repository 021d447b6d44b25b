// SPDX-License-Identifier: GPL-2.0-only OR MIT
/* task_struct.real_start_time in ns: 3.17 to 5.4. */
#include <linux/sched.h>

unsigned long long kd_probe(struct task_struct *task);
unsigned long long kd_probe(struct task_struct *task)
{
	return task->real_start_time + 0;
}
