// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * kd-capture: the kernel module's devices, one for each possible CPU. See driver_src/common/kd_ioctl.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/ioctl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <bpf/libbpf.h>

#include "capture.h"
#include "kd_ioctl.h"

struct device {
	int fd; /* -1: the CPU is offline */
	struct kd_ring_info *info;
	const unsigned char *bytes; /* of the ring, twice in a row */
};

struct kmod_driver {
	struct kd_driver base;
	char name[64];
	char version[33];
	struct device *devices;
	int any; /* fd of one device: settings belong to the consumer, not to the CPU */
};

static __u64 kmod_now(struct kd_driver *base)
{
	struct timespec now;

	(void)base;
	clock_gettime(CLOCK_REALTIME, &now);
	return (__u64)now.tv_sec * 1000000000ULL + (__u64)now.tv_nsec;
}

static int kmod_select(struct kd_driver *base, unsigned int slot, bool on)
{
	struct kmod_driver *driver = (struct kmod_driver *)base;
	int error;

	if (ioctl(driver->any, on ? KD_IOC_SELECT : KD_IOC_DESELECT, (unsigned long)kd_event(slot)->id) == 0)
		return 0;
	error = errno;
	if (error == EOPNOTSUPP)
		snprintf(base->reason, sizeof(base->reason), "not available: this kernel has no hook for it");
	else if (error == ENOENT)
		snprintf(base->reason, sizeof(base->reason), "not available: the module does not know it");
	else
		snprintf(base->reason, sizeof(base->reason), "the module refuses it: %s", strerror(error));
	return -error;
}

/* By the controls of libscap: a call that has no typed event is its generic event there. */
static int kmod_select_call(struct kd_driver *base, unsigned int number, bool on)
{
	struct kmod_driver *driver = (struct kmod_driver *)base;
	int error;

	if (ioctl(driver->any, KD_SCAP_ENABLE_TP, (unsigned long)KD_SCAP_TP_SYS_EXIT) == 0 &&
	    ioctl(driver->any, on ? KD_SCAP_ENABLE_SYSCALL : KD_SCAP_DISABLE_SYSCALL, (unsigned long)number) == 0)
		return 0;
	error = errno;
	snprintf(base->reason, sizeof(base->reason), "the module refuses it: %s", strerror(error));
	return -error;
}

static int kmod_set_snaplen(struct kd_driver *base, __u32 snaplen)
{
	struct kmod_driver *driver = (struct kmod_driver *)base;

	return ioctl(driver->any, KD_SCAP_SET_SNAPLEN, (unsigned long)snaplen) == 0 ? 0 : -errno;
}

static int kmod_set_dynamic(struct kd_driver *base, bool on, const struct kd_ports *ports)
{
	int any = ((struct kmod_driver *)base)->any;
	unsigned long range = (unsigned long)ports->full_last << 16 | ports->full_first;

	if (ioctl(any, KD_SCAP_SET_FULLCAPTURE_PORT_RANGE, range) != 0 ||
	    ioctl(any, KD_SCAP_SET_STATSD_PORT, (unsigned long)ports->statsd) != 0 ||
	    ioctl(any, on ? KD_SCAP_ENABLE_DYNAMIC_SNAPLEN : KD_SCAP_DISABLE_DYNAMIC_SNAPLEN, 0UL) != 0)
		return -errno;
	return 0;
}

/* The length in a block's header is checked here as well: it says where the next block starts. */
static int drain_device(struct kmod_driver *driver, struct kd_merge *merge, unsigned int cpu)
{
	struct device *device = &driver->devices[cpu];
	__u32 size = (__u32)driver->base.buffer_bytes, head, tail, used;
	int status = 0;

	head = __atomic_load_n(&device->info->head, __ATOMIC_ACQUIRE) & (size - 1);
	tail = device->info->tail & (size - 1);
	used = (head - tail) & (size - 1);
	while (used > 0 && status == 0) {
		__u32 length = kd_block_size(device->bytes + tail, used);

		if (length < sizeof(struct kd_block_header) || length > used)
			length = used; /* reported as malformed, and the ring starts afresh */
		status = kd_merge_add(merge, cpu, device->bytes + tail, length);
		tail = (tail + length) & (size - 1);
		used -= length;
	}
	__atomic_store_n(&device->info->tail, tail, __ATOMIC_RELEASE);
	return status;
}

