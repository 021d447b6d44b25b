// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The i386 way to make a call: int $0x80 of this 64-bit program, whose static memory lies below 4 GiB. Structures that
 * i386 lays out otherwise are written anew in memory of their own; a call that cannot be made so is made as it is.
 */
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "cases.h"

#define STRINGS 80

bool compat_calls, compat_as_given;

static struct {
	uint32_t vectors[4][20][2];
	uint32_t messages[2][8];
	uint32_t strings[2][STRINGS];
	int32_t moments[2][2];
	uint32_t limit[2];
} here;
static int vectors_used;

/* words: the number and six arguments. A function of its own: the caller's stack below its pointer is not touched. */
int64_t int80(const uint32_t *words);
asm(".globl int80\n"
    ".type int80, @function\n"
    "int80:\n"
    "	push %rbx\n"
    "	push %rbp\n"
    "	mov %rdi, %rax\n"
    "	mov 4(%rax), %ebx\n"
    "	mov 8(%rax), %ecx\n"
    "	mov 12(%rax), %edx\n"
    "	mov 16(%rax), %esi\n"
    "	mov 20(%rax), %edi\n"
    "	mov 24(%rax), %ebp\n"
    "	mov (%rax), %eax\n"
    "	int $0x80\n"
    "	pop %rbp\n"
    "	pop %rbx\n"
    "	ret\n");

int64_t compat_call(int number, uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5)
{
	const uint32_t words[7] = {(uint32_t)number, (uint32_t)a0, (uint32_t)a1, (uint32_t)a2,
				   (uint32_t)a3,     (uint32_t)a4, (uint32_t)a5};

	return (int32_t)int80(words);
}

/* Their numbers as sub-calls of socketcall (102), whose arguments lie in memory. */
static const uint8_t socket_subcalls[K_KINDS] = {
	[K_SOCKET] = 1,	     [K_BIND] = 2,	  [K_CONNECT] = 3,    [K_LISTEN] = 4,	   [K_ACCEPT] = 5,
	[K_GETSOCKNAME] = 6, [K_GETPEERNAME] = 7, [K_SOCKETPAIR] = 8, [K_SEND] = 9,	   [K_RECV] = 10,
	[K_SENDTO] = 11,     [K_RECVFROM] = 12,	  [K_SHUTDOWN] = 13,  [K_SETSOCKOPT] = 14, [K_GETSOCKOPT] = 15,
	[K_SENDMSG] = 16,    [K_RECVMSG] = 17,	  [K_ACCEPT4] = 18,
};

/* And as sub-calls of ipc (117). */
static const uint8_t ipc_subcalls[K_KINDS] = {[K_SEMOP] = 1, [K_SEMGET] = 2, [K_SEMCTL] = 3};

bool has_subcall(enum kind kind)
{
	return socket_subcalls[kind] || ipc_subcalls[kind];
}

int64_t compat_subcall(const struct made *m)
{
	static uint32_t words[6];
	const uint64_t *a = m->a;

	for (int i = 0; i < 6; i++)
		words[i] = (uint32_t)a[i];
	if (m->kind == K_SEMOP)
		return compat_call(117, 1, a[0], a[2], 0, a[1], 0);
	/* What semctl takes last lies in memory. */
	if (ipc_subcalls[m->kind])
		return compat_call(117, ipc_subcalls[m->kind], a[0], a[1], a[2], U(&words[3]), 0);
	return compat_call(102, socket_subcalls[m->kind], U(words), 0, 0, 0, 0);
}

static bool fits(uint64_t value)
{
	return value == (uint32_t)value || value == (uint64_t)(int64_t)(int32_t)value;
}

/* No structure is there, so that its layout does not matter. */
static bool points_nowhere(uint64_t address)
{
	return address < 1ul << 16 || address == KERNEL_ADDRESS;
}

static bool vector_of(uint64_t *array, uint64_t count)
{
	struct iovec wide[20];
	uint32_t(*narrow)[2] = here.vectors[vectors_used];

	if (points_nowhere(*array) || count == 0)
		return true;
	if (count > ARRAY_SIZE(wide) || !peek(self.vpid, *array, wide, count * sizeof(*wide)))
		return false;
	for (uint64_t i = 0; i < count; i++) {
		if (!fits(U(wide[i].iov_base)) || !fits(wide[i].iov_len))
			return false;
		narrow[i][0] = (uint32_t)U(wide[i].iov_base);
		narrow[i][1] = (uint32_t)wide[i].iov_len;
	}
	*array = U(narrow);
	vectors_used++;
	return true;
}

