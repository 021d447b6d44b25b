// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Memory that the host sees as a file: the second window of QEMU's ivshmem device. What the cases expect and what the
 * drivers saw goes there, megabytes that would be dear to compress and to write out byte by byte in an emulated guest;
 * the result channel says where it is. Without such a device it goes over the channel.
 */
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "guest.h"

#define VENDOR 0x1af4
#define DEVICE 0x1110

static char *memory;
static size_t size, used, part;

static unsigned long number_in(const char *folder, const char *name)
{
	char path[300], text[32] = "";
	int fd;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, text, sizeof(text) - 1) < 0)
		text[0] = 0;
	close(fd);
	return strtoul(text, NULL, 16);
}

static void map_window(const char *folder)
{
	char path[300];
	struct stat about;
	void *mapped;
	int fd;

	snprintf(path, sizeof(path), "%s/enable", folder);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, "1", 1) != 1 || close(fd) != 0)
		return;
	snprintf(path, sizeof(path), "%s/resource2", folder);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return;
	if (fstat(fd, &about) == 0) {
		mapped = mmap(NULL, (size_t)about.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		if (mapped != MAP_FAILED) {
			memory = mapped;
			size = (size_t)about.st_size;
		}
	}
	close(fd);
}

void bulk_open(void)
{
	glob_t found;

	if (glob("/sys/bus/pci/devices/*", 0, NULL, &found) != 0)
		return;
	for (size_t i = 0; i < found.gl_pathc && !memory; i++)
		if (number_in(found.gl_pathv[i], "vendor") == VENDOR &&
		    number_in(found.gl_pathv[i], "device") == DEVICE)
			map_window(found.gl_pathv[i]);
	globfree(&found);
}

/* Adds a line; false where there is no room, or no memory at all: what was added is to be reported before that line. */
bool bulk_line(const char *line, size_t len)
{
	if (!memory || size - used <= len)
		return false;
	memcpy(memory + used, line, len);
	memory[used + len] = '\n';
	used += len + 1;
	return true;
}

/* What the channel says of the lines that were added since this was last called. */
void bulk_report(const char *kinds, const char *what)
{
	if (used == part)
		return;
	result_printf("{\"driver\":\"%s\",\"bulk\":\"%s\",\"from\":%zu,\"bytes\":%zu}", kinds, what, part, used - part);
	result_end_line();
	part = used;
}
