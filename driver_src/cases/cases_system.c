// SPDX-License-Identifier: GPL-2.0-only OR MIT
/* Cases: namespaces, sessions, signals to threads, capabilities, modules, and other calls of administrators. */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>

#include "cases.h"

static void namespaces(void)
{
	int64_t fd = call3(K_OPEN, "/proc/self/ns/uts", O_RDONLY, 0);

	must("setns", call2(K_SETNS, fd, CLONE_NEWUTS) == 0);
	must("setns", call2(K_SETNS, fd, CLONE_NEWNET) == -EINVAL);
	must("setns", call2(K_SETNS, -1, 0) == -EBADF);
	must("setns", call2(K_SETNS, -1, 0xffffffff00000000ul | CLONE_NEWIPC | CLONE_NEWPID) == -EBADF);
	must("unshare", call1(K_UNSHARE, CLONE_FS | CLONE_FILES | CLONE_SYSVSEM) == 0);
	must("unshare", call1(K_UNSHARE, CLONE_NEWUTS) <= 0);
	must("unshare", call1(K_UNSHARE, 0xffffffff) == -EINVAL);
	must("unshare", call1(K_UNSHARE, CLONE_VFORK | CLONE_PARENT) == -EINVAL);
}

static void sessions(void)
{
	must("setpgid", call2(K_SETPGID, 0, 0) == 0);
	must("setpgid", call2(K_SETPGID, 0x7ffffff0, 1) == -ESRCH);
	must("setpgid", call2(K_SETPGID, self.vpid, -1) == -EINVAL);
	must("setsid", call0(K_SETSID) == -EPERM);
}

static void session_of_own(void)
{
	must("setsid", call0(K_SETSID) == self.vpid);
}

static void thread_signals(void)
{
	must("tkill", call2(K_TKILL, self.vtid, 0) == 0);
	must("tkill", call2(K_TKILL, self.vtid, SIGWINCH) == 0);
	must("tkill", call2(K_TKILL, -5, SIGTERM) == -EINVAL);
	must("tkill", call2(K_TKILL, 0x7ffffff0, 0x101) < 0);
	must("tgkill", call3(K_TGKILL, self.vpid, self.vtid, SIGURG) == 0);
	must("tgkill", call3(K_TGKILL, -1, self.vtid, 0) == -EINVAL);
	must("tgkill", call3(K_TGKILL, self.vpid, 0x7ffffff0, SIGKILL) == -ESRCH);
}

static void capabilities(void)
{
	static struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
	static struct __user_cap_data_struct sets[2];

	raw_call(SYS_capget, U(&header), U(sets), 0, 0, 0, 0);
	must("capset", call2(K_CAPSET, &header, NULL) == -EFAULT);
	sets[0].inheritable = 1u << CAP_CHOWN | 1u << CAP_FOWNER;
	sets[1].inheritable = sets[1].permitted & 1u << (CAP_SYSLOG - 32);
	must("capset", call2(K_CAPSET, &header, sets) == 0);
	sets[0].effective &= ~(1u << CAP_KILL);
	must("capset", call2(K_CAPSET, &header, sets) == 0);
	sets[0].permitted &= ~(1u << CAP_KILL);
	must("capset", call2(K_CAPSET, &header, sets) == 0);
	sets[0].permitted |= 1u << CAP_KILL;
	must("capset", call2(K_CAPSET, &header, sets) == -EPERM);
}

/* Without the right to load one: else older kernels try to allocate that much, and their log tells of it. */
static void module_of_any_length(void)
{
	struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct sets[2];

	raw_call(SYS_capget, U(&header), U(sets), 0, 0, 0, 0);
	sets[0].effective &= ~(1u << CAP_SYS_MODULE);
	raw_call(SYS_capset, U(&header), U(sets), 0, 0, 0, 0);
	must("init_module", call3(K_INIT_MODULE, NULL, 0x123456789ul, string_over_page_end("a")) < 0);
	sets[0].effective |= 1u << CAP_SYS_MODULE;
	raw_call(SYS_capset, U(&header), U(sets), 0, 0, 0, 0);
}

/* No module fits every kernel: only failures. */
static void modules(void)
{
	static char image[300];
	int64_t fd = call3(K_OPEN, "/tmp", O_RDONLY | O_DIRECTORY, 0);

	/* None of them comes so far that the kernel looks for a module in it, which its log would tell of. */
	memset(image, 'm', sizeof(image));
	must("init_module", call3(K_INIT_MODULE, image, 60, "a=1") < 0);
	must("init_module", call3(K_INIT_MODULE, page_end - 299, 5000, "a=2") < 0);
	module_of_any_length();
	must("init_module", call3(K_INIT_MODULE, page_end - 9, 20, NULL) < 0);
	must("init_module", call3(K_INIT_MODULE, image, 5, long_string) < 0);
	must("finit_module", call3(K_FINIT_MODULE, fd, "b=2", 0) < 0);
	must("finit_module", call3(K_FINIT_MODULE, -1, NULL, 0xfff) < 0);
	must("finit_module", call3(K_FINIT_MODULE, 999, string_over_page_end("b"), 3) < 0);
	must("delete_module", call2(K_DELETE_MODULE, "kd_nonexistent", O_NONBLOCK) < 0);
	must("delete_module", call2(K_DELETE_MODULE, NULL, O_NONBLOCK | O_TRUNC) < 0);
	must("delete_module", call2(K_DELETE_MODULE, string_over_page_end("m"), 0) < 0);
	must("delete_module", call2(K_DELETE_MODULE, UNMAPPED, 0xffff) < 0);
}

