// SPDX-License-Identifier: GPL-2.0-only OR MIT
/* Cases: making processes and threads, and how they end. */
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "cases.h"

static void fork_success(void)
{
	pid_t pid = child_of(K_FORK, 0);

	if (pid == 0)
		finish(42);
	must("wait", reap(pid, 0) == 42 << 8);
}

static void vfork_success(void)
{
	must("vfork", vforked(7) > 0);
}

static void clone_success(void)
{
	pid_t pid = child_of(K_CLONE, CLONE_FS | CLONE_FILES | CLONE_IO | CLONE_SYSVSEM | CLONE_UNTRACED);

	if (pid == 0)
		finish(255);
	must("wait", reap(pid, 0) == 255 << 8);
}

static void clone3_success(void)
{
	pid_t pid = child_of(K_CLONE3, CLONE_FS | CLONE_FILES);

	if (pid == 0)
		finish(1);
	if (pid == -ENOSYS)
		case_skip("no clone3 in this kernel");
	else
		must("wait", reap(pid, 0) == 1 << 8);
}

static void clone_new_pid_namespace(void)
{
	pid_t pid = child_of(K_CLONE, CLONE_NEWPID);

	if (pid == 0) {
		call2(K_KILL, self.vpid, 0);
		finish(0);
	}
	if (pid < 0)
		case_skip("a new pid namespace is not allowed here");
	else
		must("wait", reap(pid, 0) == 0);
}

/* Children of this process get a pid namespace of their own; it itself stays. */
static void unshared_pid_namespace(void)
{
	pid_t pid = child_of(K_FORK, 0);

	if (pid == 0) {
		if (raw_call(SYS_unshare, CLONE_NEWPID, 0, 0, 0, 0, 0) != 0) {
			case_skip("a new pid namespace is not allowed here");
			finish(0);
		}
		self.in_pid_namespace = true;
		pid = child_of(K_FORK, 0);
		if (pid == 0)
			finish(0);
		must("wait", reap(pid, 0) == 0);
		/* The namespace ended with its first process. */
		must("fork", call0(K_FORK) < 0);
		must("vfork", call0(K_VFORK) < 0);
		finish(0);
	}
	must("wait", reap(pid, 0) == 0);
}

static void in_thread(void)
{
	call1(K_CLOSE, -33);
}

static void clone_thread(void)
{
	must("clone", thread_of(in_thread) > 0);
}

static struct clone_args arguments;

static void clone_failure(void)
{
	must("clone", call5(K_CLONE, CLONE_THREAD, 0, NULL, NULL, 0) == -EINVAL);
	must("clone", call5(K_CLONE, CLONE_NEWNS | CLONE_FS | SIGCHLD, 0, NULL, NULL, 0) == -EINVAL);
	/* All portable bits at once; refused for the ones that exclude each other. */
	must("clone", call5(K_CLONE, 0xffffff00u, 0, NULL, NULL, 0) < 0);
	arguments.flags = CLONE_SIGHAND;
	must("clone3", call2(K_CLONE3, &arguments, sizeof(arguments)) < 0);
	must("clone3", call2(K_CLONE3, NULL, sizeof(arguments)) < 0);
	must("clone3", call2(K_CLONE3, UNMAPPED, sizeof(arguments)) < 0);
	must("clone3", call2(K_CLONE3, &arguments, 3) < 0);
}

