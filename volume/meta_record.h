/* SPDX-License-Identifier: Apache-2.0 */
/*
 * meta_record.h: the record that keeps a volume's identity, and what a pool knows of the volume,
 * beside the volume itself.
 *
 * It is a few lines of text, drawn in docs/disk-format.md. It is written whole to another name,
 * synced and renamed; a reader tells a torn or foreign one from a good one.
 */
#ifndef KURA_VOLUME_META_RECORD_H
#define KURA_VOLUME_META_RECORD_H

#include "volume/volume.h"

#define META_UUID_TEXT  37  /* "8-4-4-4-12" and the closing zero */
#define META_RECORD_MAX 256 /* no record is longer */

struct meta_record {
	uint8_t uuid[VOL_UUID_LEN];   /* the identity */
	bool snapshot;                /* made as a snapshot */
	bool thick;                   /* has all its space from the start */
	bool has_origin;              /* `origin` is set */
	uint8_t origin[VOL_UUID_LEN]; /* identity of what it was made of */
	int64_t created;              /* seconds since 1970; 0: not known */
};

/* Reads "8-4-4-4-12" hex digits of either case. 0 or -EINVAL. Any thread. */
int meta_uuid_parse(const char *text, uint8_t uuid[VOL_UUID_LEN]);

/* Writes the UUID in lower case with a closing zero. Any thread. */
void meta_uuid_format(const uint8_t uuid[VOL_UUID_LEN], char text[META_UUID_TEXT]);

/* A new random one. 0 or -EIO. Any thread. */
int meta_uuid_random(uint8_t uuid[VOL_UUID_LEN]);

/* Writes the bytes of a record, of version 1 when there is nothing but an identity; returns their
 * number, at most META_RECORD_MAX. Any thread. */
size_t meta_record_build(const struct meta_record *record, char text[META_RECORD_MAX + 1]);

/* Reads the bytes of a record. 0, -EBADMSG (ours, but torn or altered), -EPROTO (not a record of
 * kura), -EPROTONOSUPPORT (of a later version). Any thread. */
int meta_record_parse(const char *text, size_t len, struct meta_record *record);

/* Replaces the record at `path`. 0 or -errno. Blocks. */
int meta_record_write(const char *path, const struct meta_record *record);

/* 0, -ENOENT, what meta_record_parse says, or another -errno. Blocks. */
int meta_record_read(const char *path, struct meta_record *record);

#endif
