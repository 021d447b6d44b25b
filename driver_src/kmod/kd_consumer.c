// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Consumers and what each has selected: process context, under kd_mutex. The tables here are what the hooks read.
 */
#include "kd_module.h"

#include <linux/bitmap.h>
#include "compat/kd_cpu.h"
#include <linux/err.h>
#include <linux/rcupdate.h>
#include <linux/string.h>
#include <linux/topology.h>
#include <linux/vmalloc.h>

u32 kd_selected_exit[KD_CALL_TABLE] __read_mostly;
u32 kd_selected_enter[KD_CALL_TABLE] __read_mostly;
u32 kd_selected_hook[KD_HOOKS] __read_mostly;
u32 kd_entry_generation[KD_CALL_TABLE] __read_mostly;
struct kd_consumer *kd_consumers[KD_CONSUMERS] __read_mostly;

struct kd_consumer *kd_consumer_find(struct pid *thread)
{
	unsigned int i;

	for (i = 0; i < KD_CONSUMERS; i++)
		if (kd_consumers[i] && kd_consumers[i]->thread == thread)
			return kd_consumers[i];
	return NULL;
}

static void kd_consumer_free(struct kd_consumer *consumer)
{
	unsigned int cpu;

	if (consumer->rings) {
		for_each_possible_cpu (cpu)
			kd_ring_free(per_cpu_ptr(consumer->rings, cpu));
		free_percpu(consumer->rings);
	}
	put_pid(consumer->thread);
	vfree(consumer);
}

/* Rings for the CPUs that are online now; a CPU that comes later has none. */
static int kd_consumer_allocate_rings(struct kd_consumer *consumer)
{
	unsigned int cpu;
	int error = 0;

	consumer->rings = alloc_percpu(struct kd_ring);
	if (!consumer->rings)
		return -ENOMEM;
	kd_cpus_read_lock();
	for_each_online_cpu (cpu) {
		error = kd_ring_allocate(per_cpu_ptr(consumer->rings, cpu), consumer->ring_bytes, cpu_to_node(cpu));
		if (error)
			break;
	}
	kd_cpus_read_unlock();
	return error;
}

struct kd_consumer *kd_consumer_create(struct pid *thread)
{
	struct kd_consumer *consumer;
	unsigned int count = 0;
	unsigned int index = KD_CONSUMERS;
	unsigned int i;
	int error;

	for (i = 0; i < KD_CONSUMERS; i++) {
		if (kd_consumers[i])
			count++;
		else if (index == KD_CONSUMERS)
			index = i;
	}
	if (index == KD_CONSUMERS || count >= kd_max_consumers)
		return ERR_PTR(-EBUSY);
	consumer = vzalloc(sizeof(*consumer));
	if (!consumer)
		return ERR_PTR(-ENOMEM);
	consumer->index = index;
	consumer->thread = get_pid(thread);
	consumer->ring_bytes = kd_buffer_bytes;
	consumer->snaplen = KD_SNAPLEN_DEFAULT;
	consumer->sampling_ratio = 1;
	consumer->hotplug_cpu = -1;
	consumer->ports.statsd = KD_STATSD_PORT;
	error = kd_consumer_allocate_rings(consumer);
	if (error) {
		kd_consumer_free(consumer);
		return ERR_PTR(error);
	}
	rcu_assign_pointer(kd_consumers[index], consumer);
	return consumer;
}

/* What the consumer gets at the exit of a call. */
static u16 kd_exit_action(const struct kd_consumer *consumer, const struct kd_call *call)
{
	unsigned int slot = call->exit_slot;
	bool by_number = (consumer->tps & (1u << KD_SCAP_TP_SYS_EXIT)) && call->known && call->code &&
			 test_bit(call->native, consumer->calls);

	if (slot && consumer->native && consumer->slots[slot - KD_ACTION_SLOT])
		return slot;
	if (by_number && slot && (consumer->native || kd_events[slot - KD_ACTION_SLOT].id < KD_EVENT_OURS))
		return slot;
	if (by_number || (!slot && call->known && consumer->native && consumer->generic))
		return KD_ACTION_GENERIC;
	return KD_ACTION_NONE;
}

/* What the consumer gets at the entry of a call. */
static u16 kd_enter_action(const struct kd_consumer *consumer, const struct kd_call *call)
{
	unsigned int slot = call->enter_slot;
	bool by_number = (consumer->tps & (1u << KD_SCAP_TP_SYS_ENTER)) && call->known &&
			 test_bit(call->native, consumer->calls);

	if (!slot)
		return KD_ACTION_NONE;
	if (consumer->native && consumer->slots[slot - KD_ACTION_SLOT])
		return slot;
	if (by_number && (consumer->native || kd_events[slot - KD_ACTION_SLOT].id < KD_EVENT_OURS))
		return slot;
	return KD_ACTION_NONE;
}

