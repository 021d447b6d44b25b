// SPDX-License-Identifier: GPL-2.0-only OR MIT
/* Expected events of calls on sockets. Both ends of a connection come from getsockname and getpeername. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>

#include "cases.h"

struct accept_queue accept_queue;

/* A socket address; length 0: none. */
union name {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
	struct sockaddr_un local;
	uint8_t bytes[128];
};

static int64_t fd_of(uint64_t arg)
{
	return (int32_t)arg;
}

/* 0 when the descriptor is no socket (or belongs to another process). */
unsigned int own_name(pid_t pid, int fd, void *name, unsigned int size)
{
	uint32_t length = size;

	memset(name, 0, size);
	if (pid != self.vpid || raw_call(SYS_getsockname, (uint64_t)fd, U(name), U(&length), 0, 0, 0) != 0)
		return 0;
	return length;
}

static unsigned int peer_name(int fd, union name *name)
{
	uint32_t length = sizeof(*name);

	memset(name, 0, sizeof(*name));
	if (raw_call(SYS_getpeername, (uint64_t)fd, U(name), U(&length), 0, 0, 0) != 0)
		return 0;
	return length;
}

static void address_text(const union name *name, char *out)
{
	if (name->any.sa_family == AF_INET)
		inet_ntop(AF_INET, &name->v4.sin_addr, out, INET6_ADDRSTRLEN);
	else
		inet_ntop(AF_INET6, &name->v6.sin6_addr, out, INET6_ADDRSTRLEN);
}

static unsigned int port_of(const union name *name)
{
	return ntohs(name->any.sa_family == AF_INET ? name->v4.sin_port : name->v6.sin6_port);
}

/* The name without its leading NUL if abstract, as JSON. length: of the whole address. */
static void unix_path_json(const union name *name, unsigned int length, char *out, size_t size)
{
	const char *path = name->local.sun_path;
	size_t left = length > 2 ? length - 2 : 0;

	if (left > sizeof(name->local.sun_path))
		left = sizeof(name->local.sun_path);
	if (left && !*path) {
		path++;
		left--;
	}
	json_string(out, size, path, strnlen(path, left));
}

/* Of an address whose first bytes alone may be readable. */
static bool peek_family(pid_t pid, uint64_t address, uint16_t *family)
{
	unsigned int before = noted();
	bool read = peek(pid, address, family, sizeof(*family));

	note_only(before);
	return read;
}

static void exp_sockaddr(const char *param, const struct made *m, uint64_t address, int32_t length)
{
	char json[1024], text[INET6_ADDRSTRLEN], path[900];
	union name name;
	size_t n = length > 128 ? 128 : (size_t)length;
	uint16_t family = 0;
	bool inet;

	memset(&name, 0, sizeof(name));
	if (length >= 2 && peek_family(m->pid, address, &family) && (family == AF_INET || family == AF_INET6))
		n = family == AF_INET ? 8 : 24;
	/* No more of it is looked at than belongs to its family. */
	if (length < 2 || length < (int32_t)n || !peek(m->pid, address, &name, n)) {
		exp_null(param);
		return;
	}
	inet = name.any.sa_family == AF_INET || name.any.sa_family == AF_INET6;
	if (inet) {
		address_text(&name, text);
		snprintf(json, sizeof(json), "{\"family\":%d,\"addr\":\"%s\",\"port\":%u}", name.any.sa_family, text,
			 port_of(&name));
	} else if (name.any.sa_family == AF_UNIX) {
		unix_path_json(&name, (unsigned int)n, path, sizeof(path));
		snprintf(json, sizeof(json), "{\"family\":1,\"path\":%s}", path);
	} else {
		exp_null(param);
		return;
	}
	exp_json(param, json);
}

