/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The event cases: a program that makes every call of the catalogue with arguments it knows and prints, for each event,
 * what a driver must have written. What is expected comes from the call's own arguments and return value, from /proc,
 * stat and the socket calls; never from a driver. The rules of the values: ../catalogue/CONVENTIONS.md.
 *
 * No line is written before the end, and a case process makes no call of the catalogue that is not also expected: its
 * events are exactly the expected ones.
 */
#ifndef KD_CASES_H
#define KD_CASES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "kinds.h"

#define PAGE 4096
#define PATH_BYTES 4096
#define SNAPLEN_BYTES 16384 /* the largest capture length */
#define ARG_POINTERS 16
#define SEGMENTS 16
#define PATH_COMPONENTS 16
#define POLL_ENTRIES 16
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* Memory and faults of a task: kB, counts. */
struct usage {
	uint64_t vm, rss, swap, pgft_min, pgft_maj;
};

/* A call that was made. pid: whose memory the pointers point into. */
struct made {
	enum kind kind;
	uint64_t a[6];
	int64_t ret;
	pid_t pid;
	pid_t tid;
	bool i386;
	unsigned long order;
	struct usage before, after;
	struct tuple_ends {
		uint8_t local[128];
		unsigned int local_len;
	} ends; /* a socket's own name before the call */
};

struct kind_row {
	const char *event;
	int number; /* x86_64 */
	int number_i386; /* 0: none, SUBCALL: one of socketcall or ipc */
	bool usage; /* has parameters that lie between two readings */
	void (*describe)(const struct made *m);
};
#define SUBCALL 500
extern const struct kind_row kinds[K_KINDS];

/* What is true of the current process and hard to find out again without calls of the catalogue. */
struct self {
	char cwd[PATH_BYTES];
	char exe_path[PATH_BYTES];
	char argv0[PATH_BYTES];
	char args_json[6 * PATH_BYTES + 64]; /* JSON value */
	char cgroups_json[8192];
	char comm[16];
	uint64_t fdlimit;
	uint32_t tty, loginuid;
	uint32_t uid, gid; /* effective */
	uint64_t exe_ino, exe_ctime, exe_mtime;
	uint32_t exe_flags;
	bool in_pid_namespace;
	uint64_t init_start_ticks; /* of the pid namespace's init */
	pid_t tid, pid, ptid, pgid, sid; /* global */
	pid_t vtid, vpid, vpgid;
	int status_fd, stat_fd; /* of /proc, -1 before they are opened */
};
extern struct self self;
extern unsigned int snaplen;
extern const char *current_case;
extern char program_folder[PATH_BYTES];

/* What the pointers behind a parameter were like; noted while its memory is read, and said beside what is expected. */
enum situation {
	S_VALID = 1,
	S_NULL = 2,
	S_UNMAPPED = 4,
	S_OVER = 8, /* begins in readable memory, runs into an unreadable page */
	S_END = 16, /* ends with the last byte before an unreadable page */
	S_LONG = 32, /* is longer than what is shown of it */
};

/* record.c */
extern const struct made *describing; /* the call whose event is described, NULL for other events */
extern bool exp_i386; /* the next event is that of an i386 call that does not return */
void arena_create(void);
void arena_print(void);
unsigned long order_next(void);
void exp_open(const char *event, pid_t tid, unsigned long order);
void exp_int(const char *name, int64_t value);
void exp_uint(const char *name, uint64_t value);
void exp_null(const char *name);
void exp_json(const char *name, const char *json);
void exp_str(const char *name, const char *bytes, size_t len);
void exp_hex(const char *name, const void *bytes, size_t len);
void exp_between(const char *name, uint64_t lo, uint64_t hi);
void exp_unchecked(const char *name, const char *reason);
void exp_close(void);
void note(unsigned int situation);
void note_only(unsigned int noted_before);
unsigned int noted(void);
void case_skip(const char *reason);
void case_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
void helper_calls_print(void);
size_t json_string(char *out, size_t size, const char *bytes, size_t len);