static int kmod_drain(struct kd_driver *base, struct kd_merge *merge)
{
	struct kmod_driver *driver = (struct kmod_driver *)base;
	unsigned int cpu;
	int status = 0;

	for (cpu = 0; cpu < base->cpus && status == 0; cpu++)
		if (driver->devices[cpu].fd >= 0)
			status = drain_device(driver, merge, cpu);
	return status;
}

static int kmod_stats(struct kd_driver *base, struct kd_counts *counts)
{
	struct kmod_driver *driver = (struct kmod_driver *)base;
	struct kd_stats stats;

	if (ioctl(driver->any, KD_IOC_STATS, &stats) != 0)
		return -errno;
	counts->events = stats.events;
	counts->drops_buffer = stats.drops_buffer;
	counts->drops_scratch = stats.drops_offline;
	counts->missed_runs = stats.drops_nested;
	counts->unreadable = stats.unreadable;
	return 0;
}

static void kmod_stop(struct kd_driver *base)
{
	unsigned int slot;

	for (slot = 0; slot < KD_SLOTS; slot++)
		if (!base->unavailable[slot])
			kmod_select(base, slot, false);
	ioctl(((struct kmod_driver *)base)->any, KD_SCAP_DISABLE_TP, (unsigned long)KD_SCAP_TP_SYS_EXIT);
}

static void kmod_close(struct kd_driver *base)
{
	struct kmod_driver *driver = (struct kmod_driver *)base;
	unsigned int cpu;

	for (cpu = 0; driver->devices && cpu < base->cpus; cpu++)
		if (driver->devices[cpu].fd >= 0)
			close(driver->devices[cpu].fd);
	free(driver->devices);
	free(driver);
}

static const struct kd_driver_ops kmod_ops = {
	.now = kmod_now,
	.select = kmod_select,
	.select_call = kmod_select_call,
	.set_snaplen = kmod_set_snaplen,
	.set_dynamic = kmod_set_dynamic,
	.drain = kmod_drain,
	.stats = kmod_stats,
	.stop = kmod_stop,
	.close = kmod_close,
};

static int open_failed(const struct kmod_driver *driver, const char *path, int error)
{
	if (error == ENOENT)
		return kd_fail(KD_EXIT_NOT_FOUND, "Load the module first: kdriver load, or insmod.",
			       "%s: no such device; the module %s is not loaded", path, driver->name);
	if (error == EACCES || error == EPERM)
		return kd_fail(KD_EXIT_LOAD, "Run as root.", "%s: %s", path, strerror(error));
	if (error == EBUSY)
		return kd_fail(KD_EXIT_LOAD, "Stop another consumer, or raise the module parameter max_consumers.",
			       "%s: the module has as many consumers as it takes", path);
	return kd_fail(KD_EXIT_LOAD, NULL, "%s: %s", path, strerror(error));
}

/* The size of the rings is the module's parameter at the time of the first open. */
static void ask_for_bytes(const struct kmod_driver *driver, size_t bytes)
{
	size_t size = (size_t)sysconf(_SC_PAGESIZE);
	char path[160];
	int fd;

	while (size < bytes)
		size *= 2;
	snprintf(path, sizeof(path), "/sys/module/%s/parameters/g_buffer_bytes_dim", driver->name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || dprintf(fd, "%zu", size) < 0)
		fprintf(stderr, "kd-capture: %s: %s; the rings keep the module's size\n", path, strerror(errno));
	if (fd >= 0)
		close(fd);
}

static int open_devices(struct kmod_driver *driver)
{
	char path[96];
	unsigned int cpu;

	for (cpu = 0; cpu < driver->base.cpus; cpu++)
		driver->devices[cpu].fd = -1;
	for (cpu = 0; cpu < driver->base.cpus; cpu++) {
		snprintf(path, sizeof(path), "/dev/%s%u", driver->name, cpu);
		driver->devices[cpu].fd = open(path, O_RDWR | O_CLOEXEC);
		if (driver->devices[cpu].fd >= 0)
			driver->any = driver->devices[cpu].fd;
		else if (errno != ENODEV)
			return open_failed(driver, path, errno);
	}
	if (driver->any >= 0)
		return -1;
	return kd_fail(KD_EXIT_LOAD, NULL, "/dev/%s*: no CPU is online, says the module", driver->name);
}

