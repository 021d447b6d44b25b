// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The result channel: JSON lines on the second built-in serial port, which nothing else writes to. Lines are counted,
 * and the last one says how many there were, so that a lost line is seen. They are deflated on the way: an emulated
 * serial port takes a call of the host for each byte.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>
#include <zlib.h>

#include "guest.h"

static int channel = -1;
static unsigned long lines;
static z_stream stream;
static char buffer[65536];
static size_t used;

int result_open(void)
{
	struct termios settings;

	channel = open("/dev/ttyS1", O_WRONLY | O_NOCTTY | O_CLOEXEC);
	if (channel < 0)
		return -errno;
	if (tcgetattr(channel, &settings) == 0) {
		cfmakeraw(&settings);
		settings.c_cflag |= CLOCAL;
		settings.c_cflag &= ~(tcflag_t)CRTSCTS;
		cfsetspeed(&settings, B115200);
		tcsetattr(channel, TCSANOW, &settings);
	}
	return deflateInit(&stream, Z_BEST_SPEED) == Z_OK ? 0 : -ENOMEM;
}

static void write_all(const unsigned char *bytes, size_t size)
{
	size_t done = 0;

	while (done < size) {
		ssize_t n = write(channel, bytes + done, size - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		done += (size_t)n;
	}
}

static void deflate_buffer(int how)
{
	static unsigned char out[16384];

	stream.next_in = (unsigned char *)buffer;
	stream.avail_in = (unsigned int)used;
	do {
		stream.next_out = out;
		stream.avail_out = sizeof(out);
		deflate(&stream, how);
		write_all(out, sizeof(out) - stream.avail_out);
	} while (stream.avail_out == 0);
	used = 0;
}

/* What was said so far reaches the host, whatever happens next. */
void result_flush(void)
{
	if (used)
		deflate_buffer(Z_SYNC_FLUSH);
}

void result_raw(const char *text, size_t len)
{
	while (len) {
		size_t part = sizeof(buffer) - used < len ? sizeof(buffer) - used : len;

		memcpy(buffer + used, text, part);
		used += part;
		text += part;
		len -= part;
		if (used == sizeof(buffer))
			deflate_buffer(Z_NO_FLUSH);
	}
}

void result_printf(const char *format, ...)
{
	char text[8192];
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (n > 0)
		result_raw(text, (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1);
}

void result_string(const char *text)
{
	result_raw("\"", 1);
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		/* Bytes above 127 come from broken output of others: escaped one by one, as Latin-1. */
		if (c == '"' || c == '\\')
			result_printf("\\%c", c);
		else if (c < 0x20 || c > 0x7e)
			result_printf("\\u%04x", c);
		else
			result_raw(text, 1);
	}
	result_raw("\"", 1);
}

void result_end_line(void)
{
	result_raw("\n", 1);
	lines++;
}

void result_stage(const char *kind, const char *stage)
{
	result_printf("{\"driver\":\"%s\",\"stage\":\"%s\"}", kind, stage);
	result_end_line();
	result_flush();
}

void result_step(const char *kind, const char *step, int status, long ms, const char *detail)
{
	result_printf("{\"driver\":\"%s\",\"step\":\"%s\",\"status\":%d,\"ms\":%ld,\"detail\":", kind, step, status,
		      ms);
	result_string(detail ? detail : "");
	result_raw("}", 1);
	result_end_line();
	result_flush();
}

void result_close(int rc)
{
	result_printf("{\"end\":true,\"rc\":%d,\"lines\":%lu}", rc, lines + 1);
	result_end_line();
	deflate_buffer(Z_FINISH);
	tcdrain(channel);
	close(channel);
}
