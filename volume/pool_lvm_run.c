// SPDX-License-Identifier: Apache-2.0
/*
 * pool_lvm_run.c: running LVM's commands and reading its reports.
 *
 * A report is asked for as fields between separators, which no name or tag can contain. Errors
 * become an errno by what LVM says in the locale C, and its sentence goes on to the person.
 */
#include "common/exec.h"
#include "common/own.h"
#include "volume/pool_lvm.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* ---- commands ---- */

void lvm_arg(struct lvm_args *args, const char *arg)
{
	own_assert(args->count + 1 < LVM_ARGS_MAX);
	args->v[args->count++] = arg;
}

void lvm_argf(struct lvm_args *args, const char *fmt, ...)
{
	va_list ap;
	char *arg;

	va_start(ap, fmt);
	own_assert(vasprintf(&arg, fmt, ap) >= 0);
	va_end(ap);
	own_assert(args->made_count < own_array_len(args->made));
	args->made[args->made_count++] = arg;
	lvm_arg(args, arg);
}

static void args_free(struct lvm_args *args)
{
	for (unsigned i = 0; i < args->made_count; i++)
		free(args->made[i]);
}

static const struct {
	const char *text;
	int err;
	const char *todo;
} lvm_says[] = {
	{ "already exists", -EEXIST, "; take another name" },
	{ "are reserved", -EINVAL, "" },
	{ "resized only while inactive", -EBUSY, "; or delete its snapshots first" },
	{ "matches existing size", -EINVAL, "; it has whole extents only" },
	{ "reached threshold", -ENOSPC, "; extend the thin pool" },
	{ "nsufficient free space", -ENOSPC, "; make room in the volume group, or extend it" },
	{ "nsufficient suitable", -ENOSPC, "; make room in the volume group, or extend it" },
	{ "not enough free", -ENOSPC, "; make room in the volume group, or extend it" },
	{ "out of data space", -ENOSPC, "; extend the thin pool" },
	{ "ailed to find logical volume", -ENOENT, "; see lvs" },
	{ "not found", -ENOENT, "; see vgs and lvs" },
	{ "in use", -EBUSY, "; close what uses it first" },
	{ "is used by", -EBUSY, "; close what uses it first" },
	{ "ermission denied", -EACCES, "; LVM has to run as root" },
};

struct complaint {
	const char *line; /* borrowed */
	int err;
	const char *todo;
};

/* Lines beside the matter, whatever they say of things that are not found. */
static bool is_aside(const char *line)
{
	return !*line || !strncmp(line, "WARNING", 7) || !strncmp(line, "Devices file", 12) ||
	       strstr(line, "lvmpolld");
}

static bool is_known(const char *line, struct complaint *found)
{
	for (unsigned i = 0; i < own_array_len(lvm_says); i++) {
		if (!strstr(line, lvm_says[i].text))
			continue;
		*found = (struct complaint){ line, lvm_says[i].err, lvm_says[i].todo };
		return true;
	}
	return false;
}

/* The line that says what is wrong, without its blanks: the first that we understand, else the
 * first that is one, else whatever is there. LVM says more before, such as that a device cannot be
 * read, and more behind. */
static struct complaint complaint(char *text)
{
	struct complaint found = { NULL, -EIO, "; see what lvs and dmesg say" };
	const char *aside = NULL;
	char *rest = NULL;

	for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		line += strspn(line, " ");
		if (is_aside(line)) {
			aside = aside || !*line ? aside : line;
			continue;
		}
		if (is_known(line, &found))
			return found;
		found.line = found.line ? found.line : line;
	}
	if (!found.line)
		found.line = aside ? aside : "nothing";
	return found;
}

static int lvm_failed(const struct pool *pool, const char *command, int status, char *said,
	const struct pool_why *why)
{
	struct complaint c;

	if (status == -EOVERFLOW)
		return pool_refuse(why, status,
			"pool %s: volume group %s: %s says more than %u MiB; take some of its "
			"logical volumes to another group",
			pool->conf.name, pool->conf.vg, command, EXEC_SAID_MAX >> 20);
	if (status < 0)
		return pool_refuse(why, status,
			"pool %s: cannot run %s: %s; a pool of this kind needs LVM's tools "
			"(package lvm2)",
			pool->conf.name, command, strerror(-status));
	c = complaint(said);
	return pool_refuse(why, c.err, "pool %s: volume group %s: %s says: %s%s", pool->conf.name,
		pool->conf.vg, command, c.line, c.todo);
}

int lvm_run(const struct pool *pool, struct lvm_args *args, char **out, const struct pool_why *why)
{
	own_free char *said = NULL;
	int status;

	if (pool->conf.lvm_config) {
		lvm_arg(args, "--config");
		lvm_arg(args, pool->conf.lvm_config);
	}
	if (pool->conf.lvm_devices) {
		lvm_arg(args, "--devices");
		lvm_arg(args, pool->conf.lvm_devices);
	}
	status = exec_run(args->v, out, &said);
	if (status) {
		status = lvm_failed(pool, args->v[0], status, said, why);
		if (out)
			own_free_ptr(out);
		if (out)
			*out = NULL;
	}
	args_free(args);
	return status;
}

