// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The kernel runs the eBPF programs that our probe consists of: programs of classic tracepoints (4.7), reads of strings (4.11) and
 * the second instruction set (4.14), since 4.14; RHEL 7.6 (3.10.0-957). Optional: elsewhere there is no such probe.
 */
#include <linux/kconfig.h>
#include <linux/types.h>
#include <uapi/linux/bpf.h>

#if !defined(CONFIG_BPF_SYSCALL) || !defined(CONFIG_BPF_EVENTS)
#error "built without bpf() or without programs of tracepoints"
#endif

int kd_probe(void);
int kd_probe(void)
{
	return BPF_JLT + BPF_FUNC_probe_read_str + BPF_PROG_TYPE_TRACEPOINT;
}
