/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The interface of the kernel module's devices /dev/<name><cpu>, one for each possible CPU.
 *
 * Included by the module and by the programs that read its rings; needs only __u16, __u32, __u64 and __s64, and the
 * _IO macros, which the includer has from <linux/types.h> and <linux/ioctl.h> (both exist in the kernel and in user
 * space).
 *
 * Opening. A consumer is the thread that opens the devices; it opens each CPU's device once (-ENODEV: that CPU is
 * offline, -EBUSY: opened twice, or too many consumers: see the module parameter max_consumers). Settings and
 * selections belong to the consumer, so they are made on any one of its devices. A new consumer has nothing selected
 * and costs nothing.
 *
 * Mapping. Offset 0 and at most one page, read and write: struct kd_ring_info. Offset 0 and exactly twice the ring's
 * size (module parameter g_buffer_bytes_dim at the time of the first open, a power of two), read only: the ring's
 * bytes twice in a row, so that a block that wraps is still contiguous. Blocks lie between tail and head; the reader
 * loads head (acquire), reads, and stores tail (release). There is no wake-up.
 *
 * Offsets 0 and sizes up to here, and the KD_SCAP_* controls, are those of libscap's kernel-module engine (API 10): a
 * consumer that knows nothing of kdriver works. Controls named KD_IOC_* are ours.
 */
#ifndef KD_IOCTL_H
#define KD_IOCTL_H

/* The page that reader and module share. The module trusts nothing in it. */
struct kd_ring_info {
	__u32 head; /* the module writes: offset of the next block to be written */
	__u32 tail; /* the reader writes: offset of the next block to be read */
	__u64 n_evts; /* events that arrived for this ring, those that were dropped included */
	__u64 n_drops_buffer; /* dropped because the ring was full: all events */
	__u64 n_drops_buffer_clone_fork_exit; /* ... and by kind of event */
	__u64 n_drops_buffer_execve_exit;
	__u64 n_drops_buffer_connect_enter;
	__u64 n_drops_buffer_connect_exit;
	__u64 n_drops_buffer_open_enter;
	__u64 n_drops_buffer_open_exit;
	__u64 n_drops_buffer_dir_file_exit;
	__u64 n_drops_buffer_other_interest_exit;
	__u64 n_drops_buffer_close_exit;
	__u64 n_drops_buffer_proc_exit;
	__u64 n_drops_pf; /* dropped because memory could not be read: always 0, such parameters are left empty instead */
	__u64 n_preemptions; /* dropped because a block was being written on this CPU already */
	__u64 n_context_switches; /* context switches seen while selected */
};

/* The head of a block; then __u16 len[nparams], then the values back to back. */
struct kd_block_header {
	__u64 ts; /* ns since the epoch */
	__u64 tid;
	__u32 len; /* of the whole block */
	__u16 type;
	__u32 nparams;
} __attribute__((packed));

/* Controls of libscap's engine; the argument is passed by value unless said otherwise. */
#define KD_SCAP_MAGIC 's'
#define KD_SCAP_DISABLE_DROPPING_MODE _IO(KD_SCAP_MAGIC, 2)
#define KD_SCAP_ENABLE_DROPPING_MODE _IO(KD_SCAP_MAGIC, 3) /* ratio: 1, 2, 4 .. 128 */
#define KD_SCAP_SET_SNAPLEN _IO(KD_SCAP_MAGIC, 4) /* bytes, at most KD_SCAP_SNAPLEN_MAX */
#define KD_SCAP_DISABLE_DYNAMIC_SNAPLEN _IO(KD_SCAP_MAGIC, 8)
#define KD_SCAP_ENABLE_DYNAMIC_SNAPLEN _IO(KD_SCAP_MAGIC, 9)
#define KD_SCAP_GET_VTID _IO(KD_SCAP_MAGIC, 10) /* tid in the initial namespace; returns the tid in its own namespace */
#define KD_SCAP_GET_VPID _IO(KD_SCAP_MAGIC, 11)
#define KD_SCAP_GET_CURRENT_TID _IO(KD_SCAP_MAGIC, 12)
#define KD_SCAP_GET_CURRENT_PID _IO(KD_SCAP_MAGIC, 13)
#define KD_SCAP_GET_PROCLIST _IO(KD_SCAP_MAGIC, 16) /* struct kd_proclist * */
#define KD_SCAP_GET_N_TRACEPOINT_HIT _IO(KD_SCAP_MAGIC, 20) /* long[possible CPUs] * */
#define KD_SCAP_GET_DRIVER_VERSION _IO(KD_SCAP_MAGIC, 21) /* char * */
#define KD_SCAP_SET_FULLCAPTURE_PORT_RANGE _IO(KD_SCAP_MAGIC, 22) /* end << 16 | start */
#define KD_SCAP_SET_STATSD_PORT _IO(KD_SCAP_MAGIC, 23)
#define KD_SCAP_GET_API_VERSION _IO(KD_SCAP_MAGIC, 24) /* __u64 * */
#define KD_SCAP_GET_SCHEMA_VERSION _IO(KD_SCAP_MAGIC, 25) /* __u64 * */
#define KD_SCAP_ENABLE_SYSCALL _IO(KD_SCAP_MAGIC, 29) /* native call number, 0..511 */
#define KD_SCAP_DISABLE_SYSCALL _IO(KD_SCAP_MAGIC, 30)
#define KD_SCAP_ENABLE_TP _IO(KD_SCAP_MAGIC, 31) /* enum kd_scap_tp */
#define KD_SCAP_DISABLE_TP _IO(KD_SCAP_MAGIC, 32)
#define KD_SCAP_ENABLE_DROPFAILED _IO(KD_SCAP_MAGIC, 33)
#define KD_SCAP_DISABLE_DROPFAILED _IO(KD_SCAP_MAGIC, 34)

