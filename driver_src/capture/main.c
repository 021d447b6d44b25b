// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * kd-capture: opens a driver, reads its rings, prints its events.
 *
 * The loop polls: nobody wakes a reader, so events cost nothing for it, and this program never wakes itself by the
 * system calls that it makes. It looks every millisecond while there is much, every 30 ms while there is nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "capture.h"

#define MS 1000000ULL
/* How long a program may be at work on an event before the order between threads suffers; see merge.c. */
#define WINDOW_NS (20 * MS)
/* How long an unfinished block may hold up its ring before it is passed over. */
#define BLOCKED_NS (1000 * MS)
#define QUEUED_BYTES_MAX (64u << 20)
#define PAUSE_MIN_MS 1
#define PAUSE_MAX_MS 30

struct kd_session {
	const struct kd_options *options;
	struct kd_driver *driver;
	struct kd_merge *merge;
	__u32 self; /* this program's only thread */
	bool done;
	__u64 blocked_since; /* monotonic; 0: no ring is held up */
	unsigned long long printed;
	unsigned long long malformed;
	unsigned long long seen; /* events of others, in this round */
};

static volatile sig_atomic_t stopped;

static void on_signal(int number)
{
	(void)number;
	stopped = 1;
}

struct kd_driver *kd_session_driver(struct kd_session *session)
{
	return session->driver;
}

void kd_session_quit(struct kd_session *session)
{
	session->done = true;
}

static __u64 monotonic_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (__u64)now.tv_sec * 1000000000ULL + (__u64)now.tv_nsec;
}

static bool wanted(const struct kd_session *session, const struct kd_block *block)
{
	const struct kd_options *options = session->options;
	unsigned int i;
	__u32 tid = (__u32)block->tid, tgid;
	const char *comm;

	if (options->pid_count > 0) {
		tgid = kd_process_tgid(tid, block->ts);
		for (i = 0; i < options->pid_count && options->pids[i] != tgid; i++)
			;
		if (i == options->pid_count)
			return false;
	} else if (tid == session->self && session->driver) {
		return false;
	}
	if (options->comm_count > 0) {
		comm = kd_process_comm(tid, block->ts);
		for (i = 0; i < options->comm_count && strncmp(options->comms[i], comm, 15) != 0; i++)
			;
		if (i == options->comm_count)
			return false;
	}
	return true;
}

static void print_block(struct kd_session *session, const struct kd_block *block)
{
	if (session->options->json)
		kd_json_event(block);
	else
		kd_human_event(block, session->driver ? kd_process_comm((__u32)block->tid, block->ts) : "");
	session->printed++;
	if (session->options->max_events && session->printed >= session->options->max_events)
		session->done = true;
}

/* A kd_emit. Stops the release once enough was printed, or nobody reads any more. */
static int emit_block(void *context, unsigned int cpu, const void *bytes, __u32 size)
{
	struct kd_session *session = context;
	struct kd_block block;
	const char *wrong = kd_block_parse(bytes, size, &block);

	block.cpu = cpu;
	if (wrong) {
		session->malformed++;
		if (session->options->json)
			kd_json_malformed(&block, wrong);
		else
			kd_human_malformed(&block, wrong);
		return 0;
	}
	if (block.tid != session->self)
		session->seen++;
	kd_process_learn(&block);
	if (wanted(session, &block))
		print_block(session, &block);
	kd_process_forget(&block);
	return (session->done && session->options->max_events) || kd_out_closed();
}

/*
 * Empty the rings and print what is older than the window. Returns whether all that was in the rings at its start could
 * be read.
 */
static bool round_of(struct kd_session *session, __u64 window)
{
	struct kd_driver *driver = session->driver;
	__u64 start = driver->ops->now(driver), now;
	int blocked = driver->ops->drain(driver, session->merge);

	if (blocked > 0 && session->blocked_since == 0)
		session->blocked_since = monotonic_ns();
	if (blocked <= 0)
		session->blocked_since = 0;
	now = driver->ops->now(driver);
	/* An unfinished block hides those behind it, which may be older than what other rings hold: wait for it. */
	if (blocked > 0 && monotonic_ns() < session->blocked_since + BLOCKED_NS)
		return false;
	if (kd_merge_bytes(session->merge) > QUEUED_BYTES_MAX)
		window = 0;
	kd_merge_release(session->merge, start - window, now, emit_block, session);
	return true;
}

void kd_session_flush(struct kd_session *session)
{
	struct timespec pause = {0, (long)MS};

	while (!round_of(session, 0))
		nanosleep(&pause, NULL);
	kd_out_flush();
}

