// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * A prompt on the console for a developer, in place of the drivers' lives: everything of the guest is there, and the
 * drivers are files that nobody loaded yet.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest.h"

#define CONSOLE "/dev/ttyS0"

static const char greeting[] = "\nkdriver's guest. Drivers are in /drivers; try\n"
			       "    insmod /drivers/kdriver.ko; kd-capture --driver kmod:kdriver --duration 3\n"
			       "    kd-capture --driver /drivers/kdriver.core.o --duration 3\n"
			       "    kd-cases --list; exit ends the guest.\n\n";

static int shell_in_child(void *context)
{
	/* The applets get names of their own, so that the shell finds them. */
	static const char commands[] = "/bin/busybox --install -s /bin; cd /; exec sh -i";
	int fd;

	setsid();
	fd = open(CONSOLE, O_RDWR);
	if (fd < 0)
		return errno;
	ioctl(fd, TIOCSCTTY, 1);
	for (int to = 0; to < 3; to++)
		dup2(fd, to);
	setenv("PATH", "/bin", 1);
	setenv("HOME", "/", 1);
	setenv("PS1", "guest# ", 1);
	fputs(greeting, stdout);
	fflush(stdout);
	execl(context, "sh", "-c", commands, (char *)NULL);
	return errno;
}

/* Until the shell ends; its status. */
int shell_run(const char *path)
{
	pid_t pid = child_call(shell_in_child, (void *)path);
	int status;

	while (!child_ended(pid, &status))
		nap_ms(50);
	return status;
}
