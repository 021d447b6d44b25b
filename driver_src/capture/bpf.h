/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * kd-capture: what its eBPF parts share.
 */
#ifndef KD_CAPTURE_BPF_H
#define KD_CAPTURE_BPF_H

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include "capture.h"

/* ---- bpf_host.c: what this kernel can do, asked of the kernel ---- */

struct kd_host {
	bool raw_tp; /* programs of raw tracepoints */
	bool ringbuf;
	bool constants; /* global constants of objects, which the CO-RE probe is told by what it has to do */
	bool btf; /* the kernel's type information, its own or from a file */
	bool kprobes; /* kprobes can be attached */
	bool faultable; /* tracepoints of system calls run preemptible: raw programs lose events there */
	bool boot_clock; /* bpf_ktime_get_boot_ns */
	bool tp_misses_counted; /* programs of tracepoints and kprobes count the runs that they missed */
	bool built_for; /* the object is a probe for one kernel, this one */
	bool tracefs; /* reachable; see kd_host_find_tracefs */
};

/* -1 and *host, or an exit status after a message: no permission, no bpf(). */
int kd_host_probe(struct kd_host *host, const char *btf_path);
__u32 kd_host_version_code(void); /* LINUX_VERSION_CODE of the running kernel; 0: not known */
/* Look for tracefs; if it is not mounted, mount it where only this program sees it. */
bool kd_host_find_tracefs(void);
/* Says after a failed call what permission means here, as a hint; NULL for other errors. */
const char *kd_host_permission_hint(int error);

/* ---- bpf_log.c: what libbpf says ---- */

void kd_bpf_log_start(bool verbose);
/* A message for a failed load: the program's name and the last lines of the verifier, or what libbpf said last. */
int kd_bpf_log_fail(const char *path, int error);
/* The program that was refused, and why in the verifier's words; NULL when it was not for a program. Forgets both. */
const char *kd_bpf_log_refused(char *why, size_t size);

/* ---- bpf_output.c: rings ---- */

struct kd_bpf_output;

/* Decides between ring buffers and perf buffers, and readies the object's maps. Before the object is loaded. */
int kd_bpf_output_prepare(struct kd_bpf_output **output, struct bpf_object *object, const struct kd_host *host,
			  size_t bytes);
/* After the object is loaded. */
int kd_bpf_output_open(struct kd_bpf_output *output, struct bpf_object *object);
int kd_bpf_output_drain(struct kd_bpf_output *output, struct kd_merge *merge);
const char *kd_bpf_output_kind(const struct kd_bpf_output *output);
size_t kd_bpf_output_bytes(const struct kd_bpf_output *output);
unsigned long long kd_bpf_output_lost(const struct kd_bpf_output *output);
void kd_bpf_output_close(struct kd_bpf_output *output);

/* ---- bpf_attach.c: entry programs and the selection ---- */

#define KD_ENTRY_CALLS 7
#define KD_ENTRY_LINKS 3 /* its function for x86_64, for i386, and the one that stands for it there */

struct kd_bpf_driver {
	struct kd_driver base;
	const struct kd_options *options;
	const char *path;
	struct bpf_object *object;
	struct kd_host host;
	struct kd_bpf_output *output;
	struct kd_settings settings;
	int clock; /* clockid_t */
	bool raw; /* raw tracepoints of calls, else tracepoints of tracefs */
	bool raw_hooks; /* the same of other tracepoints */
	bool raw_task; /* the same of process exit */
	bool entry_kprobes; /* entries of calls by kprobes, see bpf_entry.c; else by their tracepoint */
	bool on[KD_SLOTS];
	struct kd_selected selected[2][KD_CALL_NUMBERS]; /* what the maps hold for exits, and for entries */
	bool on_calls[KD_CALL_NUMBERS]; /* by number on x86_64: generic events of single calls */
	const char *refused[KD_SLOTS]; /* why the kernel refuses an event's program; see --skip-refused */
	struct bpf_link *links[12]; /* by kd_point of bpf_attach.c */
	struct bpf_link *entry_links[KD_ENTRY_CALLS][KD_ENTRY_LINKS];
	char release[72];
	char version[64];
	char schema[80]; /* digest of the table of events that the object was built from; empty: it does not say */
	__u32 facts[4]; /* of a probe for one kernel: uses boot time, its call tracepoints are faultable */
	bool has_facts;
	bool self_test; /* its events are loaded in any case */
};

/* Which programs are to be loaded, and as what type. */
int kd_bpf_choose_programs(struct kd_bpf_driver *driver);
int kd_bpf_fill_tails(struct kd_bpf_driver *driver);
/* What the maps of the selection say before anything is selected. */
int kd_bpf_prepare_selection(struct kd_bpf_driver *driver);
int kd_bpf_select(struct kd_driver *base, unsigned int slot, bool on);
int kd_bpf_select_call(struct kd_driver *base, unsigned int number, bool on);
void kd_bpf_detach(struct kd_driver *base);
/* Do without the events that a refused program belongs to. False when it belongs to none. */
bool kd_bpf_refuse(struct kd_bpf_driver *driver, const char *program, const char *why);
/* Runs of programs that the kernel skipped. */
void kd_bpf_count_missed(const struct kd_bpf_driver *driver, struct kd_counts *counts);
void kd_bpf_note_unavailable(struct kd_bpf_driver *driver);

/* ---- bpf_entry.c: calls at their entry, by kprobes ---- */

bool kd_bpf_entry_possible(void);
/* Attaches at the calls whose events are on, detaches at the others. */
int kd_bpf_entry_update(struct kd_bpf_driver *driver, const struct bpf_program *program);

#endif
