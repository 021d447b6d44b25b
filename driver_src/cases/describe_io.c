// SPDX-License-Identifier: GPL-2.0-only OR MIT
/* Expected events of calls on descriptors and their data. */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "cases.h"

static int64_t fd_of(uint64_t arg)
{
	return (int32_t)arg;
}

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static void exp_pos(const struct made *m)
{
	if (m->kind == K_PREAD || m->kind == K_PWRITE || m->kind == K_PREADV || m->kind == K_PWRITEV)
		exp_uint("pos", m->i386 ? m->a[3] | m->a[4] << 32 : m->a[3]);
}

/* read, pread */
void describe_read(const struct made *m)
{
	exp_open(kinds[m->kind].event, m->tid, m->order);
	exp_int("res", m->ret);
	exp_user_buf("data", m->pid, m->a[1], m->ret > 0 ? least((uint64_t)m->ret, m->a[2]) : 0);
	exp_int("fd", fd_of(m->a[0]));
	exp_uint("size", (uint32_t)m->a[2]);
	exp_pos(m);
	exp_close();
}

/* write, pwrite */
void describe_write(const struct made *m)
{
	exp_open(kinds[m->kind].event, m->tid, m->order);
	exp_int("res", m->ret);
	exp_user_buf("data", m->pid, m->a[1], m->ret > 0 ? (uint64_t)m->ret : m->a[2]);
	exp_int("fd", fd_of(m->a[0]));
	exp_uint("size", (uint32_t)m->a[2]);
	exp_pos(m);
	exp_close();
}

static bool segment_of(const struct made *m, uint64_t array, uint64_t index, struct iovec *out)
{
	uint32_t narrow[2];

	if (!m->i386)
		return peek(m->pid, array + 16 * index, out, sizeof(*out));
	if (!peek(m->pid, array + 8 * index, narrow, sizeof(narrow)))
		return false;
	out->iov_base = (void *)(uint64_t)narrow[0];
	out->iov_len = narrow[1];
	return true;
}

/* Data and the sum of lengths of the first segments; names may be NULL. limit: of the data, before the capture length. */
void segments_of(const struct made *m, uint64_t array, uint64_t count, uint64_t limit, const char *data_name,
		 const char *size_name)
{
	static char bytes[SNAPLEN_BYTES];
	struct iovec segments[SEGMENTS];
	uint64_t n = least(count, SEGMENTS), used = 0, sum = 0, whole = limit;
	bool array_read = true, data_read = true;
	unsigned int array_noted;

	limit = least(limit, snaplen);
	for (uint64_t i = 0; i < n && array_read; i++)
		array_read = segment_of(m, array, i, &segments[i]);
	if (n < count)
		note(S_LONG);
	array_noted = noted();
	for (uint64_t i = 0; i < n && array_read; i++) {
		uint64_t part = least(segments[i].iov_len, limit - used);

		sum += segments[i].iov_len;
		if (part && data_read) {
			data_read = peek(m->pid, U(segments[i].iov_base), bytes + used, part);
			used += part;
		}
	}
	if (data_name && least(whole, sum) > limit)
		note(S_LONG);
	if (data_name)
		exp_hex(data_name, bytes, array_read && data_read ? used : 0);
	note(array_noted);
	if (size_name && array_read)
		exp_uint(size_name, (uint32_t)sum);
	else if (size_name)
		exp_null(size_name);
}

/* readv, preadv */
void describe_readv(const struct made *m)
{
	exp_open(kinds[m->kind].event, m->tid, m->order);
	exp_int("res", m->ret);
	exp_uint("size", m->ret > 0 ? (uint32_t)m->ret : 0);
	if (m->ret > 0)
		segments_of(m, m->a[1], m->a[2], (uint64_t)m->ret, "data", NULL);
	else
		exp_null("data");
	exp_int("fd", fd_of(m->a[0]));
	exp_pos(m);
	exp_close();
}

/* process_vm_readv, process_vm_writev: the data in the caller's own memory. */
void describe_process_vm(const struct made *m)
{
	bool write = m->kind == K_PROCESS_VM_WRITEV;

	exp_open(kinds[m->kind].event, m->tid, m->order);
	exp_int("res", m->ret);
	exp_int("pid", (int32_t)m->a[0]);
	if (m->ret > 0 || write)
		segments_of(m, m->a[1], m->a[2], m->ret > 0 ? (uint64_t)m->ret : UINT64_MAX, "data", NULL);
	else
		exp_null("data");
	exp_close();
}

/* writev, pwritev */
void describe_writev(const struct made *m)
{
	exp_open(kinds[m->kind].event, m->tid, m->order);
	exp_int("res", m->ret);
	exp_int("fd", fd_of(m->a[0]));
	segments_of(m, m->a[1], m->a[2], m->ret > 0 ? (uint64_t)m->ret : UINT64_MAX, "data", "size");
	exp_pos(m);
	exp_close();
}

void describe_dup(const struct made *m)
{
	exp_open("dup", m->tid, m->order);
	exp_int("res", m->ret);
	exp_int("oldfd", fd_of(m->a[0]));
	exp_close();
}

void describe_dup2(const struct made *m)
{
	exp_open("dup2", m->tid, m->order);
	exp_int("res", m->ret);
	exp_int("oldfd", fd_of(m->a[0]));
	exp_int("newfd", fd_of(m->a[1]));
	exp_close();
}

