// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Opening, mapping and closing the devices: process context.
 */
#include "kd_module.h"
#include "compat/kd_vm.h"

#include <linux/err.h>
#include <linux/sched.h>
#include <linux/slab.h>

static int kd_open_ring(struct kd_consumer *consumer, unsigned int cpu)
{
	struct kd_ring *ring = per_cpu_ptr(consumer->rings, cpu);

	if (!ring->bytes)
		return -ENODEV;
	if (ring->open)
		return -EBUSY;
	/* The hooks may still be in it since it was closed. */
	if (ring->was_open)
		kd_wait_for_hooks();
	kd_ring_reset(ring);
	ring->was_open = 1;
	kd_store_release(&ring->open, 1);
	consumer->opened++;
	return 0;
}

static int kd_open_locked(struct kd_handle *handle)
{
	struct pid *thread = task_pid(current);
	struct kd_consumer *consumer = kd_consumer_find(thread);
	int error;

	if (!consumer)
		consumer = kd_consumer_create(thread);
	if (IS_ERR(consumer))
		return PTR_ERR(consumer);
	error = kd_open_ring(consumer, handle->cpu);
	if (error && !consumer->opened)
		kd_consumer_destroy(consumer);
	handle->consumer = consumer;
	return error;
}

static int kd_open(struct inode *inode, struct file *file)
{
	struct kd_handle *handle;
	int error;

	handle = kzalloc(sizeof(*handle), GFP_KERNEL);
	if (!handle)
		return -ENOMEM;
	handle->cpu = iminor(inode);
	mutex_lock(&kd_mutex);
	error = kd_open_locked(handle);
	mutex_unlock(&kd_mutex);
	if (error) {
		kfree(handle);
		return error;
	}
	file->private_data = handle;
	kd_info("device %u opened by consumer %u\n", handle->cpu, handle->consumer->index);
	return 0;
}

static int kd_release(struct inode *inode, struct file *file)
{
	struct kd_handle *handle = file->private_data;
	struct kd_consumer *consumer = handle->consumer;

	kd_info("device %u closed by consumer %u\n", handle->cpu, consumer->index);
	mutex_lock(&kd_mutex);
	WRITE_ONCE(per_cpu_ptr(consumer->rings, handle->cpu)->open, 0);
	if (!--consumer->opened)
		kd_consumer_destroy(consumer);
	mutex_unlock(&kd_mutex);
	kfree(handle);
	return 0;
}

static int kd_map_pages(struct vm_area_struct *vma, const struct kd_ring *ring)
{
	unsigned long count = 2 * (ring->size / PAGE_SIZE);
	unsigned long i;
	int error = 0;

	for (i = 0; i < count && !error; i++)
		error = vm_insert_page(vma, vma->vm_start + i * PAGE_SIZE, ring->pages[i]);
	return error;
}

/* The length says what is meant, as libscap does it: up to a page, the ring's info; twice the ring, its bytes. */
static int kd_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct kd_handle *handle = file->private_data;
	struct kd_ring *ring = per_cpu_ptr(handle->consumer->rings, handle->cpu);
	unsigned long len = vma->vm_end - vma->vm_start;

	if (vma->vm_pgoff || !(vma->vm_flags & VM_SHARED))
		return -EINVAL;
	kd_vm_flags_set(vma, VM_DONTEXPAND | VM_DONTDUMP);
	if (len <= PAGE_SIZE)
		return vm_insert_page(vma, vma->vm_start, virt_to_page(ring->info));
	if (len != 2UL * ring->size)
		return -EINVAL;
	if (vma->vm_flags & VM_WRITE)
		return -EPERM;
	kd_vm_flags_clear(vma, VM_MAYWRITE);
	return kd_map_pages(vma, ring);
}

const struct file_operations kd_file_operations = {
	.owner = THIS_MODULE,
	.open = kd_open,
	.release = kd_release,
	.mmap = kd_mmap,
	.unlocked_ioctl = kd_control,
};
