/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Numbers in the structures of user memory that one or two calls take: open_how, rlimit, sembuf, io_uring_params. Any context;
 * unreadable memory makes the parameter empty. The layouts are the kernel's user interface and never change.
 */
#ifndef KD_STRUCTS_H
#define KD_STRUCTS_H

/* A string that the kernel wrote, where the call succeeded. */
static KD_INLINE int kd_cap_got_str(struct kd_fill *c, u64 address, s64 ret)
{
	return ret > 0 ? kd_cap_user_str(c, address) : kd_push_empty(c);
}

static KD_INLINE int kd_cap_user_u32_at(struct kd_fill *c, u64 address, u64 offset)
{
	return kd_cap_user_u32(c, address + offset);
}

static KD_INLINE int kd_cap_user_u64_at(struct kd_fill *c, u64 address, u64 offset)
{
	kd_param_begin(c);
	return kd_finish(c, kd_put_user(c, address + offset, 8));
}

/* What the kernel wrote, where the call succeeded; else there is no value. */
static KD_INLINE int kd_cap_got_u64_at(struct kd_fill *c, u64 address, u64 offset, s64 ret)
{
	return ret < 0 ? kd_push_empty(c) : kd_cap_user_u64_at(c, address, offset);
}

/* Half of a struct rlimit: 0 the soft limit, 1 the hard one. In a compat call 4 bytes, of which all ones mean no limit. */
static KD_INLINE int kd_cap_user_rlimit(struct kd_fill *c, u64 address, u64 half)
{
	u64 limit;

	if (kd_read_user_word(c, address + (kd_is_compat(c) ? half * 4 : half * 8), &limit))
		return kd_push_empty(c);
	if (kd_is_compat(c) && limit == 0xffffffff)
		limit = (u64)-1;
	return kd_push_u64(c, limit);
}

static KD_INLINE int kd_cap_got_rlimit(struct kd_fill *c, u64 address, u64 half, s64 ret)
{
	return ret < 0 ? kd_push_empty(c) : kd_cap_user_rlimit(c, address, half);
}

/* The offset behind sendfile's pointer: 4 bytes in the older of the two i386 calls. */
static KD_INLINE int kd_cap_sendfile_offset(struct kd_fill *c, u64 address)
{
	u32 narrow;

	if (!kd_is_compat(c) || kd_call_nr(c) != KD_NR_I386_SENDFILE)
		return kd_cap_user_u64_at(c, address, 0);
	if (kd_read_user(&narrow, address, sizeof(narrow)))
		return kd_push_empty(c);
	return kd_push_u64(c, narrow);
}

/* struct open_how { u64 flags, mode, resolve; } */
static KD_INLINE int kd_cap_openat2_flags(struct kd_fill *c, u64 how, s64 ret)
{
	u64 flags;

	if (kd_read_user(&flags, how, sizeof(flags)))
		return kd_push_empty(c);
	return kd_push_u32(c, kd_val_open_flags(c, flags, ret));
}

static KD_INLINE int kd_cap_openat2_asked(struct kd_fill *c, u64 how)
{
	u64 flags;

	if (kd_read_user(&flags, how, sizeof(flags)))
		return kd_push_empty(c);
	return kd_push_u32(c, kd_val_open_asked(c, flags));
}

static KD_INLINE int kd_cap_openat2_mode(struct kd_fill *c, u64 how)
{
	u64 words[2] = {0, 0};

	if (kd_read_user(words, how, sizeof(words)))
		return kd_push_empty(c);
	return kd_push_u32(c, kd_val_open_mode(c, words[0], words[1]));
}

static KD_INLINE int kd_cap_openat2_resolve(struct kd_fill *c, u64 how)
{
	u64 resolve;
	u64 out;

	if (kd_read_user(&resolve, how + 16, sizeof(resolve)))
		return kd_push_empty(c);
	out = KD_BIT(resolve, 0x01, 16); /* RESOLVE_NO_XDEV */
	out |= KD_BIT(resolve, 0x02, 4); /* RESOLVE_NO_MAGICLINKS */
	out |= KD_BIT(resolve, 0x04, 8); /* RESOLVE_NO_SYMLINKS */
	out |= KD_BIT(resolve, 0x08, 1); /* RESOLVE_BENEATH */
	out |= KD_BIT(resolve, 0x10, 2); /* RESOLVE_IN_ROOT */
	out |= KD_BIT(resolve, 0x20, 32); /* RESOLVE_CACHED */
	return kd_push_u32(c, out);
}

