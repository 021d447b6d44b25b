// SPDX-License-Identifier: GPL-2.0-only OR MIT
/* Cases: sockets. All connections are local, made and taken by the same thread. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>

#include "cases.h"

#define SOCKET_PATH "/tmp/kd-cases.socket"

static char text[3000];
static char got[3000];
static union {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
	struct sockaddr_un local;
} server, client, other;
static uint32_t length;

static void fill(void)
{
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (char)(i * 5 + 3);
}

static uint32_t loopback(int family, void *out, uint16_t port)
{
	memset(out, 0, sizeof(server));
	if (family == AF_INET) {
		struct sockaddr_in *v4 = out;

		v4->sin_family = AF_INET;
		v4->sin_port = htons(port);
		v4->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		return sizeof(*v4);
	}
	((struct sockaddr_in6 *)out)->sin6_family = AF_INET6;
	((struct sockaddr_in6 *)out)->sin6_port = htons(port);
	((struct sockaddr_in6 *)out)->sin6_addr = (struct in6_addr)IN6ADDR_LOOPBACK_INIT;
	return sizeof(struct sockaddr_in6);
}

static uint32_t unix_name(struct sockaddr_un *out, const char *name, size_t n)
{
	memset(out, 0, sizeof(*out));
	out->sun_family = AF_UNIX;
	memcpy(out->sun_path, name, n);
	return (uint32_t)(offsetof(struct sockaddr_un, sun_path) + n);
}

/* A bound socket; its name is left in `server` or `client`. */
static int bound(int family, int type, void *name)
{
	int fd = (int)call3(K_SOCKET, family, type, 0);
	uint32_t n = loopback(family, name, 0);

	if (fd < 0)
		return fd;
	if (call3(K_BIND, fd, name, n) != 0) {
		call1(K_CLOSE, fd);
		return -1;
	}
	own_name(self.vpid, fd, name, sizeof(server));
	return fd;
}

static uint32_t name_length(int family)
{
	return family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
}

static void socket_cases(void)
{
	must("socket", call3(K_SOCKET, AF_INET, SOCK_DGRAM, 0) >= 0);
	must("socket", call3(K_SOCKET, AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_TCP) >= 0);
	must("socket", call3(K_SOCKET, AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0) >= 0);
	must("socket", call3(K_SOCKET, AF_NETLINK, SOCK_RAW, 0) >= 0);
	must("socket", call3(K_SOCKET, 9999, SOCK_STREAM, 0) == -EAFNOSUPPORT);
	must("socket", call3(K_SOCKET, AF_INET, SOCK_STREAM, 0xfffe) < 0);
	must("socket", call3(K_SOCKET, AF_INET, 0x7fffffff, 7) == -EINVAL);
}

