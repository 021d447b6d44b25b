// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * A driver's turn: it is opened, watches the cases, has its trials, and goes; alone, or together with the others. Each
 * step writes what came of it to the result channel.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "guest.h"

/* taint, started, pages, programs: of the guest when the turn began. */
struct turn {
	const struct driver *driver;
	struct capture capture;
	unsigned long taint;
	unsigned long long started;
	long pages;
	int programs;
	bool loaded;
	bool open;
	bool answers; /* open, and nothing went wrong so far that leaves no sense in going on */
};

/* 0, or why there are none, which is a step that failed. */
static int report_stats(struct capture *capture, const char *kind, const char *after)
{
	long started = now_ms();
	int status;

	capture->stats[0] = 0;
	status = capture_command(capture, "stats", plan.limit_flush, NULL, 0);
	if (status == 0 && !capture->stats[0])
		status = 1;
	if (status) {
		char detail[32];

		snprintf(detail, sizeof(detail), "after the %s", after);
		result_step(kind, "stats", status, now_ms() - started, detail);
		return status;
	}
	result_printf("{\"driver\":\"%s\",\"stats_after\":\"%s\",\"stats_line\":%s}", kind, after, capture->stats);
	result_end_line();
	return 0;
}

/* Kinds of these turns, as "kmod+bpf": what a line about several drivers says in place of one. */
static const char *kinds_of(struct turn *const *turns, int n)
{
	static char text[KD_MAX_DRIVERS * 16];
	size_t used = 0;

	for (int i = 0; i < n; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s", i ? "+" : "",
					 turns[i]->driver->kind);
	return text;
}

static void flush_and_report(struct turn *turn, const char *flush_name, struct report *report)
{
	char detail[KD_DETAIL];
	const char *kind = turn->driver->kind;
	long started = now_ms();
	int status;

	result_stage(kind, flush_name);
	status = capture_command(&turn->capture, "flush", plan.limit_flush, NULL, 0);
	file_tail(turn->capture.errors_path, detail, sizeof(detail));
	result_step(kind, flush_name, status, now_ms() - started, detail);
	if (status) {
		turn->answers = false;
		return;
	}
	report->end = turn->capture.read_to;
	capture_report_events(&turn->capture, kind, report);
}

/*
 * The case program, once for all of the drivers that still answer, and what each of them saw of it. flush_name: what the
 * step of reading the events is called.
 */
