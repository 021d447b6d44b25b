/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The system call that the current task is in, as its saved registers tell: at the entry and the exit of a call.
 *
 * Registers of x86_64 are read here directly: syscall_get_arguments changed its arguments in 5.1 (b35f549df1d7), their
 * meaning here never did. in_ia32_syscall came in 4.6 (abfb9498ee13); before it is_ia32_task (RHEL 7 has only that).
 * Both read the thread's status flag TS_COMPAT, which is set for int $0x80 of a 64-bit task as well.
 */
#ifndef KD_COMPAT_CALL_H
#define KD_COMPAT_CALL_H

#include <linux/ptrace.h>
#include <linux/sched.h>
#include <linux/compat.h>
#include <asm/syscall.h>

#ifndef CONFIG_X86_64
#error "kdriver's module knows the registers of x86_64 only"
#endif

#if defined(KD_COMPAT_CALL__IN_IA32_SYSCALL)
#define kd_status_compat() in_ia32_syscall()
#elif defined(KD_COMPAT_CALL__IS_IA32_TASK)
#define kd_status_compat() is_ia32_task()
#endif

#if !defined(CONFIG_IA32_EMULATION)
#define kd_in_compat_call() 0
#elif defined(KD_EXEC_NUMBER__SET)
#define kd_in_compat_call() kd_status_compat()
#else
#include "kd_arch_x86.h"

/*
 * Before 4.12 an execveat of x86_64 that began a 32-bit image leaves with that flag, but by its own number, with 0 and all
 * registers 0. What has the number in i386 calls is timerfd_create, taken for it only when it gives out descriptor 0 and
 * the registers that are no arguments of it are 0 as well.
 */
static __always_inline bool kd_left_execveat(const struct pt_regs *regs)
{
	return (int)regs->orig_ax == KD_NR_EXECVEAT && !regs->ax &&
	       !(regs->bx | regs->cx | regs->dx | regs->si | regs->di | regs->bp);
}
#define kd_in_compat_call() (kd_status_compat() && !kd_left_execveat(task_pt_regs(current)))
#endif

/* -1 where the task is in no call (after rt_sigreturn, for one). */
static __always_inline long kd_regs_call(const struct pt_regs *regs)
{
	return (int)regs->orig_ax;
}

static __always_inline unsigned long kd_regs_arg(const struct pt_regs *regs, unsigned int n)
{
	switch (n) {
	case 0:
		return regs->di;
	case 1:
		return regs->si;
	case 2:
		return regs->dx;
	case 3:
		return regs->r10;
	case 4:
		return regs->r8;
	default:
		return regs->r9;
	}
}

/* The same for a call of i386: 32 bits of each register, the upper ones are zero. */
static __always_inline unsigned long kd_regs_compat_arg(const struct pt_regs *regs, unsigned int n)
{
	switch (n) {
	case 0:
		return (unsigned int)regs->bx;
	case 1:
		return (unsigned int)regs->cx;
	case 2:
		return (unsigned int)regs->dx;
	case 3:
		return (unsigned int)regs->si;
	case 4:
		return (unsigned int)regs->di;
	default:
		return (unsigned int)regs->bp;
	}
}

/* First argument of a function that a kprobe stands on. */
static __always_inline unsigned long kd_regs_function_arg0(const struct pt_regs *regs)
{
	return regs->di;
}

#endif
