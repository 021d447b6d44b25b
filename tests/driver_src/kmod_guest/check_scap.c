// SPDX-License-Identifier: GPL-2.0-only OR MIT
/* The controls and the behaviour that libscap's kernel-module engine expects. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "guest.h"

#define I386_GETPPID 64
#define I386_SOCKETCALL 102
#define BIND_X 21
#define SEND_X 29
#define SENDTO_X 31
#define SIGNALDELIVER_E 232
#define PAGE_FAULT_E 290
#define OPENAT_E 306
#define I386_CLOSE 6
#define BAD_FD 9999
#define CLOSE_X 5
#define WRITE_X 9
#define DROP_E 148
#define DROP_X 149
#define SWITCH_E 152
#define PROCEXIT_E 186

static void versions(void)
{
	char driver[64] = "";
	unsigned long long version = 0;

	EXPECT(control(KD_SCAP_GET_API_VERSION, (unsigned long)&version) == 0);
	EXPECT(version == KD_COMPAT_API_VERSION_PACKED);
	EXPECT(control(KD_SCAP_GET_SCHEMA_VERSION, (unsigned long)&version) == 0);
	EXPECT(version == KD_COMPAT_SCHEMA_VERSION_PACKED);
	EXPECT(control(KD_SCAP_GET_DRIVER_VERSION, (unsigned long)driver) == 0);
	EXPECT(!strcmp(driver, KD_DRIVER_VERSION));
	EXPECT(control(KD_SCAP_GET_API_VERSION, 8) == -EFAULT);
}

static void ids(void)
{
	EXPECT(control(KD_SCAP_GET_CURRENT_PID, 0) == getpid());
	EXPECT(control(KD_SCAP_GET_CURRENT_TID, 0) == own_tid());
	EXPECT(control(KD_SCAP_GET_VPID, getpid()) == getpid());
	EXPECT(control(KD_SCAP_GET_VTID, own_tid()) == own_tid());
	EXPECT(control(KD_SCAP_GET_VTID, 999999) == -EINVAL);
}

static void arguments(void)
{
	EXPECT(control(KD_SCAP_SET_SNAPLEN, 65001) == -EINVAL);
	EXPECT(control(KD_SCAP_SET_SNAPLEN, 65000) == 0);
	EXPECT(control(KD_SCAP_SET_SNAPLEN, 80) == 0);
	EXPECT(control(KD_SCAP_ENABLE_DYNAMIC_SNAPLEN, 0) == 0);
	EXPECT(control(KD_SCAP_DISABLE_DYNAMIC_SNAPLEN, 0) == 0);
	EXPECT(control(KD_SCAP_SET_FULLCAPTURE_PORT_RANGE, 90 << 16 | 80) == 0);
	EXPECT(control(KD_SCAP_SET_STATSD_PORT, 8125) == 0);
	EXPECT(control(KD_SCAP_ENABLE_DROPPING_MODE, 3) == -EINVAL);
	EXPECT(control(KD_SCAP_ENABLE_SYSCALL, 512) == -EINVAL);
	EXPECT(control(KD_SCAP_ENABLE_TP, KD_SCAP_TPS) == -EINVAL);
	EXPECT(control(_IO(KD_SCAP_MAGIC, 99), 0) == -ENOTTY);
}

static void proclist(void)
{
	struct kd_proclist *list = calloc(1, sizeof(*list) + 1000 * sizeof(list->entries[0]));
	int found = 0;

	list->max_entries = 1;
	EXPECT(control(KD_SCAP_GET_PROCLIST, (unsigned long)list) == -ENOSPC);
	EXPECT(list->n_entries > 1);
	list->max_entries = 1000;
	EXPECT(control(KD_SCAP_GET_PROCLIST, (unsigned long)list) == 0);
	for (long long i = 0; i < list->n_entries; i++)
		found += list->entries[i].pid == (unsigned long long)getpid();
	EXPECT(found == 1);
	list->max_entries = -1;
	EXPECT(control(KD_SCAP_GET_PROCLIST, (unsigned long)list) == -EINVAL);
	free(list);
}

static void mapping(void)
{
	int file = device_file(0);

	EXPECT(mprotect((void *)ring_data(0), 4096, PROT_READ | PROT_WRITE) < 0);
	EXPECT(mmap(NULL, 2 * ring_bytes(), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0) == MAP_FAILED);
	EXPECT(mmap(NULL, ring_bytes(), PROT_READ, MAP_SHARED, file, 0) == MAP_FAILED);
	EXPECT(open("/dev/" MODULE "0", O_RDWR) < 0 && errno == EBUSY, "a second open by the same thread");
}

static void nothing_is_selected_at_first(void)
{
	for (int i = 0; i < 100; i++)
		syscall(SYS_getppid);
	drain(NULL, NULL);
	EXPECT(statistics().events == 0);
}

static void select_as_libscap(void)
{
	for (int i = 0; i < 512; i++)
		EXPECT(control(KD_SCAP_DISABLE_SYSCALL, i) == 0);
	EXPECT(control(KD_SCAP_ENABLE_SYSCALL, SYS_getppid) == 0);
	EXPECT(control(KD_SCAP_ENABLE_SYSCALL, SYS_close) == 0);
	EXPECT(control(KD_SCAP_ENABLE_SYSCALL, SYS_exit_group) == 0);
	for (int tp = KD_SCAP_TP_SYS_ENTER; tp <= KD_SCAP_TP_PROC_EXIT; tp++)
		EXPECT(control(KD_SCAP_ENABLE_TP, tp) == 0);
}

struct both {
	struct count getppid;
	struct count close;
	unsigned int types[2048];
};

static void count_both(const struct event *event, void *context)
{
	struct both *both = context;

	count_events(event, &both->getppid);
	count_events(event, &both->close);
	both->types[event->header.type % 2048]++;
}

static struct both drain_both(void)
{
	static struct both both;

	both = (struct both){
		.getppid = {.tid = own_tid(), .type = KD_EVENT_GENERIC, .call = SYS_getppid},
		.close = {.tid = own_tid(), .type = CLOSE_X},
	};
	drain(count_both, &both);
	return both;
}

/* Generic events for calls without a type, i386 calls under their native number, and no event of ours. */
static void counts_are_exact(void)
{
	struct both both;
	pid_t child;

	select_as_libscap();
	for (int i = 0; i < 1000; i++)
		syscall(SYS_getppid);
	for (int i = 0; i < 200; i++)
		syscall(SYS_close, BAD_FD);
	for (int i = 0; i < 300; i++)
		i386_call(I386_GETPPID, 0);
	for (int i = 0; i < 50; i++)
		i386_call(I386_CLOSE, BAD_FD);
	child = fork();
	if (!child)
		_exit(3);
	waitpid(child, NULL, 0);
	both = drain_both();
	EXPECT(both.getppid.events == 1300, "%d", both.getppid.events);
	EXPECT(both.close.events == 250, "%d", both.close.events);
	EXPECT(both.close.nparams == 2);
	EXPECT(both.types[PROCEXIT_E] >= 1);
	for (int type = 1024; type < 2048; type++)
		EXPECT(both.types[type] == 0, "an event of ours: %d", type);
	EXPECT(statistics().drops_buffer == 0 && statistics().drops_nested == 0);
}

