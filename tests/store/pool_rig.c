// SPDX-License-Identifier: Apache-2.0
/*
 * pool_rig.c: a pool from the environment; bytes go in and out by the places that it names.
 */
#include "tests/store/pool_rig.h"

#include "common/own.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define PIECE 65536

static void scratch_make(struct pool_rig *rig)
{
	const char *base = getenv("KURA_POOL_BASE");

	rig->scratch = own_printf("%s/kura-pool-XXXXXX", base ? base : ".");
	assert_non_null(mkdtemp(rig->scratch));
}

int pool_rig_setup(void **state)
{
	struct pool_rig *rig = own_calloc(1, sizeof *rig);
	const char *kind = getenv("KURA_POOL_KIND");

	rig->conf = (struct pool_conf){
		.name = "tank",
		.kind = kind ? kind : "dir",
		.path = getenv("KURA_POOL_PATH"),
		.vg = getenv("KURA_POOL_VG"),
		.thin_pool = getenv("KURA_POOL_THIN"),
		.lvm_config = getenv("KURA_POOL_CONFIG"),
	};
	if (!rig->conf.path && !rig->conf.vg) {
		scratch_make(rig);
		rig->conf.path = rig->scratch;
	}
	pool_rig_open(rig);
	pool_rig_clear(rig);
	*state = rig;
	return 0;
}

int pool_rig_teardown(void **state)
{
	struct pool_rig *rig = *state;

	pool_rig_clear(rig);
	pool_rig_close(rig);
	if (rig->scratch && rmdir(rig->scratch))
		print_error("%s: %s\n", rig->scratch, strerror(errno));
	free(rig->scratch);
	free(rig);
	return 0;
}

void pool_rig_open(struct pool_rig *rig)
{
	rig->pool = pool_open(&rig->conf, rig->why, sizeof rig->why);
	if (!rig->pool)
		fail_msg("%s", rig->why);
	rig->caps = pool_caps(rig->pool);
}

void pool_rig_close(struct pool_rig *rig)
{
	pool_close(rig->pool);
	rig->pool = NULL;
}

static void clear_pass(
	struct pool_rig *rig, const struct pool_volume *list, size_t count, bool snapshots)
{
	for (size_t i = 0; i < count; i++)
		if (list[i].snapshot == snapshots && pool_delete(rig->pool, list[i].name, false,
							     NULL, rig->why, sizeof rig->why))
			fail_msg("%s", rig->why);
}

static void run(const char *command)
{
	if (system(command)) /* NOLINT(cert-env33-c): names of the test */
		fail_msg("%s", command);
}

/* One command for all of them: each takes its time. */
static void clear_lvm(
	struct pool_rig *rig, const struct pool_volume *list, size_t count, bool snapshots)
{
	own_free char *command = NULL;
	unsigned found = 0;
	size_t len;
	FILE *f = open_memstream(&command, &len);

	assert_non_null(f);
	fputs("lvremove -y -q >/dev/null", f);
	for (size_t i = 0; i < count; i++)
		if (list[i].snapshot == snapshots)
			found += fprintf(f, " %s/%s", rig->conf.vg, list[i].name) > 0;
	fclose(f);
	if (found)
		run(command);
}

void pool_rig_clear(struct pool_rig *rig)
{
	struct pool_volume *list;
	size_t count;

	assert_int_equal(pool_list(rig->pool, &list, &count, rig->why, sizeof rig->why), 0);
	for (int snapshots = 1; snapshots >= 0; snapshots--) {
		if (rig->conf.vg)
			clear_lvm(rig, list, count, snapshots);
		else
			clear_pass(rig, list, count, snapshots);
	}
	free(list);
}

void pool_rig_make(struct pool_rig *rig, const char *name, unsigned char seed)
{
	struct pool_make make = { name, 8 * MIB, (rig->caps & POOL_CAN_THIN) != 0, NULL };

	if (pool_create(rig->pool, &make, rig->why, sizeof rig->why))
		fail_msg("%s", rig->why);
	pool_rig_write(rig, name, seed);
}

static void foreign_file(const struct pool_rig *rig, const char *name)
{
	own_free char *path = own_printf("%s/%s", rig->conf.path, name);
	own_fd int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, 8 * MIB), 0);
}

void pool_rig_foreign(struct pool_rig *rig, const char *name)
{
	const char *vg = rig->conf.vg, *thin = rig->conf.thin_pool;
	own_free char *command = NULL;

	if (!vg) {
		foreign_file(rig, name);
		return;
	}
	command = own_printf("[ -e /dev/%s/%s ] || lvcreate -y -q %s%s -n %s %s >/dev/null", vg,
		name, thin ? "-V 8m --thinpool " : "-Wy -L 8m", thin ? thin : "", name, vg);
	run(command);
}

