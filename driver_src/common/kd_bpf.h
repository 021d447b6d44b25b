/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The primitives of the two eBPF probes: blocks are built in a scratch area and handed to user space whole.
 *
 * Included by both probes after their kernel types and bpf_helpers.h. A probe defines KD_READ_KERNEL, KD_READ_USER (and the _STR
 * forms), kd_now() and kd_task_now(). No loops that are not unrolled, no global variables that are written: kernels
 * from 4.14 on must take the result. Offsets are masked in assembly so that the compiler cannot drop what the verifier needs to see.
 */
#ifndef KD_BPF_H
#define KD_BPF_H

#define KD_INLINE inline __attribute__((always_inline))
#define KD_UNROLL _Pragma("unroll")

#define KD_BLOCK_MASK 0xffff
#define KD_CHUNK_MAX 32768 /* bytes of one read */
#define KD_HEADER 26
#define KD_PARAMS_MAX 40
#define KD_HEAD_MAX (KD_HEADER + 2 * KD_PARAMS_MAX + 2)
#define KD_HEAD_MASK 0x7f /* what a program that goes on with a block knows of where its values begin */
#define KD_REGS_SAVED 11

#include "kd_shared.h"
#include "kd_arch_x86.h"

/* What the programs of one call share: of each CPU and context one. The counters come first: user space reads them. */
struct kd_state {
	u64 counters[KD_COUNTERS];
	u64 args[6];
	s64 ret;
	u64 time;
	u64 enter_time; /* 0: not asked for or not seen */
	void *hook; /* what the hook was given: the next task, the socket */
	u32 call; /* number of the call */
	u32 compat; /* a call of i386; see KD_COMPAT_LOST */
	u32 off;
	u32 snaplen;
	u32 with_enter_time;
	u32 unreadable;
	u32 values; /* where they begin in the block, for the parts of an event after its first */
	u32 tail; /* index of the event's first program in its array, for the same */
	u64 forgotten; /* see kd_forget() */
	u64 vector[32]; /* see kd_vector_area() */
	u64 saved[KD_REGS_SAVED]; /* see kd_set_args() */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, KD_CONTEXTS); /* the loader makes it KD_CONTEXTS for each possible CPU */
	__type(key, u32);
	__type(value, struct kd_state);
} kd_state SEC(".maps");

/* Where a block is built that is handed over whole; as many as there are states. */
struct kd_scratch {
	u8 block[KD_BLOCK_MASK + 1 + KD_CHUNK_MAX + KD_HEAD_MASK + 1];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, KD_CONTEXTS);
	__type(key, u32);
	__type(value, struct kd_scratch);
} kd_scratch SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, KD_CALL_NUMBERS);
	__type(key, u32);
	__type(value, struct kd_selected);
} kd_select SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, KD_CALL_NUMBERS);
	__type(key, u32);
	__type(value, struct kd_selected);
} kd_select_enter SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, KD_HOOKS);
	__type(key, u32);
	__type(value, u32);
} kd_select_hook SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, KD_CALL_TABLE);
	__type(key, u32);
	__type(value, u32);
} kd_generic SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct kd_settings);
} kd_settings SEC(".maps");

/* The call that a thread entered last. */
struct kd_entry {
	u64 time; /* ns since the epoch */
	u64 call; /* see kd_entry_call() */
};

/*
 * By thread id; used only when the consumer asked for the time of entry. Threads end inside of calls and leave their entry behind,
 * so the oldest ones must go by themselves (the loader takes a plain hash where the kernel has no such map: before 4.10).
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 32768);
	__type(key, u32);
	__type(value, struct kd_entry);
} kd_entered SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, KD_TAIL_COUNT);
	__type(key, u32);
	__type(value, u32);
} kd_tail SEC(".maps");

/* The same of calls at their entry, whose hook may be of another type than that of exits. */
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, KD_TAIL_ENTRY_COUNT);
	__type(key, u32);
	__type(value, u32);
} kd_tail_entry SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, KD_TAIL_HOOK_COUNT);
	__type(key, u32);
	__type(value, u32);
} kd_tail_hook SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, KD_TAIL_TASK_COUNT);
	__type(key, u32);
	__type(value, u32);
} kd_tail_task SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, KD_TAIL_KPROBE_COUNT);
	__type(key, u32);
	__type(value, u32);
} kd_tail_kprobe SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__type(key, u32);
	__type(value, u32);
} kd_perf SEC(".maps");

/*
 * A block that is being filled; a local variable, so that constant offsets fold. off counts from the first value: it is known at
 * compile time until a value's length is not.
 */
struct kd_fill {
	struct kd_state *state;
	u8 *block;
	u8 *values;
	u32 off;
	u32 param;
	u32 start;
	u32 snaplen;
};

/* Values of compat in the state: 0, not 0 for a call of i386, and for a sub-call of socketcall or ipc these. */
#define KD_COMPAT_UNPACKED 0x100
#define KD_COMPAT_LOST 0x200 /* its arguments cannot be read */

