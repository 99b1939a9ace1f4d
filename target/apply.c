/* SPDX-License-Identifier: Apache-2.0 */
/*
 * apply.c: a change carried out. First everything that can fail, then what cannot; the thread waits
 * for the loops between one step and the next.
 */
#include "target/apply.h"

#include "common/fault.h"
#include "common/log.h"
#include "common/own.h"
#include "config/object.h"
#include "target/apply_guts.h"
#include "target/errand.h"
#include "target/offer.h"
#include "target/scrape.h"
#include "target/storage_guts.h"
#include "target/tend.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define LOGOUT_SECONDS 3u /* initiators are given to log out, before they are closed */
#define LOOK_PAUSE_MS  50

/* ---- visits of the sessions ---- */

struct visit {
	struct errand errand;
	struct iscsi_server *iscsi;
	struct iscsi_round round;
};

static void visit_over(struct iscsi_round *round)
{
	errand_over(&container_of(round, struct visit, round)->errand);
}

static void visit_run(struct errand *e)
{
	struct visit *v = container_of(e, struct visit, errand);

	iscsi_round_submit(v->iscsi, &v->round);
}

/* One round, to its end; `seen` gets what it collects. How many sessions may not stay. */
static unsigned visit(
	struct apply *a, enum iscsi_action action, struct iscsi_catalogue *cat, struct list *seen)
{
	struct visit *v = own_calloc(1, sizeof *v);
	struct iscsi_opts opts = offer_opts(a->next);
	unsigned judged;

	v->iscsi = a->srv->iscsi;
	v->round.done = visit_over;
	v->round.cat = cat;
	v->round.action = action;
	v->round.seconds = LOGOUT_SECONDS;
	v->round.opts = &opts;
	v->round.collect = seen;
	errand_do(&v->errand, a->srv->loops[0], visit_run);
	for (unsigned i = 0; seen && i < a->srv->loop_count; i++)
		list_splice(seen, &v->round.seen[i]);
	judged = iscsi_round_judged(&v->round);
	iscsi_round_fini(&v->round);
	free(v);
	return judged;
}

static struct iscsi_catalogue *make_catalogue(struct apply *a)
{
	struct iscsi_catalogue *cat = iscsi_catalogue_new();

	offer_all(cat, a->next, &a->srv->storage);
	return cat;
}

/* ---- the plan ---- */

static int refusal(struct apply *a)
{
	for (unsigned i = 0; i < a->report->count; i++) {
		const struct apply_step *step = &a->report->steps[i];

		if (step->state != APPLY_REFUSED)
			continue;
		snprintf(a->report->why, APPLY_WHY_LEN, "refused: %s%s%s%s", step->text,
			step->user_count ? "; in use by "
			: step->kind == APPLY_SHRINK_VOLUME
				? "; that takes what lies behind its end"
				: "",
			step->user_count ? step->users[0] : "",
			step->user_count > 1 ? " and others" : "");
		return -EBUSY;
	}
	return 0;
}

static int plan(struct apply *a)
{
	struct iscsi_catalogue *cat = make_catalogue(a);

	visit(a, ISCSI_LOOK, cat, &a->seen);
	iscsi_catalogue_put(cat);
	apply_plan(a);
	return refusal(a);
}

/* ---- what can fail ---- */

/* What a key of the top level says changes sides between the two configurations. */
static void swap_key(const struct cfg_key *key, struct config *a, struct config *b)
{
	char field[sizeof(void *)], *one = cfg_key_field(key, a), *two = cfg_key_field(key, b);
	unsigned count;

	own_assert(key->width <= sizeof field);
	memcpy(field, one, key->width);
	memcpy(one, two, key->width);
	memcpy(two, field, key->width);
	if (key->type != CFG_TYPE_LIST)
		return;
	one = (char *)a + key->count_offset;
	two = (char *)b + key->count_offset;
	memcpy(&count, one, sizeof count);
	memcpy(one, two, sizeof count);
	memcpy(two, &count, sizeof count);
}

/* What has changed sides was written in a file that `cfg` may not know. */
static void rehome(const struct cfg_key *key, struct config *cfg)
{
	const struct cfg_object_info *info = &cfg_objects[key->item];
	unsigned count = 1;
	char *items;

	if (key->type < CFG_TYPE_GROUP || info->where == CFG_NO_WHERE)
		return;
	if (key->type == CFG_TYPE_LIST)
		items = cfg_key_items(key, cfg, &count);
	else
		memcpy(&items, cfg_key_field(key, cfg), sizeof items);
	for (unsigned i = 0; items && i < count; i++)
		((struct cfg_where *)(void *)(items + i * info->size + info->where))->file =
			cfg->file;
}

