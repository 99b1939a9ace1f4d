// SPDX-License-Identifier: Apache-2.0
/*
 * test_pool.c: every promise of pool.h, over whatever kind the environment names (pool_rig.h). What
 * a pool cannot do, it has to refuse, and to say so.
 */
#include "tests/store/pool_rig.h"

#include "common/own.h"
#include "volume/meta.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <sys/stat.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define WHY rig->why, sizeof rig->why

/* It went well, or the sentence is the message of the failure. */
#define must(rig, call)                                                                            \
	do {                                                                                       \
		if (call)                                                                          \
			fail_msg("%s: %s", #call, (rig)->why);                                     \
	} while (0)

static bool thin_here(const struct pool_rig *rig)
{
	return (rig->caps & POOL_CAN_THIN) != 0;
}

static int setup(void **state)
{
	struct pool_rig *rig = *state;

	pool_rig_clear(rig);
	memset(rig->why, 0, sizeof rig->why);
	return 0;
}

/* ---- making ---- */

static void test_create(void **state)
{
	struct pool_rig *rig = *state;
	const uint8_t uuid[VOL_UUID_LEN] = { 1, 2, 3, 4, 5, 6, 0x47, 8, 0x89, 10, 11 };
	struct pool_make make = { "vm1", 8 * MIB, thin_here(rig), uuid };
	struct pool_volume v;
	struct pool_info before, after;

	must(rig, pool_info(rig->pool, &before, WHY));
	assert_int_equal(before.volumes, 0);
	assert_true(before.size > 0 && before.free <= before.size);
	must(rig, pool_create(rig->pool, &make, WHY));
	v = pool_rig_find(rig, "vm1");
	assert_memory_equal(v.uuid, uuid, sizeof uuid);
	assert_int_equal(v.size, 8 * MIB);
	assert_int_equal(v.thin, thin_here(rig));
	assert_false(v.snapshot || v.has_origin || v.invalid);
	assert_true(v.created > 1700000000);
	if (thin_here(rig))
		assert_true(v.allocated < 4 * MIB);
	must(rig, pool_info(rig->pool, &after, WHY));
	assert_int_equal(after.volumes, 1);
	assert_int_equal(after.promised, 8 * MIB);
	assert_int_equal(pool_rig_remains(rig), 0);
}

static void test_create_thick(void **state)
{
	struct pool_rig *rig = *state;
	struct pool_make make = { "vm1", 8 * MIB, false, NULL };
	int err = pool_create(rig->pool, &make, WHY);

	if (!(rig->caps & POOL_CAN_THICK)) {
		assert_int_equal(err, -ENOTSUP);
		assert_non_null(strstr(rig->why, "tank"));
		return;
	}
	if (err)
		fail_msg("%s", rig->why);
	assert_true(pool_rig_find(rig, "vm1").allocated >= 8 * MIB);
	assert_false(pool_rig_find(rig, "vm1").thin);
	must(rig, pool_grow(rig->pool, "vm1", 12 * MIB, WHY));
	assert_true(pool_rig_find(rig, "vm1").allocated >= 12 * MIB);
	assert_int_equal(pool_rig_remains(rig), 0);
}

static void refused(struct pool_rig *rig, int got, int err, const char *word)
{
	assert_int_equal(got, err);
	if (!strstr(rig->why, word))
		fail_msg("\"%s\" is not in: %s", word, rig->why);
	*rig->why = 0;
}

static void test_refused(void **state)
{
	static const char *const bad[] = { "", ".x", "-x", "a/b", "x.kura", "a b", "x.kura.tmp" };
	struct pool_rig *rig = *state;
	struct pool_make make = { "vm1", 8 * MIB, thin_here(rig), NULL };
	struct pool_make again = make;
	struct pool_volume v;

	for (unsigned i = 0; i < own_array_len(bad); i++) {
		make.name = bad[i];
		refused(rig, pool_create(rig->pool, &make, WHY), -EINVAL, "no name");
	}
	make = again;
	make.size = 0;
	refused(rig, pool_create(rig->pool, &make, WHY), -EINVAL, "vm1");
	make.size = 1000;
	refused(rig, pool_create(rig->pool, &make, WHY), -EINVAL, "512");
	must(rig, pool_create(rig->pool, &again, WHY));
	refused(rig, pool_create(rig->pool, &again, WHY), -EEXIST, "already");
	v = pool_rig_find(rig, "vm1");
	again.name = "vm2";
	again.uuid = v.uuid;
	refused(rig, pool_create(rig->pool, &again, WHY), -EEXIST, "identity");
	refused(rig, pool_find(rig->pool, "none", &v, WHY), -ENOENT, "none");
	refused(rig, pool_delete(rig->pool, "none", false, NULL, WHY), -ENOENT, "none");
	refused(rig, pool_grow(rig->pool, "vm1", 4 * MIB, WHY), -EINVAL, "vm1");
	refused(rig, pool_rename(rig->pool, "vm1", "vm1", WHY), -EEXIST, "vm1");
	refused(rig, pool_rename(rig->pool, "none", "x", WHY), -ENOENT, "none");
	refused(rig, pool_revert(rig->pool, "vm1", "vm1", WHY),
		rig->caps & POOL_CAN_SNAPSHOT ? -EINVAL : -ENOTSUP,
		rig->caps & POOL_CAN_SNAPSHOT ? "no snapshot of it" : "cannot");
	assert_int_equal(pool_rig_remains(rig), 0);
}

static void test_no_room(void **state)
{
	struct pool_rig *rig = *state;
	struct pool_make make = { "big", 0, false, NULL };
	struct pool_info info, after;

	must(rig, pool_info(rig->pool, &info, WHY));
	if (!(rig->caps & POOL_CAN_THICK) || info.size > 4096 * MIB)
		skip(); /* nobody's disk is filled for this */
	make.size = (info.free + 64 * MIB) / MIB * MIB;
	refused(rig, pool_create(rig->pool, &make, WHY), -ENOSPC, "room");
	must(rig, pool_info(rig->pool, &after, WHY));
	assert_true(after.free + 2 * MIB > info.free);
	assert_int_equal(pool_rig_remains(rig), 0);
	pool_rig_make(rig, "vm1", 1);
	if (!pool_rig_find(rig, "vm1").thin)
		refused(rig, pool_grow(rig->pool, "vm1", make.size, WHY), -ENOSPC, "room");
	assert_int_equal(pool_rig_find(rig, "vm1").size, 8 * MIB);
}

/* What a pool names can be opened as a volume, with the identity that the pool has for it. */
static void test_open(void **state)
{
	struct pool_rig *rig = *state;
	struct pool_place place;
	struct vol_conf conf = { .name = "vm1" };
	struct vol_info info;
	struct vol *vol;

	pool_rig_make(rig, "vm1", 7);
	must(rig, pool_resolve(rig->pool, "vm1", &place, WHY));
	conf.store = place.store;
	conf.path = place.path;
	conf.uuid = *place.uuid ? place.uuid : NULL;
	vol = vol_open(&conf, WHY);
	if (!vol)
		fail_msg("%s", rig->why);
	info = vol_info(vol);
	assert_int_equal(info.size, 8 * MIB);
	assert_memory_equal(info.uuid, pool_rig_find(rig, "vm1").uuid, VOL_UUID_LEN);
	must(rig, pool_grow(rig->pool, "vm1", 16 * MIB, WHY));
	assert_int_equal(vol_resize(vol, 0), 0);
	assert_int_equal(vol_info(vol).size, 16 * MIB);
	vol_close(vol);
	refused(rig, pool_resolve(rig->pool, "none", &place, WHY), -ENOENT, "none");
}

static void test_draft(void **state)
{
	struct pool_rig *rig = *state;
	struct pool_make make = { "vm1", 8 * MIB, thin_here(rig), NULL };
	struct pool_volume v;
	char *path;

	must(rig, pool_draft_begin(rig->pool, &make, &path, WHY));
	assert_int_equal(access(path, R_OK | W_OK), 0);
	free(path);
	refused(rig, pool_find(rig->pool, "vm1", &v, WHY), -ENOENT, "vm1");
	refused(rig, pool_create(rig->pool, &make, WHY), -EEXIST, "vm1");
	pool_draft_abandon(rig->pool, "vm1");
	assert_int_equal(pool_rig_remains(rig), 0);
	must(rig, pool_draft_begin(rig->pool, &make, &path, WHY));
	free(path);
	must(rig, pool_draft_commit(rig->pool, "vm1", WHY));
	assert_int_equal(pool_rig_find(rig, "vm1").size, 8 * MIB);
	must(rig, pool_draft_begin(rig->pool, &(struct pool_make){ "vm2", MIB * 4, make.thin, 0 },
			  &path, WHY));
	free(path);
	pool_rig_close(rig);
	pool_rig_open(rig); /* a draft that nobody ended is gone */
	assert_int_equal(pool_rig_remains(rig), 0);
}

/* ---- size and name ---- */

static void test_resize(void **state)
{
	struct pool_rig *rig = *state;

	pool_rig_make(rig, "vm1", 3);
	must(rig, pool_grow(rig->pool, "vm1", 16 * MIB, WHY));
	assert_int_equal(pool_rig_find(rig, "vm1").size, 16 * MIB);
	assert_int_equal(pool_rig_read(rig, "vm1"), 3);
	must(rig, pool_shrink(rig->pool, "vm1", 8 * MIB, WHY));
	assert_int_equal(pool_rig_find(rig, "vm1").size, 8 * MIB);
	assert_int_equal(pool_rig_read(rig, "vm1"), 3);
	refused(rig, pool_shrink(rig->pool, "vm1", 16 * MIB, WHY), -EINVAL, "vm1");
}

static void test_rename(void **state)
{
	struct pool_rig *rig = *state;
	struct pool_volume before, after;

	pool_rig_make(rig, "vm1", 4);
	pool_rig_make(rig, "vm2", 5);
	before = pool_rig_find(rig, "vm1");
	refused(rig, pool_rename(rig->pool, "vm1", "vm2", WHY), -EEXIST, "vm2");
	must(rig, pool_rename(rig->pool, "vm1", "vm3", WHY));
	after = pool_rig_find(rig, "vm3");
	assert_memory_equal(before.uuid, after.uuid, VOL_UUID_LEN);
	assert_int_equal(pool_rig_read(rig, "vm3"), 4);
	refused(rig, pool_find(rig->pool, "vm1", &after, WHY), -ENOENT, "vm1");
	assert_int_equal(pool_rig_remains(rig), 0);
}

static void test_reopen(void **state)
{
	struct pool_rig *rig = *state;
	struct pool_volume before, after;

	pool_rig_make(rig, "vm1", 6);
	before = pool_rig_find(rig, "vm1");
	pool_rig_close(rig);
	pool_rig_open(rig);
	after = pool_rig_find(rig, "vm1");
	assert_memory_equal(before.uuid, after.uuid, VOL_UUID_LEN);
	assert_int_equal(before.created, after.created);
	assert_int_equal(pool_rig_read(rig, "vm1"), 6);
}

/* ---- snapshots and clones ---- */

struct held {
	int quiesced, resumed, answer;
};

static int hold(void *arg)
{
	struct held *h = arg;

	h->quiesced++;
	return h->answer;
}

static void let_go(void *arg)
{
	((struct held *)arg)->resumed++;
}

static void test_snapshot(void **state)
{
	struct pool_rig *rig = *state;
	struct held h = { 0 };
	struct pool_hooks hooks = { hold, let_go, &h };
	struct pool_volume v, s;

	pool_rig_make(rig, "vm1", 10);
	if (!(rig->caps & POOL_CAN_SNAPSHOT)) {
		refused(rig, pool_snapshot(rig->pool, "vm1", "s1", NULL, WHY), -ENOTSUP, "tank");
		return;
	}
	must(rig, pool_snapshot(rig->pool, "vm1", "s1", &hooks, WHY));
	assert_int_equal(h.quiesced, rig->caps & POOL_FENCES ? 0 : 1);
	assert_int_equal(h.resumed, h.quiesced);
	pool_rig_write(rig, "vm1", 11);
	assert_int_equal(pool_rig_read(rig, "s1"), 10);
	v = pool_rig_find(rig, "vm1");
	s = pool_rig_find(rig, "s1");
	assert_true(s.snapshot && s.has_origin && !v.snapshot);
	assert_memory_equal(s.origin_uuid, v.uuid, VOL_UUID_LEN);
	assert_memory_not_equal(s.uuid, v.uuid, VOL_UUID_LEN);
	assert_string_equal(s.origin, "vm1");
	assert_int_equal(s.size, v.size);
	refused(rig, pool_snapshot(rig->pool, "vm1", "s1", NULL, WHY), -EEXIST, "s1");
	refused(rig, pool_grow(rig->pool, "s1", 16 * MIB, WHY), -EINVAL, "s1");
	if (!(rig->caps & POOL_FENCES)) {
		h.answer = -ETIMEDOUT;
		refused(rig, pool_snapshot(rig->pool, "vm1", "s2", &hooks, WHY), -ETIMEDOUT, "vm1");
		assert_int_equal(h.resumed, 1);
	}
	must(rig, pool_rename(rig->pool, "vm1", "vm9", WHY));
	assert_string_equal(pool_rig_find(rig, "s1").origin, "vm9");
}

static void test_revert(void **state)
{
	struct pool_rig *rig = *state;
	struct pool_volume before, after;

	if (!(rig->caps & POOL_CAN_SNAPSHOT))
		skip();
	pool_rig_make(rig, "vm1", 10);
	before = pool_rig_find(rig, "vm1");
	must(rig, pool_snapshot(rig->pool, "vm1", "s1", NULL, WHY));
	pool_rig_write(rig, "vm1", 11);
	must(rig, pool_revert(rig->pool, "vm1", "s1", WHY));
	assert_int_equal(pool_rig_read(rig, "vm1"), 10);
	after = pool_rig_find(rig, "vm1");
	assert_memory_equal(before.uuid, after.uuid, VOL_UUID_LEN);
	assert_int_equal(before.created, after.created);
	assert_false(after.snapshot || after.has_origin);
	assert_int_equal(pool_find(rig->pool, "s1", &after, WHY),
		rig->caps & POOL_REVERT_CONSUMES ? -ENOENT : 0);
	pool_rig_write(rig, "vm1", 12);
	assert_int_equal(pool_rig_read(rig, "vm1"), 12);
	assert_int_equal(pool_rig_remains(rig), 0);
}

/* Reads what is kept of a volume, which has to be `text`, or nothing (NULL). */
static void kept_is(struct pool_rig *rig, const char *name, const char *text)
{
	int err;
	own_free char *found = pool_kept(rig->pool, name, &err, WHY);

	if (err)
		fail_msg("%s", rig->why);
	assert_true((text != NULL) == (found != NULL));
	if (text)
		assert_string_equal(found, text);
}

/* Snapshots have none of it; a revert and a new name leave it. */
static void keep_along(struct pool_rig *rig, const char *text)
{
	must(rig, pool_snapshot(rig->pool, "vm1", "s1", NULL, WHY));
	kept_is(rig, "s1", NULL);
	must(rig, pool_revert(rig->pool, "vm1", "s1", WHY));
	kept_is(rig, "vm1", text);
	must(rig, pool_rename(rig->pool, "vm1", "vm2", WHY));
	kept_is(rig, "vm2", text);
}

static void test_keep(void **state)
{
	static const char first[] = "a b,c\nd+e %2c&#!|~\"'\\\n", last[] = "short\n";
	struct pool_rig *rig = *state;
	struct pool_place place;
	char text[10241], huge[65536];

	pool_rig_make(rig, "vm1", 20);
	must(rig, pool_resolve(rig->pool, "vm1", &place, WHY));
	if (!place.keeps) {
		assert_int_equal(pool_keep(rig->pool, "vm1", last, WHY), -ENOTSUP);
		return;
	}
	assert_string_equal(place.with_dir, "");
	for (size_t i = 0; i < sizeof text; i++)
		text[i] = (char)(i % 7 ? 'a' + (char)(i % 26) : i % 2 ? '\n' : ' ');
	text[sizeof text - 1] = '\0';
	memset(huge, 'x', sizeof huge);
	huge[sizeof huge - 1] = '\0';
	kept_is(rig, "vm1", NULL);
	must(rig, pool_keep(rig->pool, "vm1", first, WHY));
	kept_is(rig, "vm1", first);
	must(rig, pool_keep(rig->pool, "vm1", text, WHY));
	kept_is(rig, "vm1", text);
	assert_int_equal(pool_keep(rig->pool, "vm1", huge, WHY), -ENOSPC);
	kept_is(rig, "vm1", text);
	must(rig, pool_keep(rig->pool, "vm1", last, WHY));
	kept_is(rig, "vm1", last);
	keep_along(rig, last);
}

struct watch {
	uint64_t last, total;
	unsigned calls;
	bool cancel;
};

static bool watch_tell(void *arg, uint64_t done, uint64_t total)
{
	struct watch *w = arg;

	assert_true(done >= w->last && done <= total);
	w->last = done;
	w->total = total;
	w->calls++;
	return !w->cancel;
}

static void test_clone(void **state)
{
	struct pool_rig *rig = *state;
	struct watch w = { 0 };
	struct pool_progress progress = { watch_tell, &w };
	struct pool_volume v, c;

	pool_rig_make(rig, "vm1", 20);
	must(rig, pool_clone(rig->pool, "vm1", "c1", &progress, WHY));
	if (!(rig->caps & POOL_CAN_CLONE)) {
		assert_true(w.calls > 0);
		assert_int_equal(w.last, 8 * MIB);
		assert_int_equal(w.total, 8 * MIB);
	}
	pool_rig_write(rig, "vm1", 21);
	assert_int_equal(pool_rig_read(rig, "c1"), 20);
	pool_rig_write(rig, "c1", 22);
	assert_int_equal(pool_rig_read(rig, "vm1"), 21);
	v = pool_rig_find(rig, "vm1");
	c = pool_rig_find(rig, "c1");
	assert_false(c.snapshot);
	assert_true(c.has_origin);
	assert_memory_equal(c.origin_uuid, v.uuid, VOL_UUID_LEN);
	assert_memory_not_equal(c.uuid, v.uuid, VOL_UUID_LEN);
	assert_int_equal(c.size, v.size);
	if (c.thin)
		assert_true(c.allocated < 4 * MIB); /* holes stay holes */
	must(rig, pool_grow(rig->pool, "c1", 12 * MIB, WHY));
	must(rig, pool_delete(rig->pool, "vm1", false, NULL, WHY));
	assert_int_equal(pool_rig_read(rig, "c1"), 22);
	assert_string_equal(pool_rig_find(rig, "c1").origin, "");
	assert_int_equal(pool_rig_remains(rig), 0);
}

static void test_clone_of_snapshot(void **state)
{
	struct pool_rig *rig = *state;

	if (!(rig->caps & POOL_CAN_SNAPSHOT))
		skip();
	pool_rig_make(rig, "vm1", 30);
	must(rig, pool_snapshot(rig->pool, "vm1", "s1", NULL, WHY));
	pool_rig_write(rig, "vm1", 31);
	must(rig, pool_clone(rig->pool, "s1", "c1", NULL, WHY));
	pool_rig_write(rig, "c1", 32);
	assert_int_equal(pool_rig_read(rig, "s1"), 30);
	assert_int_equal(pool_rig_read(rig, "vm1"), 31);
	assert_string_equal(pool_rig_find(rig, "c1").origin, "s1");
}

static void test_clone_cancelled(void **state)
{
	struct pool_rig *rig = *state;
	struct watch w = { .cancel = true };
	struct pool_progress progress = { watch_tell, &w };

	if (rig->caps & POOL_CAN_CLONE)
		skip();
	pool_rig_make(rig, "vm1", 20);
	refused(rig, pool_clone(rig->pool, "vm1", "c1", &progress, WHY), -ECANCELED, "cancelled");
	assert_int_equal(w.calls, 1);
	assert_int_equal(pool_rig_remains(rig), 0);
}

/* ---- deleting and adopting ---- */

static void test_delete(void **state)
{
	struct pool_rig *rig = *state;
	struct watch w = { 0 };
	struct pool_progress progress = { watch_tell, &w };
	struct pool_volume *list;
	size_t count;

	pool_rig_make(rig, "vm1", 40);
	pool_rig_make(rig, "vm2", 41);
	must(rig, pool_delete(rig->pool, "vm1", false, NULL, WHY));
	must(rig, pool_delete(rig->pool, "vm2", true, &progress, WHY));
	assert_int_equal(w.last, 8 * MIB);
	must(rig, pool_list(rig->pool, &list, &count, WHY));
	assert_int_equal(count, 0);
	assert_null(list);
	assert_int_equal(pool_rig_remains(rig), 0);
	pool_rig_make(rig, "vm1", 42); /* the name is free */
}

static void test_adopt(void **state)
{
	struct pool_rig *rig = *state;
	struct pool_volume v;

	refused(rig, pool_adopt(rig->pool, "old", WHY), -ENOENT, "old");
	pool_rig_foreign(rig, "old");
	assert_int_equal(pool_find(rig->pool, "old", &v, WHY), -ENOENT);
	must(rig, pool_adopt(rig->pool, "old", WHY));
	assert_int_equal(pool_rig_find(rig, "old").size, 8 * MIB);
	pool_rig_write(rig, "old", 50);
	assert_int_equal(pool_rig_read(rig, "old"), 50);
	refused(rig, pool_adopt(rig->pool, "old", WHY), -EEXIST, "old");
}

/* Another pool may not be opened in this place: it would take the draft for remains. */
static void other_refused(struct pool_rig *rig, const char *path)
{
	struct pool_conf conf = rig->conf;

	conf.name = "other";
	conf.path = path;
	assert_null(pool_open(&conf, WHY));
	if (!strstr(rig->why, "other") || !strstr(rig->why, "is pool tank already"))
		fail_msg("%s", rig->why);
}

static void test_lock(void **state)
{
	struct pool_rig *rig = *state;
	struct pool_make make = { "vm1", 8 * MIB, thin_here(rig), NULL };
	own_free char *path = NULL, *dot = NULL, *link = NULL;

	must(rig, pool_draft_begin(rig->pool, &make, &path, WHY));
	other_refused(rig, rig->conf.path);
	if (rig->conf.path) {
		dot = own_printf("%s/./", rig->conf.path);
		other_refused(rig, dot);
		link = own_printf("%s.link", rig->conf.path);
		assert_int_equal(symlink(strrchr(rig->conf.path, '/') + 1, link), 0);
		other_refused(rig, link);
		assert_int_equal(unlink(link), 0);
	}
	must(rig, pool_draft_commit(rig->pool, "vm1", WHY));
	pool_rig_find(rig, "vm1");
	assert_int_equal(pool_rig_remains(rig), 0);
}

static struct pool *open_other_kind(struct pool_rig *rig, const char *thin_pool)
{
	struct pool_conf conf = rig->conf;
	struct pool *pool;

	conf.name = "other";
	conf.thin_pool = rig->conf.thin_pool ? NULL : thin_pool;
	conf.kind = rig->conf.thin_pool ? "lvm" : "lvm-thin";
	pool = pool_open(&conf, WHY);
	if (!pool)
		fail_msg("%s", rig->why);
	return pool;
}

/* A group of which kura has the thin pool, too: each finds its own remains only. */
static void test_both_kinds(void **state)
{
	struct pool_rig *rig = *state;
	const char *thin_pool = getenv("KURA_POOL_OTHER");
	struct pool_make make = { "mine", 8 * MIB, thin_here(rig), NULL };
	struct pool_make theirs = { "theirs", 8 * MIB, !thin_here(rig), NULL };
	own_free char *path = NULL, *path2 = NULL, *path3 = NULL;
	struct pool_volume v;
	struct pool *other;

	if (!rig->conf.vg || (!rig->conf.thin_pool && !thin_pool))
		skip();
	must(rig, pool_draft_begin(rig->pool, &make, &path, WHY));
	other = open_other_kind(rig, thin_pool);
	must(rig, pool_draft_commit(rig->pool, "mine", WHY));
	must(rig, pool_draft_begin(other, &theirs, &path2, WHY));
	pool_rig_close(rig);
	pool_rig_open(rig);
	must(rig, pool_draft_commit(other, "theirs", WHY));
	assert_int_equal(pool_find(rig->pool, "theirs", &v, WHY), -ENOENT);
	assert_int_equal(pool_find(other, "mine", &v, WHY), -ENOENT);
	must(rig, pool_delete(other, "theirs", false, NULL, WHY));
	/* what is really left goes, by the one that it belongs to */
	must(rig, pool_draft_begin(other, &theirs, &path3, WHY));
	pool_close(other);
	other = open_other_kind(rig, thin_pool);
	must(rig, pool_create(other, &theirs, WHY));
	must(rig, pool_delete(other, "theirs", false, NULL, WHY));
	pool_close(other);
	pool_rig_find(rig, "mine");
}

static void left(struct pool_rig *rig, const char *entry, const char *from)
{
	char to[512], was[512];

	snprintf(to, sizeof to, "%s/%s", rig->conf.path, entry);
	snprintf(was, sizeof was, "%s/%s", rig->conf.path, from ? from : "");
	if (from)
		assert_int_equal(rename(was, to), 0);
	else
		assert_int_equal(close(creat(to, 0600)), 0);
}

/* Died in a renaming, while an earlier volume of the old name waits for its wiping. */
static void test_recover_renamed_while_wiping(void **state)
{
	struct pool_rig *rig = *state;
	struct pool_volume before, after;

	if (strcmp(rig->conf.kind, "dir") != 0)
		skip(); /* LVM renames by one command */
	pool_rig_make(rig, "a", 6);
	before = pool_rig_find(rig, "a");
	pool_rig_close(rig);
	left(rig, "b", "a");
	left(rig, ".kura:move:a:b", NULL);
	left(rig, ".kura:wipe:a", NULL);
	pool_rig_open(rig);
	after = pool_rig_find(rig, "b");
	assert_memory_equal(before.uuid, after.uuid, VOL_UUID_LEN);
	assert_int_equal(pool_rig_read(rig, "b"), 6);
}

/* What is to be wiped stays until it is, also when a later volume of the name was deleted. */
static void test_recover_wipe_is_kept(void **state)
{
	struct pool_rig *rig = *state;
	char path[512];

	if (strcmp(rig->conf.kind, "dir") != 0)
		skip(); /* one name, one LV */
	pool_rig_close(rig);
	left(rig, ".kura:gone:a", NULL);
	left(rig, ".kura:wipe:a", NULL);
	pool_rig_open(rig);
	snprintf(path, sizeof path, "%s/.kura:gone:a", rig->conf.path);
	assert_int_not_equal(access(path, F_OK), 0);
	snprintf(path, sizeof path, "%s/.kura:wipe:a", rig->conf.path);
	assert_int_equal(access(path, F_OK), 0);
	assert_int_equal(unlink(path), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_create, setup),
		cmocka_unit_test_setup(test_create_thick, setup),
		cmocka_unit_test_setup(test_refused, setup),
		cmocka_unit_test_setup(test_no_room, setup),
		cmocka_unit_test_setup(test_open, setup),
		cmocka_unit_test_setup(test_draft, setup),
		cmocka_unit_test_setup(test_resize, setup),
		cmocka_unit_test_setup(test_rename, setup),
		cmocka_unit_test_setup(test_reopen, setup),
		cmocka_unit_test_setup(test_snapshot, setup),
		cmocka_unit_test_setup(test_revert, setup),
		cmocka_unit_test_setup(test_keep, setup),
		cmocka_unit_test_setup(test_clone, setup),
		cmocka_unit_test_setup(test_clone_of_snapshot, setup),
		cmocka_unit_test_setup(test_clone_cancelled, setup),
		cmocka_unit_test_setup(test_delete, setup),
		cmocka_unit_test_setup(test_adopt, setup),
		cmocka_unit_test_setup(test_lock, setup),
		cmocka_unit_test_setup(test_both_kinds, setup),
		cmocka_unit_test_setup(test_recover_renamed_while_wiping, setup),
		cmocka_unit_test_setup(test_recover_wipe_is_kept, setup),
	};

	return cmocka_run_group_tests(tests, pool_rig_setup, pool_rig_teardown);
}
