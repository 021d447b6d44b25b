// SPDX-License-Identifier: GPL-2.0-only OR MIT
/* signal_struct.core_state, right before the subreaper bits: since 5.16. Optional: before that, flags is there. */
#include <linux/sched/signal.h>

void *kd_probe(struct signal_struct *signal);
void *kd_probe(struct signal_struct *signal)
{
	return signal->core_state;
}
