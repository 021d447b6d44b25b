// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Memory of the rings: process context, under kd_mutex.
 *
 * The pages of a ring are mapped twice in a row, so that a writer never meets the ring's end; user space maps them the
 * same way. Each page is counted for itself: a mapping that outlives the ring keeps its pages.
 */
#include "kd_module.h"

#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/string.h>
#include <linux/vmalloc.h>

static void kd_pages_free(struct page **pages, u32 count)
{
	while (count)
		__free_page(pages[--count]);
	vfree(pages);
}

/* count pages, and their addresses twice. */
static struct page **kd_pages_allocate(u32 count, int node)
{
	struct page **pages = vmalloc(2 * count * sizeof(*pages));
	u32 i;

	if (!pages)
		return NULL;
	for (i = 0; i < count; i++) {
		pages[i] = alloc_pages_node(node, GFP_KERNEL | __GFP_ZERO | __GFP_NOWARN, 0);
		if (!pages[i]) {
			kd_pages_free(pages, i);
			return NULL;
		}
		pages[count + i] = pages[i];
	}
	return pages;
}

int kd_ring_allocate(struct kd_ring *ring, u32 size, int node)
{
	u32 count = size / PAGE_SIZE;

	ring->info = (struct kd_ring_info *)get_zeroed_page(GFP_KERNEL);
	if (!ring->info)
		return -ENOMEM;
	ring->pages = kd_pages_allocate(count, node);
	if (!ring->pages)
		goto no_pages;
	ring->bytes = vmap(ring->pages, 2 * count, VM_MAP, PAGE_KERNEL);
	if (!ring->bytes)
		goto no_map;
	ring->size = size;
	return 0;

no_map:
	kd_pages_free(ring->pages, count);
	ring->pages = NULL;
no_pages:
	free_page((unsigned long)ring->info);
	ring->info = NULL;
	return -ENOMEM;
}

void kd_ring_free(struct kd_ring *ring)
{
	if (!ring->bytes)
		return;
	vunmap(ring->bytes);
	kd_pages_free(ring->pages, ring->size / PAGE_SIZE);
	free_page((unsigned long)ring->info);
	memset(ring, 0, sizeof(*ring));
}

/* Nobody may write the ring meanwhile. */
void kd_ring_reset(struct kd_ring *ring)
{
	memset(ring->info, 0, sizeof(*ring->info));
	ring->head = 0;
	ring->n_events = 0;
	ring->n_drops_buffer = 0;
	ring->n_drops_nested = 0;
	ring->n_unreadable = 0;
}
