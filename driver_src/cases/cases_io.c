// SPDX-License-Identifier: GPL-2.0-only OR MIT
/* Cases: descriptors and their data. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "cases.h"

#define FILE_PATH "/tmp/kd-cases-io"

static char text[20000]; /* longer than any capture length */
static char got[20000];

static void fill(void)
{
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (char)(i * 7 + i / 256);
	memset(got, 0, sizeof(got));
}

static int scratch_file(void)
{
	fill();
	file_was_created = true;
	return (int)call4(K_OPENAT, AT_FDCWD, FILE_PATH, O_RDWR | O_CREAT | O_EXCL, 0600);
}

static void scratch_end(int fd)
{
	call1(K_CLOSE, fd);
	call3(K_UNLINKAT, AT_FDCWD, FILE_PATH, 0);
}

static void write_success(void)
{
	int fd = scratch_file();

	must("write", call3(K_WRITE, fd, text, 10) == 10);
	must("write", call3(K_WRITE, fd, text, snaplen) == snaplen);
	must("write", call3(K_WRITE, fd, text, snaplen + 1) == snaplen + 1);
	must("write", call3(K_WRITE, fd, text, sizeof(text)) == sizeof(text));
	must("write", call3(K_WRITE, fd, text, 0) == 0);
	/* Up to the last readable byte. */
	must("write", call3(K_WRITE, fd, page_end - 19, 20) == 20);
	scratch_end(fd);
}

static void write_failure(void)
{
	int fd = scratch_file();

	must("write", call3(K_WRITE, -1, text, 30) == -EBADF);
	must("write", call3(K_WRITE, -1, text, sizeof(text)) == -EBADF);
	must("write", call3(K_WRITE, fd, NULL, 30) == -EFAULT);
	must("write", call3(K_WRITE, fd, UNMAPPED, 30) == -EFAULT);
	must("write", call3(K_WRITE, -1, KERNEL_ADDRESS, 30) == -EBADF);
	/* The buffer ends before its length does, within the capture length: nothing of it is shown. */
	must("write", call3(K_WRITE, -1, page_end - 9, 20) == -EBADF);
	must("write", call3(K_WRITE, -1, text, 0) == -EBADF);
	must("write", call3(K_WRITE, -1, text, 0x100000005ul) == -EBADF);
	scratch_end(fd);
}

static void read_cases(void)
{
	int fd = scratch_file();
	int again;

	call3(K_WRITE, fd, text, 5000);
	again = (int)call4(K_OPENAT, AT_FDCWD, FILE_PATH, O_RDONLY, 0);
	must("read", call3(K_READ, again, got, 10) == 10);
	must("read", call3(K_READ, again, got, 1000) == 1000);
	must("read", call3(K_READ, again, got, sizeof(got)) == 3990);
	must("read at end", call3(K_READ, again, got, 10) == 0);
	must("read", call3(K_READ, fd, got, 0) == 0);
	must("read", call3(K_READ, -1, got, 10) == -EBADF);
	must("read", call3(K_READ, 999, NULL, 0xfffffffful) == -EBADF);
	call1(K_CLOSE, again);
	scratch_end(fd);
	again = (int)call4(K_OPENAT, AT_FDCWD, "/tmp", O_RDONLY | O_DIRECTORY, 0);
	must("read folder", call3(K_READ, again, got, 10) == -EISDIR);
	call1(K_CLOSE, again);
}

static void pwrite_cases(void)
{
	int fd = scratch_file();

	must("pwrite", call4(K_PWRITE, fd, text, 100, 5) == 100);
	must("pwrite", call4(K_PWRITE, fd, text, 100, -1) == -EINVAL);
	must("pwrite", call4(K_PWRITE, -1, text, 3, 0x123456789abcul) == -EBADF);
	must("pwrite", call4(K_PWRITE, fd, NULL, 3, 0) == -EFAULT);
	must("pwrite", call4(K_PWRITE, fd, UNMAPPED, 3, 0) == -EFAULT);
	must("pread", call4(K_PREAD, fd, got, 50, 5) == 50);
	must("pread", call4(K_PREAD, fd, got, sizeof(got), 1) == 104);
	must("pread at end", call4(K_PREAD, fd, got, 50, 0x7fffffffful) == 0);
	must("pread", call4(K_PREAD, fd, got, 50, -1) == -EINVAL);
	must("pread", call4(K_PREAD, -1, NULL, 50, 0) == -EBADF);
	scratch_end(fd);
}

static struct iovec parts[20];

static void parts_of(char *base, size_t each, int n)
{
	for (int i = 0; i < 20; i++)
		parts[i] = (struct iovec){i < n ? base + (size_t)i * each : NULL, i < n ? each : 0};
}

