// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * What /proc, stat and the id calls say about the current process. The first process, whose events nobody expects,
 * finds out what stays the same; a case process opens /proc by expected calls and rereads it with preadv.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <unistd.h>
#include <linux/capability.h>

#include "cases.h"

struct self self;
static long cpus;
static bool percpu_rss, has_thread_self;

static size_t read_file(const char *path, char *text, size_t size)
{
	FILE *file = fopen(path, "re");
	size_t n = 0;

	if (file) {
		n = fread(text, 1, size - 1, file);
		fclose(file);
	}
	text[n] = 0;
	return n;
}

bool helper_has_statx, helper_has_preadv2, expect_preadv, kernel_tells_created, compat_has_room;
bool execveat_ends_as_execve;

static bool reread(int fd, char *text, size_t size)
{
	struct {
		void *base;
		size_t len;
	} segment = {text, size - 1};
	int64_t n;

	if (expect_preadv && !helper_has_preadv2)
		n = call5(K_PREADV, fd, &segment, 1, 0, 0);
	else
		n = raw_call(helper_has_preadv2 ? SYS_preadv2 : SYS_preadv, (uint64_t)fd, U(&segment), 1, 0, 0, 0);
	text[n > 0 ? n : 0] = 0;
	return n > 0;
}

/* Field n (from 1, as proc(5) counts) of a stat file; the name in field 2 may hold anything. */
static const char *stat_field(const char *text, int n)
{
	const char *at = strrchr(text, ')');

	for (int field = 2; at && field < n; field++) {
		at = strchr(at, ' ');
		if (at)
			at++;
	}
	return at ? at : "0";
}

static uint64_t status_field(const char *text, const char *name)
{
	const char *at = strstr(text, name);

	return at ? strtoull(at + strlen(name), NULL, 10) : 0;
}

static void usage_parse(const char *status, const char *stat, struct usage *usage)
{
	usage->vm = status_field(status, "\nVmSize:");
	usage->rss = status_field(status, "\nVmRSS:");
	usage->swap = status_field(status, "\nVmSwap:");
	usage->pgft_min = strtoull(stat_field(stat, 10), NULL, 10);
	usage->pgft_maj = strtoull(stat_field(stat, 12), NULL, 10);
}

/* thread-self came with 3.17. */
static const char *own_stat_path(void)
{
	static char path[64];

	if (has_thread_self)
		return "/proc/thread-self/stat";
	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", self.tid);
	return path;
}

void usage_read(struct usage *usage)
{
	static char status[8192], stat[2048];

	if (self.status_fd < 0) {
		self.status_fd = (int)call4(K_OPENAT, AT_FDCWD, "/proc/self/status", O_RDONLY | O_CLOEXEC, 0);
		self.stat_fd = (int)call4(K_OPENAT, AT_FDCWD, own_stat_path(), O_RDONLY | O_CLOEXEC, 0);
	}
	if (!reread(self.status_fd, status, sizeof(status)) || !reread(self.stat_fd, stat, sizeof(stat)))
		case_error("/proc/self/status or stat cannot be read");
	usage_parse(status, stat, usage);
}

/* Of another process, alive or not yet reaped (then without memory). */
void usage_read_of(pid_t pid, struct usage *usage)
{
	static char status[8192], stat[2048], path[2][64];
	int fd[2];

	snprintf(path[0], sizeof(path[0]), "/proc/%d/status", pid);
	snprintf(path[1], sizeof(path[1]), "/proc/%d/stat", pid);
	for (int i = 0; i < 2; i++)
		fd[i] = (int)call4(K_OPENAT, AT_FDCWD, path[i], O_RDONLY, 0);
	if (!reread(fd[0], status, sizeof(status)) || !reread(fd[1], stat, sizeof(stat)))
		case_error("/proc/%d/status or stat cannot be read", pid);
	usage_parse(status, stat, usage);
	for (int i = 0; i < 2; i++)
		call1(K_CLOSE, fd[i]);
}

void usage_forget(void)
{
	self.status_fd = self.stat_fd = -1;
}

/* When the current process started, in clock ticks after boot. */
uint64_t own_start_ticks(void)
{
	static char stat[2048];

	reread(self.stat_fd, stat, sizeof(stat));
	return strtoull(stat_field(stat, 22), NULL, 10);
}

