// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * kd-capture: commands on standard input, one a line; each is answered by one line on standard output.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "session.h"

static char line[512];
static size_t used;
static bool too_long;

static void answer(const char *command, const char *error)
{
	kd_out_text("{\"ack\":");
	kd_out_json_text(command);
	kd_out_format(",\"ok\":%s", error ? "false" : "true");
	if (error) {
		kd_out_text(",\"error\":");
		kd_out_json_text(error);
	}
	kd_out_text("}\n");
	kd_out_flush();
}

static void switch_event(struct kd_driver *driver, const char *command, const char *name, bool on)
{
	char near[256], text[400];
	int slot = kd_event_find(name);

	if (slot < 0 && kd_call_find(name) >= 0) {
		answer(command, driver->ops->select_call(driver, (unsigned int)kd_call_find(name), on) == 0
					? NULL
					: driver->reason);
	} else if (slot < 0) {
		kd_event_nearest(name, near, sizeof(near));
		snprintf(text, sizeof(text), "no event is called %.64s%s%s", name, near[0] ? "; near to it: " : "",
			 near);
		answer(command, text);
	} else if (driver->ops->select(driver, (unsigned int)slot, on) != 0) {
		answer(command, driver->reason);
	} else {
		answer(command, NULL);
	}
}

static void set_snaplen(struct kd_driver *driver, const char *command, const char *text)
{
	char *end;
	unsigned long number = strtoul(text, &end, 10);
	int status;

	if (*text < '0' || *text > '9' || *end || number > KD_SNAPLEN_MAX) {
		answer(command, "snaplen: expected a number of bytes from 0 to 16384");
		return;
	}
	status = driver->ops->set_snaplen(driver, (__u32)number);
	answer(command, status ? strerror(-status) : NULL);
}

/* The dynamic capture length; what was not said stays as it is. */
static void set_dynamic(struct kd_session *session, const char *command, const char *wrong)
{
	struct kd_driver *driver = kd_session_driver(session);
	int status = wrong ? 0 : driver->ops->set_dynamic(driver, session->dynamic_snaplen, &session->ports);

	answer(command, wrong ? wrong : status ? strerror(-status) : NULL);
}

static bool read_switch(struct kd_session *session, const char *text)
{
	session->dynamic_snaplen = strcmp(text, "on") == 0;
	return session->dynamic_snaplen || strcmp(text, "off") == 0;
}

static void carry_out(struct kd_session *session, const char *command)
{
	struct kd_driver *driver = kd_session_driver(session);

	if (strncmp(command, "enable ", 7) == 0) {
		switch_event(driver, command, command + 7, true);
	} else if (strncmp(command, "disable ", 8) == 0) {
		switch_event(driver, command, command + 8, false);
	} else if (strncmp(command, "snaplen ", 8) == 0) {
		set_snaplen(driver, command, command + 8);
	} else if (strncmp(command, "dynamic-snaplen ", 16) == 0) {
		set_dynamic(session, command, read_switch(session, command + 16) ? NULL : "expected on or off");
	} else if (strncmp(command, "fullcapture-ports ", 18) == 0) {
		set_dynamic(session, command,
			    kd_read_ports(&session->ports, command + 18) ? NULL
									 : "expected a range of ports, like 7000-7010");
	} else if (strncmp(command, "statsd-port ", 12) == 0) {
		set_dynamic(session, command,
			    kd_read_port(command + 12, &session->ports.statsd) ? NULL
									       : "expected a number from 0 to 65535");
	} else if (strcmp(command, "stats") == 0) {
		kd_session_stats(session);
		answer(command, NULL);
	} else if (strcmp(command, "flush") == 0) {
		kd_session_flush(session);
		answer(command, NULL);
	} else if (strcmp(command, "quit") == 0) {
		kd_session_quit(session);
	} else {
		answer(command,
		       "expected: enable EVENT, disable EVENT, snaplen N, dynamic-snaplen on|off, fullcapture-ports A-B, "
		       "statsd-port N, stats, flush or quit");
	}
}

static void take(struct kd_session *session, const char *bytes, size_t size)
{
	size_t i;

	for (i = 0; i < size; i++) {
		if (bytes[i] != '\n') {
			if (used + 1 < sizeof(line))
				line[used++] = bytes[i];
			else
				too_long = true;
			continue;
		}
		line[used] = 0;
		if (too_long)
			answer(line, "the line is too long");
		else if (used > 0)
			carry_out(session, line);
		used = 0;
		too_long = false;
	}
}

void kd_control_read(struct kd_session *session)
{
	char bytes[4096];
	ssize_t size = read(STDIN_FILENO, bytes, sizeof(bytes));

	if (size > 0)
		take(session, bytes, (size_t)size);
	else if (size == 0 || (errno != EINTR && errno != EAGAIN))
		kd_session_quit(session); /* whoever gave the commands has gone */
}
