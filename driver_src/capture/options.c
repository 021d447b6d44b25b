// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * kd-capture: the command line.
 */
#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "capture.h"

static const char help[] =
	"usage: kd-capture --driver PATH.core.o|PATH.bpf.o|kmod[:NAME] [options]\n"
	"\n"
	"Opens a driver, switches events on, and prints one line for each event until it is stopped.\n"
	"\n"
	"  --driver WHICH        an eBPF object, or the loaded kernel module (kmod, or kmod:NAME for another device name)\n"
	"  --events A,B|all|none which events; the default is all, but for those that must be named: syscall (all calls that\n"
	"                        have no event of their own), signaldeliver, page_fault, and open_e, openat_e, openat2_e,\n"
	"                        creat_e, connect_e at the entry. The name of a call without an event (getppid) is taken, too\n"
	"  --pid PID             only events of this process and its threads; may be given again\n"
	"  --comm NAME           only events of processes with this name; may be given again\n"
	"  --snaplen N           capture at most N bytes of a buffer (default 80, at most 16384)\n"
	"  --dynamic-snaplen     capture more of what sockets carry: 2000 bytes of what looks like HTTP, MySQL, PostgreSQL or\n"
	"                        MongoDB, and of statsd, 512 of DNS, 16000 of the ports of full capture\n"
	"  --fullcapture-ports A-B  which these are; with --dynamic-snaplen (default none)\n"
	"  --statsd-port N       the port of statsd (default 8125)\n"
	"  --buffer-bytes N      size of each CPU's ring, rounded up to a power of two (default 1 MiB; the module's own)\n"
	"  --pause MS            look at rings that are nearly empty at least every MS milliseconds (default 10)\n"
	"  --json                one JSON object a line\n"
	"  --duration SECONDS    stop after this time\n"
	"  --max-events N        stop after this many printed events\n"
	"  --enter-time          carry the time of entry of each call as well (costs a second hook)\n"
	"  --program-type TYPE   auto, raw (raw tracepoints) or tp (tracepoints of tracefs)\n"
	"  --btf FILE            type information of the running kernel, where it has no /sys/kernel/btf/vmlinux\n"
	"  --control             read commands on standard input: enable EVENT, disable EVENT, snaplen N, dynamic-snaplen\n"
	"                        on|off, fullcapture-ports A-B, statsd-port N, stats, flush, quit\n"
	"  --check               only open and load the driver, say what was found, and end\n"
	"  --minimal             load only the programs that the events given by --events need\n"
	"  --skip-refused        go on without the events whose programs the kernel refuses; each is named\n"
	"  --force               open an eBPF object that was built for another kernel, without a self-test\n"
	"  --verbose             say what libbpf says\n"
	"  -h, --help            this text\n"
	"  -V, --version         versions of the event table and of the interfaces\n"
	"\n"
	"Exit status: 0 done, 2 usage, 3 no such file, 7 the driver could not be opened or loaded.\n"
	"Events of kd-capture itself are left out unless --pid names it.\n";

enum {
	OPT_DRIVER = 256,
	OPT_EVENTS,
	OPT_PID,
	OPT_COMM,
	OPT_SNAPLEN,
	OPT_DYNAMIC,
	OPT_PORTS,
	OPT_STATSD,
	OPT_BUFFER,
	OPT_PAUSE,
	OPT_JSON,
	OPT_DURATION,
	OPT_MAX_EVENTS,
	OPT_ENTER_TIME,
	OPT_PROGRAM_TYPE,
	OPT_BTF,
	OPT_CONTROL,
	OPT_CHECK,
	OPT_MINIMAL,
	OPT_FORCE,
	OPT_SKIP_REFUSED,
	OPT_VERBOSE,
	OPT_DECODE_FILE,
};

static const struct option table[] = {
	{"driver", required_argument, NULL, OPT_DRIVER},
	{"events", required_argument, NULL, OPT_EVENTS},
	{"pid", required_argument, NULL, OPT_PID},
	{"comm", required_argument, NULL, OPT_COMM},
	{"snaplen", required_argument, NULL, OPT_SNAPLEN},
	{"dynamic-snaplen", no_argument, NULL, OPT_DYNAMIC},
	{"fullcapture-ports", required_argument, NULL, OPT_PORTS},
	{"statsd-port", required_argument, NULL, OPT_STATSD},
	{"buffer-bytes", required_argument, NULL, OPT_BUFFER},
	{"pause", required_argument, NULL, OPT_PAUSE},
	{"json", no_argument, NULL, OPT_JSON},
	{"duration", required_argument, NULL, OPT_DURATION},
	{"max-events", required_argument, NULL, OPT_MAX_EVENTS},
	{"enter-time", no_argument, NULL, OPT_ENTER_TIME},
	{"program-type", required_argument, NULL, OPT_PROGRAM_TYPE},
	{"btf", required_argument, NULL, OPT_BTF},
	{"control", no_argument, NULL, OPT_CONTROL},
	{"check", no_argument, NULL, OPT_CHECK},
	{"minimal", no_argument, NULL, OPT_MINIMAL},
	{"force", no_argument, NULL, OPT_FORCE},
	{"skip-refused", no_argument, NULL, OPT_SKIP_REFUSED},
	{"verbose", no_argument, NULL, OPT_VERBOSE},
	{"decode-file", required_argument, NULL, OPT_DECODE_FILE}, /* for tests: raw blocks, back to back */
	{"help", no_argument, NULL, 'h'},
	{"version", no_argument, NULL, 'V'},
	{NULL, 0, NULL, 0},
};

