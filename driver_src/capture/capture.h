/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * kd-capture: what its parts share. User space, one thread.
 *
 * options.c, main.c     what was asked for, and the loop (session.h: its state)
 * report.c              ready, and the counts
 * offline.c             blocks out of files, for tests
 * control.c             commands on standard input
 * events.c              the catalogue: names, calls, hooks
 * calls.c               calls without an event of their own
 * bpf_object.c          an eBPF object: opened, loaded, attached, switched
 * bpf_attach.c          its programs: which are loaded, where they are attached
 * bpf_host.c            what this kernel can do
 * bpf_log.c             what libbpf says
 * bpf_output.c          ring buffers and perf buffers
 * self_test.c           whether a driver reads this kernel rightly
 * kmod.c                the kernel module's devices
 * merge.c               events of all CPUs in the order of time
 * block.c               a block checked and taken apart
 * json.c, human.c       an event as a line of text
 * process.c             names of processes, the filters
 * out.c                 text on its way to standard output
 */
#ifndef KD_CAPTURE_TOOL_H
#define KD_CAPTURE_TOOL_H

#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>

#include "kd_catalogue.h"
#include "kd_decode.h"
#include "kd_shared.h"

enum kd_exit {
	KD_EXIT_DONE = 0,
	KD_EXIT_USAGE = 2,
	KD_EXIT_NOT_FOUND = 3,
	KD_EXIT_LOAD = 7,
};

