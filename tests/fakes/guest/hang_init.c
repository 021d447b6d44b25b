// SPDX-License-Identifier: Apache-2.0
/* An /init that says hello on the result channel, as kd-guest does, and then does what END says: hang or panic. */
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>
#include <zlib.h>

static void say(int fd, const char *text)
{
	unsigned char out[1024];
	z_stream stream = {.next_in = (unsigned char *)text, .avail_in = (unsigned int)strlen(text)};

	stream.next_out = out;
	stream.avail_out = sizeof(out);
	deflateInit(&stream, Z_BEST_SPEED);
	deflate(&stream, Z_SYNC_FLUSH);
	if (write(fd, out, sizeof(out) - stream.avail_out) < 0)
		_exit(2);
}

int main(void)
{
	struct termios settings;
	int fd;

	mkdir("/dev", 0755);
	mount("dev", "/dev", "devtmpfs", 0, NULL);
	fd = open("/dev/ttyS1", O_WRONLY | O_NOCTTY);
	tcgetattr(fd, &settings);
	cfmakeraw(&settings);
	tcsetattr(fd, TCSANOW, &settings);
	say(fd, "{\"hello\":1,\"release\":\"toy\",\"version\":\"#1\"}\n{\"driver\":\"core\",\"stage\":\"cases\"}\n");
	fsync(fd);
	sleep(1);
#ifdef PANIC
	return 3; /* the end of process 1 is a panic */
#else
	for (;;)
		pause();
#endif
}
