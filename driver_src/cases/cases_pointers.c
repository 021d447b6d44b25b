// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Cases: every pointer of every call, tried valid, NULL, unmapped, at the end of a page, over it, and longer than what is
 * shown. Calls of the table fail, whatever is passed: what a driver reads behind a pointer does not depend on that.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <stdlib.h>

#include "cases.h"

#define OBJECT_BYTES 6000
#define WORDS 6

/*
 * A row: a call and its arguments, separated by blanks.
 *   12 -100   a number
 *   S         a string
 *   B  L      bytes, and how many they are; b: never so many that the kernel looks at them
 *   P24/8:4   a structure of 24 bytes (8 in an i386 call), cut off before a page's end at every 4 bytes
 *   P72/72:66:68  at these bytes
 *   V         a vector of one segment
 *   M N       struct msghdr, struct mmsghdr
 *   A         a socket address of 16 bytes
 *   G         an array of two strings, as execve takes it
 */
struct row {
	enum kind kind;
	const char *arguments;
};

static const struct row rows[] = {
	{K_OPEN, "S 0 0"},
	{K_CREAT, "S 0"},
	{K_RENAME, "S S"},
	{K_RENAMEAT, "-100 S -100 S"},
	{K_RENAMEAT2, "-100 S -100 S 0"},
	{K_UNLINKAT, "-100 S 0"},
	{K_MKDIRAT, "-100 S 0755"},
	{K_FCHMODAT, "-100 S 0644"},
	{K_CHDIR, "S"},
	{K_MOUNT, "S S S 0 0"},
	{K_LINK, "S S"},
	{K_LINKAT, "-100 S -100 S 0"},
	{K_SYMLINK, "S S"},
	{K_SYMLINKAT, "S -100 S"},
	{K_LCHOWN, "S 5 6"},
	{K_STAT64, "S 0"},
	{K_LSTAT64, "S 0"},
	{K_UMOUNT, "S"},
	{K_OPENAT2, "-100 S P24/24:4 24"},
	{K_FSCONFIG, "-1 99 S 0 0"},
	{K_FSCONFIG, "-1 1 S S 0"},
	{K_FSCONFIG, "-1 2 S B L"},
	{K_QUOTACTL, "0x80000200 S 2 S"},
	{K_QUOTACTL, "0x80000800 S 1000 P72/72:66:68"},
	{K_QUOTACTL, "0x80000600 S 0 P24/24:2"},
	{K_GETRESUID, "P4/4:2 P4/4:2 P4/4:2"},
	{K_GETRESGID, "P4/4:2 P4/4:2 P4/4:2"},
	{K_WRITE, "-1 B L"},
	{K_PWRITE, "-1 B L 0"},
	{K_WRITEV, "-1 V 1"},
	{K_PWRITEV, "-1 V 1 0 0"},
	{K_POLL, "P8/8:4 1 0"},
	{K_SIGNALFD, "-1 P8/8:2 7"},
	{K_SIGNALFD4, "-1 P8/8:2 7 0"},
	{K_PPOLL, "P8/8:4 1 P16/8:2 P8/8:2 7"},
	{K_SENDFILE, "-1 -1 P8/8:4 1"},
	{K_IO_URING_SETUP, "0 P24/24:2"},
	{K_IO_URING_ENTER, "-1 0 0 0 P8/8:2 8"},
	{K_SEMOP, "-1 P12/12:1 2"},
	{K_MEMFD_CREATE, "S -1"},
	{K_PROCESS_VM_WRITEV, "0x7ffffff0 V 1 0 0 0"},
	{K_BIND, "-1 A 16"},
	{K_CONNECT, "-1 A 16"},
	{K_SENDTO, "-1 B L 0 A 16"},
	{K_SEND, "-1 B L 0"},
	{K_RECV, "-1 B L 0"},
	{K_SENDMSG, "-1 M 0"},
	{K_SENDMMSG, "-1 N 1 0"},
	{K_SETSOCKOPT, "-1 1 2 P4/4:2 4"},
	{K_SETSOCKOPT, "-1 1 25 B L"},
	{K_GETSOCKOPT, "-1 1 2 P4/4:2 P4/4:2"},
	{K_EXECVE, "S G G"},
	{K_EXECVEAT, "-1 S G G 0x10000000"},
	{K_CLONE3, "P8/8:2 1"},
	{K_PRCTL, "15 S"},
	{K_PRCTL, "37 P4/4:2"},
	{K_NANOSLEEP, "P16/8:2 0"},
	{K_SETRLIMIT, "99 P16/8:2"},
	{K_PRLIMIT, "0x7ffffff0 99 P16/16:2 P16/16:2"},
	{K_INIT_MODULE, "b L S"},
	{K_FINIT_MODULE, "-1 S 0"},
	{K_DELETE_MODULE, "S 04000"},
	{K_KEYCTL, "1 S"},
	{K_KEYCTL, "10 0x7ffffff0 S S 0"},
	{K_KEYCTL, "29 0x7ffffff0 S S S"},
};

