// SPDX-License-Identifier: GPL-2.0-only OR MIT
/* Process 1: mounts, loads the module, runs the checks, reports, restarts the machine. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <net/if.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/klog.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "guest.h"

static FILE *report;
static char problem[512];

void expect_failed(const char *file, int line, const char *condition, const char *format, ...)
{
	char detail[200];
	va_list arguments;

	if (problem[0])
		return;
	va_start(arguments, format);
	vsnprintf(detail, sizeof(detail), format, arguments);
	va_end(arguments);
	snprintf(problem, sizeof(problem), "%s:%d %s (%s)", strrchr(file, '/') ? strrchr(file, '/') + 1 : file, line,
		 condition, detail);
}

int module_load(const char *arguments)
{
	int file = open("/" MODULE ".ko", O_RDONLY | O_CLOEXEC);
	long status = syscall(SYS_finit_module, file, arguments, 0) ? -errno : 0;

	close(file);
	return status;
}

int module_unload(void)
{
	return syscall(SYS_delete_module, MODULE, O_NONBLOCK) ? -errno : 0;
}

static void tell(const char *name)
{
	if (problem[0])
		fprintf(report, "fail %s: %s\n", name, problem);
	else
		fprintf(report, "pass %s\n", name);
	fflush(report);
	problem[0] = 0;
}

/* Each check begins with devices that were just opened, and with nothing selected. */
static void run(const struct check *checks)
{
	for (; checks->name; checks++) {
		EXPECT(devices_open() == 0);
		checks->run();
		devices_close();
		tell(checks->name);
	}
}

static void set_up(void)
{
	struct ifreq loopback = {.ifr_name = "lo", .ifr_flags = IFF_UP};
	int file = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	mkdir("/proc", 0755);
	mkdir("/sys", 0755);
	mkdir("/dev", 0755);
	mount("proc", "/proc", "proc", 0, NULL);
	mount("sysfs", "/sys", "sysfs", 0, NULL);
	mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
	ioctl(file, SIOCSIFFLAGS, &loopback);
	close(file);
	report = fopen("/dev/ttyS1", "we");
}

/* Everything that the kernel said since the module came. */
static void tell_kernel_log(void)
{
	static char text[1 << 18];
	int len = klogctl(3, text, sizeof(text) - 1);
	char *line;

	text[len > 0 ? len : 0] = 0;
	for (line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
		fprintf(report, "kernel %s\n", line);
}

int main(void)
{
	set_up();
	klogctl(5, NULL, 0);
	EXPECT(module_load("g_buffer_bytes_dim=1048576") == 0);
	tell("module_loads");
	run(scap_checks);
	run(native_checks);
	run(load_checks);
	EXPECT(module_unload() == 0);
	EXPECT(access("/dev/" MODULE "0", F_OK) < 0);
	tell("module_unloads");
	tell_kernel_log();
	fprintf(report, "end\n");
	fclose(report);
	sync();
	reboot(RB_AUTOBOOT);
	return 0;
}
