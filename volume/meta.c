// SPDX-License-Identifier: Apache-2.0
/*
 * meta.c: finding, making and recording a volume's UUID. The order of places: the sidecar, then
 * the state directory, then a name-based UUID that needs no record.
 *
 * What can fail: a record that is torn, foreign, newer or unreadable. Then the volume does not
 * open, because serving a disk under a new identity makes initiators take it for another disk.
 */
#include "volume/meta.h"

#include "common/file.h"
#include "common/log.h"
#include "common/own.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct meta_why {
	char *text;
	size_t len;
};

static int meta_refuse(const struct meta_why *why, int err, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static int meta_refuse(const struct meta_why *why, int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why->text, why->len, fmt, ap);
	va_end(ap);
	return err;
}

/* ---- files ---- */

char *meta_sidecar_path(const char *path)
{
	own_free char *real = realpath(path, NULL);
	own_free char *dir = NULL;
	const char *slash = strrchr(path, '/');

	if (real)
		return own_printf("%s.kura", real);
	if (errno != ENOENT)
		return NULL;
	dir = slash ? strndup(path, (size_t)(slash - path) + 1) : own_strdup(".");
	real = dir ? realpath(dir, NULL) : NULL;
	if (!real)
		return NULL;
	return own_printf("%s/%s.kura", strcmp(real, "/") ? real : "", slash ? slash + 1 : path);
}

static int record_bad(const struct meta_why *why, const char *path, int err)
{
	switch (err) {
	case -EBADMSG:
		return meta_refuse(why, err,
			"%s: the identity record is damaged (its checksum does not fit); put it "
			"back from "
			"a copy, or set uuid = \"...\" for this volume to the identity that "
			"initiators "
			"know, which writes it anew",
			path);
	case -EPROTO:
		return meta_refuse(why, err,
			"%s: this is not an identity record of kura, but its place; move that file "
			"away",
			path);
	case -EPROTONOSUPPORT:
		return meta_refuse(why, err,
			"%s: the identity record was written by a later kura; use that version",
			path);
	default:
		return meta_refuse(why, err,
			"%s: cannot read the identity record: %s; make it readable for the user of "
			"kurad",
			path, strerror(-err));
	}
}

/* ---- making one ---- */

/* FNV-1a over `len` bytes, and a final mix so that close names lie far apart. */
static uint64_t hash_add(uint64_t h, const char *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		h = (h ^ (uint8_t)p[i]) * 0x100000001b3ull;
	h ^= h >> 31;
	h *= 0x9e3779b97f4a7c15ull;
	return h ^ h >> 29;
}

/* The same for the same name on the same machine, without a record. */
static void uuid_from_name(const char *name, uint8_t uuid[VOL_UUID_LEN])
{
	char machine[64];
	size_t len = 0;
	own_fd int fd = open("/etc/machine-id", O_RDONLY | O_CLOEXEC);

	if (fd >= 0) {
		ssize_t n = read(fd, machine, sizeof machine);

		len = n > 0 ? (size_t)n : 0;
	}
	for (unsigned half = 0; half < 2; half++) {
		uint64_t h = hash_add(0xcbf29ce484222325ull + half, machine, len);

		h = hash_add(h, name, strlen(name));
		memcpy(uuid + 8 * half, &h, sizeof h);
	}
	uuid[6] = (uint8_t)((uuid[6] & 0x0f) | 0x80); /* RFC 9562 5.8: version 8 */
	uuid[8] = (uint8_t)((uuid[8] & 0x3f) | 0x80);
}

/* ---- the order of places ---- */

/* Whether a record cannot be made there, but may be made elsewhere. */
static bool place_closed(int err)
{
	return err == -EROFS || err == -EACCES || err == -EPERM;
}

