// SPDX-License-Identifier: GPL-2.0-only OR MIT
/* Cases: newer ways to open files and to configure file systems. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>

#include "cases.h"

#define NAME "/tmp/kd-handle"
#define SYS_fsopen_ 430

static struct {
	uint64_t flags, mode, resolve;
} how;

static int64_t open2(int64_t folder, const void *name, uint64_t flags, uint64_t mode, uint64_t resolve)
{
	how.flags = flags;
	how.mode = mode;
	how.resolve = resolve;
	return call4(K_OPENAT2, folder, name, &how, sizeof(how));
}

static void openat2_cases(void)
{
	int64_t fd;

	file_was_created = true;
	fd = open2(AT_FDCWD, NAME, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0640, 0);
	if (fd == -ENOSYS) {
		file_was_created = false;
		case_skip("no openat2 in this kernel");
		return;
	}
	must("openat2", fd >= 0);
	call1(K_CLOSE, fd);
	fd = open2(AT_FDCWD, NAME, O_WRONLY | O_TRUNC, 0, 4);
	must("openat2", fd >= 0);
	call1(K_CLOSE, fd);
	call1(K_UNLINK, NAME);
	must("openat2", open2(AT_FDCWD, "/tmp", O_RDONLY, 0, 1 | 2 | 8) == -EXDEV);
	must("openat2", open2(-1, "relative", O_RDWR | O_CREAT, 0777, 16) == -EBADF);
	must("openat2", open2(AT_FDCWD, "/tmp", O_RDONLY, 0, 32 | 64) == -EINVAL);
	must("openat2", open2(AT_FDCWD, NULL, O_RDONLY, 0, 0) == -EFAULT);
	must("openat2", open2(AT_FDCWD, string_over_page_end("o"), O_RDONLY, 0, 0) == -EFAULT);
	must("openat2", open2(AT_FDCWD, long_string, O_RDONLY, 0, 0) == -ENAMETOOLONG);
	must("openat2", call4(K_OPENAT2, AT_FDCWD, "/tmp", NULL, sizeof(how)) == -EFAULT);
	must("openat2", call4(K_OPENAT2, AT_FDCWD, "/tmp", UNMAPPED, sizeof(how)) == -EFAULT);
	/* The structure ends after its flags, and after its mode. */
	must("openat2", call4(K_OPENAT2, AT_FDCWD, "/tmp", page_end - 7, sizeof(how)) == -EFAULT);
	must("openat2", call4(K_OPENAT2, AT_FDCWD, "/tmp", page_end - 15, sizeof(how)) == -EFAULT);
	must("openat2", call4(K_OPENAT2, AT_FDCWD, "/tmp", &how, 8) == -EINVAL);
}

static struct {
	uint32_t bytes;
	int32_t type;
	uint8_t handle[128];
} handle;

static void open_by_handle(void)
{
	int64_t folder, fd;
	int mount_id;

	call1(K_CLOSE, call2(K_CREAT, NAME, 0644));
	folder = call3(K_OPEN, "/tmp", O_RDONLY | O_DIRECTORY, 0);
	must("open_by_handle_at", call3(K_OPEN_BY_HANDLE_AT, folder, NULL, O_RDONLY) == -EFAULT);
	must("open_by_handle_at", call3(K_OPEN_BY_HANDLE_AT, -1, &handle, O_RDWR | O_NONBLOCK) < 0);
	handle.bytes = sizeof(handle.handle);
	if (raw_call(SYS_name_to_handle_at, U(folder), U("kd-handle"), U(&handle), U(&mount_id), 0, 0) != 0) {
		case_skip("files in /tmp have no handles: open_by_handle_at is checked with failures only");
	} else {
		fd = call3(K_OPEN_BY_HANDLE_AT, folder, &handle, O_WRONLY | O_CLOEXEC);
		if (fd < 0)
			case_error("open_by_handle_at: %d", (int)fd);
		call1(K_CLOSE, fd);
		handle.bytes = 0;
		must("open_by_handle_at", call3(K_OPEN_BY_HANDLE_AT, folder, &handle, O_RDONLY) < 0);
	}
	call1(K_CLOSE, folder);
	call1(K_UNLINK, NAME);
}

static void fsconfig_cases(void)
{
	static const char name[] = "tmpfs";
	int64_t fd = raw_call(SYS_fsopen_, U(name), 0, 0, 0, 0, 0);

	if (fd < 0) {
		case_skip("no fsopen in this kernel");
		return;
	}
	must("fsconfig", call5(K_FSCONFIG, fd, 1, "size", "1m", 0) == 0);
	must("fsconfig", call5(K_FSCONFIG, fd, 0, string_at_page_end("ro"), NULL, 0) == 0);
	must("fsconfig", call5(K_FSCONFIG, fd, 2, "binary", "four", 4) < 0);
	must("fsconfig", call5(K_FSCONFIG, fd, 2, "binary", page_end - 3, 100) < 0);
	must("fsconfig", call5(K_FSCONFIG, fd, 3, "path", "/tmp", AT_FDCWD) < 0);
	must("fsconfig", call5(K_FSCONFIG, fd, 4, "path", string_over_page_end("p"), 7) < 0);
	must("fsconfig", call5(K_FSCONFIG, fd, 1, NULL, UNMAPPED, 0) < 0);
	must("fsconfig", call5(K_FSCONFIG, fd, 1, "size", NULL, 0) < 0);
	must("fsconfig", call5(K_FSCONFIG, -1, 99, UNMAPPED, NULL, -5) < 0);
	must("fsconfig", call5(K_FSCONFIG, fd, 6, NULL, NULL, 0) == 0);
	call1(K_CLOSE, fd);
}

const struct one_case handle_cases[] = {
	{"openat2", openat2_cases},
	{"open-by-handle", open_by_handle},
	{"fsconfig", fsconfig_cases},
	{NULL, NULL},
};
