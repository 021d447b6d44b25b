/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* What the 32-bit program of the cases leaves in its memory for its 64-bit parent: the calls that it made. */
#ifndef KD_I386_H
#define KD_I386_H

#include <stdint.h>

#include "kinds.h"

#define I386_RECORDS 256
#define I386_NARROW_SENDFILE 187 /* marks the older sendfile by an argument that it does not have */

struct i386_record {
	uint32_t kind;
	uint32_t a[6];
	int32_t ret;
};

struct i386_log {
	uint32_t count;
	struct i386_record records[I386_RECORDS];
};

#endif
