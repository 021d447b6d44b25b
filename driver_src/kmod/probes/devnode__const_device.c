// SPDX-License-Identifier: GPL-2.0-only OR MIT
/* struct class: devnode takes a const device: since 6.2; RHEL 9.3. A wrong type is an error here, not a warning. */
#include <linux/bug.h>
#include <linux/device.h>

typedef char *(*kd_probe_devnode)(const struct device *, umode_t *);

int kd_probe(void);
int kd_probe(void)
{
	BUILD_BUG_ON(!__builtin_types_compatible_p(typeof(((struct class *)0)->devnode), kd_probe_devnode));
	return 0;
}
