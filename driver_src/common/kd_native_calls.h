/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Every system call of x86_64 and i386 as libscap's consumers number them: what the generic event, the selection by
 * call number and the drop mode need to know of calls, those without a typed event included.
 *
 * KD_NATIVE_CALLS: call number on x86_64, the schema's code of the call, what the drop mode does with it, which
 * counter of struct kd_ring_info counts its drops.
 * KD_COMPAT_CALLS: call number on i386, number of the same call (or of its wider sibling) on x86_64. Calls that only
 * i386 has are left out. Those from 500 on are sub-calls of socketcall and ipc that have no number in the kernel
 * (kd_subcalls.h); send and recv are selected with sendto and recvfrom, which they are on x86_64.
 *
 * Sources: arch/x86/entry/syscalls/syscall_{32,64}.tbl of the kernel; codes and drop classes of the published event
 * schema 4.5.1. A number or code, once given, never changes. tests/driver_src/test_kmod_source.py compares the numbers
 * with <asm/unistd_{32,64}.h>.
 */
#ifndef KD_NATIVE_CALLS_H
#define KD_NATIVE_CALLS_H

enum kd_drop_class {
	KD_DROP_SAMPLED = 0, /* dropped outside the sampled part of each second */
	KD_DROP_NEVER = 1, /* changes state that consumers follow: never dropped by sampling */
	KD_DROP_ALWAYS = 2, /* dropped whenever the drop mode is on */
};

enum kd_drop_kind {
	KD_KIND_NONE = 0,
	KD_KIND_CLONE_FORK,
	KD_KIND_EXECVE,
	KD_KIND_CONNECT,
	KD_KIND_OPEN,
	KD_KIND_DIR_FILE,
	KD_KIND_OTHER,
	KD_KIND_CLOSE,
	KD_KIND_PROCEXIT,
};

