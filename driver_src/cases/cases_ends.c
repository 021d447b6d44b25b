// SPDX-License-Identifier: GPL-2.0-only OR MIT
/* Cases: calls that succeed with what the kernel writes, or reads, ending exactly at the end of a page. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "cases.h"

#define FILE_PATH "/tmp/kd-ends"
#define BYTES 40

static char text[300];
static struct iovec segment, there;

/* The last n bytes before the page's end. */
static void *last(size_t n)
{
	return page_end + 1 - n;
}

static int64_t file_make(void)
{
	int64_t fd;

	memset(text, 't', sizeof(text));
	file_was_created = true;
	fd = call3(K_OPEN, FILE_PATH, O_RDWR | O_CREAT | O_EXCL, 0600);
	must("write", call3(K_WRITE, fd, text, sizeof(text)) == sizeof(text));
	return fd;
}

static void file_reads(void)
{
	int64_t fd = file_make();

	segment = (struct iovec){last(BYTES), BYTES};
	must("pread", call4(K_PREAD, fd, last(BYTES), BYTES, 3) == BYTES);
	must("pread", call4(K_PREAD, fd, UNMAPPED, BYTES, 3) == -EFAULT);
	must("pwritev", helper_has_preadv2 ? call5(K_PREADV, fd, &segment, 1, 9, 0) == BYTES : true);
	must("lseek", call3(K_LSEEK, fd, 0, SEEK_SET) == 0);
	must("read", call3(K_READ, fd, last(BYTES), BYTES) == BYTES);
	must("read", call3(K_READ, fd, UNMAPPED, BYTES) == -EFAULT);
	must("readv", call3(K_READV, fd, &segment, 1) == BYTES);
	call1(K_CLOSE, fd);
	call1(K_UNLINK, FILE_PATH);
}

static void written_structures(void)
{
	static char folder[32];

	must("pipe", call1(K_PIPE, last(8)) == 0);
	must("pipe", call1(K_PIPE, UNMAPPED) == -EFAULT);
	must("pipe2", call2(K_PIPE2, last(8), O_CLOEXEC) == 0);
	must("socketpair", call4(K_SOCKETPAIR, AF_UNIX, SOCK_STREAM, 0, last(8)) == 0);
	must("prlimit", call4(K_PRLIMIT, 0, RLIMIT_NOFILE, NULL, last(16)) == 0);
	must("prlimit", call4(K_PRLIMIT, 0, RLIMIT_NOFILE, NULL, last(24)) == 0);
	must("getrlimit", call2(K_GETRLIMIT, RLIMIT_NOFILE, UNMAPPED) == -EFAULT);
	must("fchdir", call1(K_FCHDIR, call3(K_OPEN, "/proc", O_RDONLY, 0)) == 0);
	must("getcwd", call2(K_GETCWD, last(6), 6) == 6);
	must("getcwd", call2(K_GETCWD, NULL, 6) == -EFAULT);
	must("getcwd", call2(K_GETCWD, folder, sizeof(folder)) == 6);
	must("getresuid", call3(K_GETRESUID, last(4), last(8), last(12)) == 0);
}

/* The i386 layout has half the size: the kernel writes it there itself. */
static void limit_at_end(void)
{
	compat_as_given = true;
	must("getrlimit", call2(K_GETRLIMIT, RLIMIT_NOFILE, last(compat_calls ? 8 : 16)) == 0);
	must("getrlimit", call2(K_GETRLIMIT, RLIMIT_NOFILE, last(compat_calls ? 12 : 24)) == 0);
}

static void process_vm_ends(void)
{
	memset(text, 'p', sizeof(text));
	segment = (struct iovec){last(BYTES), BYTES};
	there = (struct iovec){text, BYTES};
	must("process_vm_readv", call_all(K_PROCESS_VM_READV, self.vpid, &segment, 1, &there, 1, 0) == BYTES);
	must("process_vm_readv", call_all(K_PROCESS_VM_READV, self.vpid, UNMAPPED, 1, &there, 1, 0) == -EFAULT);
}

static struct sockaddr_in to;
static struct msghdr message;
static struct mmsghdr messages[1];
static char control[200];

static int64_t bound_socket(void)
{
	int64_t fd = call3(K_SOCKET, AF_INET, SOCK_DGRAM, 0);

	to = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	if (call3(K_BIND, fd, &to, sizeof(to)) != 0)
		return -1;
	own_name(self.vpid, (int)fd, &to, sizeof(to));
	return fd;
}

/* To be received: 30 bytes, and 8 of the sender's address. */
static struct msghdr *message_from(void *name, void *base, void *more, size_t more_length)
{
	segment = (struct iovec){base, 30};
	message = (struct msghdr){.msg_name = name,
				  .msg_namelen = name ? 8 : 0,
				  .msg_iov = &segment,
				  .msg_iovlen = 1,
				  .msg_control = more,
				  .msg_controllen = more_length};
	messages[0] = (struct mmsghdr){.msg_hdr = message};
	return &message;
}

