/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Accessors of what kernels hold in different ways, for the two drivers that are compiled against a kernel's own headers (the module
 * and the per-kernel eBPF probe). The compile probes of kmod/probes decide; KD_GET reads as each driver must.
 *
 * Each branch names its release in the probe that it depends on.
 */
#ifndef KD_KERNEL_H
#define KD_KERNEL_H

/* The multigrain flag of 6.13 lives in bit 31 of the nanoseconds of ctime. */
#define KD_NSEC_MASK 0x7fffffff
#define KD_NSEC_PER_SEC 1000000000LL

static KD_INLINE u64 kd_inode_ctime_ns(struct inode *inode)
{
#if defined(KD_INODE_CTIME__SPLIT)
	return KD_GET(inode, i_ctime_sec) * KD_NSEC_PER_SEC + (KD_GET(inode, i_ctime_nsec) & KD_NSEC_MASK);
#elif defined(KD_INODE_CTIME__RENAMED)
	return KD_GET(inode, __i_ctime.tv_sec) * KD_NSEC_PER_SEC + KD_GET(inode, __i_ctime.tv_nsec);
#else
	return KD_GET(inode, i_ctime.tv_sec) * KD_NSEC_PER_SEC + KD_GET(inode, i_ctime.tv_nsec);
#endif
}

static KD_INLINE u64 kd_inode_mtime_ns(struct inode *inode)
{
#if defined(KD_INODE_MTIME__SPLIT)
	return KD_GET(inode, i_mtime_sec) * KD_NSEC_PER_SEC + KD_GET(inode, i_mtime_nsec);
#elif defined(KD_INODE_MTIME__RENAMED)
	return KD_GET(inode, __i_mtime.tv_sec) * KD_NSEC_PER_SEC + KD_GET(inode, __i_mtime.tv_nsec);
#else
	return KD_GET(inode, i_mtime.tv_sec) * KD_NSEC_PER_SEC + KD_GET(inode, i_mtime.tv_nsec);
#endif
}

static KD_INLINE s64 kd_mm_counter(struct mm_struct *mm, u32 member)
{
#if defined(KD_MM_RSS__PERCPU)
	struct percpu_counter *counter = (struct percpu_counter *)KD_ADDR(mm, rss_stat[0]) + member;

	return KD_GET(counter, count);
#else
	atomic_long_t *counter = (atomic_long_t *)KD_ADDR(mm, rss_stat.count[0]) + member;

	return KD_GET(counter, counter);
#endif
}

/* Pages of shared memory, which counted as pages of files until 4.4; RHEL 7.3 keeps their counter outside the array. */
static KD_INLINE s64 kd_mm_shmem(struct mm_struct *mm)
{
#if defined(KD_MM_SHMEM__COUNTER)
	return kd_mm_counter(mm, KD_MM_SHMEMPAGES);
#elif defined(KD_MM_SHMEM__APART)
	return KD_GET(mm, mm_shmempages.counter);
#else
	(void)mm;
	return 0;
#endif
}

/* kernel_cap_t is one number since 6.3 and was two halves before: the same bytes on a little-endian machine. */
static KD_INLINE u64 kd_cap_bits(void *set)
{
	u64 bits = 0;

	kd_read_kernel(&bits, set, sizeof(bits));
	return bits;
}

static KD_INLINE struct pid *kd_task_pid_struct(struct task_struct *task)
{
#if defined(KD_TASK_PID__THREAD_PID)
	return KD_GET(task, thread_pid);
#else
	return KD_GET(task, pids[PIDTYPE_PID].pid);
#endif
}

static KD_INLINE struct pid *kd_task_group_struct(struct task_struct *task)
{
#if defined(KD_TASK_PID__THREAD_PID)
	struct signal_struct *signal = KD_GET(task, signal);

	return KD_GET(signal, pids[PIDTYPE_PGID]);
#else
	struct task_struct *leader = KD_GET(task, group_leader);

	return KD_GET(leader, pids[PIDTYPE_PGID].pid);
#endif
}

