// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * kd-capture: a block of an event, checked and taken apart.
 *
 * A block is a packed header (u64 ts, u64 tid, u32 len, u16 type, u32 nparams), u16 lengths, and the values back to
 * back. A block whose lengths do not add up, or with a scalar of the wrong size, is malformed: it is reported and
 * never read beyond its end.
 */
#include <arpa/inet.h>
#include <string.h>
#include <sys/socket.h>

#include "capture.h"

#define HEADER_SIZE 26

__u32 kd_block_size(const void *bytes, size_t size)
{
	__u32 length;

	if (size < HEADER_SIZE)
		return 0;
	memcpy(&length, (const char *)bytes + 16, sizeof(length));
	return length;
}

bool kd_type_is_signed(enum kd_type type)
{
	switch (type) {
	case KD_TYPE_INT8:
	case KD_TYPE_INT16:
	case KD_TYPE_INT32:
	case KD_TYPE_INT64:
	case KD_TYPE_FD:
	case KD_TYPE_FD32:
	case KD_TYPE_ERRNO:
	case KD_TYPE_PID:
		return true;
	default:
		return false;
	}
}

bool kd_type_is_text(enum kd_type type)
{
	return type == KD_TYPE_CHARBUF || type == KD_TYPE_FSPATH || type == KD_TYPE_FSRELPATH;
}

/* Whether a value that is not empty has a size that its type allows. */
static bool size_fits(const struct kd_param_desc *desc, const struct kd_value_bytes *value)
{
	unsigned int size = kd_type_size[desc->type];
	__u16 count;

	if (size != 0)
		return value->size == size;
	if (desc->type == KD_TYPE_FDLIST) {
		if (value->size < sizeof(count))
			return false;
		memcpy(&count, value->bytes, sizeof(count));
		return value->size == sizeof(count) + 10u * count;
	}
	return true;
}

static const char *parse_values(const unsigned char *bytes, __u32 nparams, struct kd_block *block)
{
	const unsigned char *lengths = bytes + HEADER_SIZE;
	__u64 at = HEADER_SIZE + 2ULL * nparams;
	__u32 i;

	if (nparams > KD_PARAMS_MAX || at > block->size)
		return "more parameters than the block has room for";
	for (i = 0; i < nparams; i++) {
		__u16 length;

		memcpy(&length, lengths + 2 * i, sizeof(length));
		if (at + length > block->size)
			return "a parameter reaches beyond the block's end";
		block->values[i].bytes = bytes + at;
		block->values[i].size = length;
		at += length;
	}
	return at == block->size ? NULL : "the parameters do not fill the block";
}

const char *kd_block_parse(const void *from, size_t size, struct kd_block *block)
{
	const unsigned char *bytes = from;
	const char *wrong;
	__u32 nparams, i;

	memset(block, 0, offsetof(struct kd_block, values));
	if (size < HEADER_SIZE)
		return "shorter than a header";
	memcpy(&block->ts, bytes, sizeof(block->ts));
	memcpy(&block->tid, bytes + 8, sizeof(block->tid));
	memcpy(&block->size, bytes + 16, sizeof(block->size));
	memcpy(&block->type, bytes + 20, sizeof(block->type));
	memcpy(&nparams, bytes + 22, sizeof(nparams));
	if (block->size < HEADER_SIZE || block->size > size)
		return "its length is not that of the block";
	wrong = parse_values(bytes, nparams, block);
	if (wrong)
		return wrong;
	block->event = kd_event_by_id(block->type);
	if (!block->event)
		return "an event that the catalogue does not know";
	/* Parameters are only ever added at the end: fewer come from an older driver. */
	block->params = nparams;
	if (nparams == block->event->nparams + 1u) {
		block->params = block->event->nparams;
		block->has_enter_ts = true;
		block->enter_ts = block->values[nparams - 1];
		if (block->enter_ts.size != 0 && block->enter_ts.size != 8)
			return "an entry time of the wrong size";
	} else if (nparams > block->event->nparams) {
		return "more parameters than the event has";
	}
	for (i = 0; i < block->params; i++)
		if (block->values[i].size != 0 && !size_fits(&block->event->params[i], &block->values[i]))
			return "a parameter whose size is not its type's";
	return NULL;
}

