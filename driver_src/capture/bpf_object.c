// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * kd-capture: an eBPF driver, from its file to a loaded object.
 */
#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <libelf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "bpf.h"

#define BUFFER_BYTES_DEFAULT (1u << 20)

static void copy_section(Elf_Scn *section, char *text, size_t size)
{
	Elf_Data *content = elf_getdata(section, NULL);
	size_t length = content ? content->d_size : 0;

	if (!content || !content->d_buf)
		return;
	if (length >= size)
		length = size - 1;
	memcpy(text, content->d_buf, length);
	text[length] = 0;
}

/* A probe that was built from headers knows what its kernel has; the host's type information may be missing. */
static void copy_facts(struct kd_bpf_driver *driver, Elf_Scn *section)
{
	Elf_Data *content = elf_getdata(section, NULL);

	if (!content || !content->d_buf || content->d_size < sizeof(driver->facts))
		return;
	memcpy(driver->facts, content->d_buf, sizeof(driver->facts));
	driver->has_facts = true;
}

static int read_sections(struct kd_bpf_driver *driver, Elf *elf)
{
	Elf_Scn *section = NULL;
	GElf_Ehdr header;
	GElf_Shdr facts;
	size_t names;

	if (elf_kind(elf) != ELF_K_ELF || !gelf_getehdr(elf, &header))
		return kd_fail(KD_EXIT_LOAD, NULL, "%s: not an ELF file, expected an eBPF object", driver->path);
	if (header.e_machine != EM_BPF)
		return kd_fail(KD_EXIT_LOAD, "A kernel module is loaded by kdriver load, then opened by --driver kmod.",
			       "%s: an ELF file for another machine, expected an eBPF object", driver->path);
	if (elf_getshdrstrndx(elf, &names) != 0)
		return kd_fail(KD_EXIT_LOAD, NULL, "%s: its section table cannot be read", driver->path);
	while ((section = elf_nextscn(elf, section))) {
		const char *name = gelf_getshdr(section, &facts) ? elf_strptr(elf, names, facts.sh_name) : NULL;

		if (name && strcmp(name, "kd_release") == 0)
			copy_section(section, driver->release, sizeof(driver->release));
		else if (name && strcmp(name, "kd_version") == 0)
			copy_section(section, driver->version, sizeof(driver->version));
		else if (name && strcmp(name, "kd_schema") == 0)
			copy_section(section, driver->schema, sizeof(driver->schema));
		else if (name && strcmp(name, "kd_facts") == 0)
			copy_facts(driver, section);
	}
	return -1;
}

static int read_file(struct kd_bpf_driver *driver)
{
	int fd = open(driver->path, O_RDONLY | O_CLOEXEC), status;
	Elf *elf;

	if (fd < 0)
		return kd_fail(errno == ENOENT ? KD_EXIT_NOT_FOUND : KD_EXIT_LOAD, NULL, "%s: %s", driver->path,
			       strerror(errno));
	elf_version(EV_CURRENT);
	elf = elf_begin(fd, ELF_C_READ, NULL);
	if (elf)
		status = read_sections(driver, elf);
	else
		status = kd_fail(KD_EXIT_LOAD, NULL, "%s: cannot be read: %s", driver->path, elf_errmsg(-1));
	elf_end(elf);
	close(fd);
	return status;
}

/*
 * The object and this program must number the parts of events alike, so both come from one table of events.
 * A probe compiled against one kernel's headers reads other kernels' memory wrongly, and loads there all the same.
 */
static int check_build(const struct kd_bpf_driver *driver)
{
	struct utsname host;

	if (driver->schema[0] && strcmp(driver->schema, KD_TABLE_DIGEST) != 0 && !driver->options->force)
		return kd_fail(KD_EXIT_LOAD, "Use the kd-capture that was published with it.",
			       "%s: built from another table of events than this program", driver->path);
	uname(&host);
	if (!driver->release[0] || strcmp(driver->release, host.release) == 0 || driver->options->force)
		return -1;
	return kd_fail(KD_EXIT_LOAD, "Take the probe that was built for this kernel, or the CO-RE probe.",
		       "%s: built for kernel %s, this kernel is %s", driver->path, driver->release, host.release);
}

/* A CO-RE probe, which names no release, cannot work on every kernel that runs eBPF programs. */
static int check_core(const struct kd_bpf_driver *driver)
{
	const char *hint = "Take the probe that was built for this kernel, or the kernel module.";

	if (driver->release[0])
		return -1;
	if (!driver->host.constants)
		return kd_fail(KD_EXIT_LOAD, hint,
			       "%s: a CO-RE probe, and this kernel's eBPF has no global constants (5.2 has)",
			       driver->path);
	if (!driver->host.btf)
		return kd_fail(KD_EXIT_LOAD, "Name a BTF file of this very kernel with --btf, or take another driver.",
			       "%s: a CO-RE probe, and this kernel has no type information (BTF)", driver->path);
	return -1;
}

