// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * kd-capture: an event as one line for a person: local time, CPU, thread, event(process), parameters.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "capture.h"

static bool colour;

void kd_human_start(void)
{
	const char *terminal = getenv("TERM");

	tzset();
	colour = isatty(STDOUT_FILENO) && !getenv("NO_COLOR") && terminal && strcmp(terminal, "dumb") != 0;
}

static void paint(const char *code)
{
	if (colour)
		kd_out_text(code);
}

#define DIM "\033[2m"
#define BOLD "\033[1m"
#define RED "\033[31m"
#define PLAIN "\033[0m"

const char *kd_errno_name(long long number)
{
	/* These leave the kernel only by way of its tracepoints: include/linux/errno.h. */
	static const char *const restarts[] = {"ERESTARTSYS", "ERESTARTNOINTR", "ERESTARTNOHAND", "ENOIOCTLCMD",
					       "ERESTART_RESTARTBLOCK"};

	if (number <= -512 && number >= -516)
		return restarts[-512 - number];
	if (number < 0 && number >= -4095)
		return strerrorname_np((int)-number);
	return NULL;
}

static void out_escaped(const unsigned char *bytes, __u32 size)
{
	__u32 i;

	for (i = 0; i < size; i++) {
		unsigned char c = bytes[i];

		if (c == '\n')
			kd_out_text("\\n");
		else if (c == '\t')
			kd_out_text("\\t");
		else if (c == '\r')
			kd_out_text("\\r");
		else if (c == '"' || c == '\\')
			kd_out_format("\\%c", c);
		else if (c < 0x20 || c >= 0x7f)
			kd_out_format("\\x%02x", c);
		else
			kd_out_char((char)c);
	}
}

static void out_quoted(const unsigned char *bytes, __u32 size)
{
	kd_out_char('"');
	out_escaped(bytes, size);
	kd_out_char('"');
}

static void out_text(const struct kd_value_bytes *value)
{
	__u32 size = value->size;

	if (size > 0 && value->bytes[size - 1] == 0)
		size--;
	out_quoted(value->bytes, size);
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
			kd_out_char(' ');
		out_quoted(start, size);
		at += size + 1;
	}
	kd_out_char(']');
}

static void out_end(const char *text, unsigned int port, bool bracket)
{
	kd_out_format(bracket ? "[%s]:%u" : "%s:%u", text, port);
}

static void out_address(const struct kd_value_bytes *value, bool tuple)
{
	struct kd_address address;
	bool bracket;

	if (tuple)
		kd_socktuple(value, &address);
	else
		kd_sockaddr(value, &address);
	bracket = address.family == KD_FAMILY_INET6;
	if (!address.known) {
		kd_out_format("family=%u", address.family);
	} else if (address.family == KD_FAMILY_UNIX) {
		kd_out_text("unix:");
		out_text(&address.path);
	} else {
		out_end(address.text[0], address.port[0], bracket);
		if (tuple) {
			kd_out_text("->");
			out_end(address.text[1], address.port[1], bracket);
		}
	}
}

static void out_flags(__u64 number, const struct kd_value *values)
{
	__u64 rest = number;
	bool first = true;

	for (; values->name; values++) {
		if (number == 0 ? values->value != 0 : values->value == 0 || (rest & values->value) != values->value)
			continue;
		kd_out_text(first ? "" : "|");
		kd_out_text(values->name);
		rest &= ~values->value;
		first = false;
		if (number == 0)
			return;
	}
	if (rest || first)
		kd_out_format("%s0x%llx", first ? "" : "|", (unsigned long long)rest);
}

static void out_enum(__u64 number, const struct kd_value *values)
{
	for (; values->name; values++) {
		if (values->value == number) {
			kd_out_text(values->name);
			return;
		}
	}
	kd_out_unsigned(number);
}

static void out_fdlist(const struct kd_value_bytes *value, const struct kd_value *values)
{
	__u32 at;

	kd_out_char('[');
	for (at = 2; at + 10 <= value->size; at += 10) {
		long long fd;
		__u16 events;

		memcpy(&fd, value->bytes + at, sizeof(fd));
		memcpy(&events, value->bytes + at + 8, sizeof(events));
		kd_out_format("%s%lld:", at > 2 ? " " : "", fd);
		if (values)
			out_flags(events, values);
		else
			kd_out_format("0x%x", events);
	}
	kd_out_char(']');
}

static void out_duration(__u64 ns)
{
	if (ns >= 1000000000ULL)
		kd_out_format("%llu.%09llus", (unsigned long long)(ns / 1000000000ULL),
			      (unsigned long long)(ns % 1000000000ULL));
	else if (ns >= 1000000)
		kd_out_format("%llu.%06llums", (unsigned long long)(ns / 1000000), (unsigned long long)(ns % 1000000));
	else if (ns >= 1000)
		kd_out_format("%llu.%03lluus", (unsigned long long)(ns / 1000), (unsigned long long)(ns % 1000));
	else
		kd_out_format("%lluns", (unsigned long long)ns);
}

static void out_time(__u64 ns, bool date)
{
	time_t seconds = (time_t)(ns / 1000000000ULL);
	struct tm tm;

	localtime_r(&seconds, &tm);
	if (date)
		kd_out_format("%04d-%02d-%02dT", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday);
	kd_out_format("%02d:%02d:%02d.%09u", tm.tm_hour, tm.tm_min, tm.tm_sec, (unsigned int)(ns % 1000000000ULL));
}

