// SPDX-License-Identifier: GPL-2.0-only OR MIT
/* Cases: files and paths. Each works in a folder of its own in /tmp. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "cases.h"

#define AREA "/tmp/kd-cases"

/* A fresh folder, made and cleaned by expected calls. */
static void area_make(void)
{
	call3(K_MKDIRAT, AT_FDCWD, AREA, 0755);
}

static void area_remove(void)
{
	call3(K_UNLINKAT, AT_FDCWD, AREA, AT_REMOVEDIR);
}

static int make_file(const char *path)
{
	file_was_created = true;
	return (int)call4(K_OPENAT, AT_FDCWD, path, O_RDWR | O_CREAT | O_EXCL, 0644);
}

static void remove_file(const char *path)
{
	call3(K_UNLINKAT, AT_FDCWD, path, 0);
}

static void open_success(void)
{
	int64_t fd;

	area_make();
	file_was_created = true;
	fd = call3(K_OPEN, AREA "/open", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 06755);
	must("open", fd >= 0);
	call1(K_CLOSE, fd);
	/* No mode without O_CREAT, and the file is not new any more. */
	fd = call3(K_OPEN, AREA "/open", O_WRONLY | O_TRUNC | O_APPEND | O_NONBLOCK, 0777);
	must("open again", fd >= 0);
	call1(K_CLOSE, fd);
	fd = call3(K_OPEN, AREA, O_RDONLY | O_DIRECTORY, 0);
	must("open folder", fd >= 0);
	call1(K_CLOSE, fd);
	remove_file(AREA "/open");
	area_remove();
}

static void open_failure(void)
{
	must("open", call3(K_OPEN, "/nonexistent/kd-cases", O_RDONLY, 0) == -ENOENT);
	must("open", call3(K_OPEN, "", O_RDONLY, 0) == -ENOENT);
	must("open", call3(K_OPEN, NULL, O_RDWR, 0) == -EFAULT);
	must("open", call3(K_OPEN, UNMAPPED, O_RDONLY, 0) == -EFAULT);
	must("open", call3(K_OPEN, KERNEL_ADDRESS, O_RDONLY, 0) == -EFAULT);
	must("open", call3(K_OPEN, long_string, O_RDONLY, 0) == -ENAMETOOLONG);
	must("open", call3(K_OPEN, string_at_page_end("/nonexistent/end"), O_RDONLY, 0) == -ENOENT);
	must("open", call3(K_OPEN, string_over_page_end("/nonexistent/over"), O_RDONLY, 0) == -EFAULT);
	/* Not UTF-8, and characters that JSON escapes. */
	must("open", call3(K_OPEN, "/nonexistent/\xff\xc3\xa9\xed\xa0\x80\"\\\n", O_RDONLY, 0) == -ENOENT);
}

static void openat_success(void)
{
	int64_t folder, fd;

	area_make();
	folder = call4(K_OPENAT, AT_FDCWD, AREA, O_RDONLY | O_DIRECTORY, 0);
	file_was_created = true;
	fd = call4(K_OPENAT, folder, "relative", O_WRONLY | O_CREAT, 0600);
	must("openat", fd >= 0);
	call1(K_CLOSE, fd);
	call3(K_UNLINKAT, folder, "relative", 0);
	/* An absolute path makes the folder's descriptor void: even one that is not open. */
	fd = call4(K_OPENAT, -77, "/proc/self/maps", O_RDONLY, 0);
	must("openat absolute", fd >= 0);
	call1(K_CLOSE, fd);
	call1(K_CLOSE, folder);
	area_remove();
}

/* Descriptor 0 is as good as any other. */
static void openat_descriptor_zero(void)
{
	call1(K_CLOSE, 0);
	must("openat", call4(K_OPENAT, AT_FDCWD, "/tmp", O_RDONLY | O_DIRECTORY, 0) == 0);
}

static void openat_failure(void)
{
	must("openat", call4(K_OPENAT, AT_FDCWD, "/nonexistent", O_RDONLY, 0) == -ENOENT);
	must("openat", call4(K_OPENAT, -1, "relative", O_RDWR | O_CREAT, 0640) == -EBADF);
	must("openat", call4(K_OPENAT, AT_FDCWD, NULL, O_RDONLY, 0) == -EFAULT);
	must("openat", call4(K_OPENAT, AT_FDCWD, UNMAPPED, O_RDONLY, 0) == -EFAULT);
	must("openat", call4(K_OPENAT, AT_FDCWD, long_string, O_RDONLY, 0) == -ENAMETOOLONG);
	must("openat", call4(K_OPENAT, AT_FDCWD, string_at_page_end("e"), O_PATH | O_DIRECTORY, 0) == -ENOENT);
	must("openat", call4(K_OPENAT, AT_FDCWD, string_over_page_end("e"), O_RDONLY, 0) == -EFAULT);
}

