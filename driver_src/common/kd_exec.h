/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* The executable and the arguments of a process, of the running image or of an execve that failed. */
#ifndef KD_EXEC_H
#define KD_EXEC_H

#define KD_S_IWUSR 0200
#define KD_S_IWGRP 0020
#define KD_S_IWOTH 0002
#define KD_SB_RDONLY 1
#define KD_S_IMMUTABLE 8
#define KD_CAP_DAC_OVERRIDE (1ULL << 1)
#define KD_CAP_FOWNER (1ULL << 3)

static KD_INLINE struct file *kd_exe_file(struct kd_fill *c)
{
	struct mm_struct *mm = KD_GET(kd_task(c), mm);

	return mm ? KD_GET(mm, exe_file) : 0;
}

static KD_INLINE struct inode *kd_exe_inode(struct kd_fill *c)
{
	struct file *file = kd_exe_file(c);

	return file ? KD_GET(file, f_inode) : 0;
}

static KD_INLINE u64 kd_val_exe_ino(struct kd_fill *c)
{
	struct inode *inode = kd_exe_inode(c);

	return inode ? KD_GET(inode, i_ino) : 0;
}

static KD_INLINE u64 kd_val_exe_ctime(struct kd_fill *c)
{
	struct inode *inode = kd_exe_inode(c);

	return inode ? kd_inode_ctime_ns(inode) : 0;
}

static KD_INLINE u64 kd_val_exe_mtime(struct kd_fill *c)
{
	struct inode *inode = kd_exe_inode(c);

	return inode ? kd_inode_mtime_ns(inode) : 0;
}

static KD_INLINE int kd_exe_writable(struct kd_fill *c, struct inode *inode)
{
	struct super_block *sb = KD_GET(inode, i_sb);
	struct cred *cred = kd_cred(c);
	u32 mode = KD_GET(inode, i_mode);

	if ((KD_GET(sb, s_flags) & KD_SB_RDONLY) || (KD_GET(inode, i_flags) & KD_S_IMMUTABLE))
		return 0;
	if (kd_cap_bits(KD_ADDR(cred, cap_effective)) & (KD_CAP_DAC_OVERRIDE | KD_CAP_FOWNER))
		return 1;
	if (KD_GET(cred, fsuid.val) == KD_GET(inode, i_uid.val))
		return 1;
	if (KD_GET(cred, fsgid.val) == KD_GET(inode, i_gid.val))
		return (mode & KD_S_IWGRP) != 0;
	return (mode & KD_S_IWOTH) != 0;
}

/* A memfd's dentry is its own parent and has a telling name. */
static KD_INLINE int kd_exe_is_memfd(struct file *file)
{
	struct dentry *dentry = KD_GET(file, f_path.dentry);
	char name[6] = {0};

	if (!dentry || KD_GET_STALE(dentry, d_parent) != dentry)
		return 0;
	if (kd_read_kernel(name, KD_GET_STALE(dentry, d_name.name), sizeof(name)))
		return 0;
	return name[0] == 'm' && name[1] == 'e' && name[2] == 'm' && name[3] == 'f' && name[4] == 'd' && name[5] == ':';
}

static KD_INLINE u64 kd_val_exe_flags(struct kd_fill *c)
{
	struct file *file = kd_exe_file(c);
	struct inode *inode = file ? KD_GET(file, f_inode) : 0;
	u64 flags = 0;

	if (!inode)
		return 0;
	if (kd_exe_writable(c, inode))
		flags |= 1;
	if (kd_exe_is_memfd(file))
		flags |= 4;
	return flags;
}

static KD_INLINE int kd_cap_exe_path(struct kd_fill *c)
{
	struct file *file = kd_exe_file(c);

	if (!file)
		return kd_push_empty(c);
	kd_param_begin(c);
	return kd_finish(c, kd_put_path(c, KD_GET(file, f_path.dentry), KD_GET(file, f_path.mnt)));
}

/* The first string of the image's arguments. */
static KD_INLINE int kd_image_exe(struct kd_fill *c)
{
	struct mm_struct *mm = KD_GET(kd_task(c), mm);

	return mm ? kd_cap_user_str(c, KD_GET(mm, arg_start)) : kd_push_empty(c);
}

