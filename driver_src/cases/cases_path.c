// SPDX-License-Identifier: GPL-2.0-only OR MIT
/* Cases: calls on paths that change or look at the tree of files. Each works in a folder of its own in /tmp. */
#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "cases.h"

#define AREA "/tmp/kd-paths"

static struct stat found;

static void area_make(void)
{
	must("mkdir", call2(K_MKDIR, AREA, 0755) == 0);
}

static void area_remove(void)
{
	must("rmdir", call1(K_RMDIR, AREA) == 0);
}

static void file_make(const char *path)
{
	call1(K_CLOSE, call2(K_CREAT, path, 0644));
}

/* Pointers of every sort as the first argument; none of them names a file. */
static void bad_paths(enum kind kind, uint64_t second, uint64_t third)
{
	must("path", call3(kind, "/nonexistent/kd", second, third) == -ENOENT);
	must("path", call3(kind, NULL, second, third) == -EFAULT);
	must("path", call3(kind, UNMAPPED, second, third) == -EFAULT);
	must("path", call3(kind, KERNEL_ADDRESS, second, third) == -EFAULT);
	must("path", call3(kind, long_string, second, third) == -ENAMETOOLONG);
	must("path", call3(kind, string_at_page_end("/nonexistent/end"), second, third) == -ENOENT);
	must("path", call3(kind, string_over_page_end("/nonexistent/over"), second, third) == -EFAULT);
}

/* The same as the second argument, after a folder's descriptor. */
static void bad_paths_at(enum kind kind, uint64_t third, uint64_t fourth, uint64_t fifth)
{
	must("path", call5(kind, AT_FDCWD, "/nonexistent/kd", third, fourth, fifth) == -ENOENT);
	must("path", call5(kind, -1, "relative", third, fourth, fifth) == -EBADF);
	must("path", call5(kind, AT_FDCWD, NULL, third, fourth, fifth) == -EFAULT);
	must("path", call5(kind, 0x7fffffff, UNMAPPED, third, fourth, fifth) == -EFAULT);
	must("path", call5(kind, AT_FDCWD, long_string, third, fourth, fifth) == -ENAMETOOLONG);
	must("path", call5(kind, AT_FDCWD, string_at_page_end("/nonexistent/e"), third, fourth, fifth) == -ENOENT);
	must("path", call5(kind, AT_FDCWD, string_over_page_end("/none/o"), third, fourth, fifth) == -EFAULT);
}

static void mkdir_rmdir(void)
{
	area_make();
	must("mkdir", call2(K_MKDIR, AREA, 0xffff01ff) == -EEXIST);
	bad_paths(K_MKDIR, 01777, 0);
	bad_paths(K_RMDIR, 0, 0);
	must("rmdir", call1(K_RMDIR, "/tmp/..") < 0);
	area_remove();
}

static void unlink_cases(void)
{
	area_make();
	file_make(AREA "/one");
	must("unlink", call1(K_UNLINK, AREA "/one") == 0);
	bad_paths(K_UNLINK, 0, 0);
	area_remove();
}

static void link_cases(void)
{
	area_make();
	file_make(AREA "/one");
	must("link", call2(K_LINK, AREA "/one", AREA "/two") == 0);
	must("link", call2(K_LINK, AREA "/one", AREA "/two") == -EEXIST);
	must("link", call2(K_LINK, AREA "/one", NULL) == -EFAULT);
	must("link", call2(K_LINK, AREA "/one", string_over_page_end("over")) == -EFAULT);
	bad_paths(K_LINK, U(AREA "/three"), 0);
	call1(K_UNLINK, AREA "/one");
	call1(K_UNLINK, AREA "/two");
	area_remove();
}

static void linkat_cases(void)
{
	int64_t folder;

	area_make();
	file_make(AREA "/one");
	folder = call3(K_OPEN, AREA, O_RDONLY | O_DIRECTORY, 0);
	must("linkat", call5(K_LINKAT, folder, "one", AT_FDCWD, AREA "/two", AT_SYMLINK_FOLLOW) == 0);
	must("linkat", call5(K_LINKAT, AT_FDCWD, AREA "/one", folder, "two", 0) == -EEXIST);
	must("linkat", call5(K_LINKAT, folder, "one", -1, NULL, AT_EMPTY_PATH) == -EFAULT);
	must("linkat", call5(K_LINKAT, folder, "one", -1, string_over_page_end("t"), 0) == -EFAULT);
	must("linkat", call5(K_LINKAT, folder, "", folder, "three", -1) == -EINVAL);
	bad_paths_at(K_LINKAT, U(folder), U("three"), 0);
	call1(K_CLOSE, folder);
	call1(K_UNLINK, AREA "/one");
	call1(K_UNLINK, AREA "/two");
	area_remove();
}

