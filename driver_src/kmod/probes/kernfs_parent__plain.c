// SPDX-License-Identifier: GPL-2.0-only OR MIT
/* kernfs_node.parent: 3.14 to 6.14. */
#include <linux/kernfs.h>

void *kd_probe(struct kernfs_node *node);
void *kd_probe(struct kernfs_node *node)
{
	return node->parent;
}
