// SPDX-License-Identifier: GPL-2.0-only OR MIT
/* The sched_switch tracepoint's probe: since 5.19 (5.18.x). Another type makes the array one of -1 characters. */
#include <linux/sched.h>
#include <trace/events/sched.h>

typedef char kd_probe[__builtin_types_compatible_p(
			      typeof(check_trace_callback_type_sched_switch),
			      void(void (*)(void *, bool, struct task_struct *, struct task_struct *, unsigned int)))
			      ? 1
			      : -1];
