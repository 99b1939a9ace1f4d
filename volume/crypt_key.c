// SPDX-License-Identifier: Apache-2.0
/*
 * crypt_key.c: the file of a key. While a key is replaced there are up to three names:
 *
 *     PATH              the key that counts
 *     PATH.kura-new     the next one, until it is renamed to PATH
 *     PATH.kura-old     the one before, until its bytes are overwritten
 *
 * A crash leaves PATH whole, with the old key or the new one. The other two names mean nothing
 * then: whoever opens the key next overwrites and removes them.
 */
#include "volume/crypt_key.h"

#include "common/crypto.h"
#include "common/file.h"
#include "common/own.h"
#include "common/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>

#define KEY_NEW ".kura-new"
#define KEY_OLD ".kura-old"

static int refuse(char *why, size_t why_len, int err, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

static int refuse(char *why, size_t why_len, int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, why_len, fmt, ap);
	va_end(ap);
	return err;
}

/* ---- files ---- */

static int write_synced(int fd, const uint8_t bytes[CRYPTO_XTS_KEY])
{
	ssize_t n = pwrite(fd, bytes, CRYPTO_XTS_KEY, 0);

	if (n >= 0 && n != CRYPTO_XTS_KEY)
		return -ENOSPC;
	return n < 0 || fsync(fd) ? -errno : 0;
}

/* Overwrites the bytes that a leftover name leads to, unless they are the key itself, and removes
 * the name. 0 also when there is none. */
