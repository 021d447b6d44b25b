// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * kd-capture: opens a driver, reads its rings, prints its events.
 *
 * The loop polls: nobody wakes a reader, so an event costs nothing for it, and this program never wakes itself by the
 * system calls that it makes. How long it pauses follows from how full the rings were.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "session.h"

#define MS 1000000ULL
/* How long a program may be at work on an event before the order between threads suffers; see merge.c. */
#define WINDOW_NS (20 * MS)
/* A flush waits for programs that are at work, but not for long. */
#define FLUSH_PAUSE_NS 2000000L
/* How long an unfinished block may hold up its ring before it is passed over. */
#define BLOCKED_NS (1000 * MS)
#define QUEUED_BYTES_MAX (64u << 20)

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
		tgid = kd_process_tgid(tid);
		for (i = 0; i < options->pid_count && options->pids[i] != tgid; i++)
			;
		if (i == options->pid_count)
			return false;
	} else if (session->driver && tid == session->self) {
		return false;
	}
	if (options->comm_count > 0) {
		comm = kd_process_comm(tid);
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
		kd_human_event(block, session->driver ? kd_process_comm((__u32)block->tid) : NULL);
	session->printed++;
	if (session->options->max_events && session->printed >= session->options->max_events)
		session->done = true;
}

/* Stops the release once enough was printed, or nobody reads any more. */
int kd_session_emit(void *context, unsigned int cpu, const void *bytes, __u32 size)
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
	if (session->end && block.ts > session->end)
		return 0;
	kd_process_learn(&block);
	if (wanted(session, &block))
		print_block(session, &block);
	kd_process_forget(&block);
	return (session->done && session->options->max_events) || kd_out_closed();
}

/*
 * Empty the rings and print what is not later than the horizon, a time before this call. Returns whether all that was in
 * the rings at its start could be read.
 */
static bool print_until(struct kd_session *session, __u64 horizon)
{
	struct kd_driver *driver = session->driver;
	__u64 start = driver->ops->now(driver), now;
	int blocked = driver->ops->drain(driver, session->merge);

	if (blocked < 0) {
		kd_fail(KD_EXIT_LOAD, NULL, "the rings cannot be read: %s", strerror(-blocked));
		session->done = true;
	}
	if (blocked > 0 && session->blocked_since == 0)
		session->blocked_since = monotonic_ns();
	if (blocked <= 0)
		session->blocked_since = 0;
	now = driver->ops->now(driver);
	/* An unfinished block hides those behind it, which may be older than what other rings hold: wait for it. */
	if (blocked > 0 && monotonic_ns() < session->blocked_since + BLOCKED_NS)
		return false;
	if (kd_merge_bytes(session->merge) > QUEUED_BYTES_MAX)
		horizon = start;
	kd_merge_release(session->merge, horizon, now, kd_session_emit, session);
	return true;
}

void kd_session_flush(struct kd_session *session)
{
	__u64 asked = session->driver->ops->now(session->driver);
	struct timespec pause = {0, FLUSH_PAUSE_NS};

	do
		nanosleep(&pause, NULL);
	while (!print_until(session, asked));
	kd_out_flush();
}

/* A session whose events may be switched on later says at its start which ones this kernel cannot give. */
static void try_hooks(struct kd_session *session)
{
	struct kd_driver *driver = session->driver;
	unsigned int slot;

	for (slot = 0; slot < KD_SLOTS; slot++) {
		if (!kd_event(slot)->asked || kd_event(slot)->hook < 0 || session->options->selected[slot] ||
		    driver->unavailable[slot])
			continue;
		if (driver->ops->select(driver, slot, true) != 0)
			driver->unavailable[slot] = strdup(driver->reason);
		else
			driver->ops->select(driver, slot, false);
	}
}

/* Switch on what was asked for. An event that this host cannot give is not fatal unless it was the only one. */
static int select_events(struct kd_session *session)
{
	struct kd_driver *driver = session->driver;
	unsigned int slot, number, asked = 0, given = 0;

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
	for (number = 0; number < KD_CALL_NUMBERS; number++) {
		if (!session->options->calls[number])
			continue;
		if (driver->ops->select_call(driver, number, true) != 0)
			return kd_fail(KD_EXIT_LOAD, NULL, "the generic event of call %u: %s", number, driver->reason);
		given++;
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

/* None while a ring is more than an eighth full, longer and longer while all are less than a sixty-fourth full. */
static int next_pause(const struct kd_session *session, int pause_ms)
{
	size_t filled = kd_merge_fullest(session->merge), ring = session->driver->buffer_bytes;

	if (filled > ring / 8)
		return 0;
	if (filled > ring / 64)
		return pause_ms > 1 ? pause_ms / 2 : 1;
	return pause_ms * 2 + 1 < session->options->pause_ms ? pause_ms * 2 + 1 : session->options->pause_ms;
}

static void run(struct kd_session *session)
{
	double duration_s = session->options->duration_s;
	__u64 deadline = duration_s > 0 ? monotonic_ns() + (__u64)(duration_s * 1e9) : ~0ULL, now;
	int pause_ms = 1;

	while (!session->done && !stopped && !kd_out_closed()) {
		now = monotonic_ns();
		if (now >= deadline)
			break;
		if (deadline - now < (__u64)pause_ms * MS)
			pause_ms = (int)((deadline - now) / MS) + 1;
		pause_until(session, pause_ms);
		print_until(session, session->driver->ops->now(session->driver) - WINDOW_NS);
		kd_out_flush();
		pause_ms = next_pause(session, pause_ms);
	}
	session->end = session->driver->ops->now(session->driver);
	session->driver->ops->stop(session->driver);
	if (!session->options->max_events || session->printed < session->options->max_events)
		kd_session_flush(session);
	kd_session_stats(session);
}

static int open_driver(struct kd_session *session)
{
	const struct kd_options *options = session->options;
	bool named;
	int status;

	if (strncmp(options->driver, "kmod", 4) == 0 && (options->driver[4] == 0 || options->driver[4] == ':'))
		status = kd_kmod_open(options, &session->driver);
	else
		status = kd_bpf_open(options, &session->driver);
	if (status != KD_EXIT_DONE)
		return status;
	named = !options->json || options->pid_count > 0 || options->comm_count > 0;
	if (named && !options->check)
		kd_process_scan();
	session->merge = kd_merge_new(session->driver->cpus, session->driver->sort, named ? kd_process_see : NULL);
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
	if (status == KD_EXIT_DONE && options->control && !options->minimal)
		try_hooks(session);
	if (status == KD_EXIT_DONE) {
		if (options->control || options->check)
			kd_report_ready_json(session);
		else
			kd_report_ready_human(session);
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
	session.dynamic_snaplen = options.dynamic_snaplen;
	session.ports = options.ports;
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	signal(SIGPIPE, SIG_IGN);
	kd_human_start();
	return options.decode_count > 0 ? kd_decode_files(&session) : capture(&session);
}
