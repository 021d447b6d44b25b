// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Cases: execve and execveat. The new image (image.S) writes one byte, reads one and ends; while it waits for that, its
 * parent learns from /proc what must have been seen when the call returned.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cases.h"
#include "i386.h"

static char *argv_store[64], *env_store[64];

/* The strings as they lie in the new image's memory, cut to the bound. */
static void exp_region(const char *name, char *const *strings)
{
	static char region[PATH_BYTES];
	size_t used = 0;
	bool cut = false;

	for (; *strings && !cut; strings++) {
		size_t size = strlen(*strings) + 1;

		cut = size > sizeof(region) - used;
		if (cut)
			size = sizeof(region) - used;
		memcpy(region + used, *strings, size);
		used += size;
	}
	if (cut)
		region[used - 1] = 0;
	exp_strings(name, region, used);
}

/* The name that the kernel left behind the environment: its address. */
static uint64_t file_name_of(pid_t pid, bool narrow)
{
	static char text[2048];
	char path[64];

	memset(text, 0, sizeof(text));
	snprintf(path, sizeof(path), "/proc/%d/auxv", pid);
	proc_read(path, text, sizeof(text));
	for (size_t i = 0; i + 16 <= sizeof(text); i += narrow ? 8 : 16) {
		uint64_t tag = narrow ? *(uint32_t *)(text + i) : *(uint64_t *)(text + i);

		if (tag == 31 /* AT_EXECFN */)
			return narrow ? *(uint32_t *)(text + i + 4) : *(uint64_t *)(text + i + 8);
	}
	return 0;
}

static void exp_image_file(pid_t pid)
{
	static char text[PATH_BYTES + 16];
	char path[64], *mark;
	uint64_t ino, ctime, mtime;
	int64_t n;

	snprintf(path, sizeof(path), "/proc/%d/exe", pid);
	n = raw_call(SYS_readlink, U(path), U(text), PATH_BYTES, 0, 0, 0);
	text[n > 0 ? n : 0] = 0;
	mark = strstr(text, " (deleted)");
	if (mark)
		*mark = 0;
	exp_str("trusted_exepath", text, strlen(text));
	exe_facts(path, &ino, &ctime, &mtime);
	exp_uint("exe_ino", ino);
	exp_uint("exe_ino_ctime", ctime);
	exp_uint("exe_ino_mtime", mtime);
}

struct image {
	const char *path;
	int dirfd; /* execveat when not -1 */
	int at_flags;
	char *const *argv;
	char *const *envp;
	uint32_t flags; /* the event's */
	bool narrow;
};

static int ready[2], go[2];
static char byte;

static void image_child(const struct image *image)
{
	struct made m = {.pid = self.vpid, .tid = self.tid};

	call2(K_DUP2, go[0], 0);
	call1(K_CLOSE, go[0]);
	call1(K_CLOSE, go[1]);
	usage_read(&m.before);
	shared->usage = m.before;
	if (image->dirfd != -1) {
		m.kind = K_EXECVEAT;
		m.a[0] = U(image->dirfd), m.a[1] = U(image->path), m.a[2] = U(image->argv), m.a[3] = U(image->envp);
		m.a[4] = U(image->at_flags);
	} else {
		m.kind = K_EXECVE;
		m.a[0] = U(image->path), m.a[1] = U(image->argv), m.a[2] = U(image->envp);
	}
	compat_prepare(&m);
	m.order = order_next();
	m.ret = call_as(&m);
	usage_read(&m.after);
	describe(&m);
	case_error("%s: the image did not start: %s", image->path, strerror((int)-m.ret));
	finish(99);
}

