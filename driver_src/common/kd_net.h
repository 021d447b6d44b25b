/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Addresses and sockets. RCU read section. Nothing is locked or held: another thread may close the descriptor, and the socket and its
 * peer are gone at once (few kinds of sockets wait for RCU), so all of them is read as memory that may be stale.
 */
#ifndef KD_NET_H
#define KD_NET_H

#define KD_UNIX_PATH_MAX 108
#define KD_V4_MAPPED 0xffff0000u /* third word of ::ffff:a.b.c.d as it lies in memory */

/* The two ends of a TCP or UDP socket; addresses in network order, ports in host order. */
struct kd_ends {
	u32 own[4];
	u32 other[4];
	u16 own_port;
	u16 other_port;
};

enum kd_order { KD_OWN_FIRST, KD_OTHER_FIRST };

static KD_INLINE u16 kd_swap16(u16 value)
{
	return (u16)(value << 8 | value >> 8);
}

/* The socket behind a descriptor, or NULL. */
static KD_INLINE struct socket *kd_fd_socket(struct kd_fill *c, s64 fd)
{
	struct file *file = kd_fd_file(c, fd);
	struct inode *inode;

	if (!file)
		return 0;
	inode = KD_GET(file, f_inode);
	if (!inode || (KD_GET_STALE(inode, i_mode) & KD_S_IFMT) != KD_S_IFSOCK)
		return 0;
	return (struct socket *)KD_GET(file, private_data);
}

static KD_INLINE struct sock *kd_fd_sock(struct kd_fill *c, s64 fd)
{
	struct socket *socket = kd_fd_socket(c, fd);

	return socket ? KD_GET_STALE(socket, sk) : 0;
}

/* Put the path of a passed struct sockaddr_un: up to its first NUL; an abstract name without its leading NUL. */
static KD_INLINE int kd_put_user_unix(struct kd_fill *c, u64 address, s64 len)
{
	u64 left = kd_min(len - 2, KD_UNIX_PATH_MAX);
	u64 path = address + 2;
	u8 first;

	if (len <= 2)
		return kd_put_u8(c, 0);
	if (kd_read_user(&first, path, 1))
		return -EFAULT;
	if (!first) {
		path += 1;
		left -= 1;
	}
	if (!left)
		return kd_put_u8(c, 0);
	return kd_put_user_str(c, path, left + 1);
}

/* bind, connect: u8 family, then the address as its family has it. */
static KD_INLINE int kd_cap_sockaddr(struct kd_fill *c, u64 address, u64 length)
{
	s64 len = (s32)length;
	u32 words[6]; /* struct sockaddr_in6 is the longest */
	u16 family;
	int err;

	if (len < 2 || kd_read_user(&family, address, sizeof(family)))
		return kd_push_empty(c);
	kd_param_begin(c);
	err = kd_put_u8(c, family);
	if (err)
		return kd_finish(c, err);
	if (family == KD_AF_UNIX)
		return kd_finish(c, kd_put_user_unix(c, address, len));
	if (family == KD_AF_INET) {
		err = len < 8 ? -EFAULT : kd_read_user(words, address, 8);
		if (!err)
			err = kd_put_u32(c, words[1]);
	} else if (family == KD_AF_INET6) {
		err = len < 24 ? -EFAULT : kd_read_user(words, address, 24);
		if (!err)
			err = kd_put_kernel(c, &words[2], 16);
	} else {
		err = -EFAULT;
	}
	if (!err)
		err = kd_put_u16(c, kd_swap16(words[0] >> 16));
	return kd_finish(c, err);
}

/* Both ends as the socket has them. */
static KD_INLINE void kd_sock_ends(struct sock *sk, u16 family, struct kd_ends *ends)
{
	struct inet_sock *inet = (struct inet_sock *)sk;

	__builtin_memset(ends, 0, sizeof(*ends));
	ends->own_port = kd_swap16(KD_GET_STALE(inet, inet_sport));
	ends->other_port = kd_swap16(KD_GET_STALE(sk, __sk_common.skc_dport));
	if (family == KD_AF_INET) {
		ends->own[0] = KD_GET_STALE(inet, inet_saddr);
		ends->other[0] = KD_GET_STALE(sk, __sk_common.skc_daddr);
	} else {
		/* not pinet6->saddr: an IPv4 connection over this socket sets that only after its first segment */
		kd_read_kernel(ends->own, KD_ADDR(sk, __sk_common.skc_v6_rcv_saddr), 16);
		kd_read_kernel(ends->other, KD_ADDR(sk, __sk_common.skc_v6_daddr), 16);
		/* ... and on old kernels (RHEL 7) the other field as well */
		if (!ends->own[3] && !ends->own[2] && ends->other[2] == KD_V4_MAPPED && !ends->other[1]) {
			ends->own[2] = KD_V4_MAPPED;
			ends->own[3] = KD_GET_STALE(inet, inet_saddr);
		}
	}
}

