/* SPDX-License-Identifier: Apache-2.0 */
/*
 * doing.c: a note is a file STATE/doing/VOLUME of lines "word value"; see docs/disk-format.md.
 */
#include "target/doing.h"

#include "common/fault.h"
#include "common/file.h"
#include "common/log.h"
#include "common/own.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define DOING_MAX 8192u /* bytes of a note */

static const char *const kinds[] = { "make", "delete", "rename", "export", "folder" };

static char *folder_of(const char *state_dir)
{
	return own_printf("%s/doing", state_dir);
}

/* ---- writing ---- */

int doing_begin(const char *state_dir, const struct doing *d)
{
	own_free char *folder = folder_of(state_dir);
	own_free char *path = own_printf("%s/%s", folder, d->volume);
	own_free char *text = own_printf("verb %s\nvolume %s\npool %s\n%s%s%s%s%s%s%s",
		kinds[d->kind], d->volume, d->pool, d->to ? "to " : "", d->to ? d->to : "",
		d->to ? "\n" : "", d->file ? "file " : "", d->file ? d->file : "",
		d->file ? "\n" : "", d->wipe ? "wipe yes\n" : "");
	int err = file_make_folder(folder);

	if (err)
		return err;
	if (!access(path, F_OK))
		return -EBUSY;
	return file_replace(path, text, strlen(text), 0600);
}

bool doing_is(const char *state_dir, const char *volume)
{
	own_free char *folder = folder_of(state_dir);
	own_free char *path = own_printf("%s/%s", folder, volume);

	return !access(path, F_OK);
}

void doing_end(const char *state_dir, const char *volume)
{
	own_free char *folder = folder_of(state_dir);
	own_free char *path = own_printf("%s/%s", folder, volume);

	if (unlink(path) || file_sync_folder(path))
		log_error("a note of what was begun is not removed", "path=%s error=\"%s\"", path,
			strerror(errno));
	(void)fault_point(FAULT_verb_unnoted);
}

/* ---- reading ---- */

/* The value of a line of `text`, or NULL. Returns owned. */
static char *value_of(const char *text, const char *word)
{
	size_t len = strlen(word);

	for (const char *line = text; line && *line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (!strncmp(line, word, len) && line[len] == ' ')
			return own_printf(
				"%.*s", (int)strcspn(line + len + 1, "\n"), line + len + 1);
	}
	return NULL;
}

/* A note as it was found. */
struct note {
	struct doing d;
	char *verb, *pool, *to, *file, *wipe; /* owned, or NULL */
};

static void note_fini(struct note *n)
{
	free(n->verb);
	free(n->pool);
	free(n->to);
	free(n->file);
	free(n->wipe);
}

static bool is_temporary(const char *name)
{
	size_t len = strlen(name);

	return len > 4 && !strcmp(name + len - 4, ".tmp");
}

/* -ESTALE: it is no note, but the remains of one that was being written. */
static int note_read(struct note *n, const char *folder, const char *volume)
{
	own_free char *path = own_printf("%s/%s", folder, volume);
	size_t len;
	int err = 0;
	own_free char *text = file_read(path, DOING_MAX, &len, &err), *named = NULL;

	if (!text)
		return err;
	named = value_of(text, "volume");
	if (named ? strcmp(named, volume) != 0 : is_temporary(volume))
		return -ESTALE;
	n->verb = value_of(text, "verb");
	n->pool = value_of(text, "pool");
	n->to = value_of(text, "to");
	n->file = value_of(text, "file");
	n->wipe = value_of(text, "wipe");
	n->d = (struct doing){ 0, volume, n->pool, n->to, n->file, n->wipe };
	for (size_t i = 0; n->verb && n->pool && i < own_array_len(kinds); i++) {
		n->d.kind = (enum doing_kind)i;
		if (!strcmp(n->verb, kinds[i]))
			return n->d.kind == DOING_RENAME && !n->to ? -EBADMSG : 0;
	}
	return -EBADMSG;
}