/* struct mmsghdr as each way to call lays it out, without a name. */
static void messages_at_end(int64_t sender, int64_t receiver)
{
	static uint32_t narrow_segment[2], narrow[8];
	/* As far as the number of bytes moved: what follows it is not used. */
	size_t size = compat_calls ? sizeof(narrow) : 60;

	message_from(NULL, text, NULL, 0);
	narrow_segment[0] = (uint32_t)U(text);
	narrow_segment[1] = 30;
	memset(narrow, 0, sizeof(narrow));
	narrow[2] = (uint32_t)U(narrow_segment);
	narrow[3] = 1;
	compat_as_given = true;
	memcpy(last(size), compat_calls ? (void *)narrow : (void *)messages, size);
	must("recvmmsg", call5(K_RECVMMSG, receiver, last(size), 1, 0, NULL) == 1);
	must("connect", call3(K_CONNECT, sender, &to, sizeof(to)) == 0);
	if (compat_calls) {
		must("send", call4(K_SEND, sender, text, 30, 0) == 30);
		must("recv", call4(K_RECV, receiver, last(30), 30, 0) == 30);
		must("send", call4(K_SEND, sender, text, 150, 0) == 150);
		/* After those that nobody took yet. */
		for (int i = 0; i < 12 && call4(K_RECV, receiver, text + 150, 150, MSG_DONTWAIT) != 150; i++)
			continue;
		must("recv", call4(K_RECV, -1, NULL, 150, 0) == -EBADF);
		must("recv", call4(K_RECV, -1, UNMAPPED, 150, 0) == -EBADF);
	}
	memcpy(last(size), compat_calls ? (void *)narrow : (void *)messages, size);
	must("sendmmsg", call4(K_SENDMMSG, sender, last(size), 1, 0) == 1);
	memcpy(last(size - 4), compat_calls ? (void *)narrow : (void *)messages, size - 4);
	must("sendmmsg", call4(K_SENDMMSG, -1, last(size - 4), 1, 0) == -EBADF);
	compat_as_given = false;
}

static void datagrams(void)
{
	static uint32_t length, one = 1;
	const size_t stamp = compat_calls ? 20 : 32;
	int64_t receiver = bound_socket(), sender = call3(K_SOCKET, AF_INET, SOCK_DGRAM, 0);

	if (receiver < 0) {
		case_skip("no loopback device");
		return;
	}
	memset(text, 'd', sizeof(text));
	for (int i = 0; i < 6; i++)
		must("sendto", call_all(K_SENDTO, sender, text, 30, 0, &to, 16) == 30);
	must("recvfrom", call_all(K_RECVFROM, receiver, last(30), 30, 0, NULL, NULL) == 30);
	/* The kernel writes no more of the address than there is room for. */
	length = 8;
	must("recvfrom", call_all(K_RECVFROM, receiver, text + 50, 30, 0, last(8), &length) == 30);
	must("recvfrom", call_all(K_RECVFROM, -1, NULL, 30, 0, UNMAPPED, NULL) < 0);
	must("recvfrom", call_all(K_RECVFROM, -1, UNMAPPED, 30, MSG_DONTWAIT, NULL, NULL) < 0);
	must("setsockopt", call5(K_SETSOCKOPT, receiver, SOL_SOCKET, SO_TIMESTAMP, &one, 4) == 0);
	must("setsockopt", call5(K_SETSOCKOPT, receiver, SOL_IP, IP_PKTINFO, &one, 4) == 0);
	must("setsockopt", call5(K_SETSOCKOPT, receiver, SOL_IP, IP_RECVTTL, &one, 4) == 0);
	must("setsockopt", call5(K_SETSOCKOPT, receiver, SOL_IP, IP_RECVTOS, &one, 4) == 0);
	must("setsockopt", call5(K_SETSOCKOPT, receiver, SOL_IP, 20 /* IP_ORIGDSTADDR */, &one, 4) == 0);
	for (int i = 0; i < 7; i++)
		must("sendto", call_all(K_SENDTO, sender, text, 30, 0, &to, 16) == 30);
	must("recvmsg", call3(K_RECVMSG, receiver, message_from(last(8), text + 100, NULL, 0), 0) == 30);
	must("recvmsg", call3(K_RECVMSG, receiver, message_from(NULL, last(30), control, sizeof(control)), 0) == 30);
	/* Room for the time stamp, which comes first, and nothing after it. */
	message_from(NULL, text, last(stamp), stamp);
	must("recvmsg", call3(K_RECVMSG, receiver, &message, 0) == 30);
	message_from(last(8), text + 100, control, sizeof(control));
	must("recvmmsg", call5(K_RECVMMSG, receiver, messages, 1, 0, NULL) == 1);
	message_from(NULL, last(30), last(stamp), stamp);
	must("recvmmsg", call5(K_RECVMMSG, receiver, messages, 1, 0, NULL) == 1);
	message_from(NULL, last(30), NULL, 0);
	must("recvmmsg", call5(K_RECVMMSG, receiver, messages, 1, 0, NULL) == 1);
	must("recvmmsg", call5(K_RECVMMSG, -1, NULL, 1, MSG_DONTWAIT, NULL) < 0);
	messages_at_end(sender, receiver);
	length = 4;
	must("getsockopt", call5(K_GETSOCKOPT, sender, SOL_SOCKET, SO_TYPE, last(4), &length) == 0);
	must("getsockopt", call5(K_GETSOCKOPT, sender, SOL_SOCKET, SO_TYPE, &one, memcpy(last(4), &length, 4)) == 0);
}

