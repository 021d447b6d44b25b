/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* The file behind a descriptor of the current task. RCU read section; the descriptor table is read without its lock. */
#ifndef KD_FILE_H
#define KD_FILE_H

/* The open file, or NULL. */
static KD_INLINE struct file *kd_fd_file(struct kd_fill *c, s64 fd)
{
	struct files_struct *files;
	struct fdtable *table;
	struct file **slots;
	u64 size;

	if (fd < 0)
		return 0;
	files = KD_LOAD(kd_task_trusted(c), files);
	if (!files)
		return 0;
	table = KD_LOAD(files, fdt);
	size = KD_LOAD(table, max_fds);
	if ((u64)fd >= size)
		return 0;
	slots = (struct file **)KD_LOAD(table, fd);
	return KD_AT(slots, kd_bounded(fd, size));
}

static KD_INLINE struct inode *kd_fd_inode(struct kd_fill *c, s64 fd)
{
	struct file *file = kd_fd_file(c, fd);

	return file ? KD_GET(file, f_inode) : 0;
}

/* A device number as stat shows it. */
static KD_INLINE u32 kd_encode_dev(u32 major, u32 minor)
{
	return (minor & 0xff) | major << 8 | (minor & ~0xffu) << 12;
}

static KD_INLINE u64 kd_val_fd_dev(struct kd_fill *c, s64 fd)
{
	struct inode *inode = kd_fd_inode(c, fd);
	struct super_block *sb;
	u32 dev;

	if (!inode)
		return 0;
	sb = KD_GET(inode, i_sb);
	dev = KD_GET_STALE(sb, s_dev);
	return kd_encode_dev(dev >> 20, dev & 0xfffff);
}

static KD_INLINE u64 kd_val_fd_ino(struct kd_fill *c, s64 fd)
{
	struct inode *inode = kd_fd_inode(c, fd);

	return inode ? KD_GET(inode, i_ino) : 0;
}

static KD_INLINE u64 kd_val_pipe_ino(struct kd_fill *c, u64 address, s64 ret)
{
	if (ret)
		return 0;
	return kd_val_fd_ino(c, (s64)kd_val_pipe_fd(c, address, 0, ret));
}

/* Flags of an open, and whether it made the file (FMODE_CREATED, from 4.19). */
static KD_INLINE u64 kd_val_open_flags(struct kd_fill *c, u64 flags, s64 fd)
{
	u64 out = kd_open_bits(flags);
	struct file *file = kd_fd_file(c, fd);

	if (file && kd_file_created(file))
		out |= 16384;
	return out;
}

#endif
