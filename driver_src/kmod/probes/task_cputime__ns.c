// SPDX-License-Identifier: GPL-2.0-only OR MIT
/* task_cputime_adjusted in nanoseconds: since 4.11 (before cputime_t). Optional. */
#include <linux/sched.h>
#include <linux/sched/cputime.h>
#include <linux/sched/signal.h>

typedef char
	kd_probe[__builtin_types_compatible_p(typeof(task_cputime_adjusted), void(struct task_struct *, u64 *, u64 *))
			 ? 1
			 : -1];