static void failed_calls_can_be_left_out(void)
{
	struct both both;

	select_as_libscap();
	EXPECT(control(KD_SCAP_ENABLE_DROPFAILED, 0) == 0);
	for (int i = 0; i < 100; i++)
		syscall(SYS_close, BAD_FD);
	syscall(SYS_getppid);
	both = drain_both();
	EXPECT(both.close.events == 0 && both.getppid.events == 1, "%d %d", both.close.events, both.getppid.events);
	EXPECT(control(KD_SCAP_DISABLE_DROPFAILED, 0) == 0);
}

/* Half of each second is sampled, its edges are events, calls without a type are dropped altogether. */
static void dropping_samples(void)
{
	int sink = open("/dev/null", O_WRONLY);
	unsigned int written = 0, seen = 0, edges[2] = {0}, generic = 0;
	time_t end = time(NULL) + 4;

	select_as_libscap();
	EXPECT(control(KD_SCAP_ENABLE_SYSCALL, SYS_write) == 0);
	EXPECT(control(KD_SCAP_ENABLE_DROPPING_MODE, 2) == 0);
	while (time(NULL) < end) {
		struct both both;

		for (int i = 0; i < 50; i++) {
			syscall(SYS_getppid);
			written += write(sink, "x", 1);
		}
		both = drain_both();
		seen += both.types[WRITE_X];
		generic += both.types[KD_EVENT_GENERIC];
		edges[0] += both.types[DROP_E];
		edges[1] += both.types[DROP_X];
	}
	EXPECT(control(KD_SCAP_DISABLE_DROPPING_MODE, 0) == 0);
	EXPECT(seen && seen < written, "%u of %u", seen, written);
	EXPECT(edges[0] && edges[1], "%u %u", edges[0], edges[1]);
	EXPECT(generic == 0);
	close(sink);
}

