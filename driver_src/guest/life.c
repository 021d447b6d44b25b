// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The beginning and the end of a driver's life in the guest: the module is inserted and removed, and of eBPF programs
 * it is seen that they have gone.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "guest.h"

static int load_module(const struct driver *driver, char *detail, size_t size)
{
	int status = module_insert(driver->path, "");

	if (status) {
		snprintf(detail, size, "finit_module: %s", strerror(status));
		return status;
	}
	if (!driver->foreign && !device_wait(driver->name, plan.limit_open)) {
		snprintf(detail, size, "no device /dev/%s0 appeared", driver->name);
		return ENODEV;
	}
	return 0;
}

/* The context of load_in_child: insertion can hang, so it has a process of its own. */
struct load {
	const struct driver *driver;
	const char *detail_path;
};

static int load_in_child(void *context)
{
	const struct load *load = context;
	char detail[KD_DETAIL] = "";
	int status = load_module(load->driver, detail, sizeof(detail));
	int fd = open(load->detail_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (write(fd, detail, strlen(detail)) < 0)
		return status ? status : EIO;
	close(fd);
	return status;
}

static int remove_in_child(void *context)
{
	const struct driver *driver = context;
	long until = now_ms() + plan.limit_unload;
	int status;

	/* Busy for a moment after the last consumer closed the device. */
	while ((status = module_remove(driver->name)) == EAGAIN || status == EBUSY || status == EWOULDBLOCK) {
		if (now_ms() > until)
			return status;
		nap_ms(20);
	}
	return status;
}

int step_load(const struct driver *driver)
{
	struct load load = {driver, "/tmp/load.detail"};
	char detail[KD_DETAIL];
	long started = now_ms();
	int status;

	result_stage(driver->kind, "load");
	status = child_wait(child_call(load_in_child, &load), plan.limit_load);
	file_tail(load.detail_path, detail, sizeof(detail));
	result_step(driver->kind, "load", status, now_ms() - started, detail);
	return status;
}

void step_unload(const struct driver *driver, int programs_before)
{
	long started = now_ms();
	char detail[256] = "";
	int status = 0, programs = -1;

	result_stage(driver->kind, "unload");
	if (strcmp(driver->kind, "kmod") == 0) {
		if (!module_present(driver->name))
			return;
		status = child_wait(child_call(remove_in_child, (void *)driver), plan.limit_unload + 5000);
		if (status)
			snprintf(detail, sizeof(detail), "delete_module: %s",
				 status == KD_TIMED_OUT ? "hung" : strerror(status));
		else if (module_present(driver->name)) {
			status = EBUSY;
			snprintf(detail, sizeof(detail), "module %s is still there", driver->name);
		} else if (device_present(driver->name)) {
			status = EBUSY;
			snprintf(detail, sizeof(detail), "device /dev/%s0 is still there", driver->name);
		}
	} else {
		/* The kernel frees programs some time after the last descriptor was closed. */
		while ((programs = bpf_programs()) > programs_before && now_ms() - started < plan.limit_unload)
			nap_ms(20);
		if (programs > programs_before) {
			status = EBUSY;
			snprintf(detail, sizeof(detail), "%d eBPF programs are still loaded",
				 programs - programs_before);
		}
	}
	result_step(driver->kind, "unload", status, now_ms() - started, detail);
}
