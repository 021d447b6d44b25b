// SPDX-License-Identifier: GPL-2.0-only OR MIT
/* Process 1: tries to load each module of /modules and says how that ended, then what the kernel said of keys. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/klog.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static char kernel_log[1 << 18];

static void try_module(FILE *report, const char *name)
{
	char path[300];
	int file;

	snprintf(path, sizeof(path), "/modules/%s", name);
	file = open(path, O_RDONLY | O_CLOEXEC);
	fprintf(report, "module %s: %s\n", name,
		syscall(SYS_finit_module, file, "", 0) ? strerrorname_np(errno) : "loaded");
	fflush(report);
	close(file);
	syscall(SYS_delete_module, "kdriver", O_NONBLOCK);
}

int main(void)
{
	struct dirent *entry;
	FILE *report;
	DIR *folder;
	int length;

	mkdir("/dev", 0755);
	mkdir("/proc", 0755);
	mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
	mount("proc", "/proc", "proc", 0, NULL);
	report = fopen("/dev/ttyS1", "w");
	if (report)
		fputc('\n', report); /* after what firmware wrote there */
	folder = opendir("/modules");
	while (report && folder && (entry = readdir(folder)))
		if (entry->d_name[0] != '.')
			try_module(report, entry->d_name);
	length = klogctl(3, kernel_log, sizeof(kernel_log) - 1);
	kernel_log[length > 0 ? length : 0] = 0;
	for (char *line = strtok(kernel_log, "\n"); report && line; line = strtok(NULL, "\n"))
		fprintf(report, "kernel %s\n", line);
	if (report)
		fflush(report);
	reboot(RB_AUTOBOOT);
	return 0;
}