/* The target of a symbolic link need not exist. */
static void symlink_cases(void)
{
	area_make();
	must("symlink", call2(K_SYMLINK, "anything", AREA "/one") == 0);
	must("symlink", call2(K_SYMLINK, string_at_page_end("end"), AREA "/one") == -EEXIST);
	must("symlink", call2(K_SYMLINK, string_over_page_end("over"), AREA "/two") == -EFAULT);
	must("symlink", call2(K_SYMLINK, NULL, AREA "/two") == -EFAULT);
	must("symlink", call2(K_SYMLINK, long_string, AREA "/two") == -ENAMETOOLONG);
	must("symlink", call2(K_SYMLINK, "x", UNMAPPED) == -EFAULT);
	must("symlinkat", call3(K_SYMLINKAT, "other", AT_FDCWD, AREA "/two") == 0);
	must("symlinkat", call3(K_SYMLINKAT, "other", -1, "relative") == -EBADF);
	must("symlinkat", call3(K_SYMLINKAT, NULL, AT_FDCWD, AREA "/three") == -EFAULT);
	must("symlinkat", call3(K_SYMLINKAT, string_over_page_end("over"), AT_FDCWD, long_string) == -EFAULT);
	must("symlinkat", call3(K_SYMLINKAT, "x", 5, NULL) == -EFAULT);
	must("lstat", call2(K_LSTAT, AREA "/one", &found) == 0);
	call1(K_UNLINK, AREA "/one");
	call1(K_UNLINK, AREA "/two");
	area_remove();
}

static void renameat_cases(void)
{
	int64_t folder;

	area_make();
	file_make(AREA "/one");
	folder = call3(K_OPEN, AREA, O_RDONLY | O_DIRECTORY, 0);
	must("renameat", call4(K_RENAMEAT, folder, "one", AT_FDCWD, AREA "/two") == 0);
	must("renameat", call4(K_RENAMEAT, AT_FDCWD, AREA "/one", folder, "three") == -ENOENT);
	must("renameat", call4(K_RENAMEAT, folder, "two", -1, NULL) == -EFAULT);
	must("renameat", call4(K_RENAMEAT, folder, string_over_page_end("x"), -1, UNMAPPED) == -EFAULT);
	call1(K_CLOSE, folder);
	call1(K_UNLINK, AREA "/two");
	area_remove();
}

static void chmod_chown(void)
{
	area_make();
	must("chmod", call2(K_CHMOD, AREA, 02755) == 0);
	bad_paths(K_CHMOD, 0177777, 0);
	must("chown", call3(K_CHOWN, AREA, 11, 22) == 0);
	bad_paths(K_CHOWN, 0xffffffffu, 5);
	must("lchown", call3(K_LCHOWN, AREA, -1, 0x12345) == 0);
	bad_paths(K_LCHOWN, 0, 0x100000001ul);
	must("fchownat", call5(K_FCHOWNAT, AT_FDCWD, AREA, 7, 8, AT_SYMLINK_NOFOLLOW) == 0);
	must("fchownat", call5(K_FCHOWNAT, AT_FDCWD, AREA, 7, 8, -1) == -EINVAL);
	must("fchownat", call5(K_FCHOWNAT, AT_FDCWD, AREA, -1, -1, AT_EMPTY_PATH) == 0);
	bad_paths_at(K_FCHOWNAT, 0xfffffffful, 77, 0);
	area_remove();
}

static void stat_cases(void)
{
	must("stat", call2(K_STAT, "/tmp", &found) == 0);
	must("stat", call2(K_STAT, "/tmp", UNMAPPED) == -EFAULT);
	bad_paths(K_STAT, U(&found), 0);
	must("lstat", call2(K_LSTAT, "/proc/self", &found) == 0);
	bad_paths(K_LSTAT, U(&found), 0);
}