static void out_count(const char *name, unsigned long long count)
{
	kd_out_format(",\"%s\":", name);
	if (count == KD_UNCOUNTABLE)
		kd_out_text("null");
	else
		kd_out_unsigned(count);
}

static void stats_json(const struct kd_session *session, const struct kd_counts *counts)
{
	const struct kd_driver *driver = session->driver;

	kd_out_format("{\"stats\":{\"driver\":\"%s\",\"program_type\":", driver ? driver->kind : "file");
	if (driver && driver->program_type)
		kd_out_json_text(driver->program_type);
	else
		kd_out_text("null");
	out_count("events", counts->events);
	out_count("drops", counts->drops_buffer + counts->drops_scratch);
	out_count("drops_buffer", counts->drops_buffer);
	out_count("drops_scratch", counts->drops_scratch);
	out_count("missed_runs", counts->missed_runs);
	out_count("unreadable", counts->unreadable);
	out_count("printed", session->printed);
	out_count("malformed", session->malformed);
	kd_out_text("}}\n");
}

static void stats_human(const struct kd_session *session, const struct kd_counts *counts)
{
	fprintf(stderr, "%llu events, %llu printed, %llu dropped", counts->events, session->printed,
		counts->drops_buffer + counts->drops_scratch);
	if (counts->missed_runs == KD_UNCOUNTABLE)
		fprintf(stderr, ", missed runs: uncountable on this kernel");
	else
		fprintf(stderr, ", %llu missed runs", counts->missed_runs);
	if (session->malformed)
		fprintf(stderr, ", %llu malformed", session->malformed);
	fputc('\n', stderr);
}

void kd_session_stats(struct kd_session *session)
{
	struct kd_counts counts = {0};

	if (session->driver)
		session->driver->ops->stats(session->driver, &counts);
	if (session->options->json || session->options->control)
		stats_json(session, &counts);
	kd_out_flush();
	if (!session->options->json && !session->options->control)
		stats_human(session, &counts);
}

static void out_events(const struct kd_session *session)
{
	const struct kd_driver *driver = session->driver;
	unsigned int slot;
	bool first = true;

	kd_out_text(",\"events\":[");
	for (slot = 0; slot < KD_SLOTS; slot++) {
		if (!session->options->selected[slot] || driver->unavailable[slot])
			continue;
		kd_out_format("%s\"%s\"", first ? "" : ",", kd_event(slot)->name);
		first = false;
	}
	first = true;
	kd_out_text("],\"unavailable\":[");
	for (slot = 0; slot < KD_SLOTS; slot++) {
		if (!driver->unavailable[slot])
			continue;
		kd_out_format("%s{\"event\":\"%s\",\"reason\":", first ? "" : ",", kd_event(slot)->name);
		kd_out_json_text(driver->unavailable[slot]);
		kd_out_char('}');
		first = false;
	}
	kd_out_char(']');
}

static void ready_json(const struct kd_session *session)
{
	const struct kd_driver *driver = session->driver;

	kd_out_format("{\"ready\":true,\"driver\":\"%s\",\"program_type\":", driver->kind);
	if (driver->program_type)
		kd_out_json_text(driver->program_type);
	else
		kd_out_text("null");
	kd_out_format(",\"buffer\":\"%s\",\"buffer_bytes\":%zu,\"cpus\":%u,\"snaplen\":%u,\"enter_time\":%s",
		      driver->buffer, driver->buffer_bytes, driver->cpus, session->options->snaplen,
		      driver->enter_time ? "true" : "false");
	kd_out_format(",\"api\":\"%s\",\"schema\":\"%s\",\"driver_version\":", KD_API_VERSION, KD_SCHEMA_VERSION);
	if (driver->version)
		kd_out_json_text(driver->version);
	else
		kd_out_text("null");
	out_events(session);
	kd_out_text("}\n");
	kd_out_flush();
}

static void ready_human(const struct kd_session *session)
{
	const struct kd_driver *driver = session->driver;
	unsigned int slot;

	fprintf(stderr, "%s driver", driver->kind);
	if (driver->program_type)
		fprintf(stderr, ", %s programs", driver->program_type);
	fprintf(stderr, ", %s of %zu bytes for each of %u CPUs\n", driver->buffer, driver->buffer_bytes, driver->cpus);
	for (slot = 0; slot < KD_SLOTS; slot++)
		if (session->options->selected[slot] && driver->unavailable[slot])
			fprintf(stderr, "%s is not available: %s\n", kd_event(slot)->name, driver->unavailable[slot]);
}

