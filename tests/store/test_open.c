// SPDX-License-Identifier: Apache-2.0
/*
 * test_open.c: opening file volumes: what is made, what is refused and with which sentence; and
 * what the outside can do to a file while it is served.
 */
#include "tests/store/cases.h"

#include "common/own.h"
#include "volume/meta.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define SIZE (1u << 20)

struct place {
	char dir[64];
	char path[96];  /* of the volume's file */
	char other[96]; /* of a second one */
	char why[512];  /* what was said last */
	struct vol_conf conf;
};

static int setup(void **state)
{
	struct place *p = own_calloc(1, sizeof *p);

	own_assert(case_dir(PLACE_DISK, p->dir));
	snprintf(p->path, sizeof p->path, "%s/disk.img", p->dir);
	snprintf(p->other, sizeof p->other, "%s/other.img", p->dir);
	p->conf =
		(struct vol_conf){ .name = "vm1", .store = "file", .path = p->path, .size = SIZE };
	*state = p;
	return 0;
}

static int teardown(void **state)
{
	struct place *p = *state;

	case_dir_remove(p->dir);
	free(p);
	return 0;
}

static struct vol *open_vol(struct place *p)
{
	struct vol *vol = vol_open(&p->conf, p->why, sizeof p->why);

	if (!vol)
		fail_msg("%s", p->why);
	return vol;
}

/* It does not open, and the sentence speaks of `word`. */
static void refused(struct place *p, const char *word)
{
	p->why[0] = 0;
	assert_null(vol_open(&p->conf, p->why, sizeof p->why));
	if (!strstr(p->why, word))
		fail_msg("no \"%s\" in: %s", word, p->why);
}

static void make_file(const char *path, off_t size)
{
	own_fd int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, size), 0);
}

/* ---- making ---- */

static void test_made(void **state)
{
	struct place *p = *state;
	struct vol *vol = open_vol(p);
	struct stat st;

	assert_int_equal(stat(p->path, &st), 0);
	assert_int_equal(st.st_size, SIZE);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_true(st.st_blocks * 512 < SIZE / 2);
	assert_int_equal(vol_info(vol).size, SIZE);
	vol_close(vol);
	vol = open_vol(p);
	vol_close(vol);
}

static void test_extended(void **state)
{
	struct place *p = *state;
	struct vol *vol;

	make_file(p->path, 1000);
	vol = open_vol(p);
	assert_int_equal(vol_info(vol).size, SIZE);
	vol_close(vol);
	p->conf.size = 0;
	vol = open_vol(p);
	assert_int_equal(vol_info(vol).size, SIZE);
	vol_close(vol);
}

static void test_sizes_refused(void **state)
{
	struct place *p = *state;

	p->conf.size = 0;
	refused(p, "size = ");
	assert_int_equal(access(p->path, F_OK), -1);
	p->conf.size = 1000;
	refused(p, "1024 would be");
	make_file(p->path, 2 * SIZE);
	p->conf.size = SIZE;
	refused(p, "truncate -s 1048576");
	make_file(p->path, 0);
	p->conf.size = 0;
	refused(p, "empty");
	make_file(p->path, 5000);
	refused(p, "size = 5120");
	p->conf.block_size = 4096;
	refused(p, "size = 8192");
	p->conf.readonly = true;
	p->conf.size = SIZE;
	refused(p, "read-only");
}

static void test_conf_refused(void **state)
{
	struct place *p = *state;
	struct vol_layer_conf layers[VOL_LAYERS_MAX];

	for (unsigned i = 0; i < VOL_LAYERS_MAX; i++)
		layers[i] = (struct vol_layer_conf){ "stats", "" };
	p->conf.block_size = 1024;
	refused(p, "neither 512 nor 4096");
	p->conf.block_size = 4096;
	p->conf.physical_block_size = 512;
	refused(p, "physical_block_size");
	p->conf.physical_block_size = 0;
	p->conf.store = "flie";
	refused(p, "no store \"flie\"");
	p->conf.store = "file";
	p->conf.name = "a/b";
	refused(p, "a/b");
	p->conf.name = "vm1";
	p->conf.layers = layers;
	p->conf.layer_count = VOL_LAYERS_MAX;
	refused(p, "too many");
	p->conf.layer_count = 0;
	p->conf.uuid = "1234";
	refused(p, "1234");
	p->conf.uuid = NULL;
	p->conf.path = NULL;
	refused(p, "needs a path");
}