void describe_dup3(const struct made *m)
{
	exp_open("dup3", m->tid, m->order);
	exp_int("res", m->ret);
	exp_int("oldfd", fd_of(m->a[0]));
	exp_int("newfd", fd_of(m->a[1]));
	exp_uint("flags", m->a[2] & O_CLOEXEC ? 4096 : 0);
	exp_close();
}

/* pipe, pipe2 */
void describe_pipe2(const struct made *m)
{
	unsigned int pointer;
	struct stat st;
	int ends[2] = {-1, -1};

	memset(&st, 0, sizeof(st));
	exp_open(kinds[m->kind].event, m->tid, m->order);
	exp_int("res", m->ret);
	if (m->ret == 0 && peek(m->pid, m->a[0], ends, sizeof(ends))) {
		stat_fd_of(m->pid, ends[0], &st);
	}
	pointer = noted();
	exp_int("fd1", ends[0]);
	note(pointer);
	exp_int("fd2", ends[1]);
	note(pointer);
	exp_uint("ino", st.st_ino);
	if (m->kind == K_PIPE2)
		exp_uint("flags", (m->a[1] & O_CLOEXEC ? 4096u : 0) | (m->a[1] & O_DIRECT ? 512u : 0) |
					  (m->a[1] & O_NONBLOCK ? 64u : 0));
	exp_close();
}

static const uint16_t fcntl_commands[][2] = {
	{0, 1},	  {1, 2},   {2, 3},	{3, 4},	    {4, 5},	{5, 6},	    {6, 8},	{7, 9},	    {8, 10},
	{9, 12},  {10, 13}, {11, 15},	{12, 17},   {13, 18},	{14, 19},   {15, 21},	{16, 22},   {36, 30},
	{37, 31}, {38, 32}, {1024, 23}, {1025, 24}, {1026, 27}, {1029, 25}, {1030, 26}, {1031, 28}, {1032, 29},
};

void describe_fcntl(const struct made *m)
{
	unsigned int cmd = 0;

	for (size_t i = 0; i < ARRAY_SIZE(fcntl_commands); i++)
		if (fcntl_commands[i][0] == (uint32_t)m->a[1])
			cmd = fcntl_commands[i][1];
	exp_open("fcntl", m->tid, m->order);
	exp_int("res", m->ret);
	exp_int("fd", fd_of(m->a[0]));
	exp_uint("cmd", cmd);
	exp_uint("arg", m->a[2]);
	exp_close();
}

void describe_ioctl(const struct made *m)
{
	exp_open("ioctl", m->tid, m->order);
	exp_int("res", m->ret);
	exp_int("fd", fd_of(m->a[0]));
	exp_uint("request", (uint32_t)m->a[1]);
	exp_uint("argument", m->a[2]);
	exp_close();
}

void describe_epoll_wait(const struct made *m)
{
	exp_open("epoll_wait", m->tid, m->order);
	exp_int("res", m->ret);
	exp_int("maxevents", (int32_t)m->a[2]);
	exp_close();
}

static const uint16_t poll_bits[][2] = {{1, 1},	   {2, 2},     {4, 4},	   {8, 16},	{16, 32},   {32, 64},
					{64, 128}, {128, 256}, {256, 512}, {512, 1024}, {0x2000, 8}};

/* ppoll: the time that is left, as the kernel wrote it back, and the low 32 bits of the signal mask. */
static void exp_ppoll(const struct made *m)
{
	int64_t wide[2] = {0, 0};
	int32_t narrow[2];
	uint32_t mask;
	bool read;

	if (m->i386) {
		read = peek(m->pid, m->a[2], narrow, sizeof(narrow));
		wide[0] = read ? narrow[0] : 0, wide[1] = read ? narrow[1] : 0;
	} else {
		read = peek(m->pid, m->a[2], wide, sizeof(wide));
	}
	if (read)
		exp_uint("timeout", (uint64_t)wide[0] * 1000000000u + (uint64_t)wide[1]);
	else
		exp_null("timeout");
	if (peek(m->pid, m->a[3], &mask, sizeof(mask)))
		exp_uint("sigmask", mask);
	else
		exp_null("sigmask");
}

/* poll, ppoll */
void describe_poll(const struct made *m)
{
	struct pollfd entries[POLL_ENTRIES];
	uint64_t n = least((uint32_t)m->a[1], POLL_ENTRIES);
	char json[POLL_ENTRIES * 48 + 8];
	size_t used = 0;

	exp_open(kinds[m->kind].event, m->tid, m->order);
	exp_int("res", m->ret);
	if ((uint32_t)m->a[1] > POLL_ENTRIES)
		note(S_LONG);
	if (!peek(m->pid, m->a[0], entries, n * sizeof(entries[0]))) {
		exp_null("fds");
	} else {
		json[used++] = '[';
		for (uint64_t i = 0; i < n; i++) {
			unsigned int events = 0;

			for (size_t bit = 0; bit < ARRAY_SIZE(poll_bits); bit++)
				if (entries[i].revents & poll_bits[bit][0])
					events |= poll_bits[bit][1];
			used += (size_t)sprintf(json + used, "%s{\"fd\":%d,\"events\":%u}", i ? "," : "", entries[i].fd,
						events);
		}
		strcpy(json + used, "]");
		exp_json("fds", json);
	}
	if (m->kind == K_PPOLL)
		exp_ppoll(m);
	else
		exp_int("timeout", (int32_t)m->a[2]);
	exp_close();
}
