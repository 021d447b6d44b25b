// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Load and unload, module parameters, device nodes: process context.
 */
#include "kd_module.h"
#include "compat/kd_class.h"

#include <linux/init.h>
#include <linux/err.h>
#include <linux/log2.h>
#include <linux/moduleparam.h>

MODULE_LICENSE("Dual MIT/GPL");
MODULE_DESCRIPTION("Events of system calls, processes and connections for agents in user space");
MODULE_AUTHOR("the kdriver authors");
MODULE_VERSION(KD_DRIVER_VERSION);
MODULE_INFO(kd_version, KD_DRIVER_VERSION);
MODULE_INFO(kd_api, KD_API_VERSION);
MODULE_INFO(kd_schema, KD_SCHEMA_VERSION);
/* What libscap's consumers look for. */
MODULE_INFO(api_version, KD_COMPAT_API_VERSION);
MODULE_INFO(schema_version, KD_COMPAT_SCHEMA_VERSION);

DEFINE_MUTEX(kd_mutex);

unsigned long kd_buffer_bytes = 8UL << 20;
unsigned int kd_max_consumers = 5;
bool kd_verbose;

/* A ring is at least four pages and at most 1 GiB, so that offsets fit in 32 bits twice over. */
static int kd_buffer_bytes_set(const char *text, const struct kernel_param *param)
{
	unsigned long value;
	int error = kstrtoul(text, 0, &value);

	if (error)
		return error;
	if (!is_power_of_2(value) || value < 4 * PAGE_SIZE || value > (1UL << 30))
		return -EINVAL;
	return param_set_ulong(text, param);
}

static const struct kernel_param_ops kd_buffer_bytes_ops = {
	.set = kd_buffer_bytes_set,
	.get = param_get_ulong,
};

module_param_cb(g_buffer_bytes_dim, &kd_buffer_bytes_ops, &kd_buffer_bytes, 0644);
MODULE_PARM_DESC(g_buffer_bytes_dim, "size in bytes of each ring of the next consumer: a power of two");
module_param_named(max_consumers, kd_max_consumers, uint, 0644);
MODULE_PARM_DESC(max_consumers, "how many threads may read events at a time (at most 16)");
module_param_named(verbose, kd_verbose, bool, 0644);
MODULE_PARM_DESC(verbose, "log consumers as they come and go");

static dev_t kd_first_device;
static struct cdev kd_cdev;
static struct class *kd_class;

static char *kd_devnode(KD_DEVNODE_DEVICE *device, umode_t *mode)
{
	if (mode)
		*mode = 0400;
	return NULL;
}

static void kd_nodes_destroy(void)
{
	unsigned int cpu;

	for_each_possible_cpu (cpu)
		device_destroy(kd_class, kd_first_device + cpu);
	class_destroy(kd_class);
}

static int __init kd_nodes_create(void)
{
	struct device *device;
	unsigned int cpu;

	kd_class = kd_class_create(KBUILD_MODNAME);
	if (IS_ERR(kd_class))
		return PTR_ERR(kd_class);
	kd_class->devnode = kd_devnode;
	for_each_possible_cpu (cpu) {
		device = device_create(kd_class, NULL, kd_first_device + cpu, NULL, KBUILD_MODNAME "%u", cpu);
		if (IS_ERR(device)) {
			kd_nodes_destroy();
			return PTR_ERR(device);
		}
	}
	return 0;
}

static int __init kd_load(void)
{
	int error;

	kd_calls_init();
	error = alloc_chrdev_region(&kd_first_device, 0, nr_cpu_ids, KBUILD_MODNAME);
	if (error)
		return error;
	cdev_init(&kd_cdev, &kd_file_operations);
	kd_cdev.owner = THIS_MODULE;
	error = cdev_add(&kd_cdev, kd_first_device, nr_cpu_ids);
	if (error)
		goto no_cdev;
	error = kd_nodes_create();
	if (error)
		goto no_nodes;
	kd_info("version " KD_DRIVER_VERSION " loaded\n");
	return 0;

no_nodes:
	cdev_del(&kd_cdev);
no_cdev:
	unregister_chrdev_region(kd_first_device, nr_cpu_ids);
	return error;
}

/* Every open device holds the module: no consumer and no hook is left here. */
static void __exit kd_unload(void)
{
	kd_nodes_destroy();
	cdev_del(&kd_cdev);
	unregister_chrdev_region(kd_first_device, nr_cpu_ids);
	kd_wait_for_hooks();
	kd_entry_stop();
}

module_init(kd_load);
module_exit(kd_unload);
