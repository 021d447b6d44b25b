// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Expectations, written as JSON lines into memory that all case processes share, and printed at the end. One line is
 * put together in memory of the process and appended whole, so processes may write at the same time.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cases.h"

#define ARENA_BYTES (8ul << 20)
/* Every case's process touches all of this program's memory: what is small here makes the cases fast. */
#define PARAMS_BYTES (160ul << 10)
#define OTHERS_BYTES (8ul << 10)

static struct arena {
	unsigned long used;
	unsigned long order;
	unsigned long lost;
	char text[];
} *arena;

static char head[512];
static char params_text[PARAMS_BYTES], between_text[OTHERS_BYTES], unchecked_text[OTHERS_BYTES];
static char pointers_text[OTHERS_BYTES];
static struct section {
	char *text;
	size_t size;
	size_t used;
} params = {params_text, sizeof(params_text), 0}, between = {between_text, sizeof(between_text), 0},
  unchecked = {unchecked_text, sizeof(unchecked_text), 0}, pointers = {pointers_text, sizeof(pointers_text), 0};

const struct made *describing;
bool exp_i386;
static unsigned int situations;

void arena_create(void)
{
	arena = mmap(NULL, ARENA_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (arena == MAP_FAILED) {
		perror("kd-cases: mmap");
		exit(1);
	}
}

unsigned long order_next(void)
{
	/* The number before it is that of the event at the entry of the same call. */
	return __atomic_add_fetch(&arena->order, 2, __ATOMIC_SEQ_CST);
}

static void append(const char *const *parts, const size_t *lengths, unsigned int n)
{
	size_t total = 0;
	unsigned long at;

	for (unsigned int i = 0; i < n; i++)
		total += lengths[i];
	at = __atomic_fetch_add(&arena->used, total, __ATOMIC_SEQ_CST);
	if (at + total > ARENA_BYTES - sizeof(*arena)) {
		__atomic_add_fetch(&arena->lost, 1, __ATOMIC_SEQ_CST);
		__atomic_fetch_sub(&arena->used, total, __ATOMIC_SEQ_CST);
		return;
	}
	for (unsigned int i = 0; i < n; i++) {
		memcpy(arena->text + at, parts[i], lengths[i]);
		at += lengths[i];
	}
}

static void append_text(const char *text)
{
	size_t length = strlen(text);

	append(&text, &length, 1);
}

void arena_print(void)
{
	for (unsigned long done = 0; done < arena->used;) {
		ssize_t n = write(1, arena->text + done, arena->used - done);

		if (n <= 0)
			exit(1);
		done += (unsigned long)n;
	}
	if (arena->lost) {
		fprintf(stderr, "kd-cases: %lu lines did not fit\n", arena->lost);
		exit(1);
	}
}

/* The length of the valid UTF-8 sequence at the start, 0 if there is none. */
static size_t utf8_length(const unsigned char *s, size_t len)
{
	size_t n = s[0] < 0x80			  ? 1
		   : s[0] >= 0xc2 && s[0] <= 0xdf ? 2
		   : s[0] >= 0xe0 && s[0] <= 0xef ? 3
		   : s[0] >= 0xf0 && s[0] <= 0xf4 ? 4
						  : 0;

	if (n == 0 || n > len)
		return 0;
	for (size_t i = 1; i < n; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) || (s[0] == 0xf0 && s[1] < 0x90) ||
	    (s[0] == 0xf4 && s[1] > 0x8f))
		return 0;
	return n;
}

/* A JSON string; bytes that are not UTF-8 become lone surrogates, as Python's surrogateescape has it. */
size_t json_string(char *out, size_t size, const char *bytes, size_t len)
{
	const unsigned char *s = (const unsigned char *)bytes;
	size_t used = 0;

	out[used++] = '"';
	for (size_t i = 0; i < len && used + 8 < size;) {
		size_t n = utf8_length(s + i, len - i);

		if (n == 0) {
			used += (size_t)sprintf(out + used, "\\udc%02x", s[i]);
			n = 1;
		} else if (s[i] < 0x20 || s[i] == 0x7f) {
			used += (size_t)sprintf(out + used, "\\u%04x", s[i]);
		} else {
			if (s[i] == '"' || s[i] == '\\')
				out[used++] = '\\';
			memcpy(out + used, s + i, n);
			used += n;
		}
		i += n;
	}
	out[used++] = '"';
	out[used] = 0;
	return used;
}

void note(unsigned int situation)
{
	situations |= situation;
}

/* In place of what was noted. */
void note_only(unsigned int noted_before)
{
	situations = noted_before;
}

/* What was noted since the last parameter, for one that depends on the same pointer. */
unsigned int noted(void)
{
	return situations;
}

/* One letter a situation. */
static void put_situations(const char *name)
{
	static const char letters[] = "vnuoel";

	pointers.used += (size_t)snprintf(pointers.text + pointers.used, pointers.size - pointers.used, "%s\"%s\":\"",
					  pointers.used ? "," : "", name);
	for (unsigned int i = 0; letters[i]; i++)
		if (situations & 1u << i)
			pointers.text[pointers.used++] = letters[i];
	pointers.text[pointers.used++] = '"';
	pointers.text[pointers.used] = 0;
	situations = 0;
}

static void put_name(struct section *section, const char *name)
{
	if (situations)
		put_situations(name);
	section->used += (size_t)snprintf(section->text + section->used, section->size - section->used,
					  "%s\"%s\":", section->used ? "," : "", name);
}