/* Every flag that has a portable value, one by one and together; -1: none of them reaches the file. */
static void openat_flags(void)
{
	static const int flags[] = {O_RDONLY, O_WRONLY,	  O_RDWR,      3,	   O_APPEND,
				    0100000,  O_DSYNC,	  O_EXCL,      O_NONBLOCK, O_SYNC,
				    O_TRUNC,  O_DIRECT,	  O_DIRECTORY, O_CLOEXEC,  0x7fffffff,
				    O_CREAT,  O_NOFOLLOW, O_NOATIME,   O_PATH,	   O_TMPFILE | O_RDWR};

	for (size_t i = 0; i < ARRAY_SIZE(flags); i++)
		call4(K_OPENAT, -1, "nowhere", flags[i], 01777);
}

static void creat_success(void)
{
	int64_t fd;

	area_make();
	fd = call2(K_CREAT, AREA "/creat", 01640);
	must("creat", fd >= 0);
	call1(K_CLOSE, fd);
	remove_file(AREA "/creat");
	area_remove();
}

static void creat_failure(void)
{
	must("creat", call2(K_CREAT, "/nonexistent/creat", 0644) == -ENOENT);
	must("creat", call2(K_CREAT, NULL, 0177777) == -EFAULT);
	must("creat", call2(K_CREAT, string_over_page_end("c"), 0) == -EFAULT);
	must("creat", call2(K_CREAT, long_string, 0) == -ENAMETOOLONG);
}

static void close_cases(void)
{
	int64_t fd = call4(K_OPENAT, AT_FDCWD, "/tmp", O_RDONLY, 0);

	must("close", call1(K_CLOSE, fd) == 0);
	must("close", call1(K_CLOSE, fd) == -EBADF);
	must("close", call1(K_CLOSE, -1) == -EBADF);
	must("close", call1(K_CLOSE, 0x7fffffff) == -EBADF);
}

static void rename_cases(void)
{
	area_make();
	call1(K_CLOSE, make_file(AREA "/from"));
	must("rename", call2(K_RENAME, AREA "/from", AREA "/to") == 0);
	must("rename", call2(K_RENAME, AREA "/from", AREA "/to") == -ENOENT);
	must("rename", call2(K_RENAME, NULL, AREA "/to") == -EFAULT);
	must("rename", call2(K_RENAME, AREA "/to", UNMAPPED) == -EFAULT);
	must("rename", call2(K_RENAME, long_string, string_at_page_end("end")) == -ENAMETOOLONG);
	remove_file(AREA "/to");
	area_remove();
}

static void renameat2_cases(void)
{
	int64_t folder;

	area_make();
	call1(K_CLOSE, make_file(AREA "/one"));
	call1(K_CLOSE, make_file(AREA "/two"));
	folder = call4(K_OPENAT, AT_FDCWD, AREA, O_RDONLY | O_DIRECTORY, 0);
	must("renameat2", gives(K_RENAMEAT2, call5(K_RENAMEAT2, folder, "one", AT_FDCWD, AREA "/two", 2), 0));
	must("renameat2", gives(K_RENAMEAT2, call5(K_RENAMEAT2, AT_FDCWD, AREA "/one", folder, "two", 1), -EEXIST));
	must("renameat2", gives(K_RENAMEAT2, call5(K_RENAMEAT2, folder, "none", folder, "other", 0), -ENOENT));
	must("renameat2", gives(K_RENAMEAT2, call5(K_RENAMEAT2, -5, UNMAPPED, 77, NULL, 0xff), -EINVAL));
	call3(K_UNLINKAT, folder, "one", 0);
	call3(K_UNLINKAT, folder, "two", 0);
	call1(K_CLOSE, folder);
	area_remove();
}