/* A range of the image's strings; the last byte is a NUL also when it was cut. */
static KD_INLINE int kd_image_range(struct kd_fill *c, u64 start, u64 end)
{
	u64 len = end > start ? kd_min(end - start, KD_STRING_MAX) : 0;
	int err;

	if (!len)
		return kd_push_empty(c);
	kd_param_begin(c);
	err = kd_put_user(c, start, len);
	if (!err) {
		c->off -= 1;
		err = kd_put_u8(c, 0);
	}
	return kd_finish(c, err);
}

/* The image's arguments after the first: the first string's length is found by reading it over. */
static KD_INLINE int kd_image_args(struct kd_fill *c)
{
	struct mm_struct *mm = KD_GET(kd_task(c), mm);
	u64 start, end;
	u32 before = c->off;
	u32 len;
	int err;

	if (!mm)
		return kd_push_empty(c);
	start = KD_GET(mm, arg_start);
	end = KD_GET(mm, arg_end);
	err = kd_put_user_str(c, start, KD_STRING_MAX);
	if (err == -ENOSPC)
		return err;
	if (err)
		return kd_push_empty(c);
	len = c->off - before;
	c->off = before;
	return kd_image_range(c, start + len, end);
}

static KD_INLINE int kd_cap_task_exe(struct kd_fill *c, s64 ret)
{
	return ret < 0 ? kd_push_empty(c) : kd_image_exe(c);
}

static KD_INLINE int kd_cap_task_args(struct kd_fill *c, s64 ret)
{
	return ret < 0 ? kd_push_empty(c) : kd_image_args(c);
}

/* Strings of a NULL-terminated vector from index `first` on, together KD_STRING_MAX bytes at most. */
static KD_INLINE int kd_cap_strings(struct kd_fill *c, u64 vector, u32 first)
{
	u32 word = kd_is_compat(c) ? 4 : 8;
	u32 start = c->off;
	u64 pointer = 0;
	u32 i;
	int err = 0;

	if (!vector)
		return kd_push_empty(c);
	kd_param_begin(c);
	KD_UNROLL
	for (i = first; i < KD_VECTOR_MAX; i++) {
		u32 used = c->off - start;

		if (used >= KD_STRING_MAX)
			break;
		err = kd_read_user_word(c, vector + i * word, &pointer);
		if (err || !pointer)
			break;
		err = kd_put_user_str(c, pointer, KD_STRING_MAX - used);
		if (err)
			break;
	}
	return kd_finish(c, err);
}

static KD_INLINE int kd_cap_exec_exe(struct kd_fill *c, u64 argv)
{
	u64 pointer = 0;

	if (!kd_ret(c))
		return kd_image_exe(c);
	if (!argv || kd_read_user_word(c, argv, &pointer) || !pointer)
		return kd_push_empty(c);
	return kd_cap_user_str(c, pointer);
}

/* A vector whose first entry is missing has no further ones. */
static KD_INLINE int kd_cap_exec_args(struct kd_fill *c, u64 argv)
{
	u64 pointer = 0;

	if (!kd_ret(c))
		return kd_image_args(c);
	if (!argv || kd_read_user_word(c, argv, &pointer) || !pointer)
		return kd_push_empty(c);
	return kd_cap_strings(c, argv, 1);
}

static KD_INLINE int kd_cap_exec_env(struct kd_fill *c, u64 envp)
{
	struct mm_struct *mm;

	if (kd_ret(c))
		return kd_cap_strings(c, envp, 0);
	mm = KD_GET(kd_task(c), mm);
	if (!mm)
		return kd_push_empty(c);
	return kd_image_range(c, KD_GET(mm, env_start), KD_GET(mm, env_end));
}

/* The kernel puts the name that was executed right behind the environment. */
static KD_INLINE int kd_cap_exec_filename(struct kd_fill *c, u64 path)
{
	struct mm_struct *mm;

	if (kd_ret(c))
		return kd_cap_user_str(c, path);
	mm = KD_GET(kd_task(c), mm);
	return mm ? kd_cap_user_str(c, KD_GET(mm, env_end)) : kd_push_empty(c);
}

#endif
