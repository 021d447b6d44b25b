/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Absolute paths, walked from the leaf up over dentries and mounts. RCU read section: most dentries, their names and mounts are freed
 * after a grace period; those of memfds (DCACHE_NORCU) and the mounts before 3.13 are not, so all are read as memory that may be
 * stale. rename_lock is not taken: a path that is renamed meanwhile may show a mixture; it is never unsafe.
 */
#ifndef KD_PATH_H
#define KD_PATH_H

#define KD_PATH_PARTS 16
#define KD_PATH_STEPS 20 /* components and mount points */
#define KD_NAME_MAX 256

/* Append a slash and a name, without the name's NUL. */
static KD_INLINE int kd_put_component(struct kd_fill *c, const unsigned char *name)
{
	int err = kd_put_u8(c, '/');

	if (!err)
		err = kd_put_kernel_str(c, (const char *)name, KD_NAME_MAX);
	if (!err)
		c->off -= 1;
	return err;
}

/* The name of a dentry that is its own root: a memfd's, or the slash of a file system. */
static KD_INLINE int kd_put_rootless(struct kd_fill *c, struct dentry *dentry)
{
	const unsigned char *name = KD_GET_STALE(dentry, d_name.name);
	u8 first = 0;

	if (kd_read_kernel(&first, name, 1))
		return -EFAULT;
	if (first != '/')
		return kd_put_component(c, name);
	return kd_put_u8(c, '/');
}

static KD_INLINE int kd_put_path(struct kd_fill *c, struct dentry *dentry, struct vfsmount *mount)
{
	u64 *part =
		kd_vector_area(c); /* not on the stack: there the verifier would tell apart what is set and what not */
	struct dentry *leaf = dentry;
	u32 parts = 0;
	int top = 0;
	int err = 0;
	int i;

	KD_UNROLL
	for (i = 0; i < KD_PATH_STEPS; i++) {
		struct dentry *parent;

		part[i] = 0;
		if (top)
			continue;
		parent = KD_GET_STALE(dentry, d_parent);
		if (dentry == parent || dentry == KD_GET_STALE(mount, mnt_root)) {
			top = kd_mount_up(&mount, &dentry);
			continue;
		}
		part[i] = (unsigned long)dentry;
		parts = kd_forget(c,
				  parts + 1); /* else the verifier goes on from here with each number that it can be */
		dentry = parent;
	}
	if (!top || parts > KD_PATH_PARTS)
		return -EFAULT;
	if (!parts)
		err = kd_put_rootless(c, leaf);
	KD_UNROLL
	for (i = KD_PATH_STEPS - 1; i >= 0; i--) {
		struct dentry *one = (struct dentry *)(unsigned long)part[i];

		if (!one || err)
			continue;
		err = kd_put_component(c, KD_GET_STALE(one, d_name.name));
	}
	if (!err)
		err = kd_put_u8(c, 0);
	return err;
}

#endif
