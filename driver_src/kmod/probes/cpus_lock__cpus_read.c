// SPDX-License-Identifier: GPL-2.0-only OR MIT
/* cpus_read_lock: since 4.13. Optional: get_online_cpus is there where it is not. */
#include <linux/cpu.h>

void kd_probe(void);
void kd_probe(void)
{
	void (*lock)(void) = cpus_read_lock;

	lock();
}
