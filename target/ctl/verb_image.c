/* SPDX-License-Identifier: Apache-2.0 */
/* Images of other formats, by qemu-img. What an image names is looked after by image.h. */
#include "target/ctl/verbs.h"

#include "common/exec.h"
#include "common/fault.h"
#include "common/own.h"
#include "target/ctl/image.h"
#include "target/ctl/volumes.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- qemu-img ---- */

static const char *format_of(const char *word)
{
	return word && !strcmp(word, "vhd") ? "vpc" : word;
}

/* The first line of what a tool complained of; not by which words it was told of an image. */
static void tool_failed(struct ctl_call *call, int status, const char *said)
{
	const char *file = ctl_text(call, "file"), *end = strstr(said, "}': ");
	size_t len = strcspn(said, "\n");

	if (status == -ENOENT)
		ctl_fail(call, RPC_REFUSED,
			"qemu-img is not on this box; install the package qemu-utils");
	else if (status == -ECANCELED)
		ctl_fail(call, RPC_REFUSED, "ended as asked; nothing is left of it");
	else if (end && end < said + len)
		ctl_fail(call, RPC_REFUSED, "%.300s: %.*s", file, (int)strcspn(end + 4, "\n"),
			end + 4);
	else
		ctl_fail(call, RPC_REFUSED, "%.*s", *said ? (int)len : 64,
			*said ? said : "qemu-img failed");
}

struct convert {
	struct ctl_job *job;
	const struct image *from; /* what is read, or NULL: a volume */
	uint64_t size;
	char tail[64]; /* the end of what it said */
};

/* qemu-img -p says "(12.34/100%)" and goes back to the beginning of the line. */
static bool convert_told(void *arg, const char *piece, size_t len)
{
	struct convert *c = arg;
	size_t keep = len < sizeof c->tail - 1 ? len : sizeof c->tail - 1;
	const char *at;
	double percent = 0;

	if (len) {
		memcpy(c->tail, piece + len - keep, keep);
		c->tail[keep] = '\0';
	}
	at = strrchr(c->tail, '(');
	if (at)
		percent = strtod(at + 1, NULL);
	return ctl_job_told(c->job, (uint64_t)((double)c->size * percent / 100), c->size) &&
	       (!c->from || image_is_same(c->from));
}

/* 0, or after ctl_fail. */
static int convert(
	struct ctl_call *call, const char *const *argv, uint64_t size, const struct image *from)
{
	struct convert c = { .job = call->job, .from = from, .size = size };
	const struct exec_watch watch = { convert_told, &c, from ? from->fds : NULL,
		from ? image_fd_count(from) : 0 };
	char *said own_free = NULL;
	int status = exec_watch(argv, &watch, &said);

	if (from && !image_is_same(from)) {
		ctl_fail(call, RPC_REFUSED,
			"%.300s: was written to meanwhile, and nothing is kept of it; import it "
			"when it is whole",
			ctl_text(call, "file"));
		return -EBUSY;
	}
	if (status)
		tool_failed(call, status, said);
	return status;
}

static int sync_file(const char *path)
{
	own_fd int fd = open(path, O_RDWR | O_CLOEXEC);

	return fd < 0 || fsync(fd) ? -errno : 0;
}

/* ---- looking at an image ---- */

#define INFO_MAX (1u << 20) /* bytes that qemu-img may say of an image */

struct info {
	struct ctl_job *job;
	char *text; /* INFO_MAX + 1 bytes; owned */
	size_t len;
};

static bool info_told(void *arg, const char *piece, size_t len)
{
	struct info *info = arg;
	size_t room = INFO_MAX - info->len;

	if (len) {
		memcpy(info->text + info->len, piece, len < room ? len : room);
		info->len += len < room ? len : room;
	}
	return ctl_job_told(info->job, 0, 0);
}

/* By what qemu-img says of it. */
static bool looked(struct ctl_call *call, struct image *im, const struct jval *info, uint64_t *size)
{
	const char *file = ctl_text(call, "file");
	const char *found = jval_text(jval_get(info, "format"));
	const char *parent = jval_text(jval_get(info, "backing-filename"));
	long long bytes = (long long)jval_number(jval_get(info, "virtual-size"));
	bool names = found && (!strcmp(found, "qcow2") || !strcmp(found, "vmdk"));

	/* one that can name files, and we have not seen that it is one */
	if (!found || bytes <= 0 || (names && strcmp(found, im->format) != 0)) {
		ctl_fail(call, RPC_REFUSED, "%.300s: qemu-img does not know what it is", file);
		return false;
	}
	if (parent) {
		ctl_fail(call, RPC_REFUSED,
			"%.200s: is only what has changed since %.120s; make one image of both "
			"with qemu-img convert",
			file, parent);
		return false;
	}
	snprintf(im->format, sizeof im->format, "%s", found);
	*size = (uint64_t)bytes;
	return true;
}

