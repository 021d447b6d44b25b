// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * kd-capture: what this kernel can do. Asked of the kernel (trial loads, its type information, its files), never derived
 * from its version: distributions backport.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mount.h>
#include <unistd.h>

#include "bpf.h"

static bool locked_down(void)
{
	char text[128] = "";
	int fd = open("/sys/kernel/security/lockdown", O_RDONLY | O_CLOEXEC);
	ssize_t size = fd >= 0 ? read(fd, text, sizeof(text) - 1) : 0;

	if (fd >= 0)
		close(fd);
	return size > 0 && strstr(text, "[confidentiality]");
}

const char *kd_host_permission_hint(int error)
{
	if (error != EPERM && error != EACCES)
		return NULL;
	if (locked_down())
		return "The kernel is locked down (confidentiality): it lets no program read its memory.";
	return "Run as root, or with CAP_BPF and CAP_PERFMON (before Linux 5.8: CAP_SYS_ADMIN).";
}

/* The cheapest use of bpf(): it tells no permission from no bpf() at all. */
static int try_bpf(void)
{
	int fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "kd_try", 4, 4, 1, NULL);
	int error = errno;

	if (fd >= 0) {
		close(fd);
		return -1;
	}
	if (error == ENOSYS)
		return kd_fail(KD_EXIT_LOAD, "Use the kernel module on this kernel.",
			       "this kernel was built without the bpf system call");
	return kd_fail(KD_EXIT_LOAD, kd_host_permission_hint(error), "the kernel refuses bpf(): %s", strerror(error));
}

/* 5.2 has maps that programs can only read (591fe9888d78), which it holds the constants of an object in. */
static bool has_constants(void)
{
	LIBBPF_OPTS(bpf_map_create_opts, how, .map_flags = BPF_F_RDONLY_PROG);
	int fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "kd_try", 4, 4, 1, &how);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static bool has_member(const struct btf *btf, const char *type_name, const char *member, bool nested)
{
	int id = btf__find_by_name_kind(btf, type_name, BTF_KIND_STRUCT);
	const struct btf_type *stack[16], *type;
	unsigned int depth = 0, i;

	if (id < 0)
		return false;
	stack[depth++] = btf__type_by_id(btf, (__u32)id);
	while (depth > 0) {
		type = stack[--depth];
		for (i = 0; i < btf_vlen(type); i++) {
			const struct btf_member *one = btf_members(type) + i;
			const struct btf_type *inner = btf__type_by_id(btf, one->type);

			if (strcmp(btf__name_by_offset(btf, one->name_off), member) == 0)
				return true;
			if (nested && inner && btf_is_composite(inner) && depth < 16)
				stack[depth++] = inner;
		}
	}
	return false;
}

static bool has_helper(const struct btf *btf, const char *name)
{
	int id = btf__find_by_name_kind(btf, "bpf_func_id", BTF_KIND_ENUM);
	const struct btf_type *type = id > 0 ? btf__type_by_id(btf, (__u32)id) : NULL;
	unsigned int i;

	for (i = 0; type && i < btf_vlen(type); i++)
		if (strcmp(btf__name_by_offset(btf, btf_enum(type)[i].name_off), name) == 0)
			return true;
	return false;
}

/* Linux 4.17 has perf's own kprobes; older ones are set up through tracefs. */
static bool can_kprobe(void)
{
	return access("/sys/bus/event_source/devices/kprobe/type", R_OK) == 0 ||
	       access("/sys/kernel/tracing/kprobe_events", W_OK) == 0 ||
	       access("/sys/kernel/debug/tracing/kprobe_events", W_OK) == 0;
}

static __u32 version_of_notes(const char *note, size_t size)
{
	while (size >= sizeof(Elf64_Nhdr)) {
		const Elf64_Nhdr *head = (const void *)note;
		size_t name = (head->n_namesz + 3u) & ~3u, value = (head->n_descsz + 3u) & ~3u;
		__u32 code;

		if (size - sizeof(*head) < name + value)
			return 0;
		note += sizeof(*head);
		if (head->n_type == 0 && head->n_descsz == sizeof(code) && head->n_namesz == sizeof("Linux") &&
		    memcmp(note, "Linux", sizeof("Linux")) == 0) {
			memcpy(&code, note + name, sizeof(code));
			return code;
		}
		note += name + value;
		size -= sizeof(*head) + name + value;
	}
	return 0;
}