static void writev_cases(void)
{
	int fd = scratch_file();

	parts_of(text, 7, 3);
	must("writev", call3(K_WRITEV, fd, parts, 3) == 21);
	parts_of(text, 50, 4);
	must("writev", call3(K_WRITEV, fd, parts, 4) == 200);
	/* More segments than are looked at. */
	parts_of(text, 3, 20);
	must("writev", call3(K_WRITEV, fd, parts, 20) == 60);
	/* An empty segment in between. */
	parts_of(text, 9, 3);
	parts[1].iov_len = 0;
	must("writev", call3(K_WRITEV, fd, parts, 3) == 18);
	must("writev", call3(K_WRITEV, fd, parts, 0) == 0);
	must("writev", call3(K_WRITEV, -1, parts, 3) == -EBADF);
	must("writev", call3(K_WRITEV, -1, NULL, 3) == -EBADF);
	must("writev", call3(K_WRITEV, fd, UNMAPPED, 3) == -EFAULT);
	/* One segment cannot be read. */
	parts[1] = (struct iovec){(void *)UNMAPPED, 4};
	must("writev", call3(K_WRITEV, -1, parts, 3) == -EBADF);
	scratch_end(fd);
}

static void readv_cases(void)
{
	int fd = scratch_file();
	int again;

	call3(K_WRITE, fd, text, 300);
	again = (int)call4(K_OPENAT, AT_FDCWD, FILE_PATH, O_RDONLY, 0);
	parts_of(got, 6, 3);
	must("readv", call3(K_READV, again, parts, 3) == 18);
	parts_of(got, 60, 3);
	must("readv", call3(K_READV, again, parts, 3) == 180);
	/* Fewer bytes than there is room for. */
	parts_of(got, 70, 3);
	must("readv", call3(K_READV, again, parts, 3) == 102);
	must("readv at end", call3(K_READV, again, parts, 3) == 0);
	must("readv", call3(K_READV, -1, parts, 3) == -EBADF);
	must("readv", call3(K_READV, again, NULL, 1) == -EFAULT);
	must("readv", call3(K_READV, again, UNMAPPED, 3) == -EFAULT);
	call1(K_CLOSE, again);
	scratch_end(fd);
}

static void dup_cases(void)
{
	int fd = (int)call4(K_OPENAT, AT_FDCWD, "/tmp", O_RDONLY, 0);
	int64_t copy = call1(K_DUP, fd);

	must("dup", copy >= 0);
	must("dup", call1(K_DUP, -1) == -EBADF);
	must("dup2", call2(K_DUP2, fd, 50) == 50);
	must("dup2 onto itself", call2(K_DUP2, fd, fd) == fd);
	must("dup2", call2(K_DUP2, -1, 51) == -EBADF);
	must("dup2", call2(K_DUP2, fd, -1) == -EBADF);
	must("dup3", call3(K_DUP3, fd, 52, O_CLOEXEC) == 52);
	must("dup3", call3(K_DUP3, fd, 53, 0) == 53);
	must("dup3", call3(K_DUP3, fd, fd, O_CLOEXEC) == -EINVAL);
	must("dup3", call3(K_DUP3, -2, 55, 0) == -EBADF);
	must("dup3", call3(K_DUP3, fd, 54, 0x7fffffff) == -EINVAL);
	call1(K_CLOSE, copy);
	call1(K_CLOSE, fd);
}

static void pipe2_cases(void)
{
	static int ends[2];

	must("pipe2", call2(K_PIPE2, ends, 0) == 0);
	call1(K_CLOSE, ends[0]);
	call1(K_CLOSE, ends[1]);
	must("pipe2", call2(K_PIPE2, ends, O_CLOEXEC | O_NONBLOCK | O_DIRECT) == 0);
	must("read", call3(K_READ, ends[0], got, 1) == -EAGAIN);
	must("pipe2", call2(K_PIPE2, ends, O_APPEND | O_CLOEXEC) == -EINVAL);
	must("pipe2", call2(K_PIPE2, NULL, O_NONBLOCK) == -EFAULT);
	must("pipe2", call2(K_PIPE2, UNMAPPED, 0) == -EFAULT);
}

/* An i386 call looks at a lock before it looks at the descriptor, in kernels before 4.13. */
static bool refused(int64_t ret, int command)
{
	bool lock =
		(command >= 5 && command <= 7) || (command >= 12 && command <= 14) || (command >= 36 && command <= 38);

	return ret == -EBADF || (compat_calls && lock && ret == -EFAULT);
}

