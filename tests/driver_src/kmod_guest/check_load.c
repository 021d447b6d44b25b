// SPDX-License-Identifier: GPL-2.0-only OR MIT
/* Loading, unloading, several consumers, and selections that change under load. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "guest.h"

#define CLOSE_X 5
#define SWITCH_E 152
#define SENDTO_X 31
#define RECVFROM_X 35
#define CONSUMERS 5
#define THREADS 2

static volatile int stop;

static void nodes_are_readable_by_root_only(void)
{
	struct stat node;

	EXPECT(stat("/dev/" MODULE "0", &node) == 0);
	EXPECT((node.st_mode & 0777) == 0400, "%o", node.st_mode);
}

static void write_parameter(const char *text, int accepted)
{
	int file = open(PARAMETERS "g_buffer_bytes_dim", O_WRONLY);

	EXPECT((write(file, text, strlen(text)) > 0) == accepted, "%s", text);
	close(file);
}

static void ring_size_is_checked(void)
{
	write_parameter("100000", 0);
	write_parameter("8192", 0);
	write_parameter("0", 0);
	write_parameter("nonsense", 0);
	write_parameter("2097152", 1);
	devices_close();
	EXPECT(devices_open() == 0 && ring_bytes() == 2097152);
	write_parameter("1048576", 1);
}

static void module_is_held_while_open(void)
{
	EXPECT(module_unload() == -EAGAIN);
}

static void *open_device(void *result)
{
	*(int *)result = open("/dev/" MODULE "0", O_RDWR | O_CLOEXEC);
	if (*(int *)result < 0)
		*(int *)result = -errno;
	return NULL;
}

static void consumers_are_limited(void)
{
	int results[CONSUMERS + 1];

	devices_close();
	for (int i = 0; i <= CONSUMERS; i++) {
		pthread_t thread;

		pthread_create(&thread, NULL, open_device, &results[i]);
		pthread_join(thread, NULL);
	}
	for (int i = 0; i < CONSUMERS; i++)
		EXPECT(results[i] >= 0, "consumer %d: %d", i, results[i]);
	EXPECT(results[CONSUMERS] == -EBUSY, "%d", results[CONSUMERS]);
	for (int i = 0; i < CONSUMERS; i++)
		close(results[i]);
	EXPECT(devices_open() == 0, "closing made room");
}

static void *call_all_the_time(void *unused)
{
	while (!stop) {
		syscall(SYS_getppid);
		sched_yield();
	}
	return unused;
}

/* A consumer that comes, changes its mind, and goes, without pause. */
static void *come_and_go(void *unused)
{
	static const unsigned int ids[] = {KD_EVENT_GENERIC, CLOSE_X, SWITCH_E};

	while (!stop) {
		int file = open("/dev/" MODULE "0", O_RDWR | O_CLOEXEC);

		for (int i = 0; i < 3; i++)
			ioctl(file, KD_IOC_SELECT, ids[i]);
		ioctl(file, KD_IOC_ENTER_TIME, 1);
		usleep(1000);
		ioctl(file, KD_IOC_ENTER_TIME, 0);
		ioctl(file, KD_IOC_DESELECT, SWITCH_E);
		close(file);
	}
	return unused;
}

/* What one consumer gets does not depend on what others do. */
static void others_disturb_nobody(void)
{
	pthread_t busy[THREADS], fickle[THREADS];
	struct count all = {.tid = own_tid(), .type = CLOSE_X};

	EXPECT(control(KD_IOC_SELECT, CLOSE_X) == 0);
	EXPECT(control(KD_IOC_ENTER_TIME, 1) == 0);
	stop = 0;
	for (int i = 0; i < THREADS; i++) {
		pthread_create(&busy[i], NULL, call_all_the_time, NULL);
		pthread_create(&fickle[i], NULL, come_and_go, NULL);
	}
	for (int round = 0; round < 60; round++) {
		for (int i = 0; i < 50; i++)
			syscall(SYS_close, 9999);
		drain(count_events, &all);
		usleep(5000);
	}
	stop = 1;
	for (int i = 0; i < THREADS; i++) {
		pthread_join(busy[i], NULL);
		pthread_join(fickle[i], NULL);
	}
	drain(count_events, &all);
	EXPECT(all.events == 3000 && all.timed == 3000, "%d %d", all.events, all.timed);
	EXPECT(statistics().drops_buffer == 0 && statistics().drops_nested == 0);
}

