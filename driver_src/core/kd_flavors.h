/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Accessors of what kernels hold in different ways: the CO-RE probe decides by the running kernel's BTF when it is loaded. */
#ifndef KD_FLAVORS_H
#define KD_FLAVORS_H

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

/* 6.15 renamed kernfs_node.parent and made it RCU-protected. */
struct kernfs_node___old {
	struct kernfs_node___old *parent;
};
struct kernfs_node___6_15 {
	struct kernfs_node___6_15 *__parent;
};

/* 6.2 made the counters of a mm per-CPU (percpu_counter[]); before they were atomics in a structure. */
struct percpu_counter {
	s64 count;
};
struct mm_struct___6_2 {
	struct percpu_counter rss_stat[4];
};
struct mm_rss_stat {
	atomic_long_t count[4];
};
struct mm_struct___old {
	struct mm_rss_stat rss_stat;
};

/* Inode times: struct timespec64 fields, renamed in 6.6 and 6.7, cut in seconds and nanoseconds in 6.11. */
struct inode___old {
	struct timespec64 i_ctime, i_mtime;
};
struct inode___6_6 {
	struct timespec64 __i_ctime;
};
struct inode___6_7 {
	struct timespec64 __i_mtime;
};
struct inode___6_11 {
	s64 i_ctime_sec, i_mtime_sec;
	u32 i_ctime_nsec, i_mtime_nsec;
};

struct task_struct___boot {
	u64 start_boottime;
};
struct task_struct___real {
	u64 real_start_time;
};
struct task_struct___audit {
	kuid_t loginuid;
};

#pragma clang attribute pop

/* The multigrain flag of 6.13 lives in bit 31 of the nanoseconds of ctime. */
#define KD_NSEC_MASK 0x7fffffff

static KD_INLINE u64 kd_inode_ctime_ns(struct inode *inode)
{
	struct inode___6_11 *split = (void *)inode;
	struct inode___6_6 *renamed = (void *)inode;
	struct inode___old *old = (void *)inode;

	if (bpf_core_field_exists(split->i_ctime_sec))
		return KD_GET(split, i_ctime_sec) * 1000000000ULL + (KD_GET(split, i_ctime_nsec) & KD_NSEC_MASK);
	if (bpf_core_field_exists(renamed->__i_ctime))
		return KD_GET(renamed, __i_ctime.tv_sec) * 1000000000ULL + KD_GET(renamed, __i_ctime.tv_nsec);
	return KD_GET(old, i_ctime.tv_sec) * 1000000000ULL + KD_GET(old, i_ctime.tv_nsec);
}

static KD_INLINE u64 kd_inode_mtime_ns(struct inode *inode)
{
	struct inode___6_11 *split = (void *)inode;
	struct inode___6_7 *renamed = (void *)inode;
	struct inode___old *old = (void *)inode;

	if (bpf_core_field_exists(split->i_mtime_sec))
		return KD_GET(split, i_mtime_sec) * 1000000000ULL + KD_GET(split, i_mtime_nsec);
	if (bpf_core_field_exists(renamed->__i_mtime))
		return KD_GET(renamed, __i_mtime.tv_sec) * 1000000000ULL + KD_GET(renamed, __i_mtime.tv_nsec);
	return KD_GET(old, i_mtime.tv_sec) * 1000000000ULL + KD_GET(old, i_mtime.tv_nsec);
}

static KD_INLINE s64 kd_mm_counter(struct mm_struct *mm, u32 member)
{
	struct mm_struct___6_2 *fresh = (void *)mm;
	struct mm_struct___old *old = (void *)mm;
	struct percpu_counter *counter;

	if (bpf_core_field_exists(old->rss_stat.count)) {
		atomic_long_t *count = KD_ADDR(old, rss_stat.count[0]);
		s64 value = 0;

		kd_read_kernel(&value, count + member, sizeof(value));
		return value;
	}
	counter = KD_ADDR(fresh, rss_stat[0]);
	counter = (void *)counter + member * bpf_core_type_size(struct percpu_counter);
	return KD_GET(counter, count);
}

static KD_INLINE s64 kd_mm_shmem(struct mm_struct *mm)
{
	return kd_mm_counter(mm, KD_MM_SHMEMPAGES);
}

static KD_INLINE u64 kd_cap_bits(void *set)
{
	u64 bits = 0;

	/* One number and two halves have the same bytes on a little-endian machine. */
	kd_read_kernel(&bits, set, sizeof(bits));
	return bits;
}

