/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a filesystem can is found by trying it on two files without a name: ext4 has no reflinks,
 * NFS has what its server has, and no files without a name.
 */
#include "volume/pool_dir_fs.h"

#include "common/own.h"
#include "volume/pool.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

int pool_dir_reserve(int fd, int mode, uint64_t from, uint64_t to)
{
	int rc;

	do
		rc = fallocate(fd, mode, (off_t)from, (off_t)(to - from));
	while (rc && errno == EINTR);
	return rc ? -errno : 0;
}

/* The space first, behind the end, where nobody sees it; NFS takes it with the size in one. */
int pool_dir_take_room(int fd, uint64_t from, uint64_t to)
{
	int err = pool_dir_reserve(fd, FALLOC_FL_KEEP_SIZE, from, to);

	return err == -EOPNOTSUPP ? pool_dir_reserve(fd, 0, from, to) : err;
}

/* NFS changes no size that it believes to be the same, and may not know yet that it is not: it has
 * to ask before. */
void pool_dir_give_back(int fd, uint64_t size)
{
	struct statx st;

	(void)statx(fd, "", AT_EMPTY_PATH | AT_STATX_FORCE_SYNC, STATX_SIZE, &st);
	(void)!ftruncate(fd, (off_t)size);
}

/* Without O_TMPFILE: a file whose name is taken away. */
static int open_unseen(int dir, const char *name)
{
	int fd = openat(dir, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (fd >= 0)
		return fd;
	fd = openat(dir, name, O_CREAT | O_TRUNC | O_NOFOLLOW | O_RDWR | O_CLOEXEC, 0600);
	if (fd >= 0)
		(void)unlinkat(dir, name, 0);
	return fd;
}

uint32_t pool_dir_probe(int dir)
{
	own_fd int a = open_unseen(dir, POOL_DIR_TRY_A);
	own_fd int b = open_unseen(dir, POOL_DIR_TRY_B);
	uint32_t caps = POOL_CAN_MAKE | POOL_CAN_THIN | POOL_CAN_GROW | POOL_CAN_SHRINK;

	if (a < 0 || b < 0)
		return caps;
	if (fallocate(a, 0, 0, 8192) == 0)
		caps |= POOL_CAN_THICK;
	if (fallocate(a, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096) == 0)
		caps |= POOL_CAN_DISCARD;
	if (ioctl(b, FICLONE, a) == 0)
		caps |= POOL_CAN_SNAPSHOT | POOL_CAN_CLONE;
	return caps;
}