static void out_signed(long long number, bool result)
{
	const char *name = result ? kd_errno_name(number) : NULL;

	if (name)
		paint(RED);
	kd_out_signed(number);
	if (name) {
		kd_out_format("(%s)", name);
		paint(PLAIN);
	}
}

static void out_number(const struct kd_param_desc *desc, const struct kd_value_bytes *value, bool first)
{
	bool is_signed = kd_type_is_signed(desc->type);
	const char *signal;
	__u64 number = 0;

	kd_scalar(value, is_signed, &number);
	if (desc->values && desc->values_are_flags) {
		out_flags(number, desc->values);
	} else if (desc->values) {
		out_enum(number, desc->values);
	} else if (desc->type == KD_TYPE_RELTIME) {
		out_duration(number);
	} else if (desc->type == KD_TYPE_ABSTIME) {
		out_time(number, true);
	} else if (desc->type == KD_TYPE_SIGTYPE) {
		signal = number < 64 ? sigabbrev_np((int)number) : NULL;
		if (signal)
			kd_out_format("SIG%s", signal);
		else
			kd_out_unsigned(number);
	} else if (desc->type == KD_TYPE_SYSCALLID && kd_call_of_code((unsigned int)number)) {
		kd_out_text(kd_call_of_code((unsigned int)number));
	} else if (desc->type == KD_TYPE_FD && (long long)number == -100) {
		kd_out_text("AT_FDCWD");
	} else if (is_signed && ((long long)number < 0 || desc->format == KD_FMT_DEC)) {
		/* A file descriptor or a process that a call returns may be an error number, one that it was given not. */
		out_signed((long long)number, desc->type == KD_TYPE_ERRNO || first);
	} else if (desc->format == KD_FMT_HEX) {
		kd_out_format("0x%llx", (unsigned long long)number);
	} else if (desc->format == KD_FMT_OCT) {
		kd_out_format("%#llo", (unsigned long long)number);
	} else {
		kd_out_unsigned(number);
	}
}

static void out_dyn(const struct kd_block *block, const struct kd_param_desc *desc, const struct kd_value_bytes *value)
{
	struct kd_value_bytes rest = {value->bytes + 1, value->size - 1};
	struct kd_param_desc as = {desc->name, KD_TYPE_UINT64, desc->format, NULL, 0};

	switch (kd_dyn_shape(block, desc, value)) {
	case KD_DYN_BYTES:
		out_quoted(rest.bytes, rest.size);
		return;
	case KD_DYN_TEXT:
		out_text(&rest);
		return;
	case KD_DYN_INTEGER:
		as.type = KD_TYPE_INT64;
		break;
	case KD_DYN_SIGNED:
		as.type = KD_TYPE_ERRNO;
		break;
	case KD_DYN_TIME:
		as.type = KD_TYPE_RELTIME;
		break;
	default:
		break;
	}
	out_number(&as, &rest, false);
}

static void out_param(const struct kd_block *block, unsigned int index)
{
	const struct kd_param_desc *desc = &block->event->params[index];
	const struct kd_value_bytes *value = &block->values[index];

	if (value->size == 0)
		kd_out_text("?");
	else if (kd_type_is_text(desc->type))
		out_text(value);
	else if (desc->type == KD_TYPE_BYTEBUF && desc->format == KD_FMT_STRINGS)
		out_strings(value);
	else if (desc->type == KD_TYPE_BYTEBUF)
		out_quoted(value->bytes, value->size);
	else if (desc->type == KD_TYPE_SOCKADDR || desc->type == KD_TYPE_SOCKTUPLE)
		out_address(value, desc->type == KD_TYPE_SOCKTUPLE);
	else if (desc->type == KD_TYPE_FDLIST)
		out_fdlist(value, desc->values);
	else if (desc->type == KD_TYPE_DYN)
		out_dyn(block, desc, value);
	else
		out_number(desc, value, index == 0);
}

void kd_human_event(const struct kd_block *block, const char *comm)
{
	__u64 entered;
	unsigned int i;

	paint(DIM);
	out_time(block->ts, false);
	paint(PLAIN);
	kd_out_format(" %u %llu ", block->cpu, (unsigned long long)block->tid);
	paint(BOLD);
	kd_out_text(block->event->name);
	paint(PLAIN);
	kd_out_char('(');
	if (comm)
		out_escaped((const unsigned char *)comm, (__u32)strlen(comm));
	kd_out_char(')');
	for (i = 0; i < block->params; i++) {
		kd_out_char(' ');
		paint(DIM);
		kd_out_text(block->event->params[i].name);
		kd_out_char('=');
		paint(PLAIN);
		out_param(block, i);
	}
	if (block->has_enter_ts && kd_scalar(&block->enter_ts, false, &entered) && entered <= block->ts) {
		kd_out_text(" took=");
		out_duration(block->ts - entered);
	}
	kd_out_char('\n');
}

void kd_human_malformed(const struct kd_block *block, const char *reason)
{
	paint(RED);
	kd_out_format("malformed block: %s (cpu %u, type %u, length %u)", reason, block->cpu, block->type, block->size);
	paint(PLAIN);
	kd_out_char('\n');
}
