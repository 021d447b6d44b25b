// SPDX-License-Identifier: GPL-2.0-only OR MIT
/* struct class: devnode takes a device that is not const: 3.3 to 6.1. A wrong type is an error here, not a warning. */
#include <linux/bug.h>
#include <linux/device.h>

typedef char *(*kd_probe_devnode)(struct device *, umode_t *);

int kd_probe(void);
int kd_probe(void)
{
	BUILD_BUG_ON(!__builtin_types_compatible_p(typeof(((struct class *)0)->devnode), kd_probe_devnode));
	return 0;
}
