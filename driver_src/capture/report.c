// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * kd-capture: what it says about the driver and about itself: ready, and the counts.
 */
#include <stdio.h>

#include "session.h"

static void out_count(const char *name, unsigned long long count)
{
	kd_out_format(",\"%s\":", name);
	if (count == KD_UNCOUNTABLE)
		kd_out_text("null");
	else
		kd_out_unsigned(count);
}

/* All that was lost as far as the kernel counts it: runs that it skipped, too. */
static unsigned long long all_drops(const struct kd_counts *counts)
{
	unsigned long long missed = counts->missed_runs == KD_UNCOUNTABLE ? 0 : counts->missed_runs;

	return counts->drops_buffer + counts->drops_scratch + missed;
}

static void stats_json(const struct kd_session *session, const struct kd_counts *counts)
{
	const struct kd_driver *driver = session->driver;
	unsigned int i;

	kd_out_format("{\"stats\":{\"driver\":\"%s\",\"program_type\":", driver ? driver->kind : "file");
	if (driver && driver->program_type)
		kd_out_json_text(driver->program_type);
	else
		kd_out_text("null");
	out_count("events", counts->events);
	out_count("drops", all_drops(counts));
	out_count("drops_buffer", counts->drops_buffer);
	out_count("drops_scratch", counts->drops_scratch);
	out_count("missed_runs", counts->missed_runs);
	kd_out_text(",\"uncountable\":[");
	for (i = 0; i < counts->uncountable_count; i++)
		kd_out_format("%s\"%s\"", i ? "," : "", counts->uncountable[i]);
	kd_out_char(']');
	out_count("unreadable", counts->unreadable);
	out_count("printed", session->printed);
	out_count("malformed", session->malformed);
	kd_out_text("}}\n");
}

static void stats_human(const struct kd_session *session, const struct kd_counts *counts)
{
	fprintf(stderr, "%llu events, %llu printed, %llu dropped", counts->events, session->printed, all_drops(counts));
	if (counts->missed_runs == KD_UNCOUNTABLE)
		fprintf(stderr, ", missed runs: uncountable on this kernel");
	else
		fprintf(stderr, ", %llu missed runs", counts->missed_runs);
	if (session->malformed)
		fprintf(stderr, ", %llu malformed", session->malformed);
	fputc('\n', stderr);
}

void kd_session_stats(struct kd_session *session)
{
	struct kd_counts counts = {0};

	if (session->driver)
		session->driver->ops->stats(session->driver, &counts);
	if (session->options->json || session->options->control)
		stats_json(session, &counts);
	kd_out_flush();
	if (!session->options->json && !session->options->control)
		stats_human(session, &counts);
}

static void out_events(const struct kd_session *session)
{
	const struct kd_driver *driver = session->driver;
	unsigned int slot;
	bool first = true;

	kd_out_text(",\"events\":[");
	for (slot = 0; slot < KD_SLOTS; slot++) {
		if (!session->options->selected[slot] || driver->unavailable[slot])
			continue;
		kd_out_format("%s\"%s\"", first ? "" : ",", kd_event(slot)->name);
		first = false;
	}
	first = true;
	kd_out_text("],\"unavailable\":[");
	for (slot = 0; slot < KD_SLOTS; slot++) {
		if (!driver->unavailable[slot])
			continue;
		kd_out_format("%s{\"event\":\"%s\",\"reason\":", first ? "" : ",", kd_event(slot)->name);
		kd_out_json_text(driver->unavailable[slot]);
		kd_out_char('}');
		first = false;
	}
	kd_out_char(']');
}

void kd_report_ready_json(const struct kd_session *session)
{
	const struct kd_driver *driver = session->driver;

	kd_out_format("{\"ready\":true,\"driver\":\"%s\",\"program_type\":", driver->kind);
	if (driver->program_type)
		kd_out_json_text(driver->program_type);
	else
		kd_out_text("null");
	kd_out_format(",\"buffer\":\"%s\",\"buffer_bytes\":%zu,\"cpus\":%u,\"snaplen\":%u,\"enter_time\":%s",
		      driver->buffer, driver->buffer_bytes, driver->cpus, session->options->snaplen,
		      driver->enter_time ? "true" : "false");
	kd_out_format(",\"api\":\"%s\",\"schema\":\"%s\",\"driver_version\":", KD_API_VERSION, KD_SCHEMA_VERSION);
	if (driver->version)
		kd_out_json_text(driver->version);
	else
		kd_out_text("null");
	out_events(session);
	kd_out_text("}\n");
	kd_out_flush();
}

void kd_report_ready_human(const struct kd_session *session)
{
	const struct kd_driver *driver = session->driver;
	unsigned int slot;

	fprintf(stderr, "%s driver", driver->kind);
	if (driver->program_type)
		fprintf(stderr, ", %s programs", driver->program_type);
	fprintf(stderr, ", %s of %zu bytes for each of %u CPUs\n", driver->buffer, driver->buffer_bytes, driver->cpus);
	for (slot = 0; slot < KD_SLOTS; slot++)
		if (session->options->selected[slot] && driver->unavailable[slot])
			fprintf(stderr, "%s is not available: %s\n", kd_event(slot)->name, driver->unavailable[slot]);
}