enum place { NATURAL, AT_NULL, AT_UNMAPPED, AT_KERNEL, AT_END, OVER_END, LONGER };

/* What one argument is in one round. cut: how many of the object's bytes lie before the page's end. inner: of a vector or
 * a message, the place of the bytes that its segment names. */
struct round {
	enum place place;
	enum place inner;
	unsigned int cut;
};

static char objects[WORDS][OBJECT_BYTES], bytes[300], inner_string[5000];
static uint32_t narrow_segment[2];
static uint64_t wide_segment[2];

static uint64_t put_word(char *out, uint64_t at, uint64_t value)
{
	size_t size = compat_calls ? 4 : 8;

	memcpy(out + at, &value, size);
	return at + size;
}

/* Places n bytes before the page's end, cut off there. */
static uint64_t at_page_end(const char *object, size_t n)
{
	return U(memcpy(page_end + 1 - n, object, n));
}

static uint64_t placed(int slot, const char *object, size_t size, const struct round *round)
{
	switch (round->place) {
	case AT_NULL:
		return 0;
	case AT_UNMAPPED:
		return UNMAPPED;
	case AT_KERNEL:
		return compat_calls ? 0xffffe000 : KERNEL_ADDRESS;
	case AT_END:
		return at_page_end(object, size);
	case OVER_END:
		return at_page_end(object, round->cut ? round->cut : size / 2);
	default:
		return U(memcpy(objects[slot], object, size));
	}
}

static uint64_t string_of(int slot, const struct round *round)
{
	static const char text[] = "/nonexistent/kd";

	if (round->place == LONGER)
		return U(long_string);
	/* One that runs over the page's end has no NUL before it. */
	return placed(slot, text, sizeof(text), round);
}

/* A segment, and the bytes that it names. */
static size_t segment_of(char *out, enum place inner)
{
	size_t length = inner == LONGER ? sizeof(bytes) : 30;
	uint64_t base = U(bytes);

	if (inner == AT_END)
		base = U(page_end) - 29;
	else if (inner == OVER_END)
		base = U(page_end) - 9;
	else if (inner == AT_UNMAPPED)
		base = UNMAPPED;
	else if (inner == AT_NULL)
		base = 0;
	return put_word(out, put_word(out, 0, base), length);
}

static uint64_t vector_of(int slot, const struct round *round)
{
	char object[16];

	return placed(slot, object, segment_of(object, round->inner), round);
}

/* struct msghdr without a name: {name, its length, segments, their number, control, its length, flags}. */
static uint64_t message_of(int slot, const struct round *round, bool many)
{
	char object[64] = {0}, *segment = compat_calls ? (char *)narrow_segment : (char *)wide_segment;
	uint64_t at;

	segment_of(segment, round->inner);
	at = put_word(object, put_word(object, 0, 0), 0);
	at = put_word(object, put_word(object, at, U(segment)), 1);
	at = put_word(object, put_word(object, put_word(object, at, 0), 0), 0);
	return placed(slot, object, many ? at + (compat_calls ? 4 : 8) : at, round);
}

static uint64_t array_of(int slot, const struct round *round)
{
	char object[24];
	uint64_t string = U("kd-string"), at;

	if (round->inner == AT_END)
		string = U(string_at_page_end("kd-at-end"));
	else if (round->inner == OVER_END)
		string = U(string_over_page_end("kd-over"));
	else if (round->inner == AT_UNMAPPED)
		string = UNMAPPED;
	else if (round->inner == LONGER)
		string = U(inner_string);
	at = put_word(object, put_word(object, 0, string), string);
	return placed(slot, object, put_word(object, at, 0), round);
}

