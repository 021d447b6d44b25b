// SPDX-License-Identifier: GPL-2.0-only OR MIT
/* Opening, reading and controlling the devices as their interface says (driver_src/common/kd_ioctl.h). */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "guest.h"

static struct device {
	int file;
	struct kd_ring_info *info;
	const unsigned char *data;
} all[MAX_CPUS];
static unsigned int n_devices;
static unsigned int bytes;

static int open_one(struct device *d, int cpu)
{
	char path[64];

	snprintf(path, sizeof(path), "/dev/" MODULE "%d", cpu);
	d->file = open(path, O_RDWR | O_CLOEXEC);
	if (d->file < 0)
		return -errno;
	d->data = mmap(NULL, 2 * bytes, PROT_READ, MAP_SHARED, d->file, 0);
	d->info = mmap(NULL, sizeof(*d->info), PROT_READ | PROT_WRITE, MAP_SHARED, d->file, 0);
	return d->data == MAP_FAILED || (void *)d->info == MAP_FAILED ? -errno : 0;
}

int devices_open(void)
{
	FILE *file = fopen(PARAMETERS "g_buffer_bytes_dim", "r");
	int status = 0;

	if (!file || fscanf(file, "%u", &bytes) != 1)
		return -ENOENT;
	fclose(file);
	for (n_devices = 0; !status && n_devices < sysconf(_SC_NPROCESSORS_CONF); n_devices += !status)
		status = open_one(&all[n_devices], n_devices);
	return status;
}

void devices_close(void)
{
	while (n_devices) {
		struct device *d = &all[--n_devices];

		munmap((void *)d->data, 2 * bytes);
		munmap(d->info, sizeof(*d->info));
		close(d->file);
	}
}

unsigned int ring_bytes(void)
{
	return bytes;
}

unsigned int devices(void)
{
	return n_devices;
}

struct kd_ring_info *ring_info(unsigned int index)
{
	return all[index].info;
}

const unsigned char *ring_data(unsigned int index)
{
	return all[index].data;
}

int device_file(unsigned int index)
{
	return all[index].file;
}

long control(unsigned int number, unsigned long argument)
{
	long result = ioctl(all[0].file, number, argument);

	return result < 0 ? -errno : result;
}

struct kd_stats statistics(void)
{
	struct kd_stats stats = {0};

	EXPECT(control(KD_IOC_STATS, (unsigned long)&stats) == 0);
	return stats;
}

/* Returns the block's length, 0 when it is malformed. */
static unsigned int parse(const unsigned char *block, unsigned int left, struct event *event)
{
	const unsigned char *value;
	unsigned int i;

	if (left < sizeof(event->header))
		return 0;
	memcpy(&event->header, block, sizeof(event->header));
	if (event->header.len > left || event->header.nparams > MAX_PARAMS)
		return 0;
	value = block + sizeof(event->header) + 2 * event->header.nparams;
	for (i = 0; i < event->header.nparams; i++) {
		memcpy(&event->len[i], block + sizeof(event->header) + 2 * i, 2);
		event->value[i] = value;
		value += event->len[i];
	}
	return value == block + event->header.len ? event->header.len : 0;
}

void drain(event_fn each, void *context)
{
	for (unsigned int i = 0; i < n_devices; i++) {
		unsigned int head = __atomic_load_n(&all[i].info->head, __ATOMIC_ACQUIRE);
		unsigned int tail = all[i].info->tail;
		unsigned int left = (head - tail) & (bytes - 1);
		unsigned long long before = 0;

		while (left) {
			struct event event;
			unsigned int len = parse(all[i].data + tail, left, &event);

			EXPECT(len, "malformed block of type %u, length %u", event.header.type, event.header.len);
			EXPECT(event.header.ts >= before, "time goes back on one CPU");
			if (!len)
				break;
			before = event.header.ts;
			if (each)
				each(&event, context);
			left -= len;
			tail = (tail + len) & (bytes - 1);
		}
		__atomic_store_n(&all[i].info->tail, head, __ATOMIC_RELEASE);
	}
}

static unsigned long long number(const struct event *event, unsigned int i)
{
	unsigned long long value = 0;

	if (i < event->header.nparams && event->len[i] <= sizeof(value))
		memcpy(&value, event->value[i], event->len[i]);
	return value;
}

void count_events(const struct event *event, void *context)
{
	struct count *c = context;
	unsigned int last = event->header.nparams - 1;
	unsigned long long entered = number(event, last);

	if (event->header.type != c->type || (c->tid && (long long)event->header.tid != c->tid))
		return;
	if (c->type == KD_EVENT_GENERIC && number(event, 1) != (unsigned long long)c->call)
		return;
	c->events++;
	c->nparams = event->header.nparams;
	c->second_len = event->header.nparams > 1 ? event->len[1] : 0;
	if (event->len[last] == 8 && entered <= event->header.ts && event->header.ts - entered < 5000000000ULL)
		c->timed++;
	for (unsigned int i = 0; c->string && i <= last; i++)
		if (event->len[i] == strlen(c->string) + 1 && !memcmp(event->value[i], c->string, event->len[i]))
			c->matches++;
}

struct count drain_count(struct count wanted)
{
	drain(count_events, &wanted);
	return wanted;
}

unsigned int drain_types(unsigned int type)
{
	return drain_count((struct count){.type = type}).events;
}

long long own_tid(void)
{
	return syscall(SYS_gettid);
}

long i386_call2(long number, long first, long second)
{
	long result;

	asm volatile("int $0x80"
		     : "=a"(result)
		     : "a"(number), "b"(first), "c"(second)
		     : "memory", "r8", "r9", "r10", "r11");
	return result;
}

long i386_call(long number, long first)
{
	return i386_call2(number, first, 0);
}