/* The event of a success. The image has only read its byte since: it grew by a few pages at most. */
static void expect_image(pid_t pid, const struct image *image, char *const *argv)
{
	static char comm[64];
	char path[64];
	struct usage before = shared->usage, after;
	uint64_t name = file_name_of(pid, image->narrow), few = 256;
	bool as_execveat = image->dirfd != -1 && !execveat_ends_as_execve;

	usage_read_of(pid, &after);
	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	proc_read(path, comm, sizeof(comm));
	comm[strcspn(comm, "\n")] = 0;
	before.vm = after.vm;
	before.rss = after.rss > few ? after.rss - few : 0;
	before.swap = after.swap;
	exp_i386 = compat_calls;
	exp_open(as_execveat ? "execveat" : "execve", pid, order_next());
	exp_int("res", 0);
	exp_str("exe", argv[0], strlen(argv[0]));
	exp_region("args", argv + 1);
	exp_region("env", image->envp);
	exp_int("tid", pid);
	exp_int("pid", pid);
	exp_int("ptid", self.tid);
	exp_cwd();
	exp_uint("fdlimit", self.fdlimit);
	exp_usage(&before, &after);
	exp_str("comm", comm, strlen(comm));
	exp_json("cgroups", self.cgroups_json);
	exp_uint("tty", self.tty);
	exp_int("vpgid", self.vpgid);
	exp_int("pgid", self.pgid);
	exp_uint("loginuid", self.loginuid);
	exp_uint("flags", image->flags);
	exp_uint("cap_effective", caps_of(pid, 0));
	exp_uint("cap_permitted", caps_of(pid, 1));
	exp_uint("cap_inheritable", caps_of(pid, 2));
	exp_uint("uid", self.uid);
	exp_uint("gid", self.gid);
	exp_image_file(pid);
	if (!as_execveat)
		exp_user_str("filename", pid, name);
	exp_close();
}

static void expect_image_read(pid_t pid)
{
	exp_open("read", pid, order_next());
	exp_int("res", 1);
	exp_hex("data", "g", 1);
	exp_int("fd", 0);
	exp_uint("size", 1);
	exp_close();
}

/* argv: as the image sees it, which for a script is not what was passed. */
static void exec_of(const struct image *image, char *const *argv)
{
	pid_t pid;

	call2(K_PIPE2, ready, 0);
	call2(K_PIPE2, go, 0);
	pid = child_of(K_FORK, 0);
	if (pid == 0) {
		call2(K_DUP2, ready[1], 1);
		call1(K_CLOSE, ready[1]);
		image_child(image);
	}
	call1(K_CLOSE, ready[1]);
	call1(K_CLOSE, go[0]);
	/* The image says that it runs. Descriptors that close themselves would say so too early. */
	must("read", call3(K_READ, ready[0], &byte, 1) == 1);
	expect_image(pid, image, argv);
	exp_open("write", pid, order_next());
	exp_int("res", 1);
	exp_hex("data", "r", 1);
	exp_int("fd", 1);
	exp_uint("size", 1);
	exp_close();
	call3(K_WRITE, go[1], "g", 1);
	expect_image_read(pid);
	expect_exit_group(pid, 4, false);
	must("wait", reap(pid, 0) == 4 << 8);
	call1(K_CLOSE, go[1]);
	call1(K_CLOSE, ready[0]);
}

void exec_image_of_self(void)
{
	static char *argv[] = {"image4", "changed", NULL}, *envp[] = {"C=3", NULL};

	exec_of(&(struct image){self.exe_path, -1, 0, argv, envp, 1, false}, argv);
}

static void execve_success(void)
{
	static char *argv[] = {"image4",
			       "one",
			       "",
			       "tw\xc3\xb6",
			       "thr\xff"
			       "ee",
			       NULL};
	static char *envp[] = {"A=1", "", "LONG=value with spaces", NULL};

	exec_of(&(struct image){self.exe_path, -1, 0, argv, envp, 1, false}, argv);
}

static void execve_bare(void)
{
	static char *argv[] = {"image4", NULL}, *envp[] = {NULL};

	exec_of(&(struct image){self.exe_path, -1, 0, argv, envp, 1, false}, argv);
}

/* More bytes, and more strings, than are shown. */
static void execve_long(void)
{
	static char *argv[40], *envp[40], strings[40][600];

	for (int i = 0; i < 39; i++) {
		memset(strings[i], 'a' + i % 26, sizeof(strings[i]) - 1);
		argv[i] = envp[i] = strings[i];
	}
	argv[0] = "image4";
	argv[39] = envp[39] = NULL;
	exec_of(&(struct image){self.exe_path, -1, 0, argv, envp, 1, false}, argv);
}