/* What waits for a restart stays as it is, so that the configuration says what holds. Under the
 * lock of those who look at it. */
static void leave_for_restart(struct apply *a)
{
	const struct cfg_key *key = NULL;

	while ((key = cfg_key_next(CFG_OBJECT_config, key))) {
		if (!apply_needs_restart(key))
			continue;
		swap_key(key, a->srv->cfg, a->next);
		rehome(key, a->next);
	}
}

static int open_pools(struct apply *a)
{
	struct pools *pools = a->srv->storage.pools;

	for (unsigned i = 0; i < a->next->pool_count; i++) {
		const struct cfg_pool *p = &a->next->pools[i];
		struct pool *pool = pools_get(pools, p->name);
		int err = pool ? 0 : pools_open(pools, p, a->report->why, APPLY_WHY_LEN);

		pools_put(pools, pool);
		if (err)
			return err;
	}
	return 0;
}

static int reopen(struct apply *a, const struct cfg_volume *v)
{
	struct storage *s = &a->srv->storage;
	char text[STORAGE_WHY_LEN];
	int err = storage_volume_close(s, storage_volume_find(s, v->name), a->report->why);

	if (err)
		return err;
	if (storage_volume_open(s, v, a->report->why)) {
		report_find(a->report, APPLY_REOPEN_VOLUME, v->name)->state = APPLY_DONE;
		return 0;
	}
	if (!storage_volume_open(s, cfg_volume_named(a->srv->cfg, v->name), text))
		log_error("volume not opened again: its LUNs are gone", "%s", text);
	return -EIO;
}

static int open_volumes(struct apply *a)
{
	struct storage *s = &a->srv->storage;
	struct list *near = NULL;

	for (unsigned i = 0; i < a->next->volume_count; i++) {
		const struct cfg_volume *v = &a->next->volumes[i];
		bool again = report_find(a->report, APPLY_REOPEN_VOLUME, v->name);
		int err = again ? reopen(a, v) : 0;

		if (err)
			return err;
		if (again)
			near = NULL;
		if (!storage_volume_find_near(s, &near, v->name) &&
			!storage_volume_open(s, v, a->report->why))
			return -EIO;
	}
	return 0;
}

static int prepare(struct apply *a, struct listen_set *fresh)
{
	struct storage *s = &a->srv->storage;
	char text[LISTEN_WHY_LEN] = "";
	int err = listen_follow(&a->srv->sockets, a->next, fresh, text);

	if (err) {
		snprintf(a->report->why, APPLY_WHY_LEN, "portal %s", text);
		return err;
	}
	err = open_pools(a);
	if (!err)
		err = open_volumes(a);
	if (!err)
		err = storage_ports_make(s, a->next, a->report->why);
	if (!err)
		err = storage_luns_follow(s, a->next, a->report->why);
	/* the last, for nothing undoes it */
	return err ? err : scrape_follow(a->srv, a->next, a->report->why);
}

/* Back to what was: additions go, and what was unmapped is mapped again. */
static void undo(struct apply *a, struct listen_set *fresh)
{
	char why[STORAGE_WHY_LEN] = "";
	int err;

	listen_close(fresh);
	for (unsigned i = 0; i < a->srv->cfg->volume_count; i++) {
		const struct cfg_volume *v = &a->srv->cfg->volumes[i];
		struct storage_volume *open = storage_volume_find(&a->srv->storage, v->name);
		struct apply_step *again = report_find(a->report, APPLY_REOPEN_VOLUME, v->name);

		/* one that was opened again has to be what it was */
		if (open && again && again->state == APPLY_DONE) {
			again->state = APPLY_PLANNED;
			if (!storage_volume_close(&a->srv->storage, open, why))
				open = NULL;
		}
		if (!open)
			(void)storage_volume_open(&a->srv->storage, v, why);
	}
	err = storage_luns_follow(&a->srv->storage, a->srv->cfg, why);
	if (!err)
		err = storage_sweep(&a->srv->storage, a->srv->cfg, why);
	if (!err)
		pools_sweep(a->srv->storage.pools, a->srv->cfg);
	if (err)
		log_error("what was begun is not undone", "%s", why);
}

