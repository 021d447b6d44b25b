/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The kernel's flags and commands as the schema's portable values (driver_src/catalogue/value_sets.toml).
 *
 * Pure arithmetic on arguments of calls: any context. Included by all three drivers after their primitives.
 */
#ifndef KD_FLAGS_H
#define KD_FLAGS_H

/* Give `to` for each bit `from`: written without a branch, so that eBPF paths do not multiply. */
#define KD_BIT(value, from, to) (((value) & (from)) == (from) ? (to) : 0)

static KD_INLINE u64 kd_val_s32(struct kd_fill *c, u64 value)
{
	(void)c;
	return (u64)(s64)(s32)value;
}

static KD_INLINE u64 kd_val_fd(struct kd_fill *c, u64 value)
{
	return kd_val_s32(c, value);
}

static KD_INLINE u64 kd_val_u32(struct kd_fill *c, u64 value)
{
	(void)c;
	return (u32)value;
}

static KD_INLINE u64 kd_val_u8(struct kd_fill *c, u64 value)
{
	(void)c;
	return (u8)value;
}

/* A file position: one register, or two on i386. */
static KD_INLINE u64 kd_val_pos(struct kd_fill *c, u64 low, u64 high)
{
	if (kd_is_compat(c))
		return (u32)low | high << 32;
	return low;
}

/* Bytes that a call moved into memory, and that its caller asked it to move out of it. */
static KD_INLINE u64 kd_val_read_len(struct kd_fill *c, s64 ret, u64 room)
{
	(void)c;
	return ret > 0 ? ((u64)ret < room ? (u64)ret : room) : 0;
}

static KD_INLINE u64 kd_val_write_len(struct kd_fill *c, s64 ret, u64 asked)
{
	(void)c;
	return ret > 0 ? (u64)ret : asked;
}

static KD_INLINE u64 kd_open_bits(u64 flags)
{
	u64 mode = flags & KD_O_ACCMODE;
	u64 out = mode == 1 ? 2 : mode == 2 ? 3 : 1;

	out |= KD_BIT(flags, KD_O_CREAT, 4);
	out |= KD_BIT(flags, KD_O_APPEND, 8);
	out |= KD_BIT(flags, KD_O_DSYNC, 16);
	out |= KD_BIT(flags, KD_O_EXCL, 32);
	out |= KD_BIT(flags, KD_O_NONBLOCK, 64);
	out |= KD_BIT(flags, KD_O_SYNC_BIT, 128);
	out |= KD_BIT(flags, KD_O_TRUNC, 256);
	out |= KD_BIT(flags, KD_O_DIRECT, 512);
	out |= KD_BIT(flags, KD_O_DIRECTORY, 1024);
	out |= KD_BIT(flags, KD_O_LARGEFILE, 2048);
	out |= KD_BIT(flags, KD_O_CLOEXEC, 4096);
	out |= KD_BIT(flags, KD_O_TMPFILE_BIT, 8192);
	return out;
}

/* What is asked for, before there is a file. */
static KD_INLINE u64 kd_val_open_asked(struct kd_fill *c, u64 flags)
{
	(void)c;
	return kd_open_bits(flags);
}

static KD_INLINE u64 kd_val_open_mode(struct kd_fill *c, u64 flags, u64 mode)
{
	(void)c;
	if (flags & (KD_O_CREAT | KD_O_TMPFILE_BIT))
		return mode & 07777;
	return 0;
}

static KD_INLINE u64 kd_val_unlinkat_flags(struct kd_fill *c, u64 flags)
{
	(void)c;
	return flags & KD_AT_REMOVEDIR;
}

static KD_INLINE u64 kd_val_chmod_mode(struct kd_fill *c, u64 mode)
{
	(void)c;
	return mode & 07777;
}

/* The old magic number in the upper half is no flag. */
static KD_INLINE u64 kd_val_mount_flags(struct kd_fill *c, u64 flags)
{
	(void)c;
	if ((flags & KD_MS_MGC_MSK) == KD_MS_MGC_VAL)
		flags &= ~(u64)KD_MS_MGC_MSK;
	return (u32)flags;
}

static KD_INLINE u64 kd_val_dup3_flags(struct kd_fill *c, u64 flags)
{
	(void)c;
	return KD_BIT(flags, KD_O_CLOEXEC, 4096);
}

static KD_INLINE u64 kd_val_pipe2_flags(struct kd_fill *c, u64 flags)
{
	(void)c;
	return KD_BIT(flags, KD_O_CLOEXEC, 4096) | KD_BIT(flags, KD_O_DIRECT, 512) | KD_BIT(flags, KD_O_NONBLOCK, 64);
}

