// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Making a call and expecting its event. The call is made by its number, so that no library turns it into another, and
 * the kernel's own return value is what counts.
 */
#include <errno.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "cases.h"

#define ROW(k, event, name, i386, usage, describe) [k] = {event, SYS_##name, i386, usage, describe}

const struct kind_row kinds[K_KINDS] = {
	ROW(K_OPEN, "open", open, 5, false, describe_open),
	ROW(K_OPENAT, "openat", openat, 295, false, describe_openat),
	ROW(K_CREAT, "creat", creat, 8, false, describe_creat),
	ROW(K_CLOSE, "close", close, 6, false, describe_close),
	ROW(K_READ, "read", read, 3, false, describe_read),
	ROW(K_WRITE, "write", write, 4, false, describe_write),
	ROW(K_PREAD, "pread", pread64, 180, false, describe_read),
	ROW(K_PWRITE, "pwrite", pwrite64, 181, false, describe_write),
	ROW(K_READV, "readv", readv, 145, false, describe_readv),
	ROW(K_WRITEV, "writev", writev, 146, false, describe_writev),
	ROW(K_SOCKET, "socket", socket, 359, false, describe_socket),
	ROW(K_BIND, "bind", bind, 361, false, describe_bind),
	ROW(K_CONNECT, "connect", connect, 362, false, describe_connect),
	ROW(K_LISTEN, "listen", listen, 363, false, describe_listen),
	ROW(K_ACCEPT, "accept", accept, 0, false, describe_accept),
	ROW(K_ACCEPT4, "accept4", accept4, 364, false, describe_accept),
	ROW(K_SENDTO, "sendto", sendto, 369, false, describe_sendto),
	ROW(K_RECVFROM, "recvfrom", recvfrom, 371, false, describe_recvfrom),
	ROW(K_SENDMSG, "sendmsg", sendmsg, 370, false, describe_sendmsg),
	ROW(K_RECVMSG, "recvmsg", recvmsg, 372, false, describe_recvmsg),
	ROW(K_GETSOCKOPT, "getsockopt", getsockopt, 365, false, describe_sockopt),
	ROW(K_SETSOCKOPT, "setsockopt", setsockopt, 366, false, describe_sockopt),
	ROW(K_SHUTDOWN, "shutdown", shutdown, 373, false, describe_shutdown),
	ROW(K_EXECVE, "execve", execve, 11, true, describe_exec),
	ROW(K_EXECVEAT, "execveat", execveat, 358, true, describe_exec),
	ROW(K_CLONE, "clone", clone, 120, true, describe_clone),
	ROW(K_CLONE3, "clone3", clone3, 435, true, describe_clone),
	ROW(K_FORK, "fork", fork, 2, true, describe_clone),
	ROW(K_VFORK, "vfork", vfork, 190, true, describe_clone),
	ROW(K_KILL, "kill", kill, 37, false, describe_kill),
	ROW(K_DUP, "dup", dup, 41, false, describe_dup),
	ROW(K_DUP2, "dup2", dup2, 63, false, describe_dup2),
	ROW(K_DUP3, "dup3", dup3, 330, false, describe_dup3),
	ROW(K_PIPE2, "pipe2", pipe2, 331, false, describe_pipe2),
	ROW(K_FCNTL, "fcntl", fcntl, 55, false, describe_fcntl),
	ROW(K_IOCTL, "ioctl", ioctl, 54, false, describe_ioctl),
	ROW(K_MMAP, "mmap", mmap, 0, true, describe_mmap),
	ROW(K_MUNMAP, "munmap", munmap, 91, true, describe_munmap),
	ROW(K_BRK, "brk", brk, 45, true, describe_brk),
	ROW(K_RENAME, "rename", rename, 38, false, describe_rename),
	ROW(K_RENAMEAT2, "renameat2", renameat2, 353, false, describe_renameat2),
	ROW(K_UNLINKAT, "unlinkat", unlinkat, 301, false, describe_unlinkat),
	ROW(K_MKDIRAT, "mkdirat", mkdirat, 296, false, describe_mkdirat),
	ROW(K_FCHMODAT, "fchmodat", fchmodat, 306, false, describe_fchmodat),
	ROW(K_CHDIR, "chdir", chdir, 12, false, describe_chdir),
	ROW(K_EPOLL_WAIT, "epoll_wait", epoll_wait, 256, false, describe_epoll_wait),
	ROW(K_POLL, "poll", poll, 168, false, describe_poll),
	ROW(K_FUTEX, "futex", futex, 240, false, describe_futex),
	ROW(K_NANOSLEEP, "nanosleep", nanosleep, 162, false, describe_nanosleep),
	ROW(K_PRCTL, "prctl", prctl, 172, false, describe_prctl),
	ROW(K_PTRACE, "ptrace", ptrace, 26, false, describe_ptrace),
	ROW(K_MOUNT, "mount", mount, 21, false, describe_mount),
};

int64_t raw_call(long number, uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5)
{
	register uint64_t r10 asm("r10") = a3;
	register uint64_t r8 asm("r8") = a4;
	register uint64_t r9 asm("r9") = a5;
	int64_t ret;

	asm volatile("syscall"
		     : "=a"(ret)
		     : "0"(number), "D"(a0), "S"(a1), "d"(a2), "r"(r10), "r"(r8), "r"(r9)
		     : "rcx", "r11", "memory");
	return ret;
}

int64_t call6(enum kind kind, uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5)
{
	const struct kind_row *row = &kinds[kind];
	struct made made = {.kind = kind, .a = {a0, a1, a2, a3, a4, a5}, .pid = self.vpid, .tid = self.tid};

	if (row->usage)
		usage_read(&made.before);
	if (kind == K_CONNECT)
		made.ends.local_len = own_name(self.vpid, (int)a0, made.ends.local, sizeof(made.ends.local));
	made.order = order_next();
	made.ret = raw_call(row->number, a0, a1, a2, a3, a4, a5);
	if (row->usage)
		usage_read(&made.after);
	row->describe(&made);
	return made.ret;
}
