// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The 32-bit program of the event cases: makes i386 calls with int 0x80, keeps what it passed and got, writes the address of
 * that to descriptor 1, and ends when a byte comes in on descriptor 0. No library: nothing but these calls is made.
 */
#include <stdint.h>

#include "i386.h"

static struct i386_log log;

static int32_t call(uint32_t number, const uint32_t *a)
{
	const uint32_t last[2] = {number, a[5]};
	int32_t ret;

	/* ebp carries the sixth argument; the compiler may need it itself. */
	asm volatile("push %%ebp\n\t"
		     "mov 4(%%eax), %%ebp\n\t"
		     "mov (%%eax), %%eax\n\t"
		     "int $0x80\n\t"
		     "pop %%ebp"
		     : "=a"(ret)
		     : "0"(last), "b"(a[0]), "c"(a[1]), "d"(a[2]), "S"(a[3]), "D"(a[4])
		     : "memory");
	return ret;
}

static int32_t made(enum kind kind, uint32_t number, uint32_t a0, uint32_t a1, uint32_t a2, uint32_t a3, uint32_t a4)
{
	struct i386_record *record = &log.records[log.count++];

	record->kind = kind;
	record->a[0] = a0;
	record->a[1] = a1;
	record->a[2] = a2;
	record->a[3] = a3;
	record->a[4] = a4;
	record->ret = call(number, record->a);
	return record->ret;
}

#define P(x) ((uint32_t)(uintptr_t)(x))

static const char folder[] = "/tmp", nowhere[] = "/nonexistent/i386";
static char text[300], got[2][300];
static struct {
	uint32_t base, length;
} parts[2][3];
static struct {
	int32_t seconds, nanoseconds;
} moment = {0, 3000007};
static struct {
	int32_t fd;
	int16_t events, revents;
} entry = {-3, 1, 0};
static struct {
	uint16_t family, port;
	uint32_t address;
	uint8_t rest[8];
} address = {2, 0xd204, 0x0100007f, {0}};
static struct {
	uint32_t name, name_length, segments, count, control, control_length, flags;
} message;
static uint32_t one = 1, address_of_log;
static int32_t ends[2];

static void make_calls(void)
{
	int32_t fd = made(K_OPENAT, 295, (uint32_t)-100, P(folder), 0200000, 0, 0);

	made(K_OPENAT, 295, (uint32_t)-100, P(nowhere), 02 | 0100, 0600, 0);
	made(K_OPEN, 5, P(folder), 0, 0, 0, 0);
	made(K_OPEN, 5, 16, 0, 0, 0, 0);
	made(K_DUP, 41, (uint32_t)fd, 0, 0, 0, 0);
	made(K_DUP2, 63, (uint32_t)fd, 40, 0, 0, 0);
	made(K_CLOSE, 6, 40, 0, 0, 0, 0);
	made(K_CLOSE, 6, (uint32_t)-1, 0, 0, 0, 0);
	made(K_FCNTL, 55, (uint32_t)fd, 3, 0xffffffff, 0, 0);
	made(K_PIPE2, 331, P(ends), 02000000, 0, 0, 0);
	made(K_WRITE, 4, (uint32_t)ends[1], P(text), 100, 0, 0);
	made(K_READ, 3, (uint32_t)ends[0], P(got[0]), 90, 0, 0);
	made(K_WRITE, 4, (uint32_t)-1, P(text), 9, 0, 0);
	parts[0][0].base = P(text), parts[0][0].length = 3;
	parts[0][1].base = P(text + 100), parts[0][1].length = 4;
	parts[0][2].base = P(text + 200), parts[0][2].length = 5;
	made(K_WRITEV, 146, (uint32_t)ends[1], P(parts[0]), 3, 0, 0);
	parts[1][0].base = P(got[1]), parts[1][0].length = 10;
	parts[1][1].base = P(got[1] + 100), parts[1][1].length = 200;
	made(K_READV, 145, (uint32_t)ends[0], P(parts[1]), 2, 0, 0);
	/* The position comes in two halves. */
	made(K_PREAD, 180, (uint32_t)-1, P(got[0]), 5, 0x89abcdef, 0x01234567);
	made(K_PWRITE, 181, (uint32_t)-1, P(text), 5, 7, 0);
	made(K_IOCTL, 54, (uint32_t)fd, 0x80005401, 0xfffffff0, 0, 0);
	made(K_KILL, 37, (uint32_t)-0x7ffffff0, 0, 0, 0, 0);
	made(K_FUTEX, 240, P(&one), 1 | 128, 1, 0, 0);
	made(K_NANOSLEEP, 162, P(&moment), 0, 0, 0, 0);
	made(K_POLL, 168, P(&entry), 1, 0, 0, 0);
	made(K_CHDIR, 12, P(nowhere), 0, 0, 0, 0);
	made(K_RENAME, 38, P(nowhere), P(folder), 0, 0, 0);
	made(K_UNLINKAT, 301, (uint32_t)-100, P(nowhere), 0x200, 0, 0);
	made(K_MKDIRAT, 296, (uint32_t)-100, P(nowhere), 0755, 0, 0);
	made(K_FCHMODAT, 306, (uint32_t)-100, P(nowhere), 0644, 0, 0);
	made(K_SOCKET, 359, 2, 2 | 02000000, 0, 0, 0);
	made(K_BIND, 361, (uint32_t)-1, P(&address), 16, 0, 0);
	made(K_CONNECT, 362, (uint32_t)-1, P(&address), 16, 0, 0);
	made(K_SENDTO, 369, (uint32_t)-1, P(text), 20, 0, P(&address));
	message.segments = P(parts[0]), message.count = 3;
	made(K_SENDMSG, 370, (uint32_t)-1, P(&message), 0, 0, 0);
	made(K_SETSOCKOPT, 366, (uint32_t)-1, 1, 2, P(&one), 4);
	made(K_SHUTDOWN, 373, (uint32_t)-1, 2, 0, 0, 0);
	made(K_PRCTL, 172, 3, 0xfffffffe, 0, 0, 0);
}

__attribute__((used, noreturn)) static void start(const uint32_t *stack)
{
	const char *name = (const char *)(uintptr_t)stack[1];
	uint32_t none[6] = {0};

	/* Only asked whether 32-bit programs run here. */
	if (stack[0] > 0 && name[0] == 'p')
		call(252, none);
	for (unsigned int i = 0; i < sizeof(text); i++)
		text[i] = (char)(i + 1);
	for (unsigned int i = 0; i < sizeof(got); i++)
		((volatile char *)got)[i] = 0;
	make_calls();
	address_of_log = P(&log);
	made(K_WRITE, 4, 1, P(&address_of_log), 4, 0, 0);
	call(3, (uint32_t[6]){0, P(&one), 1, 0, 0, 0});
	call(252, (uint32_t[6]){4, 0, 0, 0, 0, 0});
	__builtin_unreachable();
}

asm(".globl _start\n"
    "_start:\n"
    "	mov %esp, %eax\n"
    "	and $-16, %esp\n"
    "	sub $12, %esp\n"
    "	push %eax\n"
    "	call start\n"
    "	hlt\n");
