// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The hooks, and writing blocks into the rings: with preemption off, in the context of the task that called, exits or
 * is switched away (there with interrupts off and the run queue locked). Nothing here sleeps, takes a lock or
 * allocates.
 *
 * An event that nobody selected costs one load and one branch. Otherwise each consumer that selected it gets a block of
 * its own, captured for it: capture lengths differ.
 */
#include "kd_module.h"

#include <linux/fcntl.h>
#include <linux/ktime.h>
#include <linux/math64.h>
#include <linux/preempt.h>
#include <linux/rcupdate.h>
#include <linux/smp.h>
#include <linux/time.h>
#include <linux/unistd.h>
/* structures that the shared captures read */
#include <linux/cgroup.h>
#include <linux/cred.h>
#include <linux/dcache.h>
#include <linux/fdtable.h>
#include <linux/fs_struct.h>
#include <linux/ipv6.h>
#include <linux/mm_types.h>
#include <linux/mount.h>
#include <linux/net.h>
#include <linux/nsproxy.h>
#include <linux/percpu_counter.h>
#include <linux/pid_namespace.h>
#include <linux/tty.h>
#include <linux/tty_driver.h>
#include <net/af_unix.h>
#include <net/inet_sock.h>
#include <net/sock.h>

#include "compat/kd_fault.h"
#include "compat/kd_tracepoint.h"
#include "kd_arch_x86.h"
#include "kd_prims.h"
#include "kd_subcalls.h"
#include "kd_kernel.h"
#include "kd_capture.h"
#include "kd_fill.h"

/* The largest block, whatever the ring could take: two parameters of the largest capture length. */
#define KD_BLOCK_LIMIT (2 * KD_BLOCK_MAX)

DEFINE_PER_CPU(unsigned long, kd_hits);

/* How an event is treated besides its parameters. */
struct kd_treatment {
	u16 action; /* KD_ACTION_SLOT + slot, or KD_ACTION_GENERIC */
	u8 drop_class;
	u8 drop_kind;
	u8 at_entry;
};

/* One CPU writes one block at a time; what interrupts it there is dropped and counted. */
static bool kd_ring_enter(struct kd_ring *ring)
{
	if (unlikely(ring->busy)) {
		ring->n_drops_nested++;
		ring->info->n_preemptions++;
		return false;
	}
	ring->busy = 1;
	barrier();
	return true;
}

static void kd_ring_leave(struct kd_ring *ring)
{
	barrier();
	ring->busy = 0;
}

static int kd_block_begin(struct kd_fill *c, struct kd_ring *ring, const struct kd_moment *m, u32 nparams, u32 snaplen)
{
	u32 mask = ring->size - 1;
	/* A tail of nonsense shrinks or shifts the reader's own free space, no more. */
	u32 room = (kd_load_acquire(&ring->info->tail) - ring->head - 1) & mask;

	c->block = ring->bytes + ring->head;
	c->limit = min_t(u32, room, KD_BLOCK_LIMIT);
	c->off = sizeof(struct kd_block_header) + nparams * sizeof(u16);
	c->start = c->off;
	c->param = 0;
	c->nparams = nparams;
	c->snaplen = snaplen;
	c->unreadable = 0;
	c->moment = m;
	return c->off > c->limit ? -ENOSPC : 0;
}

static void kd_block_publish(struct kd_fill *c, struct kd_ring *ring, u16 type)
{
	struct kd_block_header *header = (struct kd_block_header *)c->block;

	while (unlikely(c->param < c->nparams))
		kd_push_empty(c);
	header->ts = c->moment->ts;
	header->tid = c->moment->task->pid;
	header->len = c->off;
	header->type = type;
	header->nparams = c->nparams;
	ring->head = (ring->head + c->off) & (ring->size - 1);
	kd_store_release(&ring->info->head, ring->head);
	ring->n_events++;
	ring->n_unreadable += c->unreadable;
}

