// SPDX-License-Identifier: GPL-2.0-only OR MIT
/* vm_flags_clear: since 6.3, backported widely. Optional. */
#include <linux/mm.h>

void kd_probe(struct vm_area_struct *vma);
void kd_probe(struct vm_area_struct *vma)
{
	void (*clear)(struct vm_area_struct *, vm_flags_t) = vm_flags_clear;

	clear(vma, VM_MAYWRITE);
}