/* F_* of linux/fcntl.h. */
static KD_INLINE u64 kd_val_fcntl_cmd(struct kd_fill *c, u64 cmd)
{
	(void)c;
	cmd = (u32)cmd;
	switch (cmd) {
	case 0: /* F_DUPFD */
		return 1;
	case 1: /* F_GETFD */
		return 2;
	case 2: /* F_SETFD */
		return 3;
	case 3: /* F_GETFL */
		return 4;
	case 4: /* F_SETFL */
		return 5;
	case 5: /* F_GETLK */
		return 6;
	case 6: /* F_SETLK */
		return 8;
	case 7: /* F_SETLKW */
		return 9;
	case 8: /* F_SETOWN */
		return 10;
	case 9: /* F_GETOWN */
		return 12;
	case 10: /* F_SETSIG */
		return 13;
	case 11: /* F_GETSIG */
		return 15;
	case 12: /* F_GETLK64 */
		return 17;
	case 13: /* F_SETLK64 */
		return 18;
	case 14: /* F_SETLKW64 */
		return 19;
	case 15: /* F_SETOWN_EX */
		return 21;
	case 16: /* F_GETOWN_EX */
		return 22;
	case 36: /* F_OFD_GETLK */
		return 30;
	case 37: /* F_OFD_SETLK */
		return 31;
	case 38: /* F_OFD_SETLKW */
		return 32;
	case 1024: /* F_SETLEASE */
		return 23;
	case 1025: /* F_GETLEASE */
		return 24;
	case 1029: /* F_CANCELLK */
		return 25;
	case 1030: /* F_DUPFD_CLOEXEC */
		return 26;
	case 1026: /* F_NOTIFY */
		return 27;
	case 1031: /* F_SETPIPE_SZ */
		return 28;
	case 1032: /* F_GETPIPE_SZ */
		return 29;
	}
	return 0;
}

/* Address families have their own numbers in the schema. */
static KD_INLINE u64 kd_val_socket_family(struct kd_fill *c, u64 family)
{
	(void)c;
	return (u32)family;
}

static KD_INLINE u64 kd_val_socket_type(struct kd_fill *c, u64 type)
{
	(void)c;
	return (u32)type;
}

static KD_INLINE u64 kd_val_socket_flags(struct kd_fill *c, u64 type)
{
	(void)c;
	return KD_BIT(type, KD_SOCK_CLOEXEC, 4096) | KD_BIT(type, KD_SOCK_NONBLOCK, 64);
}

static KD_INLINE u64 kd_val_sockopt_level(struct kd_fill *c, u64 level)
{
	(void)c;
	level = (u32)level;
	return level == KD_SOL_SOCKET ? 1 : level == KD_SOL_TCP ? 2 : 0;
}

/* SO_* of asm-generic/socket.h; the schema numbers them almost alike. */
static KD_INLINE u64 kd_val_sockopt_name(struct kd_fill *c, u64 level, u64 name)
{
	(void)c;
	name = (u32)name;
	if ((u32)level != KD_SOL_SOCKET)
		return 0;
	if (name >= 1 && name <= 50)
		return name;
	switch (name) {
	case 59: /* SO_PEERGROUPS */
		return 51;
	case 55: /* SO_MEMINFO */
		return 52;
	case 57: /* SO_COOKIE */
		return 53;
	case 63: /* SO_TIMESTAMP_NEW */
		return 29;
	case 64: /* SO_TIMESTAMPNS_NEW */
		return 35;
	case 65: /* SO_TIMESTAMPING_NEW */
		return 37;
	case 66: /* SO_RCVTIMEO_NEW */
		return 20;
	case 67: /* SO_SNDTIMEO_NEW */
		return 21;
	}
	return 0;
}

static KD_INLINE u64 kd_val_shutdown_how(struct kd_fill *c, u64 how)
{
	(void)c;
	how = (u32)how;
	return how <= 2 ? how : 0xff;
}

/* CLONE_* of linux/sched.h to the schema's bits, which are alphabetical. */
static KD_INLINE u64 kd_clone_bits(u64 flags)
{
	u64 out = 0;

	out |= KD_BIT(flags, 0x00000400, 1); /* CLONE_FILES */
	out |= KD_BIT(flags, 0x00000200, 2); /* CLONE_FS */
	out |= KD_BIT(flags, 0x80000000ULL, 4); /* CLONE_IO */
	out |= KD_BIT(flags, 0x08000000, 8); /* CLONE_NEWIPC */
	out |= KD_BIT(flags, 0x40000000, 16); /* CLONE_NEWNET */
	out |= KD_BIT(flags, 0x00020000, 32); /* CLONE_NEWNS */
	out |= KD_BIT(flags, 0x20000000, 64); /* CLONE_NEWPID */
	out |= KD_BIT(flags, 0x04000000, 128); /* CLONE_NEWUTS */
	out |= KD_BIT(flags, 0x00008000, 256); /* CLONE_PARENT */
	out |= KD_BIT(flags, 0x00100000, 512); /* CLONE_PARENT_SETTID */
	out |= KD_BIT(flags, 0x00002000, 1024); /* CLONE_PTRACE */
	out |= KD_BIT(flags, 0x00000800, 2048); /* CLONE_SIGHAND */
	out |= KD_BIT(flags, 0x00040000, 4096); /* CLONE_SYSVSEM */
	out |= KD_BIT(flags, 0x00010000, 8192); /* CLONE_THREAD */
	out |= KD_BIT(flags, 0x00800000, 16384); /* CLONE_UNTRACED */
	out |= KD_BIT(flags, 0x00000100, 32768); /* CLONE_VM */
	out |= KD_BIT(flags, 0x10000000, 1 << 20); /* CLONE_NEWUSER */
	out |= KD_BIT(flags, 0x00200000, 1 << 23); /* CLONE_CHILD_CLEARTID */
	out |= KD_BIT(flags, 0x01000000, 1 << 24); /* CLONE_CHILD_SETTID */
	out |= KD_BIT(flags, 0x00080000, 1 << 25); /* CLONE_SETTLS */
	out |= KD_BIT(flags, 0x00004000, 1 << 27); /* CLONE_VFORK */
	out |= KD_BIT(flags, 0x02000000, 1 << 28); /* CLONE_NEWCGROUP */
	return out;
}