static void seccomp_cases(void)
{
	static uint32_t action = 0x7fff0000; /* SECCOMP_RET_ALLOW */

	if (call3(K_SECCOMP, 2, 0, &action) != 0)
		case_skip("SECCOMP_GET_ACTION_AVAIL is newer than this kernel (before 4.14)");
	must("seccomp", call3(K_SECCOMP, 0x100000063ul, 0xfffffffful, NULL) < 0);
	must("seccomp", call3(K_SECCOMP, 1, 5, NULL) < 0);
}

static void bpf_cases(void)
{
	static struct {
		uint32_t type, key, value, entries, rest[28];
	} map = {2, 4, 8, 1, {0}};
	int64_t fd = call3(K_BPF, 0, &map, 16);

	if (fd == -ENOSYS || fd == -EPERM)
		case_skip("bpf is not allowed here");
	must("bpf", call3(K_BPF, 0x7ffffff, &map, 16) < 0);
	must("bpf", call3(K_BPF, 5, NULL, 16) < 0);
}

static void pidfds(void)
{
	int64_t fd = call2(K_PIDFD_OPEN, self.vpid, 0);

	if (fd == -ENOSYS) {
		case_skip("no pidfd_open in this kernel");
		return;
	}
	must("pidfd_open", fd >= 0);
	must("pidfd_open", call2(K_PIDFD_OPEN, 0x7ffffff0, O_NONBLOCK) < 0);
	must("pidfd_open", call2(K_PIDFD_OPEN, -3, 0xff00) == -EINVAL);
	if (call3(K_PIDFD_GETFD, fd, 0, 0) == -ENOSYS)
		case_skip("no pidfd_getfd in this kernel");
	must("pidfd_getfd", call3(K_PIDFD_GETFD, -1, -2, 0) < 0);
	must("pidfd_getfd", call3(K_PIDFD_GETFD, fd, 0, 0x100000007ul) < 0);
}

#define NO_KEY 0x7ffffff0

/* No key of that number is there: all but one fail, and none changes a key. */
static void keys(void)
{
	if (call2(K_KEYCTL, 1, "kd-keys") == -ENOSYS)
		case_skip("no keys in this kernel");
	for (unsigned int operation = 2; operation <= 33; operation++)
		if (operation != 18) /* would change the parent's session */
			call5(K_KEYCTL, operation, NO_KEY, "type", "description", -5);
	call5(K_KEYCTL, 0, -3, 0, 0x55, 0x66);
	must("keyctl", call2(K_KEYCTL, 1, string_over_page_end("k")) < 0);
	must("keyctl", call5(K_KEYCTL, 10, NO_KEY, NULL, string_at_page_end("end"), 0x1234567890ul) < 0);
	must("keyctl", call5(K_KEYCTL, 29, NO_KEY, string_at_page_end("end"), UNMAPPED, 0) < 0);
	must("keyctl", call5(K_KEYCTL, 0x100000015ul, -9, NULL, NULL, NULL) < 0);
	must("keyctl", call5(K_KEYCTL, 99, 1, 2, 3, 4) < 0);
}

#define QUOTA(command, type) ((uint64_t)(command) << 8 | (type))

static void quotas(void)
{
	static struct {
		uint64_t numbers[8];
		uint32_t valid, rest;
	} block = {{11, 12, 13, 14, 15, 16, 17, 18}, 0, 0};
	static struct {
		uint64_t grace[2];
		uint32_t flags, valid;
	} info = {{21, 22}, 1, 0};
	static const char path[] = "/nonexistent/quota";
	static uint32_t format;

	/* All file systems: nothing is written that was not to be. */
	if (call4(K_QUOTACTL, QUOTA(0x800001, 0), NULL, 0, NULL) == -ENOSYS)
		case_skip("no quotas in this kernel");
	for (unsigned int format_id = 0; format_id < 6; format_id++)
		must("quotactl", call4(K_QUOTACTL, QUOTA(0x800002, 1), path, format_id, path) < 0);
	must("quotactl", call4(K_QUOTACTL, QUOTA(0x800002, 77), string_over_page_end("q"), 2, NULL) < 0);
	for (unsigned int bit = 0; bit < 6; bit++) {
		block.valid = 1u << bit;
		must("quotactl", call4(K_QUOTACTL, QUOTA(0x800008, 0), path, 1000 + bit, &block) < 0);
	}
	must("quotactl", call4(K_QUOTACTL, QUOTA(0x800008, 0), path, 5, page_end - 30) < 0);
	must("quotactl", call4(K_QUOTACTL, QUOTA(0x800008, 0), path, 5, NULL) < 0);
	for (unsigned int valid = 0; valid < 8; valid++) {
		info.valid = valid;
		info.flags = valid & 1;
		must("quotactl", call4(K_QUOTACTL, QUOTA(0x800006, 1), path, 0, &info) < 0);
	}
	must("quotactl", call4(K_QUOTACTL, QUOTA(0x800006, 1), path, 0, UNMAPPED) < 0);
	for (unsigned int command = 0x800000; command <= 0x80000a; command++)
		if (command != 0x800001)
			must("quotactl", call4(K_QUOTACTL, QUOTA(command, 0), path, 0x12345, &format) < 0);
	for (unsigned int command = 0x5800; command <= 0x5809; command++)
		must("quotactl", call4(K_QUOTACTL, QUOTA(command, 1), path, 0x54321, &format) < 0);
}

const struct one_case system_cases[] = {
	{"setns-unshare", namespaces},
	{"setpgid", sessions},
	{"setsid", session_of_own},
	{"tkill-tgkill", thread_signals},
	{"capset", capabilities},
	{"modules", modules},
	{"seccomp", seccomp_cases},
	{"bpf", bpf_cases},
	{"pidfd", pidfds},
	{"quotactl", quotas},
	{"keyctl", keys},
	{NULL, NULL},
};
