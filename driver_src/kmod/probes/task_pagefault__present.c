// SPDX-License-Identifier: GPL-2.0-only OR MIT
/* task_struct.pagefault_disabled: since 4.1 (8bcbde5480f9). Optional: before it pagefault_disable() counts as preemption off. */
#include <linux/sched.h>

int kd_probe(struct task_struct *task);
int kd_probe(struct task_struct *task)
{
	return task->pagefault_disabled;
}
