// SPDX-License-Identifier: Apache-2.0
/*
 * cases.c: the rows, and setting one up. Block devices are loop devices that vanish with their last
 * closing; where the kernel has none, or we are not root, the row is skipped.
 */
#include "tests/store/cases.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

static const struct vol_layer_conf layer_all[] = {
	{ "stats", "" },
	{ "error", "after=1T op=any errno=EIO" },
	{ "delay", "ms=1 op=flush" },
	{ "error", "count=0" },
	{ "stats", NULL },
};

/* The crypt layer gets its key when the row is set up. */
static const struct vol_layer_conf layer_crypt[] = { { "crypt", NULL } };
static const struct vol_layer_conf layer_crypt_all[] = {
	{ "stats", "" },
	{ "delay", "ms=1 op=flush" },
	{ "crypt", NULL },
	{ "error", "count=0" },
};

/* Slow enough that some wait, and so high that the test is over soon. */
static const struct vol_layer_conf layer_limit[] = { { "limit",
	"iops=16K bytes=8G read_iops=12K write_bytes=4G burst_ms=20" } };

const struct store_case store_cases[] = {
	{ .name = "mem", .store = "mem", .block_size = 512 },
	{ .name = "mem 4k", .store = "mem", .block_size = 4096 },
	{ .name = "null", .store = "null", .block_size = 512 },
	{ .name = "file", .store = "file", .place = PLACE_DISK, .block_size = 512 },
	{ .name = "file 4k", .store = "file", .place = PLACE_DISK, .block_size = 4096 },
	{ .name = "file direct",
		.store = "file",
		.place = PLACE_DISK,
		.cache = VOL_CACHE_DIRECT,
		.block_size = 512 },
	{ .name = "file tmpfs", .store = "file", .place = PLACE_TMPFS, .block_size = 512 },
	{ .name = "block", .store = "block", .place = PLACE_LOOPDEV, .block_size = 512 },
	{ .name = "block 4k", .store = "block", .place = PLACE_LOOPDEV, .block_size = 4096 },
	{ .name = "bare", .block_size = 512 },
	{ .name = "file+layers",
		.store = "file",
		.place = PLACE_DISK,
		.block_size = 512,
		.layers = layer_all,
		.layer_count = own_array_len(layer_all) },
	{ .name = "mem+layers",
		.store = "mem",
		.block_size = 512,
		.layers = layer_all,
		.layer_count = own_array_len(layer_all) },
	{ .name = "mem+limit",
		.store = "mem",
		.block_size = 512,
		.layers = layer_limit,
		.layer_count = own_array_len(layer_limit) },
	{ .name = "file+limit",
		.store = "file",
		.place = PLACE_DISK,
		.block_size = 512,
		.layers = layer_limit,
		.layer_count = own_array_len(layer_limit) },
	{ .name = "mem+crypt",
		.store = "mem",
		.block_size = 512,
		.layers = layer_crypt,
		.layer_count = own_array_len(layer_crypt) },
	{ .name = "file+crypt",
		.store = "file",
		.place = PLACE_DISK,
		.block_size = 512,
		.layers = layer_crypt,
		.layer_count = own_array_len(layer_crypt) },
	{ .name = "file direct+crypt",
		.store = "file",
		.place = PLACE_DISK,
		.cache = VOL_CACHE_DIRECT,
		.block_size = 4096,
		.layers = layer_crypt_all,
		.layer_count = own_array_len(layer_crypt_all) },
	{ .name = "block+crypt",
		.store = "block",
		.place = PLACE_LOOPDEV,
		.block_size = 512,
		.layers = layer_crypt,
		.layer_count = own_array_len(layer_crypt) },
	{ .name = "bare+crypt",
		.block_size = 512,
		.layers = layer_crypt,
		.layer_count = own_array_len(layer_crypt) },
	{ .name = "bare+layers",
		.block_size = 512,
		.layers = layer_all,
		.layer_count = own_array_len(layer_all) },
};
const unsigned store_case_count = own_array_len(store_cases);

/* ---- the bare store ---- */

struct bare_log bare_log;
static uint8_t bare_data[CASE_SIZE];

static int bare_open(struct vol_part *part, struct vol_setup *setup)
{
	(void)part;
	setup->info->size = setup->conf->size;
	setup->info->caps = VOL_HAS_CACHE;
	return 0;
}

static void bare_submit(struct vol_chan *chan, struct vol_io *io)
{
	uint64_t off = io->off;

	own_assert(io->op == VOL_READ || io->op == VOL_WRITE || io->op == VOL_FLUSH);
	if (bare_log.count < BARE_LOG_MAX) {
		bare_log.row[bare_log.count].op = io->op;
		bare_log.row[bare_log.count].flags = io->flags;
		bare_log.row[bare_log.count].off = io->off;
		bare_log.row[bare_log.count++].len = io->len;
	}
	for (unsigned i = 0; io->op != VOL_FLUSH && i < io->iovcnt; i++) {
		if (io->op == VOL_READ)
			memcpy(io->iov[i].iov_base, bare_data + off, io->iov[i].iov_len);
		else
			memcpy(bare_data + off, io->iov[i].iov_base, io->iov[i].iov_len);
		off += io->iov[i].iov_len;
	}
	vol_io_finish(chan, io, 0);
}

const struct vol_part_ops case_bare_ops = {
	.kind = "bare",
	.part_size = sizeof(struct vol_part),
	.chan_size = sizeof(struct vol_chan),
	.open = bare_open,
	.submit = bare_submit,
};

/* ---- folders ---- */

