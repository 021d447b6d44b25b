// SPDX-License-Identifier: GPL-2.0-only OR MIT
/* Cgroups are dentries of a file system of their own: until 3.14, and all of RHEL 7. */
#include <linux/cgroup.h>

void *kd_probe(struct cgroup *cgroup);
void *kd_probe(struct cgroup *cgroup)
{
	return cgroup->dentry;
}
