// SPDX-License-Identifier: GPL-2.0-only OR MIT
/* Cases: memory. */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>

#include "cases.h"

static void mmap_cases(void)
{
	static const int flags[] = {0x10, 0x40, 0x4000, 0x8000, 0x10000, 0x100, 0x800, 0x1000, 0x2000, 3, -1};
	int fd = (int)call4(K_OPENAT, AT_FDCWD, "/proc/self/exe", O_RDONLY, 0);
	int low = compat_calls ? MAP_32BIT : 0;
	int64_t at = call_all(K_MMAP, NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | low, -1, 0);

	must("mmap", at > 0);
	must("munmap", call2(K_MUNMAP, at, 1 << 20) == 0);
	must("munmap again", call2(K_MUNMAP, at, 1 << 20) == 0);
	at = call_all(K_MMAP, NULL, 8192, PROT_READ, MAP_SHARED | low, fd, 4096);
	must("mmap file", at > 0);
	must("munmap", call2(K_MUNMAP, at, 8192) == 0);
	must("mmap", call_all(K_MMAP, NULL, 2 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE,
			      -1, 0) > 0);
	must("mmap", call_all(K_MMAP, NULL, 0, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == -EINVAL);
	must("mmap", call_all(K_MMAP, 0x1000000, 4096, 7, MAP_PRIVATE, -1, 0) == -EBADF);
	must("mmap", call_all(K_MMAP, -4096l, 4096, 0xff, MAP_SHARED, 999, 123) == -EINVAL);
	for (size_t i = 0; i < ARRAY_SIZE(flags); i++)
		call_all(K_MMAP, NULL, 0, 0x3000000 | 15, flags[i], fd, 0xfffffffff000ul);
	if (compat_calls)
		must("mmap2", call_all(K_MMAP2, NULL, 8192, PROT_READ, MAP_SHARED | low, fd, 1) != -1);
	must("munmap", call2(K_MUNMAP, 1, 4096) == -EINVAL);
	must("munmap", call2(K_MUNMAP, 0x7000, 0) == -EINVAL);
	/* Within what the native call takes for addresses, when i386 passes it. */
	must("munmap", call2(K_MUNMAP, -4096l, 4096) == (compat_calls ? 0 : -EINVAL));
}

/* brk does not fail: it says where the end stayed. */
static void brk_cases(void)
{
	int64_t end = call1(K_BRK, 0);

	must("brk", call1(K_BRK, end + 0x10000) == end + 0x10000);
	must("brk", call1(K_BRK, end) == end);
	call_all(K_MMAP, NULL, 2 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	must("brk", call1(K_BRK, 1) == end);
	must("brk", call1(K_BRK, -1) == end);
}

const struct one_case memory_cases[] = {
	{"mmap-munmap", mmap_cases},
	{"brk", brk_cases},
	{NULL, NULL},
};
