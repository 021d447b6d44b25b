// SPDX-License-Identifier: GPL-2.0-only OR MIT
/* tracepoint_probe_register(const char *, ...): until 3.14, and all of RHEL 7. */
#include <linux/tracepoint.h>

typedef char kd_probe[__builtin_types_compatible_p(typeof(tracepoint_probe_register), int(const char *, void *, void *))
			      ? 1
			      : -1];
