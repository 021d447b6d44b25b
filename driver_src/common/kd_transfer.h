/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Captures of the bytes that calls move through descriptors. RCU read section; unreadable memory makes a parameter empty. */
#ifndef KD_TRANSFER_H
#define KD_TRANSFER_H

/* name: the socket address that was passed, or 0. */
static KD_INLINE int kd_cap_fd_buf(struct kd_fill *c, u64 fd, u64 name, u64 address, u64 len)
{
	len = kd_min(len, kd_snaplen_of(c, fd, name, address, len));
	if (!len)
		return kd_push_empty(c);
	kd_param_begin(c);
	return kd_finish(c, kd_put_user(c, address, len));
}

/* `left` bytes of the segments in the vector area, back to back. */
static KD_INLINE int kd_put_segments(struct kd_fill *c, u64 count, u64 left)
{
	u64 *area = kd_vector_area(c);
	u32 i;
	int err = 0;

	kd_param_begin(c);
	KD_UNROLL
	for (i = 0; i < KD_VECTOR_MAX; i++) {
		u64 len;

		count = kd_forget(c, count);
		left = kd_forget(c, left);
		if (i >= count || !left || err)
			break;
		len = kd_min(area[2 * i + 1], left);
		left -= len;
		err = kd_put_user(c, area[2 * i], len);
	}
	return kd_finish(c, err);
}

/* The data of the first segments back to back, `want` bytes and the capture length at most. */
static KD_INLINE int kd_cap_iov_buf(struct kd_fill *c, u64 vector, u64 count, u64 want)
{
	u64 left = kd_min(want, kd_plain_snaplen(c));

	count = kd_min(count, KD_VECTOR_MAX);
	if (!left || !count || kd_read_segments(c, vector, count))
		return kd_push_empty(c);
	return kd_put_segments(c, count, left);
}

static KD_INLINE int kd_push_fd_segments(struct kd_fill *c, u64 fd, u64 name, u64 vector, u64 count, u64 want)
{
	u64 *area = kd_vector_area(c);

	count = kd_min(count, KD_VECTOR_MAX);
	if (!want || !count || kd_read_segments(c, vector, count))
		return kd_push_empty(c);
	want = kd_min(want, kd_snaplen_of(c, fd, name, area[0], kd_min(area[1], want)));
	if (!want)
		return kd_push_empty(c);
	return kd_put_segments(c, count, want);
}

static KD_INLINE int kd_cap_fd_iov_buf(struct kd_fill *c, u64 fd, u64 vector, u64 count, u64 want)
{
	return kd_push_fd_segments(c, fd, 0, vector, count, want);
}

static KD_INLINE int kd_cap_fd_msg_buf(struct kd_fill *c, u64 fd, u64 address, u64 want)
{
	struct kd_message message;

	if (kd_read_message(c, address, &message))
		return kd_push_empty(c);
	return kd_push_fd_segments(c, fd, message.name, message.vector, message.count, want);
}

#endif
