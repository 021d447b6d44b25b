// SPDX-License-Identifier: GPL-2.0-only OR MIT
/* class_create(owner, name): until 6.3. */
#include <linux/device.h>
#include <linux/module.h>

struct class *kd_probe(void);
struct class *kd_probe(void)
{
	return class_create(THIS_MODULE, "kdriver");
}
