/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The record of a unit: read once when the unit is made, written by the slow lane.
 */
#include "target/scsi/record.h"

#include "common/crc32c.h"
#include "common/file.h"
#include "common/log.h"
#include "common/own.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

size_t scsi_record_build(uint32_t modes, bool unfinished, char text[SCSI_RECORD_MAX])
{
	int n = snprintf(text, SCSI_RECORD_MAX, "kura-unit 1\nmodes %08x\nsanitize %s\n", modes,
		unfinished ? "unfinished" : "none");

	n += snprintf(
		text + n, SCSI_RECORD_MAX - (size_t)n, "crc32c %08x\n", crc32c(text, (size_t)n));
	return (size_t)n;
}

/* A record is right when it is, byte for byte, what we would write. */
int scsi_record_parse(const char *text, size_t len, uint32_t *modes, bool *unfinished)
{
	char copy[SCSI_RECORD_MAX] = "", again[SCSI_RECORD_MAX];
	unsigned bits;

	if (len >= sizeof copy)
		return -EBADMSG;
	memcpy(copy, text, len);
	if (sscanf(copy, "kura-unit 1\nmodes %8x", &bits) != 1)
		return -EBADMSG;
	*modes = bits;
	*unfinished = strstr(copy, "unfinished");
	if (scsi_record_build(bits, *unfinished, again) != len || memcmp(again, text, len) != 0)
		return -EBADMSG;
	return 0;
}

/* ---- files ---- */

/* The folder above PATH's own is there, or is one that we make as well. */
static int make_folders(const char *path)
{
	own_free char *dir = strndup(path, (size_t)(strrchr(path, '/') - path));
	own_free char *above = dir ? strndup(dir, (size_t)(strrchr(dir, '/') - dir)) : NULL;
	int err = above ? file_make_folder(above) : -ENOMEM;

	return err ? err : file_make_folder(dir);
}

static int record_write(const char *path, uint32_t modes, bool unfinished)
{
	char text[SCSI_RECORD_MAX];
	size_t len = scsi_record_build(modes, unfinished, text);
	int err = file_replace(path, text, len, 0600);

	if (err == -ENOENT)
		err = make_folders(path);
	else
		return err;
	return err ? err : file_replace(path, text, len, 0600);
}

static int record_read(const char *path, uint32_t *modes, bool *unfinished)
{
	size_t len;
	int err;
	own_free char *text = file_read(path, SCSI_RECORD_MAX, &len, &err);

	if (!text)
		return err == -EFBIG ? -EBADMSG : err;
	return scsi_record_parse(text, len, modes, unfinished);
}

/* ---- the unit's ---- */

static char *record_path(const struct scsi_lun *lun, const char *dir)
{
	char name[2 * (VOL_UUID_LEN + sizeof lun->naa) + 2] = "";
	size_t at = 0;

	for (unsigned i = 0; i < VOL_UUID_LEN; i++)
		at += (size_t)snprintf(name + at, sizeof name - at, "%02x", lun->info.uuid[i]);
	name[at++] = '-';
	for (unsigned i = 0; i < lun->naa_len; i++)
		at += (size_t)snprintf(name + at, sizeof name - at, "%02x", lun->naa[i]);
	return own_printf("%s/units/%s", dir, name);
}

/* A volume that came into its pool later may have one in the state directory. */
static int record_find(
	struct scsi_lun *lun, const char *state_dir, uint32_t *modes, bool *unfinished)
{
	int err = record_read(lun->record, modes, unfinished);
	own_free char *other = record_path(lun, state_dir);

	return err == -ENOENT ? record_read(other, modes, unfinished) : err;
}

void scsi_record_open(struct scsi_lun *lun, const char *with_dir, const char *state_dir)
{
	uint32_t saved = 0;
	bool unfinished = false;
	int err;

	lun->record = record_path(lun, with_dir ? with_dir : state_dir);
	err = record_find(lun, state_dir, &saved, &unfinished);
	if (err == -ENOENT)
		return;
	if (err) {
		log_error("scsi: what a unit had saved cannot be read, its defaults are taken",
			"path=%s error=\"%s\"", lun->record,
			err == -EBADMSG ? "the checksum does not fit" : strerror(-err));
		return;
	}
	lun->modes_saved = (saved & lun->modes_may) | (lun->modes_default & ~lun->modes_may);
	lun->modes = lun->modes_saved;
	lun->sanitize_recorded = unfinished;
	if (unfinished)
		lun->sanitize = SANITIZE_FAILED;
}

int scsi_record_modes(struct scsi_lun *lun, uint32_t bits, uint32_t mask, uint32_t *before)
{
	uint32_t saved;
	int err;

	pthread_mutex_lock(&lun->record_lock);
	saved = (lun->modes_saved & ~mask) | bits;
	err = record_write(lun->record, saved, lun->sanitize_recorded);
	if (!err) {
		uint32_t old = __atomic_load_n(&lun->modes, __ATOMIC_RELAXED);

		while (!__atomic_compare_exchange_n(&lun->modes, &old, (old & ~mask) | bits, false,
			__ATOMIC_RELAXED, __ATOMIC_RELAXED))
			;
		*before = old;
		__atomic_store_n(&lun->modes_saved, saved, __ATOMIC_RELAXED);
	}
	pthread_mutex_unlock(&lun->record_lock);
	return err;
}

int scsi_record_sanitize(struct scsi_lun *lun, bool unfinished)
{
	int err = 0;

	if (!lun->record)
		return 0;
	pthread_mutex_lock(&lun->record_lock);
	if (lun->sanitize_recorded != unfinished)
		err = record_write(lun->record, lun->modes_saved, unfinished);
	if (!err)
		lun->sanitize_recorded = unfinished;
	pthread_mutex_unlock(&lun->record_lock);
	return err;
}
