// SPDX-License-Identifier: GPL-2.0-only OR MIT
/* Our own controls: events by id, entry times, capture lengths, full rings. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest.h"

#define PAGE 4096
#define OPEN_X 3
#define CLOSE_X 5
#define WRITE_X 9
#define EXIT_GROUP 1025
#define TCP_CONNECT 1026

/* Not zero, so that its pages are there: nothing is captured of a page that nobody touched yet. */
static char big[20000] = {1};

static void our_versions(void)
{
	struct kd_version version;

	EXPECT(control(KD_IOC_VERSION, (unsigned long)&version) == 0);
	EXPECT(version.api == KD_API_VERSION_PACKED && version.schema == KD_SCHEMA_VERSION_PACKED);
	EXPECT(version.slots == KD_SLOTS && version.ring_bytes == ring_bytes());
	EXPECT(!strcmp(version.driver, KD_DRIVER_VERSION));
}

static void events_are_selected_by_id(void)
{
	static const int ids[] = {KD_EVENT_GENERIC, CLOSE_X, EXIT_GROUP};
	pid_t child;

	EXPECT(control(KD_IOC_SELECT, 4000) == -ENOENT);
	for (unsigned int i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
		EXPECT(control(KD_IOC_SELECT, ids[i]) == 0);
		EXPECT(control(KD_IOC_SELECT, ids[i]) == 0, "twice");
	}
	for (int i = 0; i < 500; i++)
		syscall(SYS_getppid);
	EXPECT(drain_count((struct count){own_tid(), KD_EVENT_GENERIC, SYS_getppid}).events == 500);
	child = fork();
	if (!child)
		syscall(SYS_exit_group, 7);
	waitpid(child, NULL, 0);
	EXPECT(drain_count((struct count){child, EXIT_GROUP}).events == 1);
	EXPECT(control(KD_IOC_DESELECT, CLOSE_X) == 0);
	syscall(SYS_close, 9999);
	EXPECT(drain_count((struct count){own_tid(), CLOSE_X}).events == 0);
}

static void connections_are_events(void)
{
	struct sockaddr_in to = {AF_INET, htons(9), {htonl(INADDR_LOOPBACK)}};
	int file = socket(AF_INET, SOCK_STREAM, 0);

	EXPECT(control(KD_IOC_SELECT, TCP_CONNECT) == 0, "this kernel has kprobes");
	EXPECT(connect(file, (struct sockaddr *)&to, sizeof(to)) < 0);
	close(file);
	EXPECT(drain_count((struct count){own_tid(), TCP_CONNECT}).events == 1);
}

/* Strings up to the last byte before a hole are whole; one that runs into it is left empty, and counted. */
static void strings_end_at_the_page(void)
{
	char *pages = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct count found;

	munmap(pages + PAGE, PAGE);
	EXPECT(control(KD_IOC_SELECT, OPEN_X) == 0);
	memcpy(pages + PAGE - 6, "/edge", 6);
	syscall(SYS_open, pages + PAGE - 6, 0);
	found = drain_count((struct count){own_tid(), OPEN_X, 0, "/edge"});
	EXPECT(found.events == 1 && found.matches == 1);
	EXPECT(statistics().unreadable == 0);
	memcpy(pages + PAGE - 6, "/edgeX", 6);
	syscall(SYS_open, pages + PAGE - 6, 0);
	syscall(SYS_open, (char *)8, 0);
	syscall(SYS_open, (char *)-4096L, 0);
	found = drain_count((struct count){own_tid(), OPEN_X});
	EXPECT(found.events == 3 && found.second_len == 0);
	EXPECT(statistics().unreadable == 3, "%llu", statistics().unreadable);
	munmap(pages, PAGE);
}

