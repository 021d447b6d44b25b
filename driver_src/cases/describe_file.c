// SPDX-License-Identifier: GPL-2.0-only OR MIT
/* Expected events of calls on files and paths. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "cases.h"

/* Flags as CONVENTIONS.md has them: {Linux, schema}. */
static const uint32_t open_bits[][2] = {
	{0100, 4},    {02000, 8},    {010000, 16},    {0200, 32},      {04000, 64},	 {04000000, 128},
	{01000, 256}, {040000, 512}, {0200000, 1024}, {0100000, 2048}, {02000000, 4096}, {020000000, 8192},
};

static uint32_t open_flags(uint64_t flags)
{
	uint32_t out = (flags & 3) == 1 ? 2 : (flags & 3) == 2 ? 3 : 1;

	for (size_t i = 0; i < ARRAY_SIZE(open_bits); i++)
		if (flags & open_bits[i][0])
			out |= open_bits[i][1];
	return out;
}

static int64_t fd_of(uint64_t arg)
{
	return (int32_t)arg;
}

bool file_was_created;

static void exp_open_flags(const struct made *m, uint64_t flags)
{
	bool created = m->ret >= 0 && file_was_created && kernel_tells_created;

	exp_uint("flags", open_flags(flags) | (created ? 16384 : 0));
	file_was_created = false;
}

static void exp_open_mode(uint64_t flags, uint64_t mode)
{
	exp_uint("mode", flags & (0100 | 020000000) ? mode & 07777 : 0);
}

static void exp_dev_ino(const struct made *m)
{
	struct stat st;

	memset(&st, 0, sizeof(st));
	if (m->ret >= 0) {
		stat_fd_of(m->pid, (int)m->ret, &st);
	}
	exp_uint("dev", (uint32_t)st.st_dev);
	exp_uint("ino", st.st_ino);
}

/* What was asked for, as it is seen when the call is entered. */
static void exp_entry(const struct made *m, const char *event, int path, uint64_t flags, uint64_t mode)
{
	exp_open(event, m->tid, m->order - 1);
	if (path)
		exp_int("dirfd", fd_of(m->a[0]));
	exp_user_str("name", m->pid, m->a[path]);
	exp_uint("flags", open_flags(flags));
	exp_open_mode(flags, mode);
	exp_close();
}

void describe_open(const struct made *m)
{
	exp_entry(m, "open_e", 0, m->a[1], m->a[2]);
	exp_open("open", m->tid, m->order);
	exp_int("fd", m->ret);
	exp_user_str("name", m->pid, m->a[0]);
	exp_open_flags(m, m->a[1]);
	exp_open_mode(m->a[1], m->a[2]);
	exp_dev_ino(m);
	exp_close();
}

void describe_openat(const struct made *m)
{
	exp_entry(m, "openat_e", 1, m->a[2], m->a[3]);
	exp_open("openat", m->tid, m->order);
	exp_int("fd", m->ret);
	exp_int("dirfd", fd_of(m->a[0]));
	exp_user_str("name", m->pid, m->a[1]);
	exp_open_flags(m, m->a[2]);
	exp_open_mode(m->a[2], m->a[3]);
	exp_dev_ino(m);
	exp_close();
}

/* struct open_how: flags, mode, resolve. */
static void exp_openat2(const struct made *m, bool at_entry)
{
	static const uint32_t bits[][2] = {{1, 16}, {2, 4}, {4, 8}, {8, 1}, {16, 2}, {32, 32}};
	uint64_t how[3] = {0, 0, 0};
	uint32_t resolve = 0;

	exp_open(at_entry ? "openat2_e" : "openat2", m->tid, m->order - (at_entry ? 1 : 0));
	if (!at_entry)
		exp_int("fd", m->ret);
	exp_int("dirfd", fd_of(m->a[0]));
	exp_user_str("name", m->pid, m->a[1]);
	if (!peek(m->pid, m->a[2], how, 8))
		exp_null("flags");
	else if (at_entry)
		exp_uint("flags", open_flags(how[0]));
	else
		exp_open_flags(m, how[0]);
	if (peek(m->pid, m->a[2], how, 16))
		exp_open_mode(how[0], how[1]);
	else
		exp_null("mode");
	if (peek(m->pid, m->a[2], how, 24)) {
		for (size_t i = 0; i < ARRAY_SIZE(bits); i++)
			resolve |= how[2] & bits[i][0] ? bits[i][1] : 0;
		exp_uint("resolve", resolve);
	} else {
		exp_null("resolve");
	}
	if (!at_entry)
		exp_dev_ino(m);
	exp_close();
}