static void kd_count_drop(struct kd_ring *ring, unsigned int kind, bool at_entry)
{
	struct kd_ring_info *info = ring->info;

	ring->n_drops_buffer++;
	info->n_drops_buffer++;
	switch (kind) {
	case KD_KIND_CLONE_FORK:
		info->n_drops_buffer_clone_fork_exit++;
		break;
	case KD_KIND_EXECVE:
		info->n_drops_buffer_execve_exit++;
		break;
	case KD_KIND_CONNECT:
		if (at_entry)
			info->n_drops_buffer_connect_enter++;
		else
			info->n_drops_buffer_connect_exit++;
		break;
	case KD_KIND_OPEN:
		if (at_entry)
			info->n_drops_buffer_open_enter++;
		else
			info->n_drops_buffer_open_exit++;
		break;
	case KD_KIND_DIR_FILE:
		info->n_drops_buffer_dir_file_exit++;
		break;
	case KD_KIND_OTHER:
		info->n_drops_buffer_other_interest_exit++;
		break;
	case KD_KIND_CLOSE:
		info->n_drops_buffer_close_exit++;
		break;
	case KD_KIND_PROCEXIT:
		info->n_drops_buffer_proc_exit++;
		break;
	}
}

/* A sub-call whose arguments cannot be read: what it returned, and nothing else of it. */
static int kd_fill_lost(struct kd_fill *c, const struct kd_event *event, bool at_exit)
{
	u32 first = at_exit && event->nparams;

	if (first && kd_push_u64(c, c->moment->ret))
		return -ENOSPC;
	while (c->param < event->nparams)
		kd_push_empty(c);
	c->unreadable += event->nparams - first;
	return 0;
}

static int kd_write_event(struct kd_consumer *k, struct kd_ring *ring, const struct kd_moment *m, u16 action)
{
	bool timed = m->is_call && READ_ONCE(k->enter_time);
	u32 slot = action == KD_ACTION_GENERIC ? KD_SLOT_SYSCALL : action - KD_ACTION_SLOT;
	const struct kd_event *event = &kd_events[slot];
	int error;
	struct kd_fill c KD_UNSET;

	if (kd_block_begin(&c, ring, m, event->nparams + timed, READ_ONCE(k->snaplen)))
		return -ENOSPC;
	c.ports = &k->ports;
	if (unlikely(m->is_compat == KD_COMPAT_LOST) && action != KD_ACTION_GENERIC)
		error = kd_fill_lost(&c, event, kd_calls[m->call].exit_slot == action);
	else
		error = kd_fill_slot(&c, slot);
	if (!error && timed)
		error = m->enter_ts ? kd_push_u64(&c, m->enter_ts) : kd_push_empty(&c);
	if (error)
		return error;
	kd_block_publish(&c, ring, event->id);
	return 0;
}

/* An event of libscap's that says something about the capture itself: one or two numbers. */
static int kd_write_note(struct kd_ring *ring, const struct kd_moment *m, u16 type, u32 nparams, u32 first, u32 second)
{
	struct kd_fill c KD_UNSET;

	if (kd_block_begin(&c, ring, m, nparams, 0) || kd_push_u32(&c, first))
		return -ENOSPC;
	if (nparams > 1 && kd_push_u32(&c, second))
		return -ENOSPC;
	kd_block_publish(&c, ring, type);
	return 0;
}

/* What libscap's drop mode takes out because its consumers learn nothing from it. */
static bool kd_changes_nothing(const struct kd_moment *m)
{
	unsigned long command;

	if (!m->is_call || !kd_calls[m->call].known)
		return false;
	switch (kd_calls[m->call].native) {
	case __NR_close:
	case __NR_bind:
		return m->ret < 0;
	case __NR_fcntl:
		command = m->is_compat ? kd_regs_compat_arg(m->regs, 1) : kd_regs_arg(m->regs, 1); /* never unpacked */
		return command != F_DUPFD && command != F_DUPFD_CLOEXEC && command != F_SETFD;
	default:
		return false;
	}
}

static void kd_pay_note(struct kd_consumer *k, struct kd_ring *ring, const struct kd_moment *m)
{
	unsigned int owed = READ_ONCE(k->owed);

	if (owed && !kd_write_note(ring, m, owed, 1, READ_ONCE(k->sampling_ratio), 0))
		cmpxchg(&k->owed, owed, 0);
}

/* The drop mode: whether this event falls out. The edges of the sampled part of each second are events themselves. */
static bool kd_sampled_out(struct kd_consumer *k, const struct kd_moment *m, unsigned int drop_class)
{
	u32 sampled_ns = READ_ONCE(k->sampled_ns);
	u32 ns;

	if (kd_changes_nothing(m))
		return true;
	if (drop_class == KD_DROP_NEVER)
		return false;
	if (drop_class == KD_DROP_ALWAYS)
		return true;
	if (sampled_ns >= NSEC_PER_SEC)
		return false;
	div_u64_rem(m->ts, NSEC_PER_SEC, &ns);
	if (ns >= sampled_ns) {
		if (!READ_ONCE(k->outside) && !cmpxchg(&k->outside, 0, 1))
			WRITE_ONCE(k->owed, KD_EVENT_DROP_E);
		return true;
	}
	if (READ_ONCE(k->outside) && cmpxchg(&k->outside, 1, 0) == 1)
		WRITE_ONCE(k->owed, KD_EVENT_DROP_X);
	return false;
}

