// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Expected events of calls whose parameters are their own arguments or lie at fixed places behind them. A line of the
 * table below holds, for each parameter, `name=what`:
 *
 *   r  R        what the call returned: signed, or its low 32 bits
 *   w0 u0 h0 b0 an argument: 64, the low 32, 16 or 8 bits
 *   i0          its low 32 bits, signed (descriptors, process ids)
 *   s0          the string that it points to; g0: that string when the call returned more than 0, else nothing
 *   d0+4 q0+8   32 or 64 bits at an offset behind it; Q0+8: only when the call did not fail, else nothing
 *   z           0
 *
 * u and b may be followed by `&mask`, by `<=limit:other` (greater values become the other), and u, h, b by
 * `{linux:schema,...}`, bits that are translated one by one.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cases.h"

#define OPEN_BITS "{02000000:4096,04000:64}"
#define NS_BITS                                                                                                    \
	"{0x100:32768,0x200:2,0x400:1,0x800:2048,0x2000:1024,0x4000:134217728,0x8000:256,0x10000:8192,0x20000:32," \
	"0x40000:4096,0x80000:33554432,0x100000:512,0x200000:8388608,0x800000:16384,0x1000000:16777216,"           \
	"0x2000000:268435456,0x4000000:128,0x8000000:8,0x10000000:1048576,0x20000000:64,0x40000000:16,0x80000000:4}"
#define PROT_BITS "{1:1,2:2,4:4,8:8,0x1000000:16,0x2000000:32}"

static const char *const plain[K_KINDS] = {
	[K_MKDIR] = "res=r path=s0 mode=u1",
	[K_RMDIR] = "res=r path=s0",
	[K_LINK] = "res=r oldpath=s0 newpath=s1",
	[K_LINKAT] = "res=r olddir=i0 oldpath=s1 newdir=i2 newpath=s3 flags=u4&0x1400",
	[K_SYMLINK] = "res=r target=s0 linkpath=s1",
	[K_SYMLINKAT] = "res=r target=s0 linkdirfd=i1 linkpath=s2",
	[K_UNLINK] = "res=r path=s0",
	[K_RENAMEAT] = "res=r olddirfd=i0 oldpath=s1 newdirfd=i2 newpath=s3",
	[K_CHMOD] = "res=r filename=s0 mode=u1&07777",
	[K_FCHMOD] = "res=r fd=i0 mode=u1&07777",
	[K_CHOWN] = "res=r path=s0 uid=u1 gid=u2",
	[K_LCHOWN] = "res=r path=s0 uid=u1 gid=u2",
	[K_FCHOWN] = "res=r fd=i0 uid=u1 gid=u2",
	[K_FCHOWNAT] = "res=r dirfd=i0 pathname=s1 uid=u2 gid=u3 flags=u4{0x100:1024,0x1000:4096}",
	[K_FCHDIR] = "res=r fd=i0",
	[K_GETCWD] = "res=r path=g0",
	[K_STAT] = "res=r path=s0",
	[K_LSTAT] = "res=r path=s0",
	[K_FSTAT] = "res=r fd=i0",
	[K_STAT64] = "res=r path=s0",
	[K_LSTAT64] = "res=r path=s0",
	[K_FSTAT64] = "res=r",
	[K_NEWFSTATAT] = "res=r dirfd=i0 path=s1 flags=u3&0x1900",
	[K_LSEEK] = "res=r fd=i0 offset=w1 whence=u2<=2:0",
	[K_ACCESS] = "res=r name=s0 mode=u1&7",
	[K_CHROOT] = "res=r path=s0",
	[K_UMOUNT] = "res=r name=s0",
	[K_UMOUNT2] = "res=r name=s0 flags=u1&15",
	[K_FLOCK] = "res=r fd=i0 operation=u1&15",
	[K_GETDENTS] = "res=r fd=i0",
	[K_GETDENTS64] = "res=r fd=i0",
	[K_EVENTFD] = "res=r initval=u0 flags=z",
	[K_EVENTFD2] = "res=r flags=u1" OPEN_BITS " initval=u0",
	[K_SIGNALFD] = "res=r fd=i0 mask=d1+0 flags=z",
	[K_SIGNALFD4] = "res=r flags=u3" OPEN_BITS " fd=i0 mask=d1+0",
	[K_TIMERFD_CREATE] = "res=r clockid=b0 flags=z",
	[K_INOTIFY_INIT] = "res=r flags=z",
	[K_INOTIFY_INIT1] = "res=r flags=u0" OPEN_BITS,
	[K_EPOLL_CREATE] = "res=r size=i0",
	[K_EPOLL_CREATE1] = "res=r flags=u0{02000000:1}",
	[K_SELECT] = "res=r",
	[K_SPLICE] = "res=r fd_in=i0 fd_out=i2 size=w4 flags=u5&15",
	[K_COPY_FILE_RANGE] = "res=r fdout=i2 offout=w3 fdin=i0 offin=w1 len=w4",
	[K_CLOSE_RANGE] = "res=r first=u0 last=u1 flags=u2&6",
	[K_USERFAULTFD] = "res=r flags=u0" OPEN_BITS,
	[K_IO_URING_REGISTER] = "res=r fd=i0 opcode=h1 arg=w2 nr_args=u3",
	[K_GETSOCKNAME] = "",
	[K_GETPEERNAME] = "",
	[K_MPROTECT] = "res=r addr=w0 length=w1 prot=u2" PROT_BITS,
	[K_MLOCK] = "res=r addr=w0 len=w1",
	[K_MUNLOCK] = "res=r addr=w0 len=w1",
	[K_MLOCKALL] = "res=r flags=u0&7",
	[K_MUNLOCKALL] = "res=r",
	[K_MLOCK2] = "res=r addr=w0 len=w1 flags=u2&1",
	[K_MEMFD_CREATE] = "fd=r name=s0 flags=u1&7",
	[K_SETNS] = "res=r fd=i0 nstype=u1" NS_BITS,
	[K_UNSHARE] = "res=r flags=u0" NS_BITS,
	[K_SETSID] = "res=r",
	[K_SETPGID] = "res=r pid=i0 pgid=i1",
	[K_TKILL] = "res=r tid=i0 sig=b1",
	[K_TGKILL] = "res=r pid=i0 tid=i1 sig=b2",
	[K_PRLIMIT] = "res=r newcur=q2+0 newmax=q2+8 oldcur=Q3+0 oldmax=Q3+8 pid=i0 resource=u1<=15:255",
	[K_SECCOMP] = "res=r op=u0 flags=u1",
	[K_BPF] = "fd=r cmd=u0",
	[K_PIDFD_GETFD] = "fd=r pid_fd=i0 target_fd=i1 flags=u2",
	[K_PIDFD_OPEN] = "fd=r pid=i0 flags=u1{04000:1}",
	[K_FINIT_MODULE] = "res=r fd=i0 uargs=s1 flags=u2&7",
	[K_DELETE_MODULE] = "res=r name=s0 flags=u1{01000:1,04000:2}",
	[K_SEMGET] = "res=r key=i0 nsems=i1 semflg=u2{01000:8192,02000:16384}",
	[K_SETUID] = "res=r uid=u0",
	[K_SETGID] = "res=r gid=u0",
	[K_SETREUID] = "res=r ruid=u0 euid=u1",
	[K_SETREGID] = "res=r rgid=u0 egid=u1",
	[K_SETRESUID] = "res=r ruid=u0 euid=u1 suid=u2",
	[K_SETRESGID] = "res=r rgid=u0 egid=u1 sgid=u2",
	[K_GETUID] = "uid=R",
	[K_GETEUID] = "euid=R",
	[K_GETGID] = "gid=R",
	[K_GETEGID] = "egid=R",
	[K_GETRESUID] = "res=r ruid=d0+0 euid=d1+0 suid=d2+0",
	[K_GETRESGID] = "res=r rgid=d0+0 egid=d1+0 sgid=d2+0",
};

