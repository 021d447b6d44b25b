// SPDX-License-Identifier: GPL-2.0-only OR MIT
/* is_ia32_task: until 4.5. */
#include <linux/compat.h>
#include <linux/sched.h>
#include <linux/thread_info.h>
#include <asm/syscall.h>

static bool (*kd_probe_function)(void) __attribute__((unused)) = is_ia32_task;
