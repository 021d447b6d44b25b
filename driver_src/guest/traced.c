// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The cases once more, under strace, while the driver watches: strace's lines, the expectations and the events go to the
 * result channel, and the host compares them.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "guest.h"

#define LIMIT_FACTOR 4 /* each call stops twice */

static void report_calls(const char *kind, const char *path)
{
	FILE *file = fopen(path, "re");
	char *line = NULL;
	size_t size = 0;
	ssize_t n;

	while (file && (n = getline(&line, &size, file)) > 0) {
		line[n - 1] = 0;
		result_printf("{\"driver\":\"%s\",\"traced_call\":", kind);
		result_string(line);
		result_raw("}", 1);
		result_end_line();
	}
	free(line);
	if (file)
		fclose(file);
}

int run_traced(struct capture *capture, const struct plan *plan, const char *kind)
{
	const char *argv[24 + 2 * KD_MAX_SKIPS] = {"/bin/strace", "-f",		 "-q",		 "-X",
						   "raw",	  "-xx",	 "-s",		 "64",
						   "-e",	  "signal=none", "-e",		 plan->strace_calls,
						   "-o",	  "/tmp/calls",	 "/bin/kd-cases"};
	struct child child = {.argv = argv, .in = -1, .in_cgroups = true};
	struct report report = {.prefix = "traced_", .from = capture->read_to, .bytes_max = 2 * plan->events_bytes_max};
	long started = now_ms();
	char detail[KD_DETAIL];
	int n = 15, status;

	for (int i = 0; i < plan->n_strace_skips; i++) {
		argv[n++] = "--skip";
		argv[n++] = plan->strace_skips[i];
	}
	result_stage(kind, "strace");
	child.out = open("/tmp/traced.expect", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	child.err = open("/tmp/traced.errors", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	status = child_wait(child_start(&child), LIMIT_FACTOR * plan->limit_cases);
	close(child.out);
	close(child.err);
	file_tail("/tmp/traced.errors", detail, sizeof(detail));
	if (status == 0)
		status = capture_command(capture, "flush", plan->limit_flush, NULL, 0);
	result_step(kind, "strace", status, now_ms() - started, status ? detail : "");
	if (status)
		return status;
	report.end = capture->read_to;
	capture_report_expectations(kind, "/tmp/traced.expect", &report);
	capture_report_events(capture, kind, &report);
	report_calls(kind, "/tmp/calls");
	return 0;
}
