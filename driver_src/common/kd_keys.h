/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Arguments of keyctl: its operation says how many there are and which are strings. Any context; a string that cannot be read makes
 * the parameter empty. Bit n of a set is operation n of linux/keyctl.h.
 */
#ifndef KD_KEYS_H
#define KD_KEYS_H

#define KD_KEYCTL_LAST 32 /* KEYCTL_WATCH_KEY: what is newer has no known arguments */
#define KD_KEYCTL_HAS_ARG2 0x1fffbffffULL
#define KD_KEYCTL_HAS_ARG3 0x1ffdabf75ULL
#define KD_KEYCTL_HAS_ARG4 0x17f9a3c54ULL
#define KD_KEYCTL_HAS_ARG5 0x5e981400ULL
#define KD_KEYCTL_STRING_ARG2 0x2ULL /* JOIN_SESSION_KEYRING: name */
#define KD_KEYCTL_STRING_ARG3 0x3e000400ULL /* RESTRICT_KEYRING, SEARCH: type; PKEY_*: info */
#define KD_KEYCTL_STRING_ARG4 0x21000400ULL /* RESTRICT_KEYRING, SEARCH: description; PKEY_QUERY: info */

#define KD_DYN_KEY_NUMBER 0
#define KD_DYN_KEY_STRING 1

static KD_INLINE int kd_cap_keyctl_arg(struct kd_fill *c, u64 operation, u64 n, u64 value)
{
	u64 present = n == 2   ? KD_KEYCTL_HAS_ARG2
		      : n == 3 ? KD_KEYCTL_HAS_ARG3
		      : n == 4 ? KD_KEYCTL_HAS_ARG4
			       : KD_KEYCTL_HAS_ARG5;
	u64 strings = n == 2   ? KD_KEYCTL_STRING_ARG2
		      : n == 3 ? KD_KEYCTL_STRING_ARG3
		      : n == 4 ? KD_KEYCTL_STRING_ARG4
			       : 0;
	int err;

	operation = (u32)operation;
	if (operation > KD_KEYCTL_LAST || !(present >> operation & 1))
		return kd_push_dyn_u64(c, KD_DYN_KEY_NUMBER, 0);
	if (!(strings >> operation & 1))
		return kd_push_dyn_u64(c, KD_DYN_KEY_NUMBER, value);
	kd_param_begin(c);
	err = kd_put_u8(c, KD_DYN_KEY_STRING);
	if (!err)
		err = kd_put_user_str(c, value, KD_STRING_MAX);
	return kd_finish(c, err);
}

#endif