/* Says that a CPU came online that has no ring: libscap's consumers start anew then. Ours read n_drops_offline. */
static void kd_tell_hotplug(struct kd_consumer *k, struct kd_ring *ring, const struct kd_moment *m)
{
	int cpu = READ_ONCE(k->hotplug_cpu);

	if (cpu >= 0 && !READ_ONCE(k->native) && !kd_write_note(ring, m, KD_EVENT_CPU_HOTPLUG, 2, cpu, 0))
		WRITE_ONCE(k->hotplug_cpu, -2);
}

static void kd_record_for(struct kd_consumer *k, const struct kd_moment *m, const struct kd_treatment *t)
{
	struct kd_ring *ring = this_cpu_ptr(k->rings);
	bool out;

	if (unlikely(!kd_load_acquire(&ring->open))) {
		atomic_long_inc(&k->n_drops_offline);
		if (!ring->bytes && READ_ONCE(k->hotplug_cpu) == -1)
			WRITE_ONCE(k->hotplug_cpu, smp_processor_id());
		return;
	}
	if (m->is_call && m->ret < 0 && READ_ONCE(k->drop_failed))
		return;
	out = kd_load_acquire(&k->dropping) && kd_sampled_out(k, m, t->drop_class);
	if (out && likely(!READ_ONCE(k->owed)))
		return;
	if (!kd_ring_enter(ring))
		return;
	if (unlikely(READ_ONCE(k->owed)))
		kd_pay_note(k, ring, m);
	if (unlikely(READ_ONCE(k->hotplug_cpu) >= 0))
		kd_tell_hotplug(k, ring, m);
	if (!out) {
		ring->info->n_evts++;
		if (kd_write_event(k, ring, m, t->action))
			kd_count_drop(ring, t->drop_kind, t->at_entry);
	}
	kd_ring_leave(ring);
}

static u64 kd_now(void)
{
	return ktime_to_ns(ktime_get_real());
}

/* Who stored a time of entry, besides the thread. */
static u32 kd_entry_salt(u32 call)
{
	u32 key = kd_entry_key(call);

	return READ_ONCE(kd_entry_generation[key]) << 10 | key;
}

/* Where a call of i386 stands in kd_calls. What we number ourselves nobody calls by that number. */
static noinline u32 kd_compat_index(u32 number, const struct pt_regs *regs)
{
	u32 sub = kd_is_multiplexed(number) ? kd_subcall_number(number, kd_regs_compat_arg(regs, 0)) : 0;

	if (sub)
		return KD_CALL_COMPAT + sub;
	return KD_CALL_COMPAT + (number >= KD_NR_I386_OURS ? KD_NR_I386_SOCKETCALL : number);
}

static noinline void kd_moment_unpack(struct kd_moment *m, u32 number)
{
	u64 given[ARRAY_SIZE(m->args)];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(given); i++) {
		given[i] = kd_regs_compat_arg(m->regs, i);
		m->args[i] = 0;
	}
	m->is_compat = kd_unpack_subcall(number, given, m->args) ? KD_COMPAT_LOST : KD_COMPAT_UNPACKED;
}

/* Preemption is off. */
static __always_inline void kd_record_call(u32 selected, const struct kd_moment *m, bool at_exit)
{
	const struct kd_call *call = &kd_calls[m->call];
	struct kd_treatment t = {.drop_kind = call->drop_kind, .at_entry = !at_exit};

	this_cpu_inc(kd_hits);
	while (selected) {
		unsigned int index = __ffs(selected);
		struct kd_consumer *k = rcu_dereference_sched(kd_consumers[index]);

		selected &= selected - 1;
		if (!k)
			continue;
		t.action = at_exit ? READ_ONCE(k->exit_action[m->call]) : READ_ONCE(k->enter_action[m->call]);
		if (t.action == KD_ACTION_NONE)
			continue;
		t.drop_class = t.action == KD_ACTION_GENERIC ? KD_DROP_ALWAYS : call->drop_class;
		kd_record_for(k, m, &t);
	}
}

