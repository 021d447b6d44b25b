// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Attaching to and detaching from tracepoints and kprobes: process context, under kd_mutex. A hook is attached while at
 * least one consumer wants it.
 */
#include "kd_module.h"
#include "compat/kd_tracepoint.h"

#include <linux/kprobes.h>
#include <linux/ptrace.h>
#include <linux/rcupdate.h>
#include <linux/string.h>

#include "compat/kd_call.h"

/* Bits of the consumers that want each. */
static u32 kd_wanted[KD_ATTACHES];

static struct kd_tracepoint kd_tracepoints[KD_ATTACHES] = {
	[KD_ATTACH_SWITCH] = {.name = "sched_switch"},
	[KD_ATTACH_PROCEXIT] = {.name = "sched_process_exit"},
	[KD_ATTACH_SIGNAL] = {.name = "signal_deliver"},
	[KD_ATTACH_FAULT_USER] = {.name = "page_fault_user"},
	[KD_ATTACH_FAULT_KERNEL] = {.name = "page_fault_kernel"},
	[KD_ATTACH_SYS_EXIT] = {.name = "sys_exit"},
	[KD_ATTACH_SYS_ENTER] = {.name = "sys_enter"},
};

#ifdef CONFIG_KPROBES
static int kd_tcp_connect_handler(struct kprobe *probe, struct pt_regs *regs)
{
	return kd_kprobe_tcp_connect(kd_regs_function_arg0(regs));
}

static struct kprobe kd_tcp_connect_probe;

static int kd_kprobe_attach(void)
{
	/* What a former registration left in it makes the next one fail. */
	memset(&kd_tcp_connect_probe, 0, sizeof(kd_tcp_connect_probe));
	kd_tcp_connect_probe.symbol_name = "tcp_connect";
	kd_tcp_connect_probe.pre_handler = kd_tcp_connect_handler;
	return register_kprobe(&kd_tcp_connect_probe) ? -EOPNOTSUPP : 0;
}

static void kd_kprobe_detach(void)
{
	unregister_kprobe(&kd_tcp_connect_probe);
}
#else
static int kd_kprobe_attach(void)
{
	return -EOPNOTSUPP;
}

static void kd_kprobe_detach(void)
{
}
#endif

static int kd_attach(unsigned int attach)
{
	if (attach == KD_ATTACH_TCP_CONNECT)
		return kd_kprobe_attach();
	return kd_tracepoint_register(&kd_tracepoints[attach], kd_tracepoint_probes[attach]);
}

static void kd_detach(unsigned int attach)
{
	if (attach == KD_ATTACH_TCP_CONNECT)
		kd_kprobe_detach();
	else
		kd_tracepoint_unregister(&kd_tracepoints[attach], kd_tracepoint_probes[attach]);
}

/*
 * Makes the consumer want exactly these (bits of enum kd_attach). Returns the first error; a hook that failed is not
 * wanted then, the others are as asked for.
 */
int kd_hooks_want(unsigned int consumer, u32 attaches)
{
	u32 bit = 1u << consumer;
	unsigned int i;
	int first = 0;

	for (i = 0; i < KD_ATTACHES; i++) {
		u32 before = kd_wanted[i];
		int error = 0;

		if (attaches & (1u << i))
			kd_wanted[i] |= bit;
		else
			kd_wanted[i] &= ~bit;
		if (!before && kd_wanted[i])
			error = kd_attach(i);
		else if (before && !kd_wanted[i])
			kd_detach(i);
		if (!error)
			continue;
		kd_wanted[i] &= ~bit;
		if (!first)
			first = error;
	}
	return first;
}

/*
 * Returns when no hook runs that began before: tracepoints are under sched RCU, those of system calls from 6.13 on
 * under tasks trace RCU, and all our hooks keep preemption off.
 */
void kd_wait_for_hooks(void)
{
	tracepoint_synchronize_unregister();
	synchronize_rcu();
}
