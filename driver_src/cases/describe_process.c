// SPDX-License-Identifier: GPL-2.0-only OR MIT
/* Expected events of calls on processes, memory and time. */
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

#include "cases.h"

static void exp_span(const char *name, uint64_t a, uint64_t b, uint64_t slack)
{
	uint64_t lo = a < b ? a : b, hi = a < b ? b : a;

	exp_between(name, lo > slack ? lo - slack : 0, hi + slack);
}

void exp_vm(const struct usage *before, const struct usage *after)
{
	exp_span("vm_size", before->vm, after->vm, 0);
	exp_span("vm_rss", before->rss, after->rss, rss_slack_kb());
	exp_span("vm_swap", before->swap, after->swap, rss_slack_kb() / 3);
}

void exp_usage(const struct usage *before, const struct usage *after)
{
	exp_span("pgft_maj", before->pgft_maj, after->pgft_maj, 0);
	exp_span("pgft_min", before->pgft_min, after->pgft_min, 0);
	exp_vm(before, after);
}

/* A path of more than 16 components is not shown. */
void exp_cwd(void)
{
	int components = 0;

	for (const char *at = self.cwd; *at; at++)
		components += at[0] == '/' && at[1] && at[1] != '/';
	if (components > PATH_COMPONENTS)
		exp_null("cwd");
	else
		exp_str("cwd", self.cwd, strlen(self.cwd));
}

/* What clone and execve events have in common of the current task. */
static void exp_task(void)
{
	exp_int("tid", self.tid);
	exp_int("pid", self.pid);
	exp_int("ptid", self.ptid);
	exp_cwd();
	exp_uint("fdlimit", self.fdlimit);
	exp_str("comm", self.comm, strlen(self.comm));
	exp_json("cgroups", self.cgroups_json);
	exp_uint("uid", self.uid);
	exp_uint("gid", self.gid);
}

static const uint32_t clone_bits[][2] = {
	{0x100, 32768},		{0x200, 2},	  {0x400, 1},	       {0x800, 2048},	      {0x2000, 1024},
	{0x4000, 134217728},	{0x8000, 256},	  {0x10000, 8192},     {0x20000, 32},	      {0x40000, 4096},
	{0x80000, 33554432},	{0x100000, 512},  {0x200000, 8388608}, {0x800000, 16384},     {0x1000000, 16777216},
	{0x2000000, 268435456}, {0x4000000, 128}, {0x8000000, 8},      {0x10000000, 1048576}, {0x20000000, 64},
	{0x40000000, 16},	{0x80000000, 4},
};

static uint32_t clone_flags(uint64_t flags)
{
	uint32_t out = 0;

	for (size_t i = 0; i < ARRAY_SIZE(clone_bits); i++)
		if ((uint32_t)flags & clone_bits[i][0])
			out |= clone_bits[i][1];
	return out;
}

/* One of a clone's two events. flags: the call's own. The task is the current one, with self filled for it. */
void expect_clone_event(const struct made *m, uint32_t flags)
{
	const struct made *outer = describing;
	uint64_t first;

	describing = m;
	exp_open(kinds[m->kind].event, self.tid, m->order);
	describing = outer;
	exp_int("res", m->ret);
	if (m->ret >= 0) {
		exp_str("exe", self.argv0, strlen(self.argv0));
		exp_json("args", self.args_json);
	} else {
		exp_null("exe");
		exp_null("args");
	}
	exp_task();
	exp_usage(&m->before, &m->after);
	if (m->kind == K_CLONE3 && m->ret != 0)
		peek(m->pid, m->a[0], &first, sizeof(first));
	exp_uint("flags", clone_flags(flags) | (self.in_pid_namespace ? 536870912u : 0));
	exp_int("vtid", self.vtid);
	exp_int("vpid", self.vpid);
	if (m->ret == 0)
		exp_between("pidns_init_start_ts", self.init_start_ticks * 10000000u,
			    (self.init_start_ticks + 1) * 10000000u);
	else
		exp_uint("pidns_init_start_ts", 0);
	exp_close();
}

/* Of a call that made no child. */
void describe_clone(const struct made *m)
{
	uint64_t flags = m->kind == K_CLONE ? m->a[0] : 0;

	if (m->kind == K_CLONE3 && !peek(m->pid, m->a[0], &flags, sizeof(flags))) {
		exp_open("clone3", m->tid, m->order);
		exp_int("res", m->ret);
		exp_null("exe");
		exp_null("args");
		exp_task();
		exp_usage(&m->before, &m->after);
		peek(m->pid, m->a[0], &flags, sizeof(flags));
		exp_null("flags");
		exp_int("vtid", self.vtid);
		exp_int("vpid", self.vpid);
		exp_uint("pidns_init_start_ts", 0);
		exp_close();
		return;
	}
	expect_clone_event(m, (uint32_t)flags);
}

