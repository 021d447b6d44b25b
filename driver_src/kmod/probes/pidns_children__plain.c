// SPDX-License-Identifier: GPL-2.0-only OR MIT
/* nsproxy.pid_ns: until 3.10, RHEL 7. */
#include <linux/nsproxy.h>

void *kd_probe(struct nsproxy *proxy);
void *kd_probe(struct nsproxy *proxy)
{
	return proxy->pid_ns;
}
