// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * kd-capture: kprobes on the functions of the calls that are captured at their entry.
 *
 * The tracepoint of entries runs a program at every call, of which all but a few are none of ours. A kprobe costs only the
 * call whose function it is on. It serves where functions of calls take the saved registers (Linux 4.17, 9f4a1a2dd5d5 and
 * ebeb8c82ffaf), all of the calls are there (openat2: 5.6, or a backport), each call of i386 has a function of its own, and
 * kprobes are to be had. Elsewhere, and where the time of every entry is asked for, the tracepoint does.
 *
 * Both can miss an entry: the kernel skips programs of kprobes and of classic tracepoints while bpf_prog_active is raised on
 * the CPU, which bpf(2) does around operations on maps. A task can be preempted there where the kernel is preemptible (or
 * PREEMPT_RT), as that only keeps it on its CPU. The kernel counts such runs from 6.7 on.
 */
#include <errno.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bpf.h"

/* Calls and their functions; those of i386 that another name may have come in the order in which they are tried. */
static const struct entry_call {
	const char *call;
	const char *native;
	const char *compat[2];
	const char *multiplexed; /* the call of i386 that stands for it, too */
} entry_calls[] = {
	{"exit", "__x64_sys_exit", {"__ia32_sys_exit"}, NULL},
	{"exit_group", "__x64_sys_exit_group", {"__ia32_sys_exit_group"}, NULL},
	{"open", "__x64_sys_open", {"__ia32_compat_sys_open", "__ia32_sys_open"}, NULL},
	{"creat", "__x64_sys_creat", {"__ia32_sys_creat"}, NULL},
	{"openat", "__x64_sys_openat", {"__ia32_compat_sys_openat", "__ia32_sys_openat"}, NULL},
	{"openat2", "__x64_sys_openat2", {"__ia32_sys_openat2"}, NULL},
	{"connect", "__x64_sys_connect", {"__ia32_sys_connect"}, "__ia32_compat_sys_socketcall"},
};

#define ENTRY_CALLS (sizeof(entry_calls) / sizeof(entry_calls[0]))
_Static_assert(ENTRY_CALLS == KD_ENTRY_CALLS, "one group of links for each");

static const struct entry_call *entry_call_of(const char *name)
{
	size_t i;

	for (i = 0; i < ENTRY_CALLS; i++)
		if (strcmp(entry_calls[i].call, name) == 0)
			return &entry_calls[i];
	return NULL;
}

/* The functions of all calls that any event captures at their entry must be known. */
static bool all_known(void)
{
	const struct kd_call_desc *call;
	unsigned int compat;

	for (compat = 0; compat < 2; compat++)
		for (call = kd_calls(compat); call->name; call++)
			if (call->at_entry && !entry_call_of(call->name))
				return false;
	return true;
}

/* Both let kprobes be set and never hit: the first is in debugfs, the second is the sysctl of ftrace, which most kprobes use. */
static bool switched_off(void)
{
	static const char *const switches[] = {"/sys/kernel/debug/kprobes/enabled", "/proc/sys/kernel/ftrace_enabled"};
	bool off = false;
	size_t i;

	for (i = 0; i < sizeof(switches) / sizeof(switches[0]); i++) {
		FILE *file = fopen(switches[i], "re");

		off = off || (file && fgetc(file) == '0');
		if (file)
			fclose(file);
	}
	return off;
}

static int kprobe_type(void)
{
	FILE *file = fopen("/sys/bus/event_source/devices/kprobe/type", "re");
	int type = -1;

	if (!file)
		return -1;
	if (fscanf(file, "%d", &type) != 1)
		type = -1;
	fclose(file);
	return type;
}

static bool takes_kprobe(int type, const char *function)
{
	struct perf_event_attr attr = {
		.size = sizeof(attr),
		.type = (__u32)type,
		.config1 = (__u64)(unsigned long)function,
		.disabled = 1,
	};
	int fd = (int)syscall(SYS_perf_event_open, &attr, -1, 0, -1, PERF_FLAG_FD_CLOEXEC);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

/* The youngest of the calls (openat2, 5.6), tried without anything that it could do. */
static bool has_all_calls(void)
{
	return syscall(SYS_openat2, -1, NULL, NULL, 0) >= 0 || errno != ENOSYS;
}

/*
 * Asked of functions that all kernels have, for x86_64 and for i386; a kernel without calls of i386 takes the tracepoint. So
 * does one without one of the calls: no function of it tells that the call was tried, the tracepoint does. It is asked first,
 * as older kernels log each kprobe that finds no function.
 */
bool kd_bpf_entry_possible(void)
{
	int type = has_all_calls() ? kprobe_type() : -1;

	return type >= 0 && all_known() && !switched_off() && takes_kprobe(type, "__x64_sys_exit_group") &&
	       takes_kprobe(type, "__ia32_sys_exit_group");
}

/* -ENOENT where the kernel has none of these functions, or none is named. */
static int attach_first(struct bpf_link **link, const struct bpf_program *program, const char *const *names,
			size_t count)
{
	size_t i;

	for (i = 0; i < count && names[i]; i++) {
		*link = bpf_program__attach_kprobe(program, false, names[i]);
		if (*link)
			return 0;
		if (errno != ENOENT)
			return -errno;
	}
	return -ENOENT;
}

static void detach_call(struct bpf_link **links)
{
	unsigned int i;

	for (i = 0; i < KD_ENTRY_LINKS; i++) {
		bpf_link__destroy(links[i]);
		links[i] = NULL;
	}
}

static int attach_call(struct bpf_link **links, const struct bpf_program *program, const struct entry_call *call)
{
	int status = attach_first(&links[0], program, &call->native, 1);

	if (status == 0)
		status = attach_first(&links[1], program, call->compat, 2);
	if (status == 0)
		status = attach_first(&links[2], program, &call->multiplexed, 1);
	if (status == -ENOENT && links[0] && links[1])
		status = 0; /* no such call stands for it here */
	if (status != 0)
		detach_call(links);
	return status;
}

static bool call_wanted(const struct kd_bpf_driver *driver, const char *name)
{
	const struct kd_call_desc *call;
	unsigned int compat;

	for (compat = 0; compat < 2; compat++)
		for (call = kd_calls(compat); call->name; call++)
			if (call->at_entry && driver->on[call->slot] && strcmp(call->name, name) == 0)
				return true;
	return false;
}

int kd_bpf_entry_update(struct kd_bpf_driver *driver, const struct bpf_program *program)
{
	unsigned int i;
	int status;

	for (i = 0; i < ENTRY_CALLS; i++) {
		struct bpf_link **links = driver->entry_links[i];
		bool wanted = call_wanted(driver, entry_calls[i].call), attached = links[0] || links[1] || links[2];

		if (!wanted && attached) {
			detach_call(links);
		} else if (wanted && !attached) {
			status = attach_call(links, program, &entry_calls[i]);
			if (status != 0) {
				snprintf(driver->base.reason, sizeof(driver->base.reason),
					 "a kprobe on the function of %s cannot be attached: %s", entry_calls[i].call,
					 strerror(-status));
				return status;
			}
		}
	}
	return 0;
}
