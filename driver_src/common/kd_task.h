/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Facts of the current task: ids, memory, credentials, cgroups. RCU read section; nothing is locked. */
#ifndef KD_TASK_H
#define KD_TASK_H

#define KD_CLONE_CHILD_IN_PIDNS (1u << 29)
#define KD_PF_EXITING 0x4
#define KD_MM_FILEPAGES 0
#define KD_MM_ANONPAGES 1
#define KD_MM_SWAPENTS 2
#define KD_PAGE_KB 4
#define KD_RLIMIT_NOFILE 7
#define KD_CGROUP_PARTS 8
#define KD_CAPS_KNOWN ((1ULL << 41) - 1)

static KD_INLINE u64 kd_val_task_tid(struct kd_fill *c)
{
	return (s64)KD_GET(kd_task(c), pid);
}

static KD_INLINE u64 kd_val_task_pid(struct kd_fill *c)
{
	return (s64)KD_GET(kd_task(c), tgid);
}

static KD_INLINE u64 kd_val_task_ptid(struct kd_fill *c)
{
	struct task_struct *parent = KD_GET(kd_task(c), real_parent);

	return parent ? (s64)KD_GET(parent, pid) : 0;
}

/* The number of a struct pid at its own level (the namespace it was made in), or at a given one. */
static KD_INLINE s64 kd_pid_number(struct pid *pid, u32 level)
{
	struct upid *upid;

	if (!pid)
		return 0;
	upid = KD_ADDR(pid, numbers[0]);
	upid = (struct upid *)((char *)upid + level * kd_sizeof_upid());
	return (s64)KD_GET(upid, nr);
}

static KD_INLINE u64 kd_val_task_vtid(struct kd_fill *c)
{
	struct pid *pid = kd_task_pid_struct(kd_task(c));

	return pid ? kd_pid_number(pid, KD_GET(pid, level)) : 0;
}

static KD_INLINE u64 kd_val_task_vpid(struct kd_fill *c)
{
	struct pid *pid = kd_task_pid_struct(KD_GET(kd_task(c), group_leader));

	return pid ? kd_pid_number(pid, KD_GET(pid, level)) : 0;
}

static KD_INLINE u64 kd_val_task_pgid(struct kd_fill *c)
{
	return kd_pid_number(kd_task_group_struct(kd_task(c)), 0);
}

/* The group's number in the task's own namespace; 0 when the group was made outside of it. */
static KD_INLINE u64 kd_val_task_vpgid(struct kd_fill *c)
{
	struct pid *own = kd_task_pid_struct(kd_task(c));
	struct pid *group = kd_task_group_struct(kd_task(c));
	u32 level;

	if (!own || !group)
		return 0;
	level = KD_GET(own, level);
	if (level > KD_GET(group, level))
		return 0;
	return kd_pid_number(group, level);
}

static KD_INLINE struct pid_namespace *kd_task_pidns(struct task_struct *task)
{
	struct pid *pid = kd_task_pid_struct(task);
	struct upid *upid;

	if (!pid)
		return 0;
	upid = KD_ADDR(pid, numbers[0]);
	upid = (struct upid *)((char *)upid + KD_GET(pid, level) * kd_sizeof_upid());
	return KD_GET(upid, ns);
}

static KD_INLINE u64 kd_val_clone_ns_flags(struct kd_fill *c)
{
	struct pid_namespace *own = kd_task_pidns(kd_task(c));
	struct nsproxy *proxy = KD_GET(kd_task(c), nsproxy);

	if (own && KD_GET(own, level) > 0)
		return KD_CLONE_CHILD_IN_PIDNS;
	if (own && proxy && kd_pidns_for_children(proxy) != own)
		return KD_CLONE_CHILD_IN_PIDNS;
	return 0;
}

/* When the init of the child's namespace started, ns since boot; only in the child. */
static KD_INLINE u64 kd_val_pidns_start(struct kd_fill *c, s64 ret)
{
	struct pid_namespace *own;
	struct task_struct *init;

	if (ret)
		return 0;
	own = kd_task_pidns(kd_task(c));
	init = own ? KD_GET(own, child_reaper) : 0;
	return init ? kd_task_start_ns(init) : 0;
}

static KD_INLINE u64 kd_val_task_fdlimit(struct kd_fill *c)
{
	struct signal_struct *signal = KD_GET(kd_task(c), signal);

	return KD_GET(signal, rlim[KD_RLIMIT_NOFILE].rlim_cur);
}

static KD_INLINE u64 kd_val_task_pgft_maj(struct kd_fill *c)
{
	return KD_GET(kd_task(c), maj_flt);
}

