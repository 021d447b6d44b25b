// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * kd-capture: the self-test of a driver that reads the kernel's structures where another kernel may have them elsewhere.
 *
 * A probe that was compiled for one kernel, or moved to the wrong type information, loads on any kernel without an error and
 * reports garbage. So before it is used, this program makes two calls of which it knows every fact, and compares what the
 * driver says of them: through the task's ids, its names, credentials, limits, saved registers and open files.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "capture.h"

#define ATTEMPTS 8
#define OPENED "/proc/self/status"
/* Asks for a thread without what a thread needs: the call always fails, and still says all about its caller. */
#define CLONE_FLAGS ((long)CLONE_THREAD)

static const char *const test_events[] = {"openat", "clone"};
enum { OPENAT, CLONE, TEST_EVENTS };

/* What the calls were, and what was read of them. */
struct trial {
	int dirfd; /* of an absolute path: of no consequence, so it can be a mark */
	long fd;
	long cloned;
	bool seen[TEST_EVENTS];
	__u64 tid; /* as the event's header has it */
	char *wrong; /* what does not agree */
	size_t size;
};

bool kd_self_test_needs(unsigned int slot)
{
	unsigned int i;

	for (i = 0; i < TEST_EVENTS; i++)
		if (strcmp(kd_event(slot)->name, test_events[i]) == 0)
			return true;
	return false;
}

static void expect(struct trial *trial, const struct kd_block *block, const char *name, long long wanted)
{
	const struct kd_value_bytes *value = kd_block_param(block, name);
	__u64 number = 0;

	if (trial->wrong[0])
		return;
	if (!value || !kd_scalar(value, true, &number))
		snprintf(trial->wrong, trial->size, "%s of %s cannot be read", name, block->event->name);
	else if ((long long)number != wanted)
		snprintf(trial->wrong, trial->size, "%s of %s is read as %lld and is %lld", name, block->event->name,
			 (long long)number, wanted);
}

static void expect_text(struct trial *trial, const struct kd_block *block, const char *name, const char *wanted)
{
	const struct kd_value_bytes *value = kd_block_param(block, name);

	if (!trial->wrong[0] &&
	    (!value || value->size != strlen(wanted) + 1 || memcmp(value->bytes, wanted, value->size)))
		snprintf(trial->wrong, trial->size, "%s of %s is not read as %s", name, block->event->name, wanted);
}

/* Ids of users are the kernel's own; in a user namespace they are others. */
static bool ids_are_the_kernels(void)
{
	unsigned int inside = 1, outside = 1;
	FILE *map = fopen("/proc/self/uid_map", "re");
	bool same = map && fscanf(map, "%u %u", &inside, &outside) == 2 && inside == outside;

	if (map)
		fclose(map);
	return same;
}

static void check_openat(struct trial *trial, const struct kd_block *block)
{
	struct stat st = {0};

	if (trial->fd >= 0)
		fstat((int)trial->fd, &st);
	expect(trial, block, "fd", trial->fd);
	expect_text(trial, block, "name", OPENED);
	expect(trial, block, "dev", (long long)(int)st.st_dev);
	expect(trial, block, "ino", (long long)st.st_ino);
}

static void check_clone(struct trial *trial, const struct kd_block *block)
{
	struct rlimit limit = {0};
	char comm[16] = "";

	getrlimit(RLIMIT_NOFILE, &limit);
	prctl(PR_GET_NAME, comm);
	expect(trial, block, "res", trial->cloned);
	expect(trial, block, "tid", (long long)trial->tid);
	expect(trial, block, "pid", (long long)trial->tid); /* this program has one thread */
	expect(trial, block, "vtid", getpid());
	expect(trial, block, "vpid", getpid());
	expect(trial, block, "fdlimit", (long long)limit.rlim_cur);
	expect_text(trial, block, "comm", comm);
	if (ids_are_the_kernels()) {
		expect(trial, block, "uid", (int)geteuid());
		expect(trial, block, "gid", (int)getegid());
	}
}

/* A kd_emit. The event of openat is known by its mark, the other by coming from the same thread. */
static int look_at(void *context, unsigned int cpu, const void *bytes, __u32 size)
{
	struct trial *trial = context;
	const struct kd_value_bytes *value;
	struct kd_block block;
	__u64 mark = 0;

	(void)cpu;
	if (kd_block_parse(bytes, size, &block))
		return 0;
	if (strcmp(block.event->name, test_events[OPENAT]) == 0) {
		value = kd_block_param(&block, "dirfd");
		if (trial->seen[OPENAT] || !value || !kd_scalar(value, true, &mark) || (int)mark != trial->dirfd)
			return 0;
		trial->seen[OPENAT] = true;
		trial->tid = block.tid;
		check_openat(trial, &block);
	} else if (strcmp(block.event->name, test_events[CLONE]) == 0) {
		if (trial->seen[CLONE] || !trial->seen[OPENAT] || block.tid != trial->tid)
			return 0;
		trial->seen[CLONE] = true;
		check_clone(trial, &block);
	}
	return 0;
}

static int switch_events(struct kd_driver *driver, bool on)
{
	unsigned int i;
	int status;

	for (i = 0; i < TEST_EVENTS; i++) {
		status = driver->ops->select(driver, (unsigned int)kd_event_find(test_events[i]), on);
		if (status != 0)
			return status;
	}
	return 0;
}

/* One round of calls. Their events are in the rings before the calls return. */
static void try_once(struct kd_driver *driver, struct kd_merge *merge, struct trial *trial)
{
	unsigned int i;

	trial->dirfd = -(int)(0x10000 + (driver->ops->now(driver) & 0xfffffff));
	trial->seen[OPENAT] = trial->seen[CLONE] = false;
	trial->wrong[0] = 0;
	trial->fd = syscall(SYS_openat, trial->dirfd, OPENED, O_RDONLY | O_CLOEXEC, 0);
	if (trial->fd < 0)
		trial->fd = -errno;
	trial->cloned = syscall(SYS_clone, CLONE_FLAGS, 0, 0, 0, 0);
	if (trial->cloned < 0)
		trial->cloned = -errno;
	for (i = 0; i < ATTEMPTS && driver->ops->drain(driver, merge) > 0; i++)
		usleep(1000);
	kd_merge_release(merge, ~0ULL, ~0ULL, look_at, trial);
	if (trial->fd >= 0)
		close((int)trial->fd);
}

bool kd_self_test(struct kd_driver *driver, char *wrong, size_t size)
{
	struct trial trial = {.wrong = wrong, .size = size};
	struct kd_merge *merge = kd_merge_new(driver->cpus, driver->sort, NULL);
	unsigned int i;
	int status = merge ? switch_events(driver, true) : -ENOMEM;

	/* The kernel skips a program while another one runs on its CPU, and not every kernel says so. */
	for (i = 0; status == 0 && i < ATTEMPTS && !trial.seen[CLONE] && !(i > 0 && wrong[0]); i++)
		try_once(driver, merge, &trial);
	if (status != 0)
		snprintf(wrong, size, "its events cannot be switched on: %s",
			 driver->reason[0] ? driver->reason : strerror(-status));
	else if (!wrong[0] && !trial.seen[CLONE])
		snprintf(wrong, size, "the calls of this program do not come as its events");
	switch_events(driver, false);
	if (merge)
		driver->ops->drain(driver, merge);
	kd_merge_free(merge);
	return wrong[0] == 0;
}