static void a_call_switched_off_stays_silent(void)
{
	long hits[MAX_CPUS] = {0};
	struct both both;

	select_as_libscap();
	syscall(SYS_getppid);
	EXPECT(control(KD_SCAP_GET_N_TRACEPOINT_HIT, (unsigned long)hits) == 0);
	EXPECT(hits[0] + hits[1] > 0);
	EXPECT(control(KD_SCAP_DISABLE_SYSCALL, SYS_getppid) == 0);
	drain(NULL, NULL);
	for (int i = 0; i < 100; i++)
		syscall(SYS_getppid);
	both = drain_both();
	EXPECT(both.getppid.events == 0);
	EXPECT(control(KD_SCAP_ENABLE_SYSCALL, SYS_getppid) == 0);
	EXPECT(control(KD_SCAP_DISABLE_TP, KD_SCAP_TP_SYS_EXIT) == 0);
	syscall(SYS_getppid);
	both = drain_both();
	EXPECT(both.getppid.events == 0);
}

static void context_switches_are_counted(void)
{
	unsigned long long counted = 0;

	EXPECT(control(KD_SCAP_ENABLE_TP, KD_SCAP_TP_SWITCH) == 0);
	usleep(20000);
	EXPECT(control(KD_SCAP_DISABLE_TP, KD_SCAP_TP_SWITCH) == 0);
	for (unsigned int i = 0; i < devices(); i++)
		counted += ring_info(i)->n_context_switches;
	EXPECT(counted >= 2);
	EXPECT(drain_types(SWITCH_E) == counted);
}

/* At the entry only with the tracepoint of the entry, and for libscap's consumers only what the schema has there. */
static void entries_are_events(void)
{
	select_as_libscap();
	EXPECT(control(KD_SCAP_ENABLE_SYSCALL, SYS_openat) == 0);
	drain(NULL, NULL);
	close(open("/dev/null", O_RDONLY));
	EXPECT(drain_types(OPENAT_E) == 1);
	EXPECT(control(KD_SCAP_DISABLE_TP, KD_SCAP_TP_SYS_ENTER) == 0);
	close(open("/dev/null", O_RDONLY));
	EXPECT(drain_types(OPENAT_E) == 0);
	EXPECT(control(KD_SCAP_DISABLE_SYSCALL, SYS_openat) == 0);
}

static volatile int signals;

static void on_signal(int number)
{
	signals += number == SIGUSR1;
}

static void signals_are_events(void)
{
	signal(SIGUSR1, on_signal);
	drain(NULL, NULL);
	kill(getpid(), SIGUSR1);
	EXPECT(drain_types(SIGNALDELIVER_E) == 0);
	EXPECT(control(KD_SCAP_ENABLE_TP, KD_SCAP_TP_SIGNAL_DELIVER) == 0);
	kill(getpid(), SIGUSR1);
	EXPECT(drain_types(SIGNALDELIVER_E) == 1);
	EXPECT(control(KD_SCAP_DISABLE_TP, KD_SCAP_TP_SIGNAL_DELIVER) == 0);
	kill(getpid(), SIGUSR1);
	EXPECT(drain_types(SIGNALDELIVER_E) == 0);
	EXPECT(signals == 3);
}

/* Faults of this thread by who made them: error bits 16 and 32 of the schema. */
static void count_faults(const struct event *event, void *context)
{
	unsigned int *faults = context, error;

	if (event->header.type != PAGE_FAULT_E || (long long)event->header.tid != own_tid())
		return;
	memcpy(&error, event->value[2], sizeof(error));
	faults[0] += (error & 16) != 0;
	faults[1] += (error & 32) != 0;
}