/* clang-format off */
#define KD_NATIVE_CALLS(X) \
	X(0, 3, KD_DROP_SAMPLED, KD_KIND_NONE, "read") \
	X(1, 4, KD_DROP_SAMPLED, KD_KIND_NONE, "write") \
	X(2, 5, KD_DROP_NEVER, KD_KIND_OPEN, "open") \
	X(3, 6, KD_DROP_NEVER, KD_KIND_CLOSE, "close") \
	X(4, 14, KD_DROP_ALWAYS, KD_KIND_NONE, "stat") \
	X(5, 20, KD_DROP_ALWAYS, KD_KIND_NONE, "fstat") \
	X(6, 50, KD_DROP_ALWAYS, KD_KIND_NONE, "lstat") \
	X(7, 105, KD_DROP_ALWAYS, KD_KIND_NONE, "poll") \
	X(8, 15, KD_DROP_ALWAYS, KD_KIND_NONE, "lseek") \
	X(9, 55, KD_DROP_SAMPLED, KD_KIND_NONE, "mmap") \
	X(10, 75, KD_DROP_SAMPLED, KD_KIND_NONE, "mprotect") \
	X(11, 56, KD_DROP_ALWAYS, KD_KIND_NONE, "munmap") \
	X(12, 32, KD_DROP_ALWAYS, KD_KIND_NONE, "brk") \
	X(13, 107, KD_DROP_SAMPLED, KD_KIND_NONE, "rt_sigaction") \
	X(14, 108, KD_DROP_SAMPLED, KD_KIND_NONE, "rt_sigprocmask") \
	X(15, 298, KD_DROP_SAMPLED, KD_KIND_NONE, "rt_sigreturn") \
	X(16, 34, KD_DROP_ALWAYS, KD_KIND_NONE, "ioctl") \
	X(17, 294, KD_DROP_SAMPLED, KD_KIND_NONE, "pread64") \
	X(18, 295, KD_DROP_SAMPLED, KD_KIND_NONE, "pwrite64") \
	X(19, 87, KD_DROP_SAMPLED, KD_KIND_NONE, "readv") \
	X(20, 88, KD_DROP_SAMPLED, KD_KIND_NONE, "writev") \
	X(21, 23, KD_DROP_ALWAYS, KD_KIND_NONE, "access") \
	X(22, 30, KD_DROP_NEVER, KD_KIND_NONE, "pipe") \
	X(23, 84, KD_DROP_ALWAYS, KD_KIND_NONE, "select") \
	X(24, 99, KD_DROP_SAMPLED, KD_KIND_NONE, "sched_yield") \
	X(25, 104, KD_DROP_SAMPLED, KD_KIND_NONE, "mremap") \
	X(26, 86, KD_DROP_SAMPLED, KD_KIND_NONE, "msync") \
	X(27, 138, KD_DROP_SAMPLED, KD_KIND_NONE, "mincore") \
	X(28, 139, KD_DROP_SAMPLED, KD_KIND_NONE, "madvise") \
	X(29, 267, KD_DROP_SAMPLED, KD_KIND_NONE, "shmget") \
	X(30, 297, KD_DROP_SAMPLED, KD_KIND_NONE, "shmat") \
	X(31, 268, KD_DROP_SAMPLED, KD_KIND_NONE, "shmctl") \
	X(32, 29, KD_DROP_NEVER, KD_KIND_DIR_FILE, "dup") \
	X(33, 40, KD_DROP_NEVER, KD_KIND_NONE, "dup2") \
	X(34, 21, KD_DROP_SAMPLED, KD_KIND_NONE, "pause") \
	X(35, 103, KD_DROP_ALWAYS, KD_KIND_NONE, "nanosleep") \
	X(36, 66, KD_DROP_SAMPLED, KD_KIND_NONE, "getitimer") \
	X(37, 19, KD_DROP_SAMPLED, KD_KIND_NONE, "alarm") \
	X(38, 65, KD_DROP_SAMPLED, KD_KIND_NONE, "setitimer") \
	X(39, 16, KD_DROP_SAMPLED, KD_KIND_NONE, "getpid") \
	X(40, 116, KD_DROP_SAMPLED, KD_KIND_NONE, "sendfile") \
	X(41, 241, KD_DROP_NEVER, KD_KIND_NONE, "socket") \
	X(42, 243, KD_DROP_SAMPLED, KD_KIND_CONNECT, "connect") \
	X(43, 245, KD_DROP_SAMPLED, KD_KIND_NONE, "accept") \
	X(44, 249, KD_DROP_SAMPLED, KD_KIND_NONE, "sendto") \
	X(45, 250, KD_DROP_SAMPLED, KD_KIND_NONE, "recvfrom") \
	X(46, 254, KD_DROP_SAMPLED, KD_KIND_NONE, "sendmsg") \
	X(47, 256, KD_DROP_SAMPLED, KD_KIND_NONE, "recvmsg") \
	X(48, 251, KD_DROP_SAMPLED, KD_KIND_NONE, "shutdown") \
	X(49, 242, KD_DROP_NEVER, KD_KIND_NONE, "bind") \
	X(50, 244, KD_DROP_SAMPLED, KD_KIND_NONE, "listen") \
	X(51, 246, KD_DROP_ALWAYS, KD_KIND_NONE, "getsockname") \
	X(52, 247, KD_DROP_ALWAYS, KD_KIND_NONE, "getpeername") \
	X(53, 248, KD_DROP_NEVER, KD_KIND_NONE, "socketpair") \
	X(54, 252, KD_DROP_SAMPLED, KD_KIND_NONE, "setsockopt") \
	X(55, 253, KD_DROP_SAMPLED, KD_KIND_NONE, "getsockopt") \
	X(56, 327, KD_DROP_NEVER, KD_KIND_CLONE_FORK, "clone") \
	X(57, 303, KD_DROP_NEVER, KD_KIND_CLONE_FORK, "fork") \
	X(58, 304, KD_DROP_NEVER, KD_KIND_CLONE_FORK, "vfork") \
	X(59, 324, KD_DROP_NEVER, KD_KIND_EXECVE, "execve") \
	X(60, 2, KD_DROP_SAMPLED, KD_KIND_NONE, "exit") \
	X(61, 69, KD_DROP_SAMPLED, KD_KIND_NONE, "wait4") \
	X(62, 25, KD_DROP_SAMPLED, KD_KIND_NONE, "kill") \
	X(63, 67, KD_DROP_SAMPLED, KD_KIND_NONE, "uname") \
	X(64, 260, KD_DROP_ALWAYS, KD_KIND_NONE, "semget") \
	X(65, 259, KD_DROP_ALWAYS, KD_KIND_NONE, "semop") \
	X(66, 261, KD_DROP_ALWAYS, KD_KIND_NONE, "semctl") \
	X(67, 266, KD_DROP_SAMPLED, KD_KIND_NONE, "shmdt") \
	X(68, 264, KD_DROP_SAMPLED, KD_KIND_NONE, "msgget") \
	X(69, 262, KD_DROP_SAMPLED, KD_KIND_NONE, "msgsnd") \
	X(70, 263, KD_DROP_SAMPLED, KD_KIND_NONE, "msgrcv") \
	X(71, 265, KD_DROP_SAMPLED, KD_KIND_NONE, "msgctl") \
	X(72, 35, KD_DROP_SAMPLED, KD_KIND_NONE, "fcntl") \
	X(73, 85, KD_DROP_ALWAYS, KD_KIND_NONE, "flock") \
	X(74, 72, KD_DROP_SAMPLED, KD_KIND_NONE, "fsync") \
	X(75, 90, KD_DROP_SAMPLED, KD_KIND_NONE, "fdatasync") \
	X(76, 57, KD_DROP_SAMPLED, KD_KIND_NONE, "truncate") \
	X(77, 58, KD_DROP_SAMPLED, KD_KIND_NONE, "ftruncate") \
	X(78, 83, KD_DROP_ALWAYS, KD_KIND_NONE, "getdents") \
	X(79, 113, KD_DROP_ALWAYS, KD_KIND_NONE, "getcwd") \
	X(80, 10, KD_DROP_NEVER, KD_KIND_NONE, "chdir") \
	X(81, 80, KD_DROP_NEVER, KD_KIND_NONE, "fchdir") \
	X(82, 26, KD_DROP_SAMPLED, KD_KIND_DIR_FILE, "rename") \
	X(83, 27, KD_DROP_SAMPLED, KD_KIND_DIR_FILE, "mkdir") \
	X(84, 28, KD_DROP_SAMPLED, KD_KIND_DIR_FILE, "rmdir") \
	X(85, 7, KD_DROP_NEVER, KD_KIND_OPEN, "creat") \
	X(86, 8, KD_DROP_SAMPLED, KD_KIND_DIR_FILE, "link") \
	X(87, 9, KD_DROP_SAMPLED, KD_KIND_DIR_FILE, "unlink") \
	X(88, 49, KD_DROP_SAMPLED, KD_KIND_DIR_FILE, "symlink") \
	X(89, 51, KD_DROP_SAMPLED, KD_KIND_NONE, "readlink") \
	X(90, 13, KD_DROP_SAMPLED, KD_KIND_DIR_FILE, "chmod") \
	X(91, 59, KD_DROP_SAMPLED, KD_KIND_DIR_FILE, "fchmod") \
	X(92, 132, KD_DROP_SAMPLED, KD_KIND_DIR_FILE, "chown") \
	X(93, 127, KD_DROP_SAMPLED, KD_KIND_DIR_FILE, "fchown") \
	X(94, 118, KD_DROP_SAMPLED, KD_KIND_DIR_FILE, "lchown") \
	X(95, 37, KD_DROP_SAMPLED, KD_KIND_NONE, "umask") \
	X(96, 47, KD_DROP_SAMPLED, KD_KIND_NONE, "gettimeofday") \
	X(97, 117, KD_DROP_SAMPLED, KD_KIND_NONE, "getrlimit") \
	X(98, 46, KD_DROP_SAMPLED, KD_KIND_NONE, "getrusage") \
	X(99, 71, KD_DROP_SAMPLED, KD_KIND_NONE, "sysinfo") \
	X(100, 31, KD_DROP_SAMPLED, KD_KIND_NONE, "times") \
	X(101, 18, KD_DROP_SAMPLED, KD_KIND_OTHER, "ptrace") \
	X(102, 119, KD_DROP_SAMPLED, KD_KIND_NONE, "getuid") \
	X(103, 64, KD_DROP_SAMPLED, KD_KIND_NONE, "syslog") \
	X(104, 120, KD_DROP_SAMPLED, KD_KIND_NONE, "getgid") \
	X(105, 133, KD_DROP_SAMPLED, KD_KIND_NONE, "setuid") \
	X(106, 134, KD_DROP_SAMPLED, KD_KIND_NONE, "setgid") \
	X(107, 121, KD_DROP_SAMPLED, KD_KIND_NONE, "geteuid") \
	X(108, 122, KD_DROP_SAMPLED, KD_KIND_NONE, "getegid") \
	X(109, 36, KD_DROP_ALWAYS, KD_KIND_OTHER, "setpgid") \
	X(110, 41, KD_DROP_SAMPLED, KD_KIND_NONE, "getppid") \
	X(111, 42, KD_DROP_SAMPLED, KD_KIND_NONE, "getpgrp") \
	X(112, 43, KD_DROP_SAMPLED, KD_KIND_OTHER, "setsid") \
	X(113, 123, KD_DROP_SAMPLED, KD_KIND_NONE, "setreuid") \
	X(114, 124, KD_DROP_SAMPLED, KD_KIND_NONE, "setregid") \
	X(115, 125, KD_DROP_SAMPLED, KD_KIND_NONE, "getgroups") \
	X(116, 126, KD_DROP_SAMPLED, KD_KIND_NONE, "setgroups") \
	X(117, 128, KD_DROP_SAMPLED, KD_KIND_OTHER, "setresuid") \
	X(118, 129, KD_DROP_SAMPLED, KD_KIND_NONE, "getresuid") \
	X(119, 130, KD_DROP_SAMPLED, KD_KIND_OTHER, "setresgid") \
	X(120, 131, KD_DROP_SAMPLED, KD_KIND_NONE, "getresgid") \
	X(121, 79, KD_DROP_SAMPLED, KD_KIND_NONE, "getpgid") \
	X(122, 135, KD_DROP_SAMPLED, KD_KIND_NONE, "setfsuid") \
	X(123, 136, KD_DROP_SAMPLED, KD_KIND_NONE, "setfsgid") \
	X(124, 89, KD_DROP_SAMPLED, KD_KIND_NONE, "getsid") \
	X(125, 114, KD_DROP_SAMPLED, KD_KIND_NONE, "capget") \
	X(126, 115, KD_DROP_SAMPLED, KD_KIND_OTHER, "capset") \
	X(127, 109, KD_DROP_SAMPLED, KD_KIND_NONE, "rt_sigpending") \
	X(128, 110, KD_DROP_SAMPLED, KD_KIND_NONE, "rt_sigtimedwait") \
	X(129, 111, KD_DROP_SAMPLED, KD_KIND_NONE, "rt_sigqueueinfo") \
	X(130, 112, KD_DROP_SAMPLED, KD_KIND_NONE, "rt_sigsuspend") \
	X(131, 317, KD_DROP_SAMPLED, KD_KIND_NONE, "sigaltstack") \
	X(132, 22, KD_DROP_SAMPLED, KD_KIND_NONE, "utime") \
	X(133, 12, KD_DROP_SAMPLED, KD_KIND_NONE, "mknod") \
	X(134, 52, KD_DROP_SAMPLED, KD_KIND_NONE, "uselib") \
	X(135, 82, KD_DROP_SAMPLED, KD_KIND_NONE, "personality") \
	X(136, 39, KD_DROP_SAMPLED, KD_KIND_NONE, "ustat") \
	X(137, 62, KD_DROP_SAMPLED, KD_KIND_NONE, "statfs") \
	X(138, 63, KD_DROP_SAMPLED, KD_KIND_NONE, "fstatfs") \
	X(139, 81, KD_DROP_SAMPLED, KD_KIND_NONE, "sysfs") \
	X(140, 60, KD_DROP_SAMPLED, KD_KIND_NONE, "getpriority") \
	X(141, 61, KD_DROP_SAMPLED, KD_KIND_NONE, "setpriority") \
	X(142, 95, KD_DROP_SAMPLED, KD_KIND_NONE, "sched_setparam") \
	X(143, 96, KD_DROP_SAMPLED, KD_KIND_NONE, "sched_getparam") \
	X(144, 97, KD_DROP_SAMPLED, KD_KIND_NONE, "sched_setscheduler") \
	X(145, 98, KD_DROP_SAMPLED, KD_KIND_NONE, "sched_getscheduler") \
	X(146, 100, KD_DROP_SAMPLED, KD_KIND_NONE, "sched_get_priority_max") \
	X(147, 101, KD_DROP_SAMPLED, KD_KIND_NONE, "sched_get_priority_min") \
	X(148, 102, KD_DROP_SAMPLED, KD_KIND_NONE, "sched_rr_get_interval") \
	X(149, 91, KD_DROP_SAMPLED, KD_KIND_NONE, "mlock") \
	X(150, 92, KD_DROP_SAMPLED, KD_KIND_NONE, "munlock") \
	X(151, 93, KD_DROP_SAMPLED, KD_KIND_NONE, "mlockall") \
	X(152, 94, KD_DROP_SAMPLED, KD_KIND_NONE, "munlockall") \
	X(153, 68, KD_DROP_SAMPLED, KD_KIND_NONE, "vhangup") \
	X(154, 366, KD_DROP_SAMPLED, KD_KIND_NONE, "modify_ldt") \
	X(155, 137, KD_DROP_SAMPLED, KD_KIND_NONE, "pivot_root") \
	X(156, 385, KD_DROP_SAMPLED, KD_KIND_NONE, "_sysctl") \
	X(157, 106, KD_DROP_NEVER, KD_KIND_NONE, "prctl") \
	X(158, 296, KD_DROP_SAMPLED, KD_KIND_NONE, "arch_prctl") \
	X(159, 74, KD_DROP_SAMPLED, KD_KIND_NONE, "adjtimex") \
	X(160, 45, KD_DROP_NEVER, KD_KIND_NONE, "setrlimit") \
	X(161, 38, KD_DROP_NEVER, KD_KIND_NONE, "chroot") \
	X(162, 24, KD_DROP_SAMPLED, KD_KIND_NONE, "sync") \
	X(163, 33, KD_DROP_SAMPLED, KD_KIND_NONE, "acct") \
	X(164, 48, KD_DROP_SAMPLED, KD_KIND_NONE, "settimeofday") \
	X(165, 17, KD_DROP_SAMPLED, KD_KIND_DIR_FILE, "mount") \
	X(166, 323, KD_DROP_SAMPLED, KD_KIND_DIR_FILE, "umount2") \
	X(167, 53, KD_DROP_SAMPLED, KD_KIND_NONE, "swapon") \
	X(168, 70, KD_DROP_SAMPLED, KD_KIND_NONE, "swapoff") \
	X(169, 54, KD_DROP_SAMPLED, KD_KIND_NONE, "reboot") \
	X(170, 44, KD_DROP_SAMPLED, KD_KIND_NONE, "sethostname") \
	X(171, 73, KD_DROP_SAMPLED, KD_KIND_NONE, "setdomainname") \
	X(172, 391, KD_DROP_SAMPLED, KD_KIND_NONE, "iopl") \
	X(173, 344, KD_DROP_SAMPLED, KD_KIND_NONE, "ioperm") \
	X(174, 381, KD_DROP_SAMPLED, KD_KIND_NONE, "create_module") \
	X(175, 76, KD_DROP_SAMPLED, KD_KIND_NONE, "init_module") \
	X(176, 77, KD_DROP_SAMPLED, KD_KIND_NONE, "delete_module") \
	X(177, 372, KD_DROP_SAMPLED, KD_KIND_NONE, "get_kernel_syms") \
	X(178, 386, KD_DROP_SAMPLED, KD_KIND_NONE, "query_module") \
	X(179, 78, KD_DROP_SAMPLED, KD_KIND_NONE, "quotactl") \
	X(180, 378, KD_DROP_SAMPLED, KD_KIND_NONE, "nfsservctl") \
	X(181, 375, KD_DROP_SAMPLED, KD_KIND_NONE, "getpmsg") \
	X(186, 140, KD_DROP_SAMPLED, KD_KIND_NONE, "gettid") \
	X(187, 373, KD_DROP_SAMPLED, KD_KIND_NONE, "readahead") \
	X(188, 141, KD_DROP_SAMPLED, KD_KIND_NONE, "setxattr") \
	X(189, 142, KD_DROP_SAMPLED, KD_KIND_NONE, "lsetxattr") \
	X(190, 143, KD_DROP_SAMPLED, KD_KIND_NONE, "fsetxattr") \
	X(191, 144, KD_DROP_SAMPLED, KD_KIND_NONE, "getxattr") \
	X(192, 145, KD_DROP_SAMPLED, KD_KIND_NONE, "lgetxattr") \
	X(193, 146, KD_DROP_SAMPLED, KD_KIND_NONE, "fgetxattr") \
	X(194, 147, KD_DROP_SAMPLED, KD_KIND_NONE, "listxattr") \
	X(195, 148, KD_DROP_SAMPLED, KD_KIND_NONE, "llistxattr") \
	X(196, 149, KD_DROP_SAMPLED, KD_KIND_NONE, "flistxattr") \
	X(197, 150, KD_DROP_SAMPLED, KD_KIND_NONE, "removexattr") \
	X(198, 151, KD_DROP_SAMPLED, KD_KIND_NONE, "lremovexattr") \
	X(199, 152, KD_DROP_SAMPLED, KD_KIND_NONE, "fremovexattr") \
	X(200, 153, KD_DROP_SAMPLED, KD_KIND_NONE, "tkill") \
	X(201, 11, KD_DROP_SAMPLED, KD_KIND_NONE, "time") \
	X(202, 154, KD_DROP_ALWAYS, KD_KIND_NONE, "futex") \
	X(203, 155, KD_DROP_SAMPLED, KD_KIND_NONE, "sched_setaffinity") \
	X(204, 156, KD_DROP_SAMPLED, KD_KIND_NONE, "sched_getaffinity") \
	X(205, 157, KD_DROP_SAMPLED, KD_KIND_NONE, "set_thread_area") \
	X(206, 159, KD_DROP_SAMPLED, KD_KIND_NONE, "io_setup") \
	X(207, 160, KD_DROP_SAMPLED, KD_KIND_NONE, "io_destroy") \
	X(208, 161, KD_DROP_SAMPLED, KD_KIND_NONE, "io_getevents") \
	X(209, 162, KD_DROP_SAMPLED, KD_KIND_NONE, "io_submit") \
	X(210, 163, KD_DROP_SAMPLED, KD_KIND_NONE, "io_cancel") \
	X(211, 158, KD_DROP_SAMPLED, KD_KIND_NONE, "get_thread_area") \
	X(212, 365, KD_DROP_SAMPLED, KD_KIND_NONE, "lookup_dcookie") \
	X(213, 165, KD_DROP_NEVER, KD_KIND_NONE, "epoll_create") \
	X(214, 364, KD_DROP_SAMPLED, KD_KIND_NONE, "epoll_ctl_old") \
	X(215, 379, KD_DROP_SAMPLED, KD_KIND_NONE, "epoll_wait_old") \
	X(216, 168, KD_DROP_SAMPLED, KD_KIND_NONE, "remap_file_pages") \
	X(217, 240, KD_DROP_ALWAYS, KD_KIND_NONE, "getdents64") \
	X(218, 169, KD_DROP_SAMPLED, KD_KIND_NONE, "set_tid_address") \
	X(219, 1, KD_DROP_SAMPLED, KD_KIND_NONE, "restart_syscall") \
	X(220, 371, KD_DROP_SAMPLED, KD_KIND_NONE, "semtimedop") \
	X(221, 319, KD_DROP_SAMPLED, KD_KIND_NONE, "fadvise64") \
	X(222, 170, KD_DROP_SAMPLED, KD_KIND_NONE, "timer_create") \
	X(223, 171, KD_DROP_SAMPLED, KD_KIND_NONE, "timer_settime") \
	X(224, 172, KD_DROP_SAMPLED, KD_KIND_NONE, "timer_gettime") \
	X(225, 173, KD_DROP_SAMPLED, KD_KIND_NONE, "timer_getoverrun") \
	X(226, 174, KD_DROP_SAMPLED, KD_KIND_NONE, "timer_delete") \
	X(227, 175, KD_DROP_SAMPLED, KD_KIND_NONE, "clock_settime") \
	X(228, 176, KD_DROP_SAMPLED, KD_KIND_NONE, "clock_gettime") \
	X(229, 177, KD_DROP_SAMPLED, KD_KIND_NONE, "clock_getres") \
	X(230, 178, KD_DROP_SAMPLED, KD_KIND_NONE, "clock_nanosleep") \
	X(231, 164, KD_DROP_SAMPLED, KD_KIND_NONE, "exit_group") \
	X(232, 167, KD_DROP_ALWAYS, KD_KIND_NONE, "epoll_wait") \
	X(233, 166, KD_DROP_SAMPLED, KD_KIND_NONE, "epoll_ctl") \
	X(234, 179, KD_DROP_SAMPLED, KD_KIND_NONE, "tgkill") \
	X(235, 180, KD_DROP_SAMPLED, KD_KIND_NONE, "utimes") \
	X(237, 363, KD_DROP_SAMPLED, KD_KIND_NONE, "mbind") \
	X(238, 368, KD_DROP_SAMPLED, KD_KIND_NONE, "set_mempolicy") \
	X(239, 387, KD_DROP_SAMPLED, KD_KIND_NONE, "get_mempolicy") \
	X(240, 181, KD_DROP_SAMPLED, KD_KIND_NONE, "mq_open") \
	X(241, 182, KD_DROP_SAMPLED, KD_KIND_NONE, "mq_unlink") \
	X(242, 183, KD_DROP_SAMPLED, KD_KIND_NONE, "mq_timedsend") \
	X(243, 184, KD_DROP_SAMPLED, KD_KIND_NONE, "mq_timedreceive") \
	X(244, 185, KD_DROP_SAMPLED, KD_KIND_NONE, "mq_notify") \
	X(245, 186, KD_DROP_SAMPLED, KD_KIND_NONE, "mq_getsetattr") \
	X(246, 187, KD_DROP_SAMPLED, KD_KIND_NONE, "kexec_load") \
	X(247, 188, KD_DROP_SAMPLED, KD_KIND_NONE, "waitid") \
	X(248, 189, KD_DROP_SAMPLED, KD_KIND_NONE, "add_key") \
	X(249, 190, KD_DROP_SAMPLED, KD_KIND_NONE, "request_key") \
	X(250, 191, KD_DROP_SAMPLED, KD_KIND_OTHER, "keyctl") \
	X(251, 192, KD_DROP_SAMPLED, KD_KIND_NONE, "ioprio_set") \
	X(252, 193, KD_DROP_SAMPLED, KD_KIND_NONE, "ioprio_get") \
	X(253, 194, KD_DROP_NEVER, KD_KIND_NONE, "inotify_init") \
	X(254, 195, KD_DROP_SAMPLED, KD_KIND_NONE, "inotify_add_watch") \
	X(255, 196, KD_DROP_SAMPLED, KD_KIND_NONE, "inotify_rm_watch") \
	X(256, 357, KD_DROP_SAMPLED, KD_KIND_NONE, "migrate_pages") \
	X(257, 197, KD_DROP_NEVER, KD_KIND_OPEN, "openat") \
	X(258, 198, KD_DROP_SAMPLED, KD_KIND_DIR_FILE, "mkdirat") \
	X(259, 199, KD_DROP_SAMPLED, KD_KIND_NONE, "mknodat") \
	X(260, 200, KD_DROP_SAMPLED, KD_KIND_DIR_FILE, "fchownat") \
	X(261, 201, KD_DROP_SAMPLED, KD_KIND_NONE, "futimesat") \
	X(262, 300, KD_DROP_ALWAYS, KD_KIND_NONE, "newfstatat") \
	X(263, 202, KD_DROP_SAMPLED, KD_KIND_DIR_FILE, "unlinkat") \
	X(264, 203, KD_DROP_SAMPLED, KD_KIND_DIR_FILE, "renameat") \
	X(265, 204, KD_DROP_SAMPLED, KD_KIND_DIR_FILE, "linkat") \
	X(266, 205, KD_DROP_SAMPLED, KD_KIND_DIR_FILE, "symlinkat") \
	X(267, 206, KD_DROP_SAMPLED, KD_KIND_NONE, "readlinkat") \
	X(268, 207, KD_DROP_SAMPLED, KD_KIND_DIR_FILE, "fchmodat") \
	X(269, 208, KD_DROP_SAMPLED, KD_KIND_NONE, "faccessat") \
	X(270, 209, KD_DROP_SAMPLED, KD_KIND_NONE, "pselect6") \
	X(271, 210, KD_DROP_ALWAYS, KD_KIND_NONE, "ppoll") \
	X(272, 211, KD_DROP_ALWAYS, KD_KIND_OTHER, "unshare") \
	X(273, 212, KD_DROP_SAMPLED, KD_KIND_NONE, "set_robust_list") \
	X(274, 213, KD_DROP_SAMPLED, KD_KIND_NONE, "get_robust_list") \
	X(275, 214, KD_DROP_SAMPLED, KD_KIND_NONE, "splice") \
	X(276, 215, KD_DROP_SAMPLED, KD_KIND_NONE, "tee") \
	X(277, 388, KD_DROP_SAMPLED, KD_KIND_NONE, "sync_file_range") \
	X(278, 216, KD_DROP_SAMPLED, KD_KIND_NONE, "vmsplice") \
	X(279, 358, KD_DROP_SAMPLED, KD_KIND_NONE, "move_pages") \
	X(280, 219, KD_DROP_SAMPLED, KD_KIND_NONE, "utimensat") \
	X(281, 218, KD_DROP_SAMPLED, KD_KIND_NONE, "epoll_pwait") \
	X(282, 220, KD_DROP_NEVER, KD_KIND_NONE, "signalfd") \
	X(283, 221, KD_DROP_NEVER, KD_KIND_NONE, "timerfd_create") \
	X(284, 222, KD_DROP_NEVER, KD_KIND_NONE, "eventfd") \
	X(285, 299, KD_DROP_SAMPLED, KD_KIND_NONE, "fallocate") \
	X(286, 223, KD_DROP_SAMPLED, KD_KIND_NONE, "timerfd_settime") \
	X(287, 224, KD_DROP_SAMPLED, KD_KIND_NONE, "timerfd_gettime") \
	X(288, 258, KD_DROP_SAMPLED, KD_KIND_NONE, "accept4") \
	X(289, 225, KD_DROP_NEVER, KD_KIND_NONE, "signalfd4") \
	X(290, 226, KD_DROP_NEVER, KD_KIND_NONE, "eventfd2") \
	X(291, 227, KD_DROP_NEVER, KD_KIND_NONE, "epoll_create1") \
	X(292, 228, KD_DROP_NEVER, KD_KIND_NONE, "dup3") \
	X(293, 229, KD_DROP_NEVER, KD_KIND_NONE, "pipe2") \
	X(294, 230, KD_DROP_NEVER, KD_KIND_NONE, "inotify_init1") \
	X(295, 231, KD_DROP_SAMPLED, KD_KIND_NONE, "preadv") \
	X(296, 232, KD_DROP_SAMPLED, KD_KIND_NONE, "pwritev") \
	X(297, 233, KD_DROP_SAMPLED, KD_KIND_NONE, "rt_tgsigqueueinfo") \
	X(298, 234, KD_DROP_SAMPLED, KD_KIND_NONE, "perf_event_open") \
	X(299, 257, KD_DROP_SAMPLED, KD_KIND_NONE, "recvmmsg") \
	X(300, 235, KD_DROP_SAMPLED, KD_KIND_NONE, "fanotify_init") \
	X(301, 393, KD_DROP_SAMPLED, KD_KIND_NONE, "fanotify_mark") \
	X(302, 236, KD_DROP_NEVER, KD_KIND_NONE, "prlimit64") \
	X(303, 376, KD_DROP_SAMPLED, KD_KIND_NONE, "name_to_handle_at") \
	X(304, 329, KD_DROP_SAMPLED, KD_KIND_OPEN, "open_by_handle_at") \
	X(305, 237, KD_DROP_SAMPLED, KD_KIND_NONE, "clock_adjtime") \
	X(306, 238, KD_DROP_SAMPLED, KD_KIND_NONE, "syncfs") \
	X(307, 255, KD_DROP_SAMPLED, KD_KIND_NONE, "sendmmsg") \
	X(308, 239, KD_DROP_SAMPLED, KD_KIND_OTHER, "setns") \
	X(309, 217, KD_DROP_SAMPLED, KD_KIND_NONE, "getcpu") \
	X(310, 301, KD_DROP_SAMPLED, KD_KIND_NONE, "process_vm_readv") \
	X(311, 302, KD_DROP_SAMPLED, KD_KIND_NONE, "process_vm_writev") \
	X(312, 361, KD_DROP_SAMPLED, KD_KIND_NONE, "kcmp") \
	X(313, 314, KD_DROP_SAMPLED, KD_KIND_NONE, "finit_module") \
	X(314, 362, KD_DROP_SAMPLED, KD_KIND_NONE, "sched_setattr") \
	X(315, 383, KD_DROP_SAMPLED, KD_KIND_NONE, "sched_getattr") \
	X(316, 320, KD_DROP_SAMPLED, KD_KIND_DIR_FILE, "renameat2") \
	X(317, 316, KD_DROP_SAMPLED, KD_KIND_OTHER, "seccomp") \
	X(318, 318, KD_DROP_SAMPLED, KD_KIND_NONE, "getrandom") \
	X(319, 342, KD_DROP_SAMPLED, KD_KIND_NONE, "memfd_create") \
	X(320, 345, KD_DROP_SAMPLED, KD_KIND_NONE, "kexec_file_load") \
	X(321, 315, KD_DROP_SAMPLED, KD_KIND_OTHER, "bpf") \
	X(322, 325, KD_DROP_NEVER, KD_KIND_EXECVE, "execveat") \
	X(323, 321, KD_DROP_NEVER, KD_KIND_NONE, "userfaultfd") \
	X(324, 390, KD_DROP_SAMPLED, KD_KIND_NONE, "membarrier") \
	X(325, 333, KD_DROP_SAMPLED, KD_KIND_NONE, "mlock2") \
	X(326, 326, KD_DROP_SAMPLED, KD_KIND_NONE, "copy_file_range") \
	X(327, 359, KD_DROP_SAMPLED, KD_KIND_NONE, "preadv2") \
	X(328, 360, KD_DROP_SAMPLED, KD_KIND_NONE, "pwritev2") \
	X(329, 350, KD_DROP_SAMPLED, KD_KIND_NONE, "pkey_mprotect") \
	X(330, 349, KD_DROP_SAMPLED, KD_KIND_NONE, "pkey_alloc") \
	X(331, 351, KD_DROP_SAMPLED, KD_KIND_NONE, "pkey_free") \
	X(332, 367, KD_DROP_SAMPLED, KD_KIND_NONE, "statx") \
	X(333, 369, KD_DROP_SAMPLED, KD_KIND_NONE, "io_pgetevents") \
	X(334, 380, KD_DROP_SAMPLED, KD_KIND_NONE, "rseq") \
	X(335, 443, KD_DROP_SAMPLED, KD_KIND_NONE, "uretprobe") \
	X(336, 452, KD_DROP_SAMPLED, KD_KIND_NONE, "uprobe") \
	X(424, 348, KD_DROP_SAMPLED, KD_KIND_NONE, "pidfd_send_signal") \
	X(425, 330, KD_DROP_SAMPLED, KD_KIND_NONE, "io_uring_setup") \
	X(426, 331, KD_DROP_SAMPLED, KD_KIND_NONE, "io_uring_enter") \
	X(427, 332, KD_DROP_SAMPLED, KD_KIND_NONE, "io_uring_register") \
	X(428, 339, KD_DROP_SAMPLED, KD_KIND_NONE, "open_tree") \
	X(429, 340, KD_DROP_SAMPLED, KD_KIND_NONE, "move_mount") \
	X(430, 338, KD_DROP_SAMPLED, KD_KIND_NONE, "fsopen") \
	X(431, 335, KD_DROP_SAMPLED, KD_KIND_NONE, "fsconfig") \
	X(432, 337, KD_DROP_SAMPLED, KD_KIND_NONE, "fsmount") \
	X(433, 336, KD_DROP_SAMPLED, KD_KIND_NONE, "fspick") \
	X(434, 347, KD_DROP_SAMPLED, KD_KIND_NONE, "pidfd_open") \
	X(435, 328, KD_DROP_NEVER, KD_KIND_CLONE_FORK, "clone3") \
	X(436, 392, KD_DROP_NEVER, KD_KIND_NONE, "close_range") \
	X(437, 322, KD_DROP_SAMPLED, KD_KIND_OPEN, "openat2") \
	X(438, 346, KD_DROP_SAMPLED, KD_KIND_NONE, "pidfd_getfd") \
	X(439, 384, KD_DROP_SAMPLED, KD_KIND_NONE, "faccessat2") \
	X(440, 389, KD_DROP_SAMPLED, KD_KIND_NONE, "process_madvise") \
	X(441, 356, KD_DROP_SAMPLED, KD_KIND_NONE, "epoll_pwait2") \
	X(442, 341, KD_DROP_SAMPLED, KD_KIND_NONE, "mount_setattr") \
	X(443, 353, KD_DROP_SAMPLED, KD_KIND_NONE, "quotactl_fd") \
	X(444, 352, KD_DROP_SAMPLED, KD_KIND_NONE, "landlock_create_ruleset") \
	X(445, 355, KD_DROP_SAMPLED, KD_KIND_NONE, "landlock_add_rule") \
	X(446, 354, KD_DROP_SAMPLED, KD_KIND_NONE, "landlock_restrict_self") \
	X(447, 343, KD_DROP_SAMPLED, KD_KIND_NONE, "memfd_secret") \
	X(448, 377, KD_DROP_SAMPLED, KD_KIND_NONE, "process_mrelease") \
	X(449, 374, KD_DROP_SAMPLED, KD_KIND_NONE, "futex_waitv") \
	X(450, 370, KD_DROP_SAMPLED, KD_KIND_NONE, "set_mempolicy_home_node") \
	X(451, 412, KD_DROP_SAMPLED, KD_KIND_NONE, "cachestat") \
	X(452, 413, KD_DROP_SAMPLED, KD_KIND_NONE, "fchmodat2") \
	X(453, 414, KD_DROP_SAMPLED, KD_KIND_NONE, "map_shadow_stack") \
	X(454, 417, KD_DROP_SAMPLED, KD_KIND_NONE, "futex_wake") \
	X(455, 419, KD_DROP_SAMPLED, KD_KIND_NONE, "futex_wait") \
	X(456, 418, KD_DROP_SAMPLED, KD_KIND_NONE, "futex_requeue") \
	X(457, 438, KD_DROP_SAMPLED, KD_KIND_NONE, "statmount") \
	X(458, 437, KD_DROP_SAMPLED, KD_KIND_NONE, "listmount") \
	X(459, 439, KD_DROP_SAMPLED, KD_KIND_NONE, "lsm_get_self_attr") \
	X(460, 440, KD_DROP_SAMPLED, KD_KIND_NONE, "lsm_set_self_attr") \
	X(461, 441, KD_DROP_SAMPLED, KD_KIND_NONE, "lsm_list_modules") \
	X(462, 442, KD_DROP_SAMPLED, KD_KIND_NONE, "mseal") \
	X(463, 447, KD_DROP_SAMPLED, KD_KIND_NONE, "setxattrat") \
	X(464, 446, KD_DROP_SAMPLED, KD_KIND_NONE, "getxattrat") \
	X(465, 445, KD_DROP_SAMPLED, KD_KIND_NONE, "listxattrat") \
	X(466, 444, KD_DROP_SAMPLED, KD_KIND_NONE, "removexattrat") \
	X(467, 448, KD_DROP_SAMPLED, KD_KIND_NONE, "open_tree_attr") \
	X(468, 449, KD_DROP_SAMPLED, KD_KIND_NONE, "file_getattr") \
	X(469, 450, KD_DROP_SAMPLED, KD_KIND_NONE, "file_setattr")

