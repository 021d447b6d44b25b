// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Facts about each call number and each event, gathered once at load from the generated catalogue and from
 * kd_native_calls.h; only read afterwards.
 */
#include "kd_module.h"

#include <linux/unistd.h>

struct kd_call kd_calls[KD_CALL_TABLE] __read_mostly;

#define KD_EVENT_ROW(symbol, event_id, name, count) [KD_SLOT_##symbol] = {event_id, count},
struct kd_event kd_events[KD_SLOTS] __read_mostly = {KD_EVENTS(KD_EVENT_ROW)};

const u16 kd_hook_slots[KD_HOOKS_USED] = {
	[KD_HOOK_SWITCH] = KD_SLOT_SWITCH,	     [KD_HOOK_PROCEXIT] = KD_SLOT_PROCEXIT,
	[KD_HOOK_TCP_CONNECT] = KD_SLOT_TCP_CONNECT, [KD_HOOK_SIGNAL] = KD_SLOT_SIGNALDELIVER,
	[KD_HOOK_FAULT_USER] = KD_SLOT_PAGE_FAULT,   [KD_HOOK_FAULT_KERNEL] = KD_SLOT_PAGE_FAULT,
};

struct kd_native_row {
	u16 number;
	u16 code;
	u8 drop_class;
	u8 drop_kind;
};

struct kd_pair {
	u16 number;
	u16 other; /* native number, or slot */
};

#define KD_NATIVE_ROW(number, code, drop_class, drop_kind, name) {number, code, drop_class, drop_kind},
#define KD_COMPAT_ROW(number, native, name) {number, native},
#define KD_SLOT_ROW(number, symbol, name) {number, KD_SLOT_##symbol},

static const struct kd_native_row kd_native_rows[] __initconst = {KD_NATIVE_CALLS(KD_NATIVE_ROW)};
static const struct kd_pair kd_compat_rows[] __initconst = {KD_COMPAT_CALLS(KD_COMPAT_ROW)};
static const struct kd_pair kd_exit_rows[] __initconst = {KD_CALLS_X86_64(KD_SLOT_ROW)};
static const struct kd_pair kd_exit_compat_rows[] __initconst = {KD_CALLS_I386(KD_SLOT_ROW)};
static const struct kd_pair kd_enter_rows[] __initconst = {KD_ENTRY_CALLS_X86_64(KD_SLOT_ROW)};
static const struct kd_pair kd_enter_compat_rows[] __initconst = {KD_ENTRY_CALLS_I386(KD_SLOT_ROW)};

static void __init kd_set_exit_slots(const struct kd_pair *rows, size_t count, unsigned int base)
{
	size_t i;

	for (i = 0; i < count; i++)
		kd_calls[base + rows[i].number].exit_slot = rows[i].other + KD_ACTION_SLOT;
}

static void __init kd_set_enter_slots(const struct kd_pair *rows, size_t count, unsigned int base)
{
	size_t i;

	for (i = 0; i < count; i++)
		kd_calls[base + rows[i].number].enter_slot = rows[i].other + KD_ACTION_SLOT;
}

void __init kd_calls_init(void)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(kd_native_rows); i++) {
		const struct kd_native_row *row = &kd_native_rows[i];
		struct kd_call *call = &kd_calls[row->number];

		call->known = 1;
		call->native = row->number;
		call->code = row->code;
		call->drop_class = row->drop_class;
		call->drop_kind = row->drop_kind;
	}
	for (i = 0; i < ARRAY_SIZE(kd_compat_rows); i++)
		kd_calls[KD_CALL_COMPAT + kd_compat_rows[i].number] = kd_calls[kd_compat_rows[i].other];
	kd_set_exit_slots(kd_exit_rows, ARRAY_SIZE(kd_exit_rows), 0);
	kd_set_exit_slots(kd_exit_compat_rows, ARRAY_SIZE(kd_exit_compat_rows), KD_CALL_COMPAT);
	kd_set_enter_slots(kd_enter_rows, ARRAY_SIZE(kd_enter_rows), 0);
	kd_set_enter_slots(kd_enter_compat_rows, ARRAY_SIZE(kd_enter_compat_rows), KD_CALL_COMPAT);
}

int kd_slot_of_event(unsigned int id)
{
	unsigned int slot;

	for (slot = 0; slot < KD_SLOTS; slot++)
		if (kd_events[slot].id == id)
			return slot;
	return -ENOENT;
}

/* execveat that succeeded looks like execve at its exit, and execve of an i386 image like execve of i386. */
u32 kd_entry_key(u32 call)
{
	u32 key = kd_calls[call].known ? kd_calls[call].native : call;

#ifdef __NR_execveat
	if (key == __NR_execveat)
		key = __NR_execve;
#endif
	return key;
}
