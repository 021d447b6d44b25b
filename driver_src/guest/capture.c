// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * One running kd-capture: commands go to its standard input, its lines to a file in memory. A file, not a pipe: it must
 * never wait for process 1, which is silent while the cases run.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "guest.h"

#define POLL_MS 10

/* Lines of a file that may still grow. taken: by a capture that is not closed yet. */
struct reader {
	bool taken;
	int fd;
	char *text;
	size_t size;
	size_t from;
	size_t to;
};

/* One for each kd-capture that runs, and the last one for reports. */
static struct reader readers[KD_MAX_DRIVERS + 2];
static struct reader *const reporter = &readers[KD_MAX_DRIVERS + 1];

static struct reader *reader_start(struct reader *reader, int fd)
{
	reader->taken = true;
	reader->fd = fd;
	reader->from = 0;
	reader->to = 0;
	return reader;
}

/* There are no more captures at a time than drivers. */
static struct reader *reader_free(void)
{
	struct reader *reader = readers;

	while (reader->taken && reader < reporter - 1)
		reader++;
	return reader;
}

/* The next whole line, without its end and NUL-terminated, or NULL when there is none yet. */
static char *reader_line(struct reader *reader, size_t *len)
{
	size_t seen = reader->from;

	for (;;) {
		char *end = reader->to > seen ? memchr(reader->text + seen, '\n', reader->to - seen) : NULL;
		ssize_t n;

		if (end) {
			char *line = reader->text + reader->from;

			*end = 0;
			*len = (size_t)(end - line);
			reader->from = (size_t)(end - reader->text) + 1;
			return line;
		}
		seen = reader->to;
		if (reader->from > 0) {
			memmove(reader->text, reader->text + reader->from, reader->to - reader->from);
			reader->to -= reader->from;
			seen -= reader->from;
			reader->from = 0;
		}
		if (reader->size - reader->to < 65536) {
			char *grown = realloc(reader->text, reader->size + 262144);

			if (!grown)
				return NULL;
			reader->text = grown;
			reader->size += 262144;
		}
		n = read(reader->fd, reader->text + reader->to, reader->size - reader->to);
		if (n <= 0)
			return NULL;
		reader->to += (size_t)n;
	}
}

