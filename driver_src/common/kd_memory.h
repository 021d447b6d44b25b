/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Captures of user memory: strings, buffers, vectors, structures. Any context; unreadable memory makes a parameter empty. */
#ifndef KD_MEMORY_H
#define KD_MEMORY_H

static KD_INLINE u64 kd_val_moved(struct kd_fill *c, s64 ret)
{
	(void)c;
	return ret > 0 ? (u64)ret : 0;
}

/* How much of a vector's data is of interest: what was written, or all when the call failed. */
static KD_INLINE u64 kd_val_iov_write_len(struct kd_fill *c, s64 ret)
{
	(void)c;
	return ret > 0 ? (u64)ret : KD_SNAPLEN_MAX;
}

static KD_INLINE int kd_cap_user_str(struct kd_fill *c, u64 address)
{
	kd_param_begin(c);
	return kd_finish(c, kd_put_user_str(c, address, KD_STRING_MAX));
}

static KD_INLINE u32 kd_plain_snaplen(const struct kd_fill *c)
{
	return c->snaplen & ~KD_SNAPLEN_DYNAMIC;
}

static KD_INLINE int kd_cap_user_buf(struct kd_fill *c, u64 address, u64 len)
{
	len = kd_min(len, kd_plain_snaplen(c));
	if (!len)
		return kd_push_empty(c);
	kd_param_begin(c);
	return kd_finish(c, kd_put_user(c, address, len));
}

static KD_INLINE int kd_cap_user_u32(struct kd_fill *c, u64 address)
{
	kd_param_begin(c);
	return kd_finish(c, kd_put_user(c, address, 4));
}

/* struct timespec; two 32-bit halves in a compat call. */
static KD_INLINE int kd_cap_user_timespec(struct kd_fill *c, u64 address)
{
	s64 wide[2] = {0}; /* some compilers lose track of a copy in two halves */
	s32 narrow[2];

	if (kd_is_compat(c)) {
		if (kd_read_user(narrow, address, sizeof(narrow)))
			return kd_push_empty(c);
		return kd_push_u64(c, (s64)narrow[0] * 1000000000LL + narrow[1]);
	}
	if (kd_read_user(wide, address, sizeof(wide)))
		return kd_push_empty(c);
	return kd_push_u64(c, wide[0] * 1000000000LL + wide[1]);
}

/*
 * The first segments of a struct iovec array, as (base, len) pairs in the vector area: one read, whatever the count. Segments of a
 * compat call are 8 bytes and are widened from the last to the first, in place.
 */
static KD_INLINE int kd_read_segments(struct kd_fill *c, u64 vector, u64 count)
{
	u64 *area = kd_vector_area(c);
	int i;

	if (!kd_is_compat(c))
		return kd_read_user_vector(c, vector, count * 16);
	if (kd_read_user_vector(c, vector, count * 8))
		return -EFAULT;
	KD_UNROLL
	for (i = KD_VECTOR_MAX - 1; i >= 0; i--) {
		u64 both = area[i];

		area[2 * i] = (u32)both;
		area[2 * i + 1] = both >> 32;
	}
	return 0;
}

static KD_INLINE int kd_cap_iov_size(struct kd_fill *c, u64 vector, u64 count)
{
	u64 *area = kd_vector_area(c);
	u64 size = 0;
	u32 i;

	count = kd_min(count, KD_VECTOR_MAX);
	if (!count)
		return kd_push_u32(c, 0);
	if (kd_read_segments(c, vector, count))
		return kd_push_empty(c);
	KD_UNROLL
	for (i = 0; i < KD_VECTOR_MAX; i++) {
		count = kd_forget(c, count);
		if (i < count)
			size += area[2 * i + 1];
	}
	return kd_push_u32(c, size);
}

/* What the captures need of struct msghdr, whose layout differs in a compat call. */
struct kd_message {
	u64 name;
	u64 name_len;
	u64 vector;
	u64 count;
	u64 control;
	u64 control_len;
};

static KD_INLINE int kd_read_message(struct kd_fill *c, u64 address, struct kd_message *out)
{
	u64 wide[6];
	u32 narrow[6];

	if (kd_is_compat(c)) {
		if (kd_read_user(narrow, address, sizeof(narrow)))
			return -EFAULT;
		out->name = narrow[0];
		out->name_len = narrow[1];
		out->vector = narrow[2];
		out->count = narrow[3];
		out->control = narrow[4];
		out->control_len = narrow[5];
		return 0;
	}
	if (kd_read_user(wide, address, sizeof(wide)))
		return -EFAULT;
	out->name = wide[0];
	out->name_len = (u32)wide[1];
	out->vector = wide[2];
	out->count = wide[3];
	out->control = wide[4];
	out->control_len = wide[5];
	return 0;
}

static KD_INLINE int kd_cap_msg_size(struct kd_fill *c, u64 address)
{
	struct kd_message message;

	if (kd_read_message(c, address, &message))
		return kd_push_empty(c);
	return kd_cap_iov_size(c, message.vector, message.count);
}

static KD_INLINE int kd_cap_msg_control(struct kd_fill *c, u64 address, s64 ret)
{
	struct kd_message message;

	if (ret < 0 || kd_read_message(c, address, &message))
		return kd_push_empty(c);
	return kd_cap_user_buf(c, message.control, message.control_len);
}