static bool look(struct ctl_call *call, struct image *im, uint64_t *size)
{
	char *source own_free = image_source(im);
	const char *argv[] = { "qemu-img", "info", "--output=json", source, NULL };
	char *out own_free = own_calloc(1, INFO_MAX + 1), *said own_free = NULL;
	struct info told = { .job = call->job, .text = out };
	/* told, because a file system may hang */
	const struct exec_watch watch = { info_told, &told, im->fds, image_fd_count(im) };
	char why[128];
	int status = exec_watch(argv, &watch, &said);
	struct jval *info = status ? NULL : jval_parse(out, told.len, why, sizeof why);
	bool ok = !status && looked(call, im, info, size);

	if (status)
		tool_failed(call, status, said);
	jval_free(info);
	return ok;
}

/* ---- importing ---- */

static bool open_image(struct ctl_call *call, struct image *im)
{
	const char *format = format_of(ctl_text(call, "format"));
	char why[IMAGE_WHY_LEN];
	int err = image_open(im, ctl_text(call, "file"), format, why);

	if (err)
		ctl_fail(call, err == -ENOENT && !im->count ? RPC_NOT_FOUND : RPC_REFUSED, "%s",
			why);
	return !err;
}

/* In a change: the pool is in use then, and the note is written. NULL after ctl_fail. */
static struct pool *import_begin(struct ctl_call *call)
{
	const char *name = ctl_text(call, "volume");
	struct config *cfg = ctl_config(call);
	struct doing doing = { DOING_MAKE, name, NULL, NULL, NULL, false };
	struct pool *pool = NULL;

	for (unsigned i = 0; i < cfg->volume_count && call->exit == RPC_DONE; i++) {
		if (!strcmp(cfg->volumes[i].name, name))
			ctl_fail(call, RPC_EXISTS, "volume \"%s\": there is one", name);
	}
	if (call->exit == RPC_DONE)
		pool = ctl_pool(call, cfg, ctl_text(call, "pool"));
	cfg_free(cfg);
	if (!pool)
		return NULL;
	doing.pool = pool_name(pool);
	if (ctl_note(call, &doing))
		return pool;
	server_pool_put(call->srv, pool);
	return NULL;
}

/* Fills the draft; it is abandoned when that fails. */
static bool fill(struct ctl_call *call, struct pool *pool, const struct pool_make *make,
	const struct image *im, uint64_t size, const char *path)
{
	bool zeroed = make->thin || !strcmp(pool_kind(pool), "dir");
	char *source own_free = image_source(im);
	const char *argv[] = { "qemu-img", "convert", "-p", "-n", "-O", "raw", "-t", "writeback",
		source, path, zeroed ? "--target-is-zero" : NULL, NULL };
	char why[POOL_WHY_LEN] = "";
	int err = convert(call, argv, size, im);

	if (!err) {
		err = sync_file(path);
		if (err)
			ctl_fail(call, RPC_REFUSED, "%.300s: %s", path, strerror(-err));
	}
	if (err) {
		pool_draft_abandon(pool, make->name);
		return false;
	}
	err = pool_draft_commit(pool, make->name, why, sizeof why);
	if (err)
		ctl_fail_errno(call, err, why);
	return !err;
}

static bool import(struct ctl_call *call, struct pool *pool, struct image *im)
{
	struct pool_make make = { .name = ctl_text(call, "volume") };
	char *path own_free = NULL;
	char why[POOL_WHY_LEN] = "";
	uint64_t size = 0;
	int err;

	if (!look(call, im, &size))
		return false;
	make.size = (size + 511) / 512 * 512;
	make.thin = (pool_caps(pool) & POOL_CAN_THIN) && !ctl_flag(call, "thick");
	err = pool_draft_begin(pool, &make, &path, why, sizeof why);
	if (!err)
		return fill(call, pool, &make, im, size, path);
	ctl_fail_errno(call, err, why);
	return false;
}

static void import_opened(struct ctl_call *call, struct image *im)
{
	const char *name = ctl_text(call, "volume");
	struct pool *pool = NULL;
	bool ok;

	ctl_change_begin(call);
	pool = import_begin(call);
	ctl_change_end(call);
	if (!pool)
		return;
	ok = import(call, pool, im);
	ctl_change_begin(call);
	if (ok)
		ctl_name_new(call, pool_name(pool), name);
	else
		doing_end(server_state_dir(call->srv), name);
	ctl_change_end(call);
	server_pool_put(call->srv, pool);
}

void verb_volume_import(struct ctl_call *call)
{
	struct image im;

	if (open_image(call, &im))
		import_opened(call, &im);
	image_close(&im);
}

