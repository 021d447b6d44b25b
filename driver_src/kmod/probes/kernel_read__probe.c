// SPDX-License-Identifier: GPL-2.0-only OR MIT
/* probe_kernel_read: until 5.7. */
#include <linux/uaccess.h>

long kd_probe(void *to, const void *from);
long kd_probe(void *to, const void *from)
{
	long (*copy)(void *, const void *, size_t) = probe_kernel_read;

	return copy(to, from, 8);
}
