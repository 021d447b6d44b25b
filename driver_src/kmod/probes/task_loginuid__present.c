// SPDX-License-Identifier: GPL-2.0-only OR MIT
/* task_struct.loginuid: with CONFIG_AUDIT (until 5.0 CONFIG_AUDITSYSCALL). Optional: without audit there is none. */
#include <linux/sched.h>

unsigned int kd_probe(struct task_struct *task);
unsigned int kd_probe(struct task_struct *task)
{
	return task->loginuid.val;
}
