// SPDX-License-Identifier: GPL-2.0-only OR MIT
/* io_cgrp_id: since 4.3, before blkio_cgrp_id. Optional: a kernel without block cgroups has neither. */
#include <linux/cgroup.h>

int kd_probe(void);
int kd_probe(void)
{
	return io_cgrp_id;
}
