/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The record of a unit: read once when the unit is made, written by the slow lane.
 */
#include "target/scsi/record.h"

#include "common/crc32c.h"
#include "common/log.h"
#include "common/own.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

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

static int write_synced(const char *path, const char *text, size_t len)
{
	own_fd int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0)
		return -errno;
	while (len) {
		ssize_t n = write(fd, text, len);

		if (n < 0)
			return -errno;
		text += n;
		len -= (size_t)n;
	}
	return fsync(fd) ? -errno : 0;
}

static int sync_folder_of(const char *path)
{
	own_free char *dir = own_strdup(path);
	own_fd int fd = -1;

	*strrchr(dir, '/') = 0;
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	return fsync(fd) ? -errno : 0;
}

/* Whole or not at all: another name, synced, renamed, and the rename synced. */
static int record_write(const char *path, uint32_t modes, bool unfinished)
{
	own_free char *temp = own_printf("%s.tmp", path);
	char text[SCSI_RECORD_MAX];
	int err = write_synced(temp, text, scsi_record_build(modes, unfinished, text));

	if (!err && rename(temp, path))
		err = -errno;
	if (err) {
		unlink(temp);
		return err;
	}
	return sync_folder_of(path);
}

static int record_read(const char *path, uint32_t *modes, bool *unfinished)
{
	char text[SCSI_RECORD_MAX];
	own_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = read(fd, text, sizeof text);
	return n < 0 ? -errno : scsi_record_parse(text, (size_t)n, modes, unfinished);
}

/* ---- the unit's ---- */

static char *record_path(const struct scsi_lun *lun, const char *state_dir)
{
	own_free char *dir = own_printf("%s/units", state_dir);
	char name[2 * (VOL_UUID_LEN + sizeof lun->naa) + 2] = "";
	size_t at = 0;

	if (mkdir(dir, 0700) && errno != EEXIST) {
		log_error("scsi: no place for what units save", "path=%s error=\"%s\"", dir,
			strerror(errno));
		return NULL;
	}
	for (unsigned i = 0; i < VOL_UUID_LEN; i++)
		at += (size_t)snprintf(name + at, sizeof name - at, "%02x", lun->info.uuid[i]);
	name[at++] = '-';
	for (unsigned i = 0; i < lun->naa_len; i++)
		at += (size_t)snprintf(name + at, sizeof name - at, "%02x", lun->naa[i]);
	return own_printf("%s/%s%s", dir, name, lun->readonly ? "-ro" : "");
}

void scsi_record_open(struct scsi_lun *lun, const char *state_dir)
{
	uint32_t saved = 0;
	bool unfinished = false;
	int err;

	lun->record = record_path(lun, state_dir);
	if (!lun->record)
		return;
	err = record_read(lun->record, &saved, &unfinished);
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
