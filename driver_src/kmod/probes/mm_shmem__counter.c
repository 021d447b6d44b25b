// SPDX-License-Identifier: GPL-2.0-only OR MIT
/* MM_SHMEMPAGES in mm_struct.rss_stat: since 4.5. */
#include <linux/mm_types.h>

typedef char kd_probe[MM_SHMEMPAGES < NR_MM_COUNTERS ? 1 : -1];
