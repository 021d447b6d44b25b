// SPDX-License-Identifier: GPL-2.0-only OR MIT
/* Cgroups in kernfs, and kernfs_node.parent: 3.15 to 6.14. kernfs itself is older (3.14; RHEL 7 has it for sysfs only). */
#include <linux/cgroup.h>
#include <linux/kernfs.h>

void *kd_probe(struct cgroup *cgroup);
void *kd_probe(struct cgroup *cgroup)
{
	return cgroup->kn->parent;
}
