// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * kd-capture: names and thread groups of threads.
 *
 * Known from /proc, kept for two seconds of event time, and corrected by the events themselves (exec, fork, a change of
 * name, the end of a process). Threads that ended before they were looked up have no name, and count as their own
 * process.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "capture.h"

#define BUCKETS 16384
#define KEEP_NS 2000000000ULL
#define COMM_SIZE 16
#define PR_SET_NAME_OPTION 15

struct thread {
	__u32 tid; /* 0: free */
	__u32 tgid;
	__u64 known_at; /* time of the event that made us look; 0: look again */
	char comm[COMM_SIZE];
};

static struct thread threads[BUCKETS];
static unsigned int count;

static struct thread *slot_of(__u32 tid)
{
	unsigned int at = (tid * 2654435761u) % BUCKETS;

	while (threads[at].tid != 0 && threads[at].tid != tid)
		at = (at + 1) % BUCKETS;
	return &threads[at];
}

static struct thread *remember(__u32 tid)
{
	struct thread *thread;

	if (count > BUCKETS / 2) { /* all of it can be had again */
		memset(threads, 0, sizeof(threads));
		count = 0;
	}
	thread = slot_of(tid);
	if (thread->tid == 0) {
		memset(thread, 0, sizeof(*thread));
		thread->tid = tid;
		thread->tgid = tid;
		count++;
	}
	return thread;
}

/* The first lines of /proc/<tid>/status are Name and, a few lines on, Tgid. */
static void look_up(struct thread *thread)
{
	char path[32], text[512], *line;
	ssize_t size;
	int fd;

	snprintf(path, sizeof(path), "/proc/%u/status", thread->tid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	size = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (size <= 6)
		return;
	text[size] = 0;
	line = strchr(text, '\n');
	if (line && strncmp(text, "Name:\t", 6) == 0) {
		*line = 0;
		snprintf(thread->comm, sizeof(thread->comm), "%.15s", text + 6);
		line = strstr(line + 1, "\nTgid:\t");
		if (line)
			thread->tgid = (__u32)strtoul(line + 7, NULL, 10);
	}
}

void kd_process_see(__u32 tid, __u64 ts)
{
	struct thread *thread;

	if (tid == 0)
		return;
	thread = remember(tid);
	if (thread->known_at == 0 || ts > thread->known_at + KEEP_NS) {
		look_up(thread);
		thread->known_at = ts;
	}
}

static void scan_threads(const char *process)
{
	char path[64];
	struct dirent *entry;
	DIR *folder;

	snprintf(path, sizeof(path), "/proc/%.20s/task", process);
	folder = opendir(path);
	while (folder && (entry = readdir(folder)))
		if (entry->d_name[0] != '.' && count < BUCKETS / 4)
			kd_process_see((__u32)strtoul(entry->d_name, NULL, 10), 1);
	if (folder)
		closedir(folder);
}

void kd_process_scan(void)
{
	DIR *folder = opendir("/proc");
	struct dirent *entry;

	while (folder && (entry = readdir(folder)))
		if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9')
			scan_threads(entry->d_name);
	if (folder)
		closedir(folder);
}

const char *kd_process_comm(__u32 tid)
{
	const char *comm = tid == 0 ? "swapper" : remember(tid)->comm;

	return *comm ? comm : "?";
}

__u32 kd_process_tgid(__u32 tid)
{
	return tid == 0 ? 0 : remember(tid)->tgid;
}

static void set_comm(struct thread *thread, const struct kd_value_bytes *value, __u64 ts)
{
	snprintf(thread->comm, sizeof(thread->comm), "%.*s", (int)(value->size < 15 ? value->size : 15),
		 (const char *)value->bytes);
	thread->known_at = ts;
}

static bool number_of(const struct kd_block *block, const char *name, __u64 *number)
{
	const struct kd_value_bytes *value = kd_block_param(block, name);

	return value && value->size <= 8 && kd_scalar(value, true, number);
}

void kd_process_learn(const struct kd_block *block)
{
	const struct kd_value_bytes *comm;
	__u64 number, tid, pid;

	if (strcmp(block->event->category, "process") != 0)
		return;
	comm = kd_block_param(block, "comm");
	if (comm && number_of(block, "tid", &tid) && number_of(block, "pid", &pid) && tid != 0) {
		struct thread *thread = remember((__u32)tid);

		thread->tgid = (__u32)pid;
		set_comm(thread, comm, block->ts);
	} else if (strcmp(block->event->name, "prctl") == 0 && number_of(block, "option", &number) &&
		   number == PR_SET_NAME_OPTION) {
		comm = kd_block_param(block, "arg2_str");
		if (comm)
			set_comm(remember((__u32)block->tid), comm, block->ts);
	}
}

void kd_process_forget(const struct kd_block *block)
{
	if (strcmp(block->event->name, "procexit") == 0)
		slot_of((__u32)block->tid)->known_at = 0; /* the number may come again for another thread */
}
