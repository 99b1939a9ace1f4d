/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the reservations of a volume are kept: with its pool, in a folder there or by its keeper,
 * so that they move to another box along with it; else in the state directory. One place counts:
 * the state directory is looked at only when the pool has none, and what is found there moves.
 */
#include "target/scsi/reservation.h"

#include "common/file.h"
#include "common/log.h"
#include "common/own.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

void res_place_init(struct res_place *place, const struct scsi_lun_conf *conf)
{
	struct vol_info info = vol_info(conf->vol);
	char *in_state;

	*place = (struct res_place){ 0 };
	if (!conf->state_dir)
		return;
	in_state = res_file_path(conf->state_dir, info.uuid);
	if (conf->with_dir)
		place->path = res_file_path(conf->with_dir, info.uuid);
	else
		place->keeper = conf->keeper;
	if (place->path || place->keeper)
		place->other = in_state;
	else
		place->path = in_state;
}

void res_place_fini(struct res_place *place)
{
	free(place->path);
	free(place->other);
}

bool res_place_lasts(const struct res_place *place)
{
	return place->path || place->keeper;
}

const char *res_place_name(const struct res_place *place)
{
	return place->path ? place->path : "pool";
}

/* ---- saving ---- */

/* The folder above the one that res_file_save makes. */
static int make_above(const char *path)
{
	own_free char *dir = strndup(path, (size_t)(strrchr(path, '/') - path));
	char *slash = dir ? strrchr(dir, '/') : NULL;

	if (!slash)
		return -ENOMEM;
	*slash = '\0';
	return file_make_folder(dir);
}

int res_place_save(const struct res_place *place, const char *text)
{
	int err;

	if (place->keeper)
		return place->keeper->save(place->keeper, text);
	err = place->other ? make_above(place->path) : 0;
	return err ? err : res_file_save(place->path, text);
}

/* ---- loading ---- */

static struct res_state *load_kept(
	struct scsi_keeper *keeper, const uint8_t *uuid, uint64_t *serial, int *err)
{
	own_free char *text = keeper->load(keeper, err);
	struct res_state *s = text ? res_file_parse(text, strlen(text), uuid, serial) : NULL;

	if (text && !s) {
		log_error("reservations cannot be read",
			"path=pool why=\"altered, of another volume or of a later kura\"");
		*err = -EBADMSG;
	}
	return s;
}

/* What the state directory has is of a time before the volume was in its pool. */
static struct res_state *take_over(
	const struct res_place *place, const uint8_t *uuid, uint64_t *serial, int *err)
{
	struct res_state *s = res_file_load(place->other, uuid, serial, err);
	own_free char *old = own_printf("%s.old", place->other);
	own_free char *text = s ? res_file_build(s, uuid, *serial) : NULL;
	int failed = text ? res_place_save(place, text) : -ENOMEM;

	if (!s)
		return NULL;
	if (failed)
		log_error("reservations stay in the state directory: they will not move with the "
			  "pool until the next change",
			"path=%s error=\"%s\"", place->other, strerror(-failed));
	else if (unlink(place->other) == 0 && (unlink(old) == 0 || errno == ENOENT))
		log_info("reservations are with their pool now", "path=%s", res_place_name(place));
	return s;
}

struct res_state *res_place_load(
	const struct res_place *place, const uint8_t uuid[VOL_UUID_LEN], uint64_t *serial, int *err)
{
	struct res_state *s;

	*err = 0;
	s = place->keeper ? load_kept(place->keeper, uuid, serial, err)
			  : res_file_load(place->path, uuid, serial, err);
	return s || *err || !place->other ? s : take_over(place, uuid, serial, err);
}
