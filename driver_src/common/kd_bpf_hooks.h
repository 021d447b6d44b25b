/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The entry programs of the two eBPF probes and the life of a block: begin, continue in the next part, submit.
 *
 * Each hook comes as a raw tracepoint and as a classic one; the loader takes the raw one, but for kernels whose system call tracepoints may
 * be preempted: there raw programs miss calls (bpf_prog_info.recursion_misses counts them) and classic ones do not. Calls are
 * selected by one look-up, whose value is the program to go on with.
 */
#ifndef KD_BPF_HOOKS_H
#define KD_BPF_HOOKS_H

#include "kd_subcalls.h"

static KD_INLINE int kd_abort(void)
{
	kd_count(KD_COUNTER_DROPS_SCRATCH);
	return 0;
}

/* The first part of an event: header, room for the table of lengths. */
static KD_INLINE int kd_begin(struct kd_fill *c, u32 context, u16 id, u32 nparams)
{
	struct kd_scratch *s = kd_scratch_of(context);

	if (!s)
		return -ENOSPC;
	nparams += s->with_enter_time ? 1 : 0;
	*(u64 *)(s->block + 0) = s->time;
	*(u64 *)(s->block + 8) = (u32)bpf_get_current_pid_tgid();
	*(u16 *)(s->block + 20) = id;
	*(u32 *)(s->block + 22) = nparams;
	c->scratch = s;
	c->task = kd_task_now();
	c->off = KD_HEADER + 2 * nparams;
	c->param = 0;
	c->snaplen = s->snaplen;
	return 0;
}

static KD_INLINE void kd_pause(struct kd_fill *c)
{
	c->scratch->off = c->off;
}

static KD_INLINE int kd_continue(struct kd_fill *c, u32 context, u32 nparams, u32 first)
{
	struct kd_scratch *s = kd_scratch_of(context);

	if (!s)
		return -ENOSPC;
	c->scratch = s;
	c->task = kd_task_now();
	c->off = s->off;
	c->param = first;
	c->snaplen = s->snaplen;
	return 0;
}

/* Add the time of the entry when it was asked for, close the header, hand the block over. */
static KD_INLINE int kd_submit(void *ctx, struct kd_fill *c, u32 nparams)
{
	struct kd_scratch *s = c->scratch;
	u64 len;

	if (s->with_enter_time && (s->enter_time ? kd_push_u64(c, s->enter_time) : kd_push_empty(c)))
		return kd_abort();
	if (s->unreadable)
		kd_count_more(KD_COUNTER_UNREADABLE, s->unreadable);
	len = c->off;
	*(u32 *)(s->block + 16) = len;
	asm volatile("%0 &= 0xffff" : "+r"(len));
	kd_count(kd_output(ctx, s->block, len) ? KD_COUNTER_DROPS_BUFFER : KD_COUNTER_EVENTS);
	return 0;
}

/* A sub-call whose arguments cannot be read: what it returned, and nothing else of it. */
static KD_INLINE int kd_submit_lost(void *ctx, struct kd_fill *c, u32 nparams, int at_exit)
{
	u32 i;

	if (at_exit && nparams && kd_push_u64(c, kd_ret(c)))
		return kd_abort();
	KD_UNROLL
	for (i = at_exit ? 1 : 0; i < nparams; i++)
		kd_push_empty(c);
	c->scratch->unreadable += nparams - (at_exit && nparams);
	return kd_submit(ctx, c, nparams);
}

static KD_INLINE int kd_prepare(struct kd_scratch *s, int is_call)
{
	u32 zero = 0;
	struct kd_settings *settings = bpf_map_lookup_elem(&kd_settings, &zero);

	if (!settings)
		return -ENOSPC;
	s->time = kd_now() + settings->boot_time_ns;
	s->snaplen = settings->snaplen;
	s->unreadable = 0;
	s->enter_time = 0;
	s->with_enter_time = is_call && settings->enter_time;
	return 0;
}

/* execveat that succeeded looks like execve at its exit, and execve of an i386 image like execve of i386: all are one. */
static KD_INLINE u32 kd_entry_call(u32 key)
{
	if (key == KD_NR_EXECVEAT || key == KD_CALL_COMPAT + KD_NR_I386_EXECVE ||
	    key == KD_CALL_COMPAT + KD_NR_I386_EXECVEAT)
		return KD_NR_EXECVE;
	return key;
}