/* Print "kd-capture: ..." and, unless hint is NULL, a hint on standard error; return status. */
int kd_fail(int status, const char *hint, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* ---- options.c ---- */

enum kd_program_type { KD_PROGRAM_AUTO, KD_PROGRAM_RAW, KD_PROGRAM_TP };

#define KD_FILTERS_MAX 64
#define KD_FILES_MAX 8
#define KD_PAUSE_MS_DEFAULT 10

struct kd_options {
	const char *driver; /* a path, or kmod, or kmod:NAME */
	const char *decode_files[KD_FILES_MAX];
	unsigned int decode_count;
	const char *btf;
	bool selected[KD_SLOTS];
	bool calls[KD_CALL_NUMBERS]; /* by number on x86_64: single calls whose generic event is asked for */
	__u32 pids[KD_FILTERS_MAX];
	unsigned int pid_count;
	const char *comms[KD_FILTERS_MAX];
	unsigned int comm_count;
	__u32 snaplen;
	bool dynamic_snaplen;
	struct kd_ports ports; /* of the dynamic capture length */
	size_t buffer_bytes; /* 0: the driver's default */
	int pause_ms; /* between two looks at rings that are nearly empty, at most */
	double duration_s; /* 0: until stopped */
	unsigned long long max_events; /* 0: no limit */
	enum kd_program_type program_type;
	bool json;
	bool control;
	bool check;
	bool enter_time;
	bool minimal;
	bool force;
	bool skip_refused;
	bool verbose;
};

/* "7000-7010" or "7000"; "0": none. False when it is no range of ports. */
bool kd_read_ports(struct kd_ports *ports, const char *text);
/* A number of a port. */
bool kd_read_port(const char *text, __u16 *port);

/* Fills options; returns -1 to go on, else the exit status. */
int kd_options_parse(struct kd_options *options, int argc, char **argv);

/* ---- events.c ---- */

const struct kd_event_desc *kd_event(unsigned int slot);
const struct kd_event_desc *kd_event_by_id(unsigned int id);
int kd_event_find(const char *name); /* slot, or -1 */
/* Names near to one that is unknown, "a, b, c"; empty when none is near. */
void kd_event_nearest(const char *name, char *text, size_t size);
/* The calls that serve events; a NULL name ends the table. */
const struct kd_call_desc *kd_calls(bool compat);

/* ---- calls.c: calls without an event of their own ---- */

/* Whether the call of that number (of x86_64) is one of them. */
bool kd_call_is_generic(unsigned int number);
/* The number of the one of that name, or -1. */
int kd_call_find(const char *name);
/* The name of a call by the schema's code, or NULL. */
const char *kd_call_of_code(unsigned int code);
/*
 * Of an index of the tables of calls (those of i386 from KD_CALL_COMPAT on): its number on x86_64, and what the map kd_generic holds for it;
 * -1 where the generic event does not stand for it.
 */
int kd_call_generic_entry(unsigned int key, __u32 *both);

/* ---- merge.c ---- */

struct kd_merge;

/*
 * sort: blocks of one CPU may come slightly out of order and are sorted by time too; else their order is kept.
 * see: called for each block that is added, or NULL.
 */
struct kd_merge *kd_merge_new(unsigned int cpus, bool sort, void (*see)(__u32 tid, __u64 ts));
void kd_merge_free(struct kd_merge *merge);
int kd_merge_add(struct kd_merge *merge, unsigned int cpu, const void *block, __u32 size);
size_t kd_merge_bytes(const struct kd_merge *merge);
/* The most bytes that one CPU has added since this was last asked. */
size_t kd_merge_fullest(struct kd_merge *merge);
/* Gives emit all blocks with a time up to horizon, or beyond now (the clock was set back), oldest first. Stops early
 * and returns what emit returned when that is not 0. The block is freed when emit returns. */
typedef int (*kd_emit)(void *context, unsigned int cpu, const void *block, __u32 size);
int kd_merge_release(struct kd_merge *merge, __u64 horizon, __u64 now, kd_emit emit, void *context);

/* ---- drivers ---- */

#define KD_UNCOUNTABLE (~0ULL)

struct kd_counts {
	unsigned long long events;
	unsigned long long drops_buffer;
	unsigned long long drops_scratch;
	unsigned long long missed_runs; /* KD_UNCOUNTABLE where the kernel counts none */
	unsigned long long unreadable;
	const char *uncountable[8]; /* hooks whose missed runs the kernel does not count */
	unsigned int uncountable_count;
};

struct kd_driver;

struct kd_driver_ops {
	/* The driver's clock: ns since the epoch. */
	__u64 (*now)(struct kd_driver *driver);
	/* Switch an event on or off: 0, or a negative errno with the reason in driver->reason. */
	int (*select)(struct kd_driver *driver, unsigned int slot, bool on);
	/* The same for the generic event of one call, by its number on x86_64. */
	int (*select_call)(struct kd_driver *driver, unsigned int number, bool on);
	int (*set_snaplen)(struct kd_driver *driver, __u32 snaplen);
	/* The dynamic capture length, and what it is asked for. */
	int (*set_dynamic)(struct kd_driver *driver, bool on, const struct kd_ports *ports);
	/*
	 * Move what the rings hold now to merge. Returns 1 when a ring could not be read to its end because its oldest
	 * block is not finished, else 0, or a negative errno.
	 */
	int (*drain)(struct kd_driver *driver, struct kd_merge *merge);
	int (*stats)(struct kd_driver *driver, struct kd_counts *stats);
	/* No further event comes; what the rings hold can still be drained. */
	void (*stop)(struct kd_driver *driver);
	void (*close)(struct kd_driver *driver);
};

struct kd_driver {
	const struct kd_driver_ops *ops;
	const char *kind; /* core, bpf or kmod */
	const char *program_type; /* raw, tp, or NULL */
	const char *buffer; /* ringbuf, perf or mmap */
	const char *version; /* the driver's own, or NULL */
	unsigned int cpus;
	size_t buffer_bytes;
	bool sort; /* see kd_merge_new */
	bool enter_time;
	const char *unavailable[KD_SLOTS]; /* why an event cannot come from this driver here, or NULL */
	char reason[256];
};

/* Open a driver: 0 and *driver, or an exit status after a message. */
int kd_bpf_open(const struct kd_options *options, struct kd_driver **driver);
int kd_kmod_open(const struct kd_options *options, struct kd_driver **driver);

/* ---- block.c ---- */

#define KD_PARAMS_MAX 64

struct kd_value_bytes {
	const unsigned char *bytes;
	__u32 size;
};

struct kd_block {
	__u64 ts;
	__u64 tid;
	__u32 size;
	__u16 type;
	unsigned int cpu;
	unsigned int params; /* how many of the event's declared parameters the block has */
	bool has_enter_ts;
	struct kd_value_bytes enter_ts;
	const struct kd_event_desc *event;
	struct kd_value_bytes values[KD_PARAMS_MAX];
};

/* The length that a block's header claims; 0 when not even the header fits. */
__u32 kd_block_size(const void *bytes, size_t size);
/* Check and take apart: NULL and *block, or what is wrong with it (then only the header's fields are valid). */
const char *kd_block_parse(const void *bytes, size_t size, struct kd_block *block);
/* A scalar's value, sign-extended; false when the parameter is empty. */
bool kd_scalar(const struct kd_value_bytes *value, bool is_signed, __u64 *number);
bool kd_type_is_signed(enum kd_type type);
bool kd_type_is_text(enum kd_type type);
/* A declared parameter by name: its value, or NULL when the event has none of that name or it is empty. */
const struct kd_value_bytes *kd_block_param(const struct kd_block *block, const char *name);

enum kd_address_family { KD_FAMILY_UNIX = 1, KD_FAMILY_INET = 2, KD_FAMILY_INET6 = 10 };

struct kd_address {
	unsigned int family;
	bool known; /* the rest is set */
	char text[2][48];
	unsigned int port[2];
	__u64 pointer[2];
	struct kd_value_bytes path;
};

void kd_sockaddr(const struct kd_value_bytes *value, struct kd_address *address);
void kd_socktuple(const struct kd_value_bytes *value, struct kd_address *address);

/* What a parameter whose kind is in its first byte holds. */
enum kd_dyn_shape { KD_DYN_BYTES, KD_DYN_UNSIGNED, KD_DYN_INTEGER, KD_DYN_SIGNED, KD_DYN_TIME, KD_DYN_TEXT };
enum kd_dyn_shape kd_dyn_shape(const struct kd_block *block, const struct kd_param_desc *desc,
			       const struct kd_value_bytes *value);

/* ---- out.c ---- */

void kd_out_bytes(const void *bytes, size_t size);
void kd_out_text(const char *text);
void kd_out_char(char c);
void kd_out_format(const char *format, ...) __attribute__((format(printf, 1, 2)));
void kd_out_unsigned(unsigned long long number);
void kd_out_signed(long long number);
void kd_out_hex(const unsigned char *bytes, size_t size);
void kd_out_json_string(const void *bytes, size_t size);
void kd_out_json_text(const char *text);
void kd_out_flush(void);
bool kd_out_closed(void); /* whoever read it has gone */

/* ---- json.c, human.c ---- */

void kd_json_event(const struct kd_block *block);
void kd_json_malformed(const struct kd_block *block, const char *reason);
void kd_human_start(void);
void kd_human_event(const struct kd_block *block, const char *comm);
void kd_human_malformed(const struct kd_block *block, const char *reason);
const char *kd_errno_name(long long number); /* of a negative result, or NULL */

/* ---- process.c ---- */

/* Look at all threads there are, so that those that end soon are known too. */
void kd_process_scan(void);
/* Look at the thread of an event that has just been read, while it still lives. */
void kd_process_see(__u32 tid, __u64 ts);
/* The thread's process name, "?" when unknown. Valid until the next call. */
const char *kd_process_comm(__u32 tid);
__u32 kd_process_tgid(__u32 tid);
/* Take note of what an event says about processes; to be called before (exec, clone, prctl) it is printed. */
void kd_process_learn(const struct kd_block *block);
/* The same for what takes effect after the event is printed (a process that ended). */
void kd_process_forget(const struct kd_block *block);

/* ---- self_test.c ---- */

/* Whether the self-test needs this event. */
bool kd_self_test_needs(unsigned int slot);
/* Make calls and compare what the driver says of them; false, with what is wrong. All events must be off, and are off after it. */
bool kd_self_test(struct kd_driver *driver, char *wrong, size_t size);

/* ---- control.c ---- */

struct kd_session;

/* Read what standard input has and carry it out. */
void kd_control_read(struct kd_session *session);

/* ---- main.c, for control.c ---- */

void kd_session_flush(struct kd_session *session);
void kd_session_stats(struct kd_session *session);
void kd_session_quit(struct kd_session *session);
struct kd_driver *kd_session_driver(struct kd_session *session);

#endif
