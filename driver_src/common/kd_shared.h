/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * What the eBPF probes and the program that loads them agree on: map layouts and limits.
 *
 * Included by BPF programs and by user space; includes nothing and needs only the fixed-width kernel types (__u16,
 * __u32, __u64), which both have before they include this file.
 */
#ifndef KD_SHARED_H
#define KD_SHARED_H

/* Native calls are numbered 0..511, i386 compat calls 512..1023. */
#define KD_CALL_NUMBERS 512
#define KD_CALL_COMPAT 512
#define KD_CALL_TABLE 1024

/* The two calls of i386 that stand for many; see kd_subcalls.h. */
#define KD_NR_I386_SOCKETCALL 102
#define KD_NR_I386_IPC 117

/* The largest block that a driver writes, and the largest capture length that a consumer may set. */
#define KD_BLOCK_MAX 65536
#define KD_SNAPLEN_DEFAULT 80
#define KD_SNAPLEN_MAX 16384

/* In a capture length that a program works with: the dynamic capture length is on. */
#define KD_SNAPLEN_DYNAMIC (1u << 31)

/* What the dynamic capture length is asked for besides the protocols that it knows. */
struct kd_ports {
	__u16 full_first; /* first and last port of full capture, 0 and 0: none */
	__u16 full_last;
	__u16 statsd;
	__u16 unused;
};

#define KD_STATSD_PORT 8125 /* unless said otherwise */

/* One scratch area for each CPU and context in which programs can interrupt each other. */
enum kd_context {
	KD_CONTEXT_CALL = 0, /* exit of a system call */
	KD_CONTEXT_SCHED = 1, /* context switch: run queue lock held */
	KD_CONTEXT_TASK = 2, /* process exit; may be preempted where tracepoints are under SRCU (seen in 7.2) */
	KD_CONTEXT_NET = 3, /* kprobes of the network stack */
	KD_CONTEXT_FAULT = 4, /* page faults, in the middle of the kernel's work too */
	KD_CONTEXT_SIGNAL = 5, /* delivery of a signal */
	KD_CONTEXT_ENTRY = 6, /* entry of a system call; since 6.13 an exit may come between */
	KD_CONTEXTS = 7,
};

/*
 * Map kd_select for calls at their exit and kd_select_enter for calls at their entry, ARRAY[KD_CALL_NUMBERS] of struct
 * kd_selected: 0 where nothing is selected. One look-up by the number tells whether a native or an i386 call is.
 */
#define KD_SELECT_PROGRAM 0x0000ffffu /* first part of the event's program in kd_tail or kd_tail_entry, plus one */
#define KD_SELECT_NOTE 0x80000000u /* in native: note the time of the entry */
#define KD_SELECT_LOOK 0x40000000u /* in compat: one of several calls, of which some may be selected */
struct kd_selected {
	__u32 native;
	__u32 compat;
};

/*
 * Map kd_select_hook, ARRAY[KD_HOOKS] of __u32 for tracepoints and kprobes: 0 where not selected, else the index of the
 * first part of the event's program in kd_tail_hook (tracepoints), kd_tail_task (process exit) or kd_tail_kprobe, plus one.
 */
enum kd_hook {
	KD_HOOK_SWITCH = 0,
	KD_HOOK_PROCEXIT = 1,
	KD_HOOK_TCP_CONNECT = 2,
	KD_HOOK_SIGNAL = 3,
	KD_HOOK_FAULT_USER = 4,
	KD_HOOK_FAULT_KERNEL = 5,
	KD_HOOKS_USED = 6,
	KD_HOOKS = 8,
};

/* Map kd_generic, ARRAY[KD_CALL_TABLE]: the schema's code of a call << 16 | its number on x86_64. */

/* Map kd_settings, ARRAY[1]. */
struct kd_settings {
	__u64 boot_time_ns; /* added to bpf_ktime_get_boot_ns (or _get_ns) to get ns since the epoch */
	__u32 snaplen; /* bytes captured of a buffer, at most KD_SNAPLEN_MAX; and KD_SNAPLEN_DYNAMIC */
	__u32 enter_time; /* 1: calls carry the time of their entry as an extra parameter */
	struct kd_ports ports;
};

/* Each value of map kd_state, ARRAY[KD_CONTEXTS for each possible CPU], begins with these, each a __u64. */
enum kd_counter {
	KD_COUNTER_EVENTS = 0, /* blocks handed to user space */
	KD_COUNTER_DROPS_BUFFER = 1, /* ring or perf buffer full */
	KD_COUNTER_DROPS_SCRATCH = 2, /* no scratch area, block too large, or a program missing in kd_tail */
	KD_COUNTER_UNREADABLE = 3, /* parameters left empty because memory could not be read */
	KD_COUNTERS = 4,
};

#endif
