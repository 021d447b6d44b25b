/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The capture primitives of the module: what the shared and the generated capture code is written in.
 *
 * They write straight into the free space of the ring, with preemption off, and neither sleep nor take a lock. Every
 * put is bounded by the block's limit: -ENOSPC means that the whole block is given up, -EFAULT that this parameter
 * cannot be read (the caller abandons it, and it stays empty).
 */
#ifndef KD_PRIMS_H
#define KD_PRIMS_H

#include <linux/sched.h>
#include <linux/string.h>

#include "compat/kd_call.h"
#include "compat/kd_uaccess.h"

#define KD_INLINE inline

/*
 * A structure that is filled in member by member: kernels that set all local variables to zero (CONFIG_INIT_STACK_ALL_ZERO) would
 * clear hundreds of bytes for each event.
 */
#define KD_UNSET
#if defined(__has_attribute)
#if __has_attribute(__uninitialized__)
#undef KD_UNSET
#define KD_UNSET __attribute__((__uninitialized__))
#endif
#endif

#define KD_UNROLL /* loops stay loops */

/* A kernel structure's field: a plain load here, a probed read in the eBPF drivers. */
#define KD_GET(pointer, field) ((pointer)->field)
#define KD_ADDR(pointer, field) (&(pointer)->field)
/* The same of what the current task leads to: the eBPF drivers have a shorter way there. */
#define KD_LOAD(pointer, field) KD_GET(pointer, field)
#define kd_task_trusted(c) kd_task(c)
/* Of use to the eBPF drivers: a value of which nothing is known. */
#define kd_forget(c, value) (value)
/* One of an array that the task or RCU keeps. */
#define KD_AT(array, index) (((typeof(*(array)) volatile *)(array))[index])

/*
 * The same where neither the task nor RCU keeps the structure: a socket whose descriptor another thread closes, a
 * terminal that hangs up. Such memory may be gone or another's: what is read may be wrong, but it is no fault.
 */
#define KD_GET_STALE(pointer, field)                                                                        \
	({                                                                                                  \
		typeof((pointer)->field) kd_value_;                                                         \
		if (kd_read_kernel((void *)&kd_value_, (const void *)&(pointer)->field, sizeof(kd_value_))) \
			memset((void *)&kd_value_, 0, sizeof(kd_value_));                                   \
		kd_value_;                                                                                  \
	})

/* The length of a parameter is a u16. */
#define KD_PARAM_MAX 0xffffu

/* Room for a vector of user memory that is looked at, as the shared captures assume it. */
#define KD_VECTOR_WORDS 32

/* Bytes of a user string that are copied at a time: most paths fit in one. */
#define KD_STRING_CHUNK 128

/* Bytes of a kernel string that are copied at a time: most names fit in one. */
#define KD_NAME_CHUNK 32

/* What a hook saw. The same for all consumers of one event. */
struct kd_moment {
	const struct pt_regs *regs; /* of the call, NULL in other hooks */
	s64 ret;
	u32 call; /* index in kd_calls, for calls only */
	u8 is_call;
	u8 is_compat; /* enum kd_compat */
	u64 ts;
	u64 enter_ts; /* 0: not seen */
	struct task_struct *task; /* whom the event is about */
	unsigned long hook_arg; /* switch: the next task; kprobes: the function's first argument */
	u64 args[6]; /* of an unpacked sub-call, or what a tracepoint was given */
};

/* How a call's arguments are found. */
enum kd_compat {
	KD_COMPAT_NOT = 0,
	KD_COMPAT_REGS = 1, /* a call of i386 */
	KD_COMPAT_UNPACKED =
		2, /* a sub-call of socketcall or ipc, and hooks that are no calls: in args of the moment */
	KD_COMPAT_LOST = 3, /* such a one whose arguments cannot be read */
};

/* The block being written. The first three are what shared code may touch. */
struct kd_fill {
	u32 off; /* bytes of the block used so far */
	u32 param; /* index of the next parameter */
	u32 snaplen;
	u32 start; /* where the current parameter's value begins */
	u32 limit; /* bytes that the block may have */
	u32 nparams;
	u32 unreadable;
	u8 *block;
	const struct kd_moment *moment;
	const struct kd_ports *ports;
	u64 vector[KD_VECTOR_WORDS]; /* see kd_vector_area */
};