static void entry_time_is_a_parameter_when_asked_for(void)
{
	struct count found;

	EXPECT(control(KD_IOC_SELECT, CLOSE_X) == 0);
	EXPECT(control(KD_IOC_ENTER_TIME, 1) == 0);
	for (int i = 0; i < 500; i++)
		syscall(SYS_close, 9999);
	found = drain_count((struct count){own_tid(), CLOSE_X});
	EXPECT(found.events == 500 && found.timed == 500 && found.nparams == 3, "%d %d", found.events, found.timed);
	EXPECT(control(KD_IOC_ENTER_TIME, 0) == 0);
	drain(NULL, NULL);
	syscall(SYS_close, 9999);
	found = drain_count((struct count){own_tid(), CLOSE_X});
	EXPECT(found.events == 1 && found.nparams == 2);
}

static void capture_length_is_kept(void)
{
	static const unsigned int lengths[][2] = {{0, 0}, {80, 80}, {16384, 16384}, {65000, sizeof(big)}};
	int sink = open("/dev/null", O_WRONLY);

	EXPECT(control(KD_IOC_SELECT, WRITE_X) == 0);
	for (unsigned int i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		struct count found;

		EXPECT(control(KD_SCAP_SET_SNAPLEN, lengths[i][0]) == 0);
		EXPECT(write(sink, big, sizeof(big)) == sizeof(big));
		found = drain_count((struct count){own_tid(), WRITE_X});
		EXPECT(found.events == 1 && found.second_len == lengths[i][1], "%u", found.second_len);
	}
	close(sink);
}

/* Every event is either in the ring or counted, and the ring goes on after it was full. */
static void a_full_ring_counts_its_drops(void)
{
	int sink = open("/dev/null", O_WRONLY);
	int wanted = 3 * (ring_bytes() / 16000) * devices();
	struct kd_stats stats;
	struct count found;

	EXPECT(control(KD_IOC_SELECT, WRITE_X) == 0);
	EXPECT(control(KD_SCAP_SET_SNAPLEN, 16000) == 0);
	for (int i = 0; i < wanted; i++)
		(void)!write(sink, big, 16000);
	stats = statistics();
	found = drain_count((struct count){own_tid(), WRITE_X});
	EXPECT(found.events > 10 && found.events < wanted);
	EXPECT((unsigned long long)found.events == stats.events);
	EXPECT((unsigned long long)wanted == stats.events + stats.drops_buffer);
	for (int round = 0, seen = 0; round < 200; round++) {
		for (int i = 0; i < 20; i++)
			(void)!write(sink, big, 500 + 37 * i);
		seen += drain_count((struct count){own_tid(), WRITE_X}).events;
		EXPECT(seen == 20 * (round + 1), "%d", seen);
	}
	close(sink);
}

/* The reader's page is not trusted. */
static void a_hostile_tail_harms_nobody(void)
{
	int sink = open("/dev/null", O_WRONLY);

	EXPECT(control(KD_IOC_SELECT, WRITE_X) == 0);
	EXPECT(control(KD_SCAP_SET_SNAPLEN, 3000) == 0);
	for (unsigned int i = 0; i < devices(); i++) {
		ring_info(i)->tail = i ? 77 : 0xdeadbeef;
		ring_info(i)->head = 0xfffffff0;
	}
	for (int i = 0; i < 2000; i++)
		(void)!write(sink, big, 3000);
	for (unsigned int i = 0; i < devices(); i++)
		ring_info(i)->tail = ring_info(i)->head;
	/* A ring that was not written since still shows the made-up head. */
	devices_close();
	EXPECT(devices_open() == 0);
	EXPECT(control(KD_IOC_SELECT, WRITE_X) == 0);
	EXPECT(write(sink, big, 10) == 10);
	EXPECT(drain_count((struct count){own_tid(), WRITE_X}).events == 1);
	close(sink);
}

const struct check native_checks[] = {
	{"our_versions", our_versions},
	{"events_are_selected_by_id", events_are_selected_by_id},
	{"connections_are_events", connections_are_events},
	{"strings_end_at_the_page", strings_end_at_the_page},
	{"entry_time_is_a_parameter_when_asked_for", entry_time_is_a_parameter_when_asked_for},
	{"capture_length_is_kept", capture_length_is_kept},
	{"a_full_ring_counts_its_drops", a_full_ring_counts_its_drops},
	{"a_hostile_tail_harms_nobody", a_hostile_tail_harms_nobody},
	{NULL, NULL},
};