bool kd_scalar(const struct kd_value_bytes *value, bool is_signed, __u64 *number)
{
	__u64 raw = 0;
	unsigned int bits = value->size * 8;

	if (value->size == 0 || value->size > sizeof(raw))
		return false;
	memcpy(&raw, value->bytes, value->size); /* x86: the low bytes come first */
	if (is_signed && bits < 64 && (raw >> (bits - 1)) & 1)
		raw |= ~0ULL << bits;
	*number = raw;
	return true;
}

const struct kd_value_bytes *kd_block_param(const struct kd_block *block, const char *name)
{
	unsigned int i;

	for (i = 0; i < block->params; i++)
		if (strcmp(block->event->params[i].name, name) == 0)
			return block->values[i].size ? &block->values[i] : NULL;
	return NULL;
}

/* Address and port of one end at bytes; returns how many bytes they take. */
static size_t read_end(struct kd_address *address, unsigned int end, const unsigned char *bytes)
{
	int family = address->family == KD_FAMILY_INET ? AF_INET : AF_INET6;
	size_t size = family == AF_INET ? 4 : 16;
	__u16 port;

	inet_ntop(family, bytes, address->text[end], sizeof(address->text[end]));
	memcpy(&port, bytes + size, sizeof(port)); /* in host order; the address is in network order */
	address->port[end] = port;
	return size + sizeof(port);
}

void kd_sockaddr(const struct kd_value_bytes *value, struct kd_address *address)
{
	memset(address, 0, sizeof(*address));
	if (value->size == 0)
		return;
	address->family = value->bytes[0];
	if ((address->family == KD_FAMILY_INET && value->size == 7) ||
	    (address->family == KD_FAMILY_INET6 && value->size == 19)) {
		read_end(address, 0, value->bytes + 1);
		address->known = true;
	} else if (address->family == KD_FAMILY_UNIX) {
		address->path.bytes = value->bytes + 1;
		address->path.size = value->size - 1;
		address->known = true;
	}
}

void kd_socktuple(const struct kd_value_bytes *value, struct kd_address *address)
{
	memset(address, 0, sizeof(*address));
	if (value->size == 0)
		return;
	address->family = value->bytes[0];
	if ((address->family == KD_FAMILY_INET && value->size == 13) ||
	    (address->family == KD_FAMILY_INET6 && value->size == 37)) {
		size_t size = read_end(address, 0, value->bytes + 1);

		read_end(address, 1, value->bytes + 1 + size);
		address->known = true;
	} else if (address->family == KD_FAMILY_UNIX && value->size >= 17) {
		memcpy(address->pointer, value->bytes + 1, sizeof(address->pointer));
		address->path.bytes = value->bytes + 17;
		address->path.size = value->size - 17;
		address->known = true;
	}
}

/*
 * The published schema's numbers: of a socket option 0 bytes, 1 errno, 2 u32, 3 u64, 4 time; of ptrace 0 u64,
 * 1 signal. Where the size is no number's, or the kind not one of these, the value is bytes.
 */
enum kd_dyn_shape kd_dyn_shape(const struct kd_block *block, const struct kd_param_desc *desc,
			       const struct kd_value_bytes *value)
{
	bool option = strcmp(desc->name, "val") == 0 && strstr(block->event->name, "sockopt");
	unsigned int size = value->size - 1;
	bool key = strcmp(block->event->name, "keyctl") == 0;
	bool number = size == 1 || size == 2 || size == 4 || size == 8;

	if (key)
		return value->bytes[0] == 1 ? KD_DYN_TEXT : KD_DYN_INTEGER;
	if (!number || (option && value->bytes[0] == 0) || value->bytes[0] > 4)
		return KD_DYN_BYTES;
	if (option && value->bytes[0] == 1)
		return KD_DYN_SIGNED;
	if (option && value->bytes[0] == 4)
		return KD_DYN_TIME;
	return KD_DYN_UNSIGNED;
}
