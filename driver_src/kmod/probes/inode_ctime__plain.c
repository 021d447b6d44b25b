// SPDX-License-Identifier: GPL-2.0-only OR MIT
/* inode.i_ctime: until 6.5. */
#include <linux/fs.h>

long kd_probe(struct inode *inode);
long kd_probe(struct inode *inode)
{
	return inode->i_ctime.tv_nsec;
}
