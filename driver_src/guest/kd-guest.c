// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Process 1 of the guest: takes each driver of the plan through its life (load, open, cases, switching, competing load,
 * overrun, unload), writes what happened to the result channel, and ends the guest. It judges nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/reboot.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "guest.h"

static int load_module(const struct driver *driver, char *detail, size_t size)
{
	int status = module_insert(driver->path, "");

	if (status) {
		snprintf(detail, size, "finit_module: %s", strerror(status));
		return status;
	}
	if (!driver->foreign && !device_wait(driver->name, plan.limit_open)) {
		snprintf(detail, size, "no device /dev/%s0 appeared", driver->name);
		return ENODEV;
	}
	return 0;
}

/* The context of load_in_child: insertion can hang, so it has a process of its own. */
struct load {
	const struct driver *driver;
	const char *detail_path;
};

static int load_in_child(void *context)
{
	const struct load *load = context;
	char detail[KD_DETAIL] = "";
	int status = load_module(load->driver, detail, sizeof(detail));
	int fd = open(load->detail_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (write(fd, detail, strlen(detail)) < 0)
		return status ? status : EIO;
	close(fd);
	return status;
}

static int remove_in_child(void *context)
{
	const struct driver *driver = context;
	long until = now_ms() + plan.limit_unload;
	int status;

	/* Busy for a moment after the last consumer closed the device. */
	while ((status = module_remove(driver->name)) == EAGAIN || status == EBUSY || status == EWOULDBLOCK) {
		if (now_ms() > until)
			return status;
		nap_ms(20);
	}
	return status;
}

static int step_load(const struct driver *driver)
{
	struct load load = {driver, "/tmp/load.detail"};
	char detail[KD_DETAIL];
	long started = now_ms();
	int status;

	result_stage(driver->kind, "load");
	status = child_wait(child_call(load_in_child, &load), plan.limit_load);
	file_tail(load.detail_path, detail, sizeof(detail));
	result_step(driver->kind, "load", status, now_ms() - started, detail);
	return status;
}

static void step_unload(const struct driver *driver, int programs_before)
{
	long started = now_ms();
	char detail[256] = "";
	int status = 0, programs = -1;

	result_stage(driver->kind, "unload");
	if (strcmp(driver->kind, "kmod") == 0) {
		if (!module_present(driver->name))
			return;
		status = child_wait(child_call(remove_in_child, (void *)driver), plan.limit_unload + 5000);
		if (status)
			snprintf(detail, sizeof(detail), "delete_module: %s",
				 status == KD_TIMED_OUT ? "hung" : strerror(status));
		else if (module_present(driver->name)) {
			status = EBUSY;
			snprintf(detail, sizeof(detail), "module %s is still there", driver->name);
		} else if (device_present(driver->name)) {
			status = EBUSY;
			snprintf(detail, sizeof(detail), "device /dev/%s0 is still there", driver->name);
		}
	} else {
		/* The kernel frees programs some time after the last descriptor was closed. */
		while ((programs = bpf_programs()) > programs_before && now_ms() - started < plan.limit_unload)
			nap_ms(20);
		if (programs > programs_before) {
			status = EBUSY;
			snprintf(detail, sizeof(detail), "%d eBPF programs are still loaded",
				 programs - programs_before);
		}
	}
	result_step(driver->kind, "unload", status, now_ms() - started, detail);
}

static void report_stats(struct capture *capture, const char *kind, const char *after)
{
	capture->stats[0] = 0;
	if (capture_command(capture, "stats", plan.limit_flush, NULL, 0) == 0 && capture->stats[0]) {
		result_printf("{\"driver\":\"%s\",\"stats_after\":\"%s\",\"stats_line\":%s}", kind, after,
			      capture->stats);
		result_end_line();
	}
}

/* The case program and what comes of it; flush_name: what the step of reading the events is called. */
static int run_cases(struct capture *capture, const char *kind, const char *name, const char *flush_name,
		     const char *const *argv)
{
	off_t start = capture->read_to;
	char expect_path[64], errors_path[64], detail[KD_DETAIL];
	struct child child = {.argv = argv, .in = -1, .in_cgroups = true};
	long started = now_ms();
	int status;

	snprintf(expect_path, sizeof(expect_path), "/tmp/%s.%s", kind, name);
	snprintf(errors_path, sizeof(errors_path), "/tmp/%s.%s-errors", kind, name);
	result_stage(kind, name);
	child.out = open(expect_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	child.err = open(errors_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	status = child_wait(child_start(&child), plan.limit_cases);
	close(child.out);
	close(child.err);
	file_tail(errors_path, detail, sizeof(detail));
	result_step(kind, name, status, now_ms() - started, detail);
	if (status == KD_TIMED_OUT)
		return status;
	started = now_ms();
	result_stage(kind, flush_name);
	status = capture_command(capture, "flush", plan.limit_flush, NULL, 0);
	file_tail(capture->errors_path, detail, sizeof(detail));
	result_step(kind, flush_name, status, now_ms() - started, detail);
	if (status)
		return status;
	capture_report_events(capture, kind,
			      &(struct report){.prefix = "",
					       .expect_path = expect_path,
					       .from = start,
					       .end = capture->read_to,
					       .bytes_max = plan.events_bytes_max});
	return 0;
}

static int step_cases(struct capture *capture, const char *kind)
{
	const char *argv[2 + 2 * KD_MAX_ONLY] = {"/bin/kd-cases"};
	int status;

	for (int i = 0; i < plan.n_only; i++) {
		argv[1 + 2 * i] = "--only";
		argv[2 + 2 * i] = plan.only[i];
	}
	status = run_cases(capture, kind, "cases", "flush", argv);

	if (status == 0)
		report_stats(capture, kind, "cases");
	return status;
}

/* Events that come only to who names them, on while their own cases run: elsewhere there would be too many of them. */
static int step_asked(struct capture *capture, const char *kind)
{
	static const char *const argv[] = {"/bin/kd-cases", "--only", "asked-*", NULL};
	static const char *const names[] = {"signaldeliver", "page_fault", "syscall"};
	char command[64];
	int status;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(command, sizeof(command), "enable %s", names[i]);
		/* One that this kernel cannot give was named when kd-capture was ready. */
		if (capture_command(capture, command, plan.limit_flush, NULL, 0) > 1)
			return KD_TIMED_OUT;
	}
	status = run_cases(capture, kind, "asked", "asked-flush", argv);
	for (size_t i = 0; status == 0 && i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(command, sizeof(command), "disable %s", names[i]);
		if (capture_command(capture, command, plan.limit_flush, NULL, 0) > 1)
			status = KD_TIMED_OUT;
	}
	return status;
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
	const char *options[] = {"--events", "all,open_e,openat_e,openat2_e,creat_e,connect_e", "--buffer-bytes", bytes,
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

/* The cases and trials, or the loops of cost.c; false when the driver no longer answers. */
static bool step_work(struct capture *capture, const char *kind)
{
	int status;

	if (plan.cost_calls <= 0) {
		if (step_cases(capture, kind) != 0 || step_asked(capture, kind) != 0)
			return false;
		if (plan.strace && run_traced(capture, &plan, kind) != 0)
			return false;
		step_trials(capture, kind);
		return true;
	}
	result_stage(kind, "cost");
	status = cost_driver(capture, kind);
	result_step(kind, "cost", status, 0, status == 1 ? capture->line : "");
	return status == 0;
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

static void run_driver(const struct driver *driver)
{
	unsigned long taint = kernel_taint();
	unsigned long long started = now_real_ns();
	long pages = kernel_pages_kb();
	int programs = bpf_programs();
	struct capture capture;

	kernel_log_mark();
	if (driver->foreign)
		run_foreign(driver, programs);
	else if (strcmp(driver->kind, "kmod") != 0 || step_load(driver) == 0) {
		if (step_open(&capture, driver) == 0) {
			bool answers = step_work(&capture, driver->kind);

			step_quit(&capture, driver->kind);
			if (answers && plan.cost_calls <= 0)
				step_overrun(driver);
		}
		step_unload(driver, programs);
	}
	kernel_log_report(driver->kind);
	result_printf("{\"driver\":\"%s\",\"taint_before\":%lu,\"taint_after\":%lu,\"time_before\":%llu,"
		      "\"time_after\":%llu,\"pages_kept_kb\":%ld}",
		      driver->kind, taint, kernel_taint(), started, now_real_ns(), kept_pages_kb(pages));
	result_end_line();
	result_printf("{\"driver\":\"%s\",\"done\":true}", driver->kind);
	result_end_line();
	result_flush();
}

static void end_guest(int rc)
{
	result_close(rc);
	sync();
	/* QEMU runs with -no-reboot: this ends it. */
	reboot(RB_AUTOBOOT);
	for (;;)
		pause();
}

static void block_child_signal(void)
{
	sigset_t set;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
}

int main(void)
{
	struct utsname name;
	char bad_line[512];
	int i;

	system_setup();
	block_child_signal();
	if (result_open() != 0) {
		fprintf(stderr, "kd-guest: /dev/ttyS1 cannot be opened\n");
		end_guest(1);
	}
	uname(&name);
	result_printf("{\"hello\":1,\"release\":\"%s\",\"version\":\"%s\"}", name.release, name.version);
	result_end_line();
	result_flush();
	if (!plan_read(bad_line, sizeof(bad_line))) {
		result_step("-", "plan", 1, 0, bad_line);
		end_guest(1);
	}
	for (i = 0; i < plan.n_modules; i++) {
		int status = module_insert(plan.modules[i], "");

		if (status && status != EEXIST)
			result_step("-", "module", status, 0, plan.modules[i]);
	}
	if (plan.cost_calls > 0)
		cost_base();
	if (plan.shell[0])
		end_guest(shell_run(plan.shell));
	for (i = 0; i < plan.n_drivers; i++)
		run_driver(&plan.drivers[i]);
	end_guest(0);
	return 0;
}
