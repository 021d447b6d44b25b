// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * kd-capture: the catalogue's events by slot, id and name.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "capture.h"

const struct kd_event_desc *kd_event(unsigned int slot)
{
	return &kd_events[slot];
}

const struct kd_call_desc *kd_calls(bool compat)
{
	return compat ? kd_calls_i386 : kd_calls_x86_64;
}

const struct kd_event_desc *kd_event_by_id(unsigned int id)
{
	/* Ids are below 2048 today; a larger one is searched for. 0: none, else slot + 1. */
	static unsigned short by_id[2048];
	static bool filled;
	unsigned int slot;

	if (!filled) {
		for (slot = 0; slot < KD_SLOTS; slot++)
			if (kd_events[slot].id < 2048)
				by_id[kd_events[slot].id] = (unsigned short)(slot + 1);
		filled = true;
	}
	if (id < 2048)
		return by_id[id] ? &kd_events[by_id[id] - 1] : NULL;
	for (slot = 0; slot < KD_SLOTS; slot++)
		if (kd_events[slot].id == id)
			return &kd_events[slot];
	return NULL;
}

int kd_event_find(const char *name)
{
	unsigned int slot;

	for (slot = 0; slot < KD_SLOTS; slot++)
		if (strcmp(kd_events[slot].name, name) == 0)
			return (int)slot;
	return -1;
}

/* How many letters must be put in, left out or changed to make one name of the other. */
static unsigned int distance(const char *left, const char *right)
{
	unsigned int row[64], i, j, diagonal, next;
	size_t width = strlen(right);

	if (width >= 64)
		return 64;
	for (j = 0; j <= width; j++)
		row[j] = j;
	for (i = 0; left[i]; i++) {
		diagonal = row[0];
		row[0] = i + 1;
		for (j = 1; j <= width; j++) {
			next = diagonal + (left[i] != right[j - 1]);
			diagonal = row[j];
			if (row[j] + 1 < next)
				next = row[j] + 1;
			if (row[j - 1] + 1 < next)
				next = row[j - 1] + 1;
			row[j] = next;
		}
	}
	return row[width];
}

static unsigned int rank(const char *wanted, const char *name)
{
	unsigned int near = distance(wanted, name);

	if (strlen(wanted) >= 3 && (strstr(name, wanted) || strstr(wanted, name)))
		near = near > 2 ? 2 : near;
	return near;
}

void kd_event_nearest(const char *wanted, char *text, size_t size)
{
	unsigned int limit = strlen(wanted) > 4 ? 3 : 2, near, slot, found = 0;
	size_t used = 0;

	text[0] = 0;
	for (near = 0; near <= limit; near++) {
		for (slot = 0; slot < KD_SLOTS && found < 5; slot++) {
			if (rank(wanted, kd_events[slot].name) != near)
				continue;
			used += (size_t)snprintf(text + used, size - used, "%s%s", found ? ", " : "",
						 kd_events[slot].name);
			if (used >= size)
				return;
			found++;
		}
	}
}