static bool starts_with(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

static pid_t line_tid(const char *line)
{
	const char *at = strstr(line, "\"tid\":");

	return at ? (pid_t)strtol(at + 6, NULL, 10) : -1;
}

/* How many bytes the hexadecimal string of a line's parameter stands for, -1 without one. */
static long hex_bytes(const char *line, const char *key)
{
	const char *at = strstr(line, key), *end;

	if (!at)
		return -1;
	at += strlen(key);
	end = strchr(at, '"');
	return end ? (end - at) / 2 : -1;
}

static void tally_line(struct tally *tally, const char *line)
{
	unsigned long long ts, enter_ts;
	const char *name, *enter;
	char wanted[64];

	if (line_tid(line) != tally->tid)
		return;
	name = strstr(line, "\"name\":\"");
	snprintf(wanted, sizeof(wanted), "\"name\":\"%s\"", tally->name);
	if (!name || !starts_with(name, wanted) || (tally->holds && !strstr(line, tally->holds)))
		return;
	tally->count++;
	ts = starts_with(line, "{\"ts\":") ? strtoull(line + 6, NULL, 10) : 0;
	tally->backwards += ts < tally->last_ts;
	tally->last_ts = ts;
	enter = strstr(line, "\"enter_ts\":");
	enter_ts = enter ? strtoull(enter + 11, NULL, 10) : 0;
	tally->with_enter += enter_ts > 0 && enter_ts <= ts;
	tally->data = hex_bytes(line, "\"data\":\"");
}

/* Reads lines until one starts with `wanted` (1), time is up (0), or kd-capture ended (-1). */
static int read_until(struct capture *capture, const char *wanted, long limit_ms, struct tally *tallies, int n)
{
	long until = now_ms() + limit_ms;
	unsigned int lines = 0;
	int status;

	for (;;) {
		size_t len;
		char *line = reader_line(capture->reader, &len);

		if (line) {
			/* A stream that never ends must end here, too. */
			if (++lines % 256 == 0 && now_ms() > until)
				return 0;
			capture->read_to += (off_t)len + 1;
			capture->line = line;
			if (starts_with(line, wanted))
				return 1;
			if (starts_with(line, "{\"stats\":"))
				snprintf(capture->stats, sizeof(capture->stats), "%s", line);
			else
				for (int i = 0; i < n; i++)
					tally_line(&tallies[i], line);
			continue;
		}
		if (capture->pid > 0 && child_ended(capture->pid, &status)) {
			capture->status = status;
			capture->pid = -1;
			continue; /* what it wrote last */
		}
		if (capture->pid <= 0)
			return -1;
		if (now_ms() > until)
			return 0;
		nap_ms(POLL_MS);
	}
}

/* Starts kd-capture and waits until it is ready. 0, KD_TIMED_OUT, or its exit status. options: ends with NULL. */
int capture_open(struct capture *capture, const struct driver *driver, const char *tag, const char *const *options,
		 long limit_ms)
{
	const char *argv[32] = {"/bin/kd-capture", "--driver", NULL, "--json", "--control", NULL};
	struct child child = {.argv = argv, .in_cgroups = false};
	bool module = strcmp(driver->kind, "kmod") == 0;
	char spec[160];
	int pipe_fds[2], n = 5, found;

	memset(capture, 0, sizeof(*capture));
	capture->pid = -1;
	capture->commands = -1;
	capture->output = -1;
	snprintf(spec, sizeof(spec), "%s%s", module ? "kmod:" : "", module ? driver->name : driver->path);
	argv[2] = spec;
	if (plan.btf[0] && strcmp(driver->kind, "core") == 0) {
		argv[n++] = "--btf";
		argv[n++] = plan.btf;
	}
	while (*options && n < 31)
		argv[n++] = *options++;
	argv[n] = NULL;
	snprintf(capture->output_path, sizeof(capture->output_path), "/tmp/%s-%s.out", driver->kind, tag);
	snprintf(capture->errors_path, sizeof(capture->errors_path), "/tmp/%s-%s.err", driver->kind, tag);
	if (pipe2(pipe_fds, O_CLOEXEC) != 0)
		return errno;
	child.in = pipe_fds[0];
	child.out = open(capture->output_path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
	child.err = open(capture->errors_path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
	capture->output = open(capture->output_path, O_RDONLY | O_CLOEXEC);
	capture->commands = pipe_fds[1];
	capture->pid = child_start(&child);
	close(pipe_fds[0]);
	close(child.out);
	close(child.err);
	capture->reader = reader_start(reader_free(), capture->output);
	found = read_until(capture, "{\"ready\":", limit_ms, NULL, 0);
	if (found == 1) {
		snprintf(capture->ready, sizeof(capture->ready), "%s", capture->line);
		return 0;
	}
	if (found == 0) {
		capture_close(capture, 0);
		return KD_TIMED_OUT;
	}
	/* It ended before it was ready, whatever status it ended with. */
	return capture->status ? capture->status : 1;
}

/* Sends one command and reads up to its answer. 0, 1 where it was refused, KD_TIMED_OUT, or -1 when kd-capture ended. */
int capture_command(struct capture *capture, const char *command, long limit_ms, struct tally *tallies, int n)
{
	char line[128], wanted[160];
	int found;

	snprintf(line, sizeof(line), "%s\n", command);
	snprintf(wanted, sizeof(wanted), "{\"ack\":\"%s\"", command);
	if (capture->pid <= 0 || write(capture->commands, line, strlen(line)) < 0)
		return -1;
	found = read_until(capture, wanted, limit_ms, tallies, n);
	if (found == 1)
		return strstr(capture->line, "\"ok\":true") ? 0 : 1;
	return found == 0 ? KD_TIMED_OUT : -1;
}

/* Asks it to quit and waits; its exit status, or KD_TIMED_OUT after which it was killed. */
int capture_close(struct capture *capture, long limit_ms)
{
	int status = capture->status;

	if (capture->pid > 0) {
		if (limit_ms > 0 && write(capture->commands, "quit\n", 5) < 0)
			limit_ms = 0;
		status = child_wait(capture->pid, limit_ms);
	}
	if (capture->commands >= 0)
		close(capture->commands);
	if (capture->output >= 0)
		close(capture->output);
	if (capture->reader)
		capture->reader->taken = false;
	capture->pid = -1;
	capture->commands = -1;
	capture->output = -1;
	return status;
}

static void report_bulk(const char *kind, const char *prefix, const char *what)
{
	char name[64];

	snprintf(name, sizeof(name), "%s%s", prefix, what);
	bulk_report(kind, name);
}

static bool tid_known(const pid_t *tids, int n, pid_t tid)
{
	for (int i = n - 1; i >= 0; i--)
		if (tids[i] == tid)
			return true;
	return false;
}

/* The scheduler switches when it likes: such an event is of use in a thread only that expects one. */
static bool wanted(const char *line, const pid_t *switching, int n)
{
	return !strstr(line, ",\"name\":\"switch\",") || tid_known(switching, n, line_tid(line));
}

static void report_line(const char *kind, const char *prefix, const char *what, const char *line, size_t len)
{
	if (bulk_line(line, len))
		return;
	report_bulk(kind, prefix, what); /* what was added before comes before this line */
	result_printf("{\"driver\":\"%s\",\"%s%s\":", kind, prefix, what);
	result_raw(line, len);
	result_raw("}", 1);
	result_end_line();
}

/* Writes what the case program expects. */
void capture_report_expectations(const char *kinds, const char *path, struct report *report)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct reader *reader = reader_start(reporter, fd);
	size_t len;
	char *line;

	report->n_tids = 0;
	report->n_switching = 0;
	while (fd >= 0 && (line = reader_line(reader, &len))) {
		pid_t tid = line_tid(line);

		report_line(kinds, report->prefix, "expect", line, len);
		if (report->n_tids < KD_MAX_TIDS && !tid_known(report->tids, report->n_tids, tid))
			report->tids[report->n_tids++] = tid;
		if (report->n_switching < KD_MAX_SWITCHING && strstr(line, ",\"event\":\"switch\","))
			report->switching[report->n_switching++] = tid;
	}
	report_bulk(kinds, report->prefix, "expect");
	if (fd >= 0)
		close(fd);
}

/*
 * Writes the events (of a part of kd-capture's output) of the threads that the expectations name. Events of other
 * threads are not written.
 */
void capture_report_events(const struct capture *capture, const char *kind, const struct report *report)
{
	unsigned long others = 0, left_out = 0;
	long bytes_max = report->bytes_max;
	off_t offset = report->from;
	size_t len;
	char *line;
	int fd = open(capture->output_path, O_RDONLY | O_CLOEXEC);
	struct reader *reader = reader_start(reporter, fd);

	if (fd >= 0)
		lseek(fd, offset, SEEK_SET);
	while (fd >= 0 && offset < report->end && (line = reader_line(reader, &len))) {
		offset += (off_t)len + 1;
		if (!starts_with(line, "{\"ts\":"))
			continue;
		if (!tid_known(report->tids, report->n_tids, line_tid(line)) ||
		    !wanted(line, report->switching, report->n_switching)) {
			others++;
			continue;
		}
		bytes_max -= (long)len;
		if (bytes_max < 0)
			left_out++;
		else
			report_line(kind, report->prefix, "event", line, len);
	}
	report_bulk(kind, report->prefix, "event");
	if (fd >= 0)
		close(fd);
	result_printf("{\"driver\":\"%s\",\"%sreported\":{\"other_threads\":%lu,\"left_out\":%lu}}", kind,
		      report->prefix, others, left_out);
	result_end_line();
	result_flush();
}