static int place_open(struct pool_rig *rig, const char *name, int flags)
{
	own_free char *node = own_printf("/dev/%s/%s", rig->conf.vg ? rig->conf.vg : "", name);
	int fd = rig->conf.vg ? open(node, flags | O_CLOEXEC) : -1;
	struct pool_place place;

	if (fd >= 0)
		return fd; /* it is active; LVM is not asked again */
	if (pool_resolve(rig->pool, name, &place, rig->why, sizeof rig->why))
		fail_msg("%s", rig->why);
	fd = open(place.path, flags | O_CLOEXEC);
	if (fd < 0)
		fail_msg("%s: %s", place.path, strerror(errno));
	return fd;
}

void pool_rig_write(struct pool_rig *rig, const char *name, unsigned char seed)
{
	own_fd int fd = place_open(rig, name, O_RDWR);
	own_free unsigned char *piece = own_calloc(1, PIECE);

	memset(piece, seed, PIECE);
	assert_int_equal(pwrite(fd, piece, PIECE, 0), PIECE);
	assert_int_equal(pwrite(fd, piece, PIECE, (off_t)(4 * MIB)), PIECE);
	assert_int_equal(fsync(fd), 0);
}

int pool_rig_read(struct pool_rig *rig, const char *name)
{
	own_fd int fd = place_open(rig, name, O_RDONLY);
	own_free unsigned char *piece = own_calloc(2, PIECE);

	if (pread(fd, piece, PIECE, 0) != PIECE ||
		pread(fd, piece + PIECE, PIECE, (off_t)(4 * MIB)) != PIECE)
		return -1;
	for (unsigned i = 1; i < 2 * PIECE; i++)
		if (piece[i] != piece[0])
			return -1;
	return piece[0];
}

struct pool_volume pool_rig_find(struct pool_rig *rig, const char *name)
{
	struct pool_volume v;

	if (pool_find(rig->pool, name, &v, rig->why, sizeof rig->why))
		fail_msg("%s", rig->why);
	return v;
}

static unsigned remains_dir(const char *path, unsigned listed)
{
	DIR *dir = opendir(path);
	unsigned found = 0;

	assert_non_null(dir);
	for (const struct dirent *e; (e = readdir(dir));)
		found += strcmp(e->d_name, ".") && strcmp(e->d_name, "..") &&
			 strcmp(e->d_name, "lost+found");
	closedir(dir);
	return found - 2 * listed;
}

static unsigned remains_lvm(const char *vg, bool thin, unsigned listed)
{
	own_free char *command = own_printf("lvs --noheadings -o lv_name,lv_layout %s", vg);
	FILE *out = popen(command, "r");
	unsigned found = 0;
	char line[256];

	assert_non_null(out);
	while (fgets(line, sizeof line, out))
		found += strstr(line, "pool") == NULL && (strstr(line, "thin") != NULL) == thin;
	pclose(out);
	return found - listed;
}

unsigned pool_rig_remains(struct pool_rig *rig)
{
	struct pool_volume *list;
	size_t count;

	if (pool_list(rig->pool, &list, &count, rig->why, sizeof rig->why))
		fail_msg("%s", rig->why);
	free(list);
	if (rig->conf.vg)
		return remains_lvm(rig->conf.vg, rig->conf.thin_pool != NULL, (unsigned)count);
	return remains_dir(rig->conf.path, (unsigned)count);
}

static bool same_identity(const struct pool_volume *v, const struct pool_volume *was, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (!memcmp(was[i].uuid, v->uuid, VOL_UUID_LEN))
			return true;
	return false;
}

char *pool_rig_describe(struct pool_rig *rig, const struct pool_volume *was, size_t count)
{
	struct pool_volume *list;
	char *text = own_strdup("");
	size_t n;

	if (pool_list(rig->pool, &list, &n, rig->why, sizeof rig->why))
		fail_msg("%s", rig->why);
	for (size_t i = 0; i < n; i++) {
		char *more = own_printf("%s%s size=%llu%s%s%s bytes=%d%s\n", text, list[i].name,
			(unsigned long long)list[i].size, list[i].snapshot ? " snapshot" : "",
			list[i].has_origin ? " of=" : "", list[i].origin,
			pool_rig_read(rig, list[i].name),
			same_identity(&list[i], was, count) ? " known" : "");

		free(text);
		text = more;
	}
	free(list);
	return text;
}
