/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool_lvm_kept.c: a text kept with a logical volume, as tags of it: kura.kept.00=..., .01=...
 *
 * One lvchange takes the old tags away and adds the new ones, which LVM commits to the group's
 * metadata as one step, on every disk of it, before it returns. So the text is the old or the new
 * one after a crash, moves with the group, and goes with the volume.
 */
#include "common/fault.h"
#include "common/own.h"
#include "volume/pool_lvm.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define KEPT_TAG   "kura.kept."
#define KEPT_HEAD  (sizeof KEPT_TAG - 1 + sizeof "00=" - 1)
#define KEPT_BYTES 1000u /* of text in a tag; LVM has room for 1024 with the head */
#define KEPT_TAGS  32u

struct kept {
	char *tag[KEPT_TAGS]; /* borrowed from `report`, or owned */
	unsigned count;
};

/* ---- text as tags ---- */

/* lvm(8), "Valid names": what a tag may have. These three of it stand for what it may not have. */
static const char shifted[][2] = { { ' ', '&' }, { '\n', '#' }, { ',', '!' } };

static bool is_plain(unsigned char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
	       (c && strchr("_.-/=:", c));
}

static void put_char(FILE *f, unsigned char c)
{
	for (unsigned i = 0; i < own_array_len(shifted); i++) {
		if (c != (unsigned char)shifted[i][0])
			continue;
		fputc(shifted[i][1], f);
		return;
	}
	if (is_plain(c))
		fputc(c, f);
	else
		fprintf(f, "+%02x", c);
}

/* Returns owned, or NULL. */
static char *encode(const char *text)
{
	char *out = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&out, &len);

	if (!f)
		return NULL;
	for (; *text; text++)
		put_char(f, (unsigned char)*text);
	if (fclose(f) == 0)
		return out;
	free(out);
	return NULL;
}

/* The character at *p, which moves on. */
static char take_char(const char **p)
{
	unsigned value;
	char c = *(*p)++;

	for (unsigned i = 0; i < own_array_len(shifted); i++) {
		if (c == shifted[i][1])
			return shifted[i][0];
	}
	if (c != '+' || sscanf(*p, "%2x", &value) != 1 || !**p || !(*p)[1])
		return c;
	*p += 2;
	return (char)value;
}

/* In place: the text is never longer. */
static void decode(char *text)
{
	const char *p = text;
	char *to = text;

	while (*p)
		*to++ = take_char(&p);
	*to = '\0';
}

/* ---- tags of the volume ---- */

/* Those that keep something; *report is owned by the caller, and cut into pieces. */
static int tags_read(const struct pool *pool, const char *name, char **report, struct kept *kept,
	const struct pool_why *why)
{
	struct lvm_args args = { .v = { "lvs", "--noheadings", "-o", "lv_tags" }, .count = 4 };
	char *rest, *tag;
	int err;

	lvm_argf(&args, "%s/%s", pool->conf.vg, name);
	err = lvm_run(pool, &args, report, why);
	rest = err ? NULL : *report;
	while ((tag = strsep(&rest, ", \n"))) {
		if (strncmp(tag, KEPT_TAG, sizeof KEPT_TAG - 1) != 0 || strlen(tag) < KEPT_HEAD)
			continue;
		if (kept->count == KEPT_TAGS)
			return pool_refuse(why, -EBADMSG,
				"volume %s: /dev/%s/%s has more tags %s* than kura gives", name,
				pool->conf.vg, name, KEPT_TAG);
		kept->tag[kept->count++] = tag;
	}
	return err;
}

static bool has_tag(const struct kept *kept, const char *tag)
{
	for (unsigned i = 0; i < kept->count; i++) {
		if (!strcmp(kept->tag[i], tag))
			return true;
	}
	return false;
}

/* Those of `these` that `those` has not, as arguments. */
static void arg_tags(struct lvm_args *args, const char *option, const struct kept *these,
	const struct kept *those)
{
	for (unsigned i = 0; i < these->count; i++) {
		if (has_tag(those, these->tag[i]))
			continue;
		lvm_arg(args, option);
		lvm_arg(args, these->tag[i]);
	}
}

static void kept_free(struct kept *kept)
{
	for (unsigned i = 0; i < kept->count; i++)
		free(kept->tag[i]);
}

/* Cuts an encoded text into tags. */
static int kept_cut(const struct pool *pool, const char *name, const char *coded, struct kept *kept,
	const struct pool_why *why)
{
	size_t len = strlen(coded);

	if (len > (size_t)KEPT_TAGS * KEPT_BYTES)
		return pool_refuse(why, -ENOSPC,
			"volume %s: %zu bytes are more than fit into the tags of /dev/%s/%s", name,
			len, pool->conf.vg, name);
	for (size_t at = 0; at < len; at += KEPT_BYTES) {
		kept->tag[kept->count] =
			own_printf(KEPT_TAG "%02u=%.1000s", kept->count, coded + at);
		kept->count++;
	}
	return 0;
}

/* ---- for pool.c ---- */

int lvm_keep(struct pool *pool, const char *name, const char *text, const struct pool_why *why)
{
	struct lvm_args args = { .v = { "lvchange" }, .count = 1 };
	own_free char *report = NULL, *coded = encode(text);
	struct kept old = { 0 }, new = { 0 };
	int err = coded ? tags_read(pool, name, &report, &old, why) : -ENOMEM;

	if (!err)
		err = kept_cut(pool, name, coded, &new, why);
	arg_tags(&args, "--deltag", &old, &new);
	arg_tags(&args, "--addtag", &new, &old);
	if (!err)
		err = fault_point(FAULT_reservation_written);
	if (!err && args.count > 1)
		err = lvm_run_on(pool, &args, name, why);
	(void)fault_point(FAULT_reservation_replaced);
	kept_free(&new);
	return err;
}

static int by_number(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

char *lvm_kept(struct pool *pool, const char *name, int *err, const struct pool_why *why)
{
	own_free char *report = NULL;
	struct kept kept = { 0 };
	char *text;

	*err = tags_read(pool, name, &report, &kept, why);
	if (*err || !kept.count)
		return NULL;
	qsort(kept.tag, kept.count, sizeof *kept.tag, by_number);
	text = own_calloc(kept.count, KEPT_BYTES + 32);
	for (unsigned i = 0; i < kept.count; i++)
		strncat(text, kept.tag[i] + KEPT_HEAD, KEPT_BYTES + 31);
	decode(text);
	return text;
}
