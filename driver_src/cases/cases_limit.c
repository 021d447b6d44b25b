// SPDX-License-Identifier: GPL-2.0-only OR MIT
/* Cases: limits, memory protection, semaphores. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sem.h>

#include "cases.h"

#define NO_MAPPING 0x10000ul

static struct rlimit limit, old;
static char pages[4 * PAGE] __attribute__((aligned(PAGE)));

static void rlimits(void)
{
	for (int resource = 0; resource <= 16; resource++)
		call2(K_GETRLIMIT, resource, &limit);
	must("getrlimit", call2(K_GETRLIMIT, 0xfffffffful, &limit) == -EINVAL);
	must("getrlimit", call2(K_GETRLIMIT, RLIMIT_CORE, NULL) == -EFAULT);
	call2(K_GETRLIMIT, RLIMIT_NPROC, &limit);
	limit.rlim_cur = limit.rlim_max > 5000 ? 5000 : limit.rlim_max;
	must("setrlimit", call2(K_SETRLIMIT, RLIMIT_NPROC, &limit) == 0);
	limit = (struct rlimit){5, 4};
	must("setrlimit", call2(K_SETRLIMIT, RLIMIT_CORE, &limit) == -EINVAL);
	must("setrlimit", call2(K_SETRLIMIT, 77, page_end - 7) == -EFAULT);
	must("setrlimit", call2(K_SETRLIMIT, RLIMIT_CORE, NULL) == -EFAULT);
	must("prlimit", call4(K_PRLIMIT, 0, RLIMIT_NOFILE, NULL, &old) == 0);
	limit = (struct rlimit){0, old.rlim_max};
	call4(K_PRLIMIT, self.vpid, RLIMIT_CORE, NULL, &limit);
	limit.rlim_cur = 0;
	must("prlimit", call4(K_PRLIMIT, self.vpid, RLIMIT_CORE, &limit, &old) == 0);
	limit = (struct rlimit){9, 8};
	must("prlimit", call4(K_PRLIMIT, 0, RLIMIT_CORE, &limit, &old) == -EINVAL);
	must("prlimit", call4(K_PRLIMIT, 0x7ffffff0, 99, page_end - 7, UNMAPPED) < 0);
	must("prlimit", call4(K_PRLIMIT, 0, RLIMIT_CPU, NULL, UNMAPPED) == -EFAULT);
}

static void protection(void)
{
	must("mprotect", call3(K_MPROTECT, pages, PAGE, PROT_READ | PROT_EXEC) == 0);
	must("mprotect", call3(K_MPROTECT, pages, 2 * PAGE, PROT_READ | PROT_WRITE) == 0);
	must("mprotect", call3(K_MPROTECT, pages + 1, 1, 0x3000008) < 0);
	must("mprotect", call3(K_MPROTECT, NO_MAPPING, PAGE, PROT_NONE) == -ENOMEM);
}

static void locked(void)
{
	must("mlock", call2(K_MLOCK, pages, PAGE) == 0);
	must("mlock", call2(K_MLOCK, NO_MAPPING, 1) == -ENOMEM);
	must("munlock", call2(K_MUNLOCK, pages, PAGE) == 0);
	must("munlock", call2(K_MUNLOCK, NO_MAPPING, 5) == -ENOMEM);
	must("mlockall", call1(K_MLOCKALL, 0xf0) == -EINVAL);
	must("mlockall", call1(K_MLOCKALL, 2) == 0);
	must("munlockall", call0(K_MUNLOCKALL) == 0);
	if (call3(K_MLOCK2, pages, 2 * PAGE, 1) == -ENOSYS)
		case_skip("no mlock2 in this kernel");
	must("mlock2", call3(K_MLOCK2, NO_MAPPING, PAGE, 0xfe) < 0);
	call0(K_MUNLOCKALL);
}

static void semaphores(void)
{
	static struct sembuf steps[3] = {{1, 2, IPC_NOWAIT}, {2, 3, SEM_UNDO}, {0, 1, 0}};
	static uint16_t all[3];
	int64_t id = call3(K_SEMGET, IPC_PRIVATE, 3, IPC_CREAT | 0600);

	must("semget", id >= 0);
	must("semget", call3(K_SEMGET, 0xfeedface, -1, IPC_EXCL) < 0);
	must("semget", call3(K_SEMGET, 0x6b64, 0, 0xffff) < 0);
	must("semop", call3(K_SEMOP, id, steps, 1) == 0);
	must("semop", call3(K_SEMOP, id, steps, 3) == 0);
	steps[0].sem_op = -100;
	must("semop", call3(K_SEMOP, id, steps, 2) == -EAGAIN);
	must("semop", call3(K_SEMOP, id, steps, 0) == -EINVAL);
	must("semop", call3(K_SEMOP, -1, NULL, 1) < 0);
	must("semop", call3(K_SEMOP, id, UNMAPPED, 2) == -EFAULT);
	memset(page_end - 5, 1, 6);
	must("semop", call3(K_SEMOP, -7, page_end - 5, 0x100000002ul) < 0);
	must("semctl", call4(K_SEMCTL, id, 2, SETVAL, 7) == 0);
	must("semctl", call4(K_SEMCTL, id, 2, GETVAL, 9) == 7);
	must("semctl", call4(K_SEMCTL, id, 0, GETALL, all) == 0);
	must("semctl", call4(K_SEMCTL, id, -1, SETVAL, -5) < 0);
	for (int command = 0; command <= 20; command++)
		if (command != IPC_INFO && command != SEM_INFO)
			must("semctl", call4(K_SEMCTL, -1, command, command, NULL) < 0);
	call4(K_SEMCTL, 0, 0, IPC_INFO, NULL);
	call4(K_SEMCTL, 0, 0, SEM_INFO, NULL);
	must("semctl", call4(K_SEMCTL, id, 0, IPC_RMID, NULL) == 0);
}

const struct one_case limit_cases[] = {
	{"rlimits", rlimits}, {"mprotect", protection}, {"mlock", locked}, {"semaphores", semaphores}, {NULL, NULL},
};
