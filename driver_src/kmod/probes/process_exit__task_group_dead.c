// SPDX-License-Identifier: GPL-2.0-only OR MIT
/* The sched_process_exit tracepoint's probe: since 6.16. Another type makes the array one of -1 characters. */
#include <linux/sched.h>
#include <trace/events/sched.h>

typedef char kd_probe[__builtin_types_compatible_p(typeof(check_trace_callback_type_sched_process_exit),
						   void(void (*)(void *, struct task_struct *, bool)))
			      ? 1
			      : -1];