static KD_INLINE u32 kd_own_key(u32 context)
{
	return bpf_get_smp_processor_id() * KD_CONTEXTS + context;
}

static KD_INLINE struct kd_state *kd_state_of(u32 context)
{
	u32 key = kd_own_key(context);

	return bpf_map_lookup_elem(&kd_state, &key);
}

static KD_INLINE u8 *kd_block_of(u32 key)
{
	struct kd_scratch *scratch = bpf_map_lookup_elem(&kd_scratch, &key);

	return scratch ? scratch->block : 0;
}

static KD_INLINE u64 kd_arg(const struct kd_fill *c, u32 n)
{
	return c->state->args[n];
}

static KD_INLINE s64 kd_ret(const struct kd_fill *c)
{
	return c->state->ret;
}

static KD_INLINE u32 kd_call_nr(const struct kd_fill *c)
{
	return c->state->call;
}

static KD_INLINE int kd_is_compat(const struct kd_fill *c)
{
	return c->state->compat != 0;
}

static KD_INLINE void kd_asked_ports(const struct kd_fill *c, struct kd_ports *out)
{
	u32 zero = 0;
	struct kd_settings *settings = bpf_map_lookup_elem(&kd_settings, &zero);

	(void)c;
	__builtin_memset(out, 0, sizeof(*out));
	if (settings)
		*out = settings->ports;
}

/* The schema's code of the call << 16 | its number on x86_64. */
static KD_INLINE u32 kd_generic_of(const struct kd_fill *c)
{
	u32 key = c->state->compat ? c->state->call + KD_CALL_COMPAT : c->state->call;
	u32 *both = bpf_map_lookup_elem(&kd_generic, &key);

	return both ? *both : 0;
}

static KD_INLINE u32 kd_val_call_code(struct kd_fill *c)
{
	return kd_generic_of(c) >> 16;
}

static KD_INLINE u32 kd_val_call_native(struct kd_fill *c)
{
	return kd_generic_of(c) & 0xffff;
}

static KD_INLINE struct task_struct *kd_task_now(void);
static KD_INLINE struct task_struct *kd_trusted_task(void);

/* Asked for where it is needed: most events say nothing of the task. */
static KD_INLINE struct task_struct *kd_task(const struct kd_fill *c)
{
	(void)c;
	return kd_task_now();
}

static KD_INLINE struct task_struct *kd_task_trusted(const struct kd_fill *c)
{
	(void)c;
	return KD_TRUSTED ? kd_trusted_task() : kd_task_now();
}

static KD_INLINE u32 kd_hook_next_tid(const struct kd_fill *c)
{
	return (u32)(u64)c->state->hook;
}

static KD_INLINE struct sock *kd_hook_sock(const struct kd_fill *c)
{
	return (struct sock *)c->state->hook;
}

/* Kernel memory: KD_GET yields a field, KD_ADDR its address. Both follow CO-RE relocations where the type carries them. */
#define KD_ADDR(pointer, field) ((void *)&(pointer)->field)
#define KD_GET(pointer, field)                                                            \
	({                                                                                \
		typeof((pointer)->field) kd_value_;                                       \
		KD_READ_KERNEL((void *)&kd_value_, sizeof(kd_value_), &(pointer)->field); \
		kd_value_;                                                                \
	})
/* The same of kd_task_trusted(), and of what that leads to by pointers to structures: without a helper where KD_TRUSTED. */
#define KD_LOAD(pointer, field)                               \
	({                                                    \
		typeof(pointer) kd_from_ = (pointer);         \
		typeof(kd_from_->field) kd_loaded_;           \
		if (KD_TRUSTED)                               \
			kd_loaded_ = kd_from_->field;         \
		else                                          \
			kd_loaded_ = KD_GET(kd_from_, field); \
		kd_loaded_;                                   \
	})
#define KD_AT(array, index)                                                               \
	({                                                                                \
		typeof(*(array)) kd_value_ = 0;                                           \
		KD_READ_KERNEL((void *)&kd_value_, sizeof(kd_value_), &(array)[(index)]); \
		kd_value_;                                                                \
	})
/* The module bounds an index for speculation, too: a program's read is the helper's. */
#define kd_bounded(index, size) (index)
/* Every read is probed here. */
#define KD_GET_STALE(pointer, field) KD_GET(pointer, field)

static KD_INLINE int kd_read_kernel(void *to, const void *from, u32 len)
{
	return KD_READ_KERNEL(to, len, from) ? -EFAULT : 0;
}

static KD_INLINE int kd_read_user(void *to, u64 from, u32 len)
{
	return KD_READ_USER(to, len, (void *)from) ? -EFAULT : 0;
}

/*
 * The same value, of which the verifier no longer knows anything: it went through memory. Without this the verifier
 * follows every combination of lengths through the vectors and paths of an event, which no limit is large enough for.
 */
static KD_INLINE u64 kd_forget(struct kd_fill *c, u64 value)
{
	*(volatile u64 *)&c->state->forgotten = value;
	return *(volatile u64 *)&c->state->forgotten;
}

