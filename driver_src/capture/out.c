// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * kd-capture: text on its way to standard output. One buffer, written out at the end of each round of the loop, so
 * that many events cost one system call. Nothing here depends on the locale.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "capture.h"

static char buffer[256 * 1024];
static size_t used;
static bool closed;

void kd_out_flush(void)
{
	size_t written = 0;

	while (written < used && !closed) {
		ssize_t n = write(STDOUT_FILENO, buffer + written, used - written);

		if (n >= 0)
			written += (size_t)n;
		else if (errno != EINTR)
			closed = true;
	}
	used = 0;
}

bool kd_out_closed(void)
{
	return closed;
}

void kd_out_bytes(const void *bytes, size_t size)
{
	const char *from = bytes;

	while (size > 0) {
		size_t room = sizeof(buffer) - used;
		size_t part = size < room ? size : room;

		memcpy(buffer + used, from, part);
		used += part;
		from += part;
		size -= part;
		if (used == sizeof(buffer))
			kd_out_flush();
	}
}

void kd_out_text(const char *text)
{
	kd_out_bytes(text, strlen(text));
}

void kd_out_char(char c)
{
	buffer[used++] = c;
	if (used == sizeof(buffer))
		kd_out_flush();
}

void kd_out_format(const char *format, ...)
{
	char text[512];
	va_list list;
	int length;

	va_start(list, format);
	length = vsnprintf(text, sizeof(text), format, list);
	va_end(list);
	if (length > 0)
		kd_out_bytes(text, (size_t)length < sizeof(text) ? (size_t)length : sizeof(text) - 1);
}

void kd_out_unsigned(unsigned long long number)
{
	char digits[24];
	size_t at = sizeof(digits);

	do {
		digits[--at] = (char)('0' + number % 10);
		number /= 10;
	} while (number > 0);
	kd_out_bytes(digits + at, sizeof(digits) - at);
}

void kd_out_signed(long long number)
{
	if (number < 0) {
		kd_out_char('-');
		kd_out_unsigned(0ULL - (unsigned long long)number);
	} else {
		kd_out_unsigned((unsigned long long)number);
	}
}

void kd_out_hex(const unsigned char *bytes, size_t size)
{
	static const char digits[] = "0123456789abcdef";
	size_t i;

	for (i = 0; i < size; i++) {
		kd_out_char(digits[bytes[i] >> 4]);
		kd_out_char(digits[bytes[i] & 15]);
	}
}

/* The length of the UTF-8 sequence at bytes (at least one byte), 0 when it is not valid: RFC 3629, table 3-7 of Unicode. */
static size_t utf8_length(const unsigned char *bytes, size_t size)
{
	unsigned char low = 0x80, high = 0xbf;
	size_t length, i;

	if (bytes[0] < 0x80)
		return 1;
	if (bytes[0] < 0xc2 || bytes[0] > 0xf4)
		return 0;
	length = bytes[0] < 0xe0 ? 2 : bytes[0] < 0xf0 ? 3 : 4;
	if (length > size)
		return 0;
	if (bytes[0] == 0xe0)
		low = 0xa0;
	else if (bytes[0] == 0xed)
		high = 0x9f;
	else if (bytes[0] == 0xf0)
		low = 0x90;
	else if (bytes[0] == 0xf4)
		high = 0x8f;
	if (bytes[1] < low || bytes[1] > high)
		return 0;
	for (i = 2; i < length; i++)
		if (bytes[i] < 0x80 || bytes[i] > 0xbf)
			return 0;
	return length;
}

/* How many bytes at the start stand for themselves in JSON. */
static size_t plain_length(const unsigned char *bytes, size_t size)
{
	size_t i = 0;

	while (i < size && bytes[i] >= 0x20 && bytes[i] < 0x7f && bytes[i] != '"' && bytes[i] != '\\')
		i++;
	return i;
}

/* A byte that is not UTF-8 becomes the lone surrogate U+DC00 + byte: Python reads it back with surrogateescape. */
void kd_out_json_string(const void *from, size_t size)
{
	const unsigned char *bytes = from;
	size_t i = 0;

	kd_out_char('"');
	while (i < size) {
		size_t length = plain_length(bytes + i, size - i);

		if (length > 0) {
			kd_out_bytes(bytes + i, length);
			i += length;
			continue;
		}
		length = utf8_length(bytes + i, size - i);
		if (length == 0) {
			kd_out_format("\\udc%02x", bytes[i]);
			length = 1;
		} else if (bytes[i] == '"' || bytes[i] == '\\') {
			kd_out_char('\\');
			kd_out_char((char)bytes[i]);
		} else if (bytes[i] < 0x20 || bytes[i] == 0x7f) {
			kd_out_format("\\u%04x", bytes[i]);
		} else {
			kd_out_bytes(bytes + i, length);
		}
		i += length;
	}
	kd_out_char('"');
}

void kd_out_json_text(const char *text)
{
	kd_out_json_string(text, strlen(text));
}