#define KD_SCAP_SNAPLEN_MAX 65000

enum kd_scap_tp {
	KD_SCAP_TP_SYS_ENTER = 0,
	KD_SCAP_TP_SYS_EXIT = 1,
	KD_SCAP_TP_PROC_EXIT = 2,
	KD_SCAP_TP_SWITCH = 3,
	KD_SCAP_TP_PAGE_FAULT_USER = 4,
	KD_SCAP_TP_PAGE_FAULT_KERNEL = 5,
	KD_SCAP_TP_SIGNAL_DELIVER = 6,
	KD_SCAP_TP_PROC_FORK = 7,
	KD_SCAP_TP_PROC_EXEC = 8,
	KD_SCAP_TPS = 9,
};

/* utime and stime are in clock ticks. -ENOSPC: max_entries were too few, n_entries says how many there are. */
struct kd_proc_entry {
	__u64 pid;
	__u64 utime;
	__u64 stime;
};

struct kd_proclist {
	__s64 n_entries;
	__s64 max_entries;
	struct kd_proc_entry entries[];
};

/*
 * Our controls. KD_IOC_SELECT and KD_IOC_NATIVE make the consumer a native one: it gets typed events of ours (ids
 * from 1024) instead of the generic event, and our events that are not calls.
 */
#define KD_IOC_MAGIC 0xdb
#define KD_IOC_VERSION _IOR(KD_IOC_MAGIC, 1, struct kd_version)
#define KD_IOC_NATIVE _IO(KD_IOC_MAGIC, 2) /* 1: on, 0: off */
/*
 * One event by its id; KD_EVENT_GENERIC stands for all calls that have no typed event. -ENOENT: no such event in this
 * driver; -EOPNOTSUPP: this kernel has no hook for it. Selecting twice is no error.
 */
#define KD_IOC_SELECT _IO(KD_IOC_MAGIC, 3)
#define KD_IOC_DESELECT _IO(KD_IOC_MAGIC, 4)
#define KD_IOC_ENTER_TIME \
	_IO(KD_IOC_MAGIC, 5) /* 1: events of calls carry the time of entry as one more parameter, 0: off */
#define KD_IOC_STATS _IOR(KD_IOC_MAGIC, 6, struct kd_stats)

#define KD_EVENT_GENERIC 1

/* Packed versions are major << 44 | minor << 24 | patch. */
struct kd_version {
	__u64 api; /* ours: controls and block layout */
	__u64 schema; /* ours: the table of events */
	__u64 compat_api; /* what libscap is told */
	__u64 compat_schema;
	__u32 slots; /* number of events */
	__u32 ring_bytes; /* size of each ring of this consumer */
	char driver[32]; /* the driver's version, NUL-terminated */
};

/* This consumer's counters, summed over all its rings since each was opened. */
struct kd_stats {
	__u64 events; /* blocks written */
	__u64 drops_buffer; /* ring full, or block larger than allowed */
	__u64 drops_nested; /* a block was being written on that CPU already */
	__u64 drops_offline; /* the CPU has no ring of this consumer (came online later, or its device is not open) */
	__u64 unreadable; /* parameters left empty because memory could not be read */
};

#endif
