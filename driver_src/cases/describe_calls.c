// SPDX-License-Identifier: GPL-2.0-only OR MIT
/* Expected events of calls that pass structures, or whose parameters depend on each other. */
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>

#include "cases.h"
#include "i386.h"

#define ALL_ONES 0xffffffffu

static int64_t fd_of(uint64_t arg)
{
	return (int32_t)arg;
}

static void exp_mknod_mode(uint64_t arg)
{
	uint32_t type = arg & 0170000, mode = arg & 07777;

	if (type == 010000 || type == 020000 || type == 060000 || type == 0100000 || type == 0140000)
		mode |= type;
	exp_uint("mode", mode);
}

/* mknod, mknodat */
void describe_mknod(const struct made *m)
{
	int at = m->kind == K_MKNODAT;

	exp_open(kinds[m->kind].event, m->tid, m->order);
	exp_int("res", m->ret);
	if (at)
		exp_int("dirfd", fd_of(m->a[0]));
	exp_user_str("path", m->pid, m->a[at]);
	exp_mknod_mode(m->a[at + 1]);
	exp_uint("dev", (uint32_t)m->a[at + 2]);
	exp_close();
}

/* i386 only. */
void describe_llseek(const struct made *m)
{
	exp_open("llseek", m->tid, m->order);
	exp_int("res", m->ret);
	exp_int("fd", fd_of(m->a[0]));
	exp_uint("offset", m->a[1] << 32 | m->a[2]);
	exp_uint("whence", m->a[4] <= 2 ? m->a[4] : 0);
	exp_close();
}

void describe_fsconfig(const struct made *m)
{
	uint32_t cmd = (uint32_t)m->a[1];
	int32_t aux = (int32_t)m->a[4];

	exp_open("fsconfig", m->tid, m->order);
	exp_int("res", m->ret);
	exp_int("fd", fd_of(m->a[0]));
	exp_uint("cmd", cmd);
	exp_user_str("key", m->pid, m->a[2]);
	exp_user_buf("value_bytebuf", m->pid, m->a[3], cmd == 2 && aux > 0 ? (uint64_t)aux : 0);
	exp_user_str("value_charbuf", m->pid, cmd == 1 || cmd == 3 || cmd == 4 ? m->a[3] : 0);
	exp_int("aux", aux);
	exp_close();
}

void describe_sendfile(const struct made *m)
{
	/* The older i386 call has an offset of 4 bytes: the cases mark it by a fifth argument, which no such call has. */
	size_t size = m->i386 && m->a[4] == I386_NARROW_SENDFILE ? 4 : 8;
	uint64_t offset = 0;

	exp_open("sendfile", m->tid, m->order);
	exp_int("res", m->ret);
	if (peek(m->pid, m->a[2], &offset, size))
		exp_uint("offset", offset);
	else
		exp_null("offset");
	exp_int("out_fd", fd_of(m->a[0]));
	exp_int("in_fd", fd_of(m->a[1]));
	exp_uint("size", m->a[3]);
	exp_close();
}

static void exp_word(const char *name, const struct made *m, uint64_t address)
{
	uint32_t value;

	if (peek(m->pid, address, &value, sizeof(value)))
		exp_uint(name, value);
	else
		exp_null(name);
}

void describe_io_uring_setup(const struct made *m)
{
	static const uint32_t bits[][2] = {{1, 1}, {2, 2}, {4, 8}, {8, 16}, {16, 32}, {32, 64}, {64, 128}};
	uint32_t flags, out = 0, features;

	exp_open("io_uring_setup", m->tid, m->order);
	exp_int("res", m->ret);
	exp_uint("entries", (uint32_t)m->a[0]);
	exp_word("sq_entries", m, m->a[1]);
	exp_word("cq_entries", m, m->a[1] + 4);
	if (peek(m->pid, m->a[1] + 8, &flags, sizeof(flags))) {
		for (size_t i = 0; i < ARRAY_SIZE(bits); i++)
			out |= flags & bits[i][0] ? bits[i][1] : 0;
		exp_uint("flags", out);
	} else {
		exp_null("flags");
	}
	exp_word("sq_thread_cpu", m, m->a[1] + 12);
	exp_word("sq_thread_idle", m, m->a[1] + 16);
	if (peek(m->pid, m->a[1] + 20, &features, sizeof(features)))
		exp_uint("features", features & 0x7ff);
	else
		exp_null("features");
	exp_close();
}

void describe_io_uring_enter(const struct made *m)
{
	exp_open("io_uring_enter", m->tid, m->order);
	exp_int("res", m->ret);
	exp_int("fd", fd_of(m->a[0]));
	exp_uint("to_submit", (uint32_t)m->a[1]);
	exp_uint("min_complete", (uint32_t)m->a[2]);
	exp_uint("flags", m->a[3] & 15);
	if (m->a[3] & 8)
		exp_null("sig");
	else
		exp_word("sig", m, m->a[4]);
	exp_close();
}