int lvm_run_on(
	const struct pool *pool, struct lvm_args *args, const char *lv, const struct pool_why *why)
{
	lvm_argf(args, "%s/%s", pool->conf.vg, lv);
	return lvm_run(pool, args, NULL, why);
}

/* ---- records as tags ---- */

void lvm_arg_record(struct lvm_args *args, const struct meta_record *record)
{
	char uuid[META_UUID_TEXT];

	meta_uuid_format(record->uuid, uuid);
	lvm_arg(args, "--addtag");
	lvm_argf(args, "kura.uuid=%s", uuid);
	lvm_arg(args, "--addtag");
	lvm_argf(args, "kura.created=%lld", (long long)record->created);
	if (record->snapshot) {
		lvm_arg(args, "--addtag");
		lvm_arg(args, "kura.kind=snapshot");
	}
	if (record->has_origin) {
		meta_uuid_format(record->origin, uuid);
		lvm_arg(args, "--addtag");
		lvm_argf(args, "kura.origin=%s", uuid);
	}
}

static const char *tag_value(const char *tag, const char *key)
{
	size_t len = strlen(key);

	return strncmp(tag, key, len) == 0 ? tag + len : NULL;
}

static void tag_read(struct lvm_lv *lv, const char *tag)
{
	const char *value;

	if ((value = tag_value(tag, "kura.uuid="))) {
		if (!meta_uuid_parse(value, lv->record.uuid) && lv->state == LVM_FOREIGN)
			lv->state = LVM_LIVE;
	} else if ((value = tag_value(tag, "kura.origin="))) {
		lv->record.has_origin = meta_uuid_parse(value, lv->record.origin) == 0;
	} else if ((value = tag_value(tag, "kura.created="))) {
		lv->record.created = strtoll(value, NULL, 10);
	} else if ((value = tag_value(tag, "kura.kind="))) {
		lv->record.snapshot = !strcmp(value, "snapshot");
	} else if ((value = tag_value(tag, "kura.state="))) {
		lv->state = !strcmp(value, "half")   ? LVM_HALF
			    : !strcmp(value, "wipe") ? LVM_WIPE
						     : LVM_GONE;
	}
}

/* ---- the report ---- */

#define LVM_FIELDS "lv_name,lv_size,origin,origin_size,data_percent,lv_attr,pool_lv,lv_tags"
enum { F_NAME, F_SIZE, F_ORIGIN, F_ORIGIN_SIZE, F_PERCENT, F_ATTR, F_POOL, F_TAGS, F_COUNT };

/* Cuts a line at its separators; false when it has not so many fields. */
static bool fields_cut(char *line, char *field[F_COUNT])
{
	for (unsigned i = 0; i < F_COUNT; i++) {
		field[i] = strsep(&line, "|");
		if (!field[i])
			return false;
	}
	return true;
}

static void name_copy(char to[128], const char *from)
{
	snprintf(to, 128, "%s", from);
}

/* lvs(8), lv_attr: volume type, permissions, allocation, fixed minor, state, open, ... */
static bool lv_read(struct lvm_lv *lv, char *line)
{
	char *f[F_COUNT], *tag, *rest;
	const char *attr;
	double part;

	line += strspn(line, " ");
	if (!fields_cut(line, f) || strlen(f[F_ATTR]) < 6)
		return false;
	attr = f[F_ATTR];
	lv->type = *attr;
	name_copy(lv->name, f[F_NAME]);
	name_copy(lv->origin, f[F_ORIGIN]);
	name_copy(lv->pool, f[F_POOL]);
	lv->size = strtoull(f[F_SIZE], NULL, 10);
	part = strtod(f[F_PERCENT], NULL) / 100;
	lv->allocated = *attr == 'V' || *attr == 's' || *attr == 'S'
				? (uint64_t)((double)lv->size * part)
				: lv->size;
	if (*attr == 's' || *attr == 'S')
		lv->size = strtoull(f[F_ORIGIN_SIZE], NULL, 10);
	lv->merging = *attr == 'S' || *attr == 'O';
	lv->active = attr[4] == 'a' || attr[4] == 's' || attr[4] == 'I' || attr[4] == 'S';
	lv->invalid = attr[4] == 'I' || attr[4] == 'S';
	lv->open = attr[5] == 'o';
	rest = f[F_TAGS];
	while ((tag = strsep(&rest, ",")))
		tag_read(lv, tag);
	return true;
}

int lvm_scan(
	const struct pool *pool, struct lvm_lv **lvs, size_t *count, const struct pool_why *why)
{
	struct lvm_args args = { .v = { "lvs", "--noheadings", "--separator", "|", "--units", "b",
					 "--nosuffix", "-o", LVM_FIELDS, pool->conf.vg },
		.count = 10 };
	own_free char *report = NULL;
	char *rest, *line;
	size_t room = 1;
	int err = lvm_run(pool, &args, &report, why);

	*lvs = NULL;
	*count = 0;
	if (err)
		return err;
	for (const char *p = report; (p = strchr(p, '\n')); p++)
		room++;
	*lvs = own_calloc(room, sizeof **lvs);
	rest = report;
	while ((line = strsep(&rest, "\n")))
		if (*line && lv_read(&(*lvs)[*count], line))
			++*count;
	return 0;
}