static uint64_t address_of(int slot, const struct round *round)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(7), .sin_addr = {htonl(0x7f000001)}};

	return placed(slot, (const char *)&address, sizeof(address), round);
}

static size_t size_of(const char *token)
{
	return strtoul(compat_calls ? strchr(token, '/') + 1 : token + 1, NULL, 10);
}

static uint64_t argument_of(int slot, const char *token, const struct round *round, uint64_t *length)
{
	static const char zeros[128];

	switch (*token) {
	case 'S':
		return string_of(slot, round);
	case 'b':
	case 'B':
		*length = round->place == LONGER ? sizeof(bytes) : 30;
		return placed(slot, bytes, *length, round);
	case 'P':
		return placed(slot, zeros, size_of(token), round);
	case 'V':
		return vector_of(slot, round);
	case 'M':
	case 'N':
		return message_of(slot, round, *token == 'N');
	case 'A':
		return address_of(slot, round);
	case 'G':
		return array_of(slot, round);
	case 'L':
		return *length;
	default:
		return U(strtoll(token, NULL, 0));
	}
}

/* The call with one of its arguments as the round says, the others natural. */
static void make(const struct row *row, char (*tokens)[16], int n, int tried, const struct round *round)
{
	static const struct round natural = {NATURAL, NATURAL, 0};
	uint64_t a[WORDS] = {0, 0, 0, 0, 0, 0}, length = 0;

	for (int i = 0; i < n; i++)
		a[i] = argument_of(i, tokens[i], i == tried ? round : &natural, &length);
	call6(row->kind, a[0], a[1], a[2], a[3], a[4], a[5]);
}

/* steps: `:` and the step, or `:` before each of several places. */
static bool cut_at(const char *steps, size_t cut)
{
	char *rest;
	size_t first = strtoul(steps + 1, &rest, 10);

	if (!*rest)
		return cut % first == 0;
	return cut == first || cut == strtoul(rest + 1, NULL, 10);
}

static void make_rounds(const struct row *row, char (*tokens)[16], int n, int tried)
{
	static const enum place places[] = {AT_NULL, AT_UNMAPPED, AT_KERNEL, AT_END, OVER_END, LONGER};
	static const enum place inner[] = {AT_END, OVER_END, AT_UNMAPPED, LONGER};
	const char *token = tokens[tried];
	const char *step = strchr(token, ':');

	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		if (places[i] == LONGER && *token != 'S' && *token != 'B')
			continue;
		make(row, tokens, n, tried, &(struct round){places[i], NATURAL, 0});
	}
	for (size_t i = 0; strchr("VMNG", *token) && i < ARRAY_SIZE(inner); i++)
		make(row, tokens, n, tried, &(struct round){NATURAL, inner[i], 0});
	for (size_t cut = 1; step && cut < size_of(token); cut++)
		if (cut_at(step, cut))
			make(row, tokens, n, tried, &(struct round){OVER_END, NATURAL, (unsigned int)cut});
}

static void make_row(const struct row *row)
{
	char line[128], tokens[WORDS][16], *save = NULL;
	int n = 0;

	if (kinds[row->kind].number < 0 && !compat_calls)
		return;
	if (compat_calls && kinds[row->kind].number_i386 <= 0)
		return;
	strcpy(line, row->arguments);
	for (char *one = strtok_r(line, " ", &save); one; one = strtok_r(NULL, " ", &save))
		strcpy(tokens[n++], one);
	make(row, tokens, n, -1, NULL);
	for (int i = 0; i < n; i++)
		if (strchr("SbBPVMNAG", tokens[i][0]))
			make_rounds(row, tokens, n, i);
}

static void pointers(void)
{
	memset(bytes, 'b', sizeof(bytes));
	memset(inner_string, 's', sizeof(inner_string) - 1);
	compat_as_given = true;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		make_row(&rows[i]);
}

const struct one_case pointer_cases[] = {
	{"pointers", pointers},
	{NULL, NULL},
};
