/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The device class and the mode of its nodes: process context, at load.
 *
 * class_create lost its owner argument in 6.4 (1aaba11da9aa); RHEL 9.4 (5.14.0-427) has it too. The devnode callback
 * takes a const device since 6.2 (ff62b8e6588f); RHEL 9.3 (5.14.0-362) has it too.
 */
#ifndef KD_COMPAT_CLASS_H
#define KD_COMPAT_CLASS_H

#include <linux/device.h>

#if defined(KD_CLASS_CREATE__NAME)
#define kd_class_create(name) class_create(name)
#elif defined(KD_CLASS_CREATE__OWNER_NAME)
#define kd_class_create(name) class_create(THIS_MODULE, name)
#endif

#if defined(KD_DEVNODE__CONST_DEVICE)
#define KD_DEVNODE_DEVICE const struct device
#elif defined(KD_DEVNODE__DEVICE)
#define KD_DEVNODE_DEVICE struct device
#endif

#endif
