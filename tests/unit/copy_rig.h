/* SPDX-License-Identifier: Apache-2.0 */
/*
 * copy_rig.h: a box with two units, and parameter lists of third-party copies between them.
 */
#ifndef KURA_TESTS_UNIT_COPY_RIG_H
#define KURA_TESTS_UNIT_COPY_RIG_H

#include "tests/unit/scsi_testport.h"

#include "target/scsi/copy.h"
#include "target/scsi/lun.h"

#define SECOND 7     /* LUN of the second unit */
#define BLOCKS 4096u /* of each */

struct rig {
	struct tp *tp;
	struct vol *vol;
	struct scsi_lun *lun; /* the second unit */
	bool readonly;        /* how it is mapped */
	uint8_t list[48 + COPY_LIST_MAX + 64];
	uint32_t at;    /* bytes of the list */
	uint32_t units; /* bytes of CSCD descriptors */
};

/* A box with two units of these kinds; the second is LUN SECOND. */
struct rig *rig_new(const struct tp_conf *first, const struct tp_conf *second);
/* Closes everything; for RIG. */
void rig_free(struct rig **r);
/* A parameter list without descriptors. */
void list_begin(struct rig *r, uint8_t id, uint8_t usage);
/* Adds a CSCD descriptor; borrowed. */
uint8_t *list_unit(struct rig *r, const struct scsi_lun *lun);
/* Adds a segment descriptor; borrowed. */
uint8_t *list_segment(
	struct rig *r, uint16_t from, uint16_t to, uint16_t blocks, uint64_t src, uint64_t dst);
/* A list with the first unit as 0 and the second as 1. */
void both_units(struct rig *r, uint8_t id);
/* Sends the list, without waiting. */
void copy_start(struct rig *r, struct tp_cmd *c);
/* Sends it and waits. */
void copy_exec(struct rig *r, struct tp_cmd *c);
/* The same with the header of 48 bytes. */
void copy_exec4(struct rig *r, struct tp_cmd *c, uint32_t id);
/* The command is for that LUN. */
void at_lun(struct tp_cmd *c, uint8_t number);
/* Writes blocks that depend on `seed`. */
void fill_disk(struct rig *r, uint8_t number, uint32_t lba, uint16_t blocks, unsigned seed);
/* Holds blocks against what was written with `seed`, from its byte `off` on. */
void expect_disk(
	struct rig *r, uint8_t number, uint32_t lba, uint16_t blocks, unsigned seed, size_t off);
/* COPY ABORTED in segment `n`, for what the source or the destination said. */
void expect_third(const struct tp_cmd *c, uint16_t code, uint16_t n, bool dest, uint8_t status,
	uint8_t key, uint8_t asc, uint8_t ascq);

#define RIG(name) struct rig *name __attribute__((cleanup(rig_free)))

/* Memory, as long as BLOCKS. */
static const struct tp_conf usual = { .blocks = BLOCKS };

#endif
