/* SPDX-License-Identifier: Apache-2.0 */
/*
 * record.h: what a logical unit keeps over a restart: saved mode parameters, and that its medium
 * was being sanitized.
 *
 * The record is a few lines of text, drawn in docs/disk-format.md: STATE/units/UUID-NAA. It is
 * written whole to another name, synced and renamed before anybody is told that it is saved.
 */
#ifndef KURA_TARGET_SCSI_RECORD_H
#define KURA_TARGET_SCSI_RECORD_H

#include "target/scsi/unit.h"

#define SCSI_RECORD_MAX 128 /* no record is longer */

/* Finds the unit's record in `with_dir`, the folder that moves along with its volume, or in the
 * state directory, and takes over what it says; a damaged one is told the log and left alone until
 * the next save. It is saved in `with_dir`, unless that is NULL. Blocks: set-up only. */
void scsi_record_open(struct scsi_lun *lun, const char *with_dir, const char *state_dir);

/*
 * Gives the mode bits of `mask` these values, in force and saved; `before` gets what was in force.
 * 0, or -errno and nothing is changed. Blocks: slow lane only; saves of one unit follow each other.
 */
int scsi_record_modes(struct scsi_lun *lun, uint32_t bits, uint32_t mask, uint32_t *before);

/* Saves whether a sanitize operation is under way or has failed. 0 or -errno; a unit without a
 * record has nothing to save. Blocks: slow lane only. */
int scsi_record_sanitize(struct scsi_lun *lun, bool unfinished);

/* Writes the bytes of a record; returns their number. Any thread. */
size_t scsi_record_build(uint32_t modes, bool unfinished, char text[SCSI_RECORD_MAX]);

/* Reads the bytes of a record. 0 or -EBADMSG. Any thread. */
int scsi_record_parse(const char *text, size_t len, uint32_t *modes, bool *unfinished);

#endif
