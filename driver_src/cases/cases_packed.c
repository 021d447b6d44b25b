// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Cases: the sub-calls of i386's socketcall and ipc, made with int $0x80 by this 64-bit program, whose static memory lies below 4 GiB.
 * Each is described as the call that it is.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "cases.h"

#define NR_SOCKETCALL 102
#define NR_IPC 117
#define BACKLOG 5
#define P(x) ((uint32_t)(uintptr_t)(x))

/* Sub-calls by linux/net.h and linux/ipc.h. */
enum {
	SUB_SOCKET = 1,
	SUB_BIND,
	SUB_CONNECT,
	SUB_LISTEN,
	SUB_ACCEPT,
	SUB_GETSOCKNAME,
	SUB_GETPEERNAME,
	SUB_SOCKETPAIR,
	SUB_SEND,
	SUB_RECV,
	SUB_SENDTO,
	SUB_RECVFROM,
	SUB_SHUTDOWN,
	SUB_SETSOCKOPT,
	SUB_GETSOCKOPT,
	SUB_SENDMSG,
	SUB_RECVMSG,
	SUB_ACCEPT4,
	SUB_RECVMMSG,
	SUB_SENDMMSG,
};
enum { SUB_SEMOP = 1, SUB_SEMGET, SUB_SEMCTL };

static int64_t int80(uint32_t number, uint32_t a0, uint32_t a1, uint32_t a2, uint32_t a3, uint32_t a4)
{
	int64_t ret;

	asm volatile("int $0x80"
		     : "=a"(ret)
		     : "0"((uint64_t)number), "b"(a0), "c"(a1), "d"(a2), "S"(a3), "D"(a4)
		     : "r8", "r9", "r10", "r11", "memory");
	return (int32_t)ret;
}

static struct made started(enum kind kind, uint32_t a0, uint32_t a1, uint32_t a2, uint32_t a3, uint32_t a4, uint32_t a5)
{
	struct made m = {.kind = kind, .a = {a0, a1, a2, a3, a4, a5}, .pid = self.vpid, .tid = self.tid, .i386 = true};

	m.order = order_next();
	return m;
}

static uint32_t *words; /* where the arguments of a socketcall lie */
static uint32_t usual_words[6];

static int64_t socketcall(enum kind kind, uint32_t sub, uint32_t a0, uint32_t a1, uint32_t a2, uint32_t a3, uint32_t a4,
			  uint32_t a5)
{
	static const uint8_t counts[] = {0, 3, 3, 3, 2, 3, 3, 3, 4, 4, 4, 6, 6, 2, 5, 5, 3, 3, 4, 5, 4};
	struct made m = started(kind, a0, a1, a2, a3, a4, a5);

	if (kind == K_CONNECT)
		m.ends.local_len = own_name(self.vpid, (int)a0, m.ends.local, sizeof(m.ends.local));
	m.order = order_next();
	for (int i = 0; i < counts[sub]; i++)
		words[i] = (uint32_t)m.a[i];
	m.ret = int80(NR_SOCKETCALL, sub, P(words), 0, 0, 0);
	describe(&m);
	return m.ret;
}

static union {
	struct sockaddr_in v4;
	struct sockaddr_un local;
} address;
static uint32_t length;
static char text[300], got[300];
static uint32_t parts[2][2], number = 1;
static struct {
	uint32_t name, name_length, segments, count, control, control_length, flags, moved;
} message, messages[2];

static void prepare_messages(uint32_t memory)
{
	parts[0][0] = memory, parts[0][1] = 7;
	parts[1][0] = memory + 100, parts[1][1] = 11;
	memset(&message, 0, sizeof(message));
	message.segments = P(parts);
	message.count = 2;
	messages[0] = messages[1] = message;
}

static void setup(void)
{
	words = usual_words;
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (char)(i + 1);
}

