// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Process 1 of the guest: takes the drivers of the plan through their lives (load, open, cases, switching, competing
 * load, overrun, unload), writes what happened to the result channel, and ends the guest. It judges nothing.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/reboot.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "guest.h"

static void end_guest(int rc)
{
	result_close(rc);
	sync();
	/* QEMU runs with -no-reboot: this ends it. */
	reboot(RB_AUTOBOOT);
	for (;;)
		pause();
}

static void block_child_signal(void)
{
	sigset_t set;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
}

int main(void)
{
	struct utsname name;
	char bad_line[512];
	int i;

	system_setup();
	block_child_signal();
	if (result_open() != 0) {
		fprintf(stderr, "kd-guest: /dev/ttyS1 cannot be opened\n");
		end_guest(1);
	}
	bulk_open();
	uname(&name);
	result_printf("{\"hello\":1,\"release\":\"%s\",\"version\":\"%s\"}", name.release, name.version);
	result_end_line();
	result_flush();
	if (!plan_read(bad_line, sizeof(bad_line))) {
		result_step("-", "plan", 1, 0, bad_line);
		end_guest(1);
	}
	for (i = 0; i < plan.n_modules; i++) {
		int status = module_insert(plan.modules[i], "");

		if (status && status != EEXIST)
			result_step("-", "module", status, 0, plan.modules[i]);
	}
	if (plan.cost_calls > 0)
		cost_base();
	if (plan.shell[0])
		end_guest(shell_run(plan.shell));
	if (plan.together)
		run_together(plan.drivers, plan.n_drivers);
	for (i = 0; !plan.together && i < plan.n_drivers; i++)
		run_driver(&plan.drivers[i]);
	end_guest(0);
	return 0;
}
