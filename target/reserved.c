/* SPDX-License-Identifier: Apache-2.0 */
/*
 * While the configuration is held, volumes stay open. An errand that nobody waits for any more
 * frees itself when it comes back.
 */
#include "target/reserved.h"

#include "common/own.h"
#include "target/errand.h"
#include "target/server_guts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LOOK_SECONDS  2u
#define CLEAR_SECONDS 10u /* a disk may be slow */

/* ---- looking ---- */

struct look {
	struct errand errand;
	unsigned keepers; /* the errand and who waits; atomic */
	struct scsi_domain *domain;
	struct reserved_list list;
};

static void look_put(struct look *l)
{
	if (__atomic_sub_fetch(&l->keepers, 1, __ATOMIC_ACQ_REL))
		return;
	reserved_free(&l->list);
	free(l);
}

static void look_run(struct errand *e)
{
	struct look *l = container_of(e, struct look, errand);

	for (unsigned i = 0; i < l->list.count; i++)
		l->list.all[i].state = scsi_res_copy(l->domain, l->list.all[i].vol);
	errand_over(e);
	look_put(l);
}

static void list_volumes(struct server *srv, const struct config *cfg, const char *volume,
	struct reserved_list *list)
{
	list->all = own_calloc(cfg->volume_count + 1, sizeof *list->all);
	for (unsigned i = 0; i < cfg->volume_count; i++) {
		const char *name = cfg->volumes[i].name;
		const struct vol *vol = server_volume(srv, name);

		if (vol && (!volume || !strcmp(volume, name)))
			list->all[list->count++] =
				(struct reserved){ .volume = own_strdup(name), .vol = vol };
	}
}

int reserved_look(struct server *srv, const char *volume, struct reserved_list *list)
{
	struct look *l = own_calloc(1, sizeof *l);
	bool over;

	*list = (struct reserved_list){ 0 };
	l->keepers = 2;
	l->domain = srv->domain;
	list_volumes(srv, server_view(srv), volume, &l->list);
	errand_send(&l->errand, srv->loops[0], look_run);
	over = errand_wait(&l->errand, LOOK_SECONDS);
	server_view_end(srv);
	if (over) {
		*list = l->list;
		l->list = (struct reserved_list){ 0 };
	}
	look_put(l);
	return over ? 0 : -ETIMEDOUT;
}

void reserved_free(struct reserved_list *list)
{
	for (unsigned i = 0; i < list->count; i++) {
		free(list->all[i].volume);
		res_state_free(list->all[i].state, NULL);
	}
	free(list->all);
	*list = (struct reserved_list){ 0 };
}

/* ---- clearing ---- */

struct wipe {
	struct errand errand;
	unsigned keepers; /* as above */
	struct scsi_domain *domain;
	const struct vol *vol;
	struct loop *loop;
	int err;
};

static void wipe_put(struct wipe *w)
{
	if (!__atomic_sub_fetch(&w->keepers, 1, __ATOMIC_ACQ_REL))
		free(w);
}

static void wipe_over(struct wipe *w, int err)
{
	w->err = err;
	errand_over(&w->errand);
	wipe_put(w);
}

static void wipe_done(struct res_request *req)
{
	int err = req->result == RES_GOOD ? 0 : -EIO;
	struct wipe *w = req->arg;

	res_request_free(req);
	wipe_over(w, err);
}

static void wipe_run(struct errand *e)
{
	struct wipe *w = container_of(e, struct wipe, errand);
	struct res_request *req = scsi_res_wipe(w->domain, w->vol);

	if (!req) {
		wipe_over(w, -ENOENT);
		return;
	}
	req->done = wipe_done;
	req->arg = w;
	res_request_submit(req, w->loop);
}

int reserved_clear(struct server *srv, const char *volume)
{
	struct wipe *w = own_calloc(1, sizeof *w);
	int err = -ENOENT;

	w->keepers = 2;
	w->domain = srv->domain;
	w->loop = srv->loops[0];
	(void)server_view(srv);
	w->vol = server_volume(srv, volume);
	if (w->vol) {
		errand_send(&w->errand, w->loop, wipe_run);
		err = errand_wait(&w->errand, CLEAR_SECONDS) ? w->err : -ETIMEDOUT;
	} else {
		w->keepers = 1;
	}
	server_view_end(srv);
	wipe_put(w);
	return err;
}
