// SPDX-License-Identifier: GPL-2.0-only OR MIT
/* in_ia32_syscall: since 4.6. It is a function or a macro: the declaration makes an implicit one an error. */
#include <linux/compat.h>
#include <linux/sched.h>
#include <linux/thread_info.h>
#include <asm/syscall.h>

#ifndef in_ia32_syscall
static bool (*kd_probe_function)(void) __attribute__((unused)) = in_ia32_syscall;
#endif
