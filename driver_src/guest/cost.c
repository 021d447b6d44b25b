// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * What a driver costs the calls of others: loops of raw calls, timed by the time-stamp counter. The guest runs under
 * QEMU's -icount, where that counter counts instructions; that it does is measured first.
 *
 * Calls are timed in batches, and the one at the lower quarter counts: interrupts, and an allocator that asks for a page,
 * fall into some batches and not into others. The consumer is stopped meanwhile: its rings are large enough for
 * everything, and whoever asks checks that nothing was lost.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "guest.h"

#define BATCHES_MAX 1024
#define FILE_PATH "/tmp/kd-cost-file"
#define WRITE_BYTES 64
#define READ_BYTES 64
/* Of calls that have no event of their own, like getppid: not among all events, but given to who asks for it. */
#define GENERIC "syscall"

static char bytes[READ_BYTES];

static long call3(long number, long a, long b, long c)
{
	long ret;

	__asm__ volatile("syscall" : "=a"(ret) : "a"(number), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
	return ret;
}

static unsigned long long ticks(void)
{
	unsigned int low, high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high) : : "memory");
	return (unsigned long long)high << 32 | low;
}

static void loop_getppid(int calls, int fd)
{
	(void)fd;
	for (int i = 0; i < calls; i++)
		call3(SYS_getppid, 0, 0, 0);
}

static void loop_write(int calls, int fd)
{
	for (int i = 0; i < calls; i++)
		call3(SYS_write, fd, (long)bytes, WRITE_BYTES);
}

/* Three calls a round. */
static void loop_open_read_close(int calls, int fd)
{
	for (int i = 0; i < calls; i++) {
		fd = (int)call3(SYS_open, (long)FILE_PATH, O_RDONLY, 0);
		call3(SYS_read, fd, (long)bytes, READ_BYTES);
		call3(SYS_close, fd, 0, 0);
	}
}

/* Two instructions a turn. */
static void loop_known(int calls, int fd)
{
	long turns = 100L * calls;

	(void)fd;
	__asm__ volatile("1: dec %0\n\tjnz 1b" : "+r"(turns) : : "cc");
}

static const struct loop {
	const char *name;
	void (*run)(int calls, int fd);
} loops[] = {
	{"known", loop_known},
	{"getppid", loop_getppid},
	{"write64", loop_write},
	{"open_read_close", loop_open_read_close},
};

static int by_size(const void *a, const void *b)
{
	unsigned long long x = *(const unsigned long long *)a, y = *(const unsigned long long *)b;

	return x < y ? -1 : x > y;
}

/* Instructions of the batch that a quarter of all batches stay below. */
static unsigned long long usual_batch(const struct loop *loop, int fd)
{
	static unsigned long long spent[BATCHES_MAX];
	int n = plan.cost_batches < BATCHES_MAX ? plan.cost_batches : BATCHES_MAX;

	loop->run(plan.cost_calls, fd); /* what is only there the first time */
	for (int i = 0; i < n; i++) {
		unsigned long long from = ticks();

		loop->run(plan.cost_calls, fd);
		spent[i] = ticks() - from;
	}
	qsort(spent, (size_t)n, sizeof(spent[0]), by_size);
	return spent[n / 4];
}

static int make_file(void)
{
	int fd = open(FILE_PATH, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	bool whole = fd >= 0 && write(fd, bytes, sizeof(bytes)) == sizeof(bytes);

	if (fd >= 0)
		close(fd);
	return whole ? 0 : 1;
}

/* Times every loop. state: what holds meanwhile, for the line that says the numbers. */
static int measure(const char *kind, const char *state)
{
	unsigned long long spent[sizeof(loops) / sizeof(loops[0])];
	int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);

	if (fd < 0 || make_file() != 0)
		return 1;
	for (size_t i = 0; i < sizeof(loops) / sizeof(loops[0]); i++)
		spent[i] = usual_batch(&loops[i], fd);
	close(fd);
	result_printf("{\"driver\":\"%s\",\"cost\":{\"state\":\"%s\",\"calls\":%d,\"made\":%d", kind, state,
		      plan.cost_calls, plan.cost_calls * (plan.cost_batches + 1));
	for (size_t i = 0; i < sizeof(loops) / sizeof(loops[0]); i++)
		result_printf(",\"%s\":%llu", loops[i].name, spent[i]);
	result_printf("}}");
	result_end_line();
	result_flush();
	return 0;
}

