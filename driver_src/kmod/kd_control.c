// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The controls of the devices (ioctl): process context. Numbers and meaning are in kd_ioctl.h.
 */
#include "kd_module.h"

#include <linux/bitops.h>
#include <linux/log2.h>
#include <linux/pid_namespace.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/string.h>
#include <linux/time.h>
#include <linux/uaccess.h>

#define KD_SAMPLING_RATIO_MAX 128

static int kd_set_dropping(struct kd_consumer *consumer, u32 ratio)
{
	if (!ratio || ratio > KD_SAMPLING_RATIO_MAX || !is_power_of_2(ratio))
		return -EINVAL;
	WRITE_ONCE(consumer->sampling_ratio, ratio);
	WRITE_ONCE(consumer->sampled_ns, NSEC_PER_SEC / ratio);
	kd_store_release(&consumer->dropping, 1);
	return 0;
}

static int kd_set_call(struct kd_consumer *consumer, unsigned long number, bool on)
{
	if (number >= KD_CALL_NUMBERS)
		return -EINVAL;
	if (on)
		__set_bit(number, consumer->calls);
	else
		__clear_bit(number, consumer->calls);
	return kd_consumer_apply(consumer);
}

/* Tracepoints of fork and exec carry none of our events and are accepted: libscap switches them on beside others. */
static int kd_set_tp(struct kd_consumer *consumer, unsigned long tp, bool on)
{
	int error;

	if (tp >= KD_SCAP_TPS)
		return -EINVAL;
	if (on)
		consumer->tps |= 1u << tp;
	else
		consumer->tps &= ~(1u << tp);
	error = kd_consumer_apply(consumer);
	if (error && on) {
		consumer->tps &= ~(1u << tp);
		kd_consumer_apply(consumer);
	}
	return error;
}

static int kd_select(struct kd_consumer *consumer, unsigned int id, bool on)
{
	int slot = kd_slot_of_event(id);
	u8 *selected;
	int error;

	if (slot < 0)
		return slot;
	selected = id == KD_EVENT_GENERIC ? &consumer->generic : &consumer->slots[slot];
	consumer->native = 1;
	*selected = on;
	error = kd_consumer_apply(consumer);
	if (!error || !on)
		return error;
	*selected = 0;
	kd_consumer_apply(consumer);
	return error;
}

static int kd_set_enter_time(struct kd_consumer *consumer, bool on)
{
	int error = on ? kd_entry_start() : 0;

	if (error)
		return error;
	kd_store_release(&consumer->enter_time, on);
	return kd_consumer_apply(consumer);
}

/* The thread's or its process's id in its own namespace, by the thread's id in the initial one. */
static long kd_virtual_id(unsigned long id, bool of_process)
{
	struct task_struct *task;
	struct pid *pid;
	long found = -EINVAL;

	rcu_read_lock();
	pid = find_pid_ns(id, &init_pid_ns);
	task = pid_task(pid, PIDTYPE_PID);
	if (task)
		found = of_process ? task_tgid_nr_ns(task, ns_of_pid(pid)) : task_pid_nr_ns(task, ns_of_pid(pid));
	rcu_read_unlock();
	return found;
}

static int kd_hit_counts(long __user *counts)
{
	unsigned int cpu;

	for_each_possible_cpu (cpu)
		if (put_user((long)per_cpu(kd_hits, cpu), &counts[cpu]))
			return -EFAULT;
	return 0;
}

static int kd_version(const struct kd_consumer *consumer, void __user *to)
{
	struct kd_version version = {
		.api = KD_API_VERSION_PACKED,
		.schema = KD_SCHEMA_VERSION_PACKED,
		.compat_api = KD_COMPAT_API_VERSION_PACKED,
		.compat_schema = KD_COMPAT_SCHEMA_VERSION_PACKED,
		.slots = KD_SLOTS,
		.ring_bytes = consumer->ring_bytes,
		.driver = KD_DRIVER_VERSION,
	};

	return copy_to_user(to, &version, sizeof(version)) ? -EFAULT : 0;
}

static int kd_stats(struct kd_consumer *consumer, void __user *to)
{
	struct kd_stats stats = {.drops_offline = atomic_long_read(&consumer->n_drops_offline)};
	unsigned int cpu;

	for_each_possible_cpu (cpu) {
		const struct kd_ring *ring = per_cpu_ptr(consumer->rings, cpu);

		stats.events += READ_ONCE(ring->n_events);
		stats.drops_buffer += READ_ONCE(ring->n_drops_buffer);
		stats.drops_nested += READ_ONCE(ring->n_drops_nested);
		stats.unreadable += READ_ONCE(ring->n_unreadable);
	}
	return copy_to_user(to, &stats, sizeof(stats)) ? -EFAULT : 0;
}

