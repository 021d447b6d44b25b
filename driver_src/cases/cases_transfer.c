// SPDX-License-Identifier: GPL-2.0-only OR MIT
/* Cases: data from one place to another: vectors at a position, descriptors, other processes, io_uring. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "cases.h"

#define FILE_PATH "/tmp/kd-transfer"

static char text[3000], got[3000];
static struct iovec parts[20], there[2];

static void fill(void)
{
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (char)(i * 3 + 1);
	memset(got, 1, sizeof(got));
}

static void parts_of(char *base, size_t each, int n)
{
	for (int i = 0; i < n; i++)
		parts[i] = (struct iovec){base + (size_t)i * each, each};
}

static int64_t file_make(void)
{
	fill();
	file_was_created = true;
	return call3(K_OPEN, FILE_PATH, O_RDWR | O_CREAT | O_EXCL, 0600);
}

static void file_end(int64_t fd)
{
	call1(K_CLOSE, fd);
	call1(K_UNLINK, FILE_PATH);
}

static void preadv_cases(void)
{
	int64_t fd;

	if (!helper_has_preadv2) {
		case_skip("the cases need preadv for themselves where there is no preadv2");
		return;
	}
	fd = file_make();
	parts_of(text, 30, 18);
	must("pwritev", call5(K_PWRITEV, fd, parts, 3, 5, 0) == 90);
	must("pwritev", call5(K_PWRITEV, fd, parts, 18, 0, 0) == 540);
	must("pwritev", call5(K_PWRITEV, fd, parts, 0, 0, 0) == 0);
	must("pwritev", call5(K_PWRITEV, -1, parts, 2, 0x123456789abul, 0) == -EBADF);
	must("pwritev", call5(K_PWRITEV, fd, NULL, 2, 0, 0) == -EFAULT);
	must("pwritev", call5(K_PWRITEV, fd, page_end - 7, 1, 0, 0) == -EFAULT);
	parts_of(got, 30, 18);
	must("preadv", call5(K_PREADV, fd, parts, 3, 7, 0) == 90);
	must("preadv", call5(K_PREADV, fd, parts, 18, 100, 0) == 440);
	must("preadv", call5(K_PREADV, fd, parts, 1, -1, 0) == -EINVAL);
	must("preadv", call5(K_PREADV, -1, NULL, 1, 0x7fffffffful, 0) == -EBADF);
	must("preadv", call5(K_PREADV, fd, UNMAPPED, 1, 0, 0) == -EFAULT);
	file_end(fd);
}

/* Without process_vm_readv of the case's own: what the calls copy is the process's own memory. */
static void process_vm(void)
{
	fill();
	there[0] = (struct iovec){text, 100};
	there[1] = (struct iovec){text + 1000, 50};
	parts_of(got, 75, 2);
	must("process_vm_readv", call_all(K_PROCESS_VM_READV, self.vpid, parts, 2, there, 2, 0) == 150);
	must("process_vm_readv", call_all(K_PROCESS_VM_READV, 0x7ffffff0, parts, 2, there, 2, 0) == -ESRCH);
	must("process_vm_readv", call_all(K_PROCESS_VM_READV, self.vpid, NULL, 1, there, 2, 0) == -EFAULT);
	parts_of(text, 20, 2);
	there[0] = (struct iovec){got, 100};
	must("process_vm_writev", call_all(K_PROCESS_VM_WRITEV, self.vpid, parts, 2, there, 1, 0) == 40);
	must("process_vm_writev", call_all(K_PROCESS_VM_WRITEV, -1, parts, 1, there, 1, 0) == -ESRCH);
	must("process_vm_writev", call_all(K_PROCESS_VM_WRITEV, self.vpid, UNMAPPED, 1, there, 1, 0) == -EFAULT);
	parts[0].iov_base = (void *)UNMAPPED;
	must("process_vm_writev", call_all(K_PROCESS_VM_WRITEV, self.vpid, parts, 1, there, 1, 0) == -EFAULT);
	must("process_vm_writev", call_all(K_PROCESS_VM_WRITEV, self.vpid, parts, 1, there, 1, 9) == -EINVAL);
}

