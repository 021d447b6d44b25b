// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * raw_copy_from_user: since 4.12. Optional. A call of an undeclared function would compile as gnu89: its address
 * does not.
 */
#include <linux/uaccess.h>

unsigned long kd_probe(void *to, const void __user *from);
unsigned long kd_probe(void *to, const void __user *from)
{
	unsigned long (*copy)(void *, const void __user *, unsigned long) = raw_copy_from_user;

	return copy(to, from, 8);
}
