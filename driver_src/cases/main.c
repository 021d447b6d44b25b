// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * kd-cases [--list] [--only PATTERN]... [--skip PATTERN]... [--snaplen N] [--label TEXT]: runs the event cases, each in a process of its
 * own, and prints what each event must hold, one JSON object a line. Exit status 1 when a case went wrong. The label
 * means nothing.
 */
#include <errno.h>
#include <fnmatch.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cases.h"

unsigned int snaplen = 80;
const char *current_case = "";
char program_folder[PATH_BYTES];

static const struct one_case *const all_cases[] = {
	file_cases,  io_cases,	     net_cases,	   process_cases, exec_cases,	    memory_cases,   ipc_cases,
	misc_cases,  identity_cases, path_cases,   handle_cases,  descriptor_cases, transfer_cases, user_cases,
	limit_cases, system_cases,   packed_cases, asked_cases,	  pointer_cases,    end_cases};
static const char *patterns[64], *skipped[64];
static int n_patterns, n_skipped;

static bool wanted(const char *name)
{
	for (int i = 0; i < n_skipped; i++)
		if (fnmatch(skipped[i], name, 0) == 0)
			return false;
	for (int i = 0; i < n_patterns; i++)
		if (fnmatch(patterns[i], name, 0) == 0)
			return true;
	return n_patterns == 0 && strncmp(name, "asked-", 6) != 0;
}

/*
 * Cases that are not run a second time with i386 calls: they make some of their own, or they try nothing that way which
 * another case does not try, and make many processes for it.
 */
static bool only_native(const char *name)
{
	static const char *const names[] = {
		"i386-*",
		"asked-*",
		"identity",
		"execve-bare",
		"execve-long",
		"execve-script",
		"execveat-memfd",
		"fork-unshared-*",
		"clone-new-*",
		"kill-child",
		"procexit-signal",
		"procexit-orphan",
		"procexit-core",
		"switch",
		"tcp6",
		"udp6",
		"tcp-mapped",
		"connect-non*",
		"getsockopt-error",
		"openat-flags",
		"openat-desc*",
		"nanosleep-interrupt*",
		"socket-names",
		"ptrace-failure",
		"shutdown-fail*",
		"fork-success",
		"mkdirat",
		"creat-success",
		"close",
		"kill",
		"unlinkat-failure",
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (fnmatch(names[i], name, 0) == 0)
			return true;
	return false;
}

/* The case's process is the child; of this first process no event is expected. */
static bool run_case(const struct one_case *one, bool compat)
{
	struct made m = {.kind = K_FORK};
	pid_t parent = getpid();
	int status = -1;

	static char name[128];

	snprintf(name, sizeof(name), "%s%s", one->name, compat ? "@i386" : "");
	current_case = name;
	/* Where a case hangs, the guest's report ends with its name. */
	if (getenv("KD_GUEST"))
		fprintf(stderr, "%s\n", name);
	peek_without_calls = strcmp(one->name, PROCESS_VM_CASE) == 0 || strcmp(one->name, PROCESS_VM_ENDS_CASE) == 0;
	/* Where they read by it themselves, that is told apart from the program's own by nothing. */
	expect_preadv = strcmp(one->name, I386_PROGRAM_CASE) == 0;
	m.ret = raw_call(SYS_fork, 0, 0, 0, 0, 0, 0);
	if (m.ret == 0) {
		m.order = order_next();
		touch_all();
		self_after_fork(parent);
		usage_read(&m.after);
		m.before.vm = m.after.vm;
		expect_clone_event(&m, 0);
		compat_calls = compat;
		one->run();
		finish(0);
	}
	if (m.ret < 0) {
		case_error("fork: %s", strerror((int)-m.ret));
		return false;
	}
	while (waitpid((pid_t)m.ret, &status, 0) < 0 && errno == EINTR)
		continue;
	expect_procexit((pid_t)m.ret, status, 0);
	if (status != 0)
		case_error("the case's process ended with wait status %#x", status);
	return status == 0;
}

static int usage(void)
{
	fprintf(stderr, "usage: kd-cases [--list] [--only PATTERN]... [--skip PATTERN]... [--snaplen N]\n");
	return 2;
}

/* With arguments to be seen in the events of the cases' processes, however few were given. */
static void start_again(int argc, char **argv)
{
	char **more = calloc((size_t)argc + 4, sizeof(*more));
	char path[PATH_BYTES];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);

	/* By its own path: through /proc/self/exe its name would be exe. */
	path[n > 0 ? n : 0] = 0;
	memcpy(more, argv, (size_t)argc * sizeof(*more));
	more[argc] = "--label";
	more[argc + 1] = "seen in \"args\"";
	more[argc + 2] = NULL;
	execv(path, more);
	perror("kd-cases: execv");
	exit(1);
}

int main(int argc, char **argv)
{
	bool list = false, ok = true, labelled = false;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--list") == 0)
			list = true;
		else if (strcmp(argv[i], "--only") == 0 && i + 1 < argc && n_patterns < 64)
			patterns[n_patterns++] = argv[++i];
		else if (strcmp(argv[i], "--skip") == 0 && i + 1 < argc && n_skipped < 64)
			skipped[n_skipped++] = argv[++i];
		else if (strcmp(argv[i], "--snaplen") == 0 && i + 1 < argc)
			snaplen = (unsigned int)strtoul(argv[++i], NULL, 10);
		else if (strcmp(argv[i], "--label") == 0 && i + 1 < argc)
			labelled = ++i > 0;
		else
			return usage();
	}
	if (!labelled && !list)
		start_again(argc, argv);
	if (snaplen < 1 || snaplen > SNAPLEN_BYTES)
		return usage();
	setvbuf(stdout, NULL, _IOLBF, 0);
	arena_create();
	shared_create();
	memory_setup();
	self_setup(argc, argv);
	snprintf(program_folder, sizeof(program_folder), "%s", self.exe_path);
	if (strrchr(program_folder, '/'))
		*strrchr(program_folder, '/') = 0;
	i386_probe();
	if (i386_runs)
		i386_setup();
	helper_calls_print();
	for (size_t topic = 0; topic < ARRAY_SIZE(all_cases); topic++) {
		for (const struct one_case *one = all_cases[topic]; one->name; one++) {
			if (!wanted(one->name))
				continue;
			if (list) {
				puts(one->name);
				continue;
			}
			ok = run_case(one, false) && ok;
			if (i386_runs && !only_native(one->name))
				ok = run_case(one, true) && ok;
		}
	}
	if (!list)
		arena_print();
	return ok ? 0 : 1;
}
