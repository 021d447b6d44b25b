/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * What the eBPF probes and the program that loads them agree on: map layouts and limits.
 *
 * Included by BPF programs and by user space; includes nothing and needs only the fixed-width kernel types (__u16,
 * __u32, __u64), which both have before they include this file.
 */
#ifndef KD_SHARED_H
#define KD_SHARED_H

/* Native calls are numbered 0..511 in the selection table, i386 compat calls 512..1023. */
#define KD_CALL_NUMBERS 512
#define KD_CALL_COMPAT 512
#define KD_CALL_TABLE 1024

/* The largest block that a driver writes, and the largest capture length that a consumer may set. */
#define KD_BLOCK_MAX 65536
#define KD_SNAPLEN_DEFAULT 80
#define KD_SNAPLEN_MAX 16384

/* One scratch area for each CPU and context in which programs can interrupt each other. */
enum kd_context {
	KD_CONTEXT_CALL = 0, /* system call entry and exit */
	KD_CONTEXT_SCHED = 1, /* context switch: run queue lock held */
	KD_CONTEXT_TASK = 2, /* process exit */
	KD_CONTEXT_NET = 3, /* kprobes of the network stack */
	KD_CONTEXTS = 4,
};

/*
 * Map kd_select, ARRAY[KD_CALL_TABLE] for calls at their exit, kd_select_enter, ARRAY[KD_CALL_TABLE] for calls at their
 * entry, kd_select_hook, ARRAY[KD_HOOKS] for tracepoints and kprobes: 0 where not selected, else the index of the
 * first part of the event's program in kd_tail, plus one.
 */
enum kd_hook {
	KD_HOOK_SWITCH = 0,
	KD_HOOK_PROCEXIT = 1,
	KD_HOOK_TCP_CONNECT = 2,
	KD_HOOKS = 8,
};

/* Map kd_settings, ARRAY[1]. */
struct kd_settings {
	__u64 boot_time_ns; /* added to bpf_ktime_get_boot_ns (or _get_ns) to get ns since the epoch */
	__u32 snaplen; /* bytes captured of a buffer, at most KD_SNAPLEN_MAX */
	__u32 enter_time; /* 1: calls carry the time of their entry as an extra parameter */
};

/* Map kd_counters, PERCPU_ARRAY[KD_COUNTERS] of __u64. */
enum kd_counter {
	KD_COUNTER_EVENTS = 0, /* blocks handed to user space */
	KD_COUNTER_DROPS_BUFFER = 1, /* ring or perf buffer full */
	KD_COUNTER_DROPS_SCRATCH = 2, /* no scratch area, block too large, or a program missing in kd_tail */
	KD_COUNTER_UNREADABLE = 3, /* parameters left empty because memory could not be read */
	KD_COUNTERS = 4,
};

#endif