static KD_INLINE u64 kd_val_mmap_prot(struct kd_fill *c, u64 prot)
{
	u64 out = prot & 15; /* READ, WRITE, EXEC, SEM have the same bits */

	(void)c;
	out |= KD_BIT(prot, 0x01000000, 16); /* PROT_GROWSDOWN */
	out |= KD_BIT(prot, 0x02000000, 32); /* PROT_GROWSUP */
	return out;
}

static KD_INLINE u64 kd_val_mmap_flags(struct kd_fill *c, u64 flags)
{
	u64 out = flags & 3; /* SHARED, PRIVATE */

	(void)c;
	out |= KD_BIT(flags, 0x10, 4); /* MAP_FIXED */
	out |= KD_BIT(flags, 0x20, 8); /* MAP_ANONYMOUS */
	out |= KD_BIT(flags, 0x40, 16); /* MAP_32BIT */
	out |= KD_BIT(flags, 0x4000, 64); /* MAP_NORESERVE */
	out |= KD_BIT(flags, 0x8000, 128); /* MAP_POPULATE */
	out |= KD_BIT(flags, 0x10000, 256); /* MAP_NONBLOCK */
	out |= KD_BIT(flags, 0x0100, 512); /* MAP_GROWSDOWN */
	out |= KD_BIT(flags, 0x0800, 1024); /* MAP_DENYWRITE */
	out |= KD_BIT(flags, 0x1000, 2048); /* MAP_EXECUTABLE */
	out |= KD_BIT(flags, 0x2000, 16384); /* MAP_LOCKED */
	return out;
}

static KD_INLINE u64 kd_val_futex_op(struct kd_fill *c, u64 op)
{
	(void)c;
	return ((op & 127) <= 12 ? op & 127 : 0) | (op & 0x180);
}

static KD_INLINE u64 kd_val_prctl_option(struct kd_fill *c, u64 option)
{
	(void)c;
	return (u32)option;
}

/* PTRACE_* of linux/ptrace.h and asm/ptrace-abi.h. */
static KD_INLINE u64 kd_val_ptrace_request(struct kd_fill *c, u64 request)
{
	(void)c;
	request = (u32)request;
	if (request <= 9) /* TRACEME 0 .. SINGLESTEP 9, less the gap of POKEUSR */
		return request == 9 ? 10 : request == 8 ? 9 : request == 7 ? 8 : request + 1;
	switch (request) {
	case 12: /* PTRACE_GETREGS */
		return 26;
	case 13: /* PTRACE_SETREGS */
		return 27;
	case 14: /* PTRACE_GETFPREGS */
		return 28;
	case 15: /* PTRACE_SETFPREGS */
		return 29;
	case 16: /* PTRACE_ATTACH */
		return 11;
	case 17: /* PTRACE_DETACH */
		return 12;
	case 18: /* PTRACE_GETFPXREGS */
		return 30;
	case 19: /* PTRACE_SETFPXREGS */
		return 31;
	case 21: /* PTRACE_OLDSETOPTIONS */
		return 32;
	case 24: /* PTRACE_SYSCALL */
		return 13;
	case 25: /* PTRACE_GET_THREAD_AREA */
		return 33;
	case 26: /* PTRACE_SET_THREAD_AREA */
		return 34;
	case 30: /* PTRACE_ARCH_PRCTL */
		return 35;
	case 31: /* PTRACE_SYSEMU */
		return 36;
	case 32: /* PTRACE_SYSEMU_SINGLESTEP */
		return 37;
	case 33: /* PTRACE_SINGLEBLOCK */
		return 38;
	}
	if (request >= 0x4200 && request <= 0x420b) /* SETOPTIONS .. SETSIGMASK, in the schema's order */
		return request - 0x4200 + 14;
	return 0;
}

#endif
