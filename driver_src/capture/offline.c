// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * kd-capture: events out of files of raw blocks instead of a driver, for tests of the decoder.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "session.h"

/* Raw blocks from a file. A block whose length leads nowhere ends it: where the next one starts cannot be known. */
static int read_blocks(struct kd_session *session, unsigned int cpu, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat facts;
	unsigned char *bytes = NULL;
	size_t at = 0, left;

	if (fd < 0 || fstat(fd, &facts) != 0)
		return kd_fail(KD_EXIT_NOT_FOUND, NULL, "%s: %s", path, strerror(errno));
	if (facts.st_size > 0)
		bytes = mmap(NULL, (size_t)facts.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (bytes == MAP_FAILED)
		return kd_fail(KD_EXIT_LOAD, NULL, "%s: %s", path, strerror(errno));
	while ((left = (size_t)facts.st_size - at) > 0) {
		__u32 size = kd_block_size(bytes + at, left);

		if (size < 26 || size > left)
			size = (__u32)left;
		if (kd_merge_add(session->merge, cpu, bytes + at, size) != 0)
			return kd_fail(KD_EXIT_LOAD, NULL, "%s: no memory", path);
		at += size;
	}
	if (bytes)
		munmap(bytes, (size_t)facts.st_size);
	close(fd);
	return KD_EXIT_DONE;
}

/* Each file stands for the ring of a CPU. */
int kd_decode_files(struct kd_session *session)
{
	const struct kd_options *options = session->options;
	unsigned int cpu;
	int status = KD_EXIT_DONE;

	session->merge = kd_merge_new(options->decode_count, false, NULL);
	if (!session->merge)
		return kd_fail(KD_EXIT_LOAD, NULL, "no memory");
	for (cpu = 0; cpu < options->decode_count && status == KD_EXIT_DONE; cpu++)
		status = read_blocks(session, cpu, options->decode_files[cpu]);
	if (status == KD_EXIT_DONE) {
		kd_merge_release(session->merge, ~0ULL, ~0ULL, kd_session_emit, session);
		kd_session_stats(session);
	}
	kd_merge_free(session->merge);
	return status;
}