/* Bytes that sendmmsg or recvmmsg moved with the first of its messages: struct mmsghdr is a struct msghdr and that number. */
static KD_INLINE u64 kd_val_mmsg_len(struct kd_fill *c, u64 address, s64 ret)
{
	u32 len;

	if (ret <= 0 || kd_read_user(&len, address + (kd_is_compat(c) ? 28 : 56), sizeof(len)))
		return 0;
	return len;
}

/* POLL* of asm-generic/poll.h to the schema's bits. */
static KD_INLINE u16 kd_poll_bits(u16 events)
{
	u16 out = events & 7; /* IN, PRI, OUT */

	out |= KD_BIT(events, 0x0008, 16); /* POLLERR */
	out |= KD_BIT(events, 0x0010, 32); /* POLLHUP */
	out |= KD_BIT(events, 0x0020, 64); /* POLLNVAL */
	out |= KD_BIT(events, 0x0040, 128); /* POLLRDNORM */
	out |= KD_BIT(events, 0x0080, 256); /* POLLRDBAND */
	out |= KD_BIT(events, 0x0100, 512); /* POLLWRNORM */
	out |= KD_BIT(events, 0x0200, 1024); /* POLLWRBAND */
	out |= KD_BIT(events, 0x2000, 8); /* POLLRDHUP */
	return out;
}

/* struct pollfd { int fd; short events, revents; }: u16 count, then s64 fd and s16 revents of each. */
static KD_INLINE int kd_cap_poll_fds(struct kd_fill *c, u64 address, u64 count)
{
	u64 *area = kd_vector_area(c);
	u32 i;
	int err;

	count = kd_min((u32)count, KD_VECTOR_MAX);
	if (count && kd_read_user_vector(c, address, count * 8))
		return kd_push_empty(c);
	kd_param_begin(c);
	err = kd_put_u16(c, count);
	KD_UNROLL
	for (i = 0; i < KD_VECTOR_MAX; i++) {
		u64 one = area[i];

		count = kd_forget(c, count);
		if (err || i >= count)
			break;
		err = kd_put_u64(c, (s64)(s32)one);
		if (!err)
			err = kd_put_u16(c, kd_poll_bits(one >> 48));
	}
	return kd_finish(c, err);
}

/* The two descriptors that pipe2 wrote. */
static KD_INLINE u64 kd_val_pipe_fd(struct kd_fill *c, u64 address, u64 i, s64 ret)
{
	s32 fd;

	(void)c;
	if (ret || kd_read_user(&fd, address + i * 4, sizeof(fd)))
		return (u64)-1;
	return (s64)fd;
}

/* The first 8 bytes of struct clone_args are its flags; KD_CLONE_NS is or-ed by kd_task.h. */
static KD_INLINE u64 kd_val_clone_ns_flags(struct kd_fill *c);

static KD_INLINE int kd_cap_clone3_flags(struct kd_fill *c, u64 address)
{
	u64 flags;

	if (kd_read_user(&flags, address, sizeof(flags)))
		return kd_push_empty(c);
	return kd_push_u32(c, kd_clone_bits((u32)flags) | kd_val_clone_ns_flags(c));
}

static KD_INLINE u64 kd_val_clone_flags(struct kd_fill *c, u64 flags)
{
	return kd_clone_bits((u32)flags) | kd_val_clone_ns_flags(c);
}

static KD_INLINE int kd_cap_prctl_str(struct kd_fill *c, u64 option, u64 address)
{
	option = (u32)option;
	if (option != KD_PR_SET_NAME && option != KD_PR_GET_NAME)
		return kd_push_empty(c);
	return kd_cap_user_str(c, address);
}

static KD_INLINE int kd_cap_prctl_int(struct kd_fill *c, u64 option, u64 value)
{
	s32 narrow;

	option = (u32)option;
	if (option == KD_PR_SET_NAME || option == KD_PR_GET_NAME)
		return kd_push_u64(c, 0);
	if (option != KD_PR_GET_CHILD_SUBREAPER)
		return kd_push_u64(c, value);
	if (kd_read_user(&narrow, value, sizeof(narrow)))
		return kd_push_empty(c);
	return kd_push_u64(c, (s64)narrow);
}

/* Dynamic parameters: u8 kind, then the value. */
static KD_INLINE int kd_push_dyn_u64(struct kd_fill *c, u8 kind, u64 value)
{
	int err;

	kd_param_begin(c);
	err = kd_put_u8(c, kind);
	if (!err)
		err = kd_put_u64(c, value);
	return kd_finish(c, err);
}

static KD_INLINE int kd_cap_ptrace_addr(struct kd_fill *c, u64 address, s64 ret)
{
	return kd_push_dyn_u64(c, 0, ret < 0 ? 0 : address);
}

static KD_INLINE int kd_cap_ptrace_data(struct kd_fill *c, u64 request, u64 value, s64 ret)
{
	u64 word;
	int err;

	request = (u32)request;
	if (ret < 0)
		return kd_push_dyn_u64(c, 0, 0);
	if (request >= 1 && request <= 3) { /* PEEKTEXT, PEEKDATA, PEEKUSR */
		if (kd_read_user_word(c, value, &word))
			return kd_push_empty(c);
		return kd_push_dyn_u64(c, 0, word);
	}
	if (request == 7 || request == 9 || request == 17 || request == 24) { /* CONT, SINGLESTEP, DETACH, SYSCALL */
		kd_param_begin(c);
		err = kd_put_u8(c, 1);
		if (!err)
			err = kd_put_u8(c, value);
		return kd_finish(c, err);
	}
	return kd_push_dyn_u64(c, 0, value);
}

#endif