static void bind_cases(void)
{
	int v4 = (int)call3(K_SOCKET, AF_INET, SOCK_DGRAM, 0);
	int v6 = (int)call3(K_SOCKET, AF_INET6, SOCK_DGRAM, 0);
	int local = (int)call3(K_SOCKET, AF_UNIX, SOCK_DGRAM, 0);

	must("bind", call3(K_BIND, v4, &server, loopback(AF_INET, &server, 0)) == 0);
	must("bind again", call3(K_BIND, v4, &server, sizeof(server.v4)) == -EINVAL);
	if (v6 >= 0)
		must("bind", call3(K_BIND, v6, &server, loopback(AF_INET6, &server, 0)) <= 0);
	length = unix_name(&server.local, SOCKET_PATH, sizeof(SOCKET_PATH));
	must("bind", call3(K_BIND, local, &server, length) == 0);
	call3(K_UNLINKAT, AT_FDCWD, SOCKET_PATH, 0);
	must("bind", call3(K_BIND, -1, &server, length) == -EBADF);
	/* Abstract; a name that fills its room without a NUL; none at all. */
	must("bind", call3(K_BIND, -1, &server, unix_name(&server.local, "\0kd-abstract", 12)) == -EBADF);
	memset(server.local.sun_path, 'p', sizeof(server.local.sun_path));
	must("bind", call3(K_BIND, -1, &server, sizeof(server.local)) == -EBADF);
	must("bind", call3(K_BIND, -1, &server, 10) == -EBADF);
	must("bind", call3(K_BIND, -1, &server, 2) == -EBADF);
	/* Too short for their family, or with a length that is none. */
	loopback(AF_INET, &server, 80);
	must("bind", call3(K_BIND, -1, &server, 7) == -EBADF);
	must("bind", call3(K_BIND, -1, &server, 8) == -EBADF);
	must("bind", call3(K_BIND, -1, &server, 1) == -EBADF);
	must("bind", call3(K_BIND, -1, &server, 0) == -EBADF);
	must("bind", call3(K_BIND, -1, &server, -1) == -EBADF);
	loopback(AF_INET6, &server, 8080);
	must("bind", call3(K_BIND, -1, &server, 23) == -EBADF);
	must("bind", call3(K_BIND, -1, &server, 24) == -EBADF);
	server.any.sa_family = AF_NETLINK;
	must("bind", call3(K_BIND, -1, &server, 12) == -EBADF);
	must("bind", call3(K_BIND, v4, NULL, 16) == -EFAULT);
	must("bind", call3(K_BIND, v4, UNMAPPED, 16) == -EFAULT);
	must("bind", call3(K_BIND, v4, page_end - 7, 16) == -EFAULT);
}

/* What the kernel says waits at a listening TCP socket, and may. */
static struct accept_queue queue_of(int fd)
{
	static struct {
		uint8_t states[8];
		uint32_t times[4];
		uint32_t waiting, most;
		uint8_t rest[400];
	} info;

	length = sizeof(info);
	call5(K_GETSOCKOPT, fd, IPPROTO_TCP, 11 /* TCP_INFO */, &info, &length);
	return (struct accept_queue){info.waiting, info.most};
}

/* Until so many connections wait at the socket named `server`. A connect may return before the other side knows. The
 * number of calls that are seen must not depend on how long that takes: only preadv and clock_nanosleep are repeated. */
static void wait_for_waiting(int family, unsigned int wanted)
{
	static char listing[65536];
	struct iovec whole = {listing, sizeof(listing) - 1};
	struct timespec while_ = {0, 2000000};
	const char *path = family == AF_INET ? "/proc/net/tcp" : "/proc/net/tcp6";
	unsigned int waiting = 0;
	char port[16];
	int fd = (int)call4(K_OPENAT, AT_FDCWD, path, O_RDONLY, 0);

	snprintf(port, sizeof(port), ":%04X ", ntohs(family == AF_INET ? server.v4.sin_port : server.v6.sin6_port));
	for (int i = 0; i < 500 && waiting < wanted; i++) {
		int64_t n = raw_call(SYS_preadv, U(fd), U(&whole), 1, 0, 0, 0);
		const char *line;

		listing[n > 0 ? n : 0] = 0;
		for (line = listing; line; line = strchr(line + 1, '\n')) {
			char local[80], state[8];

			if (sscanf(line, " %*s %72s %*s %4s %*8x:%8x", local, state, &waiting) == 3 &&
			    strcmp(state, "0A") == 0 && strstr(strcat(local, " "), port))
				break;
			waiting = 0;
		}
		if (waiting < wanted)
			raw_call(SYS_clock_nanosleep, 1, 0, U(&while_), 0, 0, 0);
	}
	call1(K_CLOSE, fd);
	must("connections that wait", waiting == wanted);
}

static void accept_one(int listener, enum kind how, int flags)
{
	struct accept_queue queue = queue_of(listener);
	int64_t fd;

	accept_queue = (struct accept_queue){queue.len - 1, queue.max};
	length = sizeof(other);
	fd = how == K_ACCEPT ? call3(K_ACCEPT, listener, &other, &length)
			     : call4(K_ACCEPT4, listener, NULL, NULL, flags);
	must("accept", fd >= 0);
	must("send", call_all(K_SENDTO, fd, text, 33, 0, NULL, 0) == 33);
	call1(K_CLOSE, fd);
}