/* memory.c: reading memory as a driver would, but with the right to fault pages in. */
bool peek(pid_t pid, uint64_t address, void *out, size_t len);
void exp_user_str(const char *name, pid_t pid, uint64_t address);
void exp_user_dyn_str(const char *name, pid_t pid, uint64_t address, int kind);
void exp_user_buf(const char *name, pid_t pid, uint64_t address, uint64_t len);
void exp_user_strings(const char *name, const struct made *m, uint64_t array, unsigned int from);
void exp_user_first_string(const char *name, const struct made *m, uint64_t array);
extern bool peek_without_calls;
void touch_all(void);
void memory_setup(void);
extern char *page_end; /* the byte before an unreadable page; PAGE bytes before it are readable */
extern char *long_string; /* 5000 characters */
#define UNMAPPED 0x8000ul /* below what a program may map, and no member of a structure at NULL */
#define KERNEL_ADDRESS 0xffffffff81000000ul
char *string_at_page_end(const char *text);
char *string_over_page_end(const char *text);

/* facts.c */
void self_setup(int argc, char **argv);
void self_after_fork(pid_t parent_tid);
void usage_read(struct usage *usage);
void usage_read_of(pid_t pid, struct usage *usage);
void usage_forget(void);
uint64_t rss_slack_kb(void);
uint64_t own_start_ticks(void);
size_t proc_read(const char *path, char *text, size_t size);
extern bool helper_has_statx, helper_has_preadv2; /* calls that are no events, for the cases' own use */
extern bool expect_preadv; /* the case expects its own as well */
/* The file of an open says whether that made it: since 4.19, and in no kernel of RHEL 7 or 8. */
extern bool kernel_tells_created;
/* signalfd finds no room for what it converts on the stack of a 64-bit program, before 4.16. */
extern bool compat_has_room;
/* An execveat that succeeded leaves the kernel under the number of execve: since 4.12. */
extern bool execveat_ends_as_execve;
extern bool missing_on_i386[K_KINDS]; /* by its i386 number */
bool kernel_has(enum kind kind); /* whether it has a call, the way the case makes it */
void i386_setup(void);
bool gives(enum kind kind, int64_t ret, int64_t wanted); /* the result wanted, or that there is no such call */
struct stat;
void stat_fd_of(pid_t pid, int fd, struct stat *st);
uint64_t caps_of(pid_t pid, unsigned int set); /* 0 effective, 1 permitted, 2 inheritable */
void exe_facts(const char *path, uint64_t *ino, uint64_t *ctime, uint64_t *mtime);

/* call.c */
int64_t raw_call(long number, uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5);
void describe(const struct made *m);
int64_t call_as(struct made *m);
int64_t call6(enum kind kind, uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5);
#define U(x) ((uint64_t)(x))
#define call0(k) call6(k, 0, 0, 0, 0, 0, 0)
#define call1(k, a) call6(k, U(a), 0, 0, 0, 0, 0)
#define call2(k, a, b) call6(k, U(a), U(b), 0, 0, 0, 0)
#define call3(k, a, b, c) call6(k, U(a), U(b), U(c), 0, 0, 0)
#define call4(k, a, b, c, d) call6(k, U(a), U(b), U(c), U(d), 0, 0)
#define call5(k, a, b, c, d, e) call6(k, U(a), U(b), U(c), U(d), U(e), 0)
#define call_all(k, a, b, c, d, e, f) call6(k, U(a), U(b), U(c), U(d), U(e), U(f))
#define must(what, condition)                                      \
	do {                                                       \
		if (!(condition))                                  \
			case_error("%s: unexpected result", what); \
	} while (0)

/* compat.c: calls the i386 way. */
extern bool compat_calls; /* wherever that can be */
extern bool compat_as_given; /* the case lays structures out for i386 itself */
bool compat_prepare(struct made *m);
int64_t compat_subcall(const struct made *m);
bool has_subcall(enum kind kind);
int64_t compat_call(int number, uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5);

/* process.c: children whose events are expected, too. */
extern bool file_was_created; /* the next open makes the file: its case knows */
struct shared { /* between a case's processes */
	volatile pid_t told_tid;
	volatile int step;
	struct usage usage;
};
extern struct shared *shared;
void shared_create(void);
pid_t child_of(enum kind how, uint64_t flags); /* 0 in the child, as fork() */
pid_t thread_of(void (*run)(void)); /* waits until it ended */
pid_t vforked(int status);
void finish(int status) __attribute__((noreturn)); /* exit_group, expected */
void expect_exit_group(pid_t tid, int status, bool i386);
void expect_procexit(pid_t tid, int status, pid_t reaper);
int reap(pid_t pid, pid_t reaper); /* waits and expects the end; the wait status */
void expect_clone_event(const struct made *m, uint32_t flags);
void exp_usage(const struct usage *before, const struct usage *after);
void exp_cwd(void);
void exp_vm(const struct usage *before, const struct usage *after);
void exp_strings(const char *name, const char *bytes, size_t len);

