/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Captures of signals and page faults. Interrupts may be off, and a lock of the task may be held. */
#ifndef KD_TRAPS_H
#define KD_TRAPS_H

/* What a hook passes that was not given the signal's siginfo. */
#define KD_NO_SIGINFO (~0ULL)

/* Places in struct siginfo, which is a part of the user interface. */
#define KD_SIGINFO_CODE 8
#define KD_SIGINFO_PID 16

#define KD_SIGCHLD 17
#define KD_SI_USER 0
#define KD_SI_QUEUE -1
#define KD_SI_MESGQ -3
#define KD_SI_TKILL -6

static KD_INLINE int kd_signal_has_source(u64 sig, s32 code)
{
	return sig == KD_SIGCHLD || code == KD_SI_USER || code == KD_SI_QUEUE || code == KD_SI_TKILL ||
	       code == KD_SI_MESGQ;
}

/* Who sent it, 0 for the kernel: it passes a siginfo, or one of the values below it that mean "no siginfo". */
static KD_INLINE int kd_cap_signal_source(struct kd_fill *c, u64 sig, u64 siginfo)
{
	s32 code, pid;

	if (siginfo < 4096)
		return kd_push_u64(c, 0);
	if (siginfo == KD_NO_SIGINFO ||
	    kd_read_kernel(&code, (const void *)(unsigned long)(siginfo + KD_SIGINFO_CODE), 4) ||
	    kd_read_kernel(&pid, (const void *)(unsigned long)(siginfo + KD_SIGINFO_PID), 4))
		return kd_push_empty(c);
	return kd_push_u64(c, kd_signal_has_source(sig, code) ? (s64)pid : 0);
}

/* X86_PF_* to the schema's bits. */
static KD_INLINE u64 kd_val_page_fault_error(struct kd_fill *c, u64 error)
{
	u64 out = error & 1 ? 1 : 2;

	(void)c;
	out |= error & 2 ? 4 : 8;
	out |= error & 4 ? 16 : 32;
	out |= error & 8 ? 64 : 0;
	out |= error & 16 ? 128 : 0;
	return out;
}

#endif