static void fcntl_cases(void)
{
	static const int commands[] = {5,  6,  7,  8,	 10,   12,   13,   14,	 15, 16,
				       36, 37, 38, 1024, 1026, 1029, 1031, 4711, -1};
	int fd = (int)call4(K_OPENAT, AT_FDCWD, "/tmp", O_RDONLY, 0);
	int64_t copy;

	must("fcntl", call3(K_FCNTL, fd, F_GETFD, 0) == 0);
	must("fcntl", call3(K_FCNTL, fd, F_SETFD, FD_CLOEXEC) == 0);
	must("fcntl", call3(K_FCNTL, fd, F_GETFL, 0xdeadbeefcafeul) >= 0);
	must("fcntl", call3(K_FCNTL, fd, F_SETFL, O_NONBLOCK) == 0);
	copy = call3(K_FCNTL, fd, F_DUPFD, 60);
	must("fcntl", copy == 60);
	copy = call3(K_FCNTL, fd, F_DUPFD_CLOEXEC, 61);
	must("fcntl", copy == 61);
	must("fcntl", call3(K_FCNTL, fd, F_GETSIG, 0) == 0);
	call3(K_FCNTL, fd, F_GETOWN, 0);
	call3(K_FCNTL, fd, F_GETLEASE, 0);
	must("fcntl", call3(K_FCNTL, fd, 1032, 0) == -EBADF);
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		must("fcntl", refused(call3(K_FCNTL, -1, commands[i], i), commands[i]));
}

static void ioctl_cases(void)
{
	static int ends[2], waiting;

	call2(K_PIPE2, ends, 0);
	call3(K_WRITE, ends[1], "abc", 3);
	must("ioctl", call3(K_IOCTL, ends[0], FIONREAD, &waiting) == 0);
	must("ioctl", call3(K_IOCTL, ends[0], TIOCGWINSZ, 0x1234) == -ENOTTY);
	must("ioctl", call3(K_IOCTL, -1, 0xffffffff, -1) == -EBADF);
	must("ioctl", call3(K_IOCTL, ends[0], FIONREAD, NULL) == -EFAULT);
}

static void poll_cases(void)
{
	static struct pollfd entries[20];
	static int ends[2];

	call2(K_PIPE2, ends, 0);
	entries[0] = (struct pollfd){.fd = ends[0], .events = POLLIN};
	entries[1] = (struct pollfd){.fd = ends[1], .events = POLLOUT | POLLWRNORM};
	entries[2] = (struct pollfd){.fd = 900, .events = POLLIN};
	entries[3] = (struct pollfd){.fd = -1, .events = POLLIN};
	must("poll", call3(K_POLL, entries, 4, -1) == 2);
	call3(K_WRITE, ends[1], "x", 1);
	entries[0].events = POLLIN | POLLRDNORM;
	must("poll", call3(K_POLL, entries, 1, 100) == 1);
	call1(K_CLOSE, ends[1]);
	must("poll hung up", call3(K_POLL, entries, 1, 0) == 1);
	must("poll nothing", call3(K_POLL, entries, 0, 0) == 0);
	must("poll nothing", call3(K_POLL, NULL, 0, 1) == 0);
	/* More entries than are shown. */
	for (int i = 0; i < 20; i++)
		entries[i] = (struct pollfd){.fd = i == 17 ? ends[0] : -1 - i, .events = POLLIN};
	must("poll many", call3(K_POLL, entries, 20, 0) == 1);
	must("poll", call3(K_POLL, NULL, 1, 0) == -EFAULT);
	must("poll", call3(K_POLL, UNMAPPED, 2, 0x100000000ul) == -EFAULT);
	must("poll", call3(K_POLL, page_end - 3, 1, 0) == -EFAULT);
}

static void epoll_wait_cases(void)
{
	static struct epoll_event events[4];
	static int ends[2];
	int64_t epoll = raw_call(SYS_epoll_create1, 0, 0, 0, 0, 0, 0);

	call2(K_PIPE2, ends, 0);
	events[0] = (struct epoll_event){.events = EPOLLIN};
	raw_call(SYS_epoll_ctl, U(epoll), EPOLL_CTL_ADD, U(ends[0]), U(events), 0, 0);
	must("epoll_wait", call4(K_EPOLL_WAIT, epoll, events, 4, 0) == 0);
	call3(K_WRITE, ends[1], "x", 1);
	must("epoll_wait", call4(K_EPOLL_WAIT, epoll, events, 4, -1) == 1);
	must("epoll_wait", call4(K_EPOLL_WAIT, epoll, events, -1, 0) == -EINVAL);
	must("epoll_wait", call4(K_EPOLL_WAIT, -1, events, 1, 0) == -EBADF);
	must("epoll_wait", call4(K_EPOLL_WAIT, epoll, UNMAPPED, 1, 0) == -EFAULT);
}

const struct one_case io_cases[] = {
	{"write-success", write_success},
	{"write-failure", write_failure},
	{"read", read_cases},
	{"pread-pwrite", pwrite_cases},
	{"writev", writev_cases},
	{"readv", readv_cases},
	{"dup", dup_cases},
	{"pipe2", pipe2_cases},
	{"fcntl", fcntl_cases},
	{"ioctl", ioctl_cases},
	{"poll", poll_cases},
	{"epoll_wait", epoll_wait_cases},
	{NULL, NULL},
};