/* A UDP socket that sends to itself. */
static void datagrams(void)
{
	int fd = (int)socketcall(K_SOCKET, SUB_SOCKET, AF_INET, SOCK_DGRAM, 0, 0, 0, 0);
	uint32_t to;

	must("socket", fd >= 0);
	memset(&address, 0, sizeof(address));
	address.v4.sin_family = AF_INET;
	address.v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	to = P(&address);
	must("bind", socketcall(K_BIND, SUB_BIND, (uint32_t)fd, to, 16, 0, 0, 0) == 0);
	/* The port that the kernel chose. */
	own_name(self.vpid, fd, &address, sizeof(address));
	must("sendto", socketcall(K_SENDTO, SUB_SENDTO, (uint32_t)fd, P(text), 100, 0, to, 16) == 100);
	must("recvfrom", socketcall(K_RECVFROM, SUB_RECVFROM, (uint32_t)fd, P(got), 200, 0, 0, 0) == 100);
	must("connect", socketcall(K_CONNECT, SUB_CONNECT, (uint32_t)fd, to, 16, 0, 0, 0) == 0);
	must("send", socketcall(K_SEND, SUB_SEND, (uint32_t)fd, P(text), 120, 0, 0, 0) == 120);
	must("recv", socketcall(K_RECV, SUB_RECV, (uint32_t)fd, P(got), 20, 0, 0, 0) == 20);
	must("recv", socketcall(K_RECV, SUB_RECV, (uint32_t)fd, P(got), 20, MSG_DONTWAIT, 0, 0) == -EAGAIN);
	must("send", socketcall(K_SEND, SUB_SEND, (uint32_t)fd, UNMAPPED, 12, 0, 0, 0) == -EFAULT);
	must("send", socketcall(K_SEND, SUB_SEND, (uint32_t)fd, 0, 0, 0, 0, 0) == 0);
	must("recv", socketcall(K_RECV, SUB_RECV, (uint32_t)fd, 0, 0, 0, 0, 0) == 0);
	prepare_messages(P(text));
	must("sendmsg", socketcall(K_SENDMSG, SUB_SENDMSG, (uint32_t)fd, P(&message), 0, 0, 0, 0) == 18);
	prepare_messages(P(got));
	must("recvmsg", socketcall(K_RECVMSG, SUB_RECVMSG, (uint32_t)fd, P(&message), 0, 0, 0, 0) == 18);
	prepare_messages(P(text));
	must("sendmmsg", socketcall(K_SENDMMSG, SUB_SENDMMSG, (uint32_t)fd, P(messages), 2, 0, 0, 0) == 2);
	prepare_messages(P(got));
	must("recvmmsg", socketcall(K_RECVMMSG, SUB_RECVMMSG, (uint32_t)fd, P(messages), 2, 0, 0, 0) == 2);
	must("setsockopt",
	     socketcall(K_SETSOCKOPT, SUB_SETSOCKOPT, (uint32_t)fd, SOL_SOCKET, SO_REUSEADDR, P(&number), 4, 0) == 0);
	length = 4;
	must("getsockopt", socketcall(K_GETSOCKOPT, SUB_GETSOCKOPT, (uint32_t)fd, SOL_SOCKET, SO_TYPE, P(&number),
				      P(&length), 0) == 0);
	must("shutdown", socketcall(K_SHUTDOWN, SUB_SHUTDOWN, (uint32_t)fd, SHUT_RDWR, 0, 0, 0, 0) == 0);
	call1(K_CLOSE, fd);
}

static void accept_one(int listener, enum kind kind, uint32_t sub, uint32_t flags)
{
	int fd = (int)socketcall(K_SOCKET, SUB_SOCKET, AF_UNIX, SOCK_STREAM, 0, 0, 0, 0), accepted;

	must("connect", socketcall(K_CONNECT, SUB_CONNECT, (uint32_t)fd, P(&address), length, 0, 0, 0) == 0);
	accept_queue = (struct accept_queue){0, BACKLOG};
	accepted = (int)socketcall(kind, sub, (uint32_t)listener, 0, 0, flags, 0, 0);
	must("accept", accepted >= 0);
	must("send", socketcall(K_SEND, SUB_SEND, (uint32_t)accepted, P(text), 5, 0, 0, 0) == 5);
	must("recv", socketcall(K_RECV, SUB_RECV, (uint32_t)fd, P(got), 5, 0, 0, 0) == 5);
	call1(K_CLOSE, accepted);
	call1(K_CLOSE, fd);
}

