// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Children with a time limit. The wait is one sigtimedwait: while the cases run, process 1 makes no calls that would
 * show up among their events.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "guest.h"

/* Children that ended while process 1 waited for another one. */
static struct ended {
	pid_t pid;
	int status;
} ended_children[64];
static unsigned int n_ended;

static void default_signals(void)
{
	sigset_t none;

	signal(SIGPIPE, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

pid_t child_start(const struct child *child)
{
	static const char *const environment[] = {"PATH=/bin", "HOME=/", "KD_GUEST=1", NULL};
	pid_t pid = fork();

	if (pid != 0)
		return pid;
	setsid();
	if (child->in_cgroups)
		system_join_cgroups();
	dup2(child->in >= 0 ? child->in : open("/dev/null", O_RDONLY), 0);
	dup2(child->out >= 0 ? child->out : open("/dev/null", O_WRONLY), 1);
	dup2(child->err >= 0 ? child->err : open("/dev/null", O_WRONLY), 2);
	default_signals();
	execve(child->argv[0], (char *const *)child->argv, (char *const *)environment);
	_exit(127);
}

/* Runs a function in a child of its own; the function's result is the exit status. */
pid_t child_call(int (*run)(void *), void *context)
{
	pid_t pid = fork();

	if (pid != 0)
		return pid;
	setsid();
	default_signals();
	_exit(run(context));
}

/* Reaps whatever ended, orphans of the children too. */
static void reap(void)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		struct ended *ended = &ended_children[n_ended++ % 64];

		ended->pid = pid;
		ended->status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	}
}

/* Whether a child ended; its status then. Says so once. */
bool child_ended(pid_t pid, int *status)
{
	reap();
	for (int i = 0; i < 64; i++) {
		if (ended_children[i].pid != pid)
			continue;
		*status = ended_children[i].status;
		ended_children[i].pid = 0;
		return true;
	}
	return false;
}

void child_stop(pid_t pid)
{
	int status;

	if (pid <= 0)
		return;
	kill(-pid, SIGKILL);
	kill(pid, SIGKILL);
	/* A child that hangs in the kernel does not die: process 1 must not hang with it. */
	for (int i = 0; i < 50 && !child_ended(pid, &status); i++)
		nap_ms(20);
}

/* The exit status, 128 + signal, or KD_TIMED_OUT after which the child's whole group was killed. */
int child_wait(pid_t pid, long limit_ms)
{
	long until = now_ms() + limit_ms;
	int status;

	for (;;) {
		struct timespec left;
		sigset_t set;
		long ms;

		if (child_ended(pid, &status))
			return status;
		ms = until - now_ms();
		if (ms <= 0) {
			if (limit_ms > 0)
				system_show_tasks();
			child_stop(pid);
			return KD_TIMED_OUT;
		}
		left.tv_sec = ms / 1000;
		left.tv_nsec = (ms % 1000) * 1000000;
		sigemptyset(&set);
		sigaddset(&set, SIGCHLD);
		sigtimedwait(&set, NULL, &left);
	}
}

/* The last bytes of a text file, from the start of a line on; empty where there is none. */
void file_tail(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	off_t end, from;
	ssize_t n;
	char *line;

	text[0] = 0;
	if (fd < 0)
		return;
	end = lseek(fd, 0, SEEK_END);
	from = end > (off_t)size - 1 ? end - (off_t)size + 1 : 0;
	n = pread(fd, text, size - 1, from);
	close(fd);
	text[n > 0 ? n : 0] = 0;
	line = from > 0 ? strchr(text, '\n') : NULL;
	if (line)
		memmove(text, line + 1, strlen(line + 1) + 1);
}