static int state_path(const struct meta_place *place, char **path, const struct meta_why *why)
{
	own_free char *dir = NULL;
	int err;

	if (!place->state_dir)
		return 0;
	dir = own_printf("%s/volumes", place->state_dir);
	err = file_make_folder(dir);
	if (err)
		return meta_refuse(why, err,
			"%s: cannot be made: %s; the state directory keeps the identity of "
			"volumes, give one "
			"that the user of kurad may write",
			dir, strerror(-err));
	*path = own_printf("%s/%s.kura", dir, place->name);
	return 0;
}

/* 0: found; -ENOENT: there is none; else refused. A damaged one passes as none when a UUID is given
 * by hand, which is how it is repaired. */
static int place_look(const struct meta_place *place, const char *path, struct meta_record *record,
	const struct meta_why *why)
{
	int err = path ? meta_record_read(path, record) : -ENOENT;

	if (!err || err == -ENOENT || (err == -EBADMSG && place->given))
		return err == -EBADMSG ? -ENOENT : err;
	return record_bad(why, path, err);
}

static int place_record(const char *sidecar, const char *state, const struct meta_record *record,
	const struct meta_why *why)
{
	const char *path = sidecar ? sidecar : state;
	int err = path ? meta_record_write(path, record) : 0;

	if (err && sidecar && state && place_closed(err)) {
		path = state;
		err = meta_record_write(path, record);
	}
	if (err)
		return meta_refuse(why, err,
			"%s: cannot record the volume's identity: %s; make that directory writable "
			"for the "
			"user of kurad, or set uuid = \"...\" for this volume",
			path, strerror(-err));
	if (path)
		log_info("volume: identity recorded", "path=%s", path);
	return 0;
}

static int identify_given(const struct meta_place *place, bool found, const char *sidecar,
	const char *state, struct meta_record *record, const struct meta_why *why)
{
	char before[META_UUID_TEXT];
	uint8_t given[VOL_UUID_LEN];
	char unused[META_RECORD_MAX];
	const struct meta_why quiet = { unused, sizeof unused };

	if (meta_uuid_parse(place->given, given))
		return meta_refuse(why, -EINVAL,
			"volume %s: uuid \"%s\" is none; write it as "
			"\"12345678-9abc-4def-8123-456789abcdef\"",
			place->name, place->given);
	if (found && memcmp(given, record->uuid, VOL_UUID_LEN) == 0)
		return 0;
	if (found) {
		meta_uuid_format(record->uuid, before);
		log_warn("volume: identity replaced by hand", "volume=%s was=%s now=%s",
			place->name, before, place->given);
	}
	memcpy(record->uuid, given, VOL_UUID_LEN);
	if (place_record(sidecar, state, record, &quiet)) /* the configuration keeps it */
		log_warn("volume: identity given by hand is not recorded", "volume=%s why=\"%s\"",
			place->name, unused);
	return 0;
}

static int identify_new(const struct meta_place *place, const char *state,
	struct meta_record *record, const struct meta_why *why)
{
	int err;

	if (!place->sidecar && !state) {
		uuid_from_name(place->name, record->uuid);
		return 0;
	}
	err = meta_uuid_random(record->uuid);
	if (err)
		return meta_refuse(
			why, err, "volume %s: no randomness for an identity", place->name);
	return place_record(place->sidecar, state, record, why);
}

int meta_identify(
	const struct meta_place *place, uint8_t uuid[VOL_UUID_LEN], char *why_text, size_t why_len)
{
	const struct meta_why why = { why_text, why_len };
	struct meta_record record = { 0 };
	own_free char *state = NULL;
	const char *sidecar = place->sidecar;
	int err = state_path(place, &state, &why);

	if (err)
		return err;
	err = place_look(place, sidecar, &record, &why);
	if (err == -ENOENT && state) {
		err = place_look(place, state, &record, &why);
		if (!err)
			sidecar = NULL; /* its place is where it was found */
	}
	if (err && err != -ENOENT)
		return err;
	if (place->given)
		err = identify_given(place, !err, sidecar, state, &record, &why);
	else if (err)
		err = identify_new(place, state, &record, &why);
	memcpy(uuid, record.uuid, sizeof record.uuid);
	return err;
}