static void exp_inet_tuple(const char *param, const union name *from, const union name *to)
{
	char json[512], text[2][INET6_ADDRSTRLEN];

	address_text(from, text[0]);
	address_text(to, text[1]);
	snprintf(json, sizeof(json), "{\"family\":%d,\"src\":\"%s\",\"sport\":%u,\"dst\":\"%s\",\"dport\":%u}",
		 from->any.sa_family, text[0], port_of(from), text[1], port_of(to));
	exp_json(param, json);
}

/* passed: the address given to the call, of any length that can be read, or 0. */
static void exp_tuple(const char *param, const struct made *m, int fd, bool outbound, uint64_t passed)
{
	char json[1200], path[900];
	union name own, peer, other;
	unsigned int own_length = own_name(m->pid, fd, &own, sizeof(own)), peer_length = peer_name(fd, &peer);
	unsigned int passed_length = 0;

	if (own_length && own.any.sa_family == AF_UNIX)
		passed_length = sizeof(struct sockaddr_un);
	else if (own_length)
		passed_length = own.any.sa_family == AF_INET ? 8 : 24;
	memset(&other, 0, sizeof(other));
	if (!passed || !passed_length || !peek(m->pid, passed, &other, passed_length) ||
	    other.any.sa_family != own.any.sa_family)
		passed_length = 0;
	if (own_length && (own.any.sa_family == AF_INET || own.any.sa_family == AF_INET6)) {
		if (!peer_length) {
			memset(&peer, 0, sizeof(peer));
			peer.any.sa_family = own.any.sa_family;
			if (passed_length)
				peer = other;
		}
		exp_inet_tuple(param, outbound ? &own : &peer, outbound ? &peer : &own);
	} else if (own_length && own.any.sa_family == AF_UNIX) {
		const char *peer_pointer = peer_length ? "\"nonzero\"" : "0";

		if (!outbound)
			unix_path_json(&own, own_length, path, sizeof(path));
		else if (peer_length)
			unix_path_json(&peer, peer_length, path, sizeof(path));
		else
			unix_path_json(&other, passed_length, path, sizeof(path));
		snprintf(json, sizeof(json), "{\"family\":1,\"src_ptr\":%s,\"dst_ptr\":%s,\"path\":%s}",
			 outbound ? peer_pointer : "\"nonzero\"", outbound ? "\"nonzero\"" : peer_pointer, path);
		exp_json(param, json);
	} else {
		exp_null(param);
	}
}

/* Which of this process's descriptors are TCP sockets: asked when they are made. */
static bool tcp_sockets[256];

static unsigned int schema_socket_flags(uint64_t flags)
{
	return (flags & SOCK_CLOEXEC ? 4096u : 0) | (flags & SOCK_NONBLOCK ? 64u : 0);
}

void describe_socket(const struct made *m)
{
	exp_open("socket", m->tid, m->order);
	exp_int("fd", m->ret);
	exp_uint("domain", (uint32_t)m->a[0]);
	exp_uint("type", (uint32_t)m->a[1]);
	exp_uint("proto", (uint32_t)m->a[2]);
	exp_uint("flags", schema_socket_flags(m->a[1]));
	exp_close();
	if (m->ret >= 0 && m->ret < 256)
		tcp_sockets[m->ret] = (m->a[0] == AF_INET || m->a[0] == AF_INET6) && (m->a[1] & 15) == SOCK_STREAM;
}

void describe_bind(const struct made *m)
{
	exp_open("bind", m->tid, m->order);
	exp_int("res", m->ret);
	exp_sockaddr("addr", m, m->a[1], (int32_t)m->a[2]);
	exp_int("fd", fd_of(m->a[0]));
	exp_close();
}

/* A TCP connection that was tried also passes tcp_connect(), before the call returns. */
static void describe_tcp_connect(const struct made *m)
{
	union name own, to;

	if (m->pid != self.vpid || m->a[0] >= ARRAY_SIZE(tcp_sockets) || !tcp_sockets[m->a[0]])
		return;
	if (m->ret != 0 && m->ret != -EINPROGRESS && m->ret != -ECONNREFUSED)
		return;
	memset(&own, 0, sizeof(own));
	memcpy(&own, m->ends.local, m->ends.local_len);
	if (m->ret != -ECONNREFUSED)
		own_name(m->pid, (int)m->a[0], &own, sizeof(own));
	memset(&to, 0, sizeof(to));
	peek(m->pid, m->a[1], &to, own.any.sa_family == AF_INET ? 8 : 24);
	exp_open("tcp_connect", m->tid, m->order);
	exp_inet_tuple("tuple", &own, &to);
	exp_close();
}