static KD_INLINE u32 kd_sizeof_upid(void)
{
	return sizeof(struct upid);
}

static KD_INLINE u32 kd_offset_thread_node(void)
{
	return offsetof(struct task_struct, thread_node);
}

static KD_INLINE struct pid_namespace *kd_pidns_for_children(struct nsproxy *proxy)
{
#if defined(KD_PIDNS_CHILDREN__NAMED)
	return KD_GET(proxy, pid_ns_for_children);
#else
	return KD_GET(proxy, pid_ns);
#endif
}

static KD_INLINE u64 kd_task_start_ns(struct task_struct *task)
{
#if defined(KD_TASK_START__BOOTTIME)
	return KD_GET(task, start_boottime);
#elif defined(KD_TASK_START__REAL)
	return KD_GET(task, real_start_time);
#else
	return KD_GET(task, real_start_time.tv_sec) * KD_NSEC_PER_SEC + KD_GET(task, real_start_time.tv_nsec);
#endif
}

static KD_INLINE u32 kd_task_loginuid(struct task_struct *task)
{
#if defined(KD_TASK_LOGINUID__PRESENT)
	return KD_GET(task, loginuid.val);
#else
	(void)task;
	return (u32)-1;
#endif
}

/*
 * Page faults of the task are not going to be handled: it is reading what may not be there. For eBPF programs: the helper that reads the counter
 * raises it while it does. Before 4.1 only the preemption counter says so.
 */
static KD_INLINE int kd_task_faults_off(struct task_struct *task)
{
#if defined(KD_TASK_PAGEFAULT__PRESENT)
	return KD_GET(task, pagefault_disabled) > 1;
#else
	(void)task;
	return 0;
#endif
}

static KD_INLINE int kd_file_created(struct file *file)
{
#if defined(FMODE_CREATED)
	return ((u64)KD_GET(file, f_mode) & KD_FMODE_CREATED) != 0;
#else
	(void)file;
	return 0;
#endif
}

/*
 * The folder of a cgroup, the one above it (NULL at the root) and its name: nodes of kernfs since 3.15 (2bd59d48ebfb), dentries of
 * a file system of their own before and in all of RHEL 7.
 */
#if defined(KD_KERNFS_PARENT__NONE)
static KD_INLINE void *kd_cgroup_node(struct cgroup *cgroup)
{
	return KD_GET(cgroup, dentry);
}

static KD_INLINE void *kd_cgroup_parent(void *node)
{
	struct dentry *dentry = (struct dentry *)node;
	struct dentry *parent = KD_GET(dentry, d_parent);

	return parent == dentry ? 0 : parent;
}

static KD_INLINE const unsigned char *kd_cgroup_name(void *node)
{
	return KD_GET((struct dentry *)node, d_name.name);
}
#else
static KD_INLINE void *kd_cgroup_node(struct cgroup *cgroup)
{
	return KD_GET(cgroup, kn);
}

static KD_INLINE void *kd_cgroup_parent(void *node)
{
#if defined(KD_KERNFS_PARENT__RCU)
	return (void *)KD_GET((struct kernfs_node *)node, __parent);
#else
	return KD_GET((struct kernfs_node *)node, parent);
#endif
}

static KD_INLINE const unsigned char *kd_cgroup_name(void *node)
{
	return (const unsigned char *)KD_GET((struct kernfs_node *)node, name);
}
#endif

/*
 * Cross a mount point upwards: 1 at the top of the mount tree. struct mount is private to fs/; its head has been
 * { two pointers of a hash chain; mnt_parent; mnt_mountpoint; struct vfsmount mnt; ... } since 3.3. It is read without trusting it.
 */
static KD_INLINE int kd_mount_up(struct vfsmount **vfsmount, struct dentry **dentry)
{
	struct {
		void *parent;
		struct dentry *mountpoint;
	} head;
	char *own = (char *)*vfsmount - 4 * sizeof(void *);

	if (kd_read_kernel(&head, own + 2 * sizeof(void *), sizeof(head)))
		return 1;
	if (head.parent == (void *)own)
		return 1;
	*dentry = head.mountpoint;
	*vfsmount = (struct vfsmount *)((char *)head.parent + 4 * sizeof(void *));
	return 0;
}