#define SHARED_FD 60

/* Calls on a descriptor that is another socket every time, or none. */
static void *call_on_shared(void *unused)
{
	char byte = 'x';

	while (!stop) {
		sendto(SHARED_FD, &byte, 1, MSG_DONTWAIT | MSG_NOSIGNAL, NULL, 0);
		recvfrom(SHARED_FD, &byte, 1, MSG_DONTWAIT, NULL, NULL);
	}
	return unused;
}

static void replace_shared(int round)
{
	static const int types[] = {SOCK_DGRAM, SOCK_STREAM, SOCK_SEQPACKET};
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	int pair[2];

	/* An abstract name, in memory of its own that goes with the socket. */
	snprintf(name.sun_path + 1, sizeof(name.sun_path) - 1, "shared-%d", round);
	if (socketpair(AF_UNIX, types[round % 3], 0, pair) != 0)
		return;
	bind(pair[1], (struct sockaddr *)&name, sizeof(name));
	dup2(pair[0], SHARED_FD);
	close(pair[0]);
	close(pair[1]);
	if (round % 2)
		close(SHARED_FD);
}

/* A socket and its peer go while the hook of another thread's call looks at them: that is no trouble (see the kernel's log). */
static void sockets_go_under_a_call(void)
{
	struct count sent = {.type = SENDTO_X}, received = {.type = RECVFROM_X};
	pthread_t callers[THREADS];

	EXPECT(control(KD_IOC_SELECT, SENDTO_X) == 0);
	EXPECT(control(KD_IOC_SELECT, RECVFROM_X) == 0);
	stop = 0;
	for (int i = 0; i < THREADS; i++)
		pthread_create(&callers[i], NULL, call_on_shared, NULL);
	for (int round = 0; round < 3000; round++) {
		replace_shared(round);
		if (round % 100 == 0)
			sent.events += drain_types(SENDTO_X);
	}
	stop = 1;
	for (int i = 0; i < THREADS; i++)
		pthread_join(callers[i], NULL);
	close(SHARED_FD);
	syscall(SYS_recvfrom, -1, NULL, 0, 0, NULL, NULL);
	drain(count_events, &received);
	EXPECT(sent.events > 0 && received.events > 0, "%d %d", sent.events, received.events);
	EXPECT(control(KD_IOC_DESELECT, SENDTO_X) == 0);
	EXPECT(control(KD_IOC_DESELECT, RECVFROM_X) == 0);
}

static void module_comes_and_goes(void)
{
	devices_close();
	for (int i = 0; i < 5; i++) {
		EXPECT(module_unload() == 0);
		EXPECT(access("/dev/" MODULE "0", F_OK) < 0);
		EXPECT(module_load("g_buffer_bytes_dim=1000") == -EINVAL);
		EXPECT(module_load("g_buffer_bytes_dim=1048576") == 0);
		EXPECT(devices_open() == 0);
		EXPECT(control(KD_IOC_SELECT, CLOSE_X) == 0);
		EXPECT(control(KD_IOC_SELECT, SWITCH_E) == 0);
		EXPECT(control(KD_IOC_ENTER_TIME, 1) == 0);
		devices_close();
	}
	EXPECT(devices_open() == 0);
}

const struct check load_checks[] = {
	{"nodes_are_readable_by_root_only", nodes_are_readable_by_root_only},
	{"ring_size_is_checked", ring_size_is_checked},
	{"module_is_held_while_open", module_is_held_while_open},
	{"consumers_are_limited", consumers_are_limited},
	{"others_disturb_nobody", others_disturb_nobody},
	{"sockets_go_under_a_call", sockets_go_under_a_call},
	{"module_comes_and_goes", module_comes_and_goes},
	{NULL, NULL},
};