/* struct msghdr, followed by the length of struct mmsghdr. */
static bool messages_of(uint64_t *address, uint64_t count, size_t size, size_t narrow_size)
{
	struct mmsghdr wide;
	char *narrow = (char *)here.messages;

	if (points_nowhere(*address))
		return true;
	for (uint64_t i = 0; i < count; i++) {
		struct msghdr *m = &wide.msg_hdr;
		uint64_t vector;

		if (i >= 2 || !peek(self.vpid, *address + i * size, &wide, size))
			return false;
		vector = U(m->msg_iov);
		if (!vector_of(&vector, m->msg_iovlen) || !fits(U(m->msg_name)) || !fits(U(m->msg_control)))
			return false;
		memcpy(narrow + i * narrow_size,
		       (uint32_t[8]){(uint32_t)U(m->msg_name), m->msg_namelen, (uint32_t)vector,
				     (uint32_t)m->msg_iovlen, (uint32_t)U(m->msg_control), (uint32_t)m->msg_controllen,
				     (uint32_t)m->msg_flags, 0},
		       narrow_size);
	}
	*address = U(narrow);
	return true;
}

static bool moment_of(uint64_t *address, int which)
{
	int64_t wide[2];

	if (points_nowhere(*address))
		return true;
	if (!peek(self.vpid, *address, wide, sizeof(wide)))
		return false;
	here.moments[which][0] = (int32_t)wide[0];
	here.moments[which][1] = (int32_t)wide[1];
	*address = U(here.moments[which]);
	return true;
}

static bool strings_of(uint64_t *array, int which)
{
	uint64_t one;

	if (points_nowhere(*array))
		return true;
	for (uint32_t i = 0; i < STRINGS; i++) {
		if (!peek(self.vpid, *array + 8 * i, &one, sizeof(one)) || !fits(one))
			return false;
		here.strings[which][i] = (uint32_t)one;
		if (!one) {
			*array = U(here.strings[which]);
			return true;
		}
	}
	return false;
}

static bool limit_of(uint64_t *address, bool set)
{
	uint64_t wide[2];

	if (points_nowhere(*address))
		return true;
	if (!peek(self.vpid, *address, wide, sizeof(wide)))
		return false;
	for (int i = 0; set && i < 2; i++)
		here.limit[i] = wide[i] > UINT32_MAX ? UINT32_MAX : (uint32_t)wide[i];
	*address = U(here.limit);
	return true;
}

/* Structures that i386 lays out otherwise. */
static bool structures_of(struct made *m)
{
	uint64_t *a = m->a;

	switch (m->kind) {
	case K_READV:
	case K_WRITEV:
		return vector_of(&a[1], a[2]);
	case K_PROCESS_VM_READV:
	case K_PROCESS_VM_WRITEV:
		return vector_of(&a[1], a[2]) && vector_of(&a[3], a[4]);
	case K_SENDMSG:
	case K_RECVMSG:
		return messages_of(&a[1], 1, sizeof(struct msghdr), 28);
	case K_SENDMMSG:
	case K_RECVMMSG:
		return messages_of(&a[1], a[2], sizeof(struct mmsghdr), 32) && moment_of(&a[4], 0);
	case K_NANOSLEEP:
		return moment_of(&a[0], 0) && moment_of(&a[1], 1);
	case K_PPOLL:
		return moment_of(&a[2], 0);
	case K_FUTEX:
		return moment_of(&a[3], 0);
	case K_GETRLIMIT:
		return limit_of(&a[1], false);
	case K_SETRLIMIT:
		return limit_of(&a[1], true);
	case K_EXECVE:
		return strings_of(&a[1], 0) && strings_of(&a[2], 1);
	case K_EXECVEAT:
		return strings_of(&a[2], 0) && strings_of(&a[3], 1);
	default:
		return true;
	}
}

/* The arguments as i386 passes them. False: it cannot. */
static bool arguments_of(struct made *m)
{
	uint64_t *a = m->a;

	vectors_used = 0;
	switch (m->kind) {
	case K_PREAD:
	case K_PWRITE:
	case K_PREADV:
	case K_PWRITEV:
		a[4] = a[3] >> 32;
		a[3] = (uint32_t)a[3];
		return m->kind == K_PREAD || m->kind == K_PWRITE || compat_as_given || vector_of(&a[1], a[2]);
	case K_SELECT: /* 82 takes a structure of its arguments */
		return compat_as_given;
	default:
		return compat_as_given || structures_of(m);
	}
}
/* Makes it an i386 call, if it can be one. */
bool compat_prepare(struct made *m)
{
	struct made made = *m;

	if (!compat_calls || kinds[m->kind].number_i386 <= 0 || !arguments_of(&made))
		return false;
	for (int i = 0; i < 6; i++) {
		if (!fits(made.a[i]))
			return false;
		made.a[i] = (uint32_t)made.a[i];
	}
	made.i386 = true;
	*m = made;
	return true;
}
