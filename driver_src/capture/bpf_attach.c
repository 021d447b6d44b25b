// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * kd-capture: which programs of an eBPF object are loaded, where they are attached, and which events are on.
 *
 * A hook is attached only while an event needs it, so what is off costs nothing.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bpf.h"

enum kd_point {
	POINT_EXIT,
	POINT_ENTER,
	POINT_SWITCH,
	POINT_PROCEXIT,
	POINT_TCP_CONNECT,
	POINT_SIGNAL,
	POINT_FAULT_USER,
	POINT_FAULT_KERNEL,
	POINTS
};

static const struct point {
	const char *program; /* with _raw or _tp after it, unless it is a kprobe */
	const char *category; /* of the tracepoint; NULL: a kprobe */
	const char *name;
	int hook; /* enum kd_hook, or -1 for calls */
} points[POINTS] = {
	[POINT_EXIT] = {"kd_exit", "raw_syscalls", "sys_exit", -1},
	[POINT_ENTER] = {"kd_enter", "raw_syscalls", "sys_enter", -1},
	[POINT_SWITCH] = {"kd_switch", "sched", "sched_switch", KD_HOOK_SWITCH},
	[POINT_PROCEXIT] = {"kd_procexit", "sched", "sched_process_exit", KD_HOOK_PROCEXIT},
	[POINT_SIGNAL] = {"kd_signal", "signal", "signal_deliver", KD_HOOK_SIGNAL},
	[POINT_FAULT_USER] = {"kd_fault_user", "exceptions", "page_fault_user", KD_HOOK_FAULT_USER},
	[POINT_FAULT_KERNEL] = {"kd_fault_kernel", "exceptions", "page_fault_kernel", KD_HOOK_FAULT_KERNEL},
	[POINT_TCP_CONNECT] = {"kd_tcp_connect", NULL, "tcp_connect", KD_HOOK_TCP_CONNECT},
};

static bool at_entry(unsigned int slot)
{
	return strcmp(kd_event(slot)->captured_at, "entry") == 0;
}

static bool belongs(unsigned int slot, enum kd_point point)
{
	int first = kd_event(slot)->hook, hook = points[point].hook;

	if (first < 0)
		return point == (at_entry(slot) ? POINT_ENTER : POINT_EXIT);
	return hook >= first && hook < first + kd_event(slot)->hooks;
}

/* Where an event is captured, the first of them. */
static enum kd_point point_of(unsigned int slot)
{
	unsigned int point = 0;

	while (!belongs(slot, (enum kd_point)point))
		point++;
	return (enum kd_point)point;
}

static bool is_raw(const struct kd_bpf_driver *driver, enum kd_point point)
{
	if (points[point].hook < 0)
		return driver->raw;
	return point == POINT_PROCEXIT ? driver->raw_task : driver->raw_hooks;
}

/* Whether a point's program is one of a kprobe on this host. */
static bool by_kprobe(const struct kd_bpf_driver *driver, enum kd_point point)
{
	return !points[point].category || (point == POINT_ENTER && driver->entry_kprobes);
}

static bool is_kprobe(unsigned int slot)
{
	return strncmp(kd_event(slot)->captured_at, "kprobe:", 7) == 0;
}

/* Whether an event that is on, or with wanted the ones that were asked for, needs a point. */
static bool needed(const struct kd_bpf_driver *driver, const bool *on, const bool *calls, enum kd_point point)
{
	unsigned int slot, number;

	for (number = 0; number < KD_CALL_NUMBERS; number++)
		if (calls[number] && (point == POINT_EXIT || (point == POINT_ENTER && driver->base.enter_time)))
			return true;
	for (slot = 0; slot < KD_SLOTS; slot++) {
		if (!on[slot])
			continue;
		if (belongs(slot, point))
			return true;
		if (point == POINT_ENTER && driver->base.enter_time && point_of(slot) == POINT_EXIT)
			return true;
	}
	return false;
}

static struct bpf_program *program_of(const struct kd_bpf_driver *driver, enum kd_point point)
{
	const char *how = is_raw(driver, point) ? "_raw" : "_tp";
	char name[64];

	if (!points[point].category)
		how = "";
	else if (by_kprobe(driver, point))
		how = "_kprobe";
	snprintf(name, sizeof(name), "%s%s", points[point].program, how);
	return bpf_object__find_program_by_name(driver->object, name);
}

/* Events that capture the same share programs, but for each event's first. */
static void fill_name(char *name, size_t size, unsigned int slot, unsigned int part)
{
	snprintf(name, size, "kd_f_%s_%u", kd_event(kd_event(slot)->owners[part])->name, part);
}