/* The kernel makes the arguments of a script out of its first line. */
static void execve_script(void)
{
	static char *passed[] = {"passed", "argument", NULL},
		    *seen[] = {"image4", "option", "./script", "argument", NULL};
	static char *envp[] = {"S=1", NULL};
	static char text[] = "#!image4 option\n";
	int64_t fd;

	call3(K_MKDIRAT, AT_FDCWD, "/tmp/kd-cases-exec", 0755);
	call1(K_CHDIR, "/tmp/kd-cases-exec");
	raw_call(SYS_symlinkat, U(self.exe_path), U(AT_FDCWD), U("image4"), 0, 0, 0);
	file_was_created = true;
	fd = call4(K_OPENAT, AT_FDCWD, "script", O_WRONLY | O_CREAT | O_EXCL, 0755);
	call3(K_WRITE, fd, text, sizeof(text) - 1);
	call1(K_CLOSE, fd);
	exec_of(&(struct image){"./script", -1, 0, passed, envp, 1, false}, seen);
	call3(K_UNLINKAT, AT_FDCWD, "script", 0);
	call3(K_UNLINKAT, AT_FDCWD, "image4", 0);
	call3(K_UNLINKAT, AT_FDCWD, "/tmp/kd-cases-exec", AT_REMOVEDIR);
}

/* A success arrives as execve, except before 4.12. */
static void execveat_success(void)
{
	static char *argv[] = {"image4", "at", NULL}, *envp[] = {"E=2", NULL};
	int64_t folder;

	if (!kernel_has(K_EXECVEAT)) {
		case_skip("no execveat in this kernel");
		return;
	}
	folder = call4(K_OPENAT, AT_FDCWD, program_folder, O_PATH | O_DIRECTORY, 0);
	exec_of(&(struct image){strrchr(self.exe_path, '/') + 1, (int)folder, 0, argv, envp, 1, false}, argv);
}

static void execveat_memfd(void)
{
	static char *argv[] = {"image4", NULL}, *envp[] = {NULL};
	int64_t program = call4(K_OPENAT, AT_FDCWD, self.exe_path, O_RDONLY, 0);
	int64_t memory = raw_call(SYS_memfd_create, U("kd-memory"), 0, 0, 0, 0, 0);

	if (memory < 0 || !kernel_has(K_EXECVEAT)) {
		case_skip("no memfd_create or execveat in this kernel");
		return;
	}
	while (raw_call(SYS_sendfile, U(memory), U(program), 0, 1 << 20, 0, 0) > 0)
		continue;
	exec_of(&(struct image){"", (int)memory, AT_EMPTY_PATH, argv, envp, 1 | 4, false}, argv);
}

static void execve_failure(void)
{
	static char *argv[70], *envp[70], strings[70][400];

	argv_store[0] = "exe", argv_store[1] = "", argv_store[2] = string_at_page_end("last");
	env_store[0] = "A=b";
	must("execve", call3(K_EXECVE, "/nonexistent/program", argv_store, env_store) == -ENOENT);
	must("execve", call3(K_EXECVE, "/tmp", argv_store, NULL) == -EACCES);
	must("execve", call3(K_EXECVE, NULL, NULL, NULL) == -EFAULT);
	must("execve", call3(K_EXECVE, UNMAPPED, argv_store, env_store) == -EFAULT);
	/* From here on it depends on the kernel whether it looks at the file or at the strings first. */
	must("execve", call3(K_EXECVE, "/nonexistent/array", UNMAPPED, KERNEL_ADDRESS) < 0);
	/* One string that cannot be read makes its parameter empty, not the others. */
	argv_store[2] = string_over_page_end("over");
	must("execve", call3(K_EXECVE, "/nonexistent/over", argv_store, env_store) < 0);
	argv_store[2] = NULL;
	env_store[1] = (char *)UNMAPPED;
	must("execve", call3(K_EXECVE, "/nonexistent/env", argv_store, env_store) < 0);
	argv_store[0] = NULL;
	env_store[0] = NULL;
	must("execve", call3(K_EXECVE, "/nonexistent/none", argv_store, env_store) < 0);
	/* More strings and bytes than are shown. */
	for (int i = 0; i < 69; i++) {
		memset(strings[i], 'A' + i % 26, i < 16 ? 10 : 399);
		argv[i] = strings[i];
		envp[i] = strings[68 - i];
	}
	must("execve", call3(K_EXECVE, "/nonexistent/many", argv, envp) < 0);
}

