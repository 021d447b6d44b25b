// SPDX-License-Identifier: GPL-2.0-only OR MIT
/* The eBPF helper of that number: since 5.15. Optional. */
#include <linux/types.h>
#include <uapi/linux/bpf.h>

int kd_probe(void);
int kd_probe(void)
{
	return BPF_FUNC_task_pt_regs;
}