static void unlinkat_failure(void)
{
	must("unlinkat", call3(K_UNLINKAT, AT_FDCWD, "/nonexistent/u", 0) == -ENOENT);
	must("unlinkat", call3(K_UNLINKAT, -1, "u", AT_REMOVEDIR) == -EBADF);
	must("unlinkat", call3(K_UNLINKAT, AT_FDCWD, NULL, 0) == -EFAULT);
	must("unlinkat", call3(K_UNLINKAT, AT_FDCWD, string_over_page_end("u"), 0) == -EFAULT);
	must("unlinkat", call3(K_UNLINKAT, AT_FDCWD, "/tmp", 0xffff) == -EINVAL);
}

static void mkdirat_cases(void)
{
	area_make();
	must("mkdirat", call3(K_MKDIRAT, AT_FDCWD, AREA, 0755) == -EEXIST);
	must("mkdirat", call3(K_MKDIRAT, -100, AREA "/sub", 01777) == 0);
	must("mkdirat", call3(K_MKDIRAT, -1, "sub", 0xffffffff) == -EBADF);
	must("mkdirat", call3(K_MKDIRAT, AT_FDCWD, UNMAPPED, 0) == -EFAULT);
	must("mkdirat", call3(K_MKDIRAT, AT_FDCWD, long_string, 0) == -ENAMETOOLONG);
	call3(K_UNLINKAT, AT_FDCWD, AREA "/sub", AT_REMOVEDIR);
	area_remove();
}

static void fchmodat_cases(void)
{
	area_make();
	must("fchmodat", call3(K_FCHMODAT, AT_FDCWD, AREA, 02751) == 0);
	must("fchmodat", call3(K_FCHMODAT, AT_FDCWD, AREA "/none", 0177777) == -ENOENT);
	must("fchmodat", call3(K_FCHMODAT, -1, "relative", 07777) == -EBADF);
	must("fchmodat", call3(K_FCHMODAT, AT_FDCWD, NULL, 0) == -EFAULT);
	must("fchmodat", call3(K_FCHMODAT, AT_FDCWD, string_over_page_end("f"), 0) == -EFAULT);
	area_remove();
}

static void chdir_cases(void)
{
	area_make();
	must("chdir", call1(K_CHDIR, AREA) == 0);
	must("chdir", call1(K_CHDIR, "..") == 0);
	must("chdir", call1(K_CHDIR, "/nonexistent") == -ENOENT);
	must("chdir", call1(K_CHDIR, NULL) == -EFAULT);
	must("chdir", call1(K_CHDIR, string_at_page_end("/")) == 0);
	must("chdir", call1(K_CHDIR, string_over_page_end("/")) == -EFAULT);
	must("chdir", call1(K_CHDIR, long_string) == -ENAMETOOLONG);
	area_remove();
}

static void mount_cases(void)
{
	area_make();
	must("mount", call5(K_MOUNT, "kd-dev", AREA, "tmpfs", MS_NOSUID | MS_NODEV, NULL) == 0);
	must("mount", call5(K_MOUNT, NULL, AREA, NULL, 0xc0ed0000ul | MS_REMOUNT | MS_RDONLY, NULL) == 0);
	raw_call(SYS_umount2, U(AREA), 0, 0, 0, 0, 0);
	must("mount", call5(K_MOUNT, "none", "/nonexistent", "tmpfs", MS_BIND | MS_REC, NULL) == -ENOENT);
	must("mount", call5(K_MOUNT, "none", AREA, "no-such-fs", MS_SILENT, NULL) == -ENODEV);
	must("mount", call5(K_MOUNT, UNMAPPED, AREA, KERNEL_ADDRESS, 0, NULL) == -EFAULT);
	must("mount", call5(K_MOUNT, string_at_page_end("d"), NULL, string_over_page_end("t"), 0, NULL) == -EFAULT);
	area_remove();
}

const struct one_case file_cases[] = {
	{"open-success", open_success},
	{"open-failure", open_failure},
	{"openat-success", openat_success},
	{"openat-descriptor-zero", openat_descriptor_zero},
	{"openat-failure", openat_failure},
	{"openat-flags", openat_flags},
	{"creat-success", creat_success},
	{"creat-failure", creat_failure},
	{"close", close_cases},
	{"rename", rename_cases},
	{"renameat2", renameat2_cases},
	{"unlinkat-failure", unlinkat_failure},
	{"mkdirat", mkdirat_cases},
	{"fchmodat", fchmodat_cases},
	{"chdir", chdir_cases},
	{"mount", mount_cases},
	{NULL, NULL},
};
