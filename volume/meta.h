/* SPDX-License-Identifier: Apache-2.0 */
/*
 * meta.h: the identity of a volume: its UUID, and where the record that keeps it may be.
 *
 * A record that is torn or foreign is an error, never a reason for a new identity.
 */
#ifndef KURA_VOLUME_META_H
#define KURA_VOLUME_META_H

#include "volume/meta_record.h"

/* Where a volume's identity may be kept. All borrowed. */
struct meta_place {
	const char *name;      /* of the volume */
	const char *sidecar;   /* path of the record beside the volume, or NULL */
	const char *state_dir; /* where "volumes/NAME.kura" is the record otherwise, or NULL */
	const char *given;     /* UUID by hand: wins over a record, and is recorded; or NULL */
};

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