/* One process at most for an ordinary user. */
static void fork_failure(void)
{
	struct rlimit none = {0, 0};
	pid_t pid = child_of(K_FORK, 0);

	if (pid == 0) {
		raw_call(SYS_setresgid, 54321, 54321, 54321, 0, 0, 0);
		raw_call(SYS_setresuid, 12345, 12345, 12345, 0, 0, 0);
		/* After the change of user: one that exceeds the limit makes execve fail until 5.16. */
		raw_call(SYS_prlimit64, 0, RLIMIT_NPROC, U(&none), 0, 0, 0);
		self.uid = 12345;
		self.gid = 54321;
		must("fork", call0(K_FORK) == -EAGAIN);
		must("vfork", call0(K_VFORK) == -EAGAIN);
		must("clone", call5(K_CLONE, SIGCHLD, 0, NULL, NULL, 0) == -EAGAIN);
		/* Written by root, not by this user; without capabilities. */
		self.exe_flags = 0;
		must("execve", call3(K_EXECVE, "/nonexistent/user", NULL, NULL) == -ENOENT);
		finish(0);
	}
	must("wait", reap(pid, 0) == 0);
}

/* A parent that ends leaves its child to the nearest subreaper: this process. */
static void orphan(void)
{
	static int ends[2];
	pid_t pid;

	call2(K_PRCTL, PR_SET_CHILD_SUBREAPER, 1);
	call2(K_PIPE2, ends, 0);
	shared->step = 0;
	pid = child_of(K_FORK, 0);
	if (pid == 0) {
		pid = child_of(K_FORK, 0);
		if (pid == 0) {
			char byte;

			/* Its first event names the parent: that must still be there. Then until it is gone. */
			shared->step = 1;
			call1(K_CLOSE, ends[1]);
			call3(K_READ, ends[0], &byte, 1);
			finish(5);
		}
		while (shared->step != 1)
			raw_call(SYS_sched_yield, 0, 0, 0, 0, 0, 0);
		shared->step = pid;
		finish(6);
	}
	must("wait", reap(pid, self.tid) == 6 << 8);
	call1(K_CLOSE, ends[1]);
	must("wait", reap(shared->step, 0) == 5 << 8);
}

/* Ended by a signal, without a core file. */
static void exit_by_signal(void)
{
	pid_t pid = child_of(K_FORK, 0);

	if (pid == 0) {
		struct rlimit none = {0, 0};

		raw_call(SYS_prlimit64, 0, RLIMIT_CORE, U(&none), 0, 0, 0);
		asm volatile("movl $1, (%0)" : : "r"(UNMAPPED) : "memory");
		finish(99);
	}
	must("wait", (reap(pid, 0) & 0x7f) == SIGSEGV);
}

/* With one, where the kernel writes it: the wait status says whether it did. */
static void exit_with_core(void)
{
	static char name[64];
	pid_t pid;

	call3(K_MKDIRAT, AT_FDCWD, "/tmp/kd-cases-core", 0755);
	call1(K_CHDIR, "/tmp/kd-cases-core");
	pid = child_of(K_FORK, 0);
	if (pid == 0) {
		struct rlimit much = {1 << 24, 1 << 24};

		raw_call(SYS_prlimit64, 0, RLIMIT_CORE, U(&much), 0, 0, 0);
		asm volatile("movl $1, (%0)" : : "r"(UNMAPPED) : "memory");
		finish(99);
	}
	must("wait", (reap(pid, 0) & 0x7f) == SIGSEGV);
	raw_call(SYS_unlink, U("core"), 0, 0, 0, 0, 0);
	snprintf(name, sizeof(name), "core.%d", pid);
	raw_call(SYS_unlink, U(name), 0, 0, 0, 0, 0);
	call3(K_UNLINKAT, AT_FDCWD, "/tmp/kd-cases-core", AT_REMOVEDIR);
}

const struct one_case process_cases[] = {
	{"fork-success", fork_success},
	{"vfork-success", vfork_success},
	{"clone-success", clone_success},
	{"clone3-success", clone3_success},
	{"clone-new-pid-namespace", clone_new_pid_namespace},
	{"fork-unshared-pid-namespace", unshared_pid_namespace},
	{"clone-thread", clone_thread},
	{"clone-failure", clone_failure},
	{"fork-failure", fork_failure},
	{"procexit-orphan", orphan},
	{"procexit-signal", exit_by_signal},
	{"procexit-core", exit_with_core},
	{NULL, NULL},
};