static struct bpf_program *fill_program(const struct kd_bpf_driver *driver, unsigned int slot, unsigned int part)
{
	char name[80];

	fill_name(name, sizeof(name), slot, part);
	return bpf_object__find_program_by_name(driver->object, name);
}

static bool load_event(const struct kd_bpf_driver *driver, unsigned int slot)
{
	if (driver->refused[slot] || (is_kprobe(slot) && !driver->host.kprobes))
		return false;
	if (slot == KD_SLOT_SYSCALL && memchr(driver->options->calls, 1, sizeof(driver->options->calls)))
		return true;
	return !driver->options->minimal || driver->options->selected[slot] ||
	       (driver->self_test && kd_self_test_needs(slot));
}

static bool load_point(const struct kd_bpf_driver *driver, enum kd_point point)
{
	if (!points[point].category && !driver->host.kprobes)
		return false;
	if (driver->self_test && point == POINT_EXIT)
		return true;
	return !driver->options->minimal || needed(driver, driver->options->selected, driver->options->calls, point);
}

static enum bpf_prog_type type_of(const struct kd_bpf_driver *driver, enum kd_point point)
{
	if (by_kprobe(driver, point))
		return BPF_PROG_TYPE_KPROBE;
	return is_raw(driver, point) ? BPF_PROG_TYPE_RAW_TRACEPOINT : BPF_PROG_TYPE_TRACEPOINT;
}

int kd_bpf_choose_programs(struct kd_bpf_driver *driver)
{
	struct bpf_program *program;
	unsigned int slot, part, point;

	bpf_object__for_each_program (program, driver->object)
		bpf_program__set_autoload(program, false);
	for (point = 0; point < POINTS; point++) {
		program = program_of(driver, (enum kd_point)point);
		if (program)
			bpf_program__set_autoload(program, load_point(driver, (enum kd_point)point));
	}
	for (slot = 0; slot < KD_SLOTS; slot++) {
		for (part = 0; part < kd_event(slot)->parts; part++) {
			program = fill_program(driver, slot, part);
			if (!program)
				continue; /* see kd_bpf_note_unavailable */
			if (load_event(driver, slot))
				bpf_program__set_autoload(program, true);
			bpf_program__set_type(program, type_of(driver, point_of(slot)));
		}
	}
	return 0;
}

/* The array of an event's programs; all that are in one are of one type. */
static const char *tails_of(unsigned int slot)
{
	switch (point_of(slot)) {
	case POINT_EXIT:
		return "kd_tail";
	case POINT_ENTER:
		return "kd_tail_entry";
	case POINT_PROCEXIT:
		return "kd_tail_task";
	case POINT_TCP_CONNECT:
		return "kd_tail_kprobe";
	default:
		return "kd_tail_hook";
	}
}

int kd_bpf_fill_tails(struct kd_bpf_driver *driver)
{
	unsigned int slot, part;

	for (slot = 0; slot < KD_SLOTS; slot++) {
		int map = bpf_object__find_map_fd_by_name(driver->object, tails_of(slot));

		for (part = 0; part < kd_event(slot)->parts; part++) {
			struct bpf_program *program = fill_program(driver, slot, part);
			int fd = program ? bpf_program__fd(program) : -1;
			__u32 index = kd_event(slot)->tail + part;

			if (fd >= 0 && bpf_map_update_elem(map, &index, &fd, 0) != 0)
				return -errno;
		}
	}
	return 0;
}

static const char *const selections[2] = {"kd_select", "kd_select_enter"};

static int write_number(const struct kd_bpf_driver *driver, unsigned int at_entry, __u32 number)
{
	int map = bpf_object__find_map_fd_by_name(driver->object, selections[at_entry]);

	if (map < 0)
		return -ENOENT;
	return bpf_map_update_elem(map, &number, &driver->selected[at_entry][number], BPF_ANY) == 0 ? 0 : -errno;
}

/* A call that stands for many is never passed over at first sight; times of entry are noted of every call. */
int kd_bpf_prepare_selection(struct kd_bpf_driver *driver)
{
	unsigned int at_entry;
	int status = 0;
	__u32 number;

	for (at_entry = 0; at_entry < 2; at_entry++) {
		if (bpf_object__find_map_fd_by_name(driver->object, selections[at_entry]) < 0)
			continue;
		for (number = 0; number < KD_CALL_NUMBERS && status == 0; number++) {
			struct kd_selected *one = &driver->selected[at_entry][number];

			if (number == KD_NR_I386_SOCKETCALL || number == KD_NR_I386_IPC)
				one->compat |= KD_SELECT_LOOK;
			if (at_entry && driver->settings.enter_time)
				one->native |= KD_SELECT_NOTE;
			if (one->native || one->compat)
				status = write_number(driver, at_entry, number);
		}
	}
	return status;
}

