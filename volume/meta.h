/* SPDX-License-Identifier: Apache-2.0 */
/*
 * meta.h: the identity of a volume: its UUID, and the record that keeps it with the volume.
 *
 * The record is three lines of text, drawn in docs/disk-format.md. It is written whole to another
 * name, synced and renamed; a torn or foreign one is an error, never a reason for a new identity.
 */
#ifndef KURA_VOLUME_META_H
#define KURA_VOLUME_META_H

#include "volume/volume.h"

#define META_UUID_TEXT  37  /* "8-4-4-4-12" and the closing zero */
#define META_RECORD_MAX 256 /* no record is longer */

/* Where a volume's identity may be kept. All borrowed. */
struct meta_place {
	const char *name;      /* of the volume */
	const char *sidecar;   /* path of the record beside the volume, or NULL */
	const char *state_dir; /* where "volumes/NAME.kura" is the record otherwise, or NULL */
	const char *given;     /* UUID by hand: wins over a record, and is recorded; or NULL */
};

/* Reads "8-4-4-4-12" hex digits of either case. 0 or -EINVAL. Any thread. */
int meta_uuid_parse(const char *text, uint8_t uuid[VOL_UUID_LEN]);

/* Writes the UUID in lower case with a closing zero. Any thread. */
void meta_uuid_format(const uint8_t uuid[VOL_UUID_LEN], char text[META_UUID_TEXT]);

/* Writes the bytes of a record; returns their number, at most META_RECORD_MAX. Any thread. */
size_t meta_record_build(const uint8_t uuid[VOL_UUID_LEN], char text[META_RECORD_MAX + 1]);

/* Reads the bytes of a record. 0, -EBADMSG (ours, but torn or altered), -EPROTO (not a record of
 * kura), -EPROTONOSUPPORT (of a later version). Any thread. */
int meta_record_parse(const char *text, size_t len, uint8_t uuid[VOL_UUID_LEN]);

/*
 * Finds the identity of a volume, or makes and records one. 0, or a negative errno with a sentence
 * in `why`. Blocks: set-up or slow lane.
 */
int meta_identify(
	const struct meta_place *place, uint8_t uuid[VOL_UUID_LEN], char *why, size_t why_len);

/* The record's path beside the volume at `path` (links followed, as far as it exists); returns
 * owned, or NULL with errno. */
char *meta_sidecar_path(const char *path);

#endif
