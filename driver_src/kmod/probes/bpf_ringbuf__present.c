// SPDX-License-Identifier: GPL-2.0-only OR MIT
/* Ring buffers of eBPF: since 5.8, and in RHEL 8.4. Optional. */
#include <linux/types.h>
#include <uapi/linux/bpf.h>

int kd_probe(void);
int kd_probe(void)
{
	return BPF_MAP_TYPE_RINGBUF + BPF_FUNC_ringbuf_submit;
}
