/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Registration on tracepoints, and the prototypes of those that changed: process context.
 *
 * Since 3.15 (de7b2973903c) a tracepoint is registered by its structure, which a module finds by walking over all of
 * them; before (all of RHEL 7), by name. sched_switch: (prev, next) until 4.3; preempt in front since 4.4
 * (c73464b1c843); prev_state between preempt and prev in 5.18 (fa2c3254d7cf), moved to the end in 5.19 and 5.18.x
 * (9c2136be0878). sched_process_exit: group_dead added in 6.16.
 */
#ifndef KD_COMPAT_TRACEPOINT_H
#define KD_COMPAT_TRACEPOINT_H

#include <linux/delay.h>
#include <linux/errno.h>
#include <linux/string.h>
#include <linux/tracepoint.h>

#if defined(KD_SCHED_SWITCH__PREV_NEXT)
#define KD_SCHED_SWITCH_ARGS void *unused, struct task_struct *prev, struct task_struct *next
#elif defined(KD_SCHED_SWITCH__PREEMPT_PREV_NEXT)
#define KD_SCHED_SWITCH_ARGS void *unused, bool preempt, struct task_struct *prev, struct task_struct *next
#elif defined(KD_SCHED_SWITCH__PREEMPT_STATE_PREV_NEXT)
#define KD_SCHED_SWITCH_ARGS \
	void *unused, bool preempt, unsigned int prev_state, struct task_struct *prev, struct task_struct *next
#elif defined(KD_SCHED_SWITCH__PREEMPT_PREV_NEXT_STATE)
#define KD_SCHED_SWITCH_ARGS \
	void *unused, bool preempt, struct task_struct *prev, struct task_struct *next, unsigned int prev_state
#endif

#if defined(KD_PROCESS_EXIT__TASK)
#define KD_PROCESS_EXIT_ARGS void *unused, struct task_struct *task
#elif defined(KD_PROCESS_EXIT__TASK_GROUP_DEAD)
#define KD_PROCESS_EXIT_ARGS void *unused, struct task_struct *task, bool group_dead
#endif

/*
 * Until 5.11 (befe6d946551) taking a probe away needs memory. Where there is none the probe stays, and it must not outlive its
 * consumer, nor the module.
 */
#define KD_UNREGISTER_PAUSE_MS 10

/* tracepoint: NULL until it is found; always NULL where registration is by name. */
struct kd_tracepoint {
	const char *name;
	struct tracepoint *tracepoint;
};

#if defined(KD_TRACEPOINT__BY_STRUCT)
static inline void kd_tracepoint_match(struct tracepoint *tracepoint, void *wanted)
{
	struct kd_tracepoint *t = wanted;

	if (!strcmp(tracepoint->name, t->name))
		t->tracepoint = tracepoint;
}

static inline int kd_tracepoint_register(struct kd_tracepoint *t, void *probe)
{
	if (!t->tracepoint)
		for_each_kernel_tracepoint(kd_tracepoint_match, t);
	if (!t->tracepoint)
		return -EOPNOTSUPP;
	return tracepoint_probe_register(t->tracepoint, probe, NULL);
}

static inline void kd_tracepoint_unregister(struct kd_tracepoint *t, void *probe)
{
	while (tracepoint_probe_unregister(t->tracepoint, probe, NULL) == -ENOMEM)
		msleep(KD_UNREGISTER_PAUSE_MS);
}
#elif defined(KD_TRACEPOINT__BY_NAME)
static inline int kd_tracepoint_register(struct kd_tracepoint *t, void *probe)
{
	return tracepoint_probe_register(t->name, probe, NULL);
}

static inline void kd_tracepoint_unregister(struct kd_tracepoint *t, void *probe)
{
	while (tracepoint_probe_unregister(t->name, probe, NULL) == -ENOMEM)
		msleep(KD_UNREGISTER_PAUSE_MS);
}
#endif

#endif