/* An execve or execveat that failed. */
void describe_exec(const struct made *m)
{
	uint64_t argv = m->kind == K_EXECVE ? m->a[1] : m->a[2], envp = m->kind == K_EXECVE ? m->a[2] : m->a[3];

	exp_open(kinds[m->kind].event, m->tid, m->order);
	exp_int("res", m->ret);
	exp_user_first_string("exe", m, argv);
	exp_user_strings("args", m, argv, 1);
	exp_user_strings("env", m, envp, 0);
	exp_task();
	exp_usage(&m->before, &m->after);
	exp_uint("tty", self.tty);
	exp_int("vpgid", self.vpgid);
	exp_int("pgid", self.pgid);
	exp_uint("loginuid", self.loginuid);
	exp_uint("flags", self.exe_flags);
	exp_uint("cap_effective", caps_of(0, 0));
	exp_uint("cap_permitted", caps_of(0, 1));
	exp_uint("cap_inheritable", caps_of(0, 2));
	exp_uint("exe_ino", self.exe_ino);
	exp_uint("exe_ino_ctime", self.exe_ctime);
	exp_uint("exe_ino_mtime", self.exe_mtime);
	exp_str("trusted_exepath", self.exe_path, strlen(self.exe_path));
	if (m->kind == K_EXECVE)
		exp_user_str("filename", m->pid, m->a[0]);
	exp_close();
}

void describe_kill(const struct made *m)
{
	exp_open("kill", m->tid, m->order);
	exp_int("res", m->ret);
	exp_int("pid", (int32_t)m->a[0]);
	exp_uint("sig", (uint8_t)m->a[1]);
	exp_close();
}

void describe_futex(const struct made *m)
{
	unsigned int op = (uint32_t)m->a[1] & 127;

	exp_open("futex", m->tid, m->order);
	exp_int("res", m->ret);
	exp_uint("addr", m->a[0]);
	exp_uint("op", (op <= 12 ? op : 0) | ((uint32_t)m->a[1] & (128 | 256)));
	exp_uint("val", (uint32_t)m->a[2]);
	exp_close();
}

void describe_nanosleep(const struct made *m)
{
	int64_t request[2];
	int32_t narrow[2];
	bool read;

	exp_open("nanosleep", m->tid, m->order);
	exp_int("res", m->ret);
	read = m->i386 ? peek(m->pid, m->a[0], narrow, 8) : peek(m->pid, m->a[0], request, 16);
	if (read && m->i386)
		exp_uint("interval", (uint64_t)narrow[0] * 1000000000u + (uint64_t)narrow[1]);
	else if (read)
		exp_uint("interval", (uint64_t)request[0] * 1000000000u + (uint64_t)request[1]);
	else
		exp_null("interval");
	exp_close();
}

void describe_prctl(const struct made *m)
{
	int32_t value;

	exp_open("prctl", m->tid, m->order);
	exp_int("res", m->ret);
	exp_uint("option", (uint32_t)m->a[0]);
	if ((uint32_t)m->a[0] == PR_SET_NAME || (uint32_t)m->a[0] == PR_GET_NAME) {
		exp_user_str("arg2_str", m->pid, m->a[1]);
		exp_int("arg2_int", 0);
	} else if ((uint32_t)m->a[0] == PR_GET_CHILD_SUBREAPER) {
		exp_null("arg2_str");
		if (peek(m->pid, m->a[1], &value, sizeof(value)))
			exp_int("arg2_int", value);
		else
			exp_null("arg2_int");
	} else {
		exp_null("arg2_str");
		exp_int("arg2_int", (int64_t)m->a[1]);
	}
	exp_close();
}

static const uint8_t ptrace_requests[] = {
	[0] = 1,   [1] = 2,   [2] = 3,	 [3] = 4,   [4] = 5,   [5] = 6,	  [6] = 7,   [7] = 8,	[8] = 9,
	[9] = 10,  [12] = 26, [13] = 27, [14] = 28, [15] = 29, [16] = 11, [17] = 12, [18] = 30, [19] = 31,
	[21] = 32, [24] = 13, [25] = 33, [26] = 34, [30] = 35, [31] = 36, [32] = 37, [33] = 38,
};