static KD_INLINE u64 kd_arg(const struct kd_fill *c, unsigned int n)
{
	if (unlikely(c->moment->is_compat > KD_COMPAT_REGS))
		return c->moment->args[n];
	if (unlikely(c->moment->is_compat))
		return kd_regs_compat_arg(c->moment->regs, n);
	return kd_regs_arg(c->moment->regs, n);
}

static KD_INLINE void kd_asked_ports(const struct kd_fill *c, struct kd_ports *out)
{
	out->full_first = READ_ONCE(c->ports->full_first);
	out->full_last = READ_ONCE(c->ports->full_last);
	out->statsd = READ_ONCE(c->ports->statsd);
}

static KD_INLINE s64 kd_ret(const struct kd_fill *c)
{
	return c->moment->ret;
}

/* The number that user space called, of i386 for a compat call. */
static KD_INLINE u32 kd_call_nr(const struct kd_fill *c)
{
	return c->moment->call % KD_CALL_COMPAT;
}

static KD_INLINE int kd_is_compat(const struct kd_fill *c)
{
	return c->moment->is_compat;
}

static KD_INLINE u16 kd_val_call_code(struct kd_fill *c)
{
	return kd_calls[c->moment->call].code;
}

static KD_INLINE u16 kd_val_call_native(struct kd_fill *c)
{
	return kd_calls[c->moment->call].native;
}

static KD_INLINE struct task_struct *kd_task(const struct kd_fill *c)
{
	return c->moment->task;
}

/* sched_switch: the thread that runs next. */
static KD_INLINE s32 kd_hook_next_tid(const struct kd_fill *c)
{
	return ((const struct task_struct *)c->moment->hook_arg)->pid;
}

/* Kprobes on functions whose first argument is a socket. */
static KD_INLINE struct sock *kd_hook_sock(const struct kd_fill *c)
{
	return (struct sock *)c->moment->hook_arg;
}

/* Memory that a pointer names which may be a moment old: 0 or -EFAULT, never a fault. */
static KD_INLINE int kd_read_kernel(void *to, const void *from, u32 len)
{
	return kd_copy_from_kernel(to, from, len) ? -EFAULT : 0;
}

static __always_inline void kd_param_begin(struct kd_fill *c)
{
	c->start = c->off;
}

static __always_inline void kd_param_length(struct kd_fill *c, u16 len)
{
	u32 param = c->param;

	if (likely(param < c->nparams))
		memcpy(c->block + sizeof(struct kd_block_header) + param * sizeof(len), &len, sizeof(len));
	c->param = param + 1;
}

static __always_inline void kd_param_end(struct kd_fill *c)
{
	kd_param_length(c, c->off - c->start);
}

static KD_INLINE void kd_param_abandon(struct kd_fill *c)
{
	c->off = c->start;
	c->unreadable++;
	kd_param_end(c);
}

/* Room for len more bytes in the block and in the parameter. */
static __always_inline int kd_room(const struct kd_fill *c, u32 len)
{
	if (unlikely(len > c->limit - c->off))
		return -ENOSPC;
	if (unlikely(len > KD_PARAM_MAX - (c->off - c->start)))
		return -ENOSPC;
	return 0;
}

static KD_INLINE int kd_put_kernel(struct kd_fill *c, const void *p, u32 len)
{
	if (kd_room(c, len))
		return -ENOSPC;
	memcpy(c->block + c->off, p, len);
	c->off += len;
	return 0;
}

/* Bytes whose number the compiler knows: no different from others here. */
static KD_INLINE int kd_put_const(struct kd_fill *c, const void *p, u32 len)
{
	return kd_put_kernel(c, p, len);
}

static KD_INLINE int kd_put_u8(struct kd_fill *c, u8 value)
{
	return kd_put_kernel(c, &value, sizeof(value));
}

static KD_INLINE int kd_put_u16(struct kd_fill *c, u16 value)
{
	return kd_put_kernel(c, &value, sizeof(value));
}

static KD_INLINE int kd_put_u32(struct kd_fill *c, u32 value)
{
	return kd_put_kernel(c, &value, sizeof(value));
}

