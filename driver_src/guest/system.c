// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The guest's surroundings: file systems, loopback, and control groups with a name of their own for each controller, so
 * that a driver which mixes controllers up is seen.
 */
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "guest.h"

#define GROUPS "/sys/fs/cgroup"

struct hierarchy {
	const char *folder; /* under GROUPS */
	const char *options; /* NULL: version 2 */
	const char *group;
	bool joined;
};

/* Version 1 where the kernel has it: only there does /proc/PID/cgroup name a group for each controller. What is left
 * over (all of them on a kernel without version 1) is in the last one. */
static struct hierarchy hierarchies[] = {
	{"cpuset", "cpuset", "kd-cpuset", false},    {"cpu", "cpu", "kd-cpu", false},
	{"cpuacct", "cpuacct", "kd-cpuacct", false}, {"blkio", "blkio", "kd-io", false},
	{"memory", "memory", "kd-memory", false},    {"unified", NULL, "kd-unified", false},
};

#define N_HIERARCHIES (sizeof(hierarchies) / sizeof(hierarchies[0]))

static int write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = write(fd, text, strlen(text));
	close(fd);
	return n < 0 ? -errno : 0;
}

/* A fresh cpuset of version 1 takes no task until it was given CPUs and memory nodes. */
static void copy_text(const char *from, const char *to)
{
	char text[256];
	int fd = open(from, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (n <= 0)
		return;
	text[n] = 0;
	write_text(to, text);
}

static void setup_groups(void)
{
	char path[128];
	size_t i;

	mount("groups", GROUPS, "tmpfs", 0, "mode=755");
	for (i = 0; i < N_HIERARCHIES; i++) {
		struct hierarchy *h = &hierarchies[i];

		snprintf(path, sizeof(path), GROUPS "/%s", h->folder);
		mkdir(path, 0755);
		if (mount("group", path, h->options ? "cgroup" : "cgroup2", 0, h->options) != 0) {
			rmdir(path);
			continue;
		}
		if (!h->options) {
			snprintf(path, sizeof(path), GROUPS "/%s/cgroup.subtree_control", h->folder);
			write_text(path, "+cpuset");
			write_text(path, "+cpu");
			write_text(path, "+io");
			write_text(path, "+memory");
		}
		snprintf(path, sizeof(path), GROUPS "/%s/%s", h->folder, h->group);
		h->joined = mkdir(path, 0755) == 0;
	}
	copy_text(GROUPS "/cpuset/cpuset.cpus", GROUPS "/cpuset/kd-cpuset/cpuset.cpus");
	copy_text(GROUPS "/cpuset/cpuset.mems", GROUPS "/cpuset/kd-cpuset/cpuset.mems");
}

void system_join_cgroups(void)
{
	char path[160];
	size_t i;

	for (i = 0; i < N_HIERARCHIES; i++) {
		if (!hierarchies[i].joined)
			continue;
		snprintf(path, sizeof(path), GROUPS "/%s/%s/cgroup.procs", hierarchies[i].folder, hierarchies[i].group);
		write_text(path, "0");
	}
}

static void loopback_up(void)
{
	struct ifreq request;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return;
	memset(&request, 0, sizeof(request));
	strcpy(request.ifr_name, "lo");
	if (ioctl(fd, SIOCGIFFLAGS, &request) == 0) {
		request.ifr_flags |= IFF_UP;
		ioctl(fd, SIOCSIFFLAGS, &request);
	}
	close(fd);
}

/*
 * Before 5.11 the kernel counts the maps of eBPF as locked memory of their user, in sum: beside the probe's own maps,
 * bpf() refuses whoever has the default limit, root as well (EPERM), and its cases could not be run.
 */
static void lift_memory_lock(void)
{
	struct rlimit limit = {RLIM_INFINITY, RLIM_INFINITY};

	if (setrlimit(RLIMIT_MEMLOCK, &limit) < 0)
		fprintf(stderr, "kd-guest: the limit of locked memory cannot be lifted: %s\n", strerror(errno));
}

void system_setup(void)
{
	lift_memory_lock();
	mkdir("/proc", 0755);
	mkdir("/sys", 0755);
	mkdir("/dev", 0755);
	mkdir("/tmp", 0755);
	mkdir("/run", 0755);
	mount("proc", "/proc", "proc", 0, NULL);
	mount("sysfs", "/sys", "sysfs", 0, NULL);
	/* EBUSY where the kernel mounted it itself (CONFIG_DEVTMPFS_MOUNT). */
	mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
	/*
	 * The name that execveat gives a program which it finds from a descriptor. Guests without it were seen to end such
	 * calls with ENOENT where the kernel runs the TOMOYO security module, and guests with it not; that this module
	 * looks the name up is a guess. On every host udev or the init makes it.
	 */
	if (symlink("/proc/self/fd", "/dev/fd") < 0 && errno != EEXIST)
		fprintf(stderr, "kd-guest: /dev/fd cannot be made: %s\n", strerror(errno));
	mkdir("/dev/pts", 0755);
	mkdir("/dev/shm", 0755);
	mount("devpts", "/dev/pts", "devpts", 0, NULL);
	mount("shm", "/dev/shm", "tmpfs", 0, "mode=1777");
	mount("tmp", "/tmp", "tmpfs", 0, "mode=1777");
	/* Below 4.1 tracefs exists only inside debugfs; where both are there, libbpf would take the one that 7.x warns of. */
	if (mount("tracefs", "/sys/kernel/tracing", "tracefs", 0, NULL) < 0)
		mount("debugfs", "/sys/kernel/debug", "debugfs", 0, NULL);
	/* A case dumps core: that one was made is what counts, not the megabytes in it. Children inherit this. */
	write_text("/proc/self/coredump_filter", "0");
	setup_groups();
	loopback_up();
}

/* What every task waits for, on the console: of a guest that hangs this says most. */
void system_show_tasks(void)
{
	write_text("/proc/sys/kernel/printk", "8");
	write_text("/proc/sys/kernel/sysrq", "1");
	write_text("/proc/sysrq-trigger", "l");
	write_text("/proc/sysrq-trigger", "t");
	write_text("/proc/sys/kernel/printk", "4");
}

void system_pin_to_first_cpu(void)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(0, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

long now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

unsigned long long now_real_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (unsigned long long)t.tv_sec * 1000000000ull + (unsigned long long)t.tv_nsec;
}

void nap_ms(long ms)
{
	struct timespec t = {ms / 1000, (ms % 1000) * 1000000};

	nanosleep(&t, NULL);
}
