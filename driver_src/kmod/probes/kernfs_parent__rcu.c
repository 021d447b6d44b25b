// SPDX-License-Identifier: GPL-2.0-only OR MIT
/* kernfs_node.__parent: since 6.15. */
#include <linux/kernfs.h>

void *kd_probe(struct kernfs_node *node);
void *kd_probe(struct kernfs_node *node)
{
	return (void *)node->__parent;
}
