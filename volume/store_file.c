// SPDX-License-Identifier: Apache-2.0
/*
 * store_file.c: a regular file as a volume. It is made sparse when it is missing, locked against
 * every other opener that locks, and its identity is recorded in PATH.kura beside it.
 *
 * What can fail at open: a path of another kind, a lock held, a size that does not fit, O_DIRECT on
 * a filesystem without it; each is refused with a sentence. Later: what the filesystem says.
 */
#include "volume/holder.h"
#include "volume/meta.h"
#include "volume/store_fd.h"

#include "common/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

struct file_part {
	struct fd_part fd;  /* head */
	bool no_zero_range; /* the filesystem cannot; learnt by trying; atomic */
	bool readonly;      /* opened for reading */
	char *path;         /* as configured, owned */
	bool made;          /* by this open, and not finished */
};

static struct file_part *file_part(struct vol_part *part)
{
	return container_of(part, struct file_part, fd.part);
}

/* ---- opening ---- */

static int refuse_kind(struct vol_setup *setup, mode_t mode)
{
	const char *path = setup->conf->path;

	if (S_ISBLK(mode))
		return vol_refuse(setup, -EINVAL,
			"%s: this is a block device; use store = \"block\" for it", path);
	return vol_refuse(setup, -EINVAL, "%s: this is not a regular file", path);
}

static int refuse_errno(struct vol_setup *setup, const char *what, const char *advice)
{
	int err = -errno;

	return vol_refuse(
		setup, err, "%s: %s: %s; %s", setup->conf->path, what, strerror(-err), advice);
}

/* A file may be made only where neither it nor its identity was. */
static int file_make_check(struct vol_setup *setup)
{
	const struct vol_conf *conf = setup->conf;

	if (conf->readonly)
		return vol_refuse(setup, -ENOENT,
			"%s: the file is missing, and a read-only volume makes none", conf->path);
	if (!conf->size)
		return vol_refuse(setup, -ENOENT,
			"%s: the file is missing; give its size, as size = \"20G\", and it is made",
			conf->path);
	if (access(setup->sidecar, F_OK) == 0)
		return vol_refuse(setup, -ENOENT,
			"%s: the file is missing, but its identity record %s is there; put the "
			"file back, or "
			"remove the record to make a new, empty volume",
			conf->path, setup->sidecar);
	return 0;
}

static int file_make(struct file_part *f, struct vol_setup *setup)
{
	const char *path = setup->conf->path;

	if (file_make_check(setup))
		return -ENOENT;
	f->fd.fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (f->fd.fd < 0)
		return refuse_errno(setup, "cannot make the file",
			"see that its directory can be written by kurad");
	f->made = true;
	return 0;
}

static int file_find(struct file_part *f, struct vol_setup *setup)
{
	const struct vol_conf *conf = setup->conf;
	struct stat st;

	if (stat(conf->path, &st)) {
		if (errno == ENOENT)
			return file_make(f, setup);
		return refuse_errno(
			setup, "cannot look at the file", "see the path and its permissions");
	}
	if (!S_ISREG(st.st_mode))
		return refuse_kind(setup, st.st_mode);
	f->fd.fd = open(conf->path, (conf->readonly ? O_RDONLY : O_RDWR) | O_CLOEXEC);
	if (f->fd.fd < 0)
		return refuse_errno(setup, "cannot open the file",
			conf->readonly ? "make it readable for kurad"
				       : "make it writable for kurad, or set readonly = true");
	return 0;
}

static int refuse_held(const struct file_part *f, struct vol_setup *setup)
{
	char holder[64];

	holder_name(f->fd.fd, holder, sizeof holder);
	if (*holder)
		return vol_refuse(setup, -EBUSY,
			"%s: the file is in use by %s; a disk has one owner, so end that first",
			setup->conf->path, holder);
	return vol_refuse(setup, -EBUSY,
		"%s: the file is in use, by another program or by another volume of this "
		"configuration (perhaps under another name); a disk has one owner",
		setup->conf->path);
}