static void test_paths_refused(void **state)
{
	struct place *p = *state;

	p->conf.path = p->dir;
	refused(p, "not a regular file");
	p->conf.path = "/dev/null";
	refused(p, "not a regular file");
	p->conf.path = "/nonexistent/kura/disk.img";
	refused(p, "make it first");
	assert_int_equal(mkfifo(p->path, 0600), 0);
	p->conf.path = p->path;
	refused(p, "not a regular file");
	assert_int_equal(symlink("nowhere/there", p->other), 0);
	p->conf.path = p->other;
	refused(p, p->other);
	p->conf.store = "block";
	p->conf.size = 0;
	p->conf.path = p->path;
	refused(p, "not a block device");
	p->conf.path = "/nonexistent/kura";
	refused(p, "cannot open");
}

static void test_readonly_missing(void **state)
{
	struct place *p = *state;

	p->conf.readonly = true;
	refused(p, "read-only");
	assert_int_equal(access(p->path, F_OK), -1);
}

/* ---- owners ---- */

static void test_second_volume(void **state)
{
	struct place *p = *state;
	struct vol *vol = open_vol(p);

	p->conf.name = "vm2";
	refused(p, "in use");
	assert_int_equal(link(p->path, p->other), 0);
	p->conf.path = p->other;
	refused(p, "in use");
	unlink(p->other);
	assert_int_equal(symlink("disk.img", p->other), 0);
	refused(p, "in use");
	p->conf.readonly = true;
	refused(p, "in use");
	vol_close(vol);
	p->conf.size = 0;
	vol = open_vol(p);
	vol_close(vol);
}

static int lock_whole(int fd, short type)
{
	struct flock lock = { .l_type = type, .l_whence = SEEK_SET };

	return fcntl(fd, F_OFD_SETLK, &lock);
}

static void test_other_program(void **state)
{
	struct place *p = *state;
	int fd;

	make_file(p->path, SIZE);
	fd = open(p->path, O_RDWR);
	assert_int_equal(lock_whole(fd, F_WRLCK), 0);
	refused(p, "in use");
	assert_int_equal(lock_whole(fd, F_RDLCK), 0);
	refused(p, "in use");
	p->conf.readonly = true;
	vol_close(open_vol(p));
	close(fd);
}

static void test_copied_record(void **state)
{
	struct place *p = *state;
	own_free char *record = own_printf("%s.kura", p->path);
	own_free char *copy = own_printf("%s.kura", p->other);
	struct vol *vol = open_vol(p);

	make_file(p->other, SIZE);
	assert_int_equal(link(record, copy), 0);
	p->conf.name = "vm2";
	p->conf.path = p->other;
	refused(p, "that of volume vm1");
	unlink(copy);
	vol_close(open_vol(p));
	vol_close(vol);
}

/* ---- identity ---- */

static void test_moved(void **state)
{
	struct place *p = *state;
	own_free char *record = own_printf("%s.kura", p->path);
	own_free char *moved = own_printf("%s.kura", p->other);
	struct vol *vol = open_vol(p);
	struct vol_info before = vol_info(vol), after;

	vol_close(vol);
	assert_int_equal(rename(p->path, p->other), 0);
	refused(p, "disk.img.kura is there"); /* the record alone makes no new volume */
	assert_int_equal(access(p->path, F_OK), -1);
	assert_int_equal(rename(record, moved), 0);
	p->conf.path = p->other;
	p->conf.name = "renamed";
	vol = open_vol(p);
	after = vol_info(vol);
	vol_close(vol);
	assert_memory_equal(before.uuid, after.uuid, VOL_UUID_LEN);
}

