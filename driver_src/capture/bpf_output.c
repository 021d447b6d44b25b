// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * kd-capture: the rings of the eBPF drivers. One BPF ring buffer for each possible CPU where the kernel has them, else
 * perf buffers. Both are read by polling.
 */
#include <errno.h>
#include <linux/perf_event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bpf.h"

struct ring {
	int fd;
	unsigned long *consumer; /* a page that we write: where we are */
	unsigned long *producer; /* a page that the kernel writes, then the bytes twice in a row */
	const unsigned char *bytes;
};

struct kd_bpf_output {
	bool ringbuf;
	size_t bytes; /* of each CPU */
	size_t page;
	unsigned int cpus;
	struct ring *rings;
	struct perf_buffer *perf;
	unsigned long long lost;
	struct kd_merge *merge; /* while draining */
	int error;
};

static size_t round_up(size_t bytes, size_t page)
{
	size_t size = page;

	while (size < bytes)
		size *= 2;
	return size;
}

/* Where a variable is among the object's constants, or -1. */
static int constant_offset(const struct bpf_object *object, const char *name)
{
	const struct btf *btf = bpf_object__btf(object);
	int id = btf ? btf__find_by_name_kind(btf, ".rodata", BTF_KIND_DATASEC) : -1;
	const struct btf_type *section = id > 0 ? btf__type_by_id(btf, (__u32)id) : NULL;
	unsigned int i;

	for (i = 0; section && i < btf_vlen(section); i++) {
		const struct btf_var_secinfo *variable = btf_var_secinfos(section) + i;
		const struct btf_type *type = btf__type_by_id(btf, variable->type);

		if (strcmp(btf__name_by_offset(btf, type->name_off), name) == 0)
			return (int)variable->offset;
	}
	return -1;
}

/* Sets a __u32 constant of an object that is not loaded yet; -ENOENT when it has none of that name. */
static int set_constant(struct bpf_object *object, const char *name, __u32 value)
{
	int offset = constant_offset(object, name), status = -ENOENT;
	struct bpf_map *map;

	bpf_object__for_each_map (map, object) {
		const void *initial;
		size_t size = 0;
		char *copy;

		if (offset < 0 || !bpf_map__is_internal(map) || !strstr(bpf_map__name(map), ".rodata"))
			continue;
		initial = bpf_map__initial_value(map, &size);
		if (!initial || (size_t)offset + sizeof(value) > size)
			continue;
		copy = malloc(size);
		if (!copy)
			return -ENOMEM;
		memcpy(copy, initial, size);
		memcpy(copy + offset, &value, sizeof(value));
		status = bpf_map__set_initial_value(map, copy, size);
		free(copy);
	}
	return status;
}

static int create_rings(struct kd_bpf_output *output, struct bpf_map *map)
{
	unsigned int cpu;

	output->rings = calloc(output->cpus, sizeof(*output->rings));
	if (!output->rings)
		return -ENOMEM;
	for (cpu = 0; cpu < output->cpus; cpu++)
		output->rings[cpu].fd = -1;
	for (cpu = 0; cpu < output->cpus; cpu++) {
		output->rings[cpu].fd =
			bpf_map_create(BPF_MAP_TYPE_RINGBUF, "kd_ring", 0, 0, (__u32)output->bytes, NULL);
		if (output->rings[cpu].fd < 0)
			return -errno;
	}
	if (bpf_map__set_max_entries(map, output->cpus) != 0)
		return -errno;
	return bpf_map__set_inner_map_fd(map, output->rings[0].fd);
}

int kd_bpf_output_prepare(struct kd_bpf_output **result, struct bpf_object *object, const struct kd_host *host,
			  size_t bytes)
{
	struct kd_bpf_output *output = calloc(1, sizeof(*output));
	struct bpf_map *rings = bpf_object__find_map_by_name(object, "kd_rings");

	if (!output)
		return -ENOMEM;
	*result = output;
	output->page = (size_t)sysconf(_SC_PAGESIZE);
	output->cpus = (unsigned int)libbpf_num_possible_cpus();
	output->bytes = round_up(bytes, output->page);
	/* A probe for one kernel needs no telling, its kernel's headers did: it has rings, or no map of that name. */
	output->ringbuf = rings && host->ringbuf && (set_constant(object, "kd_use_ringbuf", 1) == 0 || host->built_for);
	if (output->ringbuf)
		return create_rings(output, rings);
	return rings ? bpf_map__set_autocreate(rings, false) : 0;
}

static int map_ring(struct kd_bpf_output *output, struct ring *ring)
{
	ring->consumer = mmap(NULL, output->page, PROT_READ | PROT_WRITE, MAP_SHARED, ring->fd, 0);
	if (ring->consumer == MAP_FAILED)
		return -errno;
	ring->producer =
		mmap(NULL, output->page + 2 * output->bytes, PROT_READ, MAP_SHARED, ring->fd, (off_t)output->page);
	if (ring->producer == MAP_FAILED)
		return -errno;
	ring->bytes = (const unsigned char *)ring->producer + output->page;
	return 0;
}