#if defined(KD_SIGNAL_SUBREAPER__BOOL)
/* Bools of their own: seen in 7.2 and 7.3, not in 6.12. */
static KD_INLINE int kd_is_child_subreaper(struct signal_struct *signal)
{
	return KD_GET(signal, is_child_subreaper) != 0;
}

static KD_INLINE int kd_has_child_subreaper(struct signal_struct *signal)
{
	return KD_GET(signal, has_child_subreaper) != 0;
}
#else
/*
 * The subreaper bits of signal_struct are bit-fields, whose address C does not give: they follow core_state (since 5.16) or flags.
 */
static KD_INLINE u32 kd_subreaper_bits(struct signal_struct *signal)
{
	u32 bits = 0;

#if defined(KD_SIGNAL_CORE_STATE__PRESENT)
	kd_read_kernel(&bits, (char *)KD_ADDR(signal, core_state) + sizeof(void *), sizeof(bits));
#else
	kd_read_kernel(&bits, (char *)KD_ADDR(signal, flags) + sizeof(u32), sizeof(bits));
#endif
	return bits;
}

static KD_INLINE int kd_is_child_subreaper(struct signal_struct *signal)
{
	return kd_subreaper_bits(signal) & 1;
}

static KD_INLINE int kd_has_child_subreaper(struct signal_struct *signal)
{
	return (kd_subreaper_bits(signal) & 2) != 0;
}
#endif

/*
 * Numbers of the cgroup subsystems. Until 3.14 (and in RHEL 7) they are called after the structure of each, <structure>_id; since 3.15
 * (073219e995b4) after what user space calls them. blkio was renamed io in 4.3 (c165b3e3c7bb).
 */
#if defined(KD_KERNFS_PARENT__NONE)
#define KD_CGROUP_ID(old, new) ((int)old##_subsys_id)
#else
#define KD_CGROUP_ID(old, new) ((int)new##_cgrp_id)
#endif
#if defined(CONFIG_CPUSETS)
#define kd_cgroup_cpuset() KD_CGROUP_ID(cpuset, cpuset)
#else
#define kd_cgroup_cpuset() (-1)
#endif
#if defined(CONFIG_CGROUP_SCHED)
#define kd_cgroup_cpu() KD_CGROUP_ID(cpu_cgroup, cpu)
#else
#define kd_cgroup_cpu() (-1)
#endif
#if defined(CONFIG_CGROUP_CPUACCT)
#define kd_cgroup_cpuacct() KD_CGROUP_ID(cpuacct, cpuacct)
#else
#define kd_cgroup_cpuacct() (-1)
#endif
#if defined(CONFIG_BLK_CGROUP) && defined(KD_CGROUP_IO__NAMED)
#define kd_cgroup_io() KD_CGROUP_ID(blkio, io)
#elif defined(CONFIG_BLK_CGROUP)
#define kd_cgroup_io() KD_CGROUP_ID(blkio, blkio)
#else
#define kd_cgroup_io() (-1)
#endif
#if defined(CONFIG_MEMCG)
#define kd_cgroup_memory() KD_CGROUP_ID(mem_cgroup, memory)
#else
#define kd_cgroup_memory() (-1)
#endif

static KD_INLINE u32 kd_thread_is_compat(struct task_struct *task)
{
#if defined(KD_THREAD_STATUS__THREAD)
	return KD_GET(task, thread.status) & KD_TS_COMPAT;
#elif defined(CONFIG_THREAD_INFO_IN_TASK)
	return KD_GET(task, thread_info.status) & KD_TS_COMPAT;
#else
	struct thread_info *info = (struct thread_info *)KD_GET(task, stack);

	return KD_GET(info, status) & KD_TS_COMPAT;
#endif
}

#endif
