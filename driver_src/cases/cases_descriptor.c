// SPDX-License-Identifier: GPL-2.0-only OR MIT
/* Cases: calls that make descriptors, or do something to one. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>

#include "cases.h"

#define FILE_PATH "/tmp/kd-descriptor"

static char buffer[4096];
static struct stat found;
static uint64_t set;

static void on_descriptor(void)
{
	int64_t fd = call2(K_CREAT, FILE_PATH, 0600);
	int64_t folder = call3(K_OPEN, "/tmp", O_RDONLY | O_DIRECTORY, 0);

	must("fchmod", call2(K_FCHMOD, fd, 0171234) == 0);
	must("fchmod", call2(K_FCHMOD, -1, 0644) == -EBADF);
	must("fchown", call3(K_FCHOWN, fd, 3, 4) == 0);
	must("fchown", call3(K_FCHOWN, 999, -1, 0x80000000ul) == -EBADF);
	must("fstat", call2(K_FSTAT, fd, &found) == 0);
	must("fstat", call2(K_FSTAT, fd, UNMAPPED) == -EFAULT);
	must("fstat", call2(K_FSTAT, -1, &found) == -EBADF);
	must("flock", call2(K_FLOCK, fd, LOCK_EX | LOCK_NB) == 0);
	must("flock", call2(K_FLOCK, fd, LOCK_UN) == 0);
	must("flock", call2(K_FLOCK, -1, LOCK_SH | 0xff00) < 0);
	must("lseek", call3(K_LSEEK, fd, 100, SEEK_SET) == 100);
	must("lseek", call3(K_LSEEK, fd, -3, SEEK_CUR) == 97);
	must("lseek", call3(K_LSEEK, fd, 0x123456789ul, SEEK_END) == 0x123456789);
	must("lseek", call3(K_LSEEK, fd, 0, 77) == -EINVAL);
	must("lseek", call3(K_LSEEK, -1, 0, SEEK_SET) == -EBADF);
	must("getdents", call3(K_GETDENTS, folder, buffer, sizeof(buffer)) > 0);
	must("getdents", call3(K_GETDENTS, fd, buffer, sizeof(buffer)) < 0);
	must("getdents64", call3(K_GETDENTS64, folder, buffer, sizeof(buffer)) >= 0);
	must("getdents64", call3(K_GETDENTS64, -1, buffer, sizeof(buffer)) == -EBADF);
	must("fchdir", call1(K_FCHDIR, fd) == -ENOTDIR);
	must("fchdir", call1(K_FCHDIR, folder) == 0);
	call1(K_CLOSE, folder);
	call1(K_CLOSE, fd);
	call1(K_UNLINK, FILE_PATH);
}

/* With no descriptor left to give. */
static void none_left(void)
{
	struct rlimit none = {0, 1024};
	static int ends[2];

	raw_call(SYS_prlimit64, 0, RLIMIT_NOFILE, U(&none), 0, 0, 0);
	must("eventfd", call1(K_EVENTFD, 7) == -EMFILE);
	must("inotify_init", call0(K_INOTIFY_INIT) == -EMFILE);
	must("pipe", call1(K_PIPE, ends) == -EMFILE);
	must("memfd_create", call2(K_MEMFD_CREATE, string_at_page_end("m"), 0) == -EMFILE);
}

static void makers(void)
{
	static int ends[2];

	must("eventfd", call1(K_EVENTFD, 0x100000005ul) >= 0);
	must("eventfd2", call2(K_EVENTFD2, 4000000000u, O_CLOEXEC | O_NONBLOCK | 1) >= 0);
	must("eventfd2", call2(K_EVENTFD2, 1, 0) >= 0);
	must("eventfd2", call2(K_EVENTFD2, 0, -1) == -EINVAL);
	must("inotify_init", call0(K_INOTIFY_INIT) >= 0);
	must("inotify_init1", call1(K_INOTIFY_INIT1, O_CLOEXEC) >= 0);
	must("inotify_init1", call1(K_INOTIFY_INIT1, O_NONBLOCK | 1) == -EINVAL);
	must("epoll_create", call1(K_EPOLL_CREATE, 8) >= 0);
	must("epoll_create", call1(K_EPOLL_CREATE, -1) == -EINVAL);
	must("epoll_create1", call1(K_EPOLL_CREATE1, O_CLOEXEC) >= 0);
	must("epoll_create1", call1(K_EPOLL_CREATE1, 1) == -EINVAL);
	must("timerfd_create", call2(K_TIMERFD_CREATE, CLOCK_MONOTONIC, O_CLOEXEC) >= 0);
	must("timerfd_create", call2(K_TIMERFD_CREATE, 0x177, 0) == -EINVAL);
	must("pipe", call1(K_PIPE, ends) == 0);
	must("pipe", call1(K_PIPE, NULL) == -EFAULT);
	must("pipe", call1(K_PIPE, page_end - 3) == -EFAULT);
	must("memfd_create", call2(K_MEMFD_CREATE, "kd", 3) >= 0);
	must("memfd_create", call2(K_MEMFD_CREATE, "kd", 0xffff) == -EINVAL);
	must("memfd_create", call2(K_MEMFD_CREATE, NULL, 0) == -EFAULT);
	must("memfd_create", call2(K_MEMFD_CREATE, string_over_page_end("m"), 1) == -EFAULT);
	none_left();
}

