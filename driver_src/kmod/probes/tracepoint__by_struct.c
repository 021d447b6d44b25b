// SPDX-License-Identifier: GPL-2.0-only OR MIT
/* tracepoint_probe_register(struct tracepoint *, ...): since 3.15. A second declaration that differs is an error. */
#include <linux/tracepoint.h>

extern int tracepoint_probe_register(struct tracepoint *tp, void *probe, void *data);
