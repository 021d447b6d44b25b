// SPDX-License-Identifier: GPL-2.0-only OR MIT
/* signal_struct.is_child_subreaper is a bool of its own, whose address C gives (from 7.2 on). Optional: else it is
 * a bit-field. */
#include <linux/sched/signal.h>

bool *kd_probe(struct signal_struct *signal);
bool *kd_probe(struct signal_struct *signal)
{
	return &signal->is_child_subreaper;
}
