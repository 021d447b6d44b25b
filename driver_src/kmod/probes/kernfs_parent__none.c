// SPDX-License-Identifier: GPL-2.0-only OR MIT
/* No kernfs: until 3.13, RHEL 7; cgroups are dentries there. */
#include <linux/cgroup.h>

void *kd_probe(struct cgroup *cgroup);
void *kd_probe(struct cgroup *cgroup)
{
	return cgroup->dentry;
}