static int write_calls(struct kd_bpf_driver *driver, unsigned int slot, __u32 value)
{
	unsigned int compat;
	int status = 0;

	for (compat = 0; compat < 2 && status == 0; compat++) {
		const struct kd_call_desc *call = kd_calls(compat);

		for (; call->name && status == 0; call++) {
			struct kd_selected *one = &driver->selected[call->at_entry][call->number];
			__u32 *program = compat ? &one->compat : &one->native;

			if (call->slot != slot)
				continue;
			*program = (*program & ~KD_SELECT_PROGRAM) | value;
			status = write_number(driver, call->at_entry, call->number);
		}
	}
	return status;
}

static int write_hook(const struct kd_bpf_driver *driver, __u32 hook, __u32 value)
{
	int map = bpf_object__find_map_fd_by_name(driver->object, "kd_select_hook");

	if (map < 0)
		return -ENOENT;
	return bpf_map_update_elem(map, &hook, &value, BPF_ANY) == 0 ? 0 : -errno;
}

/* The calls that have no event of their own: all of them, or those that are one call of x86_64. */
static int write_generic(struct kd_bpf_driver *driver, int only, bool on)
{
	int map = bpf_object__find_map_fd_by_name(driver->object, "kd_generic"), status = 0, native;
	__u32 program = kd_event(KD_SLOT_SYSCALL)->tail + 1u, key, both;

	if (map < 0)
		return -ENOENT;
	for (key = 0; key < KD_CALL_TABLE && status == 0; key++) {
		struct kd_selected *one = &driver->selected[0][key % KD_CALL_NUMBERS];
		__u32 *selected = key < KD_CALL_COMPAT ? &one->native : &one->compat;

		native = kd_call_generic_entry(key, &both);
		if (native < 0 || (only >= 0 && native != only))
			continue;
		if (bpf_map_update_elem(map, &key, &both, BPF_ANY) != 0)
			return -errno;
		*selected = (*selected & ~KD_SELECT_PROGRAM) | (on || driver->on_calls[native] ? program : 0);
		status = write_number(driver, 0, key % KD_CALL_NUMBERS);
	}
	return status;
}

static int write_event(struct kd_bpf_driver *driver, unsigned int slot, bool on)
{
	__u32 value = on ? kd_event(slot)->tail + 1u : 0;
	int hook = kd_event(slot)->hook, i, status = 0;

	if (slot == KD_SLOT_SYSCALL)
		return write_generic(driver, -1, on);
	if (hook < 0)
		return write_calls(driver, slot, value);
	for (i = 0; i < kd_event(slot)->hooks && status == 0; i++)
		status = write_hook(driver, (__u32)(hook + i), value);
	return status;
}

static int attach(struct kd_bpf_driver *driver, enum kd_point point)
{
	const struct point *where = &points[point];
	struct bpf_program *program = program_of(driver, point);

	if (!program || bpf_program__fd(program) < 0)
		return -ENOENT;
	if (!where->category)
		driver->links[point] = bpf_program__attach_kprobe(program, false, where->name);
	else if (is_raw(driver, point))
		driver->links[point] = bpf_program__attach_raw_tracepoint(program, where->name);
	else
		driver->links[point] = bpf_program__attach_tracepoint(program, where->category, where->name);
	return driver->links[point] ? 0 : -errno;
}

static int update_points(struct kd_bpf_driver *driver)
{
	unsigned int point;
	int status;

	for (point = 0; point < POINTS; point++) {
		bool wanted = needed(driver, driver->on, driver->on_calls, (enum kd_point)point);

		if (point == POINT_ENTER && driver->entry_kprobes) {
			status = kd_bpf_entry_update(driver, program_of(driver, POINT_ENTER));
			if (status != 0)
				return status;
			continue;
		}
		if (!wanted && driver->links[point]) {
			bpf_link__destroy(driver->links[point]);
			driver->links[point] = NULL;
		} else if (wanted && !driver->links[point]) {
			status = attach(driver, (enum kd_point)point);
			if (status != 0) {
				snprintf(driver->base.reason, sizeof(driver->base.reason), "%s cannot be attached: %s",
					 points[point].name, strerror(-status));
				return status;
			}
		}
	}
	return 0;
}