/* An IPv6 address may be passed as its first 24 bytes, which are all that is read of it. */
static void addresses6(void)
{
	static struct sockaddr_in6 name = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	int64_t receiver = call3(K_SOCKET, AF_INET6, SOCK_DGRAM, 0), sender;

	if (receiver < 0 || call3(K_BIND, receiver, &name, sizeof(name)) != 0) {
		case_skip("no IPv6 on the loopback device");
		return;
	}
	own_name(self.vpid, (int)receiver, &name, sizeof(name));
	sender = call3(K_SOCKET, AF_INET6, SOCK_DGRAM, 0);
	memcpy(last(24), &name, 24);
	must("sendto", call_all(K_SENDTO, sender, text, 9, 0, last(24), 24) == 9);
	must("sendto", call_all(K_SENDTO, sender, text, 9, 0, last(20), 24) == -EFAULT);
	segment = (struct iovec){text, 11};
	message = (struct msghdr){.msg_name = last(24), .msg_namelen = 24, .msg_iov = &segment, .msg_iovlen = 1};
	messages[0] = (struct mmsghdr){.msg_hdr = message};
	must("sendmsg", call3(K_SENDMSG, sender, &message, 0) == 11);
	must("sendmmsg", call4(K_SENDMMSG, sender, messages, 1, 0) == 1);
	must("connect", call3(K_CONNECT, sender, last(24), 24) == 0);
	must("connect", call3(K_CONNECT, sender, last(20), 24) == -EFAULT);
}

static uint64_t word;

static void peeked_word(void)
{
	size_t size = compat_calls ? 4 : 8;
	int status = 0;
	pid_t pid = child_of(K_FORK, 0);

	if (pid == 0) {
		must("ptrace", call4(K_PTRACE, PTRACE_TRACEME, 0, 3, 4) == 0);
		call2(K_KILL, self.vpid, SIGSTOP);
		finish(0);
	}
	raw_call(SYS_wait4, U(pid), U(&status), WUNTRACED, 0, 0, 0);
	must("ptrace", call4(K_PTRACE, PTRACE_PEEKDATA, pid, &word, last(size)) == 0);
	must("ptrace", call4(K_PTRACE, PTRACE_PEEKDATA, pid, &word, UNMAPPED) == -EFAULT);
	must("ptrace", call4(K_PTRACE, PTRACE_DETACH, pid, 0, 0) == 0);
	must("wait", reap(pid, 0) == 0);
}

static struct pollfd entries[20];

static void many_entries(void)
{
	static struct timespec no_time;

	for (int i = 0; i < 20; i++)
		entries[i] = (struct pollfd){-2 - i, POLLIN, 0};
	must("ppoll", call5(K_PPOLL, entries, 20, &no_time, NULL, 8) == 0);
}

static void socket_name(void)
{
	static uint32_t length = sizeof(text);
	static int ends[2];

	must("socketpair", call4(K_SOCKETPAIR, AF_UNIX, SOCK_STREAM, 0, ends) == 0);
	must("getsockname", call3(K_GETSOCKNAME, ends[0], text, &length) == 0);
	length = sizeof(text);
	must("getpeername", call3(K_GETPEERNAME, ends[0], text, &length) == 0);
}

const struct one_case end_cases[] = {
	{"ends-read", file_reads},	   {"ends-written", written_structures},
	{"ends-limit", limit_at_end},	   {PROCESS_VM_ENDS_CASE, process_vm_ends},
	{"ends-datagram", datagrams},	   {"ends-address", addresses6},
	{"ends-peeked", peeked_word},	   {"ppoll-many", many_entries},
	{"socketpair-names", socket_name}, {NULL, NULL},
};
