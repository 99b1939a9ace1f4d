// SPDX-License-Identifier: Apache-2.0
#include "config/secret.h"

#include "common/own.h"
#include "common/secret.h"
#include "config/value.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

/* What is wrong with the file itself; it is looked at before a byte of it is read. */
static int check_file(int fd, const char *path, char *why)
{
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return cfg_refuse(why, "\"%.200s\" cannot be read: %s", path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return cfg_refuse(why, "\"%.200s\" is not a plain file", path);
	if (st.st_uid && st.st_uid != geteuid())
		return cfg_refuse(why,
			"\"%.200s\" belongs to another user (%u), who gets at the secret; chown "
			"it, and "
			"choose a new secret",
			path, st.st_uid);
	if (st.st_mode & 077)
		return cfg_refuse(why,
			"\"%.200s\" has the mode %04o, so others than its owner get at the secret; "
			"chmod 600 it, and choose a new secret if they could",
			path, st.st_mode & 07777);
	return 0;
}

/* The bytes of a secret without the newline that an editor puts behind them. */
static int check_bytes(const char *bytes, size_t *len, const char *path, char *why)
{
	if (*len && bytes[*len - 1] == '\n')
		--*len;
	if (memchr(bytes, '\0', *len) || memchr(bytes, '\n', *len))
		return cfg_refuse(why,
			"\"%.200s\" holds more than one line, or a NUL; write the secret on one "
			"line",
			path);
	if (!*len || *len > SECRET_MAX)
		return cfg_refuse(why, "\"%.200s\" holds %s; a secret has 1 to %d bytes", path,
			*len ? "more" : "none", SECRET_MAX);
	return 0;
}

int cfg_secret_read(const char *path, char **secret, char *why)
{
	struct stat st;
	/* only a plain file is opened: with a device that alone can do something */
	bool other = !stat(path, &st) && !S_ISREG(st.st_mode);
	own_fd int fd = other ? -1 : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	char bytes[SECRET_MAX + 2];
	ssize_t n;
	size_t len;
	int err;

	if (other)
		return cfg_refuse(why, "\"%.200s\" is not a plain file", path);
	err = check_file(fd, path, why);
	if (err)
		return err;
	n = read(fd, bytes, sizeof bytes);
	if (n < 0)
		return cfg_refuse(why, "\"%.200s\" cannot be read: %s", path, strerror(errno));
	len = (size_t)n;
	err = check_bytes(bytes, &len, path, why);
	if (!err)
		*secret = secret_new(bytes, len);
	explicit_bzero(bytes, sizeof bytes);
	return err;
}