static bool needs_self_test(const struct kd_bpf_driver *driver)
{
	return (driver->release[0] || driver->options->btf) && !driver->options->force;
}

static int choose_type(struct kd_bpf_driver *driver)
{
	enum kd_program_type asked = driver->options->program_type;
	bool tracefs;

	driver->host.built_for = driver->release[0];
	if (driver->has_facts) {
		driver->host.boot_clock = driver->facts[0];
		driver->host.faultable = driver->facts[1];
	}
	if (asked == KD_PROGRAM_RAW && !driver->host.raw_tp)
		return kd_fail(KD_EXIT_LOAD, "Use --program-type tp.",
			       "this kernel has no programs of raw tracepoints");
	driver->raw =
		asked == KD_PROGRAM_RAW || (asked == KD_PROGRAM_AUTO && driver->host.raw_tp && !driver->host.faultable);
	if (!driver->raw) {
		tracefs = kd_host_find_tracefs();
		if (!tracefs && asked == KD_PROGRAM_AUTO && driver->host.raw_tp)
			driver->raw = true; /* it may miss runs; they are counted */
		else if (!tracefs)
			return kd_fail(KD_EXIT_LOAD, "Mount it: mount -t tracefs tracefs /sys/kernel/tracing",
				       "tracefs is not mounted and could not be");
	}
	driver->raw_hooks = driver->host.raw_tp && asked != KD_PROGRAM_TP;
	/* Where tracepoints may be preempted, of two process exits on one CPU a raw program misses the second. */
	driver->raw_task =
		driver->raw_hooks && (asked == KD_PROGRAM_RAW || !driver->host.faultable || !kd_host_find_tracefs());
	driver->entry_kprobes = asked == KD_PROGRAM_AUTO && !driver->options->enter_time && driver->host.kprobes &&
				kd_bpf_entry_possible();
	driver->base.program_type = driver->raw ? "raw" : "tp";
	return -1;
}

/* The offset of two clocks: the middle of the tightest of some samples. */
static __u64 boot_time(clockid_t clock)
{
	long long best_width = -1, width, before, after, wall, offset = 0;
	struct timespec a, b, c;
	int i;

	for (i = 0; i < 64; i++) {
		clock_gettime(clock, &a);
		clock_gettime(CLOCK_REALTIME, &b);
		clock_gettime(clock, &c);
		before = a.tv_sec * 1000000000LL + a.tv_nsec;
		wall = b.tv_sec * 1000000000LL + b.tv_nsec;
		after = c.tv_sec * 1000000000LL + c.tv_nsec;
		width = after - before;
		if (best_width < 0 || width < best_width) {
			best_width = width;
			offset = wall - (before + width / 2);
		}
	}
	return (__u64)offset;
}

static int write_settings(struct kd_bpf_driver *driver)
{
	int map = bpf_object__find_map_fd_by_name(driver->object, "kd_settings");
	__u32 key = 0;

	if (map < 0)
		return -ENOENT;
	return bpf_map_update_elem(map, &key, &driver->settings, BPF_ANY) == 0 ? 0 : -errno;
}

/* One state and one scratch area for each possible CPU and context; times of entry in a plain hash where no map forgets its oldest. */
static int size_maps(struct kd_bpf_driver *driver)
{
	struct bpf_map *scratch = bpf_object__find_map_by_name(driver->object, "kd_scratch");
	struct bpf_map *state = bpf_object__find_map_by_name(driver->object, "kd_state");
	struct bpf_map *entered = bpf_object__find_map_by_name(driver->object, "kd_entered");
	int status = 0;

	if (scratch)
		status = bpf_map__set_max_entries(scratch, driver->base.cpus * KD_CONTEXTS);
	if (status == 0 && state)
		status = bpf_map__set_max_entries(state, driver->base.cpus * KD_CONTEXTS);
	if (status == 0 && entered && libbpf_probe_bpf_map_type(BPF_MAP_TYPE_LRU_HASH, NULL) <= 0)
		status = bpf_map__set_type(entered, BPF_MAP_TYPE_HASH);
	return status;
}