void describe_connect(const struct made *m)
{
	struct made later = *m;

	exp_open("connect_e", m->tid, m->order - 1);
	exp_int("fd", fd_of(m->a[0]));
	exp_sockaddr("addr", m, m->a[1], (int32_t)m->a[2]);
	exp_close();
	describe_tcp_connect(m);
	later.order = order_next();
	exp_open("connect", m->tid, later.order);
	exp_int("res", m->ret);
	if (m->ret == 0 || m->ret == -EINPROGRESS)
		exp_tuple("tuple", m, (int)m->a[0], true, m->a[1]);
	else
		exp_null("tuple");
	exp_int("fd", fd_of(m->a[0]));
	exp_sockaddr("addr", m, m->a[1], (int32_t)m->a[2]);
	exp_close();
}

void describe_listen(const struct made *m)
{
	exp_open("listen", m->tid, m->order);
	exp_int("res", m->ret);
	exp_int("fd", fd_of(m->a[0]));
	exp_int("backlog", (int32_t)m->a[1]);
	exp_close();
}

void describe_accept(const struct made *m)
{
	struct accept_queue queue = accept_queue;

	memset(&accept_queue, 0, sizeof(accept_queue));
	exp_open(kinds[m->kind].event, m->tid, m->order);
	exp_int("fd", m->ret);
	if (m->ret >= 0)
		exp_tuple("tuple", m, (int)m->ret, false, 0);
	else
		exp_null("tuple");
	if (m->ret < 0)
		memset(&queue, 0, sizeof(queue));
	exp_uint("queuepct", queue.max ? (uint8_t)(queue.len * 100u / queue.max) : 0);
	exp_uint("queuelen", queue.len);
	exp_uint("queuemax", queue.max);
	if (m->kind == K_ACCEPT4)
		exp_uint("flags", schema_socket_flags(m->a[3]));
	exp_close();
}

void describe_sendto(const struct made *m)
{
	exp_open("sendto", m->tid, m->order);
	exp_int("res", m->ret);
	exp_user_buf("data", m->pid, m->a[1], m->ret > 0 ? (uint64_t)m->ret : m->a[2]);
	exp_int("fd", fd_of(m->a[0]));
	exp_uint("size", (uint32_t)m->a[2]);
	if (m->ret >= 0)
		exp_tuple("tuple", m, (int)m->a[0], true, m->a[4]);
	else
		exp_null("tuple");
	exp_close();
}

void describe_recvfrom(const struct made *m)
{
	uint64_t got = m->ret > 0 ? (uint64_t)m->ret : 0;

	exp_open("recvfrom", m->tid, m->order);
	exp_int("res", m->ret);
	exp_user_buf("data", m->pid, m->a[1], got < m->a[2] ? got : m->a[2]);
	if (m->ret >= 0)
		exp_tuple("tuple", m, (int)m->a[0], false, m->a[4]);
	else
		exp_null("tuple");
	exp_int("fd", fd_of(m->a[0]));
	exp_uint("size", (uint32_t)m->a[2]);
	exp_close();
}

void describe_send(const struct made *m)
{
	exp_open("send", m->tid, m->order);
	exp_int("res", m->ret);
	exp_user_buf("data", m->pid, m->a[1], m->ret > 0 ? (uint64_t)m->ret : m->a[2]);
	exp_int("fd", fd_of(m->a[0]));
	exp_uint("size", (uint32_t)m->a[2]);
	if (m->ret >= 0)
		exp_tuple("tuple", m, (int)m->a[0], true, 0);
	else
		exp_null("tuple");
	exp_close();
}

