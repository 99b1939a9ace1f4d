/* SPDX-License-Identifier: Apache-2.0 */
/* The one place that knows in which order a file must be written, synced and renamed. */
#include "common/file.h"

#include "common/fault.h"
#include "common/own.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static int fill(int fd, const char *data, size_t len)
{
	while (len) {
		ssize_t n = write(fd, data, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		data += n;
		len -= (size_t)n;
	}
	return fsync(fd) ? -errno : 0;
}

int file_write(const char *path, const void *data, size_t len, mode_t mode)
{
	own_fd int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, mode);
	int err;

	if (fd < 0)
		return -errno;
	/* One that was left behind keeps its mode otherwise. */
	if (fchmod(fd, mode))
		return -errno;
	err = fill(fd, data, len);
	(void)fault_point(FAULT_file_written);
	return err;
}

int file_replace(const char *path, const void *data, size_t len, mode_t mode)
{
	own_free char *beside = own_printf("%s.tmp", path);
	int err = file_write(beside, data, len, mode);

	if (!err && rename(beside, path))
		err = -errno;
	if (err) {
		unlink(beside);
		return err;
	}
	err = fault_point(FAULT_file_renamed);
	if (!err)
		err = file_sync_folder(path);
	(void)fault_point(FAULT_file_replaced);
	return err;
}

int file_sync_folder(const char *path)
{
	own_free char *folder = own_strdup(path);
	char *slash = strrchr(folder, '/');
	own_fd int fd = -1;

	if (slash)
		slash[slash == folder ? 1 : 0] = '\0';
	fd = open(slash ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	return fsync(fd) ? -errno : 0;
}

void file_sweep(const char *folder)
{
	static const char end[] = ".tmp";
	DIR *dir = opendir(folder);
	const struct dirent *e;

	while (dir && (e = readdir(dir))) {
		size_t len = strlen(e->d_name);

		if (len > strlen(end) && !strcmp(e->d_name + len - strlen(end), end))
			(void)unlinkat(dirfd(dir), e->d_name, 0);
	}
	if (dir)
		closedir(dir);
}

int file_make_folder(const char *path)
{
	if (!mkdir(path, 0700))
		return file_sync_folder(path);
	return errno == EEXIST ? 0 : -errno;
}

char *file_read(const char *path, size_t max, size_t *len, int *err)
{
	own_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	own_free char *text = NULL;
	ssize_t n = 1;

	*len = 0;
	*err = fd < 0 ? -errno : 0;
	if (*err)
		return NULL;
	text = own_calloc(1, max + 1);
	while (n && *len <= max) {
		n = read(fd, text + *len, max + 1 - *len);
		if (n < 0 && errno != EINTR) {
			*err = -errno;
			return NULL;
		}
		*len += n > 0 ? (size_t)n : 0;
	}
	if (*len > max) {
		*err = -EFBIG;
		return NULL;
	}
	text[*len] = '\0';
	return own_take(text);
}
