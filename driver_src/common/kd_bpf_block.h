/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The life of a block in the two eBPF probes: begin, continue in the next part of its event, submit; or all of it in the ring itself,
 * where a value's size is known. Any context.
 */
#ifndef KD_BPF_BLOCK_H
#define KD_BPF_BLOCK_H

/* An event that is given up. Rare enough to look its counter up; whoever counts adds all of them. */
static KD_INLINE int kd_abort(void)
{
	struct kd_state *s = kd_state_of(KD_CONTEXT_CALL);

	if (s)
		__sync_fetch_and_add(&s->counters[KD_COUNTER_DROPS_SCRATCH], 1); /* from any context */
	return 0;
}

static KD_INLINE void kd_head(struct kd_fill *c, u16 id, u32 nparams)
{
	struct kd_state *s = c->state;

	*(u64 *)(c->block + 0) = s->time;
	*(u64 *)(c->block + 8) = (u32)bpf_get_current_pid_tgid();
	*(u16 *)(c->block + 20) = id;
	*(u32 *)(c->block + 22) = nparams + s->with_enter_time;
}

/* Where values begin: one length more in the table when the time of the entry was asked for. */
static KD_INLINE u8 *kd_values(struct kd_state *s, u8 *block, u32 nparams)
{
	u64 more = s->with_enter_time;

	asm volatile("%0 &= 1" : "+r"(more));
	return block + KD_HEADER + 2 * nparams + 2 * more;
}

static KD_INLINE void kd_resume(struct kd_fill *c, struct kd_state *s, u8 *block, u8 *values)
{
	c->state = s;
	c->block = block;
	c->values = values;
	c->snaplen = s->snaplen;
}

/* The first part of an event: header, room for the table of lengths. */
static KD_INLINE int kd_begin(struct kd_fill *c, u32 context, u16 id, u32 nparams)
{
	u32 key = kd_own_key(context);
	struct kd_state *s = bpf_map_lookup_elem(&kd_state, &key);
	u8 *block = kd_block_of(key);

	if (!s || !block)
		return -ENOSPC;
	kd_resume(c, s, block, kd_values(s, block, nparams));
	c->off = 0;
	c->param = 0;
	kd_head(c, id, nparams);
	return 0;
}

/* Before another program goes on with the block. */
static KD_INLINE void kd_pause(struct kd_fill *c)
{
	c->state->off = c->off;
}

/* The same in an event's first part. Those after it may be shared with other events, and find here what is this one's own. */
static KD_INLINE void kd_pause_first(struct kd_fill *c, u32 nparams, u32 tail)
{
	kd_pause(c);
	c->state->values = KD_HEADER + 2 * nparams + 2 * c->state->with_enter_time;
	c->state->tail = tail;
}

static KD_INLINE int kd_continue(struct kd_fill *c, u32 context, u32 first)
{
	u32 key = kd_own_key(context);
	struct kd_state *s = bpf_map_lookup_elem(&kd_state, &key);
	u8 *block = kd_block_of(key), *block_values;
	u64 values;

	if (!s || !block)
		return -ENOSPC;
	values = s->values;
	asm volatile("%0 &= 0x7f" : "+r"(values)); /* KD_HEAD_MASK */
	block_values = block + values;
	/*
	 * One pointer from here on. What the compiler keeps of it on the stack is then a pointer, whose bounds the verifiers
	 * of all kernels remember; before 5.17 they forget those of a number that was on the stack.
	 */
	asm volatile("" : "+r"(block_values));
	kd_resume(c, s, block, block_values);
	c->off = s->off;
	c->param = first;
	return 0;
}

/* The time of the entry, as one more parameter. */
static KD_INLINE int kd_push_enter_time(struct kd_fill *c)
{
	return c->state->enter_time ? kd_push_u64(c, c->state->enter_time) : kd_push_empty(c);
}

/* Add the time of the entry when it was asked for, close the header, hand the block over. */
static KD_INLINE int kd_submit(void *ctx, struct kd_fill *c, u32 nparams)
{
	struct kd_state *s = c->state;
	u64 len;

	if (s->with_enter_time && kd_push_enter_time(c))
		return kd_abort();
	s->counters[KD_COUNTER_UNREADABLE] += s->unreadable;
	len = KD_HEADER + 2 * nparams + 2 * s->with_enter_time + c->off;
	*(u32 *)(c->block + 16) = len;
	asm volatile("%0 &= 0xffff" : "+r"(len));
	if (kd_output(ctx, c->block, len))
		s->counters[KD_COUNTER_DROPS_BUFFER] += 1;
	else
		s->counters[KD_COUNTER_EVENTS] += 1;
	return 0;
}

#define KD_ENTER_BYTES 10 /* that the time of the entry takes: a length and a value */

/*
 * An event whose values all have sizes that are known (bytes: their sum) is built in the ring itself, where the kernel has ring
 * buffers. 0, or -ENOSPC when it is full, which is counted. The record has room for the time of the entry, whether it is used or not:
 * the block says its own length.
 */
static KD_INLINE int kd_begin_fixed(struct kd_fill *c, u32 context, u16 id, u32 nparams, u32 bytes)
{
	u32 size = KD_HEADER + 2 * nparams + bytes;
	u32 key = kd_own_key(context);
	struct kd_state *s = bpf_map_lookup_elem(&kd_state, &key);
	u8 *block;

	(void)size; /* where there are no ring buffers */
	if (!s)
		return -ENOSPC;
	block = KD_RESERVE ? kd_reserve(size + KD_ENTER_BYTES) : kd_block_of(key);
	if (!block) {
		s->counters[KD_COUNTER_DROPS_BUFFER] += 1;
		return -ENOSPC;
	}
	kd_resume(c, s, block, kd_values(s, block, nparams));
	c->off = 0;
	c->param = 0;
	kd_head(c, id, nparams);
	return 0;
}

static KD_INLINE int kd_submit_fixed(void *ctx, struct kd_fill *c, u32 nparams)
{
	struct kd_state *s = c->state;
	u32 len = KD_HEADER + 2 * nparams + c->off;

	if (!KD_RESERVE)
		return kd_submit(ctx, c, nparams);
	if (s->with_enter_time) {
		u64 time = s->enter_time;

		*(u16 *)(c->block + KD_HEADER + 2 * nparams) = time ? 8 : 0;
		*(u64 *)(c->values + c->off) = time;
		len += time ? 10 : 2;
	}
	*(u32 *)(c->block + 16) = len;
	s->counters[KD_COUNTER_UNREADABLE] += s->unreadable;
	kd_commit(c->block);
	s->counters[KD_COUNTER_EVENTS] += 1;
	return 0;
}

/* A sub-call whose arguments cannot be read: what it returned, and nothing else of it. */
static KD_INLINE int kd_submit_lost(void *ctx, struct kd_fill *c, u32 nparams, int at_exit, int fixed)
{
	u32 i;

	if (at_exit && nparams && kd_push_u64(c, kd_ret(c)))
		return kd_abort();
	KD_UNROLL
	for (i = at_exit ? 1 : 0; i < nparams; i++)
		kd_push_empty(c);
	c->state->unreadable += nparams - (at_exit && nparams);
	return fixed ? kd_submit_fixed(ctx, c, nparams) : kd_submit(ctx, c, nparams);
}

#endif
