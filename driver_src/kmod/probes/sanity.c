// SPDX-License-Identifier: GPL-2.0-only OR MIT
/* Compiles with every toolchain that works for these headers: a failure is the toolchain's, not an absent interface. */
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/tracepoint.h>

MODULE_LICENSE("Dual MIT/GPL");