/* A whole small file of /proc by expected calls. */
size_t proc_read(const char *path, char *text, size_t size)
{
	static char name[128];
	int fd;

	snprintf(name, sizeof(name), "%s", path);
	fd = (int)call4(K_OPENAT, AT_FDCWD, name, O_RDONLY, 0);
	memset(text, 0, size);
	reread(fd, text, size);
	call1(K_CLOSE, fd);
	return strlen(text);
}

/* From 6.2 each counter has a part for each CPU that drivers do not add up, and from 6.17 /proc does. */
uint64_t rss_slack_kb(void)
{
	long batch = 2 * cpus > 32 ? 2 * cpus : 32;

	return percpu_rss ? (uint64_t)(3 * batch * cpus * (PAGE / 1024)) : 64;
}

/* statx is no event of the schema's, so a case about stat can be told from it; it came with 4.11. */
static void stat_path(const char *path, struct stat *st)
{
	struct statx got;

	memset(st, 0, sizeof(*st));
	if (!helper_has_statx) {
		if (raw_call(SYS_newfstatat, U(AT_FDCWD), U(path), U(st), 0, 0, 0) != 0)
			memset(st, 0, sizeof(*st));
		return;
	}
	if (raw_call(SYS_statx, U(AT_FDCWD), U(path), 0, STATX_BASIC_STATS, U(&got), 0) != 0)
		return;
	st->st_dev = makedev(got.stx_dev_major, got.stx_dev_minor);
	st->st_ino = got.stx_ino;
	st->st_ctim = (struct timespec){got.stx_ctime.tv_sec, got.stx_ctime.tv_nsec};
	st->st_mtim = (struct timespec){got.stx_mtime.tv_sec, got.stx_mtime.tv_nsec};
}

/* What stat says about an open file of a process; zeros when it is not open. */
void stat_fd_of(pid_t pid, int fd, struct stat *st)
{
	char path[64];

	if (pid == self.vpid)
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	else
		snprintf(path, sizeof(path), "/proc/%d/fd/%d", pid, fd);
	stat_path(path, st);
	/* Where a thread whose user changed may not look into /proc/self/fd: 3.10.0-514.el7. */
	if (!st->st_ino && pid == self.vpid && !helper_has_statx && raw_call(SYS_fstat, U(fd), U(st), 0, 0, 0, 0) != 0)
		memset(st, 0, sizeof(*st));
}

/* pid: 0 for the current one. */
uint64_t caps_of(pid_t pid, unsigned int set)
{
	struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, pid};
	struct __user_cap_data_struct sets[2] = {{0}};
	uint64_t low, high;

	raw_call(SYS_capget, U(&header), U(sets), 0, 0, 0, 0);
	low = set == 0 ? sets[0].effective : set == 1 ? sets[0].permitted : sets[0].inheritable;
	high = set == 0 ? sets[1].effective : set == 1 ? sets[1].permitted : sets[1].inheritable;
	return (low | high << 32) & ((1ull << 41) - 1);
}

void exe_facts(const char *path, uint64_t *ino, uint64_t *ctime, uint64_t *mtime)
{
	struct stat st;

	stat_path(path, &st);
	*ino = st.st_ino;
	*ctime = (uint64_t)st.st_ctim.tv_sec * 1000000000u + (uint64_t)st.st_ctim.tv_nsec;
	*mtime = (uint64_t)st.st_mtim.tv_sec * 1000000000u + (uint64_t)st.st_mtim.tv_nsec;
}

/* One line `id:controllers:path` of /proc/self/cgroup; the controllers' list is matched whole. */
static bool group_of(const char *groups, const char *controller, char *path, size_t size)
{
	char line[4096];

	while (groups && *groups) {
		const char *end = strchrnul(groups, '\n');
		char *list, *rest, *one, *save = NULL;

		snprintf(line, sizeof(line), "%.*s", (int)(end - groups), groups);
		groups = *end ? end + 1 : end;
		list = strchr(line, ':');
		rest = list ? strchr(list + 1, ':') : NULL;
		if (!rest)
			continue;
		*rest++ = 0;
		if (!*controller && !list[1]) {
			snprintf(path, size, "%s", rest);
			return true;
		}
		for (one = strtok_r(list + 1, ",", &save); one; one = strtok_r(NULL, ",", &save)) {
			if (strcmp(one, controller) == 0) {
				snprintf(path, size, "%s", rest);
				return true;
			}
		}
	}
	return false;
}