/* Locks of the open file description: a second volume of this process is refused, too. */
static int file_lock(struct file_part *f, struct vol_setup *setup)
{
	struct flock lock = { .l_type = f->readonly ? F_RDLCK : F_WRLCK, .l_whence = SEEK_SET };
	unsigned waited = 0;
	int rc;

	do
		rc = fcntl(f->fd.fd, F_OFD_SETLK, &lock);
	while (rc && (errno == EAGAIN || errno == EACCES) && fd_wait(setup, &waited));
	if (!rc)
		return 0;
	if (errno == EAGAIN || errno == EACCES)
		return refuse_held(f, setup);
	return refuse_errno(setup, "cannot lock the file",
		"put it on a filesystem that knows locks of open files");
}

static int file_grow(struct file_part *f, struct vol_setup *setup, uint64_t from)
{
	uint64_t size = setup->conf->size;

	if (f->readonly)
		return vol_refuse(setup, -EROFS,
			"%s: the file has %llu bytes, fewer than size %llu, and a read-only volume "
			"is not "
			"extended; leave size out",
			f->path, (unsigned long long)from, (unsigned long long)size);
	if (ftruncate(f->fd.fd, (off_t)size) || fsync(f->fd.fd))
		return refuse_errno(setup, "cannot extend the file to the configured size",
			"see the limits of that filesystem");
	log_info(f->made ? "volume: file made" : "volume: file extended",
		"path=%s from=%llu to=%llu", f->path, (unsigned long long)from,
		(unsigned long long)size);
	return 0;
}

static int file_size(struct file_part *f, struct vol_setup *setup, const struct stat *st)
{
	uint64_t have = (uint64_t)st->st_size, want = setup->conf->size;
	uint32_t bs = setup->info->block_size;

	if (want > have) {
		setup->info->size = want;
		return file_grow(f, setup, have);
	}
	if (want && want < have)
		return vol_refuse(setup, -EFBIG,
			"%s: the file has %llu bytes, more than size %llu; set size = %llu or "
			"leave it out to "
			"serve all of it, or shorten the file first (truncate -s %llu) if its end "
			"is not needed",
			f->path, (unsigned long long)have, (unsigned long long)want,
			(unsigned long long)have, (unsigned long long)want);
	if (!have)
		return vol_refuse(setup, -EINVAL,
			"%s: the file is empty; give its size, as size = \"20G\"", f->path);
	if (have % bs)
		return vol_refuse(setup, -EINVAL,
			"%s: the file has %llu bytes, not a multiple of block_size %u; set size = "
			"%llu to "
			"extend it",
			f->path, (unsigned long long)have, bs,
			(unsigned long long)(have - have % bs + bs));
	setup->info->size = have;
	return 0;
}

