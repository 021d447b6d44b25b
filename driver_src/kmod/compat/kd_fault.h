/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Whether the kernel handles the page faults of the current task now: in the tracepoint of such a fault.
 *
 * Since 4.1 (8bcbde5480f9) the task counts pagefault_disable(); before, it was counted with what keeps preemption off. A tracepoint's probe
 * runs with preemption off, which is counted only where the kernel preempts itself.
 */
#ifndef KD_COMPAT_FAULT_H
#define KD_COMPAT_FAULT_H

#include <linux/hardirq.h>
#include <linux/sched.h>

#if defined(KD_TASK_PAGEFAULT__PRESENT)
#define kd_faults_off() (current->pagefault_disabled != 0)
#else
#define kd_faults_off() ((preempt_count() & PREEMPT_MASK) > IS_ENABLED(CONFIG_PREEMPT_COUNT))
#endif

#endif
