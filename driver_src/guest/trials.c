// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * What is tried beside the cases: switching events off and on while others run, the capture length, a competing load,
 * and a buffer that is too small. Each trial writes the numbers that it counted; the host judges them.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "guest.h"

#define SWITCH_CALLS 8
#define SNAPLEN_ASKED 16
#define SNAPLEN_WRITTEN 64

/* dup is used nowhere else by process 1: every one of its dup events belongs to a trial. */
static void dup_and_close(int times)
{
	for (int i = 0; i < times; i++) {
		int fd = (int)syscall(SYS_dup, 0);

		if (fd >= 0)
			close(fd);
	}
}

static int other_reader(void *context)
{
	int fd = open("/plan", O_RDONLY | O_CLOEXEC);
	char byte;

	(void)context;
	for (;;) {
		if (pread(fd, &byte, 1, 0) < 0)
			return 1;
		nap_ms(2);
	}
}

int trial_switch(struct capture *capture, const struct plan *plan, const char *kind)
{
	pid_t other = child_call(other_reader, NULL);
	struct tally off[2] = {{.name = "dup", .tid = 1}, {.name = "pread", .tid = other}};
	struct tally on[2] = {{.name = "dup", .tid = 1}, {.name = "pread", .tid = other}};
	int status;

	status = capture_command(capture, "disable dup", plan->limit_flush, NULL, 0);
	if (status == 0) {
		dup_and_close(SWITCH_CALLS);
		nap_ms(20);
		status = capture_command(capture, "flush", plan->limit_flush, off, 2);
	}
	if (status == 0)
		status = capture_command(capture, "enable dup", plan->limit_flush, on, 2);
	if (status == 0) {
		dup_and_close(SWITCH_CALLS);
		status = capture_command(capture, "flush", plan->limit_flush, on, 2);
	}
	child_stop(other);
	result_printf("{\"driver\":\"%s\",\"switch\":{\"event\":\"dup\",\"made\":%d,\"while_off\":%lu,"
		      "\"others_while_off\":%lu,\"while_on\":%lu}}",
		      kind, SWITCH_CALLS, off[0].count, off[1].count, on[0].count);
	result_end_line();
	return status;
}

static void call_without_event(int times)
{
	for (int i = 0; i < times; i++) {
		syscall(SYS_getppid);
		syscall(SYS_getpgid, 0);
	}
}

/* The generic event of one call, of which another such call is none. */
int trial_call(struct capture *capture, const struct plan *plan, const char *kind)
{
	struct tally on = {.name = "syscall", .tid = 1}, off = {.name = "syscall", .tid = 1};
	int status = capture_command(capture, "enable getppid", plan->limit_flush, NULL, 0);

	if (status == 0) {
		call_without_event(SWITCH_CALLS);
		status = capture_command(capture, "flush", plan->limit_flush, &on, 1);
	}
	if (status == 0)
		status = capture_command(capture, "disable getppid", plan->limit_flush, &on, 1);
	if (status == 0) {
		call_without_event(SWITCH_CALLS);
		status = capture_command(capture, "flush", plan->limit_flush, &off, 1);
	}
	result_printf("{\"driver\":\"%s\",\"call\":{\"made\":%d,\"seen\":%lu,\"while_off\":%lu}}", kind, SWITCH_CALLS,
		      on.count, off.count);
	result_end_line();
	return status;
}

int trial_snaplen(struct capture *capture, const struct plan *plan, const char *kind)
{
	int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
	char text[SNAPLEN_WRITTEN], holds[32], command[32];
	struct tally tally = {.name = "write", .tid = 1, .holds = holds};
	int status;

	memset(text, 'k', sizeof(text));
	snprintf(holds, sizeof(holds), "\"fd\":%d,", fd);
	snprintf(command, sizeof(command), "snaplen %d", SNAPLEN_ASKED);
	status = capture_command(capture, command, plan->limit_flush, NULL, 0);
	if (status == 0) {
		if (write(fd, text, sizeof(text)) != (ssize_t)sizeof(text))
			status = 1;
		else
			status = capture_command(capture, "flush", plan->limit_flush, &tally, 1);
	}
	close(fd);
	result_printf("{\"driver\":\"%s\",\"snaplen\":{\"asked\":%d,\"written\":%d,\"events\":%lu,\"seen\":%ld}}", kind,
		      SNAPLEN_ASKED, SNAPLEN_WRITTEN, tally.count, tally.data);
	result_end_line();
	return status;
}

/* One message to a port, or with `from` from one; how many of its bytes the event has. */
static int send_one(struct capture *capture, const struct plan *plan, int to, int from, const char *head, size_t size,
		    long *seen)
{
	static char text[4000];
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), status = 1;
	struct tally tally = {.name = "sendto", .tid = 1, .data = -1};

	memset(text, 'k', sizeof(text));
	memcpy(text, head, strlen(head));
	address.sin_port = htons((unsigned short)from);
	if (fd >= 0 && (!from || bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0)) {
		address.sin_port = htons((unsigned short)to);
		if (sendto(fd, text, size, 0, (struct sockaddr *)&address, sizeof(address)) == (ssize_t)size)
			status = capture_command(capture, "flush", plan->limit_flush, &tally, 1);
	}
	close(fd);
	*seen = tally.data;
	return status;
}