/* When the current thread entered this call; 0 when that was not seen, or was another call (of a thread that had its id before). */
static KD_INLINE u64 kd_take_entry(u32 key)
{
	u32 tid = (u32)bpf_get_current_pid_tgid();
	struct kd_entry *entry = bpf_map_lookup_elem(&kd_entered, &tid);
	u64 time;

	if (!entry || entry->call != kd_entry_call(key))
		return 0;
	time = entry->time;
	bpf_map_delete_elem(&kd_entered, &tid);
	return time;
}

static KD_INLINE void kd_set_args(struct kd_scratch *s, u32 compat)
{
	struct kd_regs *regs = &s->regs;

	if (compat) {
		s->args[0] = (u32)regs->bx;
		s->args[1] = (u32)regs->cx;
		s->args[2] = (u32)regs->dx;
		s->args[3] = (u32)regs->si;
		s->args[4] = (u32)regs->di;
		s->args[5] = (u32)regs->bp;
		return;
	}
	s->args[0] = regs->di;
	s->args[1] = regs->si;
	s->args[2] = regs->dx;
	s->args[3] = regs->r10;
	s->args[4] = regs->r8;
	s->args[5] = regs->r9;
}

/* Which call of i386 it is: the sub-call of socketcall and ipc. What we number ourselves nobody calls by that number. */
static KD_INLINE u32 kd_compat_call(u32 call, const struct kd_regs *regs)
{
	u64 first = 0;
	u32 sub;

	if (!kd_is_multiplexed(call))
		return call < KD_NR_I386_OURS ? call : KD_NR_I386_SOCKETCALL;
	if (kd_read_kernel(&first, &regs->bx, sizeof(first)))
		return call;
	sub = kd_subcall_number(call, first);
	return sub ? sub : call;
}

/* The arguments of a sub-call in the place of those of its multiplexed call. */
static KD_INLINE u32 kd_unpack(struct kd_scratch *s, u32 call)
{
	u64 given[5];
	u32 i;

	KD_UNROLL
	for (i = 0; i < 5; i++)
		given[i] = s->args[i];
	return kd_unpack_subcall(call, given, s->args) ? KD_COMPAT_LOST : KD_COMPAT_UNPACKED;
}

/* A call at its exit or entry: go on with its event's program when it is selected. */
static KD_INLINE int kd_call(void *ctx, void *selection, u64 call, s64 ret, struct kd_regs *regs, int at_exit)
{
	u32 compat = kd_thread_is_compat(kd_task_now());
	struct kd_scratch *s;
	u32 number = call;
	u32 *selected;
	u32 key;

	if (call >= KD_CALL_NUMBERS)
		return 0;
	if (at_exit && call == KD_NATIVE_EXECVE)
		compat = 0;
	if (compat) {
		if (!regs)
			regs = kd_saved_regs();
		call = kd_compat_call(number, regs);
	}
	key = compat ? call + KD_CALL_COMPAT : call;
	selected = bpf_map_lookup_elem(selection, &key);
	if (!selected || !*selected)
		return 0;
	s = kd_scratch_of(KD_CONTEXT_CALL);
	if (!s || kd_prepare(s, 1))
		return kd_abort();
	if (s->with_enter_time)
		s->enter_time = at_exit ? kd_take_entry(compat ? number + KD_CALL_COMPAT : number) : s->time;
	if (!regs)
		regs = kd_saved_regs();
	if (kd_read_kernel(&s->regs, regs, sizeof(s->regs)))
		return kd_abort();
	kd_set_args(s, compat);
	s->ret = ret;
	s->call = call;
	s->compat = compat && kd_is_multiplexed(number) ? kd_unpack(s, number) : compat;
	bpf_tail_call(ctx, &kd_tail, *selected - 1);
	return kd_abort();
}

/* Of every call, selected or not: an entry that is not overwritten would be taken for a later one's. */
static KD_INLINE void kd_note_entry(u64 call)
{
	u32 zero = 0;
	u32 tid = (u32)bpf_get_current_pid_tgid();
	struct kd_settings *settings = bpf_map_lookup_elem(&kd_settings, &zero);
	struct kd_entry entry;

	if (!settings || !settings->enter_time)
		return;
	entry.time = kd_now() + settings->boot_time_ns;
	entry.call = kd_entry_call(kd_thread_is_compat(kd_task_now()) ? call + KD_CALL_COMPAT : call);
	bpf_map_update_elem(&kd_entered, &tid, &entry, BPF_ANY);
}