static KD_INLINE u64 kd_val_task_pgft_min(struct kd_fill *c)
{
	return KD_GET(kd_task(c), min_flt);
}

static KD_INLINE u64 kd_val_task_vm_size(struct kd_fill *c)
{
	struct mm_struct *mm = KD_GET(kd_task(c), mm);

	return mm ? KD_GET(mm, total_vm) * KD_PAGE_KB : 0;
}

/* A counter may be below zero for a moment. */
static KD_INLINE u64 kd_pages(s64 counter)
{
	return counter > 0 ? counter : 0;
}

static KD_INLINE u64 kd_val_task_vm_rss(struct kd_fill *c)
{
	struct mm_struct *mm = KD_GET(kd_task(c), mm);

	if (!mm)
		return 0;
	return (kd_pages(kd_mm_counter(mm, KD_MM_FILEPAGES)) + kd_pages(kd_mm_counter(mm, KD_MM_ANONPAGES)) +
		kd_pages(kd_mm_shmem(mm))) *
	       KD_PAGE_KB;
}

static KD_INLINE u64 kd_val_task_vm_swap(struct kd_fill *c)
{
	struct mm_struct *mm = KD_GET(kd_task(c), mm);

	return mm ? kd_pages(kd_mm_counter(mm, KD_MM_SWAPENTS)) * KD_PAGE_KB : 0;
}

static KD_INLINE u64 kd_val_task_tty(struct kd_fill *c)
{
	struct signal_struct *signal = KD_GET(kd_task(c), signal);
	struct tty_struct *tty = KD_GET(signal, tty);
	struct tty_driver *driver;

	if (!tty)
		return 0;
	driver = KD_GET_STALE(tty, driver); /* a terminal that hangs up is freed without RCU */
	if (!driver)
		return 0;
	return kd_encode_dev(KD_GET_STALE(driver, major), KD_GET_STALE(driver, minor_start) + KD_GET_STALE(tty, index));
}

static KD_INLINE u64 kd_val_task_loginuid(struct kd_fill *c)
{
	return kd_task_loginuid(kd_task(c));
}

static KD_INLINE struct cred *kd_cred(struct kd_fill *c)
{
	return (struct cred *)KD_GET(kd_task(c), cred);
}

static KD_INLINE u64 kd_val_task_euid(struct kd_fill *c)
{
	return KD_GET(kd_cred(c), euid.val);
}

static KD_INLINE u64 kd_val_task_egid(struct kd_fill *c)
{
	return KD_GET(kd_cred(c), egid.val);
}

static KD_INLINE u64 kd_val_cap_inheritable(struct kd_fill *c)
{
	return kd_cap_bits(KD_ADDR(kd_cred(c), cap_inheritable)) & KD_CAPS_KNOWN;
}

static KD_INLINE u64 kd_val_cap_permitted(struct kd_fill *c)
{
	return kd_cap_bits(KD_ADDR(kd_cred(c), cap_permitted)) & KD_CAPS_KNOWN;
}

static KD_INLINE u64 kd_val_cap_effective(struct kd_fill *c)
{
	return kd_cap_bits(KD_ADDR(kd_cred(c), cap_effective)) & KD_CAPS_KNOWN;
}

static KD_INLINE int kd_cap_task_comm(struct kd_fill *c)
{
	kd_param_begin(c);
	return kd_finish(c, kd_put_kernel_str(c, (const char *)KD_ADDR(kd_task(c), comm), 16));
}

static KD_INLINE int kd_cap_task_cwd(struct kd_fill *c)
{
	struct fs_struct *fs = KD_GET(kd_task(c), fs);

	if (!fs)
		return kd_push_empty(c);
	kd_param_begin(c);
	return kd_finish(c, kd_put_path(c, KD_GET(fs, pwd.dentry), KD_GET(fs, pwd.mnt)));
}

/*
 * One `name=path` string; nothing when the kernel has no such subsystem. The name comes with its equals sign as the bytes of a number:
 * eBPF programs of the oldest kernels have no read-only data that could hold a string.
 */