static void test_torn_record(void **state)
{
	struct place *p = *state;
	own_free char *record = own_printf("%s.kura", p->path);

	vol_close(open_vol(p));
	assert_int_equal(truncate(record, 71), 0);
	refused(p, "damaged");
	p->conf.uuid = "5e0c2a86-3c8f-4d1e-9b57-0d6f2f1c9a41";
	vol_close(open_vol(p));
	p->conf.uuid = NULL;
	vol_close(open_vol(p));
}

/* ---- the file is changed under us ---- */

static void with_engines(struct place *p, void (*run)(struct place *p, struct rig *rig))
{
	static const enum loop_engine_id engines[] = { LOOP_ENGINE_URING, LOOP_ENGINE_AIO };

	for (unsigned i = 0; i < own_array_len(engines); i++) {
		struct rig *rig = rig_new(engines[i]);

		if (!rig) {
			print_message("# SKIP engine %u is switched off here\n", i);
			continue;
		}
		run(p, rig);
		rig_free(rig);
	}
}

static void run_truncated(struct place *p, struct rig *rig)
{
	struct vol *vol;
	struct vol_chan *chan;
	uint8_t data[16384];
	struct vol_extent e[4];

	memset(data, 0x3c, sizeof data);
	vol = open_vol(p);
	chan = rig_chan_open(rig, vol);
	assert_int_equal(rig_rw(rig, chan, VOL_WRITE, 0, data, sizeof data, VOL_FUA), 0);
	assert_int_equal(truncate(p->path, 5000), 0);
	assert_int_equal(rig_rw(rig, chan, VOL_READ, 0, data, 4096, 0), 0);
	assert_int_equal(rig_rw(rig, chan, VOL_READ, 0, data, 16384, 0), -EIO);
	assert_int_equal(rig_rw(rig, chan, VOL_READ, 8192, data, 4096, 0), -EIO);
	assert_int_equal(rig_rw(rig, chan, VOL_READ, 8192, data + 1, 512, 0), -EIO);
	assert_true(rig_extents(rig, chan, 0, SIZE, e, 4) >= 1);
	assert_int_equal(rig_op(rig, chan, VOL_FLUSH, 0, 0, 0), -EIO);
	assert_int_equal(rig_rw(rig, chan, VOL_WRITE, 8192, data, 4096, 0), -EIO);
	assert_int_equal(truncate(p->path, SIZE), 0);
	assert_int_equal(rig_op(rig, chan, VOL_FLUSH, 0, 0, 0), 0);
	assert_int_equal(rig_rw(rig, chan, VOL_READ, 8192, data, 4096, 0), 0);
	assert_int_equal(data[0], 0);
	rig_chan_close(rig, chan);
	vol_close(vol);
}

static void test_truncated(void **state)
{
	struct place *p = *state;

	with_engines(p, run_truncated);
	p->conf.cache = VOL_CACHE_DIRECT;
	p->why[0] = 0;
	struct vol *vol = vol_open(&p->conf, p->why, sizeof p->why);

	if (!vol) {
		print_message("# SKIP %s\n", p->why);
		return;
	}
	vol_close(vol);
	with_engines(p, run_truncated);
}