static void streams(void)
{
	static int ends[2];
	int listener = (int)socketcall(K_SOCKET, SUB_SOCKET, AF_UNIX, SOCK_STREAM, 0, 0, 0, 0);

	memset(&address, 0, sizeof(address));
	address.local.sun_family = AF_UNIX;
	length = 3 + (uint32_t)snprintf(address.local.sun_path + 1, 40, "packed-%d", self.vpid);
	must("bind", socketcall(K_BIND, SUB_BIND, (uint32_t)listener, P(&address), length, 0, 0, 0) == 0);
	must("listen", socketcall(K_LISTEN, SUB_LISTEN, (uint32_t)listener, BACKLOG, 0, 0, 0, 0) == 0);
	accept_one(listener, K_ACCEPT, SUB_ACCEPT, 0);
	accept_one(listener, K_ACCEPT4, SUB_ACCEPT4, SOCK_CLOEXEC);
	call1(K_CLOSE, listener);
	must("socketpair", socketcall(K_SOCKETPAIR, SUB_SOCKETPAIR, AF_UNIX, SOCK_STREAM, 0, P(ends), 0, 0) == 0);
	call1(K_CLOSE, ends[0]);
	call1(K_CLOSE, ends[1]);
}

/* Arguments that cannot be read: nothing is known of the sub-call but which it is and what it returned. */
static void expect_lost(const char *event, const char *const *params, int64_t ret, unsigned long order)
{
	exp_open(event, self.tid, order);
	exp_int(*params++, ret);
	while (*params)
		exp_null(*params++);
	exp_close();
}

static void lost_arguments(void)
{
	static const char *const send[] = {"res", "data", "fd", "size", "tuple", NULL};
	static const char *const socket[] = {"fd", "domain", "type", "proto", "flags", NULL};
	unsigned long order = order_next();

	expect_lost("send", send, int80(NR_SOCKETCALL, SUB_SEND, 0, 0, 0, 0), order);
	order = order_next();
	expect_lost("socket", socket, int80(NR_SOCKETCALL, SUB_SOCKET, UNMAPPED, 0, 0, 0), order);
	order = order_next();
	expect_lost("send", send, int80(NR_SOCKETCALL, SUB_SEND, P(words), 0, 0, 0), order);
	/* There are no such sub-calls, and what the catalogue numbers by itself is no call of the kernel. */
	int80(NR_SOCKETCALL, 0, P(usual_words), 0, 0, 0);
	int80(NR_SOCKETCALL, 21, P(usual_words), 0, 0, 0);
	int80(501, 1, P(text), 5, 0, 0);
}

