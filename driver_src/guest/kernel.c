// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * What the guest asks of its kernel beside the driver: insert and remove modules, count loaded eBPF programs, read the
 * log since a mark, read the taint mask.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "guest.h"

#define LOG_RECORDS_MAX 400

static int log_fd = -1;

int module_insert(const char *path, const char *params)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int status;

	if (fd < 0)
		return errno;
	status = syscall(SYS_finit_module, fd, params, 0) == 0 ? 0 : errno;
	close(fd);
	return status;
}

int module_remove(const char *name)
{
	return syscall(SYS_delete_module, name, O_NONBLOCK) == 0 ? 0 : errno;
}

bool module_present(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/module/%s/initstate", name);
	return access(path, F_OK) == 0;
}

bool device_present(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "/dev/%s0", name);
	return access(path, F_OK) == 0;
}

/* Where devtmpfs made no node: one from what sysfs says. */
static void make_nodes(const char *name)
{
	unsigned int major, minor;
	char path[160], text[64];
	int cpu, fd;
	ssize_t n;

	for (cpu = 0; cpu < 256; cpu++) {
		snprintf(path, sizeof(path), "/sys/class/%s/%s%d/dev", name, name, cpu);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			return;
		n = read(fd, text, sizeof(text) - 1);
		close(fd);
		text[n > 0 ? n : 0] = 0;
		if (sscanf(text, "%u:%u", &major, &minor) != 2)
			return;
		snprintf(path, sizeof(path), "/dev/%s%d", name, cpu);
		mknod(path, S_IFCHR | 0600, makedev(major, minor));
	}
}

bool device_wait(const char *name, long limit_ms)
{
	long until = now_ms() + limit_ms;

	for (;;) {
		if (device_present(name))
			return true;
		make_nodes(name);
		if (device_present(name))
			return true;
		if (now_ms() > until)
			return false;
		nap_ms(20);
	}
}

/* How many eBPF programs are loaded; -1 where the kernel does not list them (below 4.13). */
int bpf_programs(void)
{
	union bpf_attr attr;
	int count = 0;

	memset(&attr, 0, sizeof(attr));
	while (syscall(SYS_bpf, BPF_PROG_GET_NEXT_ID, &attr, sizeof(attr)) == 0) {
		attr.start_id = attr.next_id;
		count++;
	}
	return errno == ENOENT ? count : -1;
}

unsigned long kernel_taint(void)
{
	char text[32];
	int fd = open("/proc/sys/kernel/tainted", O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return 0;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	text[n > 0 ? n : 0] = 0;
	return strtoul(text, NULL, 10);
}

/* Of /proc/meminfo, in kB; 0 where the kernel does not have it. */
static long meminfo(const char *text, const char *name)
{
	const char *at = strstr(text, name);

	return at ? strtol(at + strlen(name), NULL, 10) : 0;
}

/* Memory that is neither free nor anybody's whom the kernel counts: pages that drivers took. In kB, -1 without. */
long kernel_pages_kb(void)
{
	static const char *const counted[] = {
		"MemFree:", "Buffers:", "\nCached:", "AnonPages:", "Slab:", "PageTables:", "KernelStack:"};
	char text[4096];
	int fd = open("/proc/meminfo", O_RDONLY | O_CLOEXEC);
	long rest;
	ssize_t n;

	if (fd < 0)
		return -1;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	text[n > 0 ? n : 0] = 0;
	rest = meminfo(text, "MemTotal:");
	for (size_t i = 0; i < sizeof(counted) / sizeof(counted[0]); i++)
		rest -= meminfo(text, counted[i]);
	return rest;
}

void kernel_log_mark(void)
{
	if (log_fd < 0)
		log_fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (log_fd >= 0)
		lseek(log_fd, 0, SEEK_END);
}

/* Every record of the kernel's own since the mark, as {"driver":K,"kmsg":{"level":N,"text":"..."}}. */
void kernel_log_report(const char *kind)
{
	char record[8192], *text, *end;
	unsigned long left_out = 0;
	int reported = 0;
	unsigned int prefix;
	ssize_t n;

	for (;;) {
		n = read(log_fd, record, sizeof(record) - 1);
		if (n < 0 && (errno == EPIPE || errno == EINTR)) {
			/* EPIPE: records were overwritten before they were read. */
			left_out += errno == EPIPE;
			continue;
		}
		if (n <= 0)
			break;
		record[n] = 0;
		text = strchr(record, ';');
		if (!text || sscanf(record, "%u", &prefix) != 1)
			continue;
		end = strchr(++text, '\n');
		if (end)
			*end = 0;
		if (prefix >> 3) /* a facility other than the kernel */
			continue;
		if (++reported > LOG_RECORDS_MAX) {
			left_out++;
			continue;
		}
		result_printf("{\"driver\":\"%s\",\"kmsg\":{\"level\":%u,\"text\":", kind, prefix & 7);
		result_string(text);
		result_printf("}}");
		result_end_line();
	}
	if (left_out) {
		result_printf("{\"driver\":\"%s\",\"kmsg_left_out\":%lu}", kind, left_out);
		result_end_line();
	}
}