static void between_descriptors(void)
{
	static uint64_t offset, other;
	static int ends[2];
	int64_t fd = file_make(), out;

	must("write", call3(K_WRITE, fd, text, sizeof(text)) == sizeof(text));
	out = call2(K_CREAT, FILE_PATH ".out", 0600);
	offset = 100;
	must("sendfile", call4(K_SENDFILE, out, fd, &offset, 200) == 200);
	must("sendfile", call4(K_SENDFILE, out, fd, NULL, 0x123456789ul) >= 0);
	must("sendfile", call4(K_SENDFILE, -1, fd, &offset, 1) == -EBADF);
	must("sendfile", call4(K_SENDFILE, out, -1, UNMAPPED, 1) < 0);
	must("sendfile", call4(K_SENDFILE, out, fd, page_end - 6, 1) == -EFAULT);
	call2(K_PIPE2, ends, 0);
	offset = 0;
	must("splice", call_all(K_SPLICE, fd, &offset, ends[1], NULL, 500, 1 | 4) == 500);
	must("splice", call_all(K_SPLICE, ends[0], NULL, out, NULL, 400, 0) == 400);
	must("splice", call_all(K_SPLICE, -1, NULL, -2, NULL, 1ul << 40, 15) == -EBADF);
	/* At the file's end; flags that the call does not know are refused since 4.11. */
	out = call_all(K_SPLICE, fd, NULL, ends[1], NULL, 1, 0xff0);
	must("splice", out == -EINVAL || out == 0);
	offset = 10;
	other = 20;
	out = call3(K_OPEN, FILE_PATH ".out", O_RDWR, 0);
	if (call_all(K_COPY_FILE_RANGE, fd, &offset, out, &other, 300, 0) == -ENOSYS)
		case_skip("no copy_file_range in this kernel");
	must("copy_file_range", call_all(K_COPY_FILE_RANGE, -1, NULL, -2, &offset, 1ul << 33, 0) < 0);
	must("copy_file_range", call_all(K_COPY_FILE_RANGE, fd, UNMAPPED, out, NULL, 1, 0) < 0);
	call1(K_UNLINK, FILE_PATH ".out");
	file_end(fd);
}

static struct mmsghdr messages[2];

static void messages_of(void *name, uint32_t name_length, char *base, size_t each)
{
	memset(messages, 0, sizeof(messages));
	parts_of(base, each, 4);
	for (int i = 0; i < 2; i++) {
		messages[i].msg_hdr.msg_name = name;
		messages[i].msg_hdr.msg_namelen = name_length;
		messages[i].msg_hdr.msg_iov = &parts[2 * i];
		messages[i].msg_hdr.msg_iovlen = 2;
	}
}