/* describe_*.c */
void describe_open(const struct made *m);
void describe_openat(const struct made *m);
void describe_creat(const struct made *m);
void describe_close(const struct made *m);
void describe_rename(const struct made *m);
void describe_renameat2(const struct made *m);
void describe_unlinkat(const struct made *m);
void describe_mkdirat(const struct made *m);
void describe_fchmodat(const struct made *m);
void describe_chdir(const struct made *m);
void describe_mount(const struct made *m);
void describe_read(const struct made *m);
void describe_write(const struct made *m);
void describe_readv(const struct made *m);
void describe_writev(const struct made *m);
void describe_dup(const struct made *m);
void describe_dup2(const struct made *m);
void describe_dup3(const struct made *m);
void describe_pipe2(const struct made *m);
void describe_fcntl(const struct made *m);
void describe_ioctl(const struct made *m);
void describe_epoll_wait(const struct made *m);
void describe_poll(const struct made *m);
void describe_socket(const struct made *m);
void describe_bind(const struct made *m);
void describe_connect(const struct made *m);
void describe_listen(const struct made *m);
void describe_accept(const struct made *m);
void describe_send(const struct made *m);
void describe_recv(const struct made *m);
void describe_sendto(const struct made *m);
void describe_recvfrom(const struct made *m);
void describe_sendmsg(const struct made *m);
void describe_recvmsg(const struct made *m);
void describe_sockopt(const struct made *m);
void describe_shutdown(const struct made *m);
void describe_exec(const struct made *m);
void describe_clone(const struct made *m);
void describe_kill(const struct made *m);
void describe_futex(const struct made *m);
void describe_nanosleep(const struct made *m);
void describe_prctl(const struct made *m);
void describe_ptrace(const struct made *m);
void describe_mmap(const struct made *m);
void describe_munmap(const struct made *m);
void describe_brk(const struct made *m);
void describe_keyctl(const struct made *m);
void describe_quotactl(const struct made *m);
void describe_plain(const struct made *m);
void describe_mknod(const struct made *m);
void describe_llseek(const struct made *m);
void describe_openat2(const struct made *m);
void describe_open_by_handle_at(const struct made *m);
void describe_fsconfig(const struct made *m);
void describe_sendfile(const struct made *m);
void describe_io_uring_setup(const struct made *m);
void describe_io_uring_enter(const struct made *m);
void describe_socketpair(const struct made *m);
void describe_rlimit(const struct made *m);
void describe_capset(const struct made *m);
void describe_init_module(const struct made *m);
void describe_semop(const struct made *m);
void describe_semctl(const struct made *m);
void describe_process_vm(const struct made *m);
void describe_mmap2(const struct made *m);
void segments_of(const struct made *m, uint64_t array, uint64_t count, uint64_t limit, const char *data_name,
		 const char *size_name);
struct accept_queue {
	unsigned int len, max;
};
extern struct accept_queue accept_queue; /* of the next accept: what its case knows of the listening socket */
unsigned int own_name(pid_t pid, int fd, void *name, unsigned int size);

/* A case: runs in a process of its own. */
struct one_case {
	const char *name;
	void (*run)(void);
};
extern const struct one_case file_cases[], io_cases[], net_cases[], process_cases[], exec_cases[], memory_cases[],
	ipc_cases[], misc_cases[], identity_cases[], path_cases[], handle_cases[], descriptor_cases[], transfer_cases[],
	user_cases[], limit_cases[], system_cases[], packed_cases[], asked_cases[], pointer_cases[], end_cases[];
#define PROCESS_VM_CASE "process-vm" /* the processes of these must not call process_vm_readv for themselves */
#define I386_PROGRAM_CASE "i386-program" /* it makes preadv of its own */
#define PROCESS_VM_ENDS_CASE "ends-process-vm"
void exec_image_of_self(void);
void i386_probe(void);
extern bool i386_runs;

#endif