#define KD_COMPAT_CALLS(X) \
	X(0, 219, "restart_syscall") \
	X(1, 60, "exit") \
	X(2, 57, "fork") \
	X(3, 0, "read") \
	X(4, 1, "write") \
	X(5, 2, "open") \
	X(6, 3, "close") \
	X(8, 85, "creat") \
	X(9, 86, "link") \
	X(10, 87, "unlink") \
	X(11, 59, "execve") \
	X(12, 80, "chdir") \
	X(13, 201, "time") \
	X(14, 133, "mknod") \
	X(15, 90, "chmod") \
	X(16, 94, "lchown") \
	X(19, 8, "lseek") \
	X(20, 39, "getpid") \
	X(21, 165, "mount") \
	X(22, 166, "umount") \
	X(23, 105, "setuid") \
	X(24, 102, "getuid") \
	X(26, 101, "ptrace") \
	X(27, 37, "alarm") \
	X(29, 34, "pause") \
	X(30, 132, "utime") \
	X(33, 21, "access") \
	X(36, 162, "sync") \
	X(37, 62, "kill") \
	X(38, 82, "rename") \
	X(39, 83, "mkdir") \
	X(40, 84, "rmdir") \
	X(41, 32, "dup") \
	X(42, 22, "pipe") \
	X(43, 100, "times") \
	X(45, 12, "brk") \
	X(46, 106, "setgid") \
	X(47, 104, "getgid") \
	X(49, 107, "geteuid") \
	X(50, 108, "getegid") \
	X(51, 163, "acct") \
	X(52, 166, "umount2") \
	X(54, 16, "ioctl") \
	X(55, 72, "fcntl") \
	X(57, 109, "setpgid") \
	X(60, 95, "umask") \
	X(61, 161, "chroot") \
	X(62, 136, "ustat") \
	X(63, 33, "dup2") \
	X(64, 110, "getppid") \
	X(65, 111, "getpgrp") \
	X(66, 112, "setsid") \
	X(70, 113, "setreuid") \
	X(71, 114, "setregid") \
	X(74, 170, "sethostname") \
	X(75, 160, "setrlimit") \
	X(76, 97, "getrlimit") \
	X(77, 98, "getrusage") \
	X(78, 96, "gettimeofday") \
	X(79, 164, "settimeofday") \
	X(80, 115, "getgroups") \
	X(81, 116, "setgroups") \
	X(82, 23, "select") \
	X(83, 88, "symlink") \
	X(85, 89, "readlink") \
	X(86, 134, "uselib") \
	X(87, 167, "swapon") \
	X(88, 169, "reboot") \
	X(90, 9, "mmap") \
	X(91, 11, "munmap") \
	X(92, 76, "truncate") \
	X(93, 77, "ftruncate") \
	X(94, 91, "fchmod") \
	X(95, 93, "fchown") \
	X(96, 140, "getpriority") \
	X(97, 141, "setpriority") \
	X(99, 137, "statfs") \
	X(100, 138, "fstatfs") \
	X(101, 173, "ioperm") \
	X(103, 103, "syslog") \
	X(104, 38, "setitimer") \
	X(105, 36, "getitimer") \
	X(106, 4, "stat") \
	X(107, 6, "lstat") \
	X(108, 5, "fstat") \
	X(110, 172, "iopl") \
	X(111, 153, "vhangup") \
	X(114, 61, "wait4") \
	X(115, 168, "swapoff") \
	X(116, 99, "sysinfo") \
	X(118, 74, "fsync") \
	X(120, 56, "clone") \
	X(121, 171, "setdomainname") \
	X(122, 63, "uname") \
	X(123, 154, "modify_ldt") \
	X(124, 159, "adjtimex") \
	X(125, 10, "mprotect") \
	X(127, 174, "create_module") \
	X(128, 175, "init_module") \
	X(129, 176, "delete_module") \
	X(130, 177, "get_kernel_syms") \
	X(131, 179, "quotactl") \
	X(132, 121, "getpgid") \
	X(133, 81, "fchdir") \
	X(135, 139, "sysfs") \
	X(136, 135, "personality") \
	X(138, 122, "setfsuid") \
	X(139, 123, "setfsgid") \
	X(140, 8, "_llseek") \
	X(141, 78, "getdents") \
	X(142, 23, "_newselect") \
	X(143, 73, "flock") \
	X(144, 26, "msync") \
	X(145, 19, "readv") \
	X(146, 20, "writev") \
	X(147, 124, "getsid") \
	X(148, 75, "fdatasync") \
	X(149, 156, "_sysctl") \
	X(150, 149, "mlock") \
	X(151, 150, "munlock") \
	X(152, 151, "mlockall") \
	X(153, 152, "munlockall") \
	X(154, 142, "sched_setparam") \
	X(155, 143, "sched_getparam") \
	X(156, 144, "sched_setscheduler") \
	X(157, 145, "sched_getscheduler") \
	X(158, 24, "sched_yield") \
	X(159, 146, "sched_get_priority_max") \
	X(160, 147, "sched_get_priority_min") \
	X(161, 148, "sched_rr_get_interval") \
	X(162, 35, "nanosleep") \
	X(163, 25, "mremap") \
	X(164, 117, "setresuid") \
	X(165, 118, "getresuid") \
	X(167, 178, "query_module") \
	X(168, 7, "poll") \
	X(169, 180, "nfsservctl") \
	X(170, 119, "setresgid") \
	X(171, 120, "getresgid") \
	X(172, 157, "prctl") \
	X(173, 15, "rt_sigreturn") \
	X(174, 13, "rt_sigaction") \
	X(175, 14, "rt_sigprocmask") \
	X(176, 127, "rt_sigpending") \
	X(177, 128, "rt_sigtimedwait") \
	X(178, 129, "rt_sigqueueinfo") \
	X(179, 130, "rt_sigsuspend") \
	X(180, 17, "pread64") \
	X(181, 18, "pwrite64") \
	X(182, 92, "chown") \
	X(183, 79, "getcwd") \
	X(184, 125, "capget") \
	X(185, 126, "capset") \
	X(186, 131, "sigaltstack") \
	X(187, 40, "sendfile") \
	X(188, 181, "getpmsg") \
	X(190, 58, "vfork") \
	X(191, 97, "ugetrlimit") \
	X(192, 9, "mmap2") \
	X(193, 76, "truncate64") \
	X(194, 77, "ftruncate64") \
	X(195, 4, "stat64") \
	X(196, 6, "lstat64") \
	X(197, 5, "fstat64") \
	X(198, 94, "lchown32") \
	X(199, 102, "getuid32") \
	X(200, 104, "getgid32") \
	X(201, 107, "geteuid32") \
	X(202, 108, "getegid32") \
	X(203, 113, "setreuid32") \
	X(204, 114, "setregid32") \
	X(205, 115, "getgroups32") \
	X(206, 116, "setgroups32") \
	X(207, 93, "fchown32") \
	X(208, 117, "setresuid32") \
	X(209, 118, "getresuid32") \
	X(210, 119, "setresgid32") \
	X(211, 120, "getresgid32") \
	X(212, 92, "chown32") \
	X(213, 105, "setuid32") \
	X(214, 106, "setgid32") \
	X(215, 122, "setfsuid32") \
	X(216, 123, "setfsgid32") \
	X(217, 155, "pivot_root") \
	X(218, 27, "mincore") \
	X(219, 28, "madvise") \
	X(220, 217, "getdents64") \
	X(221, 72, "fcntl64") \
	X(224, 186, "gettid") \
	X(225, 187, "readahead") \
	X(226, 188, "setxattr") \
	X(227, 189, "lsetxattr") \
	X(228, 190, "fsetxattr") \
	X(229, 191, "getxattr") \
	X(230, 192, "lgetxattr") \
	X(231, 193, "fgetxattr") \
	X(232, 194, "listxattr") \
	X(233, 195, "llistxattr") \
	X(234, 196, "flistxattr") \
	X(235, 197, "removexattr") \
	X(236, 198, "lremovexattr") \
	X(237, 199, "fremovexattr") \
	X(238, 200, "tkill") \
	X(239, 40, "sendfile64") \
	X(240, 202, "futex") \
	X(241, 203, "sched_setaffinity") \
	X(242, 204, "sched_getaffinity") \
	X(243, 205, "set_thread_area") \
	X(244, 211, "get_thread_area") \
	X(245, 206, "io_setup") \
	X(246, 207, "io_destroy") \
	X(247, 208, "io_getevents") \
	X(248, 209, "io_submit") \
	X(249, 210, "io_cancel") \
	X(250, 221, "fadvise64") \
	X(252, 231, "exit_group") \
	X(253, 212, "lookup_dcookie") \
	X(254, 213, "epoll_create") \
	X(255, 233, "epoll_ctl") \
	X(256, 232, "epoll_wait") \
	X(257, 216, "remap_file_pages") \
	X(258, 218, "set_tid_address") \
	X(259, 222, "timer_create") \
	X(260, 223, "timer_settime") \
	X(261, 224, "timer_gettime") \
	X(262, 225, "timer_getoverrun") \
	X(263, 226, "timer_delete") \
	X(264, 227, "clock_settime") \
	X(265, 228, "clock_gettime") \
	X(266, 229, "clock_getres") \
	X(267, 230, "clock_nanosleep") \
	X(268, 137, "statfs64") \
	X(269, 138, "fstatfs64") \
	X(270, 234, "tgkill") \
	X(271, 235, "utimes") \
	X(274, 237, "mbind") \
	X(275, 239, "get_mempolicy") \
	X(276, 238, "set_mempolicy") \
	X(277, 240, "mq_open") \
	X(278, 241, "mq_unlink") \
	X(279, 242, "mq_timedsend") \
	X(280, 243, "mq_timedreceive") \
	X(281, 244, "mq_notify") \
	X(282, 245, "mq_getsetattr") \
	X(283, 246, "kexec_load") \
	X(284, 247, "waitid") \
	X(286, 248, "add_key") \
	X(287, 249, "request_key") \
	X(288, 250, "keyctl") \
	X(289, 251, "ioprio_set") \
	X(290, 252, "ioprio_get") \
	X(291, 253, "inotify_init") \
	X(292, 254, "inotify_add_watch") \
	X(293, 255, "inotify_rm_watch") \
	X(294, 256, "migrate_pages") \
	X(295, 257, "openat") \
	X(296, 258, "mkdirat") \
	X(297, 259, "mknodat") \
	X(298, 260, "fchownat") \
	X(299, 261, "futimesat") \
	X(300, 262, "fstatat64") \
	X(301, 263, "unlinkat") \
	X(302, 264, "renameat") \
	X(303, 265, "linkat") \
	X(304, 266, "symlinkat") \
	X(305, 267, "readlinkat") \
	X(306, 268, "fchmodat") \
	X(307, 269, "faccessat") \
	X(308, 270, "pselect6") \
	X(309, 271, "ppoll") \
	X(310, 272, "unshare") \
	X(311, 273, "set_robust_list") \
	X(312, 274, "get_robust_list") \
	X(313, 275, "splice") \
	X(314, 277, "sync_file_range") \
	X(315, 276, "tee") \
	X(316, 278, "vmsplice") \
	X(317, 279, "move_pages") \
	X(318, 309, "getcpu") \
	X(319, 281, "epoll_pwait") \
	X(320, 280, "utimensat") \
	X(321, 282, "signalfd") \
	X(322, 283, "timerfd_create") \
	X(323, 284, "eventfd") \
	X(324, 285, "fallocate") \
	X(325, 286, "timerfd_settime") \
	X(326, 287, "timerfd_gettime") \
	X(327, 289, "signalfd4") \
	X(328, 290, "eventfd2") \
	X(329, 291, "epoll_create1") \
	X(330, 292, "dup3") \
	X(331, 293, "pipe2") \
	X(332, 294, "inotify_init1") \
	X(333, 295, "preadv") \
	X(334, 296, "pwritev") \
	X(335, 297, "rt_tgsigqueueinfo") \
	X(336, 298, "perf_event_open") \
	X(337, 299, "recvmmsg") \
	X(338, 300, "fanotify_init") \
	X(339, 301, "fanotify_mark") \
	X(340, 302, "prlimit64") \
	X(341, 303, "name_to_handle_at") \
	X(342, 304, "open_by_handle_at") \
	X(343, 305, "clock_adjtime") \
	X(344, 306, "syncfs") \
	X(345, 307, "sendmmsg") \
	X(346, 308, "setns") \
	X(347, 310, "process_vm_readv") \
	X(348, 311, "process_vm_writev") \
	X(349, 312, "kcmp") \
	X(350, 313, "finit_module") \
	X(351, 314, "sched_setattr") \
	X(352, 315, "sched_getattr") \
	X(353, 316, "renameat2") \
	X(354, 317, "seccomp") \
	X(355, 318, "getrandom") \
	X(356, 319, "memfd_create") \
	X(357, 321, "bpf") \
	X(358, 322, "execveat") \
	X(359, 41, "socket") \
	X(360, 53, "socketpair") \
	X(361, 49, "bind") \
	X(362, 42, "connect") \
	X(363, 50, "listen") \
	X(364, 288, "accept4") \
	X(365, 55, "getsockopt") \
	X(366, 54, "setsockopt") \
	X(367, 51, "getsockname") \
	X(368, 52, "getpeername") \
	X(369, 44, "sendto") \
	X(370, 46, "sendmsg") \
	X(371, 45, "recvfrom") \
	X(372, 47, "recvmsg") \
	X(373, 48, "shutdown") \
	X(374, 323, "userfaultfd") \
	X(375, 324, "membarrier") \
	X(376, 325, "mlock2") \
	X(377, 326, "copy_file_range") \
	X(378, 327, "preadv2") \
	X(379, 328, "pwritev2") \
	X(380, 329, "pkey_mprotect") \
	X(381, 330, "pkey_alloc") \
	X(382, 331, "pkey_free") \
	X(383, 332, "statx") \
	X(384, 158, "arch_prctl") \
	X(385, 333, "io_pgetevents") \
	X(386, 334, "rseq") \
	X(393, 64, "semget") \
	X(394, 66, "semctl") \
	X(395, 29, "shmget") \
	X(396, 31, "shmctl") \
	X(397, 30, "shmat") \
	X(398, 67, "shmdt") \
	X(399, 68, "msgget") \
	X(400, 69, "msgsnd") \
	X(401, 70, "msgrcv") \
	X(402, 71, "msgctl") \
	X(403, 228, "clock_gettime64") \
	X(404, 227, "clock_settime64") \
	X(405, 305, "clock_adjtime64") \
	X(406, 229, "clock_getres_time64") \
	X(407, 230, "clock_nanosleep_time64") \
	X(408, 224, "timer_gettime64") \
	X(409, 223, "timer_settime64") \
	X(410, 287, "timerfd_gettime64") \
	X(411, 286, "timerfd_settime64") \
	X(412, 280, "utimensat_time64") \
	X(413, 270, "pselect6_time64") \
	X(414, 271, "ppoll_time64") \
	X(416, 333, "io_pgetevents_time64") \
	X(417, 299, "recvmmsg_time64") \
	X(418, 242, "mq_timedsend_time64") \
	X(419, 243, "mq_timedreceive_time64") \
	X(420, 220, "semtimedop_time64") \
	X(421, 128, "rt_sigtimedwait_time64") \
	X(422, 202, "futex_time64") \
	X(423, 148, "sched_rr_get_interval_time64") \
	X(424, 424, "pidfd_send_signal") \
	X(425, 425, "io_uring_setup") \
	X(426, 426, "io_uring_enter") \
	X(427, 427, "io_uring_register") \
	X(428, 428, "open_tree") \
	X(429, 429, "move_mount") \
	X(430, 430, "fsopen") \
	X(431, 431, "fsconfig") \
	X(432, 432, "fsmount") \
	X(433, 433, "fspick") \
	X(434, 434, "pidfd_open") \
	X(435, 435, "clone3") \
	X(436, 436, "close_range") \
	X(437, 437, "openat2") \
	X(438, 438, "pidfd_getfd") \
	X(439, 439, "faccessat2") \
	X(440, 440, "process_madvise") \
	X(441, 441, "epoll_pwait2") \
	X(442, 442, "mount_setattr") \
	X(443, 443, "quotactl_fd") \
	X(444, 444, "landlock_create_ruleset") \
	X(445, 445, "landlock_add_rule") \
	X(446, 446, "landlock_restrict_self") \
	X(447, 447, "memfd_secret") \
	X(448, 448, "process_mrelease") \
	X(449, 449, "futex_waitv") \
	X(450, 450, "set_mempolicy_home_node") \
	X(451, 451, "cachestat") \
	X(452, 452, "fchmodat2") \
	X(454, 454, "futex_wake") \
	X(455, 455, "futex_wait") \
	X(456, 456, "futex_requeue") \
	X(457, 457, "statmount") \
	X(458, 458, "listmount") \
	X(459, 459, "lsm_get_self_attr") \
	X(460, 460, "lsm_set_self_attr") \
	X(461, 461, "lsm_list_modules") \
	X(462, 462, "mseal") \
	X(463, 463, "setxattrat") \
	X(464, 464, "getxattrat") \
	X(465, 465, "listxattrat") \
	X(466, 466, "removexattrat") \
	X(467, 467, "open_tree_attr") \
	X(468, 468, "file_getattr") \
	X(469, 469, "file_setattr") \
	X(500, 43, "accept") \
	X(501, 44, "send") \
	X(502, 45, "recv") \
	X(503, 65, "semop") \
	X(504, 220, "semtimedop")
/* clang-format on */

#endif
