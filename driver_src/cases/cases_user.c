// SPDX-License-Identifier: GPL-2.0-only OR MIT
/* Cases: users and groups. */
#include <errno.h>

#include "cases.h"

static uint32_t ids[3];

static void every_get(void)
{
	call0(K_GETUID);
	call0(K_GETEUID);
	call0(K_GETGID);
	call0(K_GETEGID);
	must("getresuid", call3(K_GETRESUID, &ids[0], &ids[1], &ids[2]) == 0);
	must("getresgid", call3(K_GETRESGID, &ids[0], &ids[1], &ids[2]) == 0);
}

static void groups(void)
{
	every_get();
	must("setresgid", call3(K_SETRESGID, 41, 42, 43) == 0);
	must("setresgid", call3(K_SETRESGID, -1, 0x100000000ul, -1) == 0);
	every_get();
	must("setregid", call2(K_SETREGID, 51, -1) == 0);
	must("setregid", call2(K_SETREGID, 0xfffffffful, 52) == 0);
	must("setgid", call1(K_SETGID, 61) == 0);
	must("setgid", call1(K_SETGID, -1) == -EINVAL);
	every_get();
}

/* Last, for it cannot be undone. */
static void users(void)
{
	groups();
	must("setuid", call1(K_SETUID, -1) == -EINVAL);
	must("setreuid", call2(K_SETREUID, 0, 0) == 0);
	must("setreuid", call2(K_SETREUID, 71, -1) == 0);
	must("setresuid", call3(K_SETRESUID, 81, 0, 83) == 0);
	every_get();
	must("setresuid", call3(K_SETRESUID, -1, 91, -1) == 0);
	every_get();
	must("setresuid", call3(K_SETRESUID, 1, 2, 3) == -EPERM);
	must("setreuid", call2(K_SETREUID, -1, 0x100000065ul) == -EPERM);
	must("setreuid", call2(K_SETREUID, 9, 8) == -EPERM);
	must("setuid", call1(K_SETUID, 81) == 0);
	must("setuid", call1(K_SETUID, 5) == -EPERM);
	must("setresgid", call3(K_SETRESGID, 7, 8, 9) == -EPERM);
	must("setregid", call2(K_SETREGID, 5, 6) == -EPERM);
	must("getresuid", call3(K_GETRESUID, NULL, UNMAPPED, page_end - 2) == -EFAULT);
	must("getresuid", call3(K_GETRESUID, &ids[0], NULL, &ids[1]) == -EFAULT);
	must("getresgid", call3(K_GETRESGID, NULL, UNMAPPED, page_end - 2) == -EFAULT);
}

const struct one_case user_cases[] = {
	{"users-groups", users},
	{NULL, NULL},
};
