// SPDX-License-Identifier: GPL-2.0-only OR MIT
/* Tracepoints that may fault, so that their programs can be preempted: since 6.13. Optional. */
#include <linux/tracepoint-defs.h>

int kd_probe(struct tracepoint *point);
int kd_probe(struct tracepoint *point)
{
	return point->ext->faultable;
}