int kd_fail(int status, const char *hint, const char *format, ...)
{
	va_list list;

	fputs("kd-capture: ", stderr);
	va_start(list, format);
	vfprintf(stderr, format, list);
	va_end(list);
	fputc('\n', stderr);
	if (hint)
		fprintf(stderr, "  hint: %s\n", hint);
	return status;
}

static bool read_number(const char *text, unsigned long long low, unsigned long long high, unsigned long long *number)
{
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	*number = strtoull(text, &end, 10);
	return errno == 0 && *end == 0 && *number >= low && *number <= high;
}

static int number_option(const char *name, const char *text, unsigned long long low, unsigned long long high,
			 unsigned long long *number)
{
	if (read_number(text, low, high, number))
		return -1;
	return kd_fail(KD_EXIT_USAGE, NULL, "--%s %s: expected a number from %llu to %llu", name, text, low, high);
}

bool kd_read_port(const char *text, __u16 *port)
{
	unsigned long long number;

	if (!read_number(text, 0, 65535, &number))
		return false;
	*port = (__u16)number;
	return true;
}

bool kd_read_ports(struct kd_ports *ports, const char *text)
{
	size_t length = strcspn(text, "-");
	char first[8];
	__u16 low, high;

	if (length >= sizeof(first))
		return false;
	memcpy(first, text, length);
	first[length] = 0;
	if (!kd_read_port(first, &low) || !kd_read_port(text[length] ? text + length + 1 : first, &high) || low > high)
		return false;
	ports->full_first = low;
	ports->full_last = high;
	return true;
}

static int select_event(struct kd_options *options, const char *name)
{
	int slot = kd_event_find(name);
	char near[256], hint[320];

	if (slot >= 0) {
		options->selected[slot] = true;
		return -1;
	}
	if (kd_call_find(name) >= 0) {
		options->calls[kd_call_find(name)] = true;
		return -1;
	}
	kd_event_nearest(name, near, sizeof(near));
	snprintf(hint, sizeof(hint), near[0] ? "Did you mean: %s?" : "Run `kdriver events list` for all names.%s",
		 near);
	return kd_fail(KD_EXIT_USAGE, hint, "--events: no event is called %s", name);
}

/* But those that come only to who names them. */
static void select_all(struct kd_options *options)
{
	unsigned int slot;

	for (slot = 0; slot < KD_SLOTS; slot++)
		if (!kd_event(slot)->asked)
			options->selected[slot] = true;
}

static int read_events(struct kd_options *options, const char *list)
{
	char *copy = strdup(list), *rest = copy, *name;
	int status = -1;

	memset(options->selected, 0, sizeof(options->selected));
	memset(options->calls, 0, sizeof(options->calls));
	while (copy && status < 0 && (name = strsep(&rest, ","))) {
		if (strcmp(name, "all") == 0)
			select_all(options);
		else if (strcmp(name, "none") != 0 && *name)
			status = select_event(options, name);
	}
	free(copy);
	return status;
}

static int read_duration(struct kd_options *options, const char *text)
{
	char *end;

	options->duration_s = strtod(text, &end);
	if (end != text && *end == 0 && options->duration_s > 0 && options->duration_s < 1e9)
		return -1;
	return kd_fail(KD_EXIT_USAGE, NULL, "--duration %s: expected seconds, more than 0", text);
}

static int read_program_type(struct kd_options *options, const char *text)
{
	static const char *const names[] = {"auto", "raw", "tp"};
	unsigned int type;

	for (type = 0; type < 3; type++) {
		if (strcmp(text, names[type]) == 0) {
			options->program_type = (enum kd_program_type)type;
			return -1;
		}
	}
	return kd_fail(KD_EXIT_USAGE, NULL, "--program-type %s: expected auto, raw or tp", text);
}