static int open_rings(struct kd_bpf_output *output, struct bpf_object *object)
{
	int map = bpf_object__find_map_fd_by_name(object, "kd_rings"), status;
	__u32 cpu;

	for (cpu = 0; cpu < output->cpus; cpu++) {
		if (bpf_map_update_elem(map, &cpu, &output->rings[cpu].fd, BPF_ANY) != 0)
			return -errno;
		status = map_ring(output, &output->rings[cpu]);
		if (status != 0)
			return status;
	}
	return 0;
}

/* A record may be longer than its block, which says its own length. */
static __u32 block_within(const void *bytes, __u32 size)
{
	__u32 length = kd_block_size(bytes, size);

	return length > 0 && length < size ? length : size;
}

static enum bpf_perf_event_ret on_perf_record(void *context, int cpu, struct perf_event_header *header)
{
	struct kd_bpf_output *output = context;
	const unsigned char *body = (const unsigned char *)(header + 1);
	__u32 size;
	__u64 lost;
	int error;

	if (header->type == PERF_RECORD_LOST) {
		memcpy(&lost, body + 8, sizeof(lost)); /* u64 id, u64 lost */
		output->lost += lost;
	} else if (header->type == PERF_RECORD_SAMPLE) {
		memcpy(&size, body, sizeof(size)); /* u32 size, bytes */
		error = kd_merge_add(output->merge, (unsigned int)cpu, body + sizeof(size),
				     block_within(body + sizeof(size), size));
		if (error)
			output->error = error;
	}
	return LIBBPF_PERF_EVENT_CONT;
}

static int open_perf(struct kd_bpf_output *output, struct bpf_object *object)
{
	struct perf_event_attr attr = {
		.size = sizeof(attr),
		.type = PERF_TYPE_SOFTWARE,
		.config = PERF_COUNT_SW_BPF_OUTPUT,
		.sample_type = PERF_SAMPLE_RAW,
		.sample_period = 1,
		.watermark = 1, /* wake nobody: we poll */
		.wakeup_watermark = 0x7fffffff,
	};
	int map = bpf_object__find_map_fd_by_name(object, "kd_perf");

	if (map < 0)
		return -ENOENT;
	output->perf = perf_buffer__new_raw(map, output->bytes / output->page, &attr, on_perf_record, output, NULL);
	return output->perf ? 0 : -errno;
}

int kd_bpf_output_open(struct kd_bpf_output *output, struct bpf_object *object)
{
	return output->ringbuf ? open_rings(output, object) : open_perf(output, object);
}

/* Returns 1 when a block that is being written stands in the way, else 0 or a negative errno. */
static int drain_ring(struct kd_bpf_output *output, unsigned int cpu)
{
	struct ring *ring = &output->rings[cpu];
	unsigned long at = *ring->consumer;
	unsigned long end = __atomic_load_n(ring->producer, __ATOMIC_ACQUIRE);
	int status = 0;

	while (at < end && status == 0) {
		const unsigned char *record = ring->bytes + (at & (output->bytes - 1));
		__u32 head = __atomic_load_n((const __u32 *)(const void *)record, __ATOMIC_ACQUIRE);
		__u32 size = head & ~(BPF_RINGBUF_BUSY_BIT | BPF_RINGBUF_DISCARD_BIT);

		if (head & BPF_RINGBUF_BUSY_BIT) {
			status = 1;
			break;
		}
		if (!(head & BPF_RINGBUF_DISCARD_BIT))
			status = kd_merge_add(output->merge, cpu, record + BPF_RINGBUF_HDR_SZ,
					      block_within(record + BPF_RINGBUF_HDR_SZ, size));
		at += (size + BPF_RINGBUF_HDR_SZ + 7) & ~7UL;
		__atomic_store_n(ring->consumer, at, __ATOMIC_RELEASE);
	}
	return status;
}

int kd_bpf_output_drain(struct kd_bpf_output *output, struct kd_merge *merge)
{
	int status = 0, one;
	unsigned int cpu;
	size_t buffer;

	output->merge = merge;
	output->error = 0;
	if (!output->ringbuf) {
		for (buffer = 0; buffer < perf_buffer__buffer_cnt(output->perf); buffer++)
			perf_buffer__consume_buffer(output->perf, buffer);
		return output->error;
	}
	for (cpu = 0; cpu < output->cpus; cpu++) {
		one = drain_ring(output, cpu);
		if (one < 0 || status == 0)
			status = one;
	}
	return status;
}

const char *kd_bpf_output_kind(const struct kd_bpf_output *output)
{
	return output->ringbuf ? "ringbuf" : "perf";
}

size_t kd_bpf_output_bytes(const struct kd_bpf_output *output)
{
	return output->bytes;
}

unsigned long long kd_bpf_output_lost(const struct kd_bpf_output *output)
{
	return output->lost;
}

void kd_bpf_output_close(struct kd_bpf_output *output)
{
	unsigned int cpu;

	if (!output)
		return;
	perf_buffer__free(output->perf);
	for (cpu = 0; output->rings && cpu < output->cpus; cpu++)
		if (output->rings[cpu].fd >= 0)
			close(output->rings[cpu].fd); /* the mappings end with the program */
	free(output->rings);
	free(output);
}