/* The arguments end where the page ends: not one byte more is looked at. */
static void arguments_at_page_end(void)
{
	uint64_t page = (uint64_t)call_all(K_MMAP, 0, 2 * PAGE, PROT_READ | PROT_WRITE,
					   MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	uint32_t *end = (uint32_t *)(page + PAGE);

	must("mprotect", call3(K_MPROTECT, page + PAGE, PAGE, PROT_NONE) == 0);
	words = end - 2;
	socketcall(K_LISTEN, SUB_LISTEN, (uint32_t)-1, 3, 0, 0, 0, 0);
	words = end - 6;
	socketcall(K_SENDTO, SUB_SENDTO, (uint32_t)-1, P(text), 3, 0, 0, 0);
	words = end - 4;
	socketcall(K_SEND, SUB_SEND, (uint32_t)-1, P(text), 3, 0, 0, 0);
	words = end - 3;
	lost_arguments();
	words = usual_words;
}

static void socketcall_cases(void)
{
	if (!i386_runs) {
		case_skip("this kernel takes no 32-bit calls");
		return;
	}
	setup();
	datagrams();
	streams();
	socketcall(K_RECV, SUB_RECV, (uint32_t)-1, P(got), 5, 0, 0, 0);
	arguments_at_page_end();
}

/* In a process of its own: elsewhere the cases ask for the names of sockets themselves. */
static void names(void)
{
	if (!i386_runs) {
		case_skip("this kernel takes no 32-bit calls");
		return;
	}
	setup();
	length = sizeof(address);
	socketcall(K_GETSOCKNAME, SUB_GETSOCKNAME, (uint32_t)-1, P(&address), P(&length), 0, 0, 0);
	socketcall(K_GETPEERNAME, SUB_GETPEERNAME, 0, P(&address), P(&length), 0, 0, 0);
	/* Arguments that cannot be read: the event has no parameters that could be lost. */
	words = usual_words;
	exp_open("getsockname", self.tid, order_next());
	exp_close();
	int80(NR_SOCKETCALL, SUB_GETSOCKNAME, UNMAPPED, 0, 0, 0);
}

/* first to third and ptr: as ipc has them. a0 to a3: the sub-call's own arguments. */
static int64_t ipc(enum kind kind, uint32_t sub, const uint32_t *given, uint32_t a0, uint32_t a1, uint32_t a2,
		   uint32_t a3)
{
	struct made m = started(kind, a0, a1, a2, a3, 0, 0);

	m.ret = int80(NR_IPC, sub, given[0], given[1], given[2], given[3]);
	describe(&m);
	return m.ret;
}

static int64_t semctl_packed(uint32_t id, uint32_t which, uint32_t command, uint32_t value)
{
	static uint32_t behind;

	behind = value;
	return ipc(K_SEMCTL, SUB_SEMCTL, (uint32_t[4]){id, which, command, P(&behind)}, id, which, command, value);
}

static int64_t semop_packed(uint32_t id, uint32_t operations, uint32_t count)
{
	return ipc(K_SEMOP, SUB_SEMOP, (uint32_t[4]){id, count, 0, operations}, id, operations, count, 0);
}

static int64_t semget_packed(uint32_t key, uint32_t count, uint32_t flags)
{
	return ipc(K_SEMGET, SUB_SEMGET, (uint32_t[4]){key, count, flags, 0}, key, count, flags, 0);
}

static void ipc_cases_packed(void)
{
	static const char *const semctl_params[] = {"res", "semid", "semnum", "cmd", "val", NULL};
	static struct sembuf operations[2] = {{0, 2, IPC_NOWAIT}, {1, -1, IPC_NOWAIT | SEM_UNDO}};
	unsigned long order;
	uint32_t id;

	if (!i386_runs) {
		case_skip("this kernel takes no 32-bit calls");
		return;
	}
	id = (uint32_t)semget_packed(IPC_PRIVATE, 2, IPC_CREAT | 0600);
	must("semget", (int32_t)id >= 0);
	must("semget", semget_packed(0x7eedface, (uint32_t)-1, IPC_EXCL) < 0);
	must("semctl", semctl_packed(id, 1, SETVAL, 7) == 0);
	must("semctl", semctl_packed(id, 1, GETVAL | 0x100, 0) == 7);
	must("semop", semop_packed(id, P(operations), 2) == 0);
	must("semop", semop_packed(id, 0, 2) == -EFAULT);
	must("semop", semop_packed((uint32_t)-1, P(operations), 1) == -EINVAL);
	/* A version in the upper half, which these sub-calls do not look at. */
	must("semctl",
	     ipc(K_SEMCTL, 1 << 16 | SUB_SEMCTL, (uint32_t[4]){id, 0, GETVAL, P(operations)}, id, 0, GETVAL, 0) == 2);
	order = order_next();
	expect_lost("semctl", semctl_params, int80(NR_IPC, SUB_SEMCTL, id, 0, GETVAL, UNMAPPED), order);
	must("semctl", semctl_packed(id, 0, IPC_RMID, 0) == 0);
}

const struct one_case packed_cases[] = {
	{"i386-socketcall", socketcall_cases},
	{"i386-names", names},
	{"i386-ipc", ipc_cases_packed},
	{NULL, NULL},
};
