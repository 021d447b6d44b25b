/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Flags, modes and commands that one or two calls have, as the schema's portable values (driver_src/catalogue/value_sets.toml).
 *
 * Pure arithmetic on arguments of calls: any context. Included by all three drivers after kd_flags.h.
 */
#ifndef KD_CALL_FLAGS_H
#define KD_CALL_FLAGS_H

/* Flags whose portable values are the kernel's own: those that the schema names. */
static KD_INLINE u64 kd_val_mask(struct kd_fill *c, u64 flags, u64 named)
{
	(void)c;
	return flags & named;
}

static KD_INLINE u64 kd_val_u16(struct kd_fill *c, u64 value)
{
	(void)c;
	return (u16)value;
}

static KD_INLINE u64 kd_val_fchownat_flags(struct kd_fill *c, u64 flags)
{
	(void)c;
	return KD_BIT(flags, KD_AT_SYMLINK_NOFOLLOW, 1024) | KD_BIT(flags, KD_AT_EMPTY_PATH, 4096);
}

/* SEEK_SET, SEEK_CUR, SEEK_END; what the schema does not name is its 0. */
static KD_INLINE u64 kd_val_lseek_whence(struct kd_fill *c, u64 whence)
{
	(void)c;
	return (u32)whence <= 2 ? (u32)whence : 0;
}

/* The permission bits, and the type of file where it is one that the schema names: pipe, character, block, regular, socket. */
static KD_INLINE u64 kd_val_mknod_mode(struct kd_fill *c, u64 mode)
{
	u64 type = mode & KD_S_IFMT;

	(void)c;
	if (type != 0010000 && type != 0020000 && type != 0060000 && type != 0100000 && type != KD_S_IFSOCK)
		type = 0;
	return type | (mode & 07777);
}

static KD_INLINE u64 kd_val_epoll_create1_flags(struct kd_fill *c, u64 flags)
{
	(void)c;
	return KD_BIT(flags, KD_O_CLOEXEC, 1);
}

static KD_INLINE u64 kd_val_pidfd_open_flags(struct kd_fill *c, u64 flags)
{
	(void)c;
	return KD_BIT(flags, KD_O_NONBLOCK, 1);
}

static KD_INLINE u64 kd_val_delete_module_flags(struct kd_fill *c, u64 flags)
{
	(void)c;
	return KD_BIT(flags, KD_O_TRUNC, 1) | KD_BIT(flags, KD_O_NONBLOCK, 2);
}

/* Namespaces that setns and unshare name. */
static KD_INLINE u64 kd_val_ns_flags(struct kd_fill *c, u64 flags)
{
	(void)c;
	return kd_clone_bits((u32)flags);
}

/* RLIMIT_CPU 0 .. RLIMIT_RTTIME 15. */
static KD_INLINE u64 kd_val_rlimit_resource(struct kd_fill *c, u64 resource)
{
	(void)c;
	return (u32)resource <= 15 ? (u32)resource : 255;
}

static KD_INLINE u64 kd_val_semget_flags(struct kd_fill *c, u64 flags)
{
	(void)c;
	return KD_BIT(flags, KD_IPC_CREAT, 8192) | KD_BIT(flags, KD_IPC_EXCL, 16384);
}

/* Commands of linux/ipc.h and linux/sem.h. */
static KD_INLINE u64 kd_val_semctl_cmd(struct kd_fill *c, u64 cmd)
{
	(void)c;
	cmd = (u32)cmd & ~KD_IPC_64;
	switch (cmd) {
	case 0: /* IPC_RMID */
		return 4;
	case 1: /* IPC_SET */
		return 2;
	case 2: /* IPC_STAT */
		return 1;
	case 3: /* IPC_INFO */
		return 8;
	case 11: /* GETPID */
		return 256;
	case 12: /* GETVAL */
		return 512;
	case 13: /* GETALL */
		return 64;
	case 14: /* GETNCNT */
		return 128;
	case 15: /* GETZCNT */
		return 1024;
	case KD_SETVAL:
		return 4096;
	case 17: /* SETALL */
		return 2048;
	case 18: /* SEM_STAT */
		return 32;
	case 19: /* SEM_INFO */
		return 16;
	}
	return 0;
}

/* The value that SETVAL sets; other commands pass none, or a pointer. */
static KD_INLINE u64 kd_val_semctl_val(struct kd_fill *c, u64 cmd, u64 value)
{
	(void)c;
	return ((u32)cmd & ~KD_IPC_64) == KD_SETVAL ? (u64)(s64)(s32)value : 0;
}

#endif
