/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * What depends on the architecture: saved registers, call arguments, and the kernel's numbers for flags of calls.
 *
 * Included by all three drivers. The names are ours because the CO-RE probe has no kernel headers; the numbers are
 * the kernel's user interface (arch/x86 and asm-generic uapi) and never change.
 */
#ifndef KD_ARCH_X86_H
#define KD_ARCH_X86_H

/* struct pt_regs of x86_64: part of the user interface (ptrace), so its layout is fixed. */
struct kd_regs {
	u64 r15, r14, r13, r12, bp, bx, r11, r10, r9, r8, ax, cx, dx, si, di;
	u64 orig_ax, ip, cs, flags, sp, ss;
};

/*
 * execve of x86_64. A task that it puts into a 32-bit image leaves the call as a compat task, with this number on kernels before 4.12
 * and all registers 0. What has the number in i386 calls is oldolduname, which returns 0 only when it was given an address.
 */
#define KD_NATIVE_EXECVE 59
#define KD_TS_COMPAT 0x0002 /* thread_info.status: an i386 compat call is under way */
#define KD_MM_SHMEMPAGES 3 /* index in mm_struct.rss_stat, where it is in there */
#define KD_STACK_SIZE 16384 /* THREAD_SIZE without KASAN */

/* Numbers of calls that end under another number than they began. */
#define KD_NR_EXECVE 59
#define KD_NR_EXECVEAT 322
#define KD_NR_I386_EXECVE 11
#define KD_NR_I386_EXECVEAT 358

#define KD_O_ACCMODE 00000003
#define KD_O_CREAT 00000100
#define KD_O_EXCL 00000200
#define KD_O_TRUNC 00001000
#define KD_O_APPEND 00002000
#define KD_O_NONBLOCK 00004000
#define KD_O_DSYNC 00010000
#define KD_O_DIRECT 00040000
#define KD_O_LARGEFILE 00100000
#define KD_O_DIRECTORY 00200000
#define KD_O_CLOEXEC 02000000
#define KD_O_SYNC_BIT 04000000 /* O_SYNC is this and O_DSYNC */
#define KD_O_TMPFILE_BIT 020000000 /* O_TMPFILE is this and O_DIRECTORY */
#define KD_FMODE_CREATED 0x100000

#define KD_AT_SYMLINK_NOFOLLOW 0x100
#define KD_AT_REMOVEDIR 0x200
#define KD_AT_EMPTY_PATH 0x1000
#define KD_MS_MGC_VAL 0xC0ED0000u
#define KD_MS_MGC_MSK 0xffff0000u
#define KD_S_IFMT 00170000
#define KD_S_IFSOCK 0140000

#define KD_AF_UNIX 1
#define KD_AF_INET 2
#define KD_AF_INET6 10
#define KD_SOCK_TYPE_MASK 0xf
#define KD_SOCK_NONBLOCK 00004000
#define KD_SOCK_CLOEXEC 02000000
#define KD_SOL_SOCKET 1
#define KD_SOL_TCP 6
#define KD_EISCONN 106
#define KD_EINPROGRESS 115

#define KD_IPC_CREAT 01000
#define KD_IPC_EXCL 02000
#define KD_IPC_NOWAIT 04000
#define KD_IPC_64 0x100u /* or-ed to a command by the i386 library: the newer layout of structures */
#define KD_SEM_UNDO 0x1000
#define KD_SETVAL 16
#define KD_IORING_ENTER_EXT_ARG 8

#define KD_NR_I386_SENDFILE 187

#define KD_PR_SET_NAME 15
#define KD_PR_GET_NAME 16
#define KD_PR_GET_CHILD_SUBREAPER 37

#endif
