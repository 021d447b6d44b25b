// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * kd-capture: what libbpf says. Kept, not printed, so that a failure shows the program and the verifier's last lines
 * instead of pages.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bpf.h"

#define VERIFIER_LINES 12

static bool loud;
static char *verifier_log; /* of the program that was refused last */
static char program[128];
static char warning[1024];

static void keep_warning(const char *text)
{
	const char *name = strstr(text, "prog '"), *end = name ? strchr(name + 6, '\'') : NULL;

	if (name && end && (size_t)(end - name - 6) < sizeof(program)) {
		memcpy(program, name + 6, (size_t)(end - name - 6));
		program[end - name - 6] = 0;
	}
	if (strstr(text, "-- BEGIN PROG LOAD LOG --")) {
		free(verifier_log);
		verifier_log = strdup(strchr(text, '\n') ? strchr(text, '\n') + 1 : text);
	} else if (strncmp(text, "libbpf: failed to load object", 29) != 0) {
		snprintf(warning, sizeof(warning), "%s", strncmp(text, "libbpf: ", 8) == 0 ? text + 8 : text);
		warning[strcspn(warning, "\n")] = 0;
	}
}

static int print(enum libbpf_print_level level, const char *format, va_list list)
{
	char *text = NULL;
	int length = vasprintf(&text, format, list);

	if (length < 0)
		return 0;
	if (loud)
		fputs(text, stderr);
	if (level == LIBBPF_WARN)
		keep_warning(text);
	free(text);
	return length;
}

void kd_bpf_log_start(bool verbose)
{
	loud = verbose;
	libbpf_set_print(print);
}

static void print_last_lines(char *text)
{
	char *end = strstr(text, "-- END PROG LOAD LOG --"), *at;
	int lines = 0;

	if (end)
		*end = 0;
	at = text + strlen(text);
	while (at > text && lines <= VERIFIER_LINES)
		if (*--at == '\n')
			lines++;
	if (*at == '\n')
		at++;
	for (at = strtok(at, "\n"); at; at = strtok(NULL, "\n"))
		fprintf(stderr, "  verifier: %s\n", at);
}

/* The verifier's last line but one says what is wrong, its last one counts instructions. */
static void copy_reason(char *text, char *why, size_t size)
{
	char *end = strstr(text, "\nprocessed "), *start;

	snprintf(why, size, "the kernel refuses its program");
	if (!end)
		return;
	*end = 0;
	start = strrchr(text, '\n');
	snprintf(why, size, "the kernel refuses its program: %s", start ? start + 1 : text);
}

const char *kd_bpf_log_refused(char *why, size_t size)
{
	static char name[sizeof(program)];

	if (!program[0] || !verifier_log)
		return NULL;
	memcpy(name, program, sizeof(name));
	copy_reason(verifier_log, why, size);
	free(verifier_log);
	verifier_log = NULL;
	program[0] = 0;
	return name;
}

int kd_bpf_log_fail(const char *path, int error)
{
	if (!verifier_log && !program[0])
		return kd_fail(KD_EXIT_LOAD, kd_host_permission_hint(error), "%s: cannot be loaded: %s%s%s", path,
			       strerror(error), warning[0] ? ": " : "", warning);
	kd_fail(KD_EXIT_LOAD, verifier_log ? NULL : kd_host_permission_hint(error),
		"%s: the kernel refuses the program %s: %s", path, program, strerror(error));
	if (verifier_log)
		print_last_lines(verifier_log);
	else if (warning[0])
		fprintf(stderr, "  libbpf: %s\n", warning);
	return KD_EXIT_LOAD;
}
