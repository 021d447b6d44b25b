// SPDX-License-Identifier: GPL-2.0-only OR MIT
/* The sched_switch tracepoint's probe: since 5.18, until the stable kernels of 5.18. A second declaration that differs is an error. */
#include <linux/sched.h>
#include <trace/events/sched.h>

static inline void check_trace_callback_type_sched_switch(void (*cb)(void *, bool, unsigned int, struct task_struct *,
								     struct task_struct *));
