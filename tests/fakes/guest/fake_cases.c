// SPDX-License-Identifier: Apache-2.0
/* A kd-cases that makes one call and expects its event; with FAKE_LINES it writes so many more lines. */
#include <stdio.h>
#include <unistd.h>

#ifndef FAKE_LINES
#define FAKE_LINES 1
#endif

int main(void)
{
	for (int i = 0; i < FAKE_LINES; i++)
		printf("{\"case\":\"dup-%d\",\"event\":\"dup\",\"tid\":%d,\"params\":{\"res\":%d,\"oldfd\":0}}\n", i,
		       (int)getpid(), dup(0));
	return 0;
}
