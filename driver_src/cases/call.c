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
	ROW(K_ACCEPT, "accept", accept, SUBCALL, false, describe_accept),
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
	ROW(K_MKDIR, "mkdir", mkdir, 39, false, describe_plain),
	ROW(K_RMDIR, "rmdir", rmdir, 40, false, describe_plain),
	ROW(K_LINK, "link", link, 9, false, describe_plain),
	ROW(K_LINKAT, "linkat", linkat, 303, false, describe_plain),
	ROW(K_SYMLINK, "symlink", symlink, 83, false, describe_plain),
	ROW(K_SYMLINKAT, "symlinkat", symlinkat, 304, false, describe_plain),
	ROW(K_UNLINK, "unlink", unlink, 10, false, describe_plain),
	ROW(K_RENAMEAT, "renameat", renameat, 302, false, describe_plain),
	ROW(K_CHMOD, "chmod", chmod, 15, false, describe_plain),
	ROW(K_FCHMOD, "fchmod", fchmod, 94, false, describe_plain),
	ROW(K_CHOWN, "chown", chown, 212, false, describe_plain),
	ROW(K_LCHOWN, "lchown", lchown, 198, false, describe_plain),
	ROW(K_FCHOWN, "fchown", fchown, 207, false, describe_plain),
	ROW(K_FCHOWNAT, "fchownat", fchownat, 298, false, describe_plain),
	ROW(K_FCHDIR, "fchdir", fchdir, 133, false, describe_plain),
	ROW(K_GETCWD, "getcwd", getcwd, 183, false, describe_plain),
	ROW(K_STAT, "stat", stat, 106, false, describe_plain),
	ROW(K_LSTAT, "lstat", lstat, 107, false, describe_plain),
	ROW(K_FSTAT, "fstat", fstat, 108, false, describe_plain),
	[K_STAT64] = {"stat64", -1, 195, false, describe_plain}, /* i386 only */
	[K_LSTAT64] = {"lstat64", -1, 196, false, describe_plain}, /* i386 only */
	[K_FSTAT64] = {"fstat64", -1, 197, false, describe_plain}, /* i386 only */
	ROW(K_NEWFSTATAT, "newfstatat", newfstatat, 0, false, describe_plain),
	ROW(K_LSEEK, "lseek", lseek, 19, false, describe_plain),
	[K_LLSEEK] = {"llseek", -1, 140, false, describe_llseek}, /* i386 only */
	ROW(K_ACCESS, "access", access, 33, false, describe_plain),
	ROW(K_CHROOT, "chroot", chroot, 61, false, describe_plain),
	[K_UMOUNT] = {"umount", -1, 22, false, describe_plain}, /* i386 only */
	ROW(K_UMOUNT2, "umount2", umount2, 52, false, describe_plain),
	ROW(K_FLOCK, "flock", flock, 143, false, describe_plain),
	ROW(K_MKNOD, "mknod", mknod, 14, false, describe_mknod),
	ROW(K_MKNODAT, "mknodat", mknodat, 297, false, describe_mknod),
	ROW(K_GETDENTS, "getdents", getdents, 141, false, describe_plain),
	ROW(K_GETDENTS64, "getdents64", getdents64, 220, false, describe_plain),
	ROW(K_OPENAT2, "openat2", openat2, 437, false, describe_openat2),
	ROW(K_OPEN_BY_HANDLE_AT, "open_by_handle_at", open_by_handle_at, 342, false, describe_open_by_handle_at),
	ROW(K_FSCONFIG, "fsconfig", fsconfig, 431, false, describe_fsconfig),
	ROW(K_PREADV, "preadv", preadv, 333, false, describe_readv),
	ROW(K_PWRITEV, "pwritev", pwritev, 334, false, describe_writev),
	ROW(K_PIPE, "pipe", pipe, 42, false, describe_pipe2),
	ROW(K_EVENTFD, "eventfd", eventfd, 323, false, describe_plain),
	ROW(K_EVENTFD2, "eventfd2", eventfd2, 328, false, describe_plain),
	ROW(K_SIGNALFD, "signalfd", signalfd, 321, false, describe_plain),
	ROW(K_SIGNALFD4, "signalfd4", signalfd4, 327, false, describe_plain),
	ROW(K_TIMERFD_CREATE, "timerfd_create", timerfd_create, 322, false, describe_plain),
	ROW(K_INOTIFY_INIT, "inotify_init", inotify_init, 291, false, describe_plain),
	ROW(K_INOTIFY_INIT1, "inotify_init1", inotify_init1, 332, false, describe_plain),
	ROW(K_EPOLL_CREATE, "epoll_create", epoll_create, 254, false, describe_plain),
	ROW(K_EPOLL_CREATE1, "epoll_create1", epoll_create1, 329, false, describe_plain),
	ROW(K_SELECT, "select", select, 82, false, describe_plain),
	ROW(K_PPOLL, "ppoll", ppoll, 309, false, describe_poll),
	ROW(K_SPLICE, "splice", splice, 313, false, describe_plain),
	ROW(K_SENDFILE, "sendfile", sendfile, 239, false, describe_sendfile),
	ROW(K_COPY_FILE_RANGE, "copy_file_range", copy_file_range, 377, false, describe_plain),
	ROW(K_CLOSE_RANGE, "close_range", close_range, 436, false, describe_plain),
	ROW(K_USERFAULTFD, "userfaultfd", userfaultfd, 374, false, describe_plain),
	ROW(K_IO_URING_SETUP, "io_uring_setup", io_uring_setup, 425, false, describe_io_uring_setup),
	ROW(K_IO_URING_ENTER, "io_uring_enter", io_uring_enter, 426, false, describe_io_uring_enter),
	ROW(K_IO_URING_REGISTER, "io_uring_register", io_uring_register, 427, false, describe_plain),
	ROW(K_SOCKETPAIR, "socketpair", socketpair, 360, false, describe_socketpair),
	ROW(K_GETSOCKNAME, "getsockname", getsockname, 367, false, describe_plain),
	ROW(K_GETPEERNAME, "getpeername", getpeername, 368, false, describe_plain),
	ROW(K_MPROTECT, "mprotect", mprotect, 125, false, describe_plain),
	ROW(K_MLOCK, "mlock", mlock, 150, false, describe_plain),
	ROW(K_MUNLOCK, "munlock", munlock, 151, false, describe_plain),
	ROW(K_MLOCKALL, "mlockall", mlockall, 152, false, describe_plain),
	ROW(K_MUNLOCKALL, "munlockall", munlockall, 153, false, describe_plain),
	ROW(K_MLOCK2, "mlock2", mlock2, 376, false, describe_plain),
	ROW(K_MEMFD_CREATE, "memfd_create", memfd_create, 356, false, describe_plain),
	ROW(K_PROCESS_VM_READV, "process_vm_readv", process_vm_readv, 347, false, describe_process_vm),
	ROW(K_PROCESS_VM_WRITEV, "process_vm_writev", process_vm_writev, 348, false, describe_process_vm),
	[K_MMAP2] = {"mmap2", -1, 192, true, describe_mmap2}, /* i386 only */
	ROW(K_SETNS, "setns", setns, 346, false, describe_plain),
	ROW(K_UNSHARE, "unshare", unshare, 310, false, describe_plain),
	ROW(K_SETSID, "setsid", setsid, 66, false, describe_plain),
	ROW(K_SETPGID, "setpgid", setpgid, 57, false, describe_plain),
	ROW(K_TKILL, "tkill", tkill, 238, false, describe_plain),
	ROW(K_TGKILL, "tgkill", tgkill, 270, false, describe_plain),
	ROW(K_GETRLIMIT, "getrlimit", getrlimit, 191, false, describe_rlimit),
	ROW(K_SETRLIMIT, "setrlimit", setrlimit, 75, false, describe_rlimit),
	ROW(K_PRLIMIT, "prlimit", prlimit64, 340, false, describe_plain),
	ROW(K_CAPSET, "capset", capset, 185, false, describe_capset),
	ROW(K_SECCOMP, "seccomp", seccomp, 354, false, describe_plain),
	ROW(K_BPF, "bpf", bpf, 357, false, describe_plain),
	ROW(K_PIDFD_GETFD, "pidfd_getfd", pidfd_getfd, 438, false, describe_plain),
	ROW(K_PIDFD_OPEN, "pidfd_open", pidfd_open, 434, false, describe_plain),
	ROW(K_INIT_MODULE, "init_module", init_module, 128, false, describe_init_module),
	ROW(K_FINIT_MODULE, "finit_module", finit_module, 350, false, describe_plain),
	ROW(K_DELETE_MODULE, "delete_module", delete_module, 129, false, describe_plain),
	ROW(K_SEMGET, "semget", semget, 393, false, describe_plain),
	ROW(K_SEMOP, "semop", semop, SUBCALL, false, describe_semop),
	ROW(K_SEMCTL, "semctl", semctl, 394, false, describe_semctl),
	ROW(K_SETUID, "setuid", setuid, 213, false, describe_plain),
	ROW(K_SETGID, "setgid", setgid, 214, false, describe_plain),
	ROW(K_SETREUID, "setreuid", setreuid, 203, false, describe_plain),
	ROW(K_SETREGID, "setregid", setregid, 204, false, describe_plain),
	ROW(K_SETRESUID, "setresuid", setresuid, 208, false, describe_plain),
	ROW(K_SETRESGID, "setresgid", setresgid, 210, false, describe_plain),
	ROW(K_GETUID, "getuid", getuid, 199, false, describe_plain),
	ROW(K_GETEUID, "geteuid", geteuid, 201, false, describe_plain),
	ROW(K_GETGID, "getgid", getgid, 200, false, describe_plain),
	ROW(K_GETEGID, "getegid", getegid, 202, false, describe_plain),
	ROW(K_GETRESUID, "getresuid", getresuid, 209, false, describe_plain),
	ROW(K_GETRESGID, "getresgid", getresgid, 211, false, describe_plain),
	ROW(K_SENDMMSG, "sendmmsg", sendmmsg, 345, false, describe_sendmsg),
	ROW(K_RECVMMSG, "recvmmsg", recvmmsg, 337, false, describe_recvmsg),
	ROW(K_QUOTACTL, "quotactl", quotactl, 131, false, describe_quotactl),
	ROW(K_KEYCTL, "keyctl", keyctl, 288, false, describe_keyctl),
	[K_SEND] = {"send", -1, SUBCALL, false, describe_send}, /* only sub-calls of i386 */
	[K_RECV] = {"recv", -1, SUBCALL, false, describe_recv},
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

