/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The guest of test_kmod_guest.py: process 1 that loads the module and checks its devices from inside. Each check
 * writes one line to the second serial port: `pass NAME`, or `fail NAME: what was wrong`.
 */
#ifndef GUEST_H
#define GUEST_H

#include <errno.h>
#include <linux/ioctl.h>
#include <linux/types.h>
#include <string.h>

#include "kd_catalogue.h"
#include "kd_ioctl.h"

#define MODULE "kdriver"
#define PARAMETERS "/sys/module/" MODULE "/parameters/"
#define MAX_CPUS 8
#define MAX_PARAMS 40

/* Notes a failure of the running check and goes on. */
#define EXPECT(condition, ...)                                                         \
	do {                                                                           \
		if (!(condition))                                                      \
			expect_failed(__FILE__, __LINE__, #condition, "" __VA_ARGS__); \
	} while (0)

struct event {
	struct kd_block_header header;
	const unsigned char *value[MAX_PARAMS];
	unsigned short len[MAX_PARAMS];
};

typedef void (*event_fn)(const struct event *event, void *context);

/* What a drain counts: events of one thread (0: of all) and one type; for the generic event, of one call. */
struct count {
	long long tid;
	int type;
	int call; /* of generic events only */
	const char *string; /* counted in `matches` where a parameter is this string */
	int events;
	int matches;
	int timed; /* whose last parameter is a time of entry within the last 5 s */
	unsigned int nparams;
	unsigned int second_len; /* length of the second parameter */
};

void expect_failed(const char *file, int line, const char *condition, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

int devices_open(void); /* 0 or a negative errno */
void devices_close(void);
unsigned int ring_bytes(void);
unsigned int devices(void);
struct kd_ring_info *ring_info(unsigned int index);
const unsigned char *ring_data(unsigned int index);
int device_file(unsigned int index);
long control(unsigned int number, unsigned long argument); /* result or negative errno */
struct kd_stats statistics(void);
void drain(event_fn each, void *context); /* consumes everything; malformed blocks fail the check */
void count_events(const struct event *event, void *context); /* context: struct count */
struct count drain_count(struct count wanted);
unsigned int drain_types(unsigned int type); /* how many of that type, any thread */
long long own_tid(void);
long i386_call(long number, long first);
long i386_call2(long number, long first, long second);

int module_load(const char *arguments); /* 0 or a negative errno */
int module_unload(void);

struct check {
	const char *name;
	void (*run)(void);
};

extern const struct check scap_checks[], native_checks[], load_checks[];

#endif
