// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Memory as the calls saw it: read with process_vm_readv, which says what cannot be read instead of faulting and
 * changes nothing. It also makes the special places that pointers of the cases point to.
 */
#include <string.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "cases.h"

char *page_end;
char *long_string;
static char long_bytes[5001];

bool peek_without_calls;

extern char __executable_start, _end;

/* Whether both ends of a range lie in this process's own program, or in the pages before page_end. */
static bool readable(uint64_t address, uint64_t end)
{
	return (address >= U(&__executable_start) && end <= U(&_end)) ||
	       (address > U(page_end) - 2 * PAGE && end <= U(page_end) + 1);
}

/* Whether it touches the page after page_end. */
static bool unreadable(uint64_t address, uint64_t end)
{
	return address <= U(page_end) + PAGE && end > U(page_end) + 1;
}

/* Without a call wherever that can be: calls are events, too. */
static bool peek_quietly(pid_t pid, uint64_t address, void *out, size_t len)
{
	struct iovec here = {out, len}, there = {(void *)address, len};
	bool own = pid == self.vpid;

	if (address < 1ul << 16 || address >> 47 || (own && unreadable(address, address + len)))
		return false;
	if (own && readable(address, address + len)) {
		memcpy(out, (const void *)address, len);
		return true;
	}
	return !peek_without_calls && process_vm_readv(pid, &here, 1, &there, 1, 0) == (ssize_t)len;
}

/* Notes what the pointer to len bytes is like, which could be read or not. */
static void note_pointer(pid_t pid, uint64_t address, uint64_t len, bool whole)
{
	char byte;

	if (address < PAGE)
		note(S_NULL);
	else if (!whole)
		note(peek_quietly(pid, address, &byte, 1) ? S_OVER : S_UNMAPPED);
	else if ((address + len) % PAGE == 0 && !peek_quietly(pid, address + len, &byte, 1))
		note(S_END);
	else
		note(S_VALID);
}

bool peek(pid_t pid, uint64_t address, void *out, size_t len)
{
	bool whole;

	if (!len)
		return true;
	whole = peek_quietly(pid, address, out, len);
	note_pointer(pid, address, len, whole);
	return whole;
}

/* A string of at most size bytes with its NUL (CONVENTIONS.md, G1 and G3). -1: cannot be read. */
static int peek_str(pid_t pid, uint64_t address, char *out, size_t size)
{
	size_t used = 0;

	while (used < size) {
		size_t n = PAGE - (address + used) % PAGE;
		char *nul;

		if (n > size - used)
			n = size - used;
		if (!peek_quietly(pid, address + used, out + used, n)) {
			note_pointer(pid, address, used + n, false);
			return -1;
		}
		nul = memchr(out + used, 0, n);
		if (nul) {
			note_pointer(pid, address, (uint64_t)(nul - out) + 1, true);
			return (int)(nul - out) + 1;
		}
		used += n;
	}
	note(S_LONG);
	out[size - 1] = 0;
	return (int)size;
}

void exp_user_str(const char *name, pid_t pid, uint64_t address)
{
	static char text[PATH_BYTES];
	int n = peek_str(pid, address, text, sizeof(text));

	if (n < 0)
		exp_null(name);
	else
		exp_str(name, text, (size_t)n - 1);
}

/* The same, as a value of that kind. */
void exp_user_dyn_str(const char *name, pid_t pid, uint64_t address, int kind)
{
	static char text[PATH_BYTES], json[6 * PATH_BYTES + 64];
	int n = peek_str(pid, address, text, sizeof(text)), used;

	if (n < 0) {
		exp_null(name);
		return;
	}
	used = sprintf(json, "{\"kind\":%d,\"value\":", kind);
	used += (int)json_string(json + used, sizeof(json) - (size_t)used - 2, text, (size_t)n - 1);
	strcpy(json + used, "}");
	exp_json(name, json);
}

/* len: what the call says; bounded by the capture length here. */
void exp_user_buf(const char *name, pid_t pid, uint64_t address, uint64_t len)
{
	static char bytes[SNAPLEN_BYTES];
	uint64_t shown = len > snaplen ? snaplen : len;
	bool whole = peek(pid, address, bytes, shown);

	if (whole && len > shown)
		note(S_LONG);
	if (whole && shown)
		exp_hex(name, bytes, shown);
	else
		exp_null(name);
}

static bool peek_pointer(const struct made *m, uint64_t array, unsigned int index, uint64_t *out)
{
	uint32_t narrow;

	*out = 0;
	if (!m->i386)
		return peek(m->pid, array + 8ul * index, out, 8);
	if (!peek(m->pid, array + 4ul * index, &narrow, 4))
		return false;
	*out = narrow;
	return true;
}

/* Strings behind an array of pointers, as a failed execve shows them. */
void exp_user_strings(const char *name, const struct made *m, uint64_t array, unsigned int from)
{
	static char json[PATH_BYTES * 6 + 256], text[PATH_BYTES];
	size_t used = 0, left = PATH_BYTES;
	uint64_t pointer;

	for (unsigned int i = 0; i < ARG_POINTERS && left > 0; i++) {
		int n;

		if (!peek_pointer(m, array, i, &pointer)) {
			used = 0;
			break;
		}
		if (!pointer)
			break;
		if (i < from)
			continue;
		n = peek_str(m->pid, pointer, text, left);
		if (n < 0) {
			used = 0;
			break;
		}
		json[used] = used ? ',' : '[';
		used++;
		used += json_string(json + used, sizeof(json) - used, text, (size_t)n - 1);
		left -= (size_t)n;
		if (!left || i == ARG_POINTERS - 1)
			note(S_LONG);
	}
	if (!used) {
		exp_null(name);
		return;
	}
	strcpy(json + used, "]");
	exp_json(name, json);
}

void exp_user_first_string(const char *name, const struct made *m, uint64_t array)
{
	uint64_t pointer;

	if (!peek_pointer(m, array, 0, &pointer) || !pointer)
		exp_null(name);
	else
		exp_user_str(name, m->pid, pointer);
}

/*
 * A driver cannot read a page that is not in memory. After a fork those of the program's file are not, as far as nothing
 * was written to them: its constants. Its data are, once the first process has them: memory_setup() sees to that.
 */
void touch_all(void)
{
	extern char etext, __data_start;

	for (volatile char *at = &etext; at < &__data_start; at += PAGE)
		(void)*at;
}

void memory_setup(void)
{
	extern char __data_start;
	char *area = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);

	for (volatile char *at = &__data_start; at < &_end; at += PAGE)
		*at = *at;
	memset(area, '.', 2 * PAGE);
	munmap(area + 2 * PAGE, PAGE);
	mmap(area + 2 * PAGE, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	page_end = area + 2 * PAGE - 1;
	memset(long_bytes, 'l', sizeof(long_bytes) - 1);
	memcpy(long_bytes, "/tmp/", 5);
	long_string = long_bytes;
}

/* The NUL is the last byte before an unreadable page. */
char *string_at_page_end(const char *text)
{
	size_t n = strlen(text) + 1;

	return memcpy(page_end + 1 - n, text, n);
}

/* The string has no NUL before the unreadable page. */
char *string_over_page_end(const char *text)
{
	size_t n = strlen(text);

	return memcpy(page_end + 1 - n, text, n);
}
