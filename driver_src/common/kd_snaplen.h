/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The dynamic capture length: more of what sockets carry, by port and by how the bytes begin. RCU read section.
 *
 * The sign bit of a block's capture length says that it is on; without it all of this is one test. The rules and their order are in
 * CONVENTIONS.md (Descriptors and data).
 */
#ifndef KD_SNAPLEN_H
#define KD_SNAPLEN_H

#define KD_SNAPLEN_FULL 16000 /* ports of full capture */
#define KD_SNAPLEN_PROTOCOL 2000 /* statsd, and what looks like MySQL, PostgreSQL, MongoDB or HTTP */
#define KD_SNAPLEN_DNS 512

#define KD_PORT_DNS 53
#define KD_PORT_MYSQL 3306
#define KD_PORT_POSTGRES 5432
#define KD_PORT_MONGODB 27017

#define KD_LOOK_AHEAD 16 /* bytes that are looked at */

struct kd_conversation {
	u16 own;
	u16 other;
};

/* Ports of an IPv4 or IPv6 socket, else 0; name: the address that was passed, for sockets without another end. */
static KD_INLINE void kd_conversation_of(struct sock *sk, u64 name, struct kd_conversation *out)
{
	u16 family = KD_GET_STALE(sk, __sk_common.skc_family);
	struct inet_sock *inet = (struct inet_sock *)sk;
	u16 passed[2];

	out->own = 0;
	out->other = 0;
	if (family != KD_AF_INET && family != KD_AF_INET6)
		return;
	out->own = kd_swap16(KD_GET_STALE(inet, inet_sport));
	out->other = kd_swap16(KD_GET_STALE(sk, __sk_common.skc_dport));
	if (!out->other && name && !kd_read_user(passed, name, sizeof(passed)))
		out->other = kd_swap16(passed[1]);
}

static KD_INLINE int kd_is_port(const struct kd_conversation *ports, u16 port)
{
	return ports->own == port || ports->other == port;
}

/* In the range of full capture. 0 is no port: a socket without another end, or of another family. */
static KD_INLINE int kd_is_full(const struct kd_ports *asked, u16 port)
{
	return port && port >= asked->full_first && port <= asked->full_last;
}

static KD_INLINE int kd_looks_like_mysql(u64 head, u64 len)
{
	u32 first = (u32)head;

	if (len < 5)
		return 0;
	return (first & 0xff) == 3 || (first >> 8 & 0xff) == 3 || (first >> 16 & 0xff) == 3 || first >> 24 == 3 ||
	       (head >> 32 & 0xff) == 3 || first >> 16 == 0;
}

static KD_INLINE int kd_looks_like_postgres(u64 head, u64 len)
{
	if (len < 7)
		return 0;
	return (u16)head == 'Q' || (u16)head == 'P' || (u16)head == 'E' || (head >> 32 & 0xffffff) == 0x000300;
}

/* The operation in the header of a message: 1, 2001 to 2007. */
static KD_INLINE int kd_looks_like_mongodb(u64 tail, u64 len)
{
	u32 operation = tail >> 32;

	return len >= KD_LOOK_AHEAD && (operation == 1 || (operation >= 2001 && operation <= 2007));
}

#define KD_WORD(a, b, c, d) ((u32)(a) | (u32)(b) << 8 | (u32)(c) << 16 | (u32)(d) << 24)

static KD_INLINE int kd_looks_like_http(u64 head, u64 len)
{
	u32 first = (u32)head;

	if (len < 5)
		return 0;
	return first == KD_WORD('G', 'E', 'T', ' ') || first == KD_WORD('P', 'O', 'S', 'T') ||
	       first == KD_WORD('P', 'U', 'T', ' ') || first == KD_WORD('D', 'E', 'L', 'E') ||
	       first == KD_WORD('T', 'R', 'A', 'C') || first == KD_WORD('C', 'O', 'N', 'N') ||
	       first == KD_WORD('O', 'P', 'T', 'I') ||
	       (first == KD_WORD('H', 'T', 'T', 'P') && (head >> 32 & 0xff) == '/');
}

/* How the bytes begin; what is not there, or cannot be read, is 0. */
static KD_INLINE void kd_look_ahead(u64 address, u64 len, u64 *head)
{
	head[0] = 0;
	head[1] = 0;
	if (len >= KD_LOOK_AHEAD)
		kd_read_user(head, address, KD_LOOK_AHEAD);
	else if (len >= 7)
		kd_read_user(head, address, 7);
	else if (len >= 5)
		kd_read_user(head, address, 5);
}

static KD_INLINE u32 kd_wanted_length(struct kd_fill *c, struct sock *sk, u64 name, u64 address, u64 len)
{
	struct kd_conversation ports;
	struct kd_ports asked;
	u64 head[2];

	kd_conversation_of(sk, name, &ports);
	kd_asked_ports(c, &asked);
	if (asked.full_last && (kd_is_full(&asked, ports.own) || kd_is_full(&asked, ports.other)))
		return KD_SNAPLEN_FULL;
	if (ports.other && ports.other == asked.statsd)
		return KD_SNAPLEN_PROTOCOL;
	if (ports.other == KD_PORT_DNS)
		return KD_SNAPLEN_DNS;
	kd_look_ahead(address, len, head);
	if (kd_is_port(&ports, KD_PORT_MYSQL) && len >= 5)
		return kd_looks_like_mysql(head[0], len) ? KD_SNAPLEN_PROTOCOL : 0;
	if (kd_is_port(&ports, KD_PORT_POSTGRES) && len >= 7)
		return kd_looks_like_postgres(head[0], len) ? KD_SNAPLEN_PROTOCOL : 0;
	if (kd_is_port(&ports, KD_PORT_MONGODB) || kd_looks_like_mongodb(head[1], len) ||
	    kd_looks_like_http(head[0], len))
		return KD_SNAPLEN_PROTOCOL;
	return 0;
}

/* How many bytes of what a descriptor carries are captured. */
static KD_INLINE u32 kd_snaplen_of(struct kd_fill *c, u64 fd, u64 name, u64 address, u64 len)
{
	u32 plain = c->snaplen;
	struct sock *sk;
	u32 wanted;

	if (!(plain & KD_SNAPLEN_DYNAMIC))
		return plain;
	plain &= ~KD_SNAPLEN_DYNAMIC;
	sk = kd_fd_sock(c, (s32)fd);
	wanted = sk ? kd_wanted_length(c, sk, name, address, len) : 0;
	return wanted > plain ? wanted : plain;
}

#endif