/* libscap's tracepoints, bits of enum kd_scap_tp. */
static const u32 kd_hook_tps[KD_HOOKS_USED] = {
	[KD_HOOK_SWITCH] = 1u << KD_SCAP_TP_SWITCH,
	[KD_HOOK_PROCEXIT] = 1u << KD_SCAP_TP_PROC_EXIT,
	[KD_HOOK_SIGNAL] = 1u << KD_SCAP_TP_SIGNAL_DELIVER,
	[KD_HOOK_FAULT_USER] = 1u << KD_SCAP_TP_PAGE_FAULT_USER,
	[KD_HOOK_FAULT_KERNEL] = 1u << KD_SCAP_TP_PAGE_FAULT_KERNEL,
};

static u16 kd_hook_action(const struct kd_consumer *consumer, unsigned int hook)
{
	unsigned int slot = kd_hook_slots[hook];

	if ((consumer->native && consumer->slots[slot]) || (consumer->tps & kd_hook_tps[hook]))
		return slot + KD_ACTION_SLOT;
	return KD_ACTION_NONE;
}

static void kd_set_bit(u32 *word, u32 bit, bool on)
{
	u32 value = on ? *word | bit : *word & ~bit;

	/* Mostly unchanged: keep the cache line shared. */
	if (value != *word)
		WRITE_ONCE(*word, value);
}

static bool kd_enter_time_wanted(unsigned int number)
{
	unsigned int i;

	for (i = 0; i < KD_CONSUMERS; i++)
		if (kd_consumers[i] && kd_consumers[i]->enter_time && kd_consumers[i]->exit_action[number])
			return true;
	return false;
}

/* Times stored while nobody wanted them, or while somebody wanted them before, are none of now. */
static void kd_entry_restart(unsigned int number)
{
	u32 *generation = &kd_entry_generation[kd_entry_key(number)];

	WRITE_ONCE(*generation, *generation + 1);
}

/* Fills the consumer's tables and the unions; returns the hooks that it needs, bits of enum kd_attach. */
static u32 kd_consumer_select(struct kd_consumer *consumer)
{
	u32 bit = 1u << consumer->index;
	u32 attaches = 0;
	unsigned int i;

	for (i = 0; i < KD_CALL_TABLE; i++) {
		u16 at_exit = kd_exit_action(consumer, &kd_calls[i]);
		u16 at_entry = kd_enter_action(consumer, &kd_calls[i]);
		bool timed;

		WRITE_ONCE(consumer->exit_action[i], at_exit);
		WRITE_ONCE(consumer->enter_action[i], at_entry);
		timed = kd_enter_time_wanted(i);
		if (timed && !(kd_selected_enter[i] & KD_SELECTED_ENTER_TIME))
			kd_entry_restart(i);
		kd_set_bit(&kd_selected_enter[i], KD_SELECTED_ENTER_TIME, timed);
		kd_set_bit(&kd_selected_enter[i], bit, at_entry);
		kd_set_bit(&kd_selected_exit[i], bit, at_exit);
		if (at_exit)
			attaches |= 1u << KD_ATTACH_SYS_EXIT;
		if (at_entry || (at_exit && consumer->enter_time))
			attaches |= 1u << KD_ATTACH_SYS_ENTER;
	}
	for (i = 0; i < KD_HOOKS_USED; i++) {
		u16 action = kd_hook_action(consumer, i);

		WRITE_ONCE(consumer->hook_action[i], action);
		kd_set_bit(&kd_selected_hook[i], bit, action);
		if (action)
			attaches |= 1u << i;
	}
	return attaches;
}

int kd_consumer_apply(struct kd_consumer *consumer)
{
	u32 attaches = kd_consumer_select(consumer);

	return kd_hooks_want(consumer->index, attaches);
}

void kd_consumer_destroy(struct kd_consumer *consumer)
{
	bool last = true;
	unsigned int i;

	consumer->native = 0;
	consumer->tps = 0;
	consumer->enter_time = 0;
	kd_consumer_apply(consumer);
	RCU_INIT_POINTER(kd_consumers[consumer->index], NULL);
	kd_wait_for_hooks();
	for (i = 0; i < KD_CONSUMERS; i++)
		if (kd_consumers[i])
			last = false;
	if (last)
		kd_entry_stop();
	kd_consumer_free(consumer);
}
