/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The captures that the catalogue names, shared by the three drivers: this header gathers them.
 *
 * Included once by each driver, after its primitives (struct kd_fill, kd_arg, kd_push_*, kd_put_*, KD_GET, kd_read_user,
 * kd_read_kernel) and its accessors of kernel structures (kd_kernel.h or kd_flavors.h). Everything runs in the hook's context: preemption
 * off, inside an RCU read section; nothing may sleep or fault.
 *
 * kd_val_<name> yields a number. kd_cap_<name> writes one whole parameter and returns 0, or -ENOSPC when the block is full. What
 * each value means is written down in driver_src/catalogue/CONVENTIONS.md; G1 there: a parameter is whole or empty.
 */
#ifndef KD_CAPTURE_H
#define KD_CAPTURE_H

#define KD_STRING_MAX 4096 /* bytes of a string, its NUL included */
#define KD_VECTOR_MAX 16 /* segments, descriptors, arguments that are looked at */

/* End a parameter after its last put: -EFAULT makes it empty, only -ENOSPC goes up. */
static KD_INLINE int kd_finish(struct kd_fill *c, int err)
{
	if (err == -ENOSPC)
		return err;
	if (err)
		kd_param_abandon(c);
	else
		kd_param_end(c);
	return 0;
}

static KD_INLINE u64 kd_min(u64 a, u64 b)
{
	return a < b ? a : b;
}

/* A pointer in user memory: 4 bytes in a compat call. */
static KD_INLINE int kd_read_user_word(struct kd_fill *c, u64 address, u64 *out)
{
	u32 half;

	if (!kd_is_compat(c))
		return kd_read_user(out, address, sizeof(*out));
	if (kd_read_user(&half, address, sizeof(half)))
		return -EFAULT;
	*out = half;
	return 0;
}

#include "kd_flags.h"
#include "kd_call_flags.h"
#include "kd_memory.h"
#include "kd_file.h"
#include "kd_path.h"
#include "kd_task.h"
#include "kd_exec.h"
#include "kd_net.h"
#include "kd_snaplen.h"
#include "kd_transfer.h"
#include "kd_sockopt.h"
#include "kd_structs.h"
#include "kd_quota.h"
#include "kd_keys.h"
#include "kd_traps.h"

#endif