/* Fields of the classic tracepoints raw_syscalls:sys_enter and sys_exit: 8 bytes of header, then id and ret. */
struct kd_tp_call {
	u64 header;
	s64 id;
	s64 ret;
};

/* sched:sched_switch: header, prev_comm, prev_pid, prev_prio, prev_state, next_comm, next_pid. */
struct kd_tp_switch {
	u64 header;
	char prev_comm[16];
	s32 prev_pid;
	s32 prev_prio;
	s64 prev_state;
	char next_comm[16];
	s32 next_pid;
};

struct kd_raw_args {
	u64 args[4];
};

SEC("raw_tp/sys_exit")
int kd_exit_raw(struct kd_raw_args *ctx)
{
	struct kd_regs *regs = (struct kd_regs *)ctx->args[0];
	u64 call = 0;

	if (kd_read_kernel(&call, &regs->orig_ax, sizeof(call)))
		return 0;
	return kd_call(ctx, &kd_select, call, ctx->args[1], regs, 1);
}

SEC("tp/raw_syscalls/sys_exit")
int kd_exit_tp(struct kd_tp_call *ctx)
{
	return kd_call(ctx, &kd_select, ctx->id, ctx->ret, 0, 1);
}

SEC("raw_tp/sys_enter")
int kd_enter_raw(struct kd_raw_args *ctx)
{
	struct kd_regs *regs = (struct kd_regs *)ctx->args[0];

	kd_note_entry(ctx->args[1]);
	return kd_call(ctx, &kd_select_enter, ctx->args[1], 0, regs, 0);
}

SEC("tp/raw_syscalls/sys_enter")
int kd_enter_tp(struct kd_tp_call *ctx)
{
	kd_note_entry(ctx->id);
	return kd_call(ctx, &kd_select_enter, ctx->id, 0, 0, 0);
}

static KD_INLINE int kd_hook(void *ctx, u32 hook, u32 context, void *given, void *array)
{
	u32 *selected = bpf_map_lookup_elem(&kd_select_hook, &hook);
	struct kd_scratch *s;

	if (!selected || !*selected)
		return 0;
	s = kd_scratch_of(context);
	if (!s || kd_prepare(s, 0))
		return kd_abort();
	s->hook = given;
	s->compat = 0;
	s->ret = 0;
	bpf_tail_call(ctx, array, *selected - 1);
	return kd_abort();
}

SEC("raw_tp/sched_switch")
int kd_switch_raw(struct kd_raw_args *ctx)
{
	struct task_struct *next = (struct task_struct *)ctx->args[2];

	return kd_hook(ctx, KD_HOOK_SWITCH, KD_CONTEXT_SCHED, (void *)(u64)(u32)KD_GET(next, pid), &kd_tail);
}

SEC("tp/sched/sched_switch")
int kd_switch_tp(struct kd_tp_switch *ctx)
{
	return kd_hook(ctx, KD_HOOK_SWITCH, KD_CONTEXT_SCHED, (void *)(u64)(u32)ctx->next_pid, &kd_tail);
}

SEC("raw_tp/sched_process_exit")
int kd_procexit_raw(struct kd_raw_args *ctx)
{
	return kd_hook(ctx, KD_HOOK_PROCEXIT, KD_CONTEXT_TASK, 0, &kd_tail);
}

SEC("tp/sched/sched_process_exit")
int kd_procexit_tp(void *ctx)
{
	return kd_hook(ctx, KD_HOOK_PROCEXIT, KD_CONTEXT_TASK, 0, &kd_tail);
}

SEC("kprobe/tcp_connect")
int kd_tcp_connect(struct kd_regs *ctx)
{
	return kd_hook(ctx, KD_HOOK_TCP_CONNECT, KD_CONTEXT_NET, (void *)ctx->di, &kd_tail_kprobe);
}

#include "kd_programs.h"

char kd_license[] SEC("license") = "Dual MIT/GPL";

/* The loader refuses an object whose table of events or cut into programs is not its own. */
const char kd_table_digest[] SEC("kd_schema") = KD_TABLE_DIGEST;
const char kd_source_version[] SEC("kd_version") = KD_DRIVER_VERSION;

#endif
