/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * What the parts of the guest's first program share. It runs as process 1 of a guest that kdriver's verifier boots,
 * reads /plan, takes each driver of the plan through its life and writes what happened to the second serial port.
 */
#ifndef KD_GUEST_H
#define KD_GUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define KD_MAX_DRIVERS 8
#define KD_MAX_MODULES 32
#define KD_MAX_WORDS 64
#define KD_MAX_SKIPS 32
#define KD_MAX_ONLY 16
#define KD_DETAIL 4096
#define KD_TIMED_OUT 124
#define KD_PAGES_NOISE_KB 4096

/*
 * One driver of the plan. name: of module and device, "-" for eBPF objects. foreign: of another project; words are the
 * command line of its own check, NULL at the end, none where it has no check.
 */
struct driver {
	char kind[16];
	char name[64];
	char path[128];
	bool foreign;
	const char *words[KD_MAX_WORDS + 1];
	int n_words;
};

/* The plan: see kdriver/verifier/plan.py, which writes it. Limits are in milliseconds. btf: the kernel's type
 * information, for one that has none of its own; empty without. */
struct plan {
	struct driver drivers[KD_MAX_DRIVERS];
	int n_drivers;
	char modules[KD_MAX_MODULES][128];
	int n_modules;
	char btf[128];
	char shell[128]; /* a static busybox: a prompt instead of the drivers; empty without */
	char only[KD_MAX_ONLY][64]; /* patterns of the cases to run; all without */
	int n_only;
	int limit_load;
	int limit_open;
	int limit_cases;
	int limit_flush;
	int limit_unload;
	int pressure_rounds;
	int overrun_calls;
	int cost_calls; /* calls of a batch; 0: the cases are run, not the loops of cost.c */
	int cost_batches;
	long buffer_bytes;
	long small_buffer_bytes;
	long events_bytes_max;
	int together; /* whether the cases run once, while all drivers watch */
	int strace; /* whether the cases run once more, under strace */
	char strace_calls[256]; /* those that it leaves out */
	char strace_skips[KD_MAX_SKIPS][64]; /* cases that it leaves out */
	int n_strace_skips;
};

extern struct plan plan;
bool plan_read(char *bad_line, size_t size);

/* result.c: JSON lines on the second serial port. */
int result_open(void);
void result_printf(const char *format, ...) __attribute__((format(printf, 1, 2)));
void result_raw(const char *text, size_t len);
void result_string(const char *text);
void result_end_line(void);
void result_flush(void);
void result_stage(const char *kind, const char *stage);
void result_step(const char *kind, const char *step, int status, long ms, const char *detail);
void result_close(int rc);

/* bulk.c: memory that the host sees as a file, for many lines about one thing. */
void bulk_open(void);
bool bulk_line(const char *line, size_t len);
void bulk_report(const char *kinds, const char *what);

/* system.c: the guest's surroundings. */
void system_setup(void);
void system_join_cgroups(void);
void system_pin_to_first_cpu(void);
void system_show_tasks(void);
long now_ms(void);
unsigned long long now_real_ns(void);
void nap_ms(long ms);

/* kernel.c: modules, loaded programs, the kernel log, the taint mask. */
int module_insert(const char *path, const char *params);
int module_remove(const char *name);
bool module_present(const char *name);
bool device_wait(const char *name, long limit_ms);
bool device_present(const char *name);
int bpf_programs(void);
unsigned long kernel_taint(void);
long kernel_pages_kb(void);
void kernel_log_mark(void);
void kernel_log_report(const char *kind);

/* child.c: programs and functions run as children, with a time limit. */
struct child {
	const char *const *argv;
	int in; /* descriptors, -1 for none */
	int out;
	int err;
	bool in_cgroups;
};
pid_t child_start(const struct child *child);
pid_t child_call(int (*run)(void *), void *context);
bool child_ended(pid_t pid, int *status);
int child_wait(pid_t pid, long limit_ms);
void child_stop(pid_t pid);
void file_tail(const char *path, char *text, size_t size);

/* life.c: a driver's beginning and end. step_load: 0, or what the kernel said. */
int step_load(const struct driver *driver);
void step_unload(const struct driver *driver, int programs_before);

/* turn.c: all that a driver goes through, or all drivers at once. */
void run_driver(const struct driver *driver);
void run_together(const struct driver *drivers, int n);

/* shell.c: a prompt on the console. */
int shell_run(const char *path);

/* capture.c: one running kd-capture, spoken to over its standard input. */
struct reader;
struct capture {
	pid_t pid;
	int commands;
	int output;
	char output_path[64];
	char errors_path[64];
	off_t read_to; /* lines before this offset were seen */
	char *line; /* the last line, without its end */
	int status; /* after it ended */
	struct reader *reader;
	char ready[16384];
	char stats[4096];
};

/* Counts events of one name made by one thread. holds: a text that the line must contain, or NULL. */
struct tally {
	const char *name;
	pid_t tid;
	const char *holds;
	unsigned long count;
	unsigned long backwards; /* how often the time stamp was below the one before */
	unsigned long with_enter; /* how many carried the time of entry, and not one after the exit */
	unsigned long long last_ts;
	long data; /* bytes of the last one's data, -1 without */
};
int capture_open(struct capture *capture, const struct driver *driver, const char *tag, const char *const *options,
		 long limit_ms);
int capture_command(struct capture *capture, const char *command, long limit_ms, struct tally *tallies, int n);
int capture_close(struct capture *capture, long limit_ms);

#define KD_MAX_TIDS 4096
#define KD_MAX_SWITCHING 64

/*
 * What is reported of a run of the cases: its expectations, and the events of kd-capture's output from one offset to
 * another. prefix: of the names that both get. tids: threads that the expectations name; switching: those of them that
 * expect to be switched to.
 */
struct report {
	const char *prefix;
	off_t from, end;
	long bytes_max;
	pid_t tids[KD_MAX_TIDS], switching[KD_MAX_SWITCHING];
	int n_tids, n_switching;
};
/* kinds: of the drivers that watched, "kmod+bpf". Fills the report's threads. */
void capture_report_expectations(const char *kinds, const char *path, struct report *report);
void capture_report_events(const struct capture *capture, const char *kind, const struct report *report);

/* traced.c: the cases once more, under strace. 0, or the status of what went wrong. */
int run_traced(struct capture *capture, const struct plan *plan, const char *kind);

/* trials.c: what is tried beside the cases. Each writes its own result line; 0, or the status of what went wrong. */
int trial_switch(struct capture *capture, const struct plan *plan, const char *kind);
int trial_snaplen(struct capture *capture, const struct plan *plan, const char *kind);
int trial_pressure(struct capture *capture, const struct plan *plan, const char *kind);
int trial_ports(struct capture *capture, const struct plan *plan, const char *kind);
int trial_call(struct capture *capture, const struct plan *plan, const char *kind);
int trial_overrun(const struct driver *driver, const struct plan *plan);

/* cost.c: what calls cost, with and without a driver. Each writes its own result lines. */
void cost_base(void);
int cost_driver(struct capture *capture, const char *kind);

#endif
