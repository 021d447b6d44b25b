// SPDX-License-Identifier: GPL-2.0-only OR MIT
/* tracepoint_probe_register(struct tracepoint *, ...): since 3.15. Another type makes the array one of -1 characters. */
#include <linux/tracepoint.h>

typedef char kd_probe[__builtin_types_compatible_p(typeof(tracepoint_probe_register),
						   int(struct tracepoint *, void *, void *))
			      ? 1
			      : -1];
