// SPDX-License-Identifier: GPL-2.0-only OR MIT
/* Cgroups in kernfs, and kernfs_node.__parent: since 6.15. */
#include <linux/cgroup.h>
#include <linux/kernfs.h>

void *kd_probe(struct cgroup *cgroup);
void *kd_probe(struct cgroup *cgroup)
{
	return (void *)cgroup->kn->__parent;
}