/* Without any driver, twice: the two must agree. */
void cost_base(void)
{
	result_stage("base", "cost");
	result_step("base", "cost", measure("base", "first") | measure("base", "second"), 0, "");
}

static int flush_and_count(struct capture *capture, const char *kind, const char *state)
{
	struct tally tallies[] = {{.name = "write", .tid = 1},
				  {.name = "open", .tid = 1},
				  {.name = "read", .tid = 1},
				  {.name = "close", .tid = 1},
				  {.name = GENERIC, .tid = 1}};
	int status;

	kill(capture->pid, SIGCONT);
	status = capture_command(capture, "flush", plan.limit_flush, tallies, 5);
	capture->stats[0] = 0;
	if (status == 0)
		status = capture_command(capture, "stats", plan.limit_flush, NULL, 0);
	result_printf("{\"driver\":\"%s\",\"cost\":{\"state\":\"%s\",\"events\":{", kind, state);
	for (size_t i = 0; i < sizeof(tallies) / sizeof(tallies[0]); i++)
		result_printf("%s\"%s\":%lu", i ? "," : "", tallies[i].name, tallies[i].count);
	result_printf("},\"stats_line\":%s}}", capture->stats[0] ? capture->stats : "null");
	result_end_line();
	return status;
}

static int measure_stopped(struct capture *capture, const char *kind, const char *state)
{
	char counted[64];
	int status;

	/* What is in the rings already must not be in the way. */
	status = capture_command(capture, "flush", plan.limit_flush, NULL, 0);
	if (status)
		return status;
	kill(capture->pid, SIGSTOP);
	nap_ms(20);
	status = measure(kind, state);
	snprintf(counted, sizeof(counted), "%s counted", state);
	return status ? status : flush_and_count(capture, kind, counted);
}

/* Processor time of a child that runs, in nanoseconds: under -icount that is, in instructions. */
static unsigned long long child_spent(pid_t pid)
{
	struct timespec spent = {0, 0};
	clockid_t clock;

	if (clock_getcpuclockid(pid, &clock) == 0)
		clock_gettime(clock, &spent);
	return (unsigned long long)spent.tv_sec * 1000000000ULL + (unsigned long long)spent.tv_nsec;
}

/* Switches events on or off; one that a driver does not know stays off. */
static int switch_all(struct capture *capture, const char *to, const char *const *names)
{
	char command[64];
	int status = 0;

	for (; *names && (status == 0 || status == 1); names++) {
		snprintf(command, sizeof(command), "%s %s", to, *names);
		status = capture_command(capture, command, plan.limit_flush, NULL, 0);
	}
	return status == 1 ? 0 : status;
}

/*
 * Everything selected, the generic event too; the same without the events of entries, so that only the exits of calls are
 * hooked; everything but the calls of the loops; the same with the events of entries.
 */
int cost_driver(struct capture *capture, const char *kind)
{
	static const char *const generic[] = {GENERIC, NULL};
	static const char *const calls[] = {GENERIC, "write", "open", "read", "close", NULL};
	static const char *const at_entry[] = {"exit",	   "exit_group", "open_e",    "creat_e",
					       "openat_e", "openat2_e",	 "connect_e", NULL};
	static const struct {
		const char *to;
		const char *const *names;
		const char *state;
	} steps[] = {
		{"enable", generic, "selected both"},
		{"disable", at_entry, "selected"},
		{"disable", calls, "unselected"},
		{"enable", at_entry, "unselected both"},
	};
	int status = 0;

	result_printf("{\"driver\":\"%s\",\"cost\":{\"state\":\"open\",\"spent\":%llu}}", kind,
		      child_spent(capture->pid));
	result_end_line();
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]) && status == 0; i++) {
		status = switch_all(capture, steps[i].to, steps[i].names);
		if (status == 0)
			status = measure_stopped(capture, kind, steps[i].state);
	}
	return status;
}
