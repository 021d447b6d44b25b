// SPDX-License-Identifier: GPL-2.0-only OR MIT
/* task_struct.thread_pid: since 4.19; RHEL 8.1. */
#include <linux/sched.h>

struct pid *kd_probe(struct task_struct *task);
struct pid *kd_probe(struct task_struct *task)
{
	return task->thread_pid;
}