/* A socket without another end takes it from the address that was passed, if that is of its family. */
static KD_INLINE void kd_passed_end(u16 family, u64 address, s64 len, struct kd_ends *ends)
{
	u32 words[6];
	u32 need = family == KD_AF_INET ? 8 : 24;

	if (ends->other_port || !address || len < need)
		return;
	if (family == KD_AF_INET) {
		if (kd_read_user(words, address, 8) || (u16)words[0] != family)
			return;
		ends->other[0] = words[1];
	} else {
		if (kd_read_user(words, address, 24) || (u16)words[0] != family)
			return;
		__builtin_memcpy(ends->other, &words[2], 16);
	}
	ends->other_port = kd_swap16(words[0] >> 16);
}

static KD_INLINE int kd_put_end(struct kd_fill *c, u16 family, const u32 *address, u16 port)
{
	int err = family == KD_AF_INET ? kd_put_u32(c, address[0]) : kd_put_kernel(c, address, 16);

	return err ? err : kd_put_u16(c, port);
}

static KD_INLINE int kd_put_inet_tuple(struct kd_fill *c, struct sock *sk, u16 family, u64 address, s64 len,
				       enum kd_order order)
{
	struct kd_ends ends;
	int err;

	kd_sock_ends(sk, family, &ends);
	kd_passed_end(family, address, len, &ends);
	err = kd_put_u8(c, family);
	if (err)
		return err;
	if (order == KD_OWN_FIRST) {
		err = kd_put_end(c, family, ends.own, ends.own_port);
		return err ? err : kd_put_end(c, family, ends.other, ends.other_port);
	}
	err = kd_put_end(c, family, ends.other, ends.other_port);
	return err ? err : kd_put_end(c, family, ends.own, ends.own_port);
}

/* The name that a unix socket is bound to, with a NUL; an empty string when it has none. */
static KD_INLINE int kd_put_unix_name(struct kd_fill *c, struct unix_sock *unix_sk)
{
	struct unix_address *address = unix_sk ? KD_GET_STALE(unix_sk, addr) : 0;
	const char *path;
	s64 len;
	u8 first = 0;

	if (!address)
		return kd_put_u8(c, 0);
	len = (s64)KD_GET_STALE(address, len) - 2;
	path = (const char *)KD_ADDR(address, name[0]) + 2;
	if (len <= 0 || kd_read_kernel(&first, path, 1))
		return kd_put_u8(c, 0);
	if (!first) {
		path += 1;
		len -= 1;
	}
	if (len <= 0)
		return kd_put_u8(c, 0);
	return kd_put_kernel_str(c, path, kd_min(len, KD_UNIX_PATH_MAX) + 1);
}

/* u8 family, the receiving socket, the sending one, the receiving one's name. */
static KD_INLINE int kd_put_unix_tuple(struct kd_fill *c, struct sock *sk, u64 address, s64 len, enum kd_order order)
{
	struct unix_sock *own = (struct unix_sock *)sk;
	struct unix_sock *peer = (struct unix_sock *)KD_GET_STALE(own, peer);
	int err = kd_put_u8(c, KD_AF_UNIX);
	u16 family;

	if (!err)
		err = kd_put_u64(c, order == KD_OWN_FIRST ? (u64)(unsigned long)peer : (u64)(unsigned long)own);
	if (!err)
		err = kd_put_u64(c, order == KD_OWN_FIRST ? (u64)(unsigned long)own : (u64)(unsigned long)peer);
	if (err)
		return err;
	if (order == KD_OTHER_FIRST)
		return kd_put_unix_name(c, own);
	if (peer || !address || len < 2 || kd_read_user(&family, address, sizeof(family)) || family != KD_AF_UNIX)
		return kd_put_unix_name(c, peer);
	return kd_put_user_unix(c, address, len);
}

