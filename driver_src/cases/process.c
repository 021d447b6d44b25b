// SPDX-License-Identifier: GPL-2.0-only OR MIT
/* Children and threads of the cases: their first event, their end, and what their parent sees are expected too. */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <linux/sched.h>

#include "cases.h"

struct shared *shared;

void shared_create(void)
{
	shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED) {
		perror("kd-cases: mmap");
		exit(1);
	}
}

void exp_strings(const char *name, const char *bytes, size_t len)
{
	static char json[65536];
	size_t used = 0;

	for (size_t at = 0; at < len;) {
		size_t n = strnlen(bytes + at, len - at);

		json[used] = used ? ',' : '[';
		used++;
		used += json_string(json + used, sizeof(json) - used, bytes + at, n);
		at += n + 1;
	}
	strcpy(json + used, used ? "]" : "null");
	exp_json(name, json);
}

/* The child's first event is its own return from the call. */
static void child_begins(struct made *m, pid_t parent, uint64_t flags)
{
	pid_t told = 0;

	m->order = order_next();
	touch_all();
	if (flags & CLONE_NEWPID || self.in_pid_namespace) {
		while (!(told = shared->told_tid))
			raw_call(SYS_sched_yield, 0, 0, 0, 0, 0, 0);
	}
	self_after_fork(parent);
	if (told) {
		self.tid = self.pid = told;
		self.in_pid_namespace = true;
		self.vpgid = 0;
	}
	usage_read(&m->after);
	if (told)
		self.init_start_ticks = own_start_ticks();
	memset(&m->before, 0, sizeof(m->before));
	m->before.vm = m->after.vm;
	m->tid = self.tid;
	expect_clone_event(m, (uint32_t)flags);
}

pid_t child_of(enum kind how, uint64_t flags)
{
	static struct clone_args args;
	struct made m = {.kind = how, .pid = self.vpid, .tid = self.tid};
	pid_t parent = self.tid;
	bool into_namespace = flags & CLONE_NEWPID || self.in_pid_namespace;

	usage_read(&m.before);
	if (into_namespace)
		shared->told_tid = 0;
	m.order = order_next();
	m.i386 = compat_calls;
	if (how == K_CLONE) {
		m.a[0] = (uint32_t)(flags | SIGCHLD);
	} else if (how == K_CLONE3) {
		args.flags = flags;
		args.exit_signal = SIGCHLD;
		m.a[0] = U(&args);
		m.a[1] = sizeof(args);
	}
	m.ret = call_as(&m);
	if (m.ret == 0) {
		child_begins(&m, parent, flags);
		return 0;
	}
	/* Only to a child that waits for it: another one may be about to make a child of its own, which would read this. */
	if (into_namespace)
		shared->told_tid = (pid_t)m.ret;
	usage_read(&m.after);
	expect_clone_event(&m, (uint32_t)flags);
	return (pid_t)m.ret;
}

static char thread_stack[65536] __attribute__((aligned(16)));
static struct made thread_made;
static void (*thread_run)(void);
static uint64_t thread_flags;
static volatile pid_t thread_id;
static int thread_status;

static void thread_main(void)
{
	static struct self saved;

	saved = self;
	thread_made.order = order_next();
	self.tid = self.vtid = (pid_t)raw_call(SYS_gettid, 0, 0, 0, 0, 0, 0);
	usage_forget();
	usage_read(&thread_made.after);
	thread_made.before.pgft_min = thread_made.before.pgft_maj = 0;
	thread_made.ret = 0;
	expect_clone_event(&thread_made, (uint32_t)thread_flags);
	thread_run();
	exp_i386 = compat_calls;
	exp_open("exit", self.tid, order_next());
	exp_int("status", thread_status);
	exp_close();
	expect_procexit(self.tid, thread_status << 8, 0);
	self = saved;
	if (compat_calls)
		compat_call(1, U(thread_status), 0, 0, 0, 0, 0);
	raw_call(SYS_exit, U(thread_status), 0, 0, 0, 0, 0);
}

/* The new thread takes its function from the stack and never returns. */
static int64_t clone_onto(void *stack)
{
	register uint64_t r10 asm("r10") = U(&thread_id);
	register uint64_t r8 asm("r8") = 0;
	int64_t ret;

	asm volatile("syscall\n\t"
		     "test %%rax, %%rax\n\t"
		     "jnz 1f\n\t"
		     "xor %%ebp, %%ebp\n\t"
		     "pop %%rax\n\t"
		     "and $-16, %%rsp\n\t"
		     "call *%%rax\n\t"
		     "1:"
		     : "=a"(ret)
		     : "0"((long)SYS_clone), "D"(thread_flags), "S"(stack), "d"(0l), "r"(r10), "r"(r8)
		     : "rcx", "r11", "memory");
	return ret;
}