static void execveat_failure(void)
{
	static char *argv[] = {"at-exe", "at-argument", NULL}, *envp[] = {"AT=1", NULL};

	must("execveat", gives(K_EXECVEAT, call5(K_EXECVEAT, AT_FDCWD, "nonexistent", argv, envp, 0), -ENOENT));
	must("execveat", gives(K_EXECVEAT, call5(K_EXECVEAT, -1, "relative", argv, NULL, AT_SYMLINK_NOFOLLOW), -EBADF));
	must("execveat", gives(K_EXECVEAT, call5(K_EXECVEAT, -1, "", argv, envp, AT_EMPTY_PATH), -EBADF));
	must("execveat", call5(K_EXECVEAT, AT_FDCWD, NULL, NULL, NULL, 0xffff) < 0);
}

bool i386_runs;

/* In the first process, whose events nobody expects. */
void i386_probe(void)
{
	static char path[PATH_BYTES + 16];
	char *argv[] = {"probe", NULL};
	int status = -1;
	pid_t pid = vfork();

	if (pid == 0) {
		snprintf(path, sizeof(path), "%s/kd-cases32", program_folder);
		execve(path, argv, argv + 1);
		_exit(127);
	}
	i386_runs = pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

/* Calls of a 32-bit program: described by this process, out of the other's memory. */
static void i386_program(void)
{
	static char path[PATH_BYTES + 16];
	static char *argv[] = {"image-i386", "32", NULL}, *envp[] = {"I386=1", NULL};
	static struct i386_log log;
	static uint32_t address;
	static int out[2];
	struct image image = {path, -1, 0, argv, envp, 1, true};
	struct usage used;
	pid_t pid;

	if (!i386_runs) {
		case_skip("this kernel runs no 32-bit programs, or kd-cases32 is not beside kd-cases");
		return;
	}
	snprintf(path, sizeof(path), "%s/kd-cases32", program_folder);
	call2(K_PIPE2, go, 0);
	call2(K_PIPE2, out, 0);
	pid = child_of(K_FORK, 0);
	if (pid == 0) {
		call2(K_DUP2, out[1], 1);
		image_child(&image);
	}
	must("read", call3(K_READ, out[0], &address, 4) == 4);
	must("log", peek(pid, address, &log, sizeof(log)));
	/* The last call told of itself before it returned. */
	log.records[log.count - 1].ret = 4;
	image.narrow = true;
	expect_image(pid, &image, argv);
	usage_read_of(pid, &used);
	for (uint32_t i = 0; i < log.count && i < I386_RECORDS; i++) {
		struct made m = {.kind = log.records[i].kind,
				 .ret = log.records[i].ret,
				 .pid = pid,
				 .tid = pid,
				 .i386 = true,
				 .after = used};

		for (int n = 0; n < 6; n++)
			m.a[n] = log.records[i].a[n];
		m.order = order_next();
		describe(&m);
	}
	call3(K_WRITE, go[1], "g", 1);
	expect_image_read(pid);
	expect_exit_group(pid, 4, true);
	must("wait", reap(pid, 0) == 4 << 8);
}

/* int 0x80 in a 64-bit program. */
static void i386_call(void)
{
	struct made m = {.kind = K_CLOSE, .a = {0xffffffff}, .pid = self.vpid, .tid = self.tid, .i386 = true};
	uint64_t number;

	if (!i386_runs) {
		case_skip("this kernel takes no 32-bit calls");
		return;
	}
	m.order = order_next();
	asm volatile("int $0x80" : "=a"(number) : "0"(6l), "b"(m.a[0]) : "r8", "r9", "r10", "r11", "memory");
	m.ret = (int32_t)number;
	describe(&m);
	m = (struct made){.kind = K_DUP2, .a = {0, 70}, .pid = self.vpid, .tid = self.tid, .i386 = true};
	m.order = order_next();
	asm volatile("int $0x80"
		     : "=a"(number)
		     : "0"(63l), "b"(m.a[0]), "c"(m.a[1])
		     : "r8", "r9", "r10", "r11", "memory");
	m.ret = (int32_t)number;
	describe(&m);
}

const struct one_case exec_cases[] = {
	{"execve-success", execve_success},
	{"execve-bare", execve_bare},
	{"execve-long", execve_long},
	{"execve-script", execve_script},
	{"execve-failure", execve_failure},
	{"execveat-success", execveat_success},
	{"execveat-memfd", execveat_memfd},
	{"execveat-failure", execveat_failure},
	{"i386-program", i386_program},
	{"i386-call", i386_call},
	{NULL, NULL},
};
