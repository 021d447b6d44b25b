// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * kd-capture: an event as one JSON object on one line.
 *
 * {"ts": ns since 1970, "cpu", "tid", "type": event id, "name", "params": {name: value}, "enter_ts": with --enter-time}
 * Numbers are numbers, results negative error numbers, flags and enumerations their raw numbers, times ns. Text is a
 * string in which a byte that is not UTF-8 is U+DC00 plus the byte; bytes are lower-case hexadecimal; lists of strings
 * and of descriptors are lists; addresses are objects with "family". An empty parameter is null.
 * A block that makes no sense is {"malformed": why, "block_ts", "cpu", "block_tid", "type", "len"}.
 */
#include <string.h>

#include "capture.h"

static void out_number(enum kd_type type, const struct kd_value_bytes *value)
{
	__u64 number = 0;

	kd_scalar(value, kd_type_is_signed(type), &number);
	if (kd_type_is_signed(type))
		kd_out_signed((long long)number);
	else
		kd_out_unsigned(number);
}

/* Text on the wire ends with a NUL, which is not part of it. */
static void out_text(const struct kd_value_bytes *value)
{
	__u32 size = value->size;

	if (size > 0 && value->bytes[size - 1] == 0)
		size--;
	kd_out_json_string(value->bytes, size);
}

static void out_strings(const struct kd_value_bytes *value)
{
	__u32 at = 0;

	kd_out_char('[');
	while (at < value->size) {
		const unsigned char *start = value->bytes + at;
		const unsigned char *end = memchr(start, 0, value->size - at);
		__u32 size = end ? (__u32)(end - start) : value->size - at;

		if (at > 0)
			kd_out_char(',');
		kd_out_json_string(start, size);
		at += size + 1;
	}
	kd_out_char(']');
}

static void out_hex(const unsigned char *bytes, __u32 size)
{
	kd_out_char('"');
	kd_out_hex(bytes, size);
	kd_out_char('"');
}

static void out_sockaddr(const struct kd_value_bytes *value)
{
	struct kd_address address;

	kd_sockaddr(value, &address);
	kd_out_format("{\"family\":%u", address.family);
	if (!address.known) {
		kd_out_text(",\"bytes\":");
		out_hex(value->bytes + 1, value->size - 1);
	} else if (address.family == KD_FAMILY_UNIX) {
		kd_out_text(",\"path\":");
		out_text(&address.path);
	} else {
		kd_out_format(",\"addr\":\"%s\",\"port\":%u", address.text[0], address.port[0]);
	}
	kd_out_char('}');
}

static void out_socktuple(const struct kd_value_bytes *value)
{
	struct kd_address address;

	kd_socktuple(value, &address);
	kd_out_format("{\"family\":%u", address.family);
	if (!address.known) {
		kd_out_text(",\"bytes\":");
		out_hex(value->bytes + 1, value->size - 1);
	} else if (address.family == KD_FAMILY_UNIX) {
		kd_out_format(",\"src_ptr\":%llu,\"dst_ptr\":%llu,\"path\":", (unsigned long long)address.pointer[0],
			      (unsigned long long)address.pointer[1]);
		out_text(&address.path);
	} else {
		kd_out_format(",\"src\":\"%s\",\"sport\":%u,\"dst\":\"%s\",\"dport\":%u", address.text[0],
			      address.port[0], address.text[1], address.port[1]);
	}
	kd_out_char('}');
}

/* u16 count, then s64 fd and s16 events each; the block's check has seen to the sizes. */
static void out_fdlist(const struct kd_value_bytes *value)
{
	__u32 at;

	kd_out_char('[');
	for (at = 2; at + 10 <= value->size; at += 10) {
		long long fd;
		__u16 events;

		memcpy(&fd, value->bytes + at, sizeof(fd));
		memcpy(&events, value->bytes + at + 8, sizeof(events));
		kd_out_format("%s{\"fd\":%lld,\"events\":%u}", at > 2 ? "," : "", fd, events);
	}
	kd_out_char(']');
}

static void out_dyn(const struct kd_block *block, const struct kd_param_desc *desc, const struct kd_value_bytes *value)
{
	struct kd_value_bytes rest = {value->bytes + 1, value->size - 1};

	kd_out_format("{\"kind\":%u,\"value\":", value->bytes[0]);
	switch (kd_dyn_shape(block, desc, value)) {
	case KD_DYN_BYTES:
		if (rest.size)
			out_hex(rest.bytes, rest.size);
		else
			kd_out_text("null");
		break;
	case KD_DYN_TEXT:
		out_text(&rest);
		break;
	case KD_DYN_INTEGER:
	case KD_DYN_SIGNED:
		out_number(KD_TYPE_INT64, &rest);
		break;
	default:
		out_number(KD_TYPE_UINT64, &rest);
		break;
	}
	kd_out_char('}');
}

static void out_param(const struct kd_block *block, const struct kd_param_desc *desc,
		      const struct kd_value_bytes *value)
{
	if (value->size == 0)
		kd_out_text("null");
	else if (kd_type_is_text(desc->type))
		out_text(value);
	else if (desc->type == KD_TYPE_BYTEBUF && desc->format == KD_FMT_STRINGS)
		out_strings(value);
	else if (desc->type == KD_TYPE_BYTEBUF)
		out_hex(value->bytes, value->size);
	else if (desc->type == KD_TYPE_SOCKADDR)
		out_sockaddr(value);
	else if (desc->type == KD_TYPE_SOCKTUPLE)
		out_socktuple(value);
	else if (desc->type == KD_TYPE_FDLIST)
		out_fdlist(value);
	else if (desc->type == KD_TYPE_DYN)
		out_dyn(block, desc, value);
	else
		out_number(desc->type, value);
}

static void out_head(const struct kd_block *block)
{
	kd_out_text("{\"ts\":");
	kd_out_unsigned(block->ts);
	kd_out_text(",\"cpu\":");
	kd_out_unsigned(block->cpu);
	kd_out_text(",\"tid\":");
	kd_out_unsigned(block->tid);
	kd_out_text(",\"type\":");
	kd_out_unsigned(block->type);
}

void kd_json_event(const struct kd_block *block)
{
	unsigned int i;

	out_head(block);
	kd_out_text(",\"name\":\"");
	kd_out_text(block->event->name);
	kd_out_text("\",\"params\":{");
	for (i = 0; i < block->params; i++) {
		kd_out_text(i ? ",\"" : "\"");
		kd_out_text(block->event->params[i].name);
		kd_out_text("\":");
		out_param(block, &block->event->params[i], &block->values[i]);
	}
	kd_out_char('}');
	if (block->has_enter_ts) {
		kd_out_text(",\"enter_ts\":");
		if (block->enter_ts.size)
			out_number(KD_TYPE_UINT64, &block->enter_ts);
		else
			kd_out_text("null");
	}
	kd_out_text("}\n");
}

void kd_json_malformed(const struct kd_block *block, const char *reason)
{
	kd_out_text("{\"malformed\":");
	kd_out_json_text(reason);
	kd_out_format(",\"block_ts\":%llu,\"cpu\":%u,\"block_tid\":%llu,\"type\":%u,\"len\":%u}\n",
		      (unsigned long long)block->ts, block->cpu, (unsigned long long)block->tid, block->type,
		      block->size);
}