void describe(const struct made *m)
{
	describing = m;
	kinds[m->kind].describe(m);
	describing = NULL;
}

/* By its number, natively or, where the case asks for that and it can be, the i386 way. */
int64_t call_as(struct made *m)
{
	const struct kind_row *row = &kinds[m->kind];
	const uint64_t *a = m->a;

	/* The socket calls have numbers of their own on i386 since 4.3, the semaphore calls since 5.1. */
	if (m->i386 && (row->number_i386 == SUBCALL || (missing_on_i386[m->kind] && has_subcall(m->kind))))
		return compat_subcall(m);
	if (m->i386)
		return compat_call(row->number_i386, a[0], a[1], a[2], a[3], a[4], a[5]);
	return raw_call(row->number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

int64_t call6(enum kind kind, uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5)
{
	const struct kind_row *row = &kinds[kind];
	struct made made = {.kind = kind, .a = {a0, a1, a2, a3, a4, a5}, .pid = self.vpid, .tid = self.tid};

	compat_prepare(&made);
	if (row->usage)
		usage_read(&made.before);
	if (kind == K_CONNECT)
		made.ends.local_len = own_name(self.vpid, (int)a0, made.ends.local, sizeof(made.ends.local));
	made.order = order_next();
	made.ret = call_as(&made);
	if (row->usage)
		usage_read(&made.after);
	describe(&made);
	return made.ret;
}