static int leftover_remove(const struct crypt_key *key, const char *suffix)
{
	static const uint8_t zeroes[CRYPTO_XTS_KEY];
	own_free char *name = own_printf("%s%s", key->path, suffix);
	own_fd int fd = open(name, O_WRONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat now, left;
	int err = 0;

	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	if (fstat(fd, &left) || fstat(key->fd, &now))
		return -errno;
	if (!S_ISREG(left.st_mode))
		return -EINVAL;
	if (left.st_ino != now.st_ino || left.st_dev != now.st_dev)
		err = write_synced(fd, zeroes);
	if (!err && unlink(name))
		err = -errno;
	return err ? err : file_sync_folder(key->path);
}

static int leftovers_remove(const struct crypt_key *key)
{
	int err = leftover_remove(key, KEY_NEW);

	return err ? err : leftover_remove(key, KEY_OLD);
}

/* ---- opening ---- */

static int path_find(struct crypt_key *key, const char *path, char *why, size_t why_len)
{
	if (*path != '/')
		return refuse(why, why_len, -EINVAL,
			"the key \"%s\" is no absolute path; give the whole path", path);
	key->path = realpath(path, NULL);
	if (key->path)
		return 0;
	if (errno == ENOENT)
		return refuse(why, why_len, -ENOENT,
			"there is no key %s; for a new volume make one: head -c 64 /dev/urandom > "
			"%s; chmod 600 %s",
			path, path, path);
	return refuse(
		why, why_len, -errno, "the key %s cannot be reached: %s", path, strerror(errno));
}

/* What is wrong with the file itself; it is looked at before a byte of it is read. */
static int key_check(const struct crypt_key *key, char *why, size_t why_len)
{
	struct stat st;

	if (key->fd < 0 || fstat(key->fd, &st))
		return refuse(why, why_len, -errno, "the key %s cannot be read: %s", key->path,
			strerror(errno));
	if (!S_ISREG(st.st_mode))
		return refuse(why, why_len, -EINVAL, "the key %s is not a plain file", key->path);
	if (st.st_uid && st.st_uid != geteuid())
		return refuse(why, why_len, -EPERM,
			"the key %s belongs to another user (%u), who gets at it; chown it",
			key->path, st.st_uid);
	if (st.st_mode & 077)
		return refuse(why, why_len, -EPERM,
			"the key %s has the mode %04o, so others than its owner get at it; chmod "
			"600 it, and if they could read it, move the data to a volume with another "
			"key",
			key->path, st.st_mode & 07777);
	if (st.st_size != CRYPTO_XTS_KEY)
		return refuse(why, why_len, -EINVAL,
			"the key %s has %lld bytes, a key has exactly %d; restore it, or for a new "
			"volume make one: head -c 64 /dev/urandom > %s",
			key->path, (long long)st.st_size, CRYPTO_XTS_KEY, key->path);
	return 0;
}

/* A key has one volume: replacing it for one would erase another. */
static int key_lock(const struct crypt_key *key, bool readonly, char *why, size_t why_len)
{
	struct stat here, there;

	if (flock(key->fd, (readonly ? LOCK_SH : LOCK_EX) | LOCK_NB)) {
		if (errno != EWOULDBLOCK)
			return refuse(why, why_len, -errno, "the key %s cannot be locked: %s",
				key->path, strerror(errno));
		return refuse(why, why_len, -EBUSY,
			"the key %s is in use, by another volume or another program; each volume "
			"has a key of its own",
			key->path);
	}
	if (fstat(key->fd, &here) || stat(key->path, &there) || here.st_ino != there.st_ino)
		return refuse(why, why_len, -EBUSY,
			"the key %s was replaced while it was opened; try again", key->path);
	return 0;
}

static bool halves_differ(const uint8_t bytes[CRYPTO_XTS_KEY])
{
	return !crypto_same(bytes, bytes + CRYPTO_XTS_KEY / 2, CRYPTO_XTS_KEY / 2);
}

static int key_read(struct crypt_key *key, char *why, size_t why_len)
{
	if (pread(key->fd, key->bytes, CRYPTO_XTS_KEY, 0) != CRYPTO_XTS_KEY)
		return refuse(why, why_len, -EIO, "the key %s cannot be read whole", key->path);
	if (!halves_differ(key->bytes)) /* IEEE 1619 5.1: two keys */
		return refuse(why, why_len, -EINVAL,
			"the key %s has two equal halves, so it is not random; make one: head -c "
			"64 /dev/urandom > %s",
			key->path, key->path);
	return 0;
}

int crypt_key_open(
	struct crypt_key *key, const char *path, bool readonly, char *why, size_t why_len)
{
	int err;

	key->fd = -1;
	err = path_find(key, path, why, why_len);
	if (err)
		return err;
	key->bytes = secret_room();
	key->fd = open(key->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK);
	err = key_check(key, why, why_len);
	if (!err)
		err = key_lock(key, readonly, why, why_len);
	if (!err)
		err = key_read(key, why, why_len);
	if (err || readonly)
		return err;
	err = leftovers_remove(key);
	if (err == -EROFS || err == -EACCES)
		err = 0; /* there is nothing to finish where nothing could be begun */
	if (err)
		return refuse(why, why_len, err,
			"what an erasure of the key %s has left (%s" KEY_OLD
			") cannot be removed: %s",
			key->path, key->path, strerror(-err));
	return 0;
}

void crypt_key_close(struct crypt_key *key)
{
	own_close_fd(&key->fd);
	key->fd = -1;
	secret_free(own_take(key->bytes));
	free(own_take(key->path));
}

/* ---- replacing ---- */

bool crypt_key_replaceable(const struct crypt_key *key)
{
	own_free char *dir = own_strdup(key->path);

	strrchr(dir, '/')[1] = 0;
	return access(dir, W_OK) == 0;
}

static void key_random(uint8_t bytes[CRYPTO_XTS_KEY])
{
	do
		own_assert(getrandom(bytes, CRYPTO_XTS_KEY, 0) == CRYPTO_XTS_KEY);
	while (!halves_differ(bytes));
}

/* The new key in a file of its own, locked and synced. The descriptor, owned, or -errno. */
static int new_write(const char *name, const uint8_t bytes[CRYPTO_XTS_KEY])
{
	own_fd int fd = open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	int err;

	if (fd < 0)
		return -errno;
	err = flock(fd, LOCK_EX | LOCK_NB) ? -errno : write_synced(fd, bytes);
	return err ? err : own_take_fd(&fd);
}

/* The old key gets its second name before it loses the first: its bytes can be found again. */
static int names_change(const struct crypt_key *key, const char *new)
{
	own_free char *old = own_printf("%s%s", key->path, KEY_OLD);
	int err = 0;

	if (link(key->path, old))
		return -errno;
	err = file_sync_folder(key->path);
	if (!err && rename(new, key->path))
		err = -errno;
	return err;
}

int crypt_key_replace(struct crypt_key *key)
{
	own_free char *new = own_printf("%s%s", key->path, KEY_NEW);
	uint8_t *bytes = secret_room();
	int err = leftovers_remove(key);
	int fd = -1;

	key_random(bytes);
	if (!err) {
		fd = new_write(new, bytes);
		err = fd < 0 ? fd : names_change(key, new);
	}
	if (err) {
		own_close_fd(&fd);
		(void)leftovers_remove(key); /* what cannot be removed now is removed next time */
	} else {
		own_close_fd(&key->fd);
		key->fd = fd;
		memcpy(key->bytes, bytes, CRYPTO_XTS_KEY);
		err = file_sync_folder(key->path);
		if (!err)
			err = leftover_remove(key, KEY_OLD);
	}
	secret_free(bytes);
	return err;
}