static void signalfd_cases(void)
{
	int64_t fd;

	if (compat_calls && !compat_has_room) {
		case_skip(
			"a 64-bit program's i386 call has no room for this kernel's copy of the signals (before 4.16)");
		return;
	}
	set = 0x123400000200ul;
	fd = call3(K_SIGNALFD, -1, &set, 8);
	must("signalfd", fd >= 0);
	set = 0x10;
	must("signalfd", call3(K_SIGNALFD, fd, &set, 8) == fd);
	must("signalfd", call3(K_SIGNALFD, fd, NULL, 8) < 0);
	must("signalfd", call3(K_SIGNALFD, 0x7fffffff, page_end - 2, 8) < 0);
	must("signalfd4", call4(K_SIGNALFD4, -1, &set, 8, O_CLOEXEC | O_NONBLOCK) >= 0);
	must("signalfd4", call4(K_SIGNALFD4, fd, UNMAPPED, 8, 0) < 0);
	must("signalfd4", call4(K_SIGNALFD4, 0, &set, 8, 1) == -EINVAL);
}

static void userfaultfd_cases(void)
{
	int64_t fd = call1(K_USERFAULTFD, O_CLOEXEC | O_NONBLOCK);

	if (fd == -ENOSYS || fd == -EPERM)
		case_skip("userfaultfd is not allowed here");
	must("userfaultfd", call1(K_USERFAULTFD, 2) < 0);
}

static void close_range_cases(void)
{
	if (call3(K_CLOSE_RANGE, 200, 300, 0) == -ENOSYS) {
		case_skip("no close_range in this kernel");
		return;
	}
	must("close_range", call3(K_CLOSE_RANGE, 200, 0xfffffffful, 4) <= 0);
	must("close_range", call3(K_CLOSE_RANGE, 0x100000100ul, 300, 2) == 0);
	must("close_range", call3(K_CLOSE_RANGE, 5, 4, -1) == -EINVAL);
}

static void socketpair_cases(void)
{
	static int ends[2];

	must("socketpair", call4(K_SOCKETPAIR, AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
	must("socketpair", call4(K_SOCKETPAIR, AF_UNIX, SOCK_DGRAM, 0, ends) == 0);
	must("socketpair", call4(K_SOCKETPAIR, AF_INET, SOCK_STREAM, 6, ends) == -EOPNOTSUPP);
	must("socketpair", call4(K_SOCKETPAIR, AF_UNIX, SOCK_STREAM, 0, NULL) == -EFAULT);
	must("socketpair", call4(K_SOCKETPAIR, 9999, 77, 0xffff, UNMAPPED) < 0);
}

/* Events without a parameter. */
static void socket_names(void)
{
	static uint32_t length = sizeof(buffer);
	int64_t fd = call3(K_SOCKET, AF_UNIX, SOCK_STREAM, 0);

	must("getsockname", call3(K_GETSOCKNAME, fd, buffer, &length) == 0);
	must("getsockname", call3(K_GETSOCKNAME, -1, NULL, NULL) == -EBADF);
	must("getpeername", call3(K_GETPEERNAME, fd, buffer, &length) == -ENOTCONN);
	must("getpeername", call3(K_GETPEERNAME, -1, UNMAPPED, NULL) == -EBADF);
}

static void waits(void)
{
	static struct pollfd entries[2];
	static struct timespec moment = {0, 1000000};
	static uint64_t no_time[2];

	if (compat_calls) {
		/* The older of its two calls takes its arguments in a structure. */
		static uint32_t arguments[5];

		arguments[4] = (uint32_t)U(no_time);
		compat_as_given = true;
		must("select", call1(K_SELECT, arguments) == 0);
		must("select", call1(K_SELECT, NULL) == -EFAULT);
		compat_as_given = false;
	}
	must("select", call5(K_SELECT, 0, NULL, NULL, NULL, no_time) == 0);
	must("select", call5(K_SELECT, -1, NULL, NULL, NULL, no_time) == -EINVAL);
	entries[0] = (struct pollfd){0, POLLIN | POLLOUT, 0};
	entries[1] = (struct pollfd){-1, POLLIN, 0};
	set = 0x80000000001ul;
	must("ppoll", call5(K_PPOLL, entries, 2, &moment, &set, 8) >= 0);
	set = 0x2000;
	moment.tv_nsec = 5;
	must("ppoll", call5(K_PPOLL, NULL, 0, &moment, &set, 8) == 0);
	must("ppoll", call5(K_PPOLL, UNMAPPED, 1, NULL, NULL, 8) < 0);
	must("ppoll", call5(K_PPOLL, entries, 1, UNMAPPED, page_end - 2, 8) < 0);
	must("ppoll", call5(K_PPOLL, entries, 1, page_end - 8, &set, 77) < 0);
}

const struct one_case descriptor_cases[] = {
	{"on-descriptor", on_descriptor},
	{"descriptor-makers", makers},
	{"signalfd", signalfd_cases},
	{"userfaultfd", userfaultfd_cases},
	{"close-range", close_range_cases},
	{"socketpair", socketpair_cases},
	{"socket-names", socket_names},
	{"select-ppoll", waits},
	{NULL, NULL},
};