/* Switch on what was asked for. An event that this host cannot give is not fatal unless it was the only one. */
static int select_events(struct kd_session *session)
{
	struct kd_driver *driver = session->driver;
	unsigned int slot, asked = 0, given = 0;

	for (slot = 0; slot < KD_SLOTS; slot++) {
		if (!session->options->selected[slot])
			continue;
		asked++;
		if (!driver->unavailable[slot]) {
			if (driver->ops->select(driver, slot, true) == 0)
				given++;
			else
				driver->unavailable[slot] = strdup(driver->reason);
		}
	}
	if (asked == 0 || given > 0)
		return KD_EXIT_DONE;
	for (slot = 0; !session->options->selected[slot]; slot++)
		;
	return kd_fail(KD_EXIT_LOAD, NULL, "%s: not available: %s", kd_event(slot)->name, driver->unavailable[slot]);
}

static void pause_until(const struct kd_session *session, int pause_ms)
{
	struct pollfd commands = {.fd = session->options->control ? STDIN_FILENO : -1, .events = POLLIN};

	poll(&commands, 1, pause_ms);
	if (commands.revents)
		kd_control_read((struct kd_session *)session);
}

static void run(struct kd_session *session)
{
	double duration_s = session->options->duration_s;
	__u64 deadline = duration_s > 0 ? monotonic_ns() + (__u64)(duration_s * 1e9) : ~0ULL, now;
	int pause_ms = PAUSE_MIN_MS;

	while (!session->done && !stopped && !kd_out_closed()) {
		now = monotonic_ns();
		if (now >= deadline)
			break;
		if (deadline - now < (__u64)pause_ms * MS)
			pause_ms = (int)((deadline - now) / MS) + 1;
		pause_until(session, pause_ms);
		session->seen = 0;
		round_of(session, WINDOW_NS);
		kd_out_flush();
		pause_ms = session->seen > 0 ? PAUSE_MIN_MS : pause_ms * 2;
		if (pause_ms > PAUSE_MAX_MS)
			pause_ms = PAUSE_MAX_MS;
	}
	session->driver->ops->stop(session->driver);
	if (!session->options->max_events || session->printed < session->options->max_events)
		kd_session_flush(session);
	kd_session_stats(session);
}

/* Raw blocks from a file. A block whose length leads nowhere ends it: where the next one starts cannot be known. */
static int decode_file(struct kd_session *session, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat facts;
	unsigned char *bytes = NULL;
	size_t at = 0, left;

	if (fd < 0 || fstat(fd, &facts) != 0)
		return kd_fail(KD_EXIT_NOT_FOUND, NULL, "%s: %s", path, strerror(errno));
	if (facts.st_size > 0)
		bytes = mmap(NULL, (size_t)facts.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (bytes == MAP_FAILED)
		return kd_fail(KD_EXIT_LOAD, NULL, "%s: %s", path, strerror(errno));
	while ((left = (size_t)facts.st_size - at) > 0) {
		__u32 size = kd_block_size(bytes + at, left);

		if (size < 26 || size > left)
			size = (__u32)left;
		if (emit_block(session, 0, bytes + at, size))
			break;
		at += size;
	}
	kd_session_stats(session);
	return KD_EXIT_DONE;
}

static int open_driver(struct kd_session *session)
{
	const struct kd_options *options = session->options;
	int status;

	if (strncmp(options->driver, "kmod", 4) == 0 && (options->driver[4] == 0 || options->driver[4] == ':'))
		status = kd_kmod_open(options, &session->driver);
	else
		status = kd_bpf_open(options, &session->driver);
	if (status != KD_EXIT_DONE)
		return status;
	session->merge = kd_merge_new(session->driver->cpus, session->driver->sort);
	if (!session->merge)
		return kd_fail(KD_EXIT_LOAD, NULL, "no memory for the rings of %u CPUs", session->driver->cpus);
	return KD_EXIT_DONE;
}

static int capture(struct kd_session *session)
{
	const struct kd_options *options = session->options;
	int status = open_driver(session);

	if (status == KD_EXIT_DONE && !options->check)
		status = select_events(session);
	if (status == KD_EXIT_DONE) {
		if (options->control || options->check)
			ready_json(session);
		else
			ready_human(session);
		if (!options->check)
			run(session);
	}
	if (session->driver)
		session->driver->ops->close(session->driver);
	kd_merge_free(session->merge);
	return status;
}

int main(int argc, char **argv)
{
	static struct kd_options options;
	struct sigaction action = {.sa_handler = on_signal};
	struct kd_session session = {.options = &options, .self = (__u32)getpid()};
	int status = kd_options_parse(&options, argc, argv);

	if (status >= 0)
		return status;
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	signal(SIGPIPE, SIG_IGN);
	kd_human_start();
	return options.decode_file ? decode_file(&session, options.decode_file) : capture(&session);
}