static KD_INLINE struct pid *kd_task_pid_struct(struct task_struct *task)
{
	return KD_GET(task, thread_pid);
}

static KD_INLINE struct pid *kd_task_group_struct(struct task_struct *task)
{
	struct signal_struct *signal = KD_GET(task, signal);

	return KD_GET(signal, pids[2]); /* PIDTYPE_PGID */
}

static KD_INLINE u32 kd_sizeof_upid(void)
{
	return bpf_core_type_size(struct upid);
}

static KD_INLINE u32 kd_offset_thread_node(void)
{
	return bpf_core_field_offset(struct task_struct, thread_node);
}

static KD_INLINE struct pid_namespace *kd_pidns_for_children(struct nsproxy *proxy)
{
	return KD_GET(proxy, pid_ns_for_children);
}

static KD_INLINE u64 kd_task_start_ns(struct task_struct *task)
{
	struct task_struct___boot *fresh = (void *)task;
	struct task_struct___real *old = (void *)task;

	if (bpf_core_field_exists(fresh->start_boottime))
		return KD_GET(fresh, start_boottime);
	return KD_GET(old, real_start_time);
}

static KD_INLINE u32 kd_task_loginuid(struct task_struct *task)
{
	struct task_struct___audit *audited = (void *)task;

	if (!bpf_core_field_exists(audited->loginuid))
		return (u32)-1;
	return KD_GET(audited, loginuid.val);
}

/*
 * Page faults of the task are not going to be handled: it is reading what may not be there. The helper that reads the counter raises it while it
 * does.
 */
static KD_INLINE int kd_task_faults_off(struct task_struct *task)
{
	return KD_GET(task, pagefault_disabled) > 1;
}

static KD_INLINE int kd_file_created(struct file *file)
{
	return (KD_GET(file, f_mode) & KD_FMODE_CREATED) != 0;
}

static KD_INLINE void *kd_cgroup_node(struct cgroup *cgroup)
{
	return KD_GET(cgroup, kn);
}

static KD_INLINE void *kd_cgroup_parent(void *node)
{
	struct kernfs_node___6_15 *fresh = node;
	struct kernfs_node___old *old = node;

	if (bpf_core_field_exists(fresh->__parent))
		return (void *)KD_GET(fresh, __parent);
	return (void *)KD_GET(old, parent);
}

static KD_INLINE const unsigned char *kd_cgroup_name(void *node)
{
	struct kernfs_node *named = node;

	return (const unsigned char *)KD_GET(named, name);
}

/* Cross a mount point upwards: 1 at the top of the mount tree. */
static KD_INLINE int kd_mount_up(struct vfsmount **vfsmount, struct dentry **dentry)
{
	struct mount *mount = (void *)*vfsmount - bpf_core_field_offset(struct mount, mnt);
	struct mount *parent = KD_GET(mount, mnt_parent);

	if (parent == mount)
		return 1;
	*dentry = KD_GET(mount, mnt_mountpoint);
	*vfsmount = (void *)parent + bpf_core_field_offset(struct mount, mnt);
	return 0;
}

static KD_INLINE int kd_is_child_subreaper(struct signal_struct *signal)
{
	return BPF_CORE_READ_BITFIELD_PROBED(signal, is_child_subreaper) != 0;
}

static KD_INLINE int kd_has_child_subreaper(struct signal_struct *signal)
{
	return BPF_CORE_READ_BITFIELD_PROBED(signal, has_child_subreaper) != 0;
}

#define KD_CGROUP(function, enumerator)                                                                         \
	enum cgroup_subsys_id___##function{enumerator##___##function};                                          \
	static KD_INLINE int function(void)                                                                     \
	{                                                                                                       \
		if (!bpf_core_enum_value_exists(enum cgroup_subsys_id___##function, enumerator##___##function)) \
			return -1;                                                                              \
		return bpf_core_enum_value(enum cgroup_subsys_id___##function, enumerator##___##function);      \
	}
KD_CGROUP(kd_cgroup_cpuset, cpuset_cgrp_id)
KD_CGROUP(kd_cgroup_cpu, cpu_cgrp_id)
KD_CGROUP(kd_cgroup_cpuacct, cpuacct_cgrp_id)
KD_CGROUP(kd_cgroup_io, io_cgrp_id)
KD_CGROUP(kd_cgroup_memory, memory_cgrp_id)

static KD_INLINE u32 kd_thread_is_compat(struct task_struct *task)
{
	return KD_GET(task, thread_info.status) & KD_TS_COMPAT;
}

#endif