/* ---- what cannot ---- */

struct sockets {
	struct errand errand;
	struct door *door;
	const struct listen_set *fresh; /* to be opened */
	struct door_closing closing;
	int fd; /* to be closed */
};

static void sockets_open(struct errand *e)
{
	struct sockets *s = container_of(e, struct sockets, errand);

	for (unsigned i = 0; i < s->fresh->count; i++)
		door_open(s->door, s->fresh->sockets[i].fd);
	errand_over(e);
}

static void sockets_closed(struct door_closing *closing)
{
	errand_over(&container_of(closing, struct sockets, closing)->errand);
}

static void sockets_close(struct errand *e)
{
	struct sockets *s = container_of(e, struct sockets, errand);

	door_close(s->door, &s->closing, s->fd);
}

static void open_portals(struct apply *a, struct listen_set *fresh)
{
	struct sockets s = { .door = &a->srv->door, .fresh = fresh };

	if (!fresh->count)
		return;
	errand_do(&s.errand, a->srv->loops[0], sockets_open);
	for (unsigned i = 0; i < fresh->count; i++)
		log_info("portal listening", "address=%s", fresh->sockets[i].name);
	pthread_mutex_lock(&a->srv->storage.lock);
	listen_join(&a->srv->sockets, fresh);
	pthread_mutex_unlock(&a->srv->storage.lock);
}

static void close_portals(struct apply *a)
{
	struct listen_set *set = &a->srv->sockets;
	struct sockets s = { .door = &a->srv->door, .closing.closed = sockets_closed };

	for (unsigned i = set->count; i-- > 0;) {
		if (set->sockets[i].kept)
			continue;
		s.fd = set->sockets[i].fd;
		errand_do(&s.errand, a->srv->loops[0], sockets_close);
		log_info("portal closed", "address=%s", set->sockets[i].name);
		pthread_mutex_lock(&a->srv->storage.lock);
		listen_drop(set, i);
		pthread_mutex_unlock(&a->srv->storage.lock);
	}
}

static int grow(struct storage *s, struct storage_volume *v, uint64_t size)
{
	int err = vol_resize(v->vol, size);

	return err ? err : storage_volume_resized(s, v, size);
}

/* No command reaches behind the new end before the volume ends there. */
static int shrink(struct storage *s, struct storage_volume *v, uint64_t size, uint64_t old)
{
	int err = storage_volume_resized(s, v, size);

	if (!err)
		err = vol_resize(v->vol, size);
	if (err)
		(void)storage_volume_resized(s, v, old);
	return err;
}

static void resize(struct apply *a, struct apply_step *step)
{
	struct storage *s = &a->srv->storage;
	struct storage_volume *v = storage_volume_find(s, step->object);
	struct cfg_volume *want = cfg_volume_named(a->next, step->object);
	uint64_t old = vol_info(v->vol).size;
	int err = step->kind == APPLY_GROW_VOLUME ? grow(s, v, want->size)
						  : shrink(s, v, want->size, old);

	if (!err)
		return;
	report_fail(step, err == -ENOTSUP ? "this store cannot" : strerror(-err));
	want->size = cfg_volume_named(a->srv->cfg, step->object)->size;
}

static void resize_all(struct apply *a)
{
	for (unsigned i = 0; i < a->report->count; i++) {
		struct apply_step *step = &a->report->steps[i];

		if (step->kind == APPLY_GROW_VOLUME || step->kind == APPLY_SHRINK_VOLUME)
			resize(a, step);
	}
}

static void limit_all(struct apply *a)
{
	for (unsigned i = 0; i < a->report->count; i++) {
		const struct apply_step *step = &a->report->steps[i];

		if (step->kind == APPLY_LIMIT_VOLUME)
			storage_volume_limit(storage_volume_find(&a->srv->storage, step->object),
				cfg_volume_named(a->next, step->object)->limit);
	}
}

static void pause_ms(long ms)
{
	const struct timespec pause = { .tv_nsec = ms * 1000000 };

	nanosleep(&pause, NULL);
}

/* Who may not stay is asked to go, and closed when it does not. */
static void end_sessions(struct apply *a, struct iscsi_catalogue *cat)
{
	unsigned looks = LOGOUT_SECONDS * 1000 / LOOK_PAUSE_MS;
	unsigned left = visit(a, ISCSI_ASK, cat, NULL);

	while (left && looks--) {
		pause_ms(LOOK_PAUSE_MS);
		left = visit(a, ISCSI_LOOK, cat, NULL);
	}
	if (left)
		visit(a, ISCSI_CLOSE, cat, NULL);
}

