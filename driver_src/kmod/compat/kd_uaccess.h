/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Copies from user memory that neither sleep nor fault pages in: any context with a user address space.
 *
 * access_ok lost its type argument in 5.0 (96d4f267e40f); RHEL 8.1 (4.18.0-147) has it too. raw_copy_from_user came in
 * 4.12 (d597580d3737); before it __copy_from_user_inatomic does the same. The raw copy is taken where it exists since
 * the other one checks the destination under CONFIG_HARDENED_USERCOPY (4.8), which takes a lock to look up a vmap area.
 * probe_kernel_read was renamed copy_from_kernel_nofault in 5.8 (fe557319aa06); RHEL 8.4 (4.18.0-305) has the new name.
 */
#ifndef KD_COMPAT_UACCESS_H
#define KD_COMPAT_UACCESS_H

#include <linux/uaccess.h>

#if defined(KD_ACCESS_OK__ADDRESS_SIZE)
#define kd_access_ok(p, len) access_ok((p), (len))
#elif defined(KD_ACCESS_OK__TYPE_ADDRESS_SIZE)
#define kd_access_ok(p, len) access_ok(VERIFY_READ, (p), (len))
#endif

#if defined(KD_RAW_COPY__FROM_USER)
#define kd_raw_copy_from_user(to, from, len) raw_copy_from_user((to), (from), (len))
#else
#define kd_raw_copy_from_user(to, from, len) __copy_from_user_inatomic((to), (from), (len))
#endif

#if defined(KD_KERNEL_READ__NOFAULT)
#define kd_copy_from_kernel(to, from, len) copy_from_kernel_nofault((to), (from), (len))
#elif defined(KD_KERNEL_READ__PROBE)
#define kd_copy_from_kernel(to, from, len) probe_kernel_read((to), (from), (len))
#endif

/* 0, or -EFAULT where any of the bytes cannot be read now. The caller's destination may be partly written. */
static __always_inline int kd_copy_from_user(void *to, const void __user *from, unsigned long len)
{
	unsigned long left;

	if (unlikely(!kd_access_ok(from, len)))
		return -EFAULT;
	pagefault_disable();
	left = kd_raw_copy_from_user(to, from, len);
	pagefault_enable();
	return unlikely(left) ? -EFAULT : 0;
}

#endif
