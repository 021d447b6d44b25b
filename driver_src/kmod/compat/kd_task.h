/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * CPU time of threads: under rcu_read_lock.
 *
 * Since 4.11 (5613fda9a503) CPU times are nanoseconds and live in linux/sched/cputime.h; before they are cputime_t and
 * the module takes the plain fields.
 */
#ifndef KD_COMPAT_TASK_H
#define KD_COMPAT_TASK_H

#include <linux/math64.h>
#include <linux/param.h>
#include <linux/sched.h>
#include <linux/time.h>

#if defined(KD_TASK_CPUTIME__NS)
#include <linux/sched/cputime.h>
#include <linux/sched/signal.h>

static inline void kd_task_clock_ticks(struct task_struct *task, u64 *utime, u64 *stime)
{
	u64 utime_ns = 0;
	u64 stime_ns = 0;

	task_cputime_adjusted(task, &utime_ns, &stime_ns);
	*utime = div_u64(utime_ns, NSEC_PER_SEC / USER_HZ);
	*stime = div_u64(stime_ns, NSEC_PER_SEC / USER_HZ);
}
#else
static inline void kd_task_clock_ticks(struct task_struct *task, u64 *utime, u64 *stime)
{
	*utime = cputime_to_clock_t(task->utime);
	*stime = cputime_to_clock_t(task->stime);
}
#endif

#endif