void describe_ptrace(const struct made *m)
{
	unsigned int request = 0;
	size_t word = m->i386 ? 4 : 8;
	uint64_t data = m->a[3];
	char json[64];

	if (m->a[0] < ARRAY_SIZE(ptrace_requests))
		request = ptrace_requests[m->a[0]];
	else if (m->a[0] >= 0x4200 && m->a[0] <= 0x420b)
		request = (unsigned int)(m->a[0] - 0x4200 + 14);
	exp_open("ptrace", m->tid, m->order);
	exp_int("res", m->ret);
	snprintf(json, sizeof(json), "{\"kind\":0,\"value\":%llu}", m->ret < 0 ? 0 : (unsigned long long)m->a[2]);
	exp_json("addr", json);
	if (m->ret >= 0 && m->a[0] >= 1 && m->a[0] <= 3)
		data = 0;
	if (m->ret >= 0 && m->a[0] >= 1 && m->a[0] <= 3 && !peek(m->pid, m->a[3], &data, word)) {
		exp_null("data");
	} else {
		bool signal = m->ret >= 0 && (request == 8 || request == 10 || request == 12 || request == 13);

		snprintf(json, sizeof(json), "{\"kind\":%d,\"value\":%llu}", signal,
			 m->ret < 0 ? 0
			 : signal   ? data & 0xff
				    : (unsigned long long)data);
		exp_json("data", json);
	}
	exp_uint("request", request);
	exp_int("pid", (int32_t)m->a[1]);
	exp_close();
}

static const uint32_t mmap_bits[][2] = {
	{1, 1},	       {2, 2},	       {0x10, 4},    {0x20, 8},	    {0x40, 16},	    {0x4000, 64},
	{0x8000, 128}, {0x10000, 256}, {0x100, 512}, {0x800, 1024}, {0x1000, 2048}, {0x2000, 16384},
};

void describe_mmap(const struct made *m)
{
	uint32_t flags = 0, prot = (uint32_t)m->a[2];

	for (size_t i = 0; i < ARRAY_SIZE(mmap_bits); i++)
		if ((uint32_t)m->a[3] & mmap_bits[i][0])
			flags |= mmap_bits[i][1];
	exp_open("mmap", m->tid, m->order);
	exp_int("res", m->ret);
	exp_span("vm_size", m->after.vm, m->after.vm, 0);
	exp_span("vm_rss", m->before.rss, m->after.rss, rss_slack_kb());
	exp_span("vm_swap", m->before.swap, m->after.swap, rss_slack_kb() / 3);
	exp_uint("addr", m->a[0]);
	exp_uint("length", m->a[1]);
	exp_uint("prot", (prot & 15) | (prot & 0x1000000 ? 16 : 0) | (prot & 0x2000000 ? 32 : 0));
	exp_uint("flags", flags);
	exp_int("fd", (int32_t)m->a[4]);
	exp_uint("offset", m->a[5]);
	exp_close();
}

/* i386 only, described by another process: what its memory may have grown to is known, not when. */
void describe_mmap2(const struct made *m)
{
	uint32_t flags = 0, prot = (uint32_t)m->a[2];

	for (size_t i = 0; i < ARRAY_SIZE(mmap_bits); i++)
		if ((uint32_t)m->a[3] & mmap_bits[i][0])
			flags |= mmap_bits[i][1];
	exp_open("mmap2", m->tid, m->order);
	exp_int("res", m->ret < 0 && m->ret >= -4095 ? m->ret : (int64_t)(uint32_t)m->ret);
	exp_span("vm_size", 1, m->after.vm + m->a[1] / 1024, 0);
	exp_span("vm_rss", 0, m->after.rss, rss_slack_kb());
	exp_span("vm_swap", 0, m->after.swap, rss_slack_kb() / 3);
	exp_uint("addr", m->a[0]);
	exp_uint("length", m->a[1]);
	exp_uint("prot", (prot & 15) | (prot & 0x1000000 ? 16 : 0) | (prot & 0x2000000 ? 32 : 0));
	exp_uint("flags", flags);
	exp_int("fd", (int32_t)m->a[4]);
	exp_uint("pgoffset", m->a[5]);
	exp_close();
}

void describe_munmap(const struct made *m)
{
	exp_open("munmap", m->tid, m->order);
	exp_int("res", m->ret);
	exp_span("vm_size", m->after.vm, m->after.vm, 0);
	exp_span("vm_rss", m->before.rss, m->after.rss, rss_slack_kb());
	exp_span("vm_swap", m->before.swap, m->after.swap, rss_slack_kb() / 3);
	exp_uint("addr", m->a[0]);
	exp_uint("length", m->a[1]);
	exp_close();
}

void describe_brk(const struct made *m)
{
	exp_open("brk", m->tid, m->order);
	exp_uint("res", (uint64_t)m->ret);
	exp_span("vm_size", m->after.vm, m->after.vm, 0);
	exp_span("vm_rss", m->before.rss, m->after.rss, rss_slack_kb());
	exp_span("vm_swap", m->before.swap, m->after.swap, rss_slack_kb() / 3);
	exp_uint("addr", m->a[0]);
	exp_close();
}