static KD_INLINE int kd_put_cgroup(struct kd_fill *c, struct css_set *set, int id, u64 name, u32 name_len)
{
	u64 *part = kd_vector_area(c); /* as in kd_put_path() */
	struct cgroup_subsys_state *css = 0;
	struct cgroup *cgroup;
	void *node;
	int err, i;

	if (id < 0)
		return 0;
	if (kd_read_kernel(&css, (char *)KD_ADDR(set, subsys[0]) + id * sizeof(css), sizeof(css)) || !css)
		return 0;
	cgroup = KD_GET(css, cgroup);
	node = kd_cgroup_node(cgroup);
	KD_UNROLL
	for (i = 0; i < KD_CGROUP_PARTS; i++) {
		void *parent = node ? kd_cgroup_parent(node) : 0;

		part[i] = parent ? (unsigned long)node : 0;
		node = parent;
	}
	err = kd_put_u64(c, name);
	c->off -= 8 - name_len;
	if (!err && !part[0])
		err = kd_put_u8(c, '/');
	KD_UNROLL
	for (i = KD_CGROUP_PARTS - 1; i >= 0; i--) {
		void *one = (void *)(unsigned long)part[i];

		if (!one || err)
			continue;
		err = kd_put_component(c, kd_cgroup_name(one));
	}
	if (!err)
		err = kd_put_u8(c, 0);
	return err;
}

static KD_INLINE int kd_cap_task_cgroups(struct kd_fill *c)
{
	struct css_set *set = KD_GET(kd_task(c), cgroups);
	int err;

	if (!set)
		return kd_push_empty(c);
	kd_param_begin(c);
	err = kd_put_cgroup(c, set, kd_cgroup_cpuset(), 0x003d746573757063ULL, 7);
	if (!err)
		err = kd_put_cgroup(c, set, kd_cgroup_cpu(), 0x000000003d757063ULL, 4);
	if (!err)
		err = kd_put_cgroup(c, set, kd_cgroup_cpuacct(), 0x3d74636361757063ULL, 8);
	if (!err)
		err = kd_put_cgroup(c, set, kd_cgroup_io(), 0x00000000003d6f69ULL, 3);
	if (!err)
		err = kd_put_cgroup(c, set, kd_cgroup_memory(), 0x003d79726f6d656dULL, 7);
	return kd_finish(c, err);
}

/* Process exit: the current task's exit_code. */
static KD_INLINE u64 kd_val_exit_status(struct kd_fill *c)
{
	return (s64)KD_GET(kd_task(c), exit_code);
}

static KD_INLINE u64 kd_val_exit_ret(struct kd_fill *c)
{
	return (KD_GET(kd_task(c), exit_code) >> 8) & 0xff;
}

static KD_INLINE u64 kd_val_exit_sig(struct kd_fill *c)
{
	u32 sig = KD_GET(kd_task(c), exit_code) & 0x7f;

	return sig == 0x7f ? 0 : sig;
}

static KD_INLINE u64 kd_val_exit_core(struct kd_fill *c)
{
	return (KD_GET(kd_task(c), exit_code) & 0x80) != 0;
}

/* The first thread of a group that is not exiting: its tid, 0 for none, -1 when the bound was reached. */
static KD_INLINE s64 kd_alive_thread(struct signal_struct *signal)
{
	struct list_head *head = KD_ADDR(signal, thread_head);
	struct list_head *node = KD_GET(head, next);
	int i;

	KD_UNROLL
	for (i = 0; i < 16; i++) {
		struct task_struct *task;

		if (node == head)
			return 0;
		task = (struct task_struct *)((char *)node - kd_offset_thread_node());
		if (!(KD_GET(task, flags) & KD_PF_EXITING))
			return (s64)KD_GET(task, pid);
		node = KD_GET(node, next);
	}
	return -1;
}

/* Who inherits the children of the ending task: the rule of the kernel's find_new_reaper(). */
static KD_INLINE u64 kd_val_exit_reaper(struct kd_fill *c)
{
	struct task_struct *task = kd_task(c);
	struct list_head *children = KD_ADDR(task, children);
	struct signal_struct *signal = KD_GET(task, signal);
	struct task_struct *init, *parent;
	struct pid_namespace *own;
	s64 heir;
	int i;

	if (KD_GET(children, next) == children)
		return 0;
	heir = kd_alive_thread(signal);
	if (heir)
		return heir;
	own = kd_task_pidns(task);
	init = own ? KD_GET(own, child_reaper) : 0;
	if (!init || init == task)
		return 0;
	if (!kd_has_child_subreaper(signal))
		return (s64)KD_GET(init, pid);
	parent = KD_GET(task, real_parent);
	heir = -1;
	KD_UNROLL
	for (i = 0; i < 8; i++) {
		if (heir != -1)
			continue;
		signal = KD_GET(parent, signal);
		if (parent == init || kd_task_pidns(parent) != own)
			heir = 0;
		else if (kd_is_child_subreaper(signal))
			heir = 1;
		parent = KD_GET(parent, real_parent);
	}
	if (heir > 0)
		heir = kd_alive_thread(signal);
	return heir ? heir : (s64)KD_GET(init, pid);
}

static KD_INLINE u64 kd_val_switch_next(struct kd_fill *c)
{
	return (s64)kd_hook_next_tid(c);
}

#endif