/* ---- recovering ---- */

static bool is_named(const struct config *cfg, const char *pool, const char *volume)
{
	for (unsigned i = 0; i < cfg->volume_count; i++) {
		const struct cfg_volume *v = &cfg->volumes[i];

		if (!strcmp(v->name, volume))
			return v->pool && !strcmp(v->pool, pool);
	}
	return false;
}

static int drop(struct pool *pool, const char *volume, bool wipe, char *why)
{
	int err = pool_delete(pool, volume, wipe, NULL, why, POOL_WHY_LEN);

	return err == -ENOENT ? 0 : err;
}

/* The configuration has the old name, so that the pool gets it back. */
static int call_back(struct pool *pool, const struct doing *d, char *why)
{
	struct pool_volume v;

	if (!pool_find(pool, d->volume, &v, NULL, 0) || pool_find(pool, d->to, &v, NULL, 0))
		return 0;
	return pool_rename(pool, d->to, d->volume, why, POOL_WHY_LEN);
}

static int settle(struct pool *pool, const struct config *cfg, const struct doing *d, char *why)
{
	bool named = is_named(cfg, d->pool, d->volume);

	switch (d->kind) {
	case DOING_MAKE:
	case DOING_DELETE:
		return named ? 0 : drop(pool, d->volume, d->wipe, why);
	case DOING_RENAME:
		return named ? call_back(pool, d, why) : 0;
	case DOING_FOLDER:
		return 0;
	case DOING_EXPORT:
		if (d->file && unlink(d->file) && errno != ENOENT) {
			snprintf(why, POOL_WHY_LEN, "%.200s: %s", d->file, strerror(errno));
			return -EIO;
		}
		return d->to ? drop(pool, d->to, false, why) : 0;
	}
	return -EBADMSG;
}

static bool has_pool(const struct config *cfg, const char *pool)
{
	for (unsigned i = 0; i < cfg->pool_count; i++) {
		if (!strcmp(cfg->pools[i].name, pool))
			return true;
	}
	return false;
}

/* The directory that was made for a pool which is none. */
static void recover_folder(const char *state_dir, const struct config *cfg, const struct doing *d)
{
	if (!has_pool(cfg, d->pool) && d->file)
		(void)rmdir(d->file); /* gone, or it has something in it */
	doing_end(state_dir, d->volume);
}

static void recover_one(const char *state_dir, const struct config *cfg, struct pools *pools,
	const char *folder, const char *volume)
{
	own_cleanup(note_fini) struct note n = { 0 };
	char why[POOL_WHY_LEN] = "";
	struct pool *pool = NULL;
	int err = note_read(&n, folder, volume);

	if (err == -ESTALE) {
		doing_end(state_dir, volume);
		return;
	}
	if (!err && n.d.kind == DOING_FOLDER) {
		recover_folder(state_dir, cfg, &n.d);
		return;
	}
	if (err)
		snprintf(why, sizeof why, "its note cannot be read: %s", strerror(-err));
	else if (!(pool = pools_get(pools, n.pool)))
		snprintf(why, sizeof why, "pool \"%.63s\" is not in the configuration", n.pool);
	else
		err = settle(pool, cfg, &n.d, why);
	pools_put(pools, pool);
	if (err || !pool) {
		log_error("volume: what was begun is not undone", "volume=%s why=\"%s\"", volume,
			why);
		return;
	}
	log_info("volume: what was begun is settled", "volume=%s verb=%s pool=%s", volume, n.verb,
		n.pool);
	doing_end(state_dir, volume);
}

void doing_recover(const char *state_dir, const struct config *cfg, struct pools *pools)
{
	own_free char *folder = folder_of(state_dir);
	DIR *dir = opendir(folder);
	const struct dirent *e;

	while (dir && (e = readdir(dir))) {
		if (*e->d_name != '.')
			recover_one(state_dir, cfg, pools, folder, e->d_name);
	}
	if (dir)
		closedir(dir);
}