static void put(struct section *section, const char *name, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
static void put(struct section *section, const char *name, const char *format, ...)
{
	va_list ap;

	put_name(section, name);
	va_start(ap, format);
	section->used += (size_t)vsnprintf(section->text + section->used, section->size - section->used, format, ap);
	va_end(ap);
}

/* The call itself, as it was made; zeros at the end of its arguments are left out. */
static int head_of_call(char *out, size_t size, const struct made *m)
{
	int n = 6,
	    used = snprintf(out, size, "%s\"ret\":%lld,\"args\":[", m->i386 ? "\"i386\":true," : "", (long long)m->ret);

	while (n > 0 && !m->a[n - 1])
		n--;
	for (int i = 0; i < n; i++)
		used += snprintf(out + used, size - (size_t)used, "%s%llu", i ? "," : "", (unsigned long long)m->a[i]);
	return used + snprintf(out + used, size - (size_t)used, "],");
}

/* The event at the call's exit, or the one at its entry. */
static bool is_of_call(const char *event, const char *of_call)
{
	size_t length = strlen(of_call);

	return strncmp(event, of_call, length) == 0 && (!event[length] || strcmp(event + length, "_e") == 0);
}

void exp_open(const char *event, pid_t tid, unsigned long order)
{
	int used;

	params.used = between.used = unchecked.used = pointers.used = 0;
	params.text[0] = between.text[0] = unchecked.text[0] = pointers.text[0] = 0;
	situations = 0;
	used = snprintf(head, sizeof(head), "{\"case\":\"%s\",\"event\":\"%s\",\"tid\":%d,\"order\":%lu,", current_case,
			event, tid, order);
	if (describing && is_of_call(event, kinds[describing->kind].event))
		used += head_of_call(head + used, sizeof(head) - (size_t)used, describing);
	else if (exp_i386)
		used += snprintf(head + used, sizeof(head) - (size_t)used, "\"i386\":true,");
	exp_i386 = false;
	snprintf(head + used, sizeof(head) - (size_t)used, "\"params\":{");
}

void exp_int(const char *name, int64_t value)
{
	put(&params, name, "%lld", (long long)value);
}

void exp_uint(const char *name, uint64_t value)
{
	put(&params, name, "%llu", (unsigned long long)value);
}

void exp_null(const char *name)
{
	put(&params, name, "null");
}

void exp_json(const char *name, const char *json)
{
	put(&params, name, "%s", json);
}

void exp_str(const char *name, const char *bytes, size_t len)
{
	put_name(&params, name);
	params.used += json_string(params.text + params.used, params.size - params.used, bytes, len);
}

void exp_hex(const char *name, const void *bytes, size_t len)
{
	const unsigned char *s = bytes;

	if (len == 0) {
		exp_null(name);
		return;
	}
	put(&params, name, "\"");
	for (size_t i = 0; i < len; i++)
		params.used += (size_t)sprintf(params.text + params.used, "%02x", s[i]);
	params.text[params.used++] = '"';
	params.text[params.used] = 0;
}

void exp_between(const char *name, uint64_t lo, uint64_t hi)
{
	put(&between, name, "[%llu,%llu]", (unsigned long long)lo, (unsigned long long)hi);
}

void exp_unchecked(const char *name, const char *reason)
{
	put(&unchecked, name, "\"%s\"", reason);
}

/* Parts that hold nothing are left out. */
void exp_close(void)
{
	static const char *const names[] = {"},\"between\":{", "},\"unchecked\":{", "},\"pointers\":{"};
	const struct section *sections[] = {&between, &unchecked, &pointers};
	const char *parts[9] = {head, params.text};
	size_t lengths[9] = {strlen(head), params.used};
	unsigned int n = 2;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (!sections[i]->used)
			continue;
		parts[n] = names[i], lengths[n++] = strlen(names[i]);
		parts[n] = sections[i]->text, lengths[n++] = sections[i]->used;
	}
	parts[n] = "}}\n", lengths[n++] = 3;
	append(parts, lengths, n);
}

/* The case cannot run on this kernel: said, never silent. */
void case_skip(const char *reason)
{
	char line[1024], quoted[512];

	json_string(quoted, sizeof(quoted), reason, strlen(reason));
	snprintf(line, sizeof(line), "{\"case\":\"%s\",\"skipped\":%s}\n", current_case, quoted);
	append_text(line);
}

/* The case itself went wrong: no driver can be judged by it. */
void case_error(const char *format, ...)
{
	char line[1024], quoted[512], text[400];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	json_string(quoted, sizeof(quoted), text, strlen(text));
	snprintf(line, sizeof(line), "{\"case\":\"%s\",\"error\":%s}\n", current_case, quoted);
	append_text(line);
}

/* Calls that the cases make to learn what to expect: their events are not unexpected, but in a thread whose case is about
 * the call itself. */
void helper_calls_print(void)
{
	append_text("{\"helpers\":[\"preadv\",\"process_vm_readv\",\"newfstatat\",\"fstat\",\"getsockname\","
		    "\"getpeername\",\"gettid\",\"getpid\",\"getppid\",\"getpgid\",\"capget\",\"wait4\",\"waitid\","
		    "\"sched_yield\",\"sched_setaffinity\",\"sched_setscheduler\",\"prlimit\",\"setresuid\","
		    "\"setresgid\",\"rt_sigaction\",\"rt_sigreturn\",\"setpgid\",\"setsid\",\"memfd_create\","
		    "\"epoll_create1\",\"epoll_ctl\",\"umount2\",\"ftruncate\",\"unlink\",\"capset\","
		    "\"getcwd\",\"sendfile\",\"symlinkat\",\"readlink\",\"setitimer\","
		    "\"unshare\",\"clock_nanosleep\",\"syscall\"]}\n");
}