static int add_filter(struct kd_options *options, int option, const char *text)
{
	unsigned long long number;

	if (options->pid_count == KD_FILTERS_MAX || options->comm_count == KD_FILTERS_MAX)
		return kd_fail(KD_EXIT_USAGE, NULL, "more than %d filters", KD_FILTERS_MAX);
	if (option == OPT_COMM) {
		options->comms[options->comm_count++] = text;
		return -1;
	}
	if (!read_number(text, 1, 0x7fffffff, &number))
		return kd_fail(KD_EXIT_USAGE, NULL, "--pid %s: expected a process id", text);
	options->pids[options->pid_count++] = (__u32)number;
	return -1;
}

static int read_value(struct kd_options *options, int option, const char *text)
{
	unsigned long long number = 0;
	int status;

	switch (option) {
	case OPT_DRIVER:
		options->driver = text;
		return -1;
	case OPT_EVENTS:
		return read_events(options, text);
	case OPT_PID:
	case OPT_COMM:
		return add_filter(options, option, text);
	case OPT_SNAPLEN:
		status = number_option("snaplen", text, 0, KD_SNAPLEN_MAX, &number);
		options->snaplen = (__u32)number;
		return status;
	case OPT_PORTS:
		if (kd_read_ports(&options->ports, text))
			return -1;
		return kd_fail(KD_EXIT_USAGE, NULL, "--fullcapture-ports %s: expected a range of ports, like 7000-7010",
			       text);
	case OPT_STATSD:
		if (kd_read_port(text, &options->ports.statsd))
			return -1;
		return kd_fail(KD_EXIT_USAGE, NULL, "--statsd-port %s: expected a number from 0 to 65535", text);
	case OPT_BUFFER:
		status = number_option("buffer-bytes", text, 1, 1ULL << 30, &number);
		options->buffer_bytes = (size_t)number;
		return status;
	case OPT_PAUSE:
		status = number_option("pause", text, 1, 1000, &number);
		options->pause_ms = (int)number;
		return status;
	case OPT_DURATION:
		return read_duration(options, text);
	case OPT_MAX_EVENTS:
		return number_option("max-events", text, 1, ~0ULL, &options->max_events);
	case OPT_PROGRAM_TYPE:
		return read_program_type(options, text);
	case OPT_BTF:
		options->btf = text;
		return -1;
	default:
		if (options->decode_count == KD_FILES_MAX)
			return kd_fail(KD_EXIT_USAGE, NULL, "more than %d files", KD_FILES_MAX);
		options->decode_files[options->decode_count++] = text;
		return -1;
	}
}

static bool *switch_of(struct kd_options *options, int option)
{
	switch (option) {
	case OPT_DYNAMIC:
		return &options->dynamic_snaplen;
	case OPT_JSON:
		return &options->json;
	case OPT_ENTER_TIME:
		return &options->enter_time;
	case OPT_CONTROL:
		return &options->control;
	case OPT_CHECK:
		return &options->check;
	case OPT_MINIMAL:
		return &options->minimal;
	case OPT_FORCE:
		return &options->force;
	case OPT_SKIP_REFUSED:
		return &options->skip_refused;
	case OPT_VERBOSE:
		return &options->verbose;
	default:
		return NULL;
	}
}

static void print_version(void)
{
	printf("kd-capture %s\napi %s\nschema %s\nlibscap api %s\nlibscap schema %s\nevents %d\nschema digest %s\n",
	       KD_DRIVER_VERSION, KD_API_VERSION, KD_SCHEMA_VERSION, KD_COMPAT_API_VERSION, KD_COMPAT_SCHEMA_VERSION,
	       KD_SLOTS, KD_SCHEMA_DIGEST);
}

int kd_options_parse(struct kd_options *options, int argc, char **argv)
{
	int option, status;

	memset(options, 0, sizeof(*options));
	select_all(options);
	options->snaplen = KD_SNAPLEN_DEFAULT;
	options->pause_ms = KD_PAUSE_MS_DEFAULT;
	options->ports.statsd = KD_STATSD_PORT;
	while ((option = getopt_long(argc, argv, "hV", table, NULL)) != -1) {
		if (option == 'h') {
			fputs(help, stdout);
			return KD_EXIT_DONE;
		}
		if (option == 'V') {
			print_version();
			return KD_EXIT_DONE;
		}
		if (option == '?')
			return kd_fail(KD_EXIT_USAGE, "Run kd-capture --help.", "the command line was not understood");
		if (switch_of(options, option)) {
			*switch_of(options, option) = true;
			continue;
		}
		status = read_value(options, option, optarg);
		if (status >= 0)
			return status;
	}
	if (optind < argc)
		return kd_fail(KD_EXIT_USAGE, "Run kd-capture --help.", "%s: expected only options", argv[optind]);
	if (!options->driver && options->decode_count == 0)
		return kd_fail(KD_EXIT_USAGE, "Name the eBPF object, or kmod for the kernel module.",
			       "--driver is missing");
	return -1;
}
