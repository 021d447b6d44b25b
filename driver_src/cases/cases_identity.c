// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Cases: events of a process of which nothing is as it was when the program started: session, terminal, limits, name,
 * folder, ids, capabilities. A driver that writes constants, or reads them from the wrong task, is seen here.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "cases.h"

#define DEEP "/tmp/kd-deep"
#define LEVELS 15 /* below /tmp/kd-deep: one more than is shown */

static char text[4096];

static void deep_folder(void)
{
	call3(K_MKDIRAT, AT_FDCWD, DEEP, 0755);
	must("chdir", call1(K_CHDIR, DEEP) == 0);
	for (int i = 0; i < LEVELS - 1; i++) {
		call3(K_MKDIRAT, AT_FDCWD, "level", 0755);
		must("chdir", call1(K_CHDIR, "level") == 0);
	}
}

static void deep_folder_remove(void)
{
	while (strcmp(self.cwd, DEEP) != 0) {
		call1(K_CHDIR, "..");
		if (call3(K_UNLINKAT, AT_FDCWD, "level", AT_REMOVEDIR) != 0) {
			case_error("%s: cannot be removed", self.cwd);
			return;
		}
	}
	call3(K_UNLINKAT, AT_FDCWD, DEEP, AT_REMOVEDIR);
}

/* The first terminal that a session's leader opens becomes the session's. */
static void own_terminal(void)
{
	static int number, unlocked;
	static char name[32];
	int64_t master;
	const char *at;

	raw_call(SYS_setsid, 0, 0, 0, 0, 0, 0);
	self.pgid = self.vpgid = self.pid;
	master = call4(K_OPENAT, AT_FDCWD, "/dev/ptmx", O_RDWR | O_NOCTTY, 0);
	if (master < 0) {
		case_skip("no pseudo terminals here: the tty parameter is checked with 0 only");
		return;
	}
	call3(K_IOCTL, master, TIOCSPTLCK, &unlocked);
	call3(K_IOCTL, master, TIOCGPTN, &number);
	snprintf(name, sizeof(name), "/dev/pts/%d", number);
	call4(K_OPENAT, AT_FDCWD, name, O_RDWR, 0);
	proc_read("/proc/self/stat", text, sizeof(text));
	at = strrchr(text, ')');
	for (int field = 2; at && field < 7; field++)
		at = strchr(at + 1, ' ');
	self.tty = at ? (uint32_t)strtoul(at, NULL, 10) : 0;
}

static void own_login(void)
{
	int64_t fd = call4(K_OPENAT, AT_FDCWD, "/proc/self/loginuid", O_WRONLY, 0);

	if (fd < 0)
		return;
	call3(K_WRITE, fd, "4321", 4);
	call1(K_CLOSE, fd);
	proc_read("/proc/self/loginuid", text, sizeof(text));
	self.loginuid = (uint32_t)strtoul(text, NULL, 10);
}

static void own_capabilities(void)
{
	struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct sets[2];

	raw_call(SYS_capget, U(&header), U(sets), 0, 0, 0, 0);
	sets[0].inheritable = 1u << CAP_CHOWN | 1u << CAP_KILL;
	/* Above bit 31. */
	sets[1].inheritable = sets[1].permitted & 1u << (CAP_SYSLOG - 32);
	sets[0].effective &= ~(1u << CAP_MKNOD);
	sets[0].permitted &= ~(1u << CAP_MKNOD);
	must("capset", raw_call(SYS_capset, U(&header), U(sets), 0, 0, 0, 0) == 0);
}

static void in_thread(void)
{
	must("execveat", gives(K_EXECVEAT, call5(K_EXECVEAT, -1, "of a thread", NULL, NULL, 0), -EBADF));
}

static void child_ends(pid_t pid)
{
	if (pid == 0)
		finish(0);
	must("wait", reap(pid, 0) == 0);
}

static void every_clone(void)
{
	pid_t pid;

	child_ends(child_of(K_FORK, 0));
	child_ends(child_of(K_CLONE, CLONE_FILES));
	pid = child_of(K_CLONE3, CLONE_FS);
	if (kernel_has(K_CLONE3))
		child_ends(pid);
	must("vfork", vforked(8) > 0);
	must("thread", thread_of(in_thread) > 0);
}

static void every_exec_failure(void)
{
	static char *argv[] = {"changed", "one", NULL}, *envp[] = {"CHANGED=yes", NULL};

	must("execve", call3(K_EXECVE, "nonexistent", argv, envp) == -ENOENT);
	must("execveat", gives(K_EXECVEAT, call5(K_EXECVEAT, AT_FDCWD, "nonexistent", argv, envp, 0), -ENOENT));
}

static void changed(void)
{
	struct rlimit files = {777, 1000};

	own_terminal();
	own_login();
	own_capabilities();
	raw_call(SYS_prlimit64, 0, RLIMIT_NOFILE, U(&files), 0, 0, 0);
	self.fdlimit = files.rlim_cur;
	call2(K_PRCTL, PR_SET_NAME, "a name of fifteen and more");
	strcpy(self.comm, "a name of fifte");
	must("mmap", call_all(K_MMAP, NULL, 3 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE,
			      -1, 0) > 0);
	raw_call(SYS_setresgid, 101, 202, 101, 0, 0, 0);
	self.gid = 202;
	deep_folder();
	every_exec_failure();
	every_clone();
	exec_image_of_self();
	/* One folder deeper than is shown. */
	call3(K_MKDIRAT, AT_FDCWD, "level", 0755);
	call1(K_CHDIR, "level");
	every_exec_failure();
	child_ends(child_of(K_FORK, 0));
	deep_folder_remove();
	call1(K_CHDIR, "/");
	/* An effective user of its own loses the effective capabilities. */
	raw_call(SYS_setresuid, 0, 303, 0, 0, 0, 0);
	self.uid = 303;
	self.exe_flags = 0;
	every_exec_failure();
	every_clone();
}

static void identity(void)
{
	pid_t pid = child_of(K_FORK, 0);

	if (pid == 0) {
		changed();
		finish(0);
	}
	must("wait", reap(pid, 0) == 0);
}

const struct one_case identity_cases[] = {
	{"identity", identity},
	{NULL, NULL},
};
