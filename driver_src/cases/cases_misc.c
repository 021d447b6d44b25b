// SPDX-License-Identifier: GPL-2.0-only OR MIT
/* Cases: prctl, ptrace, the scheduler. */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "cases.h"

static char name[32];
static int flag;

static void prctl_cases(void)
{
	must("prctl", call2(K_PRCTL, PR_SET_NAME, "kd-renamed") == 0);
	strcpy(self.comm, "kd-renamed");
	must("prctl", call2(K_PRCTL, PR_GET_NAME, name) == 0);
	must("prctl", call2(K_PRCTL, PR_SET_CHILD_SUBREAPER, 1) == 0);
	must("prctl", call2(K_PRCTL, PR_GET_CHILD_SUBREAPER, &flag) == 0);
	must("prctl", call1(K_PRCTL, PR_GET_DUMPABLE) >= 0);
	must("prctl", call2(K_PRCTL, PR_SET_NAME, NULL) == -EFAULT);
	must("prctl", call2(K_PRCTL, PR_SET_NAME, string_over_page_end("nameover")) == -EFAULT);
	must("prctl", call2(K_PRCTL, PR_GET_NAME, UNMAPPED) == -EFAULT);
	must("prctl", call2(K_PRCTL, PR_GET_CHILD_SUBREAPER, NULL) == -EFAULT);
	must("prctl", call2(K_PRCTL, 0x7fffffff, -1l) == -EINVAL);
	/* The name is of this process's events too. */
	must("execve", call3(K_EXECVE, "/nonexistent/renamed", NULL, NULL) == -ENOENT);
}

static void ptrace_failure(void)
{
	must("ptrace", call4(K_PTRACE, PTRACE_ATTACH, 0x7ffffff0, 1, 2) == -ESRCH);
	must("ptrace", call4(K_PTRACE, PTRACE_PEEKDATA, 0x7ffffff0, &flag, &flag) == -ESRCH);
	must("ptrace", call4(K_PTRACE, PTRACE_CONT, 0x7ffffff0, 0, SIGTERM) == -ESRCH);
	must("ptrace", call4(K_PTRACE, PTRACE_SEIZE, 0x7ffffff0, 0, 0) == -ESRCH);
	must("ptrace", call4(K_PTRACE, 0x4242, 0x7ffffff0, 9, 9) == -ESRCH);
}

static uint64_t word, traced_word = 0x1122334455667788u;

static void wait_stopped(pid_t pid)
{
	int status = 0;

	raw_call(SYS_wait4, U(pid), U(&status), WUNTRACED, 0, 0, 0);
	must("wait", WIFSTOPPED(status));
}

static void ptrace_success(void)
{
	pid_t pid = child_of(K_FORK, 0);

	if (pid == 0) {
		must("ptrace", call4(K_PTRACE, PTRACE_TRACEME, 0, 3, 4) == 0);
		call2(K_KILL, self.vpid, SIGSTOP);
		call2(K_KILL, self.vpid, SIGSTOP);
		finish(0);
	}
	wait_stopped(pid);
	word = 0;
	must("ptrace", call4(K_PTRACE, PTRACE_PEEKDATA, pid, &traced_word, &word) == 0);
	must("ptrace peeked", word == (compat_calls ? (uint32_t)traced_word : traced_word));
	must("ptrace", call4(K_PTRACE, PTRACE_PEEKUSER, pid, 0, &word) == 0);
	must("ptrace", call4(K_PTRACE, PTRACE_POKEDATA, pid, &traced_word, 0x99) == 0);
	must("ptrace", call4(K_PTRACE, PTRACE_SETOPTIONS, pid, 0, 0) == 0);
	must("ptrace", call4(K_PTRACE, PTRACE_CONT, pid, 1, 0) == 0);
	wait_stopped(pid);
	must("ptrace", call4(K_PTRACE, PTRACE_PEEKDATA, pid, &traced_word, NULL) == -EFAULT);
	must("ptrace", call4(K_PTRACE, PTRACE_DETACH, pid, 0, 0) == 0);
	/* Detached while stopped with no signal to deliver: it runs on. */
	must("wait", reap(pid, 0) == 0);
}

static bool pin_to_one_cpu(void)
{
	struct sched_param priority = {60};
	uint64_t cpus[128];
	int64_t bytes = raw_call(SYS_sched_getaffinity, 0, sizeof(cpus), U(cpus), 0, 0, 0);
	bool pinned = false;

	if (bytes <= 0)
		return false;
	memset((char *)cpus + bytes, 0, sizeof(cpus) - (size_t)bytes);
	for (size_t i = 0; i < ARRAY_SIZE(cpus); i++) {
		cpus[i] = pinned ? 0 : cpus[i] & -cpus[i];
		pinned = pinned || cpus[i];
	}
	raw_call(SYS_sched_setaffinity, 0, sizeof(cpus), U(cpus), 0, 0, 0);
	return raw_call(SYS_sched_setscheduler, 0, SCHED_FIFO, U(&priority), 0, 0, 0) == 0;
}

/* Two tasks of one real-time priority on one CPU: when the first blocks, the second is next. Further switches of the
 * first may be seen at any time; that one must. */
static void switch_to_child(bool fifo)
{
	struct usage before, after;
	pid_t pid;
	int status = 0;

	usage_read(&before);
	pid = child_of(K_FORK, 0);
	if (pid == 0)
		finish(0);
	while (raw_call(SYS_wait4, U(pid), U(&status), 0, 0, 0, 0) == -EINTR)
		continue;
	usage_read(&after);
	exp_open("switch", self.tid, order_next());
	if (fifo)
		exp_int("next", pid);
	else
		exp_unchecked("next", "no real-time priority here: any task may be next");
	exp_usage(&before, &after);
	exp_close();
	expect_procexit(pid, status, 0);
}

static void switch_case(void)
{
	bool fifo = pin_to_one_cpu();

	switch_to_child(fifo);
	call_all(K_MMAP, NULL, 4 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	switch_to_child(fifo);
}

const struct one_case misc_cases[] = {
	{"prctl", prctl_cases},
	{"ptrace-failure", ptrace_failure},
	{"ptrace-success", ptrace_success},
	{"switch", switch_case},
	{NULL, NULL},
};