void describe_openat2(const struct made *m)
{
	exp_openat2(m, true);
	exp_openat2(m, false);
}

void describe_open_by_handle_at(const struct made *m)
{
	static char link[64], path[PATH_BYTES];
	int64_t n = 0;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", (int)m->ret);
	if (m->ret >= 0)
		n = raw_call(SYS_readlink, U(link), U(path), sizeof(path), 0, 0, 0);
	exp_open("open_by_handle_at", m->tid, m->order);
	exp_int("fd", m->ret);
	exp_int("mountfd", fd_of(m->a[0]));
	exp_open_flags(m, m->a[2]);
	if (n > 0)
		exp_str("path", path, (size_t)n);
	else
		exp_null("path");
	exp_dev_ino(m);
	exp_close();
}

void describe_creat(const struct made *m)
{
	exp_open("creat_e", m->tid, m->order - 1);
	exp_user_str("name", m->pid, m->a[0]);
	exp_uint("mode", m->a[1] & 07777);
	exp_close();
	exp_open("creat", m->tid, m->order);
	exp_int("fd", m->ret);
	exp_user_str("name", m->pid, m->a[0]);
	exp_uint("mode", m->a[1] & 07777);
	exp_dev_ino(m);
	exp_uint("creat_flags", 0);
	exp_close();
}

void describe_close(const struct made *m)
{
	exp_open("close", m->tid, m->order);
	exp_int("res", m->ret);
	exp_int("fd", fd_of(m->a[0]));
	exp_close();
}

void describe_rename(const struct made *m)
{
	exp_open("rename", m->tid, m->order);
	exp_int("res", m->ret);
	exp_user_str("oldpath", m->pid, m->a[0]);
	exp_user_str("newpath", m->pid, m->a[1]);
	exp_close();
}

void describe_renameat2(const struct made *m)
{
	exp_open("renameat2", m->tid, m->order);
	exp_int("res", m->ret);
	exp_int("olddirfd", fd_of(m->a[0]));
	exp_user_str("oldpath", m->pid, m->a[1]);
	exp_int("newdirfd", fd_of(m->a[2]));
	exp_user_str("newpath", m->pid, m->a[3]);
	exp_uint("flags", (uint32_t)m->a[4]);
	exp_close();
}

void describe_unlinkat(const struct made *m)
{
	exp_open("unlinkat", m->tid, m->order);
	exp_int("res", m->ret);
	exp_int("dirfd", fd_of(m->a[0]));
	exp_user_str("name", m->pid, m->a[1]);
	exp_uint("flags", m->a[2] & 0x200);
	exp_close();
}

void describe_mkdirat(const struct made *m)
{
	exp_open("mkdirat", m->tid, m->order);
	exp_int("res", m->ret);
	exp_int("dirfd", fd_of(m->a[0]));
	exp_user_str("path", m->pid, m->a[1]);
	exp_uint("mode", (uint32_t)m->a[2]);
	exp_close();
}

void describe_fchmodat(const struct made *m)
{
	exp_open("fchmodat", m->tid, m->order);
	exp_int("res", m->ret);
	exp_int("dirfd", fd_of(m->a[0]));
	exp_user_str("filename", m->pid, m->a[1]);
	exp_uint("mode", m->a[2] & 07777);
	exp_close();
}

void describe_chdir(const struct made *m)
{
	exp_open("chdir", m->tid, m->order);
	exp_int("res", m->ret);
	exp_user_str("path", m->pid, m->a[0]);
	exp_close();
	if (m->ret == 0 && m->pid == self.vpid)
		raw_call(SYS_getcwd, U(self.cwd), sizeof(self.cwd), 0, 0, 0, 0);
}

void describe_mount(const struct made *m)
{
	uint32_t flags = (uint32_t)m->a[3];

	exp_open("mount", m->tid, m->order);
	exp_int("res", m->ret);
	exp_user_str("dev", m->pid, m->a[0]);
	exp_user_str("dir", m->pid, m->a[1]);
	exp_user_str("type", m->pid, m->a[2]);
	exp_uint("flags", flags >> 16 == 0xc0ed ? flags & 0xffff : flags);
	exp_close();
}