/* The event shows the first of the messages. */
static void many_messages(void)
{
	static struct sockaddr_in to, from;
	static char control[64];
	uint32_t length = sizeof(to);
	int64_t receiver = call3(K_SOCKET, AF_INET, SOCK_DGRAM, 0), sender = call3(K_SOCKET, AF_INET, SOCK_DGRAM, 0);

	fill();
	to.sin_family = AF_INET;
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (call3(K_BIND, receiver, &to, length) != 0) {
		case_skip("no loopback device");
		return;
	}
	own_name(self.vpid, (int)receiver, &to, length);
	messages_of(&to, length, text, 33);
	must("sendmmsg", call4(K_SENDMMSG, sender, messages, 2, 0) == 2);
	messages_of(&to, length, text, 500);
	must("sendmmsg", call4(K_SENDMMSG, sender, messages, 1, 0) == 1);
	parts_of(text, 33, 18);
	messages[0].msg_hdr.msg_iovlen = 18;
	must("sendmmsg", call4(K_SENDMMSG, -1, messages, 1, 0) == -EBADF);
	must("sendmmsg", call4(K_SENDMMSG, sender, messages, 0, 0) == 0);
	must("sendmmsg", call4(K_SENDMMSG, -1, messages, 2, 0) == -EBADF);
	must("sendmmsg", call4(K_SENDMMSG, sender, NULL, 1, 0) == -EFAULT);
	must("sendmmsg", call4(K_SENDMMSG, sender, page_end - 20, 1, 0) == -EFAULT);
	messages_of(&from, sizeof(from), got, 40);
	messages[0].msg_hdr.msg_control = control;
	messages[0].msg_hdr.msg_controllen = sizeof(control);
	call5(K_SETSOCKOPT, receiver, SOL_SOCKET, SO_TIMESTAMP, &length, 4);
	must("recvmmsg", call5(K_RECVMMSG, receiver, messages, 2, 0, NULL) == 2);
	messages_of(NULL, 0, got, 100);
	must("recvmmsg", call5(K_RECVMMSG, receiver, messages, 1, MSG_TRUNC, NULL) == 1);
	must("recvmmsg", call5(K_RECVMMSG, receiver, messages, 2, MSG_DONTWAIT, NULL) == -EAGAIN);
	must("recvmmsg", call5(K_RECVMMSG, -1, messages, 2, 0, NULL) == -EBADF);
	must("recvmmsg", call5(K_RECVMMSG, receiver, UNMAPPED, 1, MSG_DONTWAIT, NULL) < 0);
}

static struct {
	uint32_t sq_entries, cq_entries, flags, sq_thread_cpu, sq_thread_idle, features, rest[24];
} params;

static void io_uring(void)
{
	static uint64_t set;
	int64_t fd = call2(K_IO_URING_SETUP, 4, &params);

	if (fd < 0) {
		case_skip("io_uring is not allowed here");
		return;
	}
	params.flags = 0xff8;
	params.sq_thread_cpu = 3;
	params.sq_thread_idle = 77;
	must("io_uring_setup", call2(K_IO_URING_SETUP, 0x100000001ul, &params) < 0);
	params.flags = 1 | 2 | 4 | 32 | 64;
	params.features = 0xffffffff;
	must("io_uring_setup", call2(K_IO_URING_SETUP, 0, &params) < 0);
	must("io_uring_setup", call2(K_IO_URING_SETUP, 1, NULL) == -EFAULT);
	must("io_uring_setup", call2(K_IO_URING_SETUP, 1, page_end - 11) == -EFAULT);
	must("io_uring_enter", call_all(K_IO_URING_ENTER, fd, 0, 0, 0, NULL, 8) == 0);
	set = 0x4000;
	must("io_uring_enter", call_all(K_IO_URING_ENTER, fd, 0, 0, 1, &set, 8) == 0);
	set = 0x300000200;
	must("io_uring_enter", call_all(K_IO_URING_ENTER, -1, 5, 0x100000006ul, 15, &set, 8) < 0);
	must("io_uring_enter", call_all(K_IO_URING_ENTER, -1, 1, 1, 0xf0, &set, 8) < 0);
	must("io_uring_enter", call_all(K_IO_URING_ENTER, fd, 0, 1, 2, UNMAPPED, 8) <= 0);
	parts_of(got, 100, 1);
	must("io_uring_register", call4(K_IO_URING_REGISTER, fd, 0, parts, 1) <= 0);
	must("io_uring_register", call4(K_IO_URING_REGISTER, fd, 1, NULL, 0) <= 0);
	memset(got, 0, sizeof(got));
	must("io_uring_register", call4(K_IO_URING_REGISTER, fd, 8 /* IORING_REGISTER_PROBE */, got, 1) <= 0);
	must("io_uring_register", call4(K_IO_URING_REGISTER, -1, 0x10021, UNMAPPED, 0x100000009ul) < 0);
	call1(K_CLOSE, fd);
}

const struct one_case transfer_cases[] = {
	{"preadv-pwritev", preadv_cases},
	{PROCESS_VM_CASE, process_vm},
	{"between-descriptors", between_descriptors},
	{"sendmmsg-recvmmsg", many_messages},
	{"io-uring", io_uring},
	{NULL, NULL},
};