static void exp_user_number(const char *name, const struct made *m, uint64_t address, size_t size)
{
	uint64_t value = 0;

	if (!peek(m->pid, address, &value, size))
		exp_null(name);
	else if (size == 8)
		exp_int(name, (int64_t)value);
	else
		exp_uint(name, value);
}

/* `{linux:schema,...}` after an argument; without it the value stays. */
static uint64_t translated(const char *rule, uint64_t value)
{
	uint64_t out = 0, from, to;
	char *at;

	if (*rule == '&')
		return value & strtoull(rule + 1, NULL, 0);
	if (*rule == '<') {
		from = strtoull(rule + 2, &at, 0);
		return value <= from ? value : strtoull(at + 1, NULL, 0);
	}
	if (*rule != '{')
		return value;
	do {
		from = strtoull(rule + 1, &at, 0);
		to = strtoull(at + 1, &at, 0);
		out |= value & from ? to : 0;
		rule = at;
	} while (*rule == ',');
	return out;
}

static void exp_one(const char *name, const char *what, const struct made *m)
{
	uint64_t value = what[0] && what[1] ? m->a[what[1] - '0'] : 0;
	uint64_t offset = what[0] == 'd' || what[0] == 'q' || what[0] == 'Q' ? strtoull(what + 3, NULL, 0) : 0;

	if (what[0] == 'r')
		exp_int(name, m->ret);
	else if (what[0] == 'R')
		exp_uint(name, (uint32_t)m->ret);
	else if (what[0] == 'z')
		exp_uint(name, 0);
	else if (what[0] == 'w')
		exp_uint(name, value);
	else if (what[0] == 'i')
		exp_int(name, (int32_t)value);
	else if (what[0] == 'u')
		exp_uint(name, translated(what + 2, (uint32_t)value));
	else if (what[0] == 'h')
		exp_uint(name, (uint16_t)value);
	else if (what[0] == 'b')
		exp_uint(name, (uint8_t)value);
	else if (what[0] == 's' || (what[0] == 'g' && m->ret > 0))
		exp_user_str(name, m->pid, value);
	else if (what[0] == 'd')
		exp_user_number(name, m, value + offset, 4);
	else if (what[0] == 'q' || (what[0] == 'Q' && m->ret >= 0))
		exp_user_number(name, m, value + offset, 8);
	else
		exp_null(name);
}

void describe_plain(const struct made *m)
{
	char line[1024], *save = NULL;

	exp_open(kinds[m->kind].event, m->tid, m->order);
	snprintf(line, sizeof(line), "%s", plain[m->kind]);
	for (char *one = strtok_r(line, " ", &save); one; one = strtok_r(NULL, " ", &save)) {
		char *what = strchr(one, '=');

		*what++ = 0;
		exp_one(one, what, m);
	}
	exp_close();
}
