/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The entry programs of the two eBPF probes: which hook there is, whether its event is selected, and who goes on with it.
 *
 * Each hook comes as a raw tracepoint and as a classic one; the loader takes the raw one, but for system calls of kernels whose tracepoints
 * of these may be preempted: there raw programs miss calls (bpf_prog_info.recursion_misses counts them) and classic ones do not. What is
 * tail-called is of the same type, so events of calls and of other tracepoints have arrays of their own. Calls are selected by one look-up,
 * whose value is the program to go on with.
 *
 * A probe defines besides its primitives: KD_TRUSTED, whether kd_trusted_regs() gives the current call's registers so that they can be
 * loaded without a helper; kd_compat_now(), whether the current call is one of i386; kd_saved_regs() for kernels without the former.
 */
#ifndef KD_BPF_HOOKS_H
#define KD_BPF_HOOKS_H

#include "kd_subcalls.h"
#include "kd_bpf_block.h"

static KD_INLINE int kd_prepare(struct kd_state *s, int is_call)
{
	u32 zero = 0;
	struct kd_settings *settings = bpf_map_lookup_elem(&kd_settings, &zero);

	if (!settings)
		return -ENOSPC;
	s->time = kd_now() + settings->boot_time_ns;
	s->snaplen = settings->snaplen;
	s->unreadable = 0;
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

#define KD_SET_ARGS(s, regs, compat)                    \
	do {                                            \
		if (compat) {                           \
			(s)->args[0] = (u32)(regs)->bx; \
			(s)->args[1] = (u32)(regs)->cx; \
			(s)->args[2] = (u32)(regs)->dx; \
			(s)->args[3] = (u32)(regs)->si; \
			(s)->args[4] = (u32)(regs)->di; \
			(s)->args[5] = (u32)(regs)->bp; \
		} else {                                \
			(s)->args[0] = (regs)->di;      \
			(s)->args[1] = (regs)->si;      \
			(s)->args[2] = (regs)->dx;      \
			(s)->args[3] = (regs)->r10;     \
			(s)->args[4] = (regs)->r8;      \
			(s)->args[5] = (regs)->r9;      \
		}                                       \
	} while (0)

/* The part of the saved registers that holds arguments, bp to di, read at once and then addressed as if all were there. */
static KD_INLINE int kd_read_args(struct kd_state *s, struct kd_regs *regs, u32 compat)
{
	struct kd_regs *saved = (struct kd_regs *)((u8 *)s->saved - __builtin_offsetof(struct kd_regs, bp));

	if (kd_read_kernel(s->saved, &regs->bp, sizeof(s->saved)))
		return -EFAULT;
	KD_SET_ARGS(s, saved, compat);
	return 0;
}

/* Of what leaves a call of i386 by execve's number on x86_64, with 0; see kd_arch_x86.h. */
static KD_INLINE int kd_was_execve(struct kd_regs *given)
{
	u64 first = 0;

	if (KD_TRUSTED)
		return !kd_trusted_regs()->bx;
	kd_read_kernel(&first, &given->bx, sizeof(first));
	return !first;
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
static KD_INLINE u32 kd_unpack(struct kd_state *s, u32 call)
{
	u64 given[5];
	u32 i;

	KD_UNROLL
	for (i = 0; i < 5; i++)
		given[i] = s->args[i];
	return kd_unpack_subcall(call, given, s->args) ? KD_COMPAT_LOST : KD_COMPAT_UNPACKED;
}

/* Of every call, selected or not: an entry that is not overwritten would be taken for a later one's. */
static KD_INLINE void kd_note_entry(u64 call)
{
	u32 zero = 0;
	u32 tid = (u32)bpf_get_current_pid_tgid();
	struct kd_settings *settings = bpf_map_lookup_elem(&kd_settings, &zero);
	struct kd_entry entry;

	if (!settings)
		return;
	entry.time = kd_now() + settings->boot_time_ns;
	entry.call = kd_entry_call(kd_compat_now() ? call + KD_CALL_COMPAT : call);
	bpf_map_update_elem(&kd_entered, &tid, &entry, BPF_ANY);
}

/*
 * A call at its exit or entry: go on with its event's program when it is selected. What is not costs one look-up. given: the saved
 * registers where the hook got them, used where the kernel gives no better way to them (KD_TRUSTED).
 */
static KD_INLINE int kd_call(void *ctx, u64 number, s64 ret, struct kd_regs *given, int at_exit)
{
	void *selection = at_exit ? (void *)&kd_select : (void *)&kd_select_enter;
	struct kd_selected *selected;
	struct kd_state *s;
	u32 key = number, compat, program;

	if (number >= KD_CALL_NUMBERS)
		return 0;
	selected = bpf_map_lookup_elem(selection, &key);
	if (!selected || !*(u64 *)selected)
		return 0;
	program = selected->native;
	if (!at_exit && (program & KD_SELECT_NOTE))
		kd_note_entry(number);
	compat = kd_compat_now();
	if (!KD_TRUSTED && !given)
		given = kd_saved_regs();
	if (at_exit && compat && number == KD_NATIVE_EXECVE && !ret && kd_was_execve(given))
		compat = 0;
	if (compat) {
		program = selected->compat;
		key = kd_compat_call(number, KD_TRUSTED ? kd_trusted_regs() : given);
		if (key != number) {
			selected = bpf_map_lookup_elem(selection, &key);
			program = selected ? selected->compat : 0;
		}
	}
	program &= KD_SELECT_PROGRAM;
	if (!program)
		return 0;
	s = kd_state_of(at_exit ? KD_CONTEXT_CALL : KD_CONTEXT_ENTRY);
	if (!s || kd_prepare(s, 1))
		return kd_abort();
	s->enter_time = 0;
	if (s->with_enter_time)
		s->enter_time = at_exit ? kd_take_entry(compat ? number + KD_CALL_COMPAT : number) : s->time;
	if (KD_TRUSTED) {
		struct kd_regs *regs = kd_trusted_regs();

		KD_SET_ARGS(s, regs, compat);
	} else if (kd_read_args(s, given, compat)) {
		return kd_abort();
	}
	s->ret = ret;
	s->call = key;
	s->compat = compat && kd_is_multiplexed(number) ? kd_unpack(s, number) : compat;
	bpf_tail_call(ctx, at_exit ? (void *)&kd_tail : (void *)&kd_tail_entry, program - 1);
	return kd_abort();
}

/* Fields of the classic tracepoints raw_syscalls:sys_enter and sys_exit: 8 bytes of header, then id and ret. */
struct kd_tp_call {
	u64 header;
	s64 id;
	s64 ret;
};

/* signal:signal_deliver: header, then sig; who sent it is not there. */
struct kd_tp_signal {
	u64 header;
	s32 sig;
};

/* exceptions:page_fault_user and page_fault_kernel. */
struct kd_tp_fault {
	u64 header;
	u64 address;
	u64 ip;
	u64 error;
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

	if (KD_TRUSTED)
		call = kd_trusted_regs()->orig_ax;
	else if (kd_read_kernel(&call, &regs->orig_ax, sizeof(call)))
		return 0;
	return kd_call(ctx, call, ctx->args[1], regs, 1);
}

SEC("tp/raw_syscalls/sys_exit")
int kd_exit_tp(struct kd_tp_call *ctx)
{
	return kd_call(ctx, ctx->id, ctx->ret, 0, 1);
}

SEC("raw_tp/sys_enter")
int kd_enter_raw(struct kd_raw_args *ctx)
{
	return kd_call(ctx, ctx->args[1], 0, (struct kd_regs *)ctx->args[0], 0);
}

SEC("tp/raw_syscalls/sys_enter")
int kd_enter_tp(struct kd_tp_call *ctx)
{
	return kd_call(ctx, ctx->id, 0, 0, 0);
}

/*
 * At the function of a call that is selected at its entry, where these take the saved registers: all other calls cost nothing then.
 * See capture/bpf_entry.c.
 */
SEC("kprobe/kd_enter")
int kd_enter_kprobe(struct kd_regs *ctx)
{
	struct kd_regs *regs = (struct kd_regs *)ctx->di;
	u64 call = 0;

	if (KD_TRUSTED)
		call = kd_trusted_regs()->orig_ax;
	else if (kd_read_kernel(&call, &regs->orig_ax, sizeof(call)))
		return 0;
	return kd_call(ctx, call, 0, regs, 0);
}

static KD_INLINE int kd_hook(void *ctx, u32 hook, u32 context, void *given, void *array)
{
	u32 *selected = bpf_map_lookup_elem(&kd_select_hook, &hook);
	u32 program = selected ? *(volatile u32 *)selected : 0; /* read once: it may be switched off meanwhile */
	struct kd_state *s;

	if (!program)
		return 0;
	s = kd_state_of(context);
	if (!s || kd_prepare(s, 0))
		return kd_abort();
	s->hook = given;
	s->compat = 0;
	s->ret = 0;
	bpf_tail_call(ctx, array, program - 1);
	return kd_abort();
}

SEC("raw_tp/sched_switch")
int kd_switch_raw(struct kd_raw_args *ctx)
{
	struct task_struct *next = (struct task_struct *)ctx->args[2];

	return kd_hook(ctx, KD_HOOK_SWITCH, KD_CONTEXT_SCHED, (void *)(u64)(u32)KD_GET(next, pid), &kd_tail_hook);
}

SEC("tp/sched/sched_switch")
int kd_switch_tp(struct kd_tp_switch *ctx)
{
	return kd_hook(ctx, KD_HOOK_SWITCH, KD_CONTEXT_SCHED, (void *)(u64)(u32)ctx->next_pid, &kd_tail_hook);
}

SEC("raw_tp/sched_process_exit")
int kd_procexit_raw(struct kd_raw_args *ctx)
{
	return kd_hook(ctx, KD_HOOK_PROCEXIT, KD_CONTEXT_TASK, 0, &kd_tail_task);
}

SEC("tp/sched/sched_process_exit")
int kd_procexit_tp(void *ctx)
{
	return kd_hook(ctx, KD_HOOK_PROCEXIT, KD_CONTEXT_TASK, 0, &kd_tail_task);
}

SEC("kprobe/tcp_connect")
int kd_tcp_connect(struct kd_regs *ctx)
{
	return kd_hook(ctx, KD_HOOK_TCP_CONNECT, KD_CONTEXT_NET, (void *)ctx->di, &kd_tail_kprobe);
}

static KD_INLINE int kd_hook_signal(void *ctx, u64 sig, u64 siginfo)
{
	struct kd_state *s = kd_state_of(KD_CONTEXT_SIGNAL);

	if (!s)
		return kd_abort();
	s->args[0] = sig;
	s->args[1] = siginfo;
	return kd_hook(ctx, KD_HOOK_SIGNAL, KD_CONTEXT_SIGNAL, 0, &kd_tail_hook);
}

SEC("raw_tp/signal_deliver")
int kd_signal_raw(struct kd_raw_args *ctx)
{
	return kd_hook_signal(ctx, (u32)ctx->args[0], ctx->args[1]);
}

SEC("tp/signal/signal_deliver")
int kd_signal_tp(struct kd_tp_signal *ctx)
{
	return kd_hook_signal(ctx, (u32)ctx->sig, KD_NO_SIGINFO);
}

static KD_INLINE int kd_hook_fault(void *ctx, u32 hook, u64 address, u64 ip, u64 error)
{
	struct kd_state *s = kd_state_of(KD_CONTEXT_FAULT);

	if (!s)
		return kd_abort();
	if (kd_task_faults_off(kd_task_now()))
		return 0;
	s->args[0] = address;
	s->args[1] = ip;
	s->args[2] = error;
	return kd_hook(ctx, hook, KD_CONTEXT_FAULT, 0, &kd_tail_hook);
}

static KD_INLINE int kd_hook_fault_raw(struct kd_raw_args *ctx, u32 hook)
{
	struct kd_regs *regs = (struct kd_regs *)ctx->args[1];
	u64 ip = 0;

	kd_read_kernel(&ip, &regs->ip, sizeof(ip));
	return kd_hook_fault(ctx, hook, ctx->args[0], ip, ctx->args[2]);
}

SEC("raw_tp/page_fault_user")
int kd_fault_user_raw(struct kd_raw_args *ctx)
{
	return kd_hook_fault_raw(ctx, KD_HOOK_FAULT_USER);
}

SEC("tp/exceptions/page_fault_user")
int kd_fault_user_tp(struct kd_tp_fault *ctx)
{
	return kd_hook_fault(ctx, KD_HOOK_FAULT_USER, ctx->address, ctx->ip, ctx->error);
}

SEC("raw_tp/page_fault_kernel")
int kd_fault_kernel_raw(struct kd_raw_args *ctx)
{
	return kd_hook_fault_raw(ctx, KD_HOOK_FAULT_KERNEL);
}

SEC("tp/exceptions/page_fault_kernel")
int kd_fault_kernel_tp(struct kd_tp_fault *ctx)
{
	return kd_hook_fault(ctx, KD_HOOK_FAULT_KERNEL, ctx->address, ctx->ip, ctx->error);
}

#include "kd_programs.h"

char kd_license[] SEC("license") = "Dual MIT/GPL";

/* The loader refuses an object whose table of events or cut into programs is not its own. */
const char kd_table_digest[] SEC("kd_schema") = KD_TABLE_DIGEST;
const char kd_source_version[] SEC("kd_version") = KD_DRIVER_VERSION;

#endif
