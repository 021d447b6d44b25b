// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Reads /plan, which kdriver/verifier/plan.py writes. Nothing is guessed: a line of another shape refuses the plan.
 */
#include <stdio.h>
#include <string.h>

#include "guest.h"

struct plan plan = {
	.limit_load = 60000,
	.limit_open = 60000,
	.limit_cases = 60000,
	.limit_flush = 30000,
	.limit_unload = 20000,
	.pressure_rounds = 1000,
	.overrun_calls = 4000,
	.buffer_bytes = 8388608,
	.small_buffer_bytes = 65536,
	.events_bytes_max = 6000000,
};

static bool plan_number(const char *name, long value)
{
	struct {
		const char *name;
		int *field;
	} numbers[] = {
		{"limit_load_ms", &plan.limit_load},
		{"limit_open_ms", &plan.limit_open},
		{"limit_cases_ms", &plan.limit_cases},
		{"limit_flush_ms", &plan.limit_flush},
		{"limit_unload_ms", &plan.limit_unload},
		{"pressure_rounds", &plan.pressure_rounds},
		{"overrun_calls", &plan.overrun_calls},
		{"cost_calls", &plan.cost_calls},
		{"cost_batches", &plan.cost_batches},
		{"strace", &plan.strace},
		{"together", &plan.together},
	};
	struct {
		const char *name;
		long *field;
	} sizes[] = {
		{"buffer_bytes", &plan.buffer_bytes},
		{"small_buffer_bytes", &plan.small_buffer_bytes},
		{"events_bytes_max", &plan.events_bytes_max},
	};
	size_t i;

	for (i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		if (strcmp(name, numbers[i].name) == 0) {
			*numbers[i].field = (int)value;
			return true;
		}
	}
	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		if (strcmp(name, sizes[i].name) == 0) {
			*sizes[i].field = value;
			return true;
		}
	}
	return false;
}

/* Lines about the driver that was named last: `foreign`, and `word TEXT` for each word of its check. */
static bool driver_line(struct driver *driver, const char *line)
{
	size_t len = strcspn(line, "\n");

	if (len == strlen("foreign") && strncmp(line, "foreign", len) == 0) {
		driver->foreign = true;
		return true;
	}
	if (strncmp(line, "word ", 5) != 0 || driver->n_words == KD_MAX_WORDS)
		return false;
	driver->words[driver->n_words] = strndup(line + 5, len - 5);
	return driver->words[driver->n_words++] != NULL;
}

/* Lines: `driver KIND NAME PATH`, `module PATH`, `btf PATH`, `shell PATH`, `only PATTERN`, `set NAME NUMBER`,
 * `strace_calls TEXT`, `strace_skip PATTERN`. False on a line of another shape. */
static bool plan_line(const char *line)
{
	struct driver *driver = &plan.drivers[plan.n_drivers];
	char name[64];
	long value;

	if (plan.n_drivers > 0 && driver_line(driver - 1, line))
		return true;
	if (plan.n_drivers < KD_MAX_DRIVERS &&
	    sscanf(line, "driver %15s %63s %127s", driver->kind, driver->name, driver->path) == 3) {
		plan.n_drivers++;
		return true;
	}
	if (sscanf(line, "btf %127s", plan.btf) == 1 || sscanf(line, "shell %127s", plan.shell) == 1)
		return true;
	if (plan.n_only < KD_MAX_ONLY && sscanf(line, "only %63s", plan.only[plan.n_only]) == 1) {
		plan.n_only++;
		return true;
	}
	if (plan.n_modules < KD_MAX_MODULES && sscanf(line, "module %127s", plan.modules[plan.n_modules]) == 1) {
		plan.n_modules++;
		return true;
	}
	if (sscanf(line, "strace_calls %255s", plan.strace_calls) == 1)
		return true;
	if (plan.n_strace_skips < KD_MAX_SKIPS &&
	    sscanf(line, "strace_skip %63s", plan.strace_skips[plan.n_strace_skips]) == 1) {
		plan.n_strace_skips++;
		return true;
	}
	return sscanf(line, "set %63s %ld", name, &value) == 2 && plan_number(name, value);
}

bool plan_read(char *bad_line, size_t size)
{
	FILE *file = fopen("/plan", "re");
	bool good = file != NULL;

	snprintf(bad_line, size, "/plan cannot be opened");
	while (good && fgets(bad_line, (int)size, file))
		good = plan_line(bad_line);
	if (file)
		fclose(file);
	return good;
}