/* What is common to both ends of a call; the time of entry is filled in by each. */
static __always_inline void kd_moment_begin(struct kd_moment *m, struct pt_regs *regs, long ret, u32 number, u32 call,
					    bool compat)
{
	m->ts = kd_now();
	m->regs = regs;
	m->ret = ret;
	m->call = call;
	m->is_call = 1;
	m->is_compat = compat;
	m->task = current;
	m->hook_arg = 0;
	if (unlikely(compat && kd_is_multiplexed(number)))
		kd_moment_unpack(m, number);
}

/* A call that somebody selected: apart from the hook, which stays short and without a frame for all others. */
static noinline void kd_exit_selected(struct pt_regs *regs, long ret, u32 number, u32 call, bool compat)
{
	struct kd_moment m KD_UNSET;

	preempt_disable_notrace();
	rcu_read_lock();
	kd_moment_begin(&m, regs, ret, number, call, compat);
	m.enter_ts = 0;
	if (READ_ONCE(kd_selected_enter[call]) & KD_SELECTED_ENTER_TIME)
		m.enter_ts = kd_entry_take(current->pid, kd_entry_salt(call));
	kd_record_call(READ_ONCE(kd_selected_exit[call]), &m, true);
	rcu_read_unlock();
	preempt_enable_notrace();
}

static noinline void kd_enter_selected(struct pt_regs *regs, u32 number, u32 call, bool compat)
{
	u32 selected;
	struct kd_moment m KD_UNSET;

	preempt_disable_notrace();
	rcu_read_lock();
	kd_moment_begin(&m, regs, 0, number, call, compat);
	m.enter_ts = m.ts;
	selected = READ_ONCE(kd_selected_enter[call]);
	if (selected & KD_SELECTED_ENTER_TIME)
		kd_entry_store(current->pid, kd_entry_salt(call), m.ts);
	selected &= ~KD_SELECTED_ENTER_TIME;
	if (selected)
		kd_record_call(selected, &m, false);
	rcu_read_unlock();
	preempt_enable_notrace();
}

static noinline void kd_exit_compat(struct pt_regs *regs, long ret, u32 number)
{
	u32 call = kd_compat_index(number, regs);

	if (READ_ONCE(kd_selected_exit[call]))
		kd_exit_selected(regs, ret, number, call, true);
}

static noinline void kd_enter_compat(struct pt_regs *regs, u32 number)
{
	u32 call = kd_compat_index(number, regs);

	if (READ_ONCE(kd_selected_enter[call]))
		kd_enter_selected(regs, number, call, true);
}

/* Of what leaves a call of i386; see kd_arch_x86.h. */
static __always_inline bool kd_was_execve(const struct pt_regs *regs, long ret, unsigned long number)
{
	return number == KD_NATIVE_EXECVE && !ret && !kd_regs_compat_arg(regs, 0);
}

static void kd_sys_exit(void *unused, struct pt_regs *regs, long ret)
{
	unsigned long number = kd_regs_call(regs);

	if (unlikely(number >= KD_CALL_NUMBERS))
		return;
	if (unlikely(kd_in_compat_call()) && !kd_was_execve(regs, ret, number))
		kd_exit_compat(regs, ret, number);
	else if (unlikely(READ_ONCE(kd_selected_exit[number])))
		kd_exit_selected(regs, ret, number, number, false);
}

static void kd_sys_enter(void *unused, struct pt_regs *regs, long number)
{
	if (unlikely((unsigned long)number >= KD_CALL_NUMBERS))
		return;
	if (unlikely(kd_in_compat_call()))
		kd_enter_compat(regs, number);
	else if (unlikely(READ_ONCE(kd_selected_enter[number])))
		kd_enter_selected(regs, number, number, false);
}

/* Hooks that are no calls. Preemption is off. */
static void kd_record_moment(enum kd_hook hook, struct kd_moment *moment, const struct kd_treatment *how)
{
	u32 selected = READ_ONCE(kd_selected_hook[hook]);
	struct kd_treatment t = *how;

	if (!selected)
		return;
	this_cpu_inc(kd_hits);
	moment->ts = kd_now();
	while (selected) {
		unsigned int index = __ffs(selected);
		struct kd_consumer *k = rcu_dereference_sched(kd_consumers[index]);

		selected &= selected - 1;
		if (!k)
			continue;
		t.action = READ_ONCE(k->hook_action[hook]);
		if (t.action == KD_ACTION_NONE)
			continue;
		if (hook == KD_HOOK_SWITCH && kd_load_acquire(&this_cpu_ptr(k->rings)->open))
			this_cpu_ptr(k->rings)->info->n_context_switches++;
		kd_record_for(k, moment, &t);
	}
}