/* A whole tuple parameter. address, len: what the caller passed, 0 when nothing. */
static KD_INLINE int kd_push_tuple(struct kd_fill *c, struct sock *sk, u64 address, s64 len, enum kd_order order)
{
	u16 family;
	int err;

	if (!sk)
		return kd_push_empty(c);
	family = KD_GET_STALE(sk, __sk_common.skc_family);
	kd_param_begin(c);
	if (family == KD_AF_INET || family == KD_AF_INET6)
		err = kd_put_inet_tuple(c, sk, family, address, len, order);
	else if (family == KD_AF_UNIX)
		err = kd_put_unix_tuple(c, sk, address, len, order);
	else
		err = -EFAULT;
	return kd_finish(c, err);
}

static KD_INLINE int kd_cap_sock_tuple(struct kd_fill *c, s64 fd)
{
	return kd_push_tuple(c, kd_fd_sock(c, fd), 0, 0, KD_OTHER_FIRST);
}

static KD_INLINE int kd_cap_hook_sock_tuple(struct kd_fill *c)
{
	return kd_push_tuple(c, kd_hook_sock(c), 0, 0, KD_OWN_FIRST);
}

static KD_INLINE int kd_cap_connect_tuple(struct kd_fill *c, u64 fd, u64 address, u64 len, s64 ret)
{
	if (ret && ret != -KD_EINPROGRESS)
		return kd_push_empty(c);
	return kd_push_tuple(c, kd_fd_sock(c, (s32)fd), address, (s32)len, KD_OWN_FIRST);
}

static KD_INLINE int kd_cap_send_tuple(struct kd_fill *c, u64 fd, u64 address, u64 len, s64 ret)
{
	if (ret < 0)
		return kd_push_empty(c);
	return kd_push_tuple(c, kd_fd_sock(c, (s32)fd), address, (s32)len, KD_OWN_FIRST);
}

/* The kernel has filled in the sender's address; its length is checked by its family alone. */
static KD_INLINE int kd_cap_recv_tuple(struct kd_fill *c, u64 fd, u64 address, s64 ret)
{
	if (ret < 0)
		return kd_push_empty(c);
	return kd_push_tuple(c, kd_fd_sock(c, (s32)fd), address, KD_UNIX_PATH_MAX, KD_OTHER_FIRST);
}

static KD_INLINE int kd_cap_msg_send_tuple(struct kd_fill *c, u64 fd, u64 message_address, s64 ret)
{
	struct kd_message message;

	if (ret < 0 || kd_read_message(c, message_address, &message))
		return kd_push_empty(c);
	return kd_push_tuple(c, kd_fd_sock(c, (s32)fd), message.name, (s32)message.name_len, KD_OWN_FIRST);
}

static KD_INLINE int kd_cap_msg_recv_tuple(struct kd_fill *c, u64 fd, u64 message_address, s64 ret)
{
	struct kd_message message;

	if (ret < 0 || kd_read_message(c, message_address, &message))
		return kd_push_empty(c);
	return kd_push_tuple(c, kd_fd_sock(c, (s32)fd), message.name, (s32)message.name_len, KD_OTHER_FIRST);
}

/* The queue of a listening socket after the call. */
static KD_INLINE u64 kd_val_accept_queue_len(struct kd_fill *c, u64 fd, s64 ret)
{
	struct sock *sk = ret < 0 ? 0 : kd_fd_sock(c, (s32)fd);

	return sk ? KD_GET_STALE(sk, sk_ack_backlog) : 0;
}

static KD_INLINE u64 kd_val_accept_queue_max(struct kd_fill *c, u64 fd, s64 ret)
{
	struct sock *sk = ret < 0 ? 0 : kd_fd_sock(c, (s32)fd);

	return sk ? KD_GET_STALE(sk, sk_max_ack_backlog) : 0;
}

static KD_INLINE u64 kd_val_accept_queue_pct(struct kd_fill *c, u64 fd, s64 ret)
{
	u32 max = kd_val_accept_queue_max(c, fd, ret);

	return max ? (u32)kd_val_accept_queue_len(c, fd, ret) * 100 / max : 0;
}

#endif