static int open_object(struct kd_bpf_driver *driver)
{
	LIBBPF_OPTS(bpf_object_open_opts, how, .object_name = "kdriver", .btf_custom_path = driver->options->btf);
	size_t bytes = driver->options->buffer_bytes ? driver->options->buffer_bytes : BUFFER_BYTES_DEFAULT;
	int status;

	driver->object = bpf_object__open_file(driver->path, &how);
	if (!driver->object)
		return kd_bpf_log_fail(driver->path, errno);
	if (!bpf_object__find_map_by_name(driver->object, "kd_tail") ||
	    !bpf_object__find_map_by_name(driver->object, "kd_settings"))
		return kd_fail(KD_EXIT_LOAD, NULL, "%s: an eBPF object, but none of kdriver's", driver->path);
	status = kd_bpf_output_prepare(&driver->output, driver->object, &driver->host, bytes);
	if (status == 0)
		status = size_maps(driver);
	if (status == 0)
		status = kd_bpf_choose_programs(driver);
	if (status != 0)
		return kd_bpf_log_fail(driver->path, -status);
	return -1;
}

static int open_and_load(struct kd_bpf_driver *driver)
{
	char why[200];
	const char *program;
	int status, error;

	for (;;) {
		status = open_object(driver);
		if (status >= 0)
			return status;
		if (kd_host_version_code() != 0)
			bpf_object__set_kversion(driver->object, kd_host_version_code());
		error = -bpf_object__load(driver->object);
		if (error == 0)
			return -1;
		if (!driver->options->skip_refused)
			return kd_bpf_log_fail(driver->path, error);
		program = kd_bpf_log_refused(why, sizeof(why));
		if (!program || !kd_bpf_refuse(driver, program, why))
			return kd_bpf_log_fail(driver->path, error);
		kd_bpf_output_close(driver->output);
		bpf_object__close(driver->object);
		driver->output = NULL;
		driver->object = NULL;
	}
}

static int set_up(struct kd_bpf_driver *driver)
{
	int status;

	driver->clock = driver->host.boot_clock ? CLOCK_BOOTTIME : CLOCK_MONOTONIC;
	driver->settings.boot_time_ns = boot_time(driver->clock);
	driver->settings.snaplen =
		driver->options->snaplen | (driver->options->dynamic_snaplen ? KD_SNAPLEN_DYNAMIC : 0);
	driver->settings.ports = driver->options->ports;
	driver->settings.enter_time = driver->options->enter_time;
	status = kd_bpf_fill_tails(driver);
	if (status == 0)
		status = write_settings(driver);
	if (status == 0)
		status = kd_bpf_prepare_selection(driver);
	if (status == 0)
		status = kd_bpf_output_open(driver->output, driver->object);
	if (status != 0)
		return kd_fail(KD_EXIT_LOAD, kd_host_permission_hint(-status), "%s: cannot be set up: %s", driver->path,
			       strerror(-status));
	driver->base.buffer = kd_bpf_output_kind(driver->output);
	driver->base.buffer_bytes = kd_bpf_output_bytes(driver->output);
	kd_bpf_note_unavailable(driver);
	return -1;
}

/* What the self-test has counted is none of the consumer's. All events are off: nobody writes the states. */
static void forget_counts(const struct kd_bpf_driver *driver)
{
	const struct bpf_map *map = bpf_object__find_map_by_name(driver->object, "kd_state");
	__u64 *state = map ? calloc(1, bpf_map__value_size(map)) : NULL;
	__u32 key;

	for (key = 0; state && key < driver->base.cpus * KD_CONTEXTS; key++) {
		if (bpf_map_lookup_elem(bpf_map__fd(map), &key, state) != 0)
			continue;
		memset(state, 0, KD_COUNTERS * sizeof(*state));
		bpf_map_update_elem(bpf_map__fd(map), &key, state, BPF_ANY);
	}
	free(state);
}

/* Of a driver whose idea of the kernel's structures does not come from the running kernel itself. */
static int self_test(struct kd_bpf_driver *driver)
{
	char wrong[200] = "";

	if (!driver->self_test)
		return -1;
	if (!kd_self_test(&driver->base, wrong, sizeof(wrong)))
		return kd_fail(KD_EXIT_LOAD,
			       driver->release[0]
				       ? "Take the probe that was built for this very kernel, or the CO-RE probe."
				       : "Take the BTF file of this very kernel.",
			       "%s: reads this kernel wrongly, self-test: %s", driver->path, wrong);
	forget_counts(driver);
	return -1;
}

static __u64 bpf_now(struct kd_driver *base)
{
	struct kd_bpf_driver *driver = (struct kd_bpf_driver *)base;
	struct timespec now;

	clock_gettime(driver->clock, &now);
	return driver->settings.boot_time_ns + (__u64)now.tv_sec * 1000000000ULL + (__u64)now.tv_nsec;
}