static KD_INLINE int kd_put_u64(struct kd_fill *c, u64 value)
{
	return kd_put_kernel(c, &value, sizeof(value));
}

/* A value of a size that the compiler knows. */
#define KD_PUSH(bits)                                                                \
	static __always_inline int kd_push_u##bits(struct kd_fill *c, u##bits value) \
	{                                                                            \
		u32 off = c->off;                                                    \
                                                                                     \
		if (unlikely(sizeof(value) > c->limit - off))                        \
			return -ENOSPC;                                              \
		memcpy(c->block + off, &value, sizeof(value));                       \
		c->start = off;                                                      \
		c->off = off + sizeof(value);                                        \
		kd_param_length(c, sizeof(value));                                   \
		return 0;                                                            \
	}
KD_PUSH(8)
KD_PUSH(16)
KD_PUSH(32)
KD_PUSH(64)

static KD_INLINE int kd_push_empty(struct kd_fill *c)
{
	kd_param_begin(c);
	kd_param_end(c);
	return 0;
}

static KD_INLINE const void __user *kd_user(u64 address)
{
	return (const void __user *)(unsigned long)address;
}

/* 0 or -EFAULT. */
static KD_INLINE int kd_read_user(void *to, u64 address, u32 len)
{
	return kd_copy_from_user(to, kd_user(address), len);
}

static KD_INLINE u64 *kd_vector_area(struct kd_fill *c)
{
	return c->vector;
}

/* Read up to 256 bytes of user memory into that room: 0 or -EFAULT. */
static KD_INLINE int kd_read_user_vector(struct kd_fill *c, u64 address, u32 len)
{
	return len > sizeof(c->vector) ? -EFAULT : kd_read_user(c->vector, address, len);
}

static KD_INLINE int kd_put_user(struct kd_fill *c, u64 address, u32 len)
{
	if (kd_room(c, len))
		return -ENOSPC;
	if (kd_copy_from_user(c->block + c->off, kd_user(address), len))
		return -EFAULT;
	c->off += len;
	return 0;
}

/*
 * A string of user space, its NUL included, cut to max bytes. Chunks end where a page ends: a page that is not there is
 * asked for only where the string goes on into it. Nothing is written where it cannot be read.
 */
static int kd_put_user_str(struct kd_fill *c, u64 address, u32 max)
{
	u32 before = c->off;
	u32 done = 0;

	while (done < max) {
		u32 to_page_end = PAGE_SIZE - ((address + done) & (PAGE_SIZE - 1));
		u32 len = min3(max - done, to_page_end, (u32)KD_STRING_CHUNK);
		u8 *to = c->block + c->off;
		u8 *end;

		len = min(len, c->limit - c->off);
		if (!len || kd_room(c, len))
			return -ENOSPC; /* the end of the block may cut a chunk, not the string */
		if (kd_copy_from_user(to, kd_user(address + done), len)) {
			c->off = before;
			return -EFAULT;
		}
		end = memchr(to, 0, len);
		if (end) {
			c->off += end - to + 1;
			return 0;
		}
		c->off += len;
		done += len;
	}
	if (max)
		c->block[c->off - 1] = 0;
	return 0;
}

/*
 * A string of the kernel, its NUL included, cut to max bytes. It may be gone: pieces of it are probed, none of them over
 * the end of a page, and only what belongs to the string gets into the block.
 */
static int kd_put_kernel_str(struct kd_fill *c, const char *p, u32 max)
{
	char piece[KD_NAME_CHUNK];
	u32 before = c->off;
	u32 done = 0;

	while (done < max) {
		u32 to_page_end = PAGE_SIZE - ((unsigned long)(p + done) & (PAGE_SIZE - 1));
		u32 len = min3(max - done, to_page_end, (u32)sizeof(piece));
		const char *end;

		if (kd_read_kernel(piece, p + done, len)) {
			c->off = before;
			return -EFAULT;
		}
		end = memchr(piece, 0, len);
		if (end)
			len = end - piece + 1;
		if (kd_put_kernel(c, piece, len))
			return -ENOSPC;
		if (end)
			return 0;
		done += len;
	}
	if (max)
		c->block[c->off - 1] = 0;
	return 0;
}

#endif
