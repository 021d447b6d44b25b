// SPDX-License-Identifier: GPL-2.0-only OR MIT
/* The sched_process_exit tracepoint's probe: since 6.16. A second declaration that differs is an error. */
#include <linux/sched.h>
#include <trace/events/sched.h>

static inline void check_trace_callback_type_sched_process_exit(void (*cb)(void *, struct task_struct *, bool));