static int bpf_set_snaplen(struct kd_driver *base, __u32 snaplen)
{
	struct kd_bpf_driver *driver = (struct kd_bpf_driver *)base;

	driver->settings.snaplen = snaplen | (driver->settings.snaplen & KD_SNAPLEN_DYNAMIC);
	return write_settings(driver);
}

static int bpf_set_dynamic(struct kd_driver *base, bool on, const struct kd_ports *ports)
{
	struct kd_bpf_driver *driver = (struct kd_bpf_driver *)base;

	driver->settings.snaplen = (driver->settings.snaplen & ~KD_SNAPLEN_DYNAMIC) | (on ? KD_SNAPLEN_DYNAMIC : 0);
	driver->settings.ports = *ports;
	return write_settings(driver);
}

static int bpf_drain(struct kd_driver *base, struct kd_merge *merge)
{
	return kd_bpf_output_drain(((struct kd_bpf_driver *)base)->output, merge);
}

/* Adds up the counters that every state begins with. */
static void sum_counters(const struct kd_bpf_driver *driver, unsigned long long *sums)
{
	const struct bpf_map *map = bpf_object__find_map_by_name(driver->object, "kd_state");
	__u64 *state = map ? calloc(1, bpf_map__value_size(map)) : NULL;
	__u32 key, counter;

	for (key = 0; state && key < driver->base.cpus * KD_CONTEXTS; key++) {
		if (bpf_map_lookup_elem(bpf_map__fd(map), &key, state) != 0)
			continue;
		for (counter = 0; counter < KD_COUNTERS; counter++)
			sums[counter] += state[counter];
	}
	free(state);
}

static int bpf_stats(struct kd_driver *base, struct kd_counts *counts)
{
	struct kd_bpf_driver *driver = (struct kd_bpf_driver *)base;
	unsigned long long sums[KD_COUNTERS] = {0};

	sum_counters(driver, sums);
	counts->events = sums[KD_COUNTER_EVENTS];
	counts->drops_buffer = sums[KD_COUNTER_DROPS_BUFFER];
	/* Programs see a full perf buffer from 5.1 on (56201969076d); the buffer's own count covers older kernels. */
	if (kd_bpf_output_lost(driver->output) > counts->drops_buffer)
		counts->drops_buffer = kd_bpf_output_lost(driver->output);
	counts->drops_scratch = sums[KD_COUNTER_DROPS_SCRATCH];
	counts->unreadable = sums[KD_COUNTER_UNREADABLE];
	kd_bpf_count_missed(driver, counts);
	return 0;
}

static void bpf_close(struct kd_driver *base)
{
	struct kd_bpf_driver *driver = (struct kd_bpf_driver *)base;

	kd_bpf_output_close(driver->output);
	bpf_object__close(driver->object);
	free(driver);
}

static const struct kd_driver_ops bpf_ops = {
	.now = bpf_now,
	.select = kd_bpf_select,
	.select_call = kd_bpf_select_call,
	.set_snaplen = bpf_set_snaplen,
	.set_dynamic = bpf_set_dynamic,
	.drain = bpf_drain,
	.stats = bpf_stats,
	.stop = kd_bpf_detach,
	.close = bpf_close,
};

int kd_bpf_open(const struct kd_options *options, struct kd_driver **result)
{
	struct kd_bpf_driver *driver = calloc(1, sizeof(*driver));
	int status;

	if (!driver)
		return kd_fail(KD_EXIT_LOAD, NULL, "no memory");
	driver->options = options;
	driver->path = options->driver;
	driver->base.ops = &bpf_ops;
	driver->base.sort = true;
	driver->base.enter_time = options->enter_time;
	kd_bpf_log_start(options->verbose);
	status = read_file(driver);
	if (status < 0)
		status = check_build(driver);
	if (status < 0)
		status = kd_host_probe(&driver->host, options->btf);
	if (status < 0)
		status = check_core(driver);
	if (status < 0)
		status = choose_type(driver);
	driver->base.cpus = (unsigned int)libbpf_num_possible_cpus();
	driver->base.kind = driver->release[0] ? "bpf" : "core";
	driver->base.version = driver->version[0] ? driver->version : NULL;
	driver->self_test = needs_self_test(driver);
	if (status < 0)
		status = open_and_load(driver);
	if (status < 0)
		status = set_up(driver);
	if (status < 0)
		status = self_test(driver);
	*result = &driver->base;
	return status < 0 ? KD_EXIT_DONE : status;
}