/* ---- exporting ---- */

struct source {
	struct ctl_volume v;
	char *part; /* the file while it is written; owned */
	char *snap; /* a snapshot that was made for this; owned, or NULL */
};

/* A volume that is written meanwhile is exported from a snapshot, or because that is meant. */
static bool plan(struct ctl_call *call, const struct config *cfg, struct source *s)
{
	if (!ctl_may_copy(call, &s->v, "an image"))
		return false;
	if (!ctl_is_written(cfg, &s->v))
		return true;
	if (pool_caps(s->v.pool) & POOL_CAN_SNAPSHOT) {
		s->snap = own_printf("%.48s.export", s->v.is.name);
		return true;
	}
	return ctl_flag(call, "force") ||
	       ctl_is_free(call, cfg, s->v.is.name,
		       "its pool has no snapshots; lun remove first, or --force when the image may "
		       "be of no single moment");
}

static bool export_begin(struct ctl_call *call, struct source *s)
{
	const char *name = ctl_text(call, "volume");
	struct config *cfg = ctl_config(call);
	bool ok = false;

	s->part = own_printf("%s.kura-part", ctl_text(call, "file"));
	if (ctl_volume_get(call, cfg, name, &s->v)) {
		ok = plan(call, cfg, s);
		if (ok)
			ok = ctl_note(
				call, &(struct doing){ DOING_EXPORT, name, pool_name(s->v.pool),
					      s->snap, s->part, false });
		if (!ok)
			ctl_volume_fini(call, &s->v);
		s->v.cfg = NULL;
	}
	cfg_free(cfg);
	return ok;
}

/* How qemu-img is told of a volume that kurad has open and locked. Returns owned. */
static char *opened(const struct pool_place *place)
{
	const char *driver = !strcmp(place->store, "file") ? "file" : "host_device";
	char path[2 * sizeof place->path], *to = path;

	for (const char *p = place->path; *p; p++) {
		if (*p == ',') /* it separates options, unless there are two */
			*to++ = ',';
		*to++ = *p;
	}
	*to = '\0';
	return own_printf(
		"driver=raw,file.driver=%s,file.locking=off,file.filename=%s", driver, path);
}

static bool write_image(struct ctl_call *call, struct source *s)
{
	const char *format = format_of(ctl_text(call, "format"));
	const char *from = s->snap ? s->snap : s->v.is.name;
	char why[POOL_WHY_LEN] = "";
	struct pool_place place;
	int err = pool_resolve(s->v.pool, from, &place, why, sizeof why);
	char *source own_free = err ? NULL : opened(&place);
	const char *argv[] = { "qemu-img", "convert", "-p", "--image-opts", "-O",
		format ? format : "qcow2", "-t", "writeback", source, s->part, NULL };

	if (err)
		ctl_fail_errno(call, err, why);
	if (err || convert(call, argv, s->v.is.size, NULL))
		return false;
	err = sync_file(s->part);
	(void)fault_point(FAULT_verb_image_written);
	if (!err && rename(s->part, ctl_text(call, "file")))
		err = -errno;
	(void)fault_point(FAULT_verb_image_placed);
	if (err)
		ctl_fail(call, RPC_REFUSED, "%.300s: %s", ctl_text(call, "file"), strerror(-err));
	return !err;
}

static bool take_snapshot(struct ctl_call *call, struct source *s)
{
	char why[POOL_WHY_LEN] = "";
	uint64_t micros;
	int err = s->snap ? ctl_snapshot(call, s->v.pool, s->v.is.name, s->snap, &micros, why) : 0;

	if (err)
		ctl_fail_errno(call, err, why);
	return !err;
}

void verb_volume_export(struct ctl_call *call)
{
	const char *name = ctl_text(call, "volume"), *file = ctl_text(call, "file");
	struct source s = { 0 };
	bool ok = !ctl_flag(call, "replace") && !access(file, F_OK);

	if (ok) {
		ctl_fail(call, RPC_EXISTS, "%.300s: is there already; --replace", file);
		return;
	}
	ctl_change_begin(call);
	ok = export_begin(call, &s);
	ctl_change_end(call);
	if (ok) {
		ok = take_snapshot(call, &s) && write_image(call, &s);
		if (!ok)
			(void)unlink(s.part);
		if (s.snap)
			(void)pool_delete(s.v.pool, s.snap, false, NULL, NULL, 0);
		doing_end(server_state_dir(call->srv), name);
		ctl_volume_fini(call, &s.v);
	}
	if (ok) {
		jval_set_text(call->result, "volume", name);
		jval_set_text(call->result, "file", file);
	}
	free(s.part);
	free(s.snap);
}
