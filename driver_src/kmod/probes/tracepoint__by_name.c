// SPDX-License-Identifier: GPL-2.0-only OR MIT
/* tracepoint_probe_register(const char *, ...): until 3.14, and all of RHEL 7. */
#include <linux/tracepoint.h>

extern int tracepoint_probe_register(const char *name, void *probe, void *data);
