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

static int32_t made6(enum kind kind, uint32_t number, uint32_t a0, uint32_t a1, uint32_t a2, uint32_t a3, uint32_t a4,
		     uint32_t a5)
{
	struct i386_record *record = &log.records[log.count++];

	record->kind = kind;
	record->a[0] = a0;
	record->a[1] = a1;
	record->a[2] = a2;
	record->a[3] = a3;
	record->a[4] = a4;
	record->a[5] = a5;
	record->ret = call(number, record->a);
	return record->ret;
}

static int32_t made(enum kind kind, uint32_t number, uint32_t a0, uint32_t a1, uint32_t a2, uint32_t a3, uint32_t a4)
{
	return made6(kind, number, a0, a1, a2, a3, a4, 0);
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

/* Each call has memory of its own: what it left there is read when all are made. */
static char area[256], place[256];
static uint32_t limits[3][2], numbers[32];
static struct {
	int32_t seconds, nanoseconds;
} short_moment = {0, 1000003};

/* Calls on paths; what only i386 has is tried with every sort of pointer. */
static void make_path_calls(int32_t fd)
{
	made(K_MKDIR, 39, P(nowhere), 0755, 0, 0, 0);
	made(K_RMDIR, 40, P(nowhere), 0, 0, 0, 0);
	made(K_LINK, 9, P(nowhere), P(folder), 0, 0, 0);
	made(K_LINKAT, 303, (uint32_t)-100, P(nowhere), (uint32_t)fd, P(folder), 0x400);
	made(K_SYMLINK, 83, P(folder), P(nowhere), 0, 0, 0);
	made(K_SYMLINKAT, 304, P(folder), (uint32_t)-100, P(nowhere), 0, 0);
	made(K_UNLINK, 10, P(nowhere), 0, 0, 0, 0);
	made(K_RENAMEAT, 302, (uint32_t)-100, P(nowhere), (uint32_t)-5, P(folder), 0);
	made(K_CHMOD, 15, P(nowhere), 0644, 0, 0, 0);
	made(K_FCHMOD, 94, (uint32_t)-1, 0644, 0, 0, 0);
	made(K_CHOWN, 212, P(nowhere), 0xffffffff, 70000, 0, 0);
	made(K_LCHOWN, 198, P(nowhere), 0xfffffff0, 1, 0, 0);
	made(K_FCHOWN, 207, (uint32_t)-1, 5, 6, 0, 0);
	made(K_FCHOWNAT, 298, (uint32_t)-100, P(nowhere), 7, 8, 0x100);
	made(K_FCHDIR, 133, (uint32_t)fd, 0, 0, 0, 0);
	made(K_GETCWD, 183, P(place), sizeof(place), 0, 0, 0);
	made(K_STAT, 106, P(folder), P(area), 0, 0, 0);
	made(K_LSTAT, 107, P(nowhere), P(area), 0, 0, 0);
	made(K_FSTAT, 108, (uint32_t)fd, P(area), 0, 0, 0);
	made(K_STAT64, 195, P(folder), P(area), 0, 0, 0);
	made(K_STAT64, 195, P(nowhere), P(area), 0, 0, 0);
	made(K_STAT64, 195, 16, P(area), 0, 0, 0);
	made(K_LSTAT64, 196, P(folder), P(area), 0, 0, 0);
	made(K_LSTAT64, 196, 0, P(area), 0, 0, 0);
	made(K_FSTAT64, 197, (uint32_t)fd, P(area), 0, 0, 0);
	made(K_FSTAT64, 197, (uint32_t)-1, P(area), 0, 0, 0);
	made(K_ACCESS, 33, P(folder), 5, 0, 0, 0);
	made(K_CHROOT, 61, P(nowhere), 0, 0, 0, 0);
	made(K_UMOUNT, 22, P(nowhere), 0, 0, 0, 0);
	made(K_UMOUNT, 22, 16, 0, 0, 0, 0);
	made(K_UMOUNT2, 52, P(nowhere), 8, 0, 0, 0);
	made(K_MKNOD, 14, P(nowhere), 0010644, 0x1234, 0, 0);
	made(K_MKNODAT, 297, (uint32_t)-100, P(nowhere), 0100600, 7, 0);
}

static void make_descriptor_calls(int32_t fd)
{
	made(K_LSEEK, 19, (uint32_t)fd, 0xfffffff0, 1, 0, 0);
	made(K_LLSEEK, 140, (uint32_t)fd, 0, 0, P(numbers), 0);
	made(K_LLSEEK, 140, (uint32_t)-1, 0x12345678, 0x9abcdef0, P(numbers), 2);
	made(K_FLOCK, 143, (uint32_t)fd, 5, 0, 0, 0);
	made(K_GETDENTS, 141, (uint32_t)-1, P(area), sizeof(area), 0, 0);
	made(K_GETDENTS64, 220, (uint32_t)fd, P(area), sizeof(area), 0, 0);
	parts[0][0].base = P(text), parts[0][0].length = 3;
	made(K_PREADV, 333, (uint32_t)-1, P(parts[1]), 2, 0x89abcdef, 0x1234567);
	made(K_PWRITEV, 334, (uint32_t)-1, P(parts[0]), 1, 5, 6);
	made(K_PIPE, 42, P(&numbers[2]), 0, 0, 0, 0);
	made(K_EVENTFD, 323, 9, 0, 0, 0, 0);
	made(K_EVENTFD2, 328, 9, 04000, 0, 0, 0);
	made(K_SIGNALFD, 321, (uint32_t)-1, P(&one), 8, 0, 0);
	made(K_SIGNALFD4, 327, (uint32_t)-1, P(&one), 8, 02000000, 0);
	made(K_TIMERFD_CREATE, 322, 1, 0, 0, 0, 0);
	made(K_INOTIFY_INIT1, 332, 02000000, 0, 0, 0, 0);
	made(K_EPOLL_CREATE1, 329, 02000000, 0, 0, 0, 0);
	made(K_PPOLL, 309, P(&entry), 1, P(&short_moment), P(&numbers[10]), 8);
	made6(K_SPLICE, 313, (uint32_t)-1, 0, (uint32_t)-2, 0, 0xfffffff0, 5);
	numbers[4] = 77, numbers[5] = 88;
	made(K_SENDFILE, 187, (uint32_t)-1, (uint32_t)fd, P(&numbers[4]), 100, I386_NARROW_SENDFILE);
	made(K_SENDFILE, 239, (uint32_t)-1, (uint32_t)fd, P(&numbers[4]), 100, 0);
	made(K_SOCKETPAIR, 360, 1, 1, 0, P(&numbers[8]), 0);
	made(K_MEMFD_CREATE, 356, P(folder), 1, 0, 0, 0);
	made(K_PROCESS_VM_WRITEV, 348, 0x7ffffff0, P(parts[0]), 1, P(parts[1]), 1);
	made(K_MPROTECT, 125, 0x1000, 0x1000, 0x1000001, 0, 0);
	/* Unmapped again: how large the program is is known before and after, not in between. */
	made(K_MUNMAP, 91, (uint32_t)made6(K_MMAP2, 192, 0, 0x2000, 3, 0x22, (uint32_t)-1, 0), 0x2000, 0, 0, 0);
	made6(K_MMAP2, 192, 0x1000, 0x3000, 0, 0x11, (uint32_t)-7, 0xfffff);
}

static void make_user_calls(void)
{
	made(K_SETPGID, 57, 0x7ffffff0, 5, 0, 0, 0);
	made(K_TGKILL, 270, 0x7ffffff0, 0x7ffffff1, 9, 0, 0);
	made(K_UNSHARE, 310, 0xffffffff, 0, 0, 0, 0);
	made(K_GETRLIMIT, 191, 7, P(limits[0]), 0, 0, 0);
	made(K_GETRLIMIT, 191, 9, P(limits[1]), 0, 0, 0);
	limits[2][0] = 5, limits[2][1] = 0xffffffff;
	made(K_SETRLIMIT, 75, 99, P(limits[2]), 0, 0, 0);
	made(K_PRLIMIT, 340, 0, 7, 0, P(&numbers[12]), 0);
	made(K_CAPSET, 185, 0, 0, 0, 0, 0);
	made(K_SEMCTL, 394, (uint32_t)-1, 1, 0x110, 5, 0);
	made(K_SETRESUID, 208, (uint32_t)-1, (uint32_t)-1, 0xfffffffe, 0, 0);
	made(K_SETRESGID, 210, 0, 0, 0, 0, 0);
	made(K_SETREUID, 203, 0, 0, 0, 0, 0);
	made(K_SETUID, 213, (uint32_t)-1, 0, 0, 0, 0);
	made(K_GETUID, 199, 0, 0, 0, 0, 0);
	made(K_GETEGID, 202, 0, 0, 0, 0, 0);
	made(K_GETRESUID, 209, P(&numbers[16]), P(&numbers[17]), P(&numbers[18]), 0, 0);
}

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
	make_path_calls(fd);
	make_descriptor_calls(fd);
	make_user_calls();
}

__attribute__((used, noreturn)) static void start(const uint32_t *stack)
{
	const char *name = (const char *)(uintptr_t)stack[1];
	uint32_t none[6] = {0};

	/* Only asked whether 32-bit programs run here. */
	if (stack[0] > 0 && name[0] == 'p')
		call(252, none);
	/* Looked at before it is passed: at the entry of a call it is read as it is then, if it is in memory. */
	(void)*(const volatile char *)folder;
	(void)*(const volatile char *)nowhere;
	for (unsigned int i = 0; i < sizeof(text); i++)
		text[i] = (char)(i + 1);
	for (unsigned int i = 0; i < sizeof(area); i++)
		((volatile char *)area)[i] = 1;
	for (unsigned int i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		((volatile uint32_t *)numbers)[i] = i;
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
