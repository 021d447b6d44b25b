// SPDX-License-Identifier: GPL-2.0-only OR MIT
/* struct class: devnode takes a device that is not const: 3.3 to 6.1. Another type makes the array one of -1 characters. */
#include <linux/device.h>

typedef char kd_probe[__builtin_types_compatible_p(typeof(((struct class *)0)->devnode),
						   char *(*)(struct device *, umode_t *))
			      ? 1
			      : -1];
