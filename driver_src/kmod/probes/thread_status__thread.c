// SPDX-License-Identifier: GPL-2.0-only OR MIT
/* thread_struct.status: 4.9 to 4.15.1. */
#include <linux/sched.h>
#include <linux/thread_info.h>

unsigned int kd_probe(struct task_struct *task);
unsigned int kd_probe(struct task_struct *task)
{
	return task->thread.status;
}
