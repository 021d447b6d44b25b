// SPDX-License-Identifier: Apache-2.0
/*
 * A kd-capture without a driver, for tests of the guest. What it does is the text of the driver file: `refuse` (the
 * verifier said no), `silent` (never ready), `deaf` (ready, answers nothing), else it answers every command and prints
 * no event.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void behaviour(const char *driver, char *text, int size)
{
	FILE *file = fopen(driver, "re");

	text[0] = 0;
	if (file && !fgets(text, size, file))
		text[0] = 0;
	if (file)
		fclose(file);
}

int main(int argc, char **argv)
{
	char text[64], line[256];

	behaviour(argc > 2 ? argv[2] : "", text, sizeof(text));
	if (strncmp(text, "refuse", 6) == 0) {
		fprintf(stderr, "libbpf: prog 'kd_exit_raw': BPF program load failed: Permission denied\n");
		fprintf(stderr, "R2 invalid mem access 'scalar'\n");
		return 7;
	}
	if (strncmp(text, "silent", 6) == 0)
		pause();
	printf("{\"ready\":true,\"driver\":\"fake\"}\n");
	fflush(stdout);
	if (strncmp(text, "deaf", 4) == 0)
		pause();
	while (fgets(line, sizeof(line), stdin)) {
		line[strcspn(line, "\n")] = 0;
		if (strcmp(line, "stats") == 0)
			printf("{\"stats\":{\"driver\":\"fake\",\"program_type\":\"none\",\"events\":0,\"drops\":0,"
			       "\"missed_runs\":null}}\n");
		printf("{\"ack\":\"%s\",\"ok\":true}\n", line);
		fflush(stdout);
		if (strcmp(line, "quit") == 0)
			return 0;
	}
	return 0;
}