static void run_no_space(struct place *p, struct rig *rig)
{
	struct vol *vol = open_vol(p);
	struct vol_chan *chan = rig_chan_open(rig, vol);
	uint8_t *data = own_calloc(1, SIZE);
	unsigned refusals = 0;

	for (uint64_t off = 0; off < 4 * SIZE; off += 65536) {
		int err = rig_rw(rig, chan, VOL_WRITE, off, data, 65536, 0);

		assert_true(err == 0 || err == -ENOSPC);
		refusals += err != 0;
	}
	assert_true(refusals >= 40 && refusals < 64);
	assert_int_equal(rig_op(rig, chan, VOL_ZERO, 2 * SIZE, SIZE, 0), -ENOSPC);
	assert_int_equal(rig_op(rig, chan, VOL_TRIM, 0, 4 * SIZE, 0), 0);
	assert_int_equal(rig_rw(rig, chan, VOL_WRITE, 3 * SIZE, data, 65536, 0), 0);
	free(data);
	rig_chan_close(rig, chan);
	vol_close(vol);
}

static void test_no_space(void **state)
{
	struct place *p = *state;

	p->conf.size = 4 * SIZE;
	if (mount("tmpfs", p->dir, "tmpfs", 0, "size=1m")) {
		print_message("# SKIP mounting a tmpfs of 1 MiB: %s\n", strerror(errno));
		return;
	}
	with_engines(p, run_no_space);
	assert_int_equal(umount(p->dir), 0);
}

/* A read-only place for the file: the record goes to the state directory, or it does not open. */
static void test_readonly_place(void **state)
{
	struct place *p = *state;
	char state_dir[64];
	struct vol *vol;
	struct vol_info first, again;

	assert_true(case_dir(PLACE_DISK, state_dir));
	if (mount("tmpfs", p->dir, "tmpfs", 0, "size=4m")) {
		print_message("# SKIP mounting a tmpfs: %s\n", strerror(errno));
		case_dir_remove(state_dir);
		return;
	}
	make_file(p->path, SIZE);
	assert_int_equal(mount(NULL, p->dir, NULL, MS_REMOUNT | MS_RDONLY, NULL), 0);
	refused(p, "readonly = true");
	p->conf.readonly = true;
	refused(p, "cannot record");
	p->conf.state_dir = state_dir;
	vol = open_vol(p);
	first = vol_info(vol);
	vol_close(vol);
	vol = open_vol(p);
	again = vol_info(vol);
	vol_close(vol);
	assert_memory_equal(first.uuid, again.uuid, VOL_UUID_LEN);
	assert_int_equal(umount(p->dir), 0);
	case_dir_remove(state_dir);
}

static void test_direct_tmpfs(void **state)
{
	struct place *p = *state;
	char dir[64];
	char path[96];
	struct vol *vol;

	if (!case_dir(PLACE_TMPFS, dir)) {
		print_message("# SKIP no /dev/shm here\n");
		return;
	}
	snprintf(path, sizeof path, "%s/disk.img", dir);
	p->conf.path = path;
	p->conf.cache = VOL_CACHE_DIRECT;
	vol = vol_open(&p->conf, p->why, sizeof p->why);
	if (vol) {
		vol_close(vol); /* newer kernels let tmpfs pretend */
	} else {
		assert_non_null(strstr(p->why, "cache = \"buffered\""));
		assert_int_equal(access(path, F_OK), -1);
	}
	case_dir_remove(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_made, setup, teardown),
		cmocka_unit_test_setup_teardown(test_extended, setup, teardown),
		cmocka_unit_test_setup_teardown(test_sizes_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_conf_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_paths_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_readonly_missing, setup, teardown),
		cmocka_unit_test_setup_teardown(test_second_volume, setup, teardown),
		cmocka_unit_test_setup_teardown(test_other_program, setup, teardown),
		cmocka_unit_test_setup_teardown(test_copied_record, setup, teardown),
		cmocka_unit_test_setup_teardown(test_moved, setup, teardown),
		cmocka_unit_test_setup_teardown(test_torn_record, setup, teardown),
		cmocka_unit_test_setup_teardown(test_truncated, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_space, setup, teardown),
		cmocka_unit_test_setup_teardown(test_readonly_place, setup, teardown),
		cmocka_unit_test_setup_teardown(test_direct_tmpfs, setup, teardown),
	};

	return cmocka_run_group_tests_name("open", tests, NULL, NULL);
}
