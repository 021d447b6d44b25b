/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Keeping the set of online CPUs as it is: process context.
 *
 * cpus_read_lock came in 4.13 (8f553c498e17); get_online_cpus, its older name, went away in 5.15 (8c854303ce0e).
 */
#ifndef KD_COMPAT_CPU_H
#define KD_COMPAT_CPU_H

#include <linux/cpu.h>

#if defined(KD_CPUS_LOCK__CPUS_READ)
#define kd_cpus_read_lock() cpus_read_lock()
#define kd_cpus_read_unlock() cpus_read_unlock()
#else
#define kd_cpus_read_lock() get_online_cpus()
#define kd_cpus_read_unlock() put_online_cpus()
#endif

#endif