pid_t thread_of(void (*run)(void))
{
	struct made m = {.kind = K_CLONE, .pid = self.vpid, .tid = self.tid};
	void **stack = (void **)(thread_stack + sizeof(thread_stack) - 64);

	*stack = (void *)thread_main;
	thread_run = run;
	thread_id = 1;
	thread_status = thread_status % 200 + 3;
	thread_flags =
		CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM | CLONE_CHILD_CLEARTID;
	usage_read(&m.before);
	m.order = order_next();
	thread_made = m;
	m.ret = clone_onto(stack);
	while (m.ret > 0 && thread_id)
		raw_call(SYS_sched_yield, 0, 0, 0, 0, 0, 0);
	usage_read(&m.after);
	expect_clone_event(&m, (uint32_t)thread_flags);
	return (pid_t)m.ret;
}

/* Nothing of the child may run C, for it has its parent's stack. */
static int64_t vfork_native(int status)
{
	int64_t ret;

	asm volatile("syscall\n\t"
		     "test %%rax, %%rax\n\t"
		     "jnz 1f\n\t"
		     "mov %3, %%eax\n\t"
		     "mov %4, %%edi\n\t"
		     "syscall\n\t"
		     "1:"
		     : "=a"(ret)
		     : "0"((long)SYS_vfork), "D"(0), "i"(SYS_exit_group), "r"(status)
		     : "rcx", "r11", "rsi", "rdx", "memory");
	return ret;
}

static int64_t vfork_i386(int status)
{
	int64_t ret;

	asm volatile("int $0x80\n\t"
		     "test %%eax, %%eax\n\t"
		     "jnz 1f\n\t"
		     "mov $252, %%eax\n\t"
		     "mov %2, %%ebx\n\t"
		     "int $0x80\n\t"
		     "1:"
		     : "=a"(ret)
		     : "0"(190l), "r"(status)
		     : "rbx", "rcx", "rdx", "r8", "r9", "r10", "r11", "memory");
	return (int32_t)ret;
}

/* A child that borrows this process's memory and ends at once. */
pid_t vforked(int status)
{
	struct made m = {.kind = K_VFORK, .pid = self.vpid, .tid = self.tid, .i386 = compat_calls}, child;
	static struct self saved;
	struct usage ended;

	usage_read(&m.before);
	m.order = order_next();
	m.ret = m.i386 ? vfork_i386(status) : vfork_native(status);
	usage_read(&m.after);
	expect_clone_event(&m, 0);
	if (m.ret <= 0)
		return (pid_t)m.ret;
	usage_read_of((pid_t)m.ret, &ended);
	child = m;
	child.ret = 0;
	child.order = order_next();
	child.before.pgft_min = child.before.pgft_maj = 0;
	child.after.pgft_min = ended.pgft_min;
	child.after.pgft_maj = ended.pgft_maj;
	saved = self;
	self.ptid = self.tid;
	self.tid = self.pid = self.vtid = self.vpid = (pid_t)m.ret;
	expect_clone_event(&child, 0);
	expect_exit_group(self.tid, status, m.i386);
	self = saved;
	reap((pid_t)m.ret, 0);
	return (pid_t)m.ret;
}

void expect_exit_group(pid_t tid, int status, bool i386)
{
	exp_i386 = i386;
	exp_open("exit_group", tid, order_next());
	exp_int("status", status);
	exp_close();
}

void finish(int status)
{
	expect_exit_group(self.tid, status, compat_calls);
	if (compat_calls)
		compat_call(252, U(status), 0, 0, 0, 0, 0);
	raw_call(SYS_exit_group, U(status), 0, 0, 0, 0, 0);
	__builtin_unreachable();
}

void expect_procexit(pid_t tid, int status, pid_t reaper)
{
	int sig = status & 0x7f;

	exp_open("procexit", tid, order_next());
	exp_int("status", status);
	exp_int("ret", status >> 8 & 0xff);
	exp_int("sig", sig == 0x7f ? 0 : sig);
	exp_int("core", status & 0x80 ? 1 : 0);
	exp_int("reaper_tid", reaper);
	exp_close();
}

int reap(pid_t pid, pid_t reaper)
{
	int status = -1;

	while (raw_call(SYS_wait4, U(pid), U(&status), 0, 0, 0, 0) == -EINTR)
		continue;
	expect_procexit(pid, status, reaper);
	return status;
}