static void run_cases(struct turn *const *turns, int n, const char *name, const char *flush_name,
		      const char *const *argv)
{
	const char *kinds = kinds_of(turns, n);
	struct report report = {.prefix = "", .bytes_max = plan.events_bytes_max};
	off_t from[KD_MAX_DRIVERS];
	char expect_path[64], errors_path[64], detail[KD_DETAIL];
	struct child child = {.argv = argv, .in = -1, .in_cgroups = true};
	long started = now_ms();
	int status;

	for (int i = 0; i < n; i++)
		from[i] = turns[i]->capture.read_to;
	snprintf(expect_path, sizeof(expect_path), "/tmp/%s.%s", turns[0]->driver->kind, name);
	snprintf(errors_path, sizeof(errors_path), "/tmp/%s.%s-errors", turns[0]->driver->kind, name);
	result_stage(kinds, name);
	child.out = open(expect_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	child.err = open(errors_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	status = child_wait(child_start(&child), plan.limit_cases);
	close(child.out);
	close(child.err);
	file_tail(errors_path, detail, sizeof(detail));
	result_step(kinds, name, status, now_ms() - started, detail);
	if (status == KD_TIMED_OUT) {
		for (int i = 0; i < n; i++)
			turns[i]->answers = false;
		return;
	}
	capture_report_expectations(kinds, expect_path, &report);
	for (int i = 0; i < n; i++) {
		report.from = from[i];
		flush_and_report(turns[i], flush_name, &report);
	}
}

/* Those of the turns whose driver still answers, at the front of `among`; how many. */
static int answering(struct turn *const *turns, int n, struct turn **among)
{
	int found = 0;

	for (int i = 0; i < n; i++)
		if (turns[i]->answers)
			among[found++] = turns[i];
	return found;
}

static void step_cases(struct turn *const *turns, int n)
{
	const char *argv[2 + 2 * KD_MAX_ONLY] = {"/bin/kd-cases"};

	for (int i = 0; i < plan.n_only; i++) {
		argv[1 + 2 * i] = "--only";
		argv[2 + 2 * i] = plan.only[i];
	}
	run_cases(turns, n, "cases", "flush", argv);
	for (int i = 0; i < n; i++)
		if (turns[i]->answers)
			turns[i]->answers = report_stats(&turns[i]->capture, turns[i]->driver->kind, "cases") == 0;
}

/* Switches events on or off; one that this kernel cannot give was named when kd-capture was ready. */
static bool switch_asked(struct turn *turn, const char *how)
{
	static const char *const names[] = {"signaldeliver", "page_fault", "syscall"};
	char command[64];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		int status;

		snprintf(command, sizeof(command), "%s %s", how, names[i]);
		status = capture_command(&turn->capture, command, plan.limit_flush, NULL, 0);
		if (status != 0 && status != 1) {
			result_step(turn->driver->kind, "asked", status < 0 ? KD_TIMED_OUT : status, 0, command);
			return false;
		}
	}
	return true;
}

/* Events that come only to who names them, on while their own cases run: elsewhere there would be too many of them. */
static void step_asked(struct turn *const *turns, int n)
{
	static const char *const argv[] = {"/bin/kd-cases", "--only", "asked-*", NULL};
	struct turn *asked[KD_MAX_DRIVERS];

	for (int i = 0; i < n; i++)
		turns[i]->answers = turns[i]->answers && switch_asked(turns[i], "enable");
	n = answering(turns, n, asked);
	if (n > 0)
		run_cases(asked, n, "asked", "asked-flush", argv);
	for (int i = 0; i < n; i++)
		asked[i]->answers = asked[i]->answers && switch_asked(asked[i], "disable");
}

static int step_trials(struct capture *capture, const char *kind)
{
	static const struct {
		const char *name;
		int (*run)(struct capture *, const struct plan *, const char *);
	} trials[] = {{"switch", trial_switch},
		      {"pressure", trial_pressure},
		      {"snaplen", trial_snaplen},
		      {"ports", trial_ports},
		      {"call", trial_call}};
	int failed = 0;

	for (size_t i = 0; i < sizeof(trials) / sizeof(trials[0]); i++) {
		long started = now_ms();
		int status;

		result_stage(kind, trials[i].name);
		status = trials[i].run(capture, &plan, kind);
		result_step(kind, trials[i].name, status, now_ms() - started, status == 1 ? capture->line : "");
		failed = failed ? failed : status;
	}
	report_stats(capture, kind, "trials");
	return failed;
}

static int step_open(struct capture *capture, const struct driver *driver)
{
	char bytes[32], detail[KD_DETAIL];
	/* Together, each of the others sees how often this one looks, and reports it: a hundred times a second is too often. */
	const char *options[] = {"--events",
				 "all,open_e,openat_e,openat2_e,creat_e,connect_e",
				 "--buffer-bytes",
				 bytes,
				 plan.together ? "--pause" : NULL,
				 "200",
				 NULL};
	long started = now_ms();
	int status;

	result_stage(driver->kind, "open");
	snprintf(bytes, sizeof(bytes), "%ld", plan.buffer_bytes);
	status = capture_open(capture, driver, "main", options, plan.limit_open);
	file_tail(capture->errors_path, detail, sizeof(detail));
	result_step(driver->kind, "open", status, now_ms() - started, detail);
	if (status)
		return status;
	result_printf("{\"driver\":\"%s\",\"ready_line\":", driver->kind);
	result_raw(capture->ready, strlen(capture->ready));
	result_raw("}", 1);
	result_end_line();
	return 0;
}

static void step_quit(struct capture *capture, const char *kind)
{
	long started = now_ms();
	char detail[KD_DETAIL];
	int status;

	result_stage(kind, "quit");
	status = capture_close(capture, plan.limit_unload);
	file_tail(capture->errors_path, detail, sizeof(detail));
	result_step(kind, "quit", status, now_ms() - started, detail);
}

static void step_overrun(const struct driver *driver)
{
	long started = now_ms();
	int status;

	if (plan.overrun_calls <= 0)
		return;
	result_stage(driver->kind, "overrun");
	status = trial_overrun(driver, &plan);
	result_step(driver->kind, "overrun", status, now_ms() - started, "");
}

/* The check of a foreign driver: its exit status is the verdict, what it prints last is the reason. */
static void step_check(const struct driver *driver)
{
	struct child child = {.argv = driver->words, .in = -1, .in_cgroups = false};
	long started = now_ms();
	char path[64], detail[KD_DETAIL];
	int status;

	result_stage(driver->kind, "check");
	snprintf(path, sizeof(path), "/tmp/%s.check", driver->kind);
	child.out = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
	child.err = child.out;
	status = child_wait(child_start(&child), plan.limit_cases);
	close(child.out);
	file_tail(path, detail, sizeof(detail));
	result_step(driver->kind, "check", status, now_ms() - started, detail);
}

static void run_foreign(const struct driver *driver, int programs)
{
	if (strcmp(driver->kind, "kmod") == 0 && step_load(driver) != 0)
		return;
	if (driver->n_words > 0)
		step_check(driver);
	step_unload(driver, programs);
}

/* What calls cost, in place of the cases. */
static void step_cost(struct turn *turn)
{
	const char *kind = turn->driver->kind;
	int status;

	result_stage(kind, "cost");
	status = cost_driver(&turn->capture, kind);
	result_step(kind, "cost", status, 0, status == 1 ? turn->capture.line : "");
	turn->answers = false; /* nothing else is tried */
}

/* What the driver did not give back; the kernel frees maps and programs some time after the last descriptor was closed. */
static long kept_pages_kb(long before)
{
	long until = now_ms() + plan.limit_unload, kept = kernel_pages_kb() - before;

	while (kept > KD_PAGES_NOISE_KB && now_ms() < until) {
		nap_ms(50);
		kept = kernel_pages_kb() - before;
	}
	return kept;
}

/* From nothing to a driver that answers. */
static void turn_begin(struct turn *turn, const struct driver *driver)
{
	memset(turn, 0, sizeof(*turn));
	turn->driver = driver;
	turn->taint = kernel_taint();
	turn->started = now_real_ns();
	turn->pages = kernel_pages_kb();
	turn->programs = bpf_programs();
	if (driver->foreign) {
		run_foreign(driver, turn->programs);
	} else if (strcmp(driver->kind, "kmod") != 0 || step_load(driver) == 0) {
		turn->loaded = true;
		turn->open = step_open(&turn->capture, driver) == 0;
		turn->answers = turn->open;
	}
}

/* What the trials of others made this driver see is none of its own: it is read before its own trials. */
static bool skip_others(struct turn *turn)
{
	const char *kind = turn->driver->kind;
	char detail[KD_DETAIL];
	long started = now_ms();
	int status;

	result_stage(kind, "others-flush");
	status = capture_command(&turn->capture, "flush", plan.limit_flush, NULL, 0);
	if (status == 0)
		return true;
	file_tail(turn->capture.errors_path, detail, sizeof(detail));
	result_step(kind, "others-flush", status, now_ms() - started, detail);
	return false;
}

/* What is tried with one driver only, and its end. */
static void turn_end(struct turn *turn)
{
	if (turn->answers && plan.together)
		turn->answers = skip_others(turn);
	if (turn->answers)
		step_trials(&turn->capture, turn->driver->kind);
	if (turn->open)
		step_quit(&turn->capture, turn->driver->kind);
	if (turn->answers)
		step_overrun(turn->driver);
	if (turn->loaded)
		step_unload(turn->driver, turn->programs);
}

/* kinds: of this driver, or of all that had this turn together. */
static void turn_report(const struct turn *turn, const char *kinds)
{
	kernel_log_report(kinds);
	result_printf("{\"driver\":\"%s\",\"taint_before\":%lu,\"taint_after\":%lu,\"time_before\":%llu,"
		      "\"time_after\":%llu,\"pages_kept_kb\":%ld}",
		      kinds, turn->taint, kernel_taint(), turn->started, now_real_ns(), kept_pages_kb(turn->pages));
	result_end_line();
	result_printf("{\"driver\":\"%s\",\"done\":true}", kinds);
	result_end_line();
	result_flush();
}

void run_driver(const struct driver *driver)
{
	static struct turn turn;
	struct turn *turns[] = {&turn};

	kernel_log_mark();
	turn_begin(&turn, driver);
	if (turn.answers && plan.cost_calls > 0) {
		step_cost(&turn);
	} else if (turn.answers) {
		step_cases(turns, 1);
		step_asked(turns, 1);
		if (turn.answers && plan.strace)
			turn.answers = run_traced(&turn.capture, &plan, driver->kind) == 0;
	}
	turn_end(&turn);
	turn_report(&turn, driver->kind);
}

/*
 * All drivers at once: they are loaded one after another, the cases run once while all of them watch, and in the
 * opposite order each has its trials and its end. What the kernel said meanwhile is said of all of them.
 */
void run_together(const struct driver *drivers, int n)
{
	static struct turn every[KD_MAX_DRIVERS];
	struct turn *turns[KD_MAX_DRIVERS], *watching[KD_MAX_DRIVERS];
	int n_watching;

	kernel_log_mark();
	for (int i = 0; i < n; i++) {
		turns[i] = &every[i];
		turn_begin(turns[i], &drivers[i]);
	}
	n_watching = answering(turns, n, watching);
	if (n_watching > 0)
		step_cases(watching, n_watching);
	n_watching = answering(turns, n, watching);
	if (n_watching > 0)
		step_asked(watching, n_watching);
	for (int i = n - 1; i >= 0; i--)
		turn_end(turns[i]);
	turn_report(turns[0], kinds_of(turns, n));
}