static bool word_in(const char *words, const char *word)
{
	size_t n = strlen(word);

	for (const char *at = words; (at = strstr(at, word)); at += n)
		if ((at == words || at[-1] == ' ' || at[-1] == '\n') &&
		    (at[n] == ' ' || at[n] == '\n' || !at[n] || at[n] == '\t'))
			return true;
	return false;
}

/* On version 2 the group in effect is the nearest one that the controller was given to. */
static void effective_group(const char *mount, const char *controller, char *group)
{
	char path[9000], words[1024];

	while (strcmp(group, "/") != 0) {
		snprintf(path, sizeof(path), "%s%s/cgroup.controllers", mount, group);
		read_file(path, words, sizeof(words));
		if (word_in(words, controller))
			return;
		*strrchr(group, '/') = 0;
		if (!*group)
			strcpy(group, "/");
	}
}

/* Nearest 8 components of a path. */
static const char *last_components(const char *path)
{
	const char *at = path + strlen(path);

	for (int slashes = 0; at > path; at--)
		if (*at == '/' && ++slashes == 8)
			return at;
	return path;
}

static void cgroups_setup(void)
{
	static const char *const names[][2] = {
		{"cpuset", "cpuset"}, {"cpu", "cpu"}, {"cpuacct", "cpuacct"}, {"io", "blkio"}, {"memory", "memory"}};
	static char groups[8192], all[8192], mounts[65536], version2[8192], group[4096], entry[4200];
	char mount[1024] = "", *line, *save = NULL;
	size_t used = 0;

	read_file("/proc/self/cgroup", groups, sizeof(groups));
	read_file("/proc/cgroups", all, sizeof(all));
	read_file("/proc/self/mounts", mounts, sizeof(mounts));
	for (line = strtok_r(mounts, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		if (sscanf(line, "%*s %1000s %4000s", mount, group) == 2 && strcmp(group, "cgroup2") == 0)
			break;
	if (!line)
		mount[0] = 0;
	snprintf(entry, sizeof(entry), "%s/cgroup.controllers", mount);
	read_file(entry, version2, sizeof(version2));
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		bool known = word_in(all, names[i][1]) || word_in(version2, names[i][0]);

		if (!known)
			continue;
		if (!group_of(groups, names[i][1], group, sizeof(group))) {
			if (!mount[0] || !group_of(groups, "", group, sizeof(group)))
				strcpy(group, "/");
			/* A controller that version 2 does not have stays at its root. */
			effective_group(mount, names[i][0], group);
		}
		snprintf(entry, sizeof(entry), "%s=%s", names[i][0], last_components(group));
		self.cgroups_json[used] = used ? ',' : '[';
		used++;
		used += json_string(self.cgroups_json + used, sizeof(self.cgroups_json) - used, entry, strlen(entry));
	}
	strcpy(self.cgroups_json + used, used ? "]" : "null");
}

static void args_setup(int argc, char **argv)
{
	size_t used = 0, left = PATH_BYTES;

	snprintf(self.argv0, sizeof(self.argv0), "%s", argv[0]);
	for (int i = 1; i < argc && left > 0; i++) {
		size_t n = strlen(argv[i]) + 1 > left ? left - 1 : strlen(argv[i]);

		self.args_json[used] = used ? ',' : '[';
		used++;
		used += json_string(self.args_json + used, sizeof(self.args_json) - used, argv[i], n);
		left -= n + 1;
	}
	strcpy(self.args_json + used, used ? "]" : "null");
}

/* Calls that came after 3.10, the oldest kernel there is a driver for, and those that i386 got as calls of their own. */
static const enum kind newer[] = {
	K_RENAMEAT2,	   K_SECCOMP,  K_MEMFD_CREATE, K_BPF,	      K_EXECVEAT,   K_MLOCK2,	   K_USERFAULTFD,
	K_COPY_FILE_RANGE, K_CLONE3,   K_OPENAT2,      K_CLOSE_RANGE, K_SOCKET,	    K_SOCKETPAIR,  K_BIND,
	K_CONNECT,	   K_LISTEN,   K_ACCEPT4,      K_GETSOCKOPT,  K_SETSOCKOPT, K_GETSOCKNAME, K_GETPEERNAME,
	K_SENDTO,	   K_RECVFROM, K_SENDMSG,      K_RECVMSG,     K_SHUTDOWN,   K_SEMGET,	   K_SEMCTL};
static bool missing[K_KINDS];
bool missing_on_i386[K_KINDS];

bool gives(enum kind kind, int64_t ret, int64_t wanted)
{
	return ret == (kernel_has(kind) ? wanted : -ENOSYS);
}

bool kernel_has(enum kind kind)
{
	if (compat_calls && kinds[kind].number_i386 > 0)
		return !missing_on_i386[kind] || has_subcall(kind);
	return !missing[kind];
}

/* None of them does anything with such arguments where it is there. */
static void kernel_setup(void)
{
	const uint64_t no = (uint64_t)-1;

	for (size_t i = 0; i < ARRAY_SIZE(newer); i++)
		missing[newer[i]] = raw_call(kinds[newer[i]].number, no, no, no, no, no, no) == -ENOSYS;
}

/* Where the kernel takes i386 calls. */
void i386_setup(void)
{
	const uint64_t no = (uint64_t)-1;

	for (size_t i = 0; i < ARRAY_SIZE(newer); i++)
		missing_on_i386[newer[i]] = compat_call(kinds[newer[i]].number_i386, no, no, no, no, no, no) == -ENOSYS;
}

void self_setup(int argc, char **argv)
{
	static char text[8192];
	struct utsname name;
	struct rlimit limit;
	int major = 0, minor = 0;
	ssize_t n;

	memset(&self, 0, sizeof(self));
	cpus = sysconf(_SC_NPROCESSORS_CONF);
	uname(&name);
	sscanf(name.release, "%d.%d", &major, &minor);
	helper_has_statx = raw_call(SYS_statx, U(AT_FDCWD), U("/"), 0, 0, U(text), 0) == 0;
	helper_has_preadv2 = raw_call(SYS_preadv2, U(-1), 0, 0, 0, 0, 0) == -EBADF;
	percpu_rss = major > 6 || (major == 6 && minor >= 2);
	execveat_ends_as_execve = major > 4 || (major == 4 && minor >= 12);
	compat_has_room = major > 4 || (major == 4 && minor >= 16);
	kernel_tells_created = major > 4 || (major == 4 && minor >= 19);
	has_thread_self = access("/proc/thread-self/stat", R_OK) == 0;
	kernel_setup();
	args_setup(argc, argv);
	cgroups_setup();
	if (!getcwd(self.cwd, sizeof(self.cwd)))
		self.cwd[0] = 0;
	n = readlink("/proc/self/exe", self.exe_path, sizeof(self.exe_path) - 1);
	self.exe_path[n > 0 ? n : 0] = 0;
	exe_facts("/proc/self/exe", &self.exe_ino, &self.exe_ctime, &self.exe_mtime);
	self.exe_flags = 1; /* root may write it: the file system is writable */
	read_file("/proc/self/comm", text, sizeof(text));
	snprintf(self.comm, sizeof(self.comm), "%.*s", (int)strcspn(text, "\n"), text);
	self.loginuid =
		read_file("/proc/self/loginuid", text, sizeof(text)) ? (uint32_t)strtoul(text, NULL, 10) : UINT32_MAX;
	read_file("/proc/self/stat", text, sizeof(text));
	self.tty = (uint32_t)strtoul(stat_field(text, 7), NULL, 10);
	read_file("/proc/1/stat", text, sizeof(text));
	self.init_start_ticks = strtoull(stat_field(text, 22), NULL, 10);
	getrlimit(RLIMIT_NOFILE, &limit);
	self.fdlimit = limit.rlim_cur;
	self.uid = geteuid();
	self.gid = getegid();
	self.pid = self.tid = self.vpid = self.vtid = getpid();
	self.ptid = getppid();
	self.pgid = self.vpgid = getpgid(0);
	usage_forget();
}

/* In a child with the same pid namespace. */
void self_after_fork(pid_t parent_tid)
{
	self.ptid = parent_tid;
	self.pid = self.vpid = (pid_t)raw_call(SYS_getpid, 0, 0, 0, 0, 0, 0);
	self.tid = self.vtid = (pid_t)raw_call(SYS_gettid, 0, 0, 0, 0, 0, 0);
	usage_forget();
}