static void page_faults_are_events(void)
{
	static const int tps[] = {KD_SCAP_TP_PAGE_FAULT_USER, KD_SCAP_TP_PAGE_FAULT_KERNEL};

	for (int which = 0; which < 2; which++) {
		char *fresh = mmap(NULL, 16 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		unsigned int faults[2] = {0};

		drain(NULL, NULL);
		EXPECT(control(KD_SCAP_ENABLE_TP, tps[which]) == 0);
		for (int page = 0; page < 8; page++)
			*(volatile char *)(fresh + page * 4096) = 1;
		for (int page = 8; page < 16; page++)
			syscall(SYS_getcwd, fresh + page * 4096, 64);
		EXPECT(control(KD_SCAP_DISABLE_TP, tps[which]) == 0);
		drain(count_faults, faults);
		EXPECT(faults[which] >= 8 && faults[!which] == 0, "%u %u", faults[0], faults[1]);
		munmap(fresh, 16 * 4096);
	}
	EXPECT(statistics().drops_nested == 0);
}

/* The sub-calls of socketcall are selected by the numbers of x86_64, send with sendto. */
static void subcalls_are_events(void)
{
	static unsigned int arguments[4] = {BAD_FD, 0, 0, 0};

	select_as_libscap();
	EXPECT(control(KD_SCAP_ENABLE_SYSCALL, SYS_sendto) == 0);
	EXPECT(control(KD_SCAP_ENABLE_SYSCALL, SYS_bind) == 0);
	drain(NULL, NULL);
	for (int i = 0; i < 3; i++) {
		i386_call2(I386_SOCKETCALL, 9, (unsigned int)(unsigned long)arguments);
		EXPECT(drain_types(SEND_X) == 1);
		i386_call2(I386_SOCKETCALL, 2, (unsigned int)(unsigned long)arguments);
		EXPECT(drain_types(BIND_X) == 1);
	}
	EXPECT(control(KD_SCAP_DISABLE_SYSCALL, SYS_sendto) == 0);
	i386_call2(I386_SOCKETCALL, 9, (unsigned int)(unsigned long)arguments);
	EXPECT(drain_types(SEND_X) == 0);
}

/* How much of what is sent to a port of this machine is captured. */
static unsigned int captured_of(int port, const char *head)
{
	struct sockaddr_in to = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port)};
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	static char text[3000];

	memset(text, 'k', sizeof(text));
	memcpy(text, head, strlen(head));
	drain(NULL, NULL);
	EXPECT(sendto(fd, text, sizeof(text), 0, (struct sockaddr *)&to, sizeof(to)) == sizeof(text));
	close(fd);
	return drain_count((struct count){.tid = own_tid(), .type = SENDTO_X}).second_len;
}

static void loopback_up(void)
{
	struct ifreq loopback = {.ifr_name = "lo", .ifr_flags = IFF_UP};
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	EXPECT(ioctl(fd, SIOCSIFFLAGS, &loopback) == 0);
	close(fd);
}

static void capture_length_follows_ports(void)
{
	loopback_up();
	select_as_libscap();
	EXPECT(control(KD_SCAP_ENABLE_SYSCALL, SYS_sendto) == 0);
	EXPECT(captured_of(7000, "GET ") == 80);
	EXPECT(control(KD_SCAP_ENABLE_DYNAMIC_SNAPLEN, 0) == 0);
	EXPECT(captured_of(7000, "") == 80);
	EXPECT(captured_of(7000, "GET ") == 2000);
	EXPECT(captured_of(53, "") == 512);
	EXPECT(captured_of(8125, "") == 2000);
	EXPECT(control(KD_SCAP_SET_STATSD_PORT, 8126) == 0);
	EXPECT(captured_of(8125, "") == 80);
	EXPECT(captured_of(8126, "") == 2000);
	EXPECT(control(KD_SCAP_SET_FULLCAPTURE_PORT_RANGE, 7001 << 16 | 7000) == 0);
	EXPECT(captured_of(7001, "") == 3000);
	EXPECT(control(KD_SCAP_SET_SNAPLEN, 2500) == 0);
	EXPECT(captured_of(53, "") == 2500);
	EXPECT(control(KD_SCAP_SET_SNAPLEN, 80) == 0);
	EXPECT(captured_of(53, "") == 512);
	EXPECT(control(KD_SCAP_DISABLE_DYNAMIC_SNAPLEN, 0) == 0);
	EXPECT(captured_of(7001, "") == 80);
	EXPECT(control(KD_SCAP_SET_FULLCAPTURE_PORT_RANGE, 0) == 0);
}

const struct check scap_checks[] = {
	{"versions", versions},
	{"ids", ids},
	{"arguments", arguments},
	{"proclist", proclist},
	{"mapping", mapping},
	{"nothing_is_selected_at_first", nothing_is_selected_at_first},
	{"counts_are_exact", counts_are_exact},
	{"failed_calls_can_be_left_out", failed_calls_can_be_left_out},
	{"dropping_samples", dropping_samples},
	{"a_call_switched_off_stays_silent", a_call_switched_off_stays_silent},
	{"context_switches_are_counted", context_switches_are_counted},
	{"entries_are_events", entries_are_events},
	{"signals_are_events", signals_are_events},
	{"page_faults_are_events", page_faults_are_events},
	{"subcalls_are_events", subcalls_are_events},
	{"capture_length_follows_ports", capture_length_follows_ports},
	{NULL, NULL},
};