static int map_device(struct device *device, size_t bytes)
{
	void *ring;

	device->info = mmap(NULL, (size_t)sysconf(_SC_PAGESIZE), PROT_READ | PROT_WRITE, MAP_SHARED, device->fd, 0);
	if (device->info == MAP_FAILED)
		return -errno;
	ring = mmap(NULL, 2 * bytes, PROT_READ, MAP_SHARED, device->fd, 0);
	if (ring == MAP_FAILED)
		return -errno;
	device->bytes = ring;
	return 0;
}

/* An interface of another major version would be misread; a table of events of another one too. */
static int check_version(struct kmod_driver *driver)
{
	struct kd_version version;

	if (ioctl(driver->any, KD_IOC_VERSION, &version) != 0)
		return kd_fail(KD_EXIT_LOAD, NULL, "/dev/%s*: not a device of kdriver: %s", driver->name,
			       strerror(errno));
	if (version.api >> 44 != KD_API_VERSION_PACKED >> 44 || version.schema >> 44 != KD_SCHEMA_VERSION_PACKED >> 44)
		return kd_fail(KD_EXIT_LOAD, "Use the kd-capture that came with the module.",
			       "%s: the module speaks api %llu and schema %llu, this program %s and %s", driver->name,
			       (unsigned long long)(version.api >> 44), (unsigned long long)(version.schema >> 44),
			       KD_API_VERSION, KD_SCHEMA_VERSION);
	snprintf(driver->version, sizeof(driver->version), "%.32s", version.driver);
	driver->base.version = driver->version;
	driver->base.buffer_bytes = version.ring_bytes;
	return -1;
}

static int set_up(struct kmod_driver *driver, const struct kd_options *options)
{
	unsigned int cpu;
	int status = 0;

	for (cpu = 0; cpu < driver->base.cpus && status == 0; cpu++)
		if (driver->devices[cpu].fd >= 0)
			status = map_device(&driver->devices[cpu], driver->base.buffer_bytes);
	if (status == 0)
		status = kmod_set_snaplen(&driver->base, options->snaplen);
	if (status == 0)
		status = kmod_set_dynamic(&driver->base, options->dynamic_snaplen, &options->ports);
	if (status == 0 && ioctl(driver->any, KD_IOC_NATIVE, 1UL) != 0)
		status = -errno;
	if (status == 0 && options->enter_time && ioctl(driver->any, KD_IOC_ENTER_TIME, 1UL) != 0)
		status = -errno;
	if (status == 0)
		return -1;
	return kd_fail(KD_EXIT_LOAD, NULL, "/dev/%s*: cannot be set up: %s", driver->name, strerror(-status));
}

int kd_kmod_open(const struct kd_options *options, struct kd_driver **result)
{
	struct kmod_driver *driver = calloc(1, sizeof(*driver));
	const char *name = strchr(options->driver, ':');
	int status;

	if (!driver)
		return kd_fail(KD_EXIT_LOAD, NULL, "no memory");
	snprintf(driver->name, sizeof(driver->name), "%s", name && name[1] ? name + 1 : KD_DRIVER_NAME);
	driver->any = -1;
	driver->base.ops = &kmod_ops;
	driver->base.kind = "kmod";
	driver->base.buffer = "mmap";
	driver->base.cpus = (unsigned int)libbpf_num_possible_cpus();
	driver->base.enter_time = options->enter_time;
	driver->devices = calloc(driver->base.cpus, sizeof(*driver->devices));
	*result = &driver->base;
	if (!driver->devices)
		return kd_fail(KD_EXIT_LOAD, NULL, "no memory");
	if (options->buffer_bytes)
		ask_for_bytes(driver, options->buffer_bytes);
	status = open_devices(driver);
	if (status < 0)
		status = check_version(driver);
	if (status < 0)
		status = set_up(driver, options);
	return status < 0 ? KD_EXIT_DONE : status;
}
