/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * kd-capture: one run of it.
 */
#ifndef KD_CAPTURE_SESSION_H
#define KD_CAPTURE_SESSION_H

#include "capture.h"

struct kd_session {
	const struct kd_options *options;
	struct kd_driver *driver;
	struct kd_merge *merge;
	__u32 self; /* this program's only thread */
	bool done;
	bool dynamic_snaplen; /* as it is now, and what it is asked for */
	struct kd_ports ports;
	__u64 blocked_since; /* monotonic; 0: no ring is held up */
	__u64 end; /* when it was told to stop: hooks go one after the other, events end at one time; 0: not yet */
	unsigned long long printed;
	unsigned long long malformed;
};

/* A kd_emit: prints a block that is wanted. */
int kd_session_emit(void *context, unsigned int cpu, const void *bytes, __u32 size);

/* ---- report.c ---- */

void kd_report_ready_json(const struct kd_session *session);
void kd_report_ready_human(const struct kd_session *session);

/* ---- offline.c ---- */

/* The whole run when blocks come from files; returns the exit status. */
int kd_decode_files(struct kd_session *session);

#endif