/* Controls that change nothing: without kd_mutex. -ENOTTY: none of them. */
static long kd_control_read(struct kd_consumer *consumer, unsigned int control, unsigned long arg)
{
	void __user *to = (void __user *)arg;

	switch (control) {
	case KD_SCAP_GET_API_VERSION:
		return put_user((u64)KD_COMPAT_API_VERSION_PACKED, (u64 __user *)to);
	case KD_SCAP_GET_SCHEMA_VERSION:
		return put_user((u64)KD_COMPAT_SCHEMA_VERSION_PACKED, (u64 __user *)to);
	case KD_SCAP_GET_DRIVER_VERSION:
		return copy_to_user(to, KD_DRIVER_VERSION, sizeof(KD_DRIVER_VERSION)) ? -EFAULT : 0;
	case KD_SCAP_GET_PROCLIST:
		return kd_proclist(to);
	case KD_SCAP_GET_N_TRACEPOINT_HIT:
		return kd_hit_counts(to);
	case KD_SCAP_GET_VTID:
		return kd_virtual_id(arg, false);
	case KD_SCAP_GET_VPID:
		return kd_virtual_id(arg, true);
	case KD_SCAP_GET_CURRENT_TID:
		return task_pid_nr(current);
	case KD_SCAP_GET_CURRENT_PID:
		return task_tgid_nr(current);
	case KD_IOC_VERSION:
		return kd_version(consumer, to);
	case KD_IOC_STATS:
		return kd_stats(consumer, to);
	default:
		return -ENOTTY;
	}
}

/* Controls that change the consumer: under kd_mutex. */
static long kd_control_write(struct kd_consumer *consumer, unsigned int control, unsigned long arg)
{
	switch (control) {
	case KD_SCAP_DISABLE_DROPPING_MODE:
		WRITE_ONCE(consumer->dropping, 0);
		WRITE_ONCE(consumer->outside, 0);
		WRITE_ONCE(consumer->owed, 0);
		return 0;
	case KD_SCAP_ENABLE_DROPPING_MODE:
		return kd_set_dropping(consumer, arg);
	case KD_SCAP_SET_SNAPLEN:
		if (arg > KD_SCAP_SNAPLEN_MAX)
			return -EINVAL;
		WRITE_ONCE(consumer->snaplen, arg | (consumer->snaplen & KD_SNAPLEN_DYNAMIC));
		return 0;
	case KD_SCAP_DISABLE_DYNAMIC_SNAPLEN:
		WRITE_ONCE(consumer->snaplen, consumer->snaplen & ~KD_SNAPLEN_DYNAMIC);
		return 0;
	case KD_SCAP_ENABLE_DYNAMIC_SNAPLEN:
		WRITE_ONCE(consumer->snaplen, consumer->snaplen | KD_SNAPLEN_DYNAMIC);
		return 0;
	case KD_SCAP_SET_FULLCAPTURE_PORT_RANGE:
		WRITE_ONCE(consumer->ports.full_first, arg & 0xffff);
		WRITE_ONCE(consumer->ports.full_last, arg >> 16 & 0xffff);
		return 0;
	case KD_SCAP_SET_STATSD_PORT:
		WRITE_ONCE(consumer->ports.statsd, arg);
		return 0;
	case KD_SCAP_ENABLE_SYSCALL:
	case KD_SCAP_DISABLE_SYSCALL:
		return kd_set_call(consumer, arg, control == KD_SCAP_ENABLE_SYSCALL);
	case KD_SCAP_ENABLE_TP:
	case KD_SCAP_DISABLE_TP:
		return kd_set_tp(consumer, arg, control == KD_SCAP_ENABLE_TP);
	case KD_SCAP_ENABLE_DROPFAILED:
	case KD_SCAP_DISABLE_DROPFAILED:
		WRITE_ONCE(consumer->drop_failed, control == KD_SCAP_ENABLE_DROPFAILED);
		return 0;
	case KD_IOC_NATIVE:
		consumer->native = !!arg;
		return kd_consumer_apply(consumer);
	case KD_IOC_SELECT:
	case KD_IOC_DESELECT:
		return kd_select(consumer, arg, control == KD_IOC_SELECT);
	case KD_IOC_ENTER_TIME:
		return kd_set_enter_time(consumer, arg);
	default:
		return -ENOTTY;
	}
}

long kd_control(struct file *file, unsigned int control, unsigned long arg)
{
	struct kd_handle *handle = file->private_data;
	long result = kd_control_read(handle->consumer, control, arg);

	if (result != -ENOTTY)
		return result;
	mutex_lock(&kd_mutex);
	result = kd_control_write(handle->consumer, control, arg);
	mutex_unlock(&kd_mutex);
	return result;
}
