// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * kd-capture: the calls that have no event of their own, by name and number; the generic event stands for them.
 */
#include <string.h>

#include "capture.h"
#include "kd_native_calls.h"

struct native_call {
	const char *name; /* NULL: there is no call of that number */
	__u16 code;
};

#define NATIVE(call_number, call_code, drop_class, drop_kind, call_name) \
	[call_number] = {.name = call_name, .code = call_code},
static const struct native_call native_calls[KD_CALL_NUMBERS] = {KD_NATIVE_CALLS(NATIVE)};

/* Number on x86_64 + 1, by number of i386; 0: there is no such call. */
#define COMPAT(call_number, native, call_name) [call_number] = (native) + 1,
static const __u16 native_of_compat[KD_CALL_NUMBERS] = {KD_COMPAT_CALLS(COMPAT)};

static bool is_typed(bool compat, unsigned int number)
{
	const struct kd_call_desc *call = kd_calls(compat);

	for (; call->name; call++)
		if (!call->at_entry && call->number == number)
			return true;
	return false;
}

bool kd_call_is_generic(unsigned int number)
{
	return number < KD_CALL_NUMBERS && native_calls[number].name && native_calls[number].code &&
	       !is_typed(false, number);
}

int kd_call_find(const char *name)
{
	unsigned int number;

	for (number = 0; number < KD_CALL_NUMBERS; number++)
		if (native_calls[number].name && strcmp(native_calls[number].name, name) == 0)
			return kd_call_is_generic(number) ? (int)number : -1;
	return -1;
}

const char *kd_call_of_code(unsigned int code)
{
	unsigned int number;

	for (number = 0; number < KD_CALL_NUMBERS; number++)
		if (native_calls[number].name && native_calls[number].code == code)
			return native_calls[number].name;
	return NULL;
}

int kd_call_generic_entry(unsigned int key, __u32 *both)
{
	bool compat = key >= KD_CALL_COMPAT;
	unsigned int number = compat ? key - KD_CALL_COMPAT : key;
	int native = compat ? native_of_compat[number] - 1 : (int)number;

	if (native < 0 || !native_calls[native].name || !native_calls[native].code || is_typed(compat, number))
		return -1;
	*both = (__u32)native_calls[native].code << 16 | (__u32)native;
	return native;
}