/* struct sembuf { u16 number; s16 operation; s16 flags; }: a field of the entry `index`; 0 where there are not so many. */
static KD_INLINE int kd_read_sembuf(u64 address, u64 index, u64 field, u16 *out)
{
	return kd_read_user(out, address + index * 6 + field * 2, sizeof(*out));
}

static KD_INLINE int kd_cap_sembuf_num(struct kd_fill *c, u64 address, u64 count, u64 index)
{
	u16 value = 0;

	if (index < (u32)count && kd_read_sembuf(address, index, 0, &value))
		return kd_push_empty(c);
	return kd_push_u16(c, value);
}

static KD_INLINE int kd_cap_sembuf_op(struct kd_fill *c, u64 address, u64 count, u64 index)
{
	u16 value = 0;

	if (index < (u32)count && kd_read_sembuf(address, index, 1, &value))
		return kd_push_empty(c);
	return kd_push_u16(c, value);
}

static KD_INLINE int kd_cap_sembuf_flg(struct kd_fill *c, u64 address, u64 count, u64 index)
{
	u16 value = 0;

	if (index < (u32)count && kd_read_sembuf(address, index, 2, &value))
		return kd_push_empty(c);
	return kd_push_u16(c, KD_BIT(value, KD_IPC_NOWAIT, 1) | KD_BIT(value, KD_SEM_UNDO, 2));
}

/* struct io_uring_params { u32 sq_entries, cq_entries, flags, sq_thread_cpu, sq_thread_idle, features; ... } */
static KD_INLINE int kd_cap_io_uring_setup_flags(struct kd_fill *c, u64 params)
{
	u32 flags;
	u64 out;

	if (kd_read_user(&flags, params + 8, sizeof(flags)))
		return kd_push_empty(c);
	out = flags & 3; /* IOPOLL, SQPOLL */
	out |= KD_BIT(flags, 4, 8); /* SQ_AFF */
	out |= KD_BIT(flags, 8, 16); /* CQSIZE */
	out |= KD_BIT(flags, 16, 32); /* CLAMP */
	out |= KD_BIT(flags, 32, 64); /* ATTACH_WQ */
	out |= KD_BIT(flags, 64, 128); /* R_DISABLED */
	return kd_push_u32(c, out);
}

static KD_INLINE int kd_cap_io_uring_features(struct kd_fill *c, u64 params)
{
	u32 features;

	if (kd_read_user(&features, params + 20, sizeof(features)))
		return kd_push_empty(c);
	return kd_push_u32(c, features & 0x7ff); /* SINGLE_MMAP .. RSRC_TAGS */
}

/* With IORING_ENTER_EXT_ARG the pointer is to another structure. */
static KD_INLINE int kd_cap_io_uring_sigset(struct kd_fill *c, u64 flags, u64 address)
{
	return flags & KD_IORING_ENTER_EXT_ARG ? kd_push_empty(c) : kd_cap_user_u32(c, address);
}

/* The value of fsconfig's FSCONFIG_SET_BINARY, of `aux` bytes. */
static KD_INLINE int kd_cap_fsconfig_bytes(struct kd_fill *c, u64 cmd, u64 value, u64 aux)
{
	s64 len = (s32)aux;

	if ((u32)cmd != 2 || len <= 0)
		return kd_push_empty(c);
	return kd_cap_user_buf(c, value, len);
}

/* FSCONFIG_SET_STRING, FSCONFIG_SET_PATH, FSCONFIG_SET_PATH_EMPTY. */
static KD_INLINE int kd_cap_fsconfig_str(struct kd_fill *c, u64 cmd, u64 value)
{
	cmd = (u32)cmd;
	return cmd == 1 || cmd == 3 || cmd == 4 ? kd_cap_user_str(c, value) : kd_push_empty(c);
}

/* The sockets that socketpair made: those of its first and of its second descriptor. 0: it failed. */
static KD_INLINE u64 kd_val_pair_source(struct kd_fill *c, u64 address, s64 ret)
{
	return (unsigned long)kd_fd_sock(c, (s64)kd_val_pipe_fd(c, address, 0, ret));
}

static KD_INLINE u64 kd_val_pair_peer(struct kd_fill *c, u64 address, s64 ret)
{
	return (unsigned long)kd_fd_sock(c, (s64)kd_val_pipe_fd(c, address, 1, ret));
}

/* The path of an open file; nothing where the descriptor is none. */
static KD_INLINE int kd_cap_fd_path(struct kd_fill *c, s64 fd)
{
	struct file *file = kd_fd_file(c, fd);

	if (!file)
		return kd_push_empty(c);
	kd_param_begin(c);
	return kd_finish(c, kd_put_path(c, KD_GET(file, f_path.dentry), KD_GET(file, f_path.mnt)));
}

#endif