/* The dynamic capture length: what is sent to which port, how it begins, and how much of it must be seen. */
int trial_ports(struct capture *capture, const struct plan *plan, const char *kind)
{
	static const struct {
		int to, from;
		const char *head;
		size_t size;
		long want;
	} messages[] = {
		{7001, 0, "", 3000, 3000},
		{9, 7000, "", 3000, 3000},
		{7002, 0, "", 3000, SNAPLEN_ASKED},
		{8126, 0, "", 3000, 2000},
		{8125, 0, "", 3000, SNAPLEN_ASKED},
		{53, 0, "", 700, 512},
		{9, 0, "GET /", 2500, 2000},
		{9, 0, "HTTP/1.1", 2500, 2000},
		{9, 0, "HTTPS", 2500, SNAPLEN_ASKED},
		{5432, 0, "Q", 100, SNAPLEN_ASKED},
		{27017, 0, "", 3000, 2000},
		{3306, 0, "\3", 3000, 2000},
		{3306, 0, "GET ", 3000, SNAPLEN_ASKED},
	};
	static const char *const commands[] = {"fullcapture-ports 7000-7001", "statsd-port 8126", "dynamic-snaplen on"};
	unsigned int right = 0, count = sizeof(messages) / sizeof(messages[0]), i;
	long seen = -1, after = -1, wrong_seen = 0;
	int status = 0, wrong = -1;

	for (i = 0; i < 3 && status == 0; i++)
		status = capture_command(capture, commands[i], plan->limit_flush, NULL, 0);
	for (i = 0; i < count && status == 0; i++) {
		status = send_one(capture, plan, messages[i].to, messages[i].from, messages[i].head, messages[i].size,
				  &seen);
		if (seen == messages[i].want) {
			right++;
		} else if (wrong < 0) {
			wrong = (int)i;
			wrong_seen = seen;
		}
	}
	if (status == 0)
		status = capture_command(capture, "dynamic-snaplen off", plan->limit_flush, NULL, 0);
	if (status == 0)
		status = send_one(capture, plan, 7001, 0, "", 3000, &after);
	result_printf(
		"{\"driver\":\"%s\",\"ports\":{\"made\":%u,\"right\":%u,\"wrong\":%d,\"wrong_seen\":%ld,\"off\":%ld,"
		"\"off_wanted\":%d}}",
		kind, count, right, wrong, wrong_seen, after, SNAPLEN_ASKED);
	result_end_line();
	return status;
}

/* Calls that no event serves: they run the driver's hook and leave nothing behind. */
static void idle_calls(int times)
{
	for (int i = 0; i < times; i++)
		syscall(SYS_getppid);
}

static int competitor(void *context)
{
	(void)context;
	system_pin_to_first_cpu();
	for (;;)
		idle_calls(1000);
	return 0;
}

static int counted(void *context)
{
	int rounds = *(int *)context;

	system_pin_to_first_cpu();
	for (int i = 0; i < rounds; i++) {
		dup_and_close(1);
		idle_calls(20);
	}
	return 0;
}

/* Two processes compete for one CPU; every counted call of the one must come out, whatever the other does. */
int trial_pressure(struct capture *capture, const struct plan *plan, const char *kind)
{
	pid_t load = child_call(competitor, NULL);
	int rounds = plan->pressure_rounds;
	pid_t caller = child_call(counted, &rounds);
	struct tally tallies[2] = {{.name = "dup", .tid = caller}, {.name = "close", .tid = caller}};
	int status = child_wait(caller, plan->limit_cases);

	child_stop(load);
	if (status == 0)
		status = capture_command(capture, "flush", plan->limit_flush, tallies, 2);
	result_printf("{\"driver\":\"%s\",\"pressure\":{\"made\":%d,\"seen\":%lu,\"backwards\":%lu}}", kind, 2 * rounds,
		      tallies[0].count + tallies[1].count, tallies[0].backwards + tallies[1].backwards);
	result_end_line();
	return status;
}

/*
 * A second consumer with a small buffer, stopped while the calls are made: what does not fit must be counted. It also
 * asks for the time of entry, which the first one did not. Of an eBPF object it loads one event's programs only: the
 * first consumer loaded all.
 */
int trial_overrun(const struct driver *driver, const struct plan *plan)
{
	char bytes[32];
	const char *options[] = {"--events", "dup", "--minimal", "--buffer-bytes", bytes, "--enter-time", NULL};
	struct tally tallies[2] = {{.name = "dup", .tid = 1}, {.name = "dup", .tid = 1}};
	struct capture capture;
	int status, after;

	snprintf(bytes, sizeof(bytes), "%ld", plan->small_buffer_bytes);
	status = capture_open(&capture, driver, "overrun", options, plan->limit_open);
	if (status) {
		char detail[KD_DETAIL];

		file_tail(capture.errors_path, detail, sizeof(detail));
		result_step(driver->kind, "reopen", status, 0, detail);
		return status;
	}
	dup_and_close(SWITCH_CALLS);
	status = capture_command(&capture, "flush", plan->limit_flush, &tallies[0], 1);
	if (status == 0) {
		kill(capture.pid, SIGSTOP);
		dup_and_close(plan->overrun_calls);
		kill(capture.pid, SIGCONT);
		/* The kernel reports what a perf buffer lost with the next record that fits. */
		nap_ms(50);
		dup_and_close(SWITCH_CALLS);
		status = capture_command(&capture, "flush", plan->limit_flush, &tallies[1], 1);
	}
	if (status == 0)
		status = capture_command(&capture, "stats", plan->limit_flush, NULL, 0);
	after = capture_close(&capture, plan->limit_unload);
	result_printf("{\"driver\":\"%s\",\"overrun\":{\"made\":%d,\"seen\":%lu,\"entry_asked\":%lu,\"entry_seen\":%lu,"
		      "\"stats\":%s}}",
		      driver->kind, plan->overrun_calls + 2 * SWITCH_CALLS, tallies[0].count + tallies[1].count,
		      tallies[0].count, tallies[0].with_enter, capture.stats[0] ? capture.stats : "null");
	result_end_line();
	return status ? status : after;
}
