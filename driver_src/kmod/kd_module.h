/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The module's parts and what they share.
 *
 * kd_main.c      load and unload, parameters, device nodes
 * kd_device.c    open, release, mmap
 * kd_control.c   ioctl
 * kd_consumer.c  consumers and what each has selected
 * kd_calls.c     facts about each call number
 * kd_ring.c      memory of the rings
 * kd_hooks.c     attaching to and detaching from tracepoints and kprobes
 * kd_record.c    the hooks, and writing blocks
 * kd_entry.c     times of entry of calls in flight
 * kd_proclist.c  the list of threads
 *
 * Locks: kd_mutex guards consumers, selections and hooks; it is taken in process context only. Hooks take no lock:
 * they run with preemption off, read kd_selected_* first, then the consumer's tables, and whoever takes a consumer or
 * a table away waits by kd_wait_for_hooks() before it frees.
 */
#ifndef KD_MODULE_H
#define KD_MODULE_H

#include <linux/cache.h>
#include <linux/cdev.h>
#include <linux/errno.h>
#include <linux/fs.h>
#include <linux/ioctl.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/percpu.h>
#include <linux/pid.h>
#include <linux/types.h>

#include "kd_catalogue.h"
#include "kd_probes.h"
#include "kd_ioctl.h"
#include "kd_shared.h"
#include "kd_native_calls.h"
#include "compat/kd_barrier.h"

/* Consumers are bits of a u32; the topmost bit says that somebody wants the time of entry. */
#define KD_CONSUMERS 16
#define KD_SELECTED_ENTER_TIME (1u << 31)

/* What a consumer gets for a call: nothing, the event of a slot (KD_ACTION_SLOT + slot), or the generic event. */
#define KD_ACTION_NONE 0
#define KD_ACTION_SLOT 1
#define KD_ACTION_GENERIC 0xffff

/* Events of libscap's schema that the catalogue does not hold. */
#define KD_EVENT_DROP_E 148
#define KD_EVENT_DROP_X 149
#define KD_EVENT_CPU_HOTPLUG 244
/* Events from this id on are ours. */
#define KD_EVENT_OURS 1024

/* Where the module can be attached. Those of enum kd_hook and these are one numbering. */
enum kd_attach {
	KD_ATTACH_SWITCH = KD_HOOK_SWITCH,
	KD_ATTACH_PROCEXIT = KD_HOOK_PROCEXIT,
	KD_ATTACH_TCP_CONNECT = KD_HOOK_TCP_CONNECT,
	KD_ATTACH_SIGNAL = KD_HOOK_SIGNAL,
	KD_ATTACH_FAULT_USER = KD_HOOK_FAULT_USER,
	KD_ATTACH_FAULT_KERNEL = KD_HOOK_FAULT_KERNEL,
	KD_ATTACH_SYS_EXIT = KD_HOOKS_USED,
	KD_ATTACH_SYS_ENTER,
	KD_ATTACHES,
};

/* One of KD_CALL_TABLE: native calls first, i386 calls from KD_CALL_COMPAT. */
struct kd_call {
	u16 exit_slot; /* slot + 1 of the typed event at the exit, 0: none */
	u16 enter_slot; /* the same at the entry */
	u16 native; /* number of the same call on x86_64 */
	u16 code; /* the schema's code of the call, 0: not known to it */
	u8 known; /* 1: a call of this number exists, native is valid */
	u8 drop_class; /* enum kd_drop_class */
	u8 drop_kind; /* enum kd_drop_kind */
};

/* One of KD_SLOTS. */
struct kd_event {
	u16 id;
	u8 nparams;
};

/* One ring of one consumer. Written by its CPU only, with preemption off. */
struct kd_ring {
	u8 *bytes; /* the ring's pages mapped twice in a row; NULL: the CPU was offline at the first open */
	struct kd_ring_info *info; /* shared with the reader: never trusted */
	u32 size; /* power of two */
	u32 head;
	u32 open; /* like all that is published by kd_store_release, not smaller than an int (see compat/kd_barrier.h) */
	u8 busy; /* a block is being written */
	u8 was_open;
	struct page **pages; /* size / PAGE_SIZE of them, then the same ones again */
	u64 n_events;
	u64 n_drops_buffer;
	u64 n_drops_nested;
	u64 n_unreadable;
};

