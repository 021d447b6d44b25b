// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Cases of events that come only to those who name them: signals, page faults, and calls without an event of their own. They run only when
 * they are named as well (--only 'asked-*'): else these events are off.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <ucontext.h>
#include <unistd.h>

#include "cases.h"

#define KERNEL_TEXT 0xffff800000000000ull

static void expect_signal(pid_t tid, int64_t source, int sig)
{
	exp_open("signaldeliver", tid, order_next());
	exp_int("spid", source);
	exp_int("dpid", tid);
	exp_uint("sig", (uint64_t)sig);
	exp_close();
}

static volatile sig_atomic_t seen;

static void on_signal(int sig)
{
	seen = sig;
}

static void on_fault(int sig, siginfo_t *siginfo, void *context)
{
	(void)siginfo;
	seen = sig;
	/* Over the instruction of store_byte, which is three bytes long. */
	((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP] += 3;
}

static void handle(int sig)
{
	struct sigaction action;

	memset(&action, 0, sizeof(action));
	action.sa_handler = on_signal;
	must("sigaction", sigaction(sig, &action, NULL) == 0);
	seen = 0;
}

static void send_to_self(int sig)
{
	handle(sig);
	must("kill", call2(K_KILL, self.vpid, sig) == 0);
	expect_signal(self.tid, self.vpid, sig);
	must("handler", seen == sig);
}

/* A queued signal of real time; who queued it says so itself. */
static void queue_to_self(void)
{
	siginfo_t siginfo;

	memset(&siginfo, 0, sizeof(siginfo));
	siginfo.si_signo = 40;
	siginfo.si_code = SI_QUEUE;
	siginfo.si_pid = self.vpid;
	handle(40);
	must("rt_sigqueueinfo", raw_call(SYS_rt_sigqueueinfo, U(self.vpid), 40, U(&siginfo), 0, 0, 0) == 0);
	expect_signal(self.tid, self.vpid, 40);
	must("handler", seen == 40);
}

static void timer_signal(void)
{
	struct itimerval timer = {{0, 0}, {0, 2000}};

	handle(SIGALRM);
	raw_call(SYS_setitimer, 0, U(&timer), 0, 0, 0, 0);
	while (!seen)
		continue;
	expect_signal(self.tid, 0, SIGALRM);
}

/* sig 0: by itself. A signal that ends a process becomes SIGKILL for each of its threads, and the kernel is its source. */
static void child_that_ends(int sig)
{
	pid_t pid;

	handle(SIGCHLD);
	pid = child_of(K_FORK, 0);
	if (pid == 0) {
		struct made m = {.kind = K_KILL, .a = {U(self.vpid), U(sig)}, .pid = self.vpid, .tid = self.tid};

		if (!sig)
			finish(3);
		signal(sig, SIG_DFL);
		m.order = order_next();
		kinds[K_KILL].describe(&m);
		expect_signal(self.tid, 0, SIGKILL);
		raw_call(SYS_kill, m.a[0], m.a[1], 0, 0, 0, 0);
		finish(99);
	}
	while (!seen)
		continue;
	expect_signal(self.tid, pid, SIGCHLD);
	must("wait", reap(pid, 0) == (sig ? sig : 3 << 8));
}

static void signals(void)
{
	send_to_self(SIGUSR1);
	send_to_self(SIGTERM);
	queue_to_self();
	timer_signal();
	child_that_ends(0);
	child_that_ends(SIGTERM);
	/* Ignored: never delivered. */
	must("kill", call2(K_KILL, self.vpid, SIGWINCH) == 0);
}

/* Instructions whose addresses are known. */
void store_byte(volatile char *at);
extern const char store_byte_at[];
char load_byte(const volatile char *at);
extern const char load_byte_at[];
asm(".text\n"
    ".globl store_byte\n"
    "store_byte:\n"
    ".globl store_byte_at\n"
    "store_byte_at:\n"
    "	movb $1, (%rdi)\n"
    "	ret\n"
    ".globl load_byte\n"
    "load_byte:\n"
    ".globl load_byte_at\n"
    "load_byte_at:\n"
    "	movb (%rdi), %al\n"
    "	ret\n");

enum { PROTECTION = 1, NOT_PRESENT = 2, WRITING = 4, READING = 8, BY_USER = 16, BY_KERNEL = 32 };

static void expect_fault(const volatile char *at, const char *ip, unsigned int error)
{
	exp_open("page_fault", self.tid, order_next());
	exp_uint("addr", (uint64_t)at);
	exp_uint("error", error);
	if (ip)
		exp_between("ip", (uint64_t)ip, (uint64_t)ip);
	else
		exp_between("ip", KERNEL_TEXT, UINT64_MAX);
	exp_close();
}

static void page_faults(void)
{
	struct sigaction action;
	volatile char *fresh = (volatile char *)call_all(K_MMAP, 0, 4 * PAGE, PROT_READ | PROT_WRITE,
							 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	store_byte(fresh + 5);
	expect_fault(fresh + 5, store_byte_at, NOT_PRESENT | WRITING | BY_USER);
	load_byte(fresh + PAGE);
	expect_fault(fresh + PAGE, load_byte_at, NOT_PRESENT | READING | BY_USER);
	/* It is the page of zeros that all processes share: writing makes one of its own. */
	store_byte(fresh + PAGE + 1);
	expect_fault(fresh + PAGE + 1, store_byte_at, PROTECTION | WRITING | BY_USER);
	/* The kernel writes into a page that is not there yet. */
	must("getcwd", raw_call(SYS_getcwd, U(fresh + 2 * PAGE + 8), 64, 0, 0, 0, 0) > 0);
	expect_fault(fresh + 2 * PAGE + 8, NULL, NOT_PRESENT | WRITING | BY_KERNEL);
	memset(&action, 0, sizeof(action));
	action.sa_sigaction = on_fault;
	action.sa_flags = SA_SIGINFO;
	sigaction(SIGSEGV, &action, NULL);
	store_byte((volatile char *)0x123);
	expect_fault((volatile char *)0x123, store_byte_at, NOT_PRESENT | WRITING | BY_USER);
	expect_signal(self.tid, 0, SIGSEGV);
	must("handler", seen == SIGSEGV);
}

static void expect_call(unsigned int code, unsigned int native)
{
	exp_open("syscall", self.tid, order_next());
	exp_uint("ID", code);
	exp_uint("nativeID", native);
	exp_close();
}

/* The i386 way, where it can be. */
static void compat_call_without_event(uint32_t number, uint32_t a0, uint32_t a1, uint32_t a2)
{
	int64_t ret;

	asm volatile("int $0x80"
		     : "=a"(ret)
		     : "0"((uint64_t)number), "b"(a0), "c"(a1), "d"(a2), "S"(0), "D"(0)
		     : "r8", "r9", "r10", "r11", "memory");
}

static void generic_calls(void)
{
	raw_call(SYS_getppid, 0, 0, 0, 0, 0, 0);
	expect_call(41, 110);
	raw_call(SYS_uname, UNMAPPED, 0, 0, 0, 0, 0);
	expect_call(67, 63);
	raw_call(SYS_msgget, U(-1), U(-1), 0, 0, 0, 0);
	expect_call(264, 68);
	if (!i386_runs)
		return;
	compat_call_without_event(64, 0, 0, 0);
	expect_call(41, 110);
	/* msgget as a sub-call of ipc. */
	compat_call_without_event(117, 13, 0xffffffff, 0xffffffff);
	expect_call(264, 68);
}

const struct one_case asked_cases[] = {
	{"asked-signal", signals},
	{"asked-fault", page_faults},
	{"asked-call", generic_calls},
	{NULL, NULL},
};