static void kd_record_hook(enum kd_hook hook, struct task_struct *task, unsigned long arg,
			   const struct kd_treatment *how)
{
	struct kd_moment m = {.task = task, .hook_arg = arg};

	kd_record_moment(hook, &m, how);
}

/*
 * Interrupts are off and the run queue is locked: rcu_read_unlock could want both, so there is no reader's lock
 * here.
 */
static void kd_sched_switch(KD_SCHED_SWITCH_ARGS)
{
	static const struct kd_treatment how = {.drop_class = KD_DROP_ALWAYS};

	kd_record_hook(KD_HOOK_SWITCH, prev, (unsigned long)next, &how);
}

static void kd_process_exit(KD_PROCESS_EXIT_ARGS)
{
	static const struct kd_treatment how = {.drop_class = KD_DROP_NEVER, .drop_kind = KD_KIND_PROCEXIT};

	preempt_disable_notrace();
	rcu_read_lock();
	kd_record_hook(KD_HOOK_PROCEXIT, task, 0, &how);
	rcu_read_unlock();
	preempt_enable_notrace();
}

/* A kprobe's handler: preemption is off. 0: the function runs on as it is. */
int kd_kprobe_tcp_connect(unsigned long sock)
{
	static const struct kd_treatment how = {.drop_class = KD_DROP_SAMPLED};

	rcu_read_lock();
	kd_record_hook(KD_HOOK_TCP_CONNECT, current, sock, &how);
	rcu_read_unlock();
	return 0;
}

/* The task's lock on its signals is held, with interrupts off. Nothing is read that RCU keeps. */
static void kd_signal_deliver(void *unused, int sig, void *siginfo, void *action)
{
	static const struct kd_treatment how = {.drop_class = KD_DROP_ALWAYS};
	struct kd_moment m = {.task = current, .is_compat = KD_COMPAT_UNPACKED};

	preempt_disable_notrace();
	m.args[0] = sig;
	m.args[1] = (unsigned long)siginfo;
	kd_record_moment(KD_HOOK_SIGNAL, &m, &how);
	preempt_enable_notrace();
}

static DEFINE_PER_CPU(unsigned int, kd_in_fault);

/*
 * In the middle of whatever the kernel does, of other hooks of ours too: their own reads fault while faults are off. The counter stops a
 * fault that recording a fault would cause.
 */
static void kd_page_fault(enum kd_hook hook, unsigned long address, const struct pt_regs *regs, unsigned long error)
{
	static const struct kd_treatment how = {.drop_class = KD_DROP_ALWAYS};
	struct kd_moment m = {.task = current, .is_compat = KD_COMPAT_UNPACKED};

	if (kd_faults_off())
		return;
	preempt_disable_notrace();
	if (this_cpu_inc_return(kd_in_fault) == 1) {
		m.args[0] = address;
		m.args[1] = regs->ip;
		m.args[2] = error;
		kd_record_moment(hook, &m, &how);
	}
	this_cpu_dec(kd_in_fault);
	preempt_enable_notrace();
}

static void kd_page_fault_user(void *unused, unsigned long address, struct pt_regs *regs, unsigned long error)
{
	kd_page_fault(KD_HOOK_FAULT_USER, address, regs, error);
}

static void kd_page_fault_kernel(void *unused, unsigned long address, struct pt_regs *regs, unsigned long error)
{
	kd_page_fault(KD_HOOK_FAULT_KERNEL, address, regs, error);
}

void *const kd_tracepoint_probes[KD_ATTACHES] = {
	[KD_ATTACH_SWITCH] = kd_sched_switch,
	[KD_ATTACH_PROCEXIT] = kd_process_exit,
	[KD_ATTACH_SIGNAL] = kd_signal_deliver,
	[KD_ATTACH_FAULT_USER] = kd_page_fault_user,
	[KD_ATTACH_FAULT_KERNEL] = kd_page_fault_kernel,
	[KD_ATTACH_SYS_EXIT] = kd_sys_exit,
	[KD_ATTACH_SYS_ENTER] = kd_sys_enter,
};