/* From here on logins and discovery see what is wanted, and so does whoever asks what is served.
 * The configuration before, owned. */
static struct config *publish(struct apply *a, struct iscsi_catalogue *cat)
{
	struct config *old = a->srv->cfg;

	visit(a, ISCSI_TAKE, cat, NULL);
	pthread_mutex_lock(&a->srv->storage.lock);
	leave_for_restart(a);
	a->srv->cfg = a->next;
	pthread_mutex_unlock(&a->srv->storage.lock);
	if (strcmp(old->log_level, a->next->log_level) != 0) /* else kura log level holds */
		log_set_level(log_level_named(a->next->log_level));
	return old;
}

static void mark_done(struct apply_report *report)
{
	for (unsigned i = 0; i < report->count; i++) {
		if (report->steps[i].state == APPLY_PLANNED)
			report->steps[i].state = APPLY_DONE;
	}
}

/* What goes could not go yet: it is not offered any more, but stays until it can. */
static void mark_late(struct apply_report *report, const char *why)
{
	for (unsigned i = 0; i < report->count; i++) {
		struct apply_step *step = &report->steps[i];

		if (step->kind == APPLY_REMOVE_LUN || step->kind == APPLY_REMOVE_TARGET ||
			step->kind == APPLY_CLOSE_VOLUME || step->kind == APPLY_CLOSE_POOL)
			report_fail(step, why);
	}
}

static void commit(struct apply *a, struct listen_set *fresh)
{
	struct iscsi_catalogue *cat;
	struct config *old;

	open_portals(a, fresh);
	resize_all(a);
	(void)fault_point(FAULT_apply_resized);
	limit_all(a);
	pools_follow(a->srv->storage.pools, a->next);
	cat = make_catalogue(a);
	old = publish(a, cat);
	(void)fault_point(FAULT_apply_published);
	end_sessions(a, cat);
	iscsi_catalogue_put(cat);
	if (storage_sweep(&a->srv->storage, a->next, a->report->why))
		mark_late(a->report, a->report->why);
	else
		pools_sweep(a->srv->storage.pools, a->next);
	close_portals(a);
	(void)fault_point(FAULT_apply_swept);
	server_tell_isns(a->srv);
	mark_done(a->report);
	cfg_free(old);
	a->next = NULL;
}

/* ---- all of it ---- */

static int settle(struct apply *a)
{
	int err = storage_sweep(&a->srv->storage, a->srv->cfg, a->report->why);

	if (!err)
		pools_sweep(a->srv->storage.pools, a->srv->cfg);
	return err ? -EBUSY : 0;
}

static int carry_out(struct apply *a)
{
	struct listen_set *fresh own_free = NULL;
	int err = settle(a);

	if (!err)
		err = plan(a);
	if (err || (a->flags & APPLY_DRY_RUN))
		return err;
	(void)fault_point(FAULT_apply_planned);
	fresh = own_calloc(1, sizeof *fresh);
	err = prepare(a, fresh);
	(void)fault_point(FAULT_apply_ready);
	if (!err && a->keep)
		err = a->keep->keep(a->keep, a->next, a->report->why);
	if (err)
		undo(a, fresh);
	else
		commit(a, fresh);
	return err;
}

int server_apply(
	struct server *srv, struct config *next, unsigned flags, struct apply_report *report)
{
	return server_apply_kept(srv, next, flags, NULL, report);
}

int server_apply_kept(struct server *srv, struct config *next, unsigned flags,
	struct apply_keep *keep, struct apply_report *report)
{
	struct apply a = {
		.srv = srv, .next = next, .flags = flags, .keep = keep, .report = report
	};
	struct list *node;
	int err;

	*report = (struct apply_report){ 0 };
	/* a job or a pool has it for a moment, and a reload is not said twice */
	if (!server_tend(srv)) {
		snprintf(report->why, APPLY_WHY_LEN, "another change is under way; try again");
		cfg_free(next);
		return -EBUSY;
	}
	list_init(&a.seen);
	err = carry_out(&a);
	while ((node = list_pop(&a.seen)))
		free(container_of(node, struct iscsi_seen, node));
	server_tend_end(srv);
	cfg_free(a.next);
	return err;
}
