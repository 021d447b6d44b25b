// SPDX-License-Identifier: GPL-2.0-only OR MIT
/* task_cputime_adjusted in nanoseconds: since 4.11 (before cputime_t). Optional. */
#include <linux/sched.h>
#include <linux/sched/cputime.h>
#include <linux/sched/signal.h>

extern void task_cputime_adjusted(struct task_struct *p, u64 *ut, u64 *st);