/* Where the kernel has its sockets nobody else knows; that there are any, everybody does. */
static void exp_kernel_address(const char *name, bool there)
{
	if (there)
		exp_between(name, 0xff00000000000000ull, UINT64_MAX);
	else
		exp_between(name, 0, 0);
}

void describe_socketpair(const struct made *m)
{
	unsigned int pointer;
	int ends[2] = {-1, -1};

	exp_open("socketpair", m->tid, m->order);
	exp_int("res", m->ret);
	if (m->ret == 0)
		peek(m->pid, m->a[3], ends, sizeof(ends));
	pointer = noted();
	exp_int("fd1", ends[0]);
	note(pointer);
	exp_int("fd2", ends[1]);
	note(pointer);
	exp_kernel_address("source", m->ret == 0);
	note(pointer);
	exp_kernel_address("peer", m->ret == 0);
	exp_uint("domain", (uint32_t)m->a[0]);
	exp_uint("type", (uint32_t)m->a[1]);
	exp_uint("proto", (uint32_t)m->a[2]);
	exp_close();
}

/* getrlimit, setrlimit */
void describe_rlimit(const struct made *m)
{
	static const char *const names[] = {"cur", "max"};
	uint32_t resource = (uint32_t)m->a[0];

	exp_open(kinds[m->kind].event, m->tid, m->order);
	exp_int("res", m->ret);
	for (int i = 0; i < 2; i++) {
		uint64_t value = 0, size = m->i386 ? 4 : 8;

		if ((m->kind == K_GETRLIMIT && m->ret < 0) || !peek(m->pid, m->a[1] + size * (uint64_t)i, &value, size))
			exp_null(names[i]);
		else
			exp_int(names[i], m->i386 && value == ALL_ONES ? -1 : (int64_t)value);
	}
	exp_uint("resource", resource <= 15 ? resource : 255);
	exp_close();
}

void describe_capset(const struct made *m)
{
	pid_t pid = m->pid == self.vpid ? 0 : m->pid;

	exp_open("capset", m->tid, m->order);
	exp_int("res", m->ret);
	exp_uint("cap_inheritable", caps_of(pid, 2));
	exp_uint("cap_permitted", caps_of(pid, 1));
	exp_uint("cap_effective", caps_of(pid, 0));
	exp_close();
}

void describe_init_module(const struct made *m)
{
	exp_open("init_module", m->tid, m->order);
	exp_int("res", m->ret);
	exp_user_buf("img", m->pid, m->a[0], m->a[1]);
	exp_uint("length", m->a[1]);
	exp_user_str("uargs", m->pid, m->a[2]);
	exp_close();
}

static const uint32_t quota_commands[][2] = {
	{0x800001, 128}, {0x800002, 1},	 {0x800003, 2},	 {0x800004, 4},	 {0x800005, 8},
	{0x800006, 16},	 {0x800007, 32}, {0x800008, 64}, {0x5801, 256},	 {0x5802, 512},
	{0x5803, 1024},	 {0x5804, 2048}, {0x5805, 4096}, {0x5806, 8192}, {0x5807, 16384},
};

/* Members of struct if_dqblk and if_dqinfo: name, place, bit of validity. */
struct quota_member {
	const char *name;
	unsigned int place;
	uint32_t valid;
};
static const struct quota_member block_members[] = {
	{"dqb_bhardlimit", 0, 1},  {"dqb_bsoftlimit", 8, 1}, {"dqb_curspace", 16, 2}, {"dqb_ihardlimit", 24, 4},
	{"dqb_isoftlimit", 32, 4}, {"dqb_btime", 48, 16},    {"dqb_itime", 56, 32}};
static const struct quota_member info_members[] = {{"dqi_bgrace", 0, 1}, {"dqi_igrace", 8, 2}};

static void exp_quota_members(const struct made *m, const struct quota_member *members, size_t n, bool has_them,
			      unsigned int valid_at)
{
	for (size_t i = 0; i < n; i++) {
		uint64_t value = 0;
		uint32_t valid = 0;

		if (!has_them)
			exp_uint(members[i].name, 0);
		else if (!peek(m->pid, m->a[3] + valid_at, &valid, 4) ||
			 !peek(m->pid, m->a[3] + members[i].place, &value, 8))
			exp_null(members[i].name);
		else
			exp_uint(members[i].name, valid & members[i].valid ? value : 0);
	}
}

static unsigned int quota_format(uint32_t format)
{
	return format == 1 ? 2 : format == 2 ? 4 : format == 4 ? 8 : 1;
}