/*
 * Before 5.0 (6c4fc209fcf9) programs of kprobes must carry the kernel's version code. The kernel's own word for it is a
 * note of its vDSO; uname() and /proc/version_signature, which libbpf asks, can say another version (RHEL, own builds).
 */
__u32 kd_host_version_code(void)
{
	const char *start = (const char *)getauxval(AT_SYSINFO_EHDR);
	const Elf64_Ehdr *head = (const void *)start;
	const Elf64_Phdr *part = start ? (const void *)(start + head->e_phoff) : NULL;
	__u32 code = 0;
	unsigned int i;

	for (i = 0; part && i < head->e_phnum && code == 0; i++)
		if (part[i].p_type == PT_NOTE)
			code = version_of_notes(start + part[i].p_offset, part[i].p_filesz);
	return code;
}

static bool has_kprobe_programs(void)
{
	const struct bpf_insn nothing[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0},
		{.code = BPF_JMP | BPF_EXIT},
	};
	LIBBPF_OPTS(bpf_prog_load_opts, how, .kern_version = kd_host_version_code());
	int fd;

	if (libbpf_probe_bpf_prog_type(BPF_PROG_TYPE_KPROBE, NULL) > 0)
		return true;
	fd = bpf_prog_load(BPF_PROG_TYPE_KPROBE, "kd_try", "GPL", nothing, sizeof(nothing) / sizeof(nothing[0]), &how);
	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

int kd_host_probe(struct kd_host *host, const char *btf_path)
{
	struct btf *btf;
	int status = try_bpf();

	if (status >= 0)
		return status;
	memset(host, 0, sizeof(*host));
	host->raw_tp = libbpf_probe_bpf_prog_type(BPF_PROG_TYPE_RAW_TRACEPOINT, NULL) > 0;
	host->ringbuf = libbpf_probe_bpf_map_type(BPF_MAP_TYPE_RINGBUF, NULL) > 0;
	host->constants = has_constants();
	host->kprobes = has_kprobe_programs() && can_kprobe();
	btf = btf_path ? btf__parse(btf_path, NULL) : btf__load_vmlinux_btf();
	if (!btf) {
		if (btf_path)
			return kd_fail(errno == ENOENT ? KD_EXIT_NOT_FOUND : KD_EXIT_LOAD, NULL, "--btf %s: %s",
				       btf_path, strerror(errno));
		host->boot_clock =
			libbpf_probe_bpf_helper(host->raw_tp ? BPF_PROG_TYPE_RAW_TRACEPOINT : BPF_PROG_TYPE_TRACEPOINT,
						BPF_FUNC_ktime_get_boot_ns, NULL) > 0;
		return -1;
	}
	host->btf = true;
	host->boot_clock = has_helper(btf, "BPF_FUNC_ktime_get_boot_ns");
	/* Since 6.13; on 7.2 and 7.3 raw programs were seen to miss calls there (recursion_misses). */
	host->faultable = has_member(btf, "tracepoint_ext", "faultable", false);
	/* 6.7: e2b2cd592a8c shows the count of trace_call_bpf (dd8657894c11) as bpf_link_info's "missed". */
	host->tp_misses_counted = has_member(btf, "bpf_link_info", "missed", true);
	btf__free(btf);
	return -1;
}

static bool tracefs_seen(void)
{
	return access("/sys/kernel/tracing/events/raw_syscalls/sys_exit/id", R_OK) == 0 ||
	       access("/sys/kernel/debug/tracing/events/raw_syscalls/sys_exit/id", R_OK) == 0;
}

bool kd_host_find_tracefs(void)
{
	static int found = -1;

	if (found >= 0)
		return found;
	found = tracefs_seen();
	if (!found && unshare(CLONE_NEWNS) == 0 && mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0)
		/* Before 4.1 tracefs was a part of debugfs. */
		found = (mount("tracefs", "/sys/kernel/tracing", "tracefs", 0, NULL) == 0 ||
			 mount("debugfs", "/sys/kernel/debug", "debugfs", 0, NULL) == 0) &&
			tracefs_seen();
	return found;
}