static void stream(int family)
{
	int listener = bound(family, SOCK_STREAM | SOCK_CLOEXEC, &server);
	int fd[2];

	if (listener < 0) {
		case_skip(family == AF_INET6 ? "no IPv6 on the loopback device" : "no loopback device");
		return;
	}
	fill();
	must("listen", call2(K_LISTEN, listener, 7) == 0);
	for (int i = 0; i < 2; i++) {
		fd[i] = (int)call3(K_SOCKET, family, SOCK_STREAM, IPPROTO_TCP);
		must("connect", call3(K_CONNECT, fd[i], &server, name_length(family)) == 0);
	}
	wait_for_waiting(family, 2);
	must("connect again", call3(K_CONNECT, fd[0], &server, name_length(family)) == -EISCONN);
	if (family == AF_INET)
		accept_one(listener, K_ACCEPT, 0);
	accept_one(listener, K_ACCEPT4, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (family != AF_INET)
		accept_one(listener, K_ACCEPT, 0);
	memset(&other, 0, sizeof(other));
	length = sizeof(other);
	must("recvfrom", call_all(K_RECVFROM, fd[0], got, sizeof(got), MSG_WAITALL, &other, &length) == 33);
	must("recvfrom at end", call_all(K_RECVFROM, fd[0], got, sizeof(got), 0, NULL, NULL) == 0);
	must("shutdown", call2(K_SHUTDOWN, fd[1], SHUT_WR) == 0);
	call1(K_CLOSE, fd[0]);
	call1(K_CLOSE, fd[1]);
	call1(K_CLOSE, listener);
}

static void tcp4(void)
{
	stream(AF_INET);
}

static void tcp6(void)
{
	stream(AF_INET6);
}

/* IPv4 through an IPv6 socket. */
static void tcp_mapped(void)
{
	int listener = bound(AF_INET, SOCK_STREAM, &server);
	int fd = (int)call3(K_SOCKET, AF_INET6, SOCK_STREAM, 0);

	if (fd < 0 || listener < 0) {
		case_skip("no IPv6");
		return;
	}
	call2(K_LISTEN, listener, 1);
	loopback(AF_INET6, &other, ntohs(server.v4.sin_port));
	inet_pton(AF_INET6, "::ffff:127.0.0.1", &other.v6.sin6_addr);
	must("connect", call3(K_CONNECT, fd, &other, sizeof(other.v6)) == 0);
	must("sendto", call_all(K_SENDTO, fd, text, 5, 0, NULL, 0) == 5);
}

static void connect_failure(void)
{
	int listener = bound(AF_INET, SOCK_STREAM, &server);
	int fd = bound(AF_INET, SOCK_STREAM, &client);

	call1(K_CLOSE, listener);
	must("connect", call3(K_CONNECT, fd, &server, sizeof(server.v4)) == -ECONNREFUSED);
	must("connect", call3(K_CONNECT, -1, &server, sizeof(server.v4)) == -EBADF);
	must("connect", call3(K_CONNECT, fd, NULL, 16) == -EFAULT);
	must("connect", call3(K_CONNECT, fd, UNMAPPED, 16) == -EFAULT);
	must("connect", call3(K_CONNECT, fd, &server, 3) == -EINVAL);
	call1(K_CLOSE, fd);
	fd = (int)call3(K_SOCKET, AF_UNIX, SOCK_STREAM, 0);
	must("connect", call3(K_CONNECT, fd, &server, unix_name(&server.local, "/nonexistent/s", 15)) == -ENOENT);
	must("connect", call3(K_CONNECT, fd, &server, unix_name(&server.local, "\0kd-none", 8)) == -ECONNREFUSED);
}

static void connect_nonblocking(void)
{
	int listener = bound(AF_INET, SOCK_STREAM, &server);
	int fd = (int)call3(K_SOCKET, AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	call2(K_LISTEN, listener, 1);
	must("connect", call3(K_CONNECT, fd, &server, sizeof(server.v4)) == -EINPROGRESS);
}

static void listen_accept_failure(void)
{
	int fd = bound(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, &server);

	must("accept", call3(K_ACCEPT, fd, NULL, NULL) == -EINVAL);
	must("listen", call2(K_LISTEN, fd, -1) == 0);
	must("listen", call2(K_LISTEN, -1, 0x7fffffff) == -EBADF);
	must("accept", call3(K_ACCEPT, fd, NULL, NULL) == -EAGAIN);
	must("accept", call3(K_ACCEPT, -1, UNMAPPED, NULL) == -EBADF);
	must("accept4", call4(K_ACCEPT4, fd, NULL, NULL, SOCK_NONBLOCK) == -EAGAIN);
	must("accept4", call4(K_ACCEPT4, fd, NULL, NULL, 0x7fffffff) == -EINVAL);
	must("accept4", call4(K_ACCEPT4, -1, NULL, NULL, 0) == -EBADF);
}

static void datagram(int family)
{
	int to = bound(family, SOCK_DGRAM, &server);
	int from = to < 0 ? to : bound(family, SOCK_DGRAM, &client);

	if (from < 0) {
		case_skip(family == AF_INET6 ? "no IPv6 on the loopback device" : "no loopback device");
		return;
	}
	fill();
	must("sendto", call_all(K_SENDTO, from, text, 20, 0, &server, name_length(family)) == 20);
	must("sendto", call_all(K_SENDTO, from, text, 2000, 0, &server, name_length(family)) == 2000);
	must("sendto", call_all(K_SENDTO, from, text, 0, 0, &server, name_length(family)) == 0);
	memset(&other, 0, sizeof(other));
	length = sizeof(other);
	must("recvfrom", call_all(K_RECVFROM, to, got, sizeof(got), 0, &other, &length) == 20);
	/* More was sent than there is room for. */
	must("recvfrom", call_all(K_RECVFROM, to, got, 10, MSG_TRUNC, &other, &length) == 2000);
	must("recvfrom", call_all(K_RECVFROM, to, got, sizeof(got), 0, NULL, NULL) == 0);
	must("recvfrom", call_all(K_RECVFROM, to, got, 10, MSG_DONTWAIT, &other, &length) == -EAGAIN);
	must("connect", call3(K_CONNECT, from, &server, name_length(family)) == 0);
	must("sendto", call_all(K_SENDTO, from, text, 7, 0, NULL, 0) == 7);
	must("sendto", call_all(K_SENDTO, from, NULL, 7, 0, NULL, 0) == -EFAULT);
	must("sendto", call_all(K_SENDTO, -1, text, 100, 0, &server, 16) == -EBADF);
	must("sendto", call_all(K_SENDTO, to, UNMAPPED, 100, 0, NULL, 0) < 0);
	must("recvfrom", call_all(K_RECVFROM, -1, got, 100, 0, NULL, NULL) == -EBADF);
	must("shutdown", call2(K_SHUTDOWN, from, SHUT_RDWR) == 0);
}

static void udp4(void)
{
	datagram(AF_INET);
}

static void udp6(void)
{
	datagram(AF_INET6);
}

static struct iovec parts[20];
static struct msghdr message;
static char control[256] __attribute__((aligned(8)));

static void message_of(void *name, uint32_t name_bytes, char *base, size_t each, int n)
{
	for (int i = 0; i < 20; i++)
		parts[i] = (struct iovec){base + (size_t)i * each, each};
	memset(&message, 0, sizeof(message));
	message.msg_name = name;
	message.msg_namelen = name_bytes;
	message.msg_iov = parts;
	message.msg_iovlen = (size_t)n;
}

static void message_cases(void)
{
	static int one = 1;
	int to = bound(AF_INET, SOCK_DGRAM, &server), from = bound(AF_INET, SOCK_DGRAM, &client);

	if (to < 0 || from < 0) {
		case_skip("no loopback device");
		return;
	}
	fill();
	must("setsockopt", call5(K_SETSOCKOPT, to, SOL_IP, IP_PKTINFO, &one, sizeof(one)) == 0);
	must("setsockopt", call5(K_SETSOCKOPT, to, SOL_SOCKET, SO_TIMESTAMP, &one, sizeof(one)) == 0);
	message_of(&server, sizeof(server.v4), text, 11, 3);
	must("sendmsg", call3(K_SENDMSG, from, &message, 0) == 33);
	message_of(&server, sizeof(server.v4), text, 100, 20);
	must("sendmsg", call3(K_SENDMSG, from, &message, 0) == 2000);
	message_of(&other, sizeof(other), got, 13, 4);
	message.msg_control = control;
	message.msg_controllen = sizeof(control);
	must("recvmsg", call3(K_RECVMSG, to, &message, 0) == 33);
	message_of(NULL, 0, got, 50, 2);
	must("recvmsg", call3(K_RECVMSG, to, &message, 0) == 100);
	must("recvmsg", call3(K_RECVMSG, to, &message, MSG_DONTWAIT) == -EAGAIN);
	must("recvmsg", call3(K_RECVMSG, -1, &message, 0) == -EBADF);
	must("recvmsg", call3(K_RECVMSG, to, NULL, 0) == -EFAULT);
	must("recvmsg", call3(K_RECVMSG, to, UNMAPPED, 0) == -EFAULT);
	must("sendmsg", call3(K_SENDMSG, -1, &message, 0) == -EBADF);
	must("sendmsg", call3(K_SENDMSG, from, NULL, 0) == -EFAULT);
	must("sendmsg", call3(K_SENDMSG, from, UNMAPPED, 0) == -EFAULT);
	message.msg_iov = (struct iovec *)UNMAPPED;
	must("sendmsg", call3(K_SENDMSG, from, &message, 0) == -EFAULT);
	message_of(NULL, 0, text, 30, 2);
	parts[1].iov_base = (void *)UNMAPPED;
	must("sendmsg", call3(K_SENDMSG, -1, &message, 0) == -EBADF);
}

static void unix_stream(void)
{
	int listener = (int)call3(K_SOCKET, AF_UNIX, SOCK_STREAM, 0);
	int fd = (int)call3(K_SOCKET, AF_UNIX, SOCK_STREAM, 0);
	int64_t taken;

	fill();
	length = unix_name(&server.local, SOCKET_PATH, sizeof(SOCKET_PATH));
	must("bind", call3(K_BIND, listener, &server, length) == 0);
	must("listen", call2(K_LISTEN, listener, 5) == 0);
	must("connect", call3(K_CONNECT, fd, &server, length) == 0);
	/* Unix sockets do not count who waits. */
	accept_queue = (struct accept_queue){0, 5};
	length = sizeof(other);
	taken = call3(K_ACCEPT, listener, &other, &length);
	must("accept", taken >= 0);
	must("sendto", call_all(K_SENDTO, fd, text, 90, 0, NULL, 0) == 90);
	must("recvfrom", call_all(K_RECVFROM, taken, got, 100, 0, NULL, NULL) == 90);
	message_of(NULL, 0, text, 4, 2);
	must("sendmsg", call3(K_SENDMSG, taken, &message, 0) == 8);
	message_of(NULL, 0, got, 4, 2);
	must("recvmsg", call3(K_RECVMSG, fd, &message, 0) == 8);
	must("shutdown", call2(K_SHUTDOWN, fd, SHUT_RD) == 0);
	call1(K_CLOSE, fd);
	call1(K_CLOSE, taken);
	call1(K_CLOSE, listener);
	call3(K_UNLINKAT, AT_FDCWD, SOCKET_PATH, 0);
}

static void unix_datagram(void)
{
	int to = (int)call3(K_SOCKET, AF_UNIX, SOCK_DGRAM, 0);
	int from = (int)call3(K_SOCKET, AF_UNIX, SOCK_DGRAM, 0);

	fill();
	length = unix_name(&server.local, "\0kd-cases-datagram", 18);
	must("bind", call3(K_BIND, to, &server, length) == 0);
	must("sendto", call_all(K_SENDTO, from, text, 9, 0, &server, length) == 9);
	must("recvfrom", call_all(K_RECVFROM, to, got, 100, 0, NULL, NULL) == 9);
	must("connect", call3(K_CONNECT, from, &server, length) == 0);
	must("sendto", call_all(K_SENDTO, from, text, 10, 0, NULL, 0) == 10);
	must("recvfrom", call_all(K_RECVFROM, to, got, 100, 0, NULL, NULL) == 10);
}

static union {
	int number;
	uint64_t cookie;
	struct timeval time;
	char bytes[256];
} value;

static void get_option(int fd, int level, int name, uint32_t size, int64_t wanted)
{
	memset(&value, 0x5a, sizeof(value));
	length = size;
	must("getsockopt", call5(K_GETSOCKOPT, fd, level, name, &value, &length) == wanted);
}

/* One that came after 3.10. */
static void get_newer_option(int fd, int name, uint32_t size)
{
	int64_t ret;

	memset(&value, 0x5a, sizeof(value));
	length = size;
	ret = call5(K_GETSOCKOPT, fd, SOL_SOCKET, name, &value, &length);
	must("getsockopt", ret == 0 || ret == -ENOPROTOOPT);
}

static void getsockopt_cases(void)
{
	static const int ints[] = {SO_TYPE,	 SO_REUSEADDR,	SO_SNDBUF,	SO_RCVBUF, SO_KEEPALIVE,
				   SO_PRIORITY,	 SO_DOMAIN,	SO_PROTOCOL,	SO_MARK,   SO_PEEK_OFF,
				   SO_BUSY_POLL, SO_ACCEPTCONN, SO_INCOMING_CPU};
	int fd = (int)call3(K_SOCKET, AF_INET, SOCK_STREAM, 0);

	for (size_t i = 0; i < ARRAY_SIZE(ints); i++) {
		length = sizeof(value.number);
		call5(K_GETSOCKOPT, fd, SOL_SOCKET, ints[i], &value, &length);
	}
	get_option(fd, SOL_SOCKET, SO_ERROR, 4, 0);
	get_option(fd, SOL_SOCKET, SO_RCVTIMEO, sizeof(value.time), 0);
	get_option(fd, SOL_SOCKET, SO_LINGER, 8, 0);
	get_newer_option(fd, 57 /* SO_COOKIE, 4.12 */, 8);
	get_option(fd, IPPROTO_TCP, 1 /* TCP_NODELAY */, 4, 0);
	get_option(fd, SOL_IP, IP_TTL, 4, 0);
	get_newer_option(fd, 60 /* SO_ZEROCOPY, 4.14 */, 4);
	get_option(fd, SOL_SOCKET, 4711, 4, -ENOPROTOOPT);
	get_option(-1, SOL_SOCKET, SO_TYPE, 4, -EBADF);
	must("getsockopt", call5(K_GETSOCKOPT, fd, SOL_SOCKET, SO_TYPE, NULL, &length) == -EFAULT);
	must("getsockopt", call5(K_GETSOCKOPT, fd, SOL_SOCKET, SO_TYPE, &value, NULL) == -EFAULT);
	must("getsockopt", call5(K_GETSOCKOPT, fd, SOL_SOCKET, SO_TYPE, &value, UNMAPPED) == -EFAULT);
}

/* An error that waits at the socket comes out negated. */
static void getsockopt_error(void)
{
	int listener = bound(AF_INET, SOCK_STREAM, &server);
	int fd = (int)call3(K_SOCKET, AF_INET, SOCK_DGRAM, 0);

	call1(K_CLOSE, listener);
	/* A closed UDP port on the loopback device answers at once. */
	if (call3(K_CONNECT, fd, &server, sizeof(server.v4)) != 0) {
		case_skip("no loopback device");
		return;
	}
	call_all(K_SENDTO, fd, text, 1, 0, NULL, 0);
	length = sizeof(value.number);
	must("getsockopt", call5(K_GETSOCKOPT, fd, SOL_SOCKET, SO_ERROR, &value, &length) == 0);
}

static void setsockopt_cases(void)
{
	int fd = (int)call3(K_SOCKET, AF_INET, SOCK_STREAM, 0);

	value.number = 1;
	must("setsockopt", call5(K_SETSOCKOPT, fd, SOL_SOCKET, SO_REUSEADDR, &value, 4) == 0);
	must("setsockopt", call5(K_SETSOCKOPT, fd, IPPROTO_TCP, 1, &value, 4) == 0);
	value.time = (struct timeval){3, 250000};
	must("setsockopt", call5(K_SETSOCKOPT, fd, SOL_SOCKET, SO_RCVTIMEO, &value, sizeof(value.time)) == 0);
	must("setsockopt", call5(K_SETSOCKOPT, fd, SOL_SOCKET, SO_SNDTIMEO, &value, sizeof(value.time)) == 0);
	must("setsockopt", call5(K_SETSOCKOPT, fd, SOL_SOCKET, SO_LINGER, &value, 8) == 0);
	memset(value.bytes, 'z', sizeof(value.bytes));
	must("setsockopt", call5(K_SETSOCKOPT, fd, SOL_SOCKET, 4711, &value, 250) == -ENOPROTOOPT);
	must("setsockopt", call5(K_SETSOCKOPT, -1, 99, 5, &value, 5) == -EBADF);
	must("setsockopt", call5(K_SETSOCKOPT, -1, SOL_SOCKET, 63, &value, 4) == -EBADF);
	must("setsockopt", call5(K_SETSOCKOPT, -1, SOL_SOCKET, 57, &value, 8) == -EBADF);
	must("setsockopt", call5(K_SETSOCKOPT, -1, SOL_SOCKET, SO_BINDTODEVICE, "lo", 3) == -EBADF);
	must("setsockopt", call5(K_SETSOCKOPT, -1, SOL_SOCKET, 53, &value, 0) == -EBADF);
	must("setsockopt", call5(K_SETSOCKOPT, fd, SOL_SOCKET, SO_KEEPALIVE, NULL, 4) == -EFAULT);
	must("setsockopt", call5(K_SETSOCKOPT, fd, SOL_SOCKET, SO_KEEPALIVE, UNMAPPED, 4) == -EFAULT);
	must("setsockopt", call5(K_SETSOCKOPT, -1, SOL_IP, 1, page_end - 1, 8) == -EBADF);
}

static void shutdown_failure(void)
{
	int fd = (int)call3(K_SOCKET, AF_INET, SOCK_STREAM, 0);

	must("shutdown", call2(K_SHUTDOWN, fd, SHUT_RDWR) == -ENOTCONN);
	must("shutdown", call2(K_SHUTDOWN, fd, 3) == -EINVAL);
	must("shutdown", call2(K_SHUTDOWN, -1, -1) == -EBADF);
}

const struct one_case net_cases[] = {
	{"socket", socket_cases},
	{"bind", bind_cases},
	{"tcp4", tcp4},
	{"tcp6", tcp6},
	{"tcp-mapped", tcp_mapped},
	{"connect-failure", connect_failure},
	{"connect-nonblocking", connect_nonblocking},
	{"listen-accept-failure", listen_accept_failure},
	{"udp4", udp4},
	{"udp6", udp6},
	{"sendmsg-recvmsg", message_cases},
	{"unix-stream", unix_stream},
	{"unix-datagram", unix_datagram},
	{"getsockopt", getsockopt_cases},
	{"getsockopt-error", getsockopt_error},
	{"setsockopt", setsockopt_cases},
	{"shutdown-failure", shutdown_failure},
	{NULL, NULL},
};