static void newfstatat_cases(void)
{
	if (!helper_has_statx) {
		case_skip("the cases need newfstatat for themselves where there is no statx");
		return;
	}
	must("newfstatat", call4(K_NEWFSTATAT, AT_FDCWD, "/tmp", &found, AT_SYMLINK_NOFOLLOW) == 0);
	must("newfstatat", call4(K_NEWFSTATAT, 0, "", &found, AT_EMPTY_PATH | AT_NO_AUTOMOUNT) == 0);
	must("newfstatat", call4(K_NEWFSTATAT, AT_FDCWD, "/tmp", &found, -1) == -EINVAL);
	bad_paths_at(K_NEWFSTATAT, U(&found), 0, 0);
}

static void access_cases(void)
{
	must("access", call2(K_ACCESS, "/tmp", 0) == 0);
	must("access", call2(K_ACCESS, "/tmp", 7) == 0);
	must("access", call2(K_ACCESS, "/tmp", 0xffff) == -EINVAL);
	bad_paths(K_ACCESS, 4, 0);
}

static void chroot_cases(void)
{
	must("chroot", call1(K_CHROOT, "/") == 0);
	bad_paths(K_CHROOT, 0, 0);
}

static void umount_cases(void)
{
	area_make();
	must("mount", call5(K_MOUNT, "kd-dev", AREA, "tmpfs", 0, NULL) == 0);
	must("umount2", call2(K_UMOUNT2, AREA, MNT_DETACH | UMOUNT_NOFOLLOW) == 0);
	if (compat_calls) {
		must("mount", call5(K_MOUNT, "kd-dev", AREA, "tmpfs", 0, NULL) == 0);
		must("umount", call1(K_UMOUNT, AREA) == 0);
	}
	must("umount2", call2(K_UMOUNT2, AREA, MNT_FORCE) == -EINVAL);
	must("umount2", call2(K_UMOUNT2, AREA, -1) == -EINVAL);
	bad_paths(K_UMOUNT2, 0, 0);
	area_remove();
}

static void mknod_cases(void)
{
	area_make();
	must("mknod", call3(K_MKNOD, AREA "/fifo", S_IFIFO | 0640, 0) == 0);
	must("mknod", call3(K_MKNOD, AREA "/fifo", S_IFREG | 01755, 0x12345678) == -EEXIST);
	must("mknod", call3(K_MKNOD, AREA "/folder", S_IFDIR | 07777, 0) == -EPERM);
	must("mknod", call3(K_MKNOD, AREA "/nothing", 0170000 | 0xfff0000, 5) == -EINVAL);
	bad_paths(K_MKNOD, S_IFCHR | 0600, 0x103);
	must("mknodat", call4(K_MKNODAT, AT_FDCWD, AREA "/socket", S_IFSOCK | 0600, 9) == 0);
	must("mknodat", call4(K_MKNODAT, AT_FDCWD, AREA "/fifo", S_IFBLK | 0, 0x801) < 0);
	bad_paths_at(K_MKNODAT, 0600, 0xfffffffful, 0);
	call1(K_UNLINK, AREA "/fifo");
	call1(K_UNLINK, AREA "/socket");
	area_remove();
}

static void getcwd_cases(void)
{
	static char folder[PATH_BYTES];

	must("getcwd", call2(K_GETCWD, folder, sizeof(folder)) > 0);
	must("getcwd", call2(K_GETCWD, folder, 1) == -ERANGE);
	must("getcwd", call2(K_GETCWD, UNMAPPED, 100) == -EFAULT);
	must("fchdir", call1(K_FCHDIR, call3(K_OPEN, "/proc/self", O_RDONLY, 0)) == 0);
	must("getcwd", call2(K_GETCWD, folder, sizeof(folder)) > 0);
}

const struct one_case path_cases[] = {
	{"mkdir-rmdir", mkdir_rmdir}, {"unlink", unlink_cases},	  {"link", link_cases},
	{"linkat", linkat_cases},     {"symlink", symlink_cases}, {"renameat", renameat_cases},
	{"chmod-chown", chmod_chown}, {"stat", stat_cases},	  {"newfstatat", newfstatat_cases},
	{"access", access_cases},     {"chroot", chroot_cases},	  {"umount", umount_cases},
	{"mknod", mknod_cases},	      {"getcwd", getcwd_cases},	  {NULL, NULL},
};