void describe_quotactl(const struct made *m)
{
	uint32_t command = (uint32_t)m->a[0] >> 8, type = m->a[0] & 0xff, out = 0, words[2] = {0, 0}, format = 0;
	bool info = command == 0x800006 || (command == 0x800005 && m->ret >= 0);
	bool block = command == 0x800008 || (command == 0x800007 && m->ret >= 0);

	for (size_t i = 0; i < ARRAY_SIZE(quota_commands); i++)
		if (quota_commands[i][0] == command)
			out = quota_commands[i][1];
	exp_open("quotactl", m->tid, m->order);
	exp_int("res", m->ret);
	exp_user_str("special", m->pid, m->a[1]);
	exp_user_str("quotafilepath", m->pid, command == 0x800002 ? m->a[3] : 0);
	exp_quota_members(m, block_members, ARRAY_SIZE(block_members), block, 64);
	exp_quota_members(m, info_members, ARRAY_SIZE(info_members), info, 20);
	if (info && !peek(m->pid, m->a[3] + 16, words, sizeof(words)))
		exp_null("dqi_flags");
	else
		exp_uint("dqi_flags", !info || !(words[1] & 4) ? 0 : words[0] & 1 ? 2 : 1);
	if (command == 0x800004 && m->ret >= 0)
		peek(m->pid, m->a[3], &format, sizeof(format));
	exp_uint("quota_fmt_out", quota_format(format));
	exp_uint("cmd", out);
	exp_uint("type", type == 0 ? 1 : type == 1 ? 2 : 0);
	exp_uint("id", command == 0x800007 || command == 0x800008 || command == 0x5803 || command == 0x5804
			       ? (uint32_t)m->a[2]
			       : 0);
	exp_uint("quota_fmt", command == 0x800002 ? quota_format((uint32_t)m->a[2]) : 1);
	exp_close();
}

/* Of each operation of keyctl, what arg2 to arg5 are: n a number, s a string; no more letters, no more arguments. */
static const char *const key_arguments[] = {"nn",   "s",    "nnn",  "n",    "nnn", "nn",   "nnn", "n",	  "nn",
					    "nn",   "nssn", "nnn",  "nnnn", "nnn", "n",	   "nn",  "n",	  "nnn",
					    "",	    "nnnn", "nnnn", "n",    "nn",  "nnnn", "nns", "nsnn", "nsnn",
					    "nsnn", "nsnn", "nss",  "nnnn", "nn",  "nnn"};

void describe_keyctl(const struct made *m)
{
	static const char *const names[] = {"arg2", "arg3", "arg4", "arg5"};
	uint32_t operation = (uint32_t)m->a[0];
	const char *what = operation < ARRAY_SIZE(key_arguments) ? key_arguments[operation] : "";
	char json[64];

	exp_open("keyctl", m->tid, m->order);
	exp_int("res", m->ret);
	exp_uint("operation", operation);
	for (int i = 0; i < 4; i++) {
		if (*what == 's') {
			exp_user_dyn_str(names[i], m->pid, m->a[i + 1], 1);
		} else {
			snprintf(json, sizeof(json), "{\"kind\":0,\"value\":%lld}",
				 *what == 'n' ? (long long)m->a[i + 1] : 0);
			exp_json(names[i], json);
		}
		what += *what ? 1 : 0;
	}
	exp_close();
}

void describe_semop(const struct made *m)
{
	static const char *const names[2][3] = {{"sem_num_0", "sem_op_0", "sem_flg_0"},
						{"sem_num_1", "sem_op_1", "sem_flg_1"}};
	uint32_t count = (uint32_t)m->a[2];

	exp_open("semop", m->tid, m->order);
	exp_int("res", m->ret);
	exp_uint("nsops", count);
	for (uint32_t i = 0; i < 2; i++) {
		for (uint32_t field = 0; field < 3; field++) {
			uint16_t value = 0;

			if (i < count && !peek(m->pid, m->a[1] + 6 * i + 2 * field, &value, sizeof(value)))
				exp_null(names[i][field]);
			else if (field == 1)
				exp_int(names[i][field], (int16_t)value);
			else if (field == 2)
				exp_uint(names[i][field], (value & 04000 ? 1u : 0) | (value & 010000 ? 2u : 0));
			else
				exp_uint(names[i][field], value);
		}
	}
	exp_int("semid", (int32_t)m->a[0]);
	exp_close();
}

void describe_semctl(const struct made *m)
{
	static const uint16_t commands[][2] = {{0, 4},	   {1, 2},   {2, 1},	{3, 8},	    {11, 256},
					       {12, 512},  {13, 64}, {14, 128}, {15, 1024}, {16, 4096},
					       {17, 2048}, {18, 32}, {19, 16}};
	uint32_t command = (uint32_t)m->a[2] & ~0x100u, out = 0;

	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (commands[i][0] == command)
			out = commands[i][1];
	exp_open("semctl", m->tid, m->order);
	exp_int("res", m->ret);
	exp_int("semid", (int32_t)m->a[0]);
	exp_int("semnum", (int32_t)m->a[1]);
	exp_uint("cmd", out);
	exp_int("val", command == 16 ? (int32_t)m->a[3] : 0);
	exp_close();
}