/* Where the block continues; a constant offset needs no mask. */
static KD_INLINE u8 *kd_at(struct kd_fill *c)
{
	u64 off = c->off;

	if (!__builtin_constant_p(off))
		asm volatile("%0 &= 0xffff" : "+r"(off));
	return c->values + off;
}

static KD_INLINE void kd_advance(struct kd_fill *c, u64 len)
{
	if (__builtin_constant_p(c->off) && __builtin_constant_p(len))
		c->off += len;
	else
		c->off = kd_forget(c, c->off + len);
}

static KD_INLINE int kd_full(struct kd_fill *c, u64 more)
{
	return c->off + more > KD_BLOCK_MASK - KD_HEAD_MAX;
}

/* Room for up to 16 segments of a vector, 256 bytes. */
static KD_INLINE u64 *kd_vector_area(struct kd_fill *c)
{
	return c->state->vector;
}

/* Read 1 to 256 bytes of user memory into that room. */
static KD_INLINE int kd_read_user_vector(struct kd_fill *c, u64 from, u64 len)
{
	len = kd_forget(c, len - 1);
	asm volatile("%0 &= 0xff" : "+r"(len));
	return KD_READ_USER(c->state->vector, len + 1, (void *)from) ? -EFAULT : 0;
}

#define KD_PUT(bits)                                                      \
	static KD_INLINE int kd_put_u##bits(struct kd_fill *c, u64 value) \
	{                                                                 \
		if (kd_full(c, bits / 8))                                 \
			return -ENOSPC;                                   \
		*(u##bits *)kd_at(c) = (u##bits)value;                    \
		kd_advance(c, bits / 8);                                  \
		return 0;                                                 \
	}
KD_PUT(8)
KD_PUT(16)
KD_PUT(32)
KD_PUT(64)

static KD_INLINE void kd_param_begin(struct kd_fill *c)
{
	c->start = c->off;
}

static KD_INLINE void kd_param_end(struct kd_fill *c)
{
	*(u16 *)(c->block + KD_HEADER + 2 * c->param) = (u16)(c->off - c->start);
	c->param += 1;
}

static KD_INLINE void kd_param_abandon(struct kd_fill *c)
{
	c->off = c->start;
	c->state->unreadable += 1;
	kd_param_end(c);
}

static KD_INLINE int kd_push_empty(struct kd_fill *c)
{
	c->start = c->off;
	kd_param_end(c);
	return 0;
}

#define KD_PUSH(bits)                                                      \
	static KD_INLINE int kd_push_u##bits(struct kd_fill *c, u64 value) \
	{                                                                  \
		int err;                                                   \
                                                                           \
		kd_param_begin(c);                                         \
		err = kd_put_u##bits(c, value);                            \
		if (!err)                                                  \
			kd_param_end(c);                                   \
		return err;                                                \
	}
KD_PUSH(8)
KD_PUSH(16)
KD_PUSH(32)
KD_PUSH(64)

/* Bound a length to 1..KD_CHUNK_MAX in a way that every verifier follows: zero is not a size to those before 4.15. */
static KD_INLINE u64 kd_chunk(struct kd_fill *c, u64 len)
{
	if (__builtin_constant_p(len))
		return len;
	len = kd_forget(c, len - 1);
	asm volatile("%0 &= 0x7fff" : "+r"(len));
	return len + 1;
}

static KD_INLINE int kd_put_user(struct kd_fill *c, u64 from, u64 len)
{
	if (!len)
		return 0;
	if (len > KD_CHUNK_MAX || kd_full(c, len))
		return -ENOSPC;
	len = kd_chunk(c, len);
	if (KD_READ_USER(kd_at(c), len, (void *)from))
		return -EFAULT;
	kd_advance(c, len);
	return 0;
}

static KD_INLINE int kd_put_kernel(struct kd_fill *c, const void *from, u64 len)
{
	if (!len)
		return 0;
	if (len > KD_CHUNK_MAX || kd_full(c, len))
		return -ENOSPC;
	len = kd_chunk(c, len);
	if (KD_READ_KERNEL(kd_at(c), len, from))
		return -EFAULT;
	kd_advance(c, len);
	return 0;
}

/* A string of at most `max` bytes with its NUL; a longer one is cut. */
static KD_INLINE int kd_put_user_str(struct kd_fill *c, u64 from, u64 max)
{
	s64 len;

	if (kd_full(c, max))
		return -ENOSPC;
	len = KD_READ_USER_STR(kd_at(c), kd_chunk(c, max), (void *)from);
	if (len < 0)
		return -EFAULT;
	kd_advance(c, len ? len : 1); /* until 6.12 the helper says 0 for an empty string, whose NUL it wrote */
	return 0;
}

static KD_INLINE int kd_put_kernel_str(struct kd_fill *c, const char *from, u64 max)
{
	s64 len;

	if (kd_full(c, max))
		return -ENOSPC;
	len = KD_READ_KERNEL_STR(kd_at(c), kd_chunk(c, max), from);
	if (len <= 0)
		return -EFAULT;
	kd_advance(c, len);
	return 0;
}

#endif
