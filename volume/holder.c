// SPDX-License-Identifier: Apache-2.0
/*
 * holder.c: looks at every descriptor of every process that we may look at. Slow, for messages
 * only.
 */
#include "volume/holder.h"

#include "common/own.h"

#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void dir_close(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

#define OWN_DIR __attribute__((cleanup(dir_close)))

static bool holder_has(long pid, const struct stat *wanted)
{
	own_free char *path = own_printf("/proc/%ld/fd", pid);
	OWN_DIR DIR *fds = opendir(path);
	struct dirent *e;
	struct stat st;

	while (fds && (e = readdir(fds)))
		if (fstatat(dirfd(fds), e->d_name, &st, 0) == 0 && st.st_dev == wanted->st_dev &&
			st.st_ino == wanted->st_ino)
			return true;
	return false;
}

static void holder_print(long pid, char *text, size_t len)
{
	own_free char *path = own_printf("/proc/%ld/comm", pid);
	char comm[32] = "?";
	FILE *f = fopen(path, "re");

	if (f) {
		if (fgets(comm, sizeof comm, f))
			comm[strcspn(comm, "\n")] = 0;
		fclose(f);
	}
	snprintf(text, len, "process %ld (%s)", pid, comm);
}

void holder_name(int fd, char *text, size_t len)
{
	OWN_DIR DIR *proc = opendir("/proc");
	struct dirent *e;
	struct stat st;

	text[0] = 0;
	if (fstat(fd, &st))
		return;
	while (proc && (e = readdir(proc))) {
		long pid = strtol(e->d_name, NULL, 10);

		if (pid <= 0 || pid == getpid() || !holder_has(pid, &st))
			continue;
		holder_print(pid, text, len);
		return;
	}
}