void describe_recv(const struct made *m)
{
	uint64_t got = m->ret > 0 ? (uint64_t)m->ret : 0;

	exp_open("recv", m->tid, m->order);
	exp_int("res", m->ret);
	exp_user_buf("data", m->pid, m->a[1], got < m->a[2] ? got : m->a[2]);
	exp_int("fd", fd_of(m->a[0]));
	exp_uint("size", (uint32_t)m->a[2]);
	if (m->ret >= 0)
		exp_tuple("tuple", m, (int)m->a[0], false, 0);
	else
		exp_null("tuple");
	exp_close();
}

static bool message_of(const struct made *m, struct msghdr *message)
{
	uint32_t narrow[7];

	if (!m->i386)
		return peek(m->pid, m->a[1], message, sizeof(*message));
	if (!peek(m->pid, m->a[1], narrow, sizeof(narrow)))
		return false;
	memset(message, 0, sizeof(*message));
	message->msg_name = (void *)U(narrow[0]);
	message->msg_namelen = narrow[1];
	message->msg_iov = (void *)U(narrow[2]);
	message->msg_iovlen = narrow[3];
	message->msg_control = (void *)U(narrow[4]);
	message->msg_controllen = narrow[5];
	return true;
}

/* What was moved: the result, or with many messages what the kernel says of the first. */
static int64_t message_bytes(const struct made *m)
{
	uint32_t bytes = 0;

	if (m->kind == K_SENDMSG || m->kind == K_RECVMSG)
		return m->ret;
	if (m->ret > 0)
		peek(m->pid, m->a[1] + (m->i386 ? 28 : sizeof(struct msghdr)), &bytes, sizeof(bytes));
	return bytes;
}

/* sendmsg, sendmmsg */
void describe_sendmsg(const struct made *m)
{
	struct msghdr message;
	unsigned int pointer;
	int64_t bytes;
	bool read;

	exp_open(kinds[m->kind].event, m->tid, m->order);
	exp_int("res", m->ret);
	exp_int("fd", fd_of(m->a[0]));
	read = message_of(m, &message);
	bytes = message_bytes(m);
	pointer = noted();
	if (read) {
		segments_of(m, U(message.msg_iov), message.msg_iovlen, bytes > 0 ? (uint64_t)bytes : UINT64_MAX, "data",
			    "size");
	} else {
		exp_null("data");
		note(pointer);
		exp_null("size");
	}
	note(pointer);
	if (read && m->ret >= 0)
		exp_tuple("tuple", m, (int)m->a[0], true, U(message.msg_name));
	else
		exp_null("tuple");
	exp_close();
}

/* recvmsg, recvmmsg */
void describe_recvmsg(const struct made *m)
{
	struct msghdr message;
	unsigned int pointer;
	int64_t bytes;
	bool read;

	exp_open(kinds[m->kind].event, m->tid, m->order);
	exp_int("res", m->ret);
	read = message_of(m, &message);
	bytes = message_bytes(m);
	pointer = noted();
	exp_uint("size", bytes > 0 ? (uint32_t)bytes : 0);
	note(pointer);
	if (read && bytes > 0)
		segments_of(m, U(message.msg_iov), message.msg_iovlen, (uint64_t)bytes, "data", NULL);
	else
		exp_null("data");
	note(pointer);
	if (read && m->ret >= 0) {
		exp_tuple("tuple", m, (int)m->a[0], false, U(message.msg_name));
		note(pointer);
		exp_user_buf("msgcontrol", m->pid, U(message.msg_control), message.msg_controllen);
	} else {
		exp_null("tuple");
		note(pointer);
		exp_null("msgcontrol");
	}
	exp_int("fd", fd_of(m->a[0]));
	exp_close();
}

/* SO_* of level SOL_SOCKET that hold an int. */
static const uint8_t int_options[] = {1,  2,  3,  5,  6,  7,  8,  9,  10, 11, 12, 14, 15, 16, 18, 19, 22, 23, 24, 27,
				      29, 30, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49};
