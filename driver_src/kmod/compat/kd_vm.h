/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Flags of a mapping: process context, in mmap.
 *
 * vm_flags became read-only with helpers to change it in 6.3 (bc292ab00f6c, 1c71222e5f23); stable kernels and RHEL have
 * the helpers without the restriction, and both ways work there.
 */
#ifndef KD_COMPAT_VM_H
#define KD_COMPAT_VM_H

#include <linux/mm.h>

#if defined(KD_VM_FLAGS__CLEAR)
#define kd_vm_flags_set(vma, flags) vm_flags_set((vma), (flags))
#define kd_vm_flags_clear(vma, flags) vm_flags_clear((vma), (flags))
#else
#define kd_vm_flags_set(vma, flags) ((vma)->vm_flags |= (flags))
#define kd_vm_flags_clear(vma, flags) ((vma)->vm_flags &= ~(flags))
#endif

#endif
