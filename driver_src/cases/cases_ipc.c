// SPDX-License-Identifier: GPL-2.0-only OR MIT
/* Cases: signals, futexes, time. */
#include <errno.h>
#include <linux/futex.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "cases.h"

static void kill_cases(void)
{
	must("kill", call2(K_KILL, self.vpid, 0) == 0);
	must("kill", call2(K_KILL, self.vpid, SIGCONT) == 0);
	must("kill", call2(K_KILL, self.vpid, SIGWINCH) == 0);
	must("kill", call2(K_KILL, 0x7ffffff0, SIGTERM) == -ESRCH);
	must("kill", call2(K_KILL, -0x7ffffff0, 0) == -ESRCH);
	must("kill", call2(K_KILL, self.vpid, 400) == -EINVAL);
}

/* A child that a signal ends. */
static void kill_child(void)
{
	pid_t pid = child_of(K_FORK, 0);

	if (pid == 0) {
		/* The call returns, and its event is seen, before the signal is: but no code here runs any more. */
		struct made m = {.kind = K_KILL, .a = {U(self.vpid), SIGKILL}, .pid = self.vpid, .tid = self.tid};

		m.order = order_next();
		describe(&m);
		raw_call(SYS_kill, m.a[0], m.a[1], 0, 0, 0, 0);
		finish(99);
	}
	must("wait", reap(pid, 0) == SIGKILL);
}

static uint32_t word = 5;
static struct timespec moment = {0, 1000000};

static void futex_cases(void)
{
	must("futex", call_all(K_FUTEX, &word, FUTEX_WAKE, 1, NULL, NULL, 0) == 0);
	must("futex", call_all(K_FUTEX, &word, FUTEX_WAIT | FUTEX_PRIVATE_FLAG, 4, NULL, NULL, 0) == -EAGAIN);
	must("futex", call_all(K_FUTEX, &word, FUTEX_WAIT, 5, &moment, NULL, 0) == -ETIMEDOUT);
	must("futex",
	     call_all(K_FUTEX, &word, FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME, 5, &moment, NULL, -1) == -ETIMEDOUT);
	must("futex", call_all(K_FUTEX, &word, FUTEX_WAKE_BITSET, 0xfffffffe, NULL, NULL, 1) == 0);
	must("futex", call_all(K_FUTEX, 1, FUTEX_WAKE, 1, NULL, NULL, 0) == -EINVAL);
	must("futex", call_all(K_FUTEX, NULL, FUTEX_WAIT, 1, NULL, NULL, 0) == -EFAULT);
	must("futex", call_all(K_FUTEX, &word, 99, 0, NULL, NULL, 0) == -ENOSYS);
	must("futex", call_all(K_FUTEX, &word, FUTEX_FD, 0, NULL, NULL, 0) == -ENOSYS);
}

static struct timespec request, rest;

static void nanosleep_cases(void)
{
	request = (struct timespec){0, 2000001};
	must("nanosleep", call2(K_NANOSLEEP, &request, NULL) == 0);
	request = (struct timespec){0, 1000000000};
	must("nanosleep", call2(K_NANOSLEEP, &request, &rest) == -EINVAL);
	request = (struct timespec){-1, 5};
	must("nanosleep", call2(K_NANOSLEEP, &request, NULL) == -EINVAL);
	request = (struct timespec){7, 1000000001};
	must("nanosleep", call2(K_NANOSLEEP, &request, NULL) == -EINVAL);
	must("nanosleep", call2(K_NANOSLEEP, NULL, NULL) == -EFAULT);
	must("nanosleep", call2(K_NANOSLEEP, UNMAPPED, NULL) == -EFAULT);
	must("nanosleep", call2(K_NANOSLEEP, page_end - 7, NULL) == -EFAULT);
}

static void on_alarm(int signal)
{
	(void)signal;
}

/* A sleep that a signal ends: the kernel returns ERESTART_RESTARTBLOCK, which becomes EINTR on the way out. */
static void nanosleep_interrupted(void)
{
	struct made m = {.kind = K_NANOSLEEP, .a = {U(&request), 0}, .pid = self.vpid, .tid = self.tid};
	struct itimerval timer = {{0, 0}, {0, 30000}};
	struct sigaction action;

	memset(&action, 0, sizeof(action));
	action.sa_handler = on_alarm;
	sigaction(SIGALRM, &action, NULL);
	request = (struct timespec){20, 0};
	m.order = order_next();
	raw_call(SYS_setitimer, 0, U(&timer), 0, 0, 0, 0);
	m.ret = raw_call(SYS_nanosleep, U(&request), 0, 0, 0, 0, 0);
	must("nanosleep", m.ret == -EINTR);
	m.ret = -516;
	describe(&m);
}

const struct one_case ipc_cases[] = {
	{"kill", kill_cases},
	{"kill-child", kill_child},
	{"futex", futex_cases},
	{"nanosleep", nanosleep_cases},
	{"nanosleep-interrupted", nanosleep_interrupted},
	{NULL, NULL},
};