static const uint8_t renamed_options[][2] = {{57, 53}, {55, 52}, {59, 51}, {63, 29},
					     {64, 35}, {65, 37}, {66, 20}, {67, 21}};

static unsigned int schema_option(uint32_t level, uint32_t name)
{
	if (level != SOL_SOCKET)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(renamed_options); i++)
		if (renamed_options[i][0] == name)
			return renamed_options[i][1];
	return name <= 50 ? name : 0;
}

static void exp_option_value(const struct made *m, uint32_t level, uint32_t name, uint64_t value, uint32_t length)
{
	char json[64 + 2 * 65536];
	int64_t number[2] = {0, 0};
	bool has_value;
	int kind = 0;
	size_t size = 0;

	if (level == SOL_SOCKET) {
		if (name == SO_ERROR)
			kind = 1, size = 4;
		else if (memchr(int_options, (int)name, name < 256 ? sizeof(int_options) : 0))
			kind = 2, size = 4;
		else if (name == 57)
			kind = 3, size = 8;
		else if (name == 20 || name == 21 || name == 66 || name == 67)
			kind = 4, size = 16;
	}
	if (kind == 0) {
		static unsigned char bytes[SNAPLEN_BYTES];
		uint32_t n = length > snaplen ? snaplen : length;
		size_t used;

		if (!n || !peek(m->pid, value, bytes, n)) {
			exp_null("val");
			return;
		}
		if (length > n)
			note(S_LONG);
		used = (size_t)sprintf(json, "{\"kind\":0,\"value\":\"");
		for (uint32_t i = 0; i < n; i++)
			used += (size_t)sprintf(json + used, "%02x", bytes[i]);
		strcpy(json + used, "\"}");
		exp_json("val", json);
		return;
	}
	if (kind == 4 && m->i386 && name < 60) {
		int32_t narrow[2] = {0, 0};

		has_value = peek(m->pid, value, narrow, sizeof(narrow));
		number[0] = narrow[0], number[1] = narrow[1];
	} else {
		has_value = peek(m->pid, value, number, size);
	}
	if (!has_value) {
		exp_null("val");
		return;
	}
	if (kind == 1)
		number[0] = -(int64_t)(int32_t)number[0];
	else if (kind == 4)
		number[0] = number[0] * 1000000000 + number[1] * 1000;
	snprintf(json, sizeof(json), kind == 1 ? "{\"kind\":%d,\"value\":%lld}" : "{\"kind\":%d,\"value\":%llu}", kind,
		 (long long)number[0]);
	exp_json("val", json);
}

/* getsockopt, setsockopt */
void describe_sockopt(const struct made *m)
{
	uint32_t level = (uint32_t)m->a[1], name = (uint32_t)m->a[2], length = (uint32_t)m->a[4];
	bool get = m->kind == K_GETSOCKOPT, has_length = true;
	unsigned int pointer;

	exp_open(kinds[m->kind].event, m->tid, m->order);
	exp_int("res", m->ret);
	exp_int("fd", fd_of(m->a[0]));
	exp_uint("level", level == SOL_SOCKET ? 1 : level == 6 ? 2 : 0);
	exp_uint("optname", schema_option(level, name));
	if (get)
		has_length = peek(m->pid, m->a[4], &length, sizeof(length));
	pointer = noted();
	if (get && m->ret < 0)
		exp_null("val");
	else
		exp_option_value(m, level, name, m->a[3], has_length ? length : 0);
	note(pointer);
	if (has_length)
		exp_uint("optlen", length);
	else
		exp_null("optlen");
	exp_close();
}

void describe_shutdown(const struct made *m)
{
	exp_open("shutdown", m->tid, m->order);
	exp_int("res", m->ret);
	exp_int("fd", fd_of(m->a[0]));
	exp_uint("how", (uint32_t)m->a[1] <= 2 ? m->a[1] : 255);
	exp_close();
}