int kd_bpf_select(struct kd_driver *base, unsigned int slot, bool on)
{
	struct kd_bpf_driver *driver = (struct kd_bpf_driver *)base;
	struct bpf_program *first = fill_program(driver, slot, 0);
	int status;

	if (on && base->unavailable[slot]) {
		snprintf(base->reason, sizeof(base->reason), "not available: %s", base->unavailable[slot]);
		return -EOPNOTSUPP;
	}
	if (on && (!first || bpf_program__fd(first) < 0)) {
		snprintf(base->reason, sizeof(base->reason), "its program was not loaded (--minimal)");
		return -ENOENT;
	}
	status = write_event(driver, slot, on);
	if (status != 0) {
		snprintf(base->reason, sizeof(base->reason), "the selection cannot be written: %s", strerror(-status));
		return status;
	}
	driver->on[slot] = on;
	status = update_points(driver);
	if (status != 0 && on) {
		driver->on[slot] = false;
		write_event(driver, slot, false);
	}
	return status;
}

int kd_bpf_select_call(struct kd_driver *base, unsigned int number, bool on)
{
	struct kd_bpf_driver *driver = (struct kd_bpf_driver *)base;
	int status;

	if (on && bpf_program__fd(fill_program(driver, KD_SLOT_SYSCALL, 0)) < 0) {
		snprintf(base->reason, sizeof(base->reason), "its program was not loaded (--minimal)");
		return -ENOENT;
	}
	driver->on_calls[number] = on;
	status = write_generic(driver, (int)number, on || driver->on[KD_SLOT_SYSCALL]);
	return status ? status : update_points(driver);
}

void kd_bpf_detach(struct kd_driver *base)
{
	struct kd_bpf_driver *driver = (struct kd_bpf_driver *)base;

	memset(driver->on, 0, sizeof(driver->on));
	memset(driver->on_calls, 0, sizeof(driver->on_calls));
	update_points(driver);
}

/* A kprobe's function may be missing, inlined or barred: only the kernel knows. */
static const char *try_kprobe(struct kd_bpf_driver *driver, enum kd_point point)
{
	char text[128];
	int status = attach(driver, point);

	if (status == 0) {
		bpf_link__destroy(driver->links[point]);
		driver->links[point] = NULL;
		return NULL;
	}
	snprintf(text, sizeof(text), "a kprobe on %s cannot be attached: %s", points[point].name, strerror(-status));
	return strdup(text);
}

void kd_bpf_note_unavailable(struct kd_bpf_driver *driver)
{
	unsigned int slot;

	for (slot = 0; slot < KD_SLOTS; slot++) {
		const char **why = &driver->base.unavailable[slot];

		if (driver->refused[slot])
			*why = driver->refused[slot];
		else if (!fill_program(driver, slot, 0) || !program_of(driver, point_of(slot)))
			*why = "the object has no program for it";
		else if (is_kprobe(slot) && !driver->host.kprobes)
			*why = "this kernel has no kprobes";
		else if (is_kprobe(slot) && load_event(driver, slot))
			*why = try_kprobe(driver, point_of(slot));
	}
}

bool kd_bpf_refuse(struct kd_bpf_driver *driver, const char *program, const char *why)
{
	unsigned int slot, part;
	bool found = false;
	char name[80];

	for (slot = 0; slot < KD_SLOTS; slot++) {
		for (part = 0; part < kd_event(slot)->parts; part++) {
			fill_name(name, sizeof(name), slot, part);
			if (strcmp(program, name) != 0)
				continue;
			driver->refused[slot] = strdup(why);
			found = true;
		}
	}
	return found;
}

/*
 * What the kernel has counted of a program: 5.12 has the field (9ed9e9ba2337). Programs of tracepoints and kprobes are
 * skipped by trace_call_bpf, which counts from 6.7 on.
 */
static bool read_missed(const struct kd_bpf_driver *driver, enum kd_point point, int fd, unsigned long long *missed)
{
	struct bpf_prog_info info = {0};
	__u32 size = sizeof(info);

	if (bpf_obj_get_info_by_fd(fd, &info, &size) != 0 ||
	    size < offsetof(struct bpf_prog_info, recursion_misses) + sizeof(info.recursion_misses))
		return false;
	if ((!is_raw(driver, point) || by_kprobe(driver, point)) && !driver->host.tp_misses_counted)
		return false;
	*missed += info.recursion_misses;
	return true;
}

void kd_bpf_count_missed(const struct kd_bpf_driver *driver, struct kd_counts *counts)
{
	unsigned int point, counted = 0;

	counts->missed_runs = 0;
	counts->uncountable_count = 0;
	for (point = 0; point < POINTS; point++) {
		struct bpf_program *program = program_of(driver, (enum kd_point)point);
		int fd = program ? bpf_program__fd(program) : -1;

		if (fd < 0)
			continue;
		if (read_missed(driver, (enum kd_point)point, fd, &counts->missed_runs))
			counted++;
		else
			counts->uncountable[counts->uncountable_count++] = points[point].name;
	}
	if (counted == 0)
		counts->missed_runs = KD_UNCOUNTABLE;
}
