// SPDX-License-Identifier: GPL-2.0-only OR MIT
/* No counter of shared memory: until 4.4, RHEL 7 before 7.3. The name can be declared only where it is not there yet. */
#include <linux/mm_types.h>

enum kd_probe { MM_SHMEMPAGES };