bool case_dir(enum case_place place, char dir[64])
{
	const char *base = getenv("TMPDIR");

	if (place == PLACE_TMPFS)
		base = "/dev/shm";
	else if (!base || strlen(base) > 40)
		base = ".";
	snprintf(dir, 64, "%s/kura-store-XXXXXX", base);
	return mkdtemp(dir) != NULL;
}

void case_dir_remove(const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *e;

	if (!d)
		return;
	while ((e = readdir(d))) {
		own_free char *path = own_printf("%s/%s", dir, e->d_name);

		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		if (unlink(path) && (errno == EISDIR || errno == EPERM))
			case_dir_remove(path);
	}
	closedir(d);
	rmdir(dir);
}

/* ---- loop devices ---- */

static int loopdev_bind(const char *device, int backing, uint32_t block_size)
{
	struct loop_config config = {
		.fd = (uint32_t)backing,
		.block_size = block_size,
		.info.lo_flags = LO_FLAGS_AUTOCLEAR,
	};
	int fd = open(device, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (ioctl(fd, LOOP_CONFIGURE, &config) == 0)
		return fd;
	close(fd);
	return -EBUSY;
}

/* A loop device over env->backing in env->path; the descriptor keeps it until the volume is open.
 * -1 with env->why: there is none. */
static int loopdev_open(struct env *env)
{
	own_fd int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	own_fd int backing = open(env->backing, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	int fd = -ENODEV;

	if (control < 0 || backing < 0 || ftruncate(backing, CASE_SIZE)) {
		snprintf(env->why, sizeof env->why, "loop devices: %s", strerror(errno));
		return -1;
	}
	for (unsigned i = 0; i < 8 && fd < 0; i++) { /* others may take the free one before us */
		int n = ioctl(control, LOOP_CTL_GET_FREE);

		if (n < 0)
			break;
		snprintf(env->path, sizeof env->path, "/dev/loop%d", n);
		fd = loopdev_bind(env->path, backing, env->row->block_size);
	}
	if (fd < 0)
		snprintf(env->why, sizeof env->why, "loop device %s: %s", env->path, strerror(-fd));
	return fd < 0 ? -1 : fd;
}

/* ---- one row set up ---- */

bool env_open(struct env *env)
{
	if (env->row->store)
		env->vol = vol_open(&env->conf, env->why, sizeof env->why);
	else
		env->vol = vol_open_store(&env->conf, &case_bare_ops, env->why, sizeof env->why);
	if (!env->vol)
		return false;
	env->info = vol_info(env->vol);
	env->chan = rig_chan_open(env->rig, env->vol);
	return true;
}

void env_close(struct env *env)
{
	if (env->chan)
		rig_chan_close(env->rig, env->chan);
	if (env->vol)
		vol_close(env->vol);
	env->chan = NULL;
	env->vol = NULL;
}

void case_key_write(const char *path, unsigned seed)
{
	own_fd int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	uint8_t bytes[64];

	for (unsigned i = 0; i < sizeof bytes; i++)
		bytes[i] = (uint8_t)((i + 1) * 37 + seed * 101 + (i >> 5));
	own_assert(fd >= 0 && write(fd, bytes, sizeof bytes) == sizeof bytes);
}

/* The row's layers, where a crypt layer has a key in the folder. */
static void env_layers(struct env *env)
{
	char key[80];

	snprintf(key, sizeof key, "%s/case.key", env->dir);
	env->conf.layers = env->layers;
	env->conf.layer_count = env->row->layer_count;
	for (unsigned i = 0; i < env->row->layer_count; i++) {
		env->layers[i] = env->row->layers[i];
		if (strcmp(env->layers[i].kind, "crypt"))
			continue;
		case_key_write(key, 0);
		snprintf(env->key, sizeof env->key, "key=%s", realpath(key, env->key_path));
		env->layers[i].options = env->key;
	}
}

static void env_conf(struct env *env)
{
	const struct store_case *row = env->row;

	env->conf = (struct vol_conf){
		.name = "case",
		.store = row->store,
		.path = row->place ? env->path : NULL,
		.state_dir = env->dir,
		.size = CASE_SIZE,
		.block_size = row->block_size,
		.cache = row->cache,
	};
	env_layers(env);
	snprintf(env->backing, sizeof env->backing, "%s/disk.img", env->dir);
	if (row->place != PLACE_LOOPDEV)
		memcpy(env->path, env->backing, sizeof env->path);
	else
		env->conf.size = 0;
}

/* A file without O_DIRECT where the scratch folder is, and machines without loop devices. */
static bool env_may_skip(const struct env *env)
{
	return env->row->cache == VOL_CACHE_DIRECT || env->row->place == PLACE_LOOPDEV;
}

struct env *env_new(const struct store_case *row, enum loop_engine_id engine)
{
	struct env *env = own_calloc(1, sizeof *env);
	own_fd int keep = -1;

	env->row = row;
	env->engine = engine;
	own_assert(case_dir(row->place == PLACE_TMPFS ? PLACE_TMPFS : PLACE_DISK, env->dir));
	env_conf(env);
	env->rig = rig_new(engine);
	if (!env->rig) {
		snprintf(env->why, sizeof env->why, "this kernel does not let us have the engine");
		env->skip = true;
		return env;
	}
	if (row->place == PLACE_LOOPDEV) {
		keep = loopdev_open(env);
		env->skip = keep < 0;
	}
	if (!env->skip && !env_open(env)) {
		fprintf(stderr, "# %s\n", env->why);
		own_assert(env_may_skip(env));
		env->skip = true;
	}
	return env;
}

void env_free(struct env *env)
{
	env_close(env);
	if (env->rig)
		rig_free(env->rig);
	case_dir_remove(env->dir);
	free(env);
}