static int dir_sync(const char *path)
{
	own_free char *dir = own_strdup(path);
	char *slash = strrchr(dir, '/');
	own_fd int fd = -1;

	if (slash)
		slash[slash == dir ? 1 : 0] = 0;
	fd = open(slash ? dir : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 || fsync(fd) ? -errno : 0;
}

/* ---- O_DIRECT ---- */

/* Old kernels do not tell: a read of half a page tells what positions must be multiples of. */
static uint32_t direct_probe(int fd)
{
	void *page = NULL;
	ssize_t n = -1;

	if (posix_memalign(&page, 4096, 4096) == 0)
		n = pread(fd, page, 512, 512);
	free(page);
	return n < 0 ? 4096 : 512;
}

static int direct_refuse(struct vol_setup *setup)
{
	return vol_refuse(setup, -EINVAL,
		"%s: the filesystem has no direct I/O; set cache = \"buffered\" for this volume",
		setup->conf->path);
}

static int direct_align(struct fd_part *part, struct vol_setup *setup)
{
	struct statx stx = { 0 };

	part->mem_align = 0;
#ifdef STATX_DIOALIGN
	if (statx(part->fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &stx) == 0 &&
		(stx.stx_mask & STATX_DIOALIGN)) {
		if (!stx.stx_dio_mem_align || !stx.stx_dio_offset_align)
			return direct_refuse(setup);
		part->mem_align = stx.stx_dio_mem_align;
		part->off_align = stx.stx_dio_offset_align;
	}
#endif
	if (!part->mem_align) {
		part->mem_align = 4096;
		part->off_align = direct_probe(part->fd);
	}
	if (setup->info->block_size % part->off_align)
		return vol_refuse(setup, -EINVAL,
			"%s: direct I/O goes in steps of %u bytes here, block_size is %u; set "
			"block_size = "
			"%u or cache = \"buffered\"",
			setup->conf->path, part->off_align, setup->info->block_size,
			part->off_align);
	return 0;
}

static int direct_open(struct fd_part *part, struct vol_setup *setup)
{
	int flags;

	if (setup->conf->cache != VOL_CACHE_DIRECT)
		return 0;
	flags = fcntl(part->fd, F_GETFL);
	if (flags < 0 || fcntl(part->fd, F_SETFL, flags | O_DIRECT))
		return direct_refuse(setup);
	part->direct = true;
	return direct_align(part, setup);
}

/* ---- what it can ---- */

/* A hole punched behind the end changes nothing and tells whether holes can be punched. */
static bool can_punch(const struct file_part *f, uint64_t size)
{
	const int mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;

	return !f->readonly &&
	       fallocate(f->fd.fd, mode, (off_t)((size + 0xfffff) & ~0xfffffull), 4096) == 0;
}

static void file_info(struct file_part *f, struct vol_info *info, const struct stat *st)
{
	info->physical_block_size = 4096; /* a page: below it the cache reads before it writes */
	info->rotational = fd_sys_number(st->st_dev, "queue/rotational", 0) != 0;
	info->caps = lseek(f->fd.fd, 0, SEEK_HOLE) < 0 ? 0 : VOL_CAN_EXTENTS;
	if (!f->fd.direct)
		info->caps |= VOL_CACHES_READS;
	if (!f->readonly)
		info->caps |= VOL_CAN_ZERO | VOL_CAN_FUA | VOL_HAS_CACHE;
	if (can_punch(f, info->size)) {
		info->caps |= VOL_CAN_TRIM | VOL_ZERO_AFTER_TRIM;
		info->trim_granularity = st->st_blksize <= 65536 ? (uint32_t)st->st_blksize : 4096;
	}
}

/* Reading a disk is no event in the life of its file: saves the look at the clock. Only an owner
 * may ask for that, and who may not does without. */
static void file_no_atime(const struct file_part *f)
{
	int flags = fcntl(f->fd.fd, F_GETFL);

	if (flags >= 0)
		(void)!fcntl(f->fd.fd, F_SETFL, flags | O_NOATIME);
}

static int file_prepare(struct file_part *f, struct vol_setup *setup)
{
	struct stat st;
	int err;

	if (fstat(f->fd.fd, &st))
		return refuse_errno(setup, "cannot look at the file", "see the filesystem");
	if (!S_ISREG(st.st_mode))
		return refuse_kind(setup, st.st_mode);
	f->fd.regular = true;
	file_no_atime(f);
	err = direct_open(&f->fd, setup);
	if (!err)
		err = file_size(f, setup, &st);
	if (!err && f->made && dir_sync(f->path))
		err = refuse_errno(setup, "cannot sync its directory", "see the filesystem");
	if (!err)
		file_info(f, setup->info, &st);
	return err;
}

static int file_open(struct vol_part *part, struct vol_setup *setup)
{
	struct file_part *f = file_part(part);
	int err;

	f->fd.fd = -1;
	f->readonly = setup->conf->readonly;
	f->path = own_strdup(setup->conf->path);
	if (!f->path || !*f->path)
		return vol_refuse(setup, -EINVAL, "volume %s: store \"file\" needs a path",
			setup->conf->name);
	setup->sidecar = meta_sidecar_path(f->path);
	if (!setup->sidecar)
		return refuse_errno(setup, "cannot find the file's directory", "make it first");
	err = file_find(f, setup);
	if (!err)
		err = file_lock(f, setup);
	if (!err)
		err = file_prepare(f, setup);
	if (err && f->made)
		unlink(f->path);
	f->made = false;
	return err;
}

static void file_close(struct vol_part *part)
{
	struct file_part *f = file_part(part);

	own_close_fd(&f->fd.fd);
	free(f->path);
}

/* ---- TRIM, ZERO, EXTENTS ---- */

static void trim_done(struct loop_io *lio, int res)
{
	vol_io_done(vol_io_of(lio), res < 0 ? res : 0);
}

static void zero_range_done(struct loop_io *lio, int res)
{
	struct vol_io *io = vol_io_of(lio);

	if (res == -EOPNOTSUPP) {
		struct fd_chan *c = container_of(lio->file, struct fd_chan, file);

		__atomic_store_n(&file_part(c->chan.part)->no_zero_range, true, __ATOMIC_RELAXED);
	}
	vol_io_done(io, res < 0 ? res : 0); /* -EOPNOTSUPP: zeroes are written instead */
}

static void file_zero(struct vol_chan *chan, struct vol_io *io)
{
	struct file_part *f = file_part(chan->part);

	if ((io->flags & VOL_MAY_TRIM) && (chan->part->info->caps & VOL_CAN_TRIM))
		fd_fallocate(chan, io, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, trim_done);
	else if (__atomic_load_n(&f->no_zero_range, __ATOMIC_RELAXED))
		vol_io_finish(chan, io, -EOPNOTSUPP);
	else
		fd_fallocate(chan, io, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, zero_range_done);
}

/* One look: the piece of data or of hole at `pos`, in whole blocks. A block with any data in it is
 * mapped. 0 or -errno. */
static int extent_at(int fd, uint64_t pos, uint64_t end, uint64_t block, struct vol_extent *e)
{
	off_t data = lseek(fd, (off_t)pos, SEEK_DATA);
	uint64_t to = end;
	bool mapped;

	if (data < 0 && errno != ENXIO)
		return -errno;
	mapped = data >= 0 && (uint64_t)data - (uint64_t)data % block <= pos;
	if (mapped) {
		off_t hole = lseek(fd, data, SEEK_HOLE);

		if (hole < 0)
			return -errno;
		to = ((uint64_t)hole + block - 1) / block * block;
	} else if (data >= 0) {
		to = (uint64_t)data - (uint64_t)data % block;
	}
	to = to < end ? to : end;
	*e = (struct vol_extent){ .off = pos, .len = to - pos, .mapped = mapped, .zero = !mapped };
	return 0;
}

static int extents_run(struct loop_io *lio)
{
	struct vol_io *io = vol_io_of(lio);
	uint64_t pos = io->off, end = io->off + io->len;
	int fd = (int)io->scratch[0];

	while (pos < end) {
		struct vol_extent e, *last = io->extents + io->extent_count - 1;
		int err = extent_at(fd, pos, end, io->scratch[1], &e);

		if (err)
			return err;
		pos += e.len;
		if (io->extent_count && last->mapped == e.mapped)
			last->len += e.len;
		else if (io->extent_count < io->extent_max)
			io->extents[io->extent_count++] = e;
		else
			break;
	}
	return 0;
}

static void file_submit(struct vol_chan *chan, struct vol_io *io)
{
	switch (io->op) {
	case VOL_TRIM:
		fd_fallocate(chan, io, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, trim_done);
		break;
	case VOL_ZERO:
		if (fd_behind_cut(fd_part(chan), io))
			vol_io_finish(chan, io, -EIO);
		else
			file_zero(chan, io);
		break;
	case VOL_EXTENTS:
		io->scratch[0] = (uint64_t)fd_part(chan)->fd;
		io->scratch[1] = chan->part->info->block_size;
		vol_io_call(chan, io, fd_file(chan), extents_run);
		break;
	default:
		fd_submit(chan, io);
	}
}

static int file_resize(struct vol_part *part, uint64_t size, uint64_t *now)
{
	const struct file_part *f = file_part(part);
	struct stat st;

	if (size && f->readonly)
		return -EROFS;
	if (size && (ftruncate(f->fd.fd, (off_t)size) || fsync(f->fd.fd)))
		return errno == EFBIG ? -ENOSPC : -errno;
	if (fstat(f->fd.fd, &st))
		return -errno;
	*now = (uint64_t)st.st_size;
	return 0;
}

/* The file's blocks, and those of the filesystem that everybody may have. */
static int file_space(struct vol_part *part, struct vol_space *space)
{
	int fd = file_part(part)->fd.fd;
	struct statvfs fs;
	struct stat st;

	if (fstat(fd, &st) || fstatvfs(fd, &fs))
		return -errno;
	space->used = (uint64_t)st.st_blocks * 512;
	space->free = (uint64_t)fs.f_bavail * fs.f_frsize;
	space->shared = true;
	return 0;
}

const struct vol_part_ops store_file_ops = {
	.kind = "file",
	.part_size = sizeof(struct file_part),
	.chan_size = sizeof(struct fd_chan),
	.open = file_open,
	.close = file_close,
	.chan_open = fd_chan_open,
	.chan_close = fd_chan_close,
	.submit = file_submit,
	.resize = file_resize,
	.space = file_space,
};
