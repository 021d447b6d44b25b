// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * kd-capture: the events of all CPUs in the order of time.
 *
 * Each CPU has a queue of copied blocks. A round of the loop notes the time, empties all rings into the queues and then
 * releases what is older than that time less a window. The order of one thread's events is exact whatever the window
 * is: an event is in its ring before the thread's next one gets its time, so when the later of two is released the
 * earlier one was in its ring before the rings were emptied. The window only serves the order between threads: for
 * it, a program that has taken its time may still be at work.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "capture.h"

struct queued {
	__u64 ts;
	__u32 size;
	unsigned char bytes[];
};

struct queue {
	struct queued **items; /* a ring of capacity slots (a power of two) */
	size_t capacity;
	size_t head; /* counts up; slot = head & (capacity - 1) */
	size_t tail;
	size_t added; /* bytes since kd_merge_fullest was asked */
};

struct kd_merge {
	unsigned int cpus;
	bool sort;
	void (*see)(__u32 tid, __u64 ts);
	size_t bytes;
	struct queue *queues;
	unsigned int *heap; /* CPUs with a queue that is not empty, the one with the oldest head first; see release */
};

struct kd_merge *kd_merge_new(unsigned int cpus, bool sort, void (*see)(__u32 tid, __u64 ts))
{
	struct kd_merge *merge = calloc(1, sizeof(*merge));

	if (!merge)
		return NULL;
	merge->cpus = cpus;
	merge->sort = sort;
	merge->see = see;
	merge->queues = calloc(cpus, sizeof(*merge->queues));
	merge->heap = calloc(cpus, sizeof(*merge->heap));
	if (!merge->queues || !merge->heap) {
		kd_merge_free(merge);
		return NULL;
	}
	return merge;
}

static struct queued **queue_slot(const struct queue *queue, size_t position)
{
	return &queue->items[position & (queue->capacity - 1)];
}

void kd_merge_free(struct kd_merge *merge)
{
	unsigned int cpu;

	if (!merge)
		return;
	for (cpu = 0; merge->queues && cpu < merge->cpus; cpu++) {
		struct queue *queue = &merge->queues[cpu];

		while (queue->head != queue->tail)
			free(*queue_slot(queue, queue->head++));
		free(queue->items);
	}
	free(merge->queues);
	free(merge->heap);
	free(merge);
}

static int queue_grow(struct queue *queue)
{
	size_t capacity = queue->capacity ? queue->capacity * 2 : 256;
	struct queued **items = malloc(capacity * sizeof(*items));
	size_t position;

	if (!items)
		return -ENOMEM;
	for (position = queue->head; position != queue->tail; position++)
		items[position & (capacity - 1)] = *queue_slot(queue, position);
	free(queue->items);
	queue->items = items;
	queue->capacity = capacity;
	return 0;
}

int kd_merge_add(struct kd_merge *merge, unsigned int cpu, const void *block, __u32 size)
{
	struct queue *queue;
	struct queued *item;
	size_t position;

	if (cpu >= merge->cpus)
		return -EINVAL;
	queue = &merge->queues[cpu];
	if (queue->tail - queue->head == queue->capacity && queue_grow(queue) != 0)
		return -ENOMEM;
	item = malloc(sizeof(*item) + size);
	if (!item)
		return -ENOMEM;
	item->ts = 0; /* a block too short for its header comes out at once, to be reported */
	if (size >= sizeof(item->ts))
		memcpy(&item->ts, block, sizeof(item->ts));
	if (merge->see && size >= 12) {
		__u32 tid;

		memcpy(&tid, (const char *)block + 8, sizeof(tid)); /* the low half of the header's second field */
		merge->see(tid, item->ts);
	}
	item->size = size;
	memcpy(item->bytes, block, size);
	position = queue->tail++;
	while (merge->sort && position != queue->head && (*queue_slot(queue, position - 1))->ts > item->ts) {
		*queue_slot(queue, position) = *queue_slot(queue, position - 1);
		position--;
	}
	*queue_slot(queue, position) = item;
	merge->bytes += size;
	queue->added += size;
	return 0;
}

size_t kd_merge_bytes(const struct kd_merge *merge)
{
	return merge->bytes;
}

size_t kd_merge_fullest(struct kd_merge *merge)
{
	size_t fullest = 0;
	unsigned int cpu;

	for (cpu = 0; cpu < merge->cpus; cpu++) {
		if (merge->queues[cpu].added > fullest)
			fullest = merge->queues[cpu].added;
		merge->queues[cpu].added = 0;
	}
	return fullest;
}

static __u64 head_time(const struct kd_merge *merge, unsigned int cpu, __u64 now)
{
	const struct queue *queue = &merge->queues[cpu];
	__u64 ts = (*queue_slot(queue, queue->head))->ts;

	/* Later than now: stamped before the clock was set back. It must not hold up its queue. */
	return ts > now ? 0 : ts;
}

static void heap_sink(struct kd_merge *merge, unsigned int count, unsigned int at, __u64 now)
{
	for (;;) {
		unsigned int least = at, child = 2 * at + 1, swap, end;

		end = child + 2 < count ? child + 2 : count;
		for (; child < end; child++)
			if (head_time(merge, merge->heap[child], now) < head_time(merge, merge->heap[least], now))
				least = child;
		if (least == at)
			return;
		swap = merge->heap[at];
		merge->heap[at] = merge->heap[least];
		merge->heap[least] = swap;
		at = least;
	}
}

int kd_merge_release(struct kd_merge *merge, __u64 horizon, __u64 now, kd_emit emit, void *context)
{
	unsigned int count = 0, cpu, at;

	for (cpu = 0; cpu < merge->cpus; cpu++)
		if (merge->queues[cpu].head != merge->queues[cpu].tail)
			merge->heap[count++] = cpu;
	for (at = count / 2; at-- > 0;)
		heap_sink(merge, count, at, now);
	while (count > 0 && head_time(merge, merge->heap[0], now) <= horizon) {
		struct queue *queue;
		struct queued *item;
		int stop;

		cpu = merge->heap[0];
		queue = &merge->queues[cpu];
		item = *queue_slot(queue, queue->head++);
		merge->bytes -= item->size;
		stop = emit(context, cpu, item->bytes, item->size);
		free(item);
		if (stop)
			return stop;
		if (queue->head == queue->tail)
			merge->heap[0] = merge->heap[--count];
		heap_sink(merge, count, 0, now);
	}
	return 0;
}
