// SPDX-License-Identifier: Apache-2.0
/*
 * pool_copy.c: the long work of pools: whole copies that keep holes, and overwriting.
 *
 * Bytes go by copy_file_range between files, which a filesystem may do by itself, else through a
 * buffer, in which runs of zeroes are seen and not written where the target has zeroes anyway.
 */
#include "common/own.h"
#include "volume/pool_kind.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#define COPY_PIECE (1u << 20)
#define COPY_RANGE (64u << 20) /* progress is told so often when the filesystem copies */

struct copy {
	int in, out;
	uint64_t size;
	bool files;  /* copy_file_range may do it */
	bool zeroed; /* zeroes need not be written */
	uint8_t *buf;
	const struct pool_progress *progress;
};

static bool all_zero(const uint8_t *p, size_t len)
{
	return len == 0 || (p[0] == 0 && memcmp(p, p + 1, len - 1) == 0);
}

static int told(const struct pool_progress *progress, uint64_t done, uint64_t total)
{
	return !progress || progress->tell(progress->arg, done, total) ? 0 : -ECANCELED;
}

static int read_all(int fd, uint8_t *buf, size_t len, uint64_t at)
{
	while (len) {
		ssize_t n = pread(fd, buf, len, (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -EIO;
		buf += n;
		at += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

static int write_all(int fd, const uint8_t *buf, size_t len, uint64_t at)
{
	while (len) {
		ssize_t n = pwrite(fd, buf, len, (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		buf += n;
		at += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

/* The next run of data at or behind *at: [*at, *end). -ENXIO: none. Devices are all data. */
static int next_data(int fd, uint64_t *at, uint64_t *end, uint64_t size)
{
	off_t data = lseek(fd, (off_t)*at, SEEK_DATA), hole;

	if (data < 0 && errno == ENXIO)
		return -ENXIO;
	if (data < 0) {
		*end = size;
		return *at < size ? 0 : -ENXIO;
	}
	hole = lseek(fd, data, SEEK_HOLE);
	if ((uint64_t)data >= size)
		return -ENXIO;
	*at = (uint64_t)data;
	*end = hole < 0 || (uint64_t)hole > size ? size : (uint64_t)hole;
	return 0;
}

static int zero_out(int fd, const uint8_t *zeroes, size_t len, uint64_t at)
{
	uint64_t range[2] = { at, len };

	if (ioctl(fd, BLKZEROOUT, range) == 0)
		return 0;
	return write_all(fd, zeroes, len, at);
}

/* Copies from the front of [at, end); returns how much in *did. */
static int copy_piece(struct copy *c, uint64_t at, uint64_t end, uint64_t *did)
{
	size_t len = end - at < COPY_PIECE ? (size_t)(end - at) : COPY_PIECE;
	off_t from = (off_t)at, to = (off_t)at;
	int err;

	if (c->files) {
		size_t want = end - at < COPY_RANGE ? (size_t)(end - at) : COPY_RANGE;
		ssize_t n = copy_file_range(c->in, &from, c->out, &to, want, 0);

		if (n > 0) {
			*did = (uint64_t)n;
			return 0;
		}
		c->files = false; /* what is wrong shows below, if anything */
	}
	err = read_all(c->in, c->buf, len, at);
	if (err)
		return err;
	*did = len;
	if (!all_zero(c->buf, len))
		return write_all(c->out, c->buf, len, at);
	return c->zeroed ? 0 : zero_out(c->out, c->buf, len, at);
}

static int copy_run(struct copy *c)
{
	uint64_t at = 0, end;

	while (at < c->size && next_data(c->in, &at, &end, c->size) == 0) {
		while (at < end) {
			uint64_t did = 0;
			int err = told(c->progress, at, c->size);

			if (!err)
				err = copy_piece(c, at, end, &did);
			if (err)
				return err;
			at += did;
		}
	}
	if (fsync(c->out))
		return -errno;
	return told(c->progress, c->size, c->size);
}

static bool is_file(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
}

/* Whether it has less space than bytes, and the filesystem does not say where (NFS before 4.2): who
 * looks at the bytes finds out, copy_file_range would write the zeroes. */
static bool hides_holes(int fd, uint64_t size)
{
	struct stat st;

	return fstat(fd, &st) == 0 && (uint64_t)st.st_blocks * 512 < size &&
	       lseek(fd, 0, SEEK_HOLE) >= (off_t)size;
}

int pool_copy(const char *from, const char *to, uint64_t size, bool zeroed,
	const struct pool_progress *progress, const struct pool_why *why)
{
	own_fd int in = open(from, O_RDONLY | O_CLOEXEC);
	own_fd int out = open(to, O_RDWR | O_CLOEXEC);
	own_free uint8_t *buf = NULL;
	struct copy c = { in, out, size, .zeroed = zeroed, .progress = progress };
	int err;

	if (in < 0 || out < 0)
		return pool_refuse(why, -errno, "%s: cannot be opened for a copy: %s",
			in < 0 ? from : to, strerror(errno));
	buf = c.buf = own_calloc(1, COPY_PIECE);
	c.files = is_file(in) && is_file(out) && !hides_holes(in, size);
	err = copy_run(&c);
	if (err == -ECANCELED)
		return pool_refuse(why, err, "%s: the copy was cancelled", from);
	if (err)
		return pool_refuse(why, err, "%s: cannot be copied to %s: %s%s", from, to,
			strerror(-err), err == -ENOSPC ? "; make room in the pool" : "");
	return 0;
}

/* Now and then, so that who ends the wiping need not wait for all of it to be written. */
static int wipe_sync(int fd, uint64_t at)
{
	return at % COPY_RANGE || !fdatasync(fd) ? 0 : -errno;
}

static int wipe_run(int fd, uint64_t size, uint8_t *buf, const struct pool_progress *progress)
{
	uint64_t at = 0, end;

	while (at < size && next_data(fd, &at, &end, size) == 0) {
		while (at < end) {
			size_t len = end - at < COPY_PIECE ? (size_t)(end - at) : COPY_PIECE;
			int err = told(progress, at, size);

			if (!err)
				err = read_all(fd, buf, len, at);
			if (!err && !all_zero(buf, len)) {
				memset(buf, 0, len);
				err = write_all(fd, buf, len, at);
			}
			at += len;
			if (!err)
				err = wipe_sync(fd, at);
			if (err)
				return err;
		}
	}
	return fsync(fd) ? -errno : told(progress, size, size);
}

int pool_wipe(const char *path, const struct pool_progress *progress, const struct pool_why *why)
{
	own_fd int fd = open(path, O_RDWR | O_CLOEXEC);
	own_free uint8_t *buf = NULL;
	off_t size = fd < 0 ? -1 : lseek(fd, 0, SEEK_END);
	int err;

	if (size < 0)
		return pool_refuse(why, -errno,
			"%s: cannot be opened to be wiped: %s; it stays hidden and is wiped at the "
			"next start",
			path, strerror(errno));
	buf = own_calloc(1, COPY_PIECE);
	err = wipe_run(fd, (uint64_t)size, buf, progress);
	if (err)
		return pool_refuse(why, err,
			"%s: cannot be wiped: %s; it stays hidden and is wiped at the next start",
			path, strerror(-err));
	return 0;
}
