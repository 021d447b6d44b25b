// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The list of threads with their CPU times, for consumers that start: process context, the walk under RCU.
 */
#include "kd_module.h"
#include "compat/kd_task.h"

#include <linux/rcupdate.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>

#define KD_PROCLIST_MAX 1000000

/* Fills at most max entries and returns how many threads there are. */
static s64 kd_proclist_walk(struct kd_proc_entry *entries, s64 max)
{
	struct task_struct *process;
	struct task_struct *thread;
	s64 count = 0;

	rcu_read_lock();
	for_each_process_thread(process, thread)
	{
		if (count < max) {
			u64 utime;
			u64 stime;

			kd_task_clock_ticks(thread, &utime, &stime);
			entries[count].pid = thread->pid;
			entries[count].utime = utime;
			entries[count].stime = stime;
		}
		count++;
	}
	rcu_read_unlock();
	return count;
}

int kd_proclist(struct kd_proclist __user *list)
{
	struct kd_proc_entry *entries;
	struct kd_proclist head = {0};
	int error = 0;

	if (copy_from_user(&head, list, sizeof(head)))
		return -EFAULT;
	if (head.max_entries < 0 || head.max_entries > KD_PROCLIST_MAX)
		return -EINVAL;
	/* One more, so that no room at all is no empty allocation. */
	entries = vmalloc((head.max_entries + 1) * sizeof(*entries));
	if (!entries)
		return -ENOMEM;
	head.n_entries = kd_proclist_walk(entries, head.max_entries);
	if (head.n_entries > head.max_entries)
		error = -ENOSPC;
	else if (copy_to_user(list->entries, entries, head.n_entries * sizeof(*entries)))
		error = -EFAULT;
	if (copy_to_user(list, &head, sizeof(head)))
		error = -EFAULT;
	vfree(entries);
	return error;
}