struct kd_consumer {
	unsigned int index; /* its bit */
	unsigned int opened; /* rings that are open */
	struct pid *thread; /* who opened */
	struct kd_ring __percpu *rings;
	u32 ring_bytes;
	/* read by the hooks, written under kd_mutex by single stores */
	u16 exit_action[KD_CALL_TABLE];
	u16 enter_action[KD_CALL_TABLE];
	u16 hook_action[KD_HOOKS];
	u32 snaplen; /* and KD_SNAPLEN_DYNAMIC */
	struct kd_ports ports;
	u32 enter_time;
	u32 dropping;
	u8 drop_failed;
	u32 sampling_ratio;
	u32 sampled_ns; /* of each second */
	/* written by the hooks */
	unsigned int outside; /* 1: now outside the sampled part of the second */
	unsigned int owed; /* a KD_EVENT_DROP_* that did not fit yet, 0: none */
	int hotplug_cpu; /* a CPU without ring that had events, -1: none, -2: told already */
	atomic_long_t n_drops_offline;
	/* selection, under kd_mutex */
	u8 native; /* uses our controls */
	u8 generic; /* native, and wants the generic event for calls that have no typed one */
	u8 slots[KD_SLOTS]; /* native selection */
	DECLARE_BITMAP(calls, KD_CALL_NUMBERS); /* libscap's selection, by number on x86_64 */
	u32 tps; /* libscap's tracepoints, bits of enum kd_scap_tp */
};

/* What private_data of an open device points to. */
struct kd_handle {
	struct kd_consumer *consumer;
	unsigned int cpu;
};

extern struct mutex kd_mutex;
extern unsigned long kd_buffer_bytes;
extern unsigned int kd_max_consumers;
extern bool kd_verbose;

#define kd_info(format, ...)                                                \
	do {                                                                \
		if (kd_verbose)                                             \
			pr_info(KBUILD_MODNAME ": " format, ##__VA_ARGS__); \
	} while (0)

/* kd_calls.c */
extern struct kd_call kd_calls[KD_CALL_TABLE];
extern struct kd_event kd_events[KD_SLOTS];
extern const u16 kd_hook_slots[KD_HOOKS_USED]; /* the event of each hook */
void kd_calls_init(void);
int kd_slot_of_event(unsigned int id); /* -ENOENT: no such event */
u32 kd_entry_key(u32 call); /* under which number a call's time of entry is stored */

/* kd_consumer.c: the union of all selections, bits of consumers. */
extern u32 kd_selected_exit[KD_CALL_TABLE];
extern u32 kd_selected_enter[KD_CALL_TABLE];
extern u32 kd_selected_hook[KD_HOOKS];
/* By kd_entry_key. Grows when somebody starts to want times of entry of that call: older ones do not count then. */
extern u32 kd_entry_generation[KD_CALL_TABLE];
extern struct kd_consumer *kd_consumers[KD_CONSUMERS];
struct kd_consumer *kd_consumer_find(struct pid *thread);
struct kd_consumer *kd_consumer_create(struct pid *thread); /* ERR_PTR: -EBUSY too many, -ENOMEM, -EINVAL */
void kd_consumer_destroy(struct kd_consumer *consumer);
int kd_consumer_apply(struct kd_consumer *consumer); /* makes changed selections true; 0 or the hook's error */

/* kd_ring.c */
int kd_ring_allocate(struct kd_ring *ring, u32 size, int node);
void kd_ring_free(struct kd_ring *ring);
void kd_ring_reset(struct kd_ring *ring);

/* kd_hooks.c */
int kd_hooks_want(unsigned int consumer, u32 attaches);
void kd_hooks_detach_all(void);
void kd_wait_for_hooks(void);

/* kd_record.c */
DECLARE_PER_CPU(unsigned long, kd_hits);
extern void *const kd_tracepoint_probes[KD_ATTACHES];
int kd_kprobe_tcp_connect(unsigned long sock);

/* kd_entry.c */
int kd_entry_start(void);
void kd_entry_stop(void);
void kd_entry_store(u32 tid, u32 salt, u64 ts);
u64 kd_entry_take(u32 tid, u32 salt); /* 0: not seen */

/* kd_proclist.c */
int kd_proclist(struct kd_proclist __user *list);

/* kd_device.c, kd_control.c */
extern const struct file_operations kd_file_operations;
long kd_control(struct file *file, unsigned int control, unsigned long arg);

#endif
