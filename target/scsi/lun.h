/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lun.h: logical units and the targets that map them.
 *
 * A logical unit gives a volume its SCSI identity; a target holds a map from LUN to logical unit
 * that is published as a whole, so the data path reads it without a lock.
 */
#ifndef KURA_TARGET_SCSI_LUN_H
#define KURA_TARGET_SCSI_LUN_H

#include "target/scsi/nexus.h"

/* Keeps a text for a volume, with the volume, so that both move together. Both functions block:
 * `save` is called on the slow lane, `load` in set-up; one at a time. */
struct scsi_keeper {
	/* In the place of what was kept, lasting when it returns. 0 or -errno, and then the old one
	 * is kept. */
	int (*save)(struct scsi_keeper *keeper, const char *text);
	/* What is kept, owned; NULL with *err 0: nothing is. */
	char *(*load)(struct scsi_keeper *keeper, int *err);
};

struct scsi_lun_conf {
	struct vol *vol;      /* borrowed until the logical unit is freed */
	bool removable;       /* INQUIRY RMB */
	bool thin;            /* offer UNMAP where the volume can trim */
	const char *vendor;   /* up to 8 */
	const char *product;  /* up to 16 */
	const char *revision; /* up to 4 */
	const char *serial;   /* NULL: UUID as 32 hex digits */
	const char *naa; /* hex, 16 or 32 digits; NULL: NAA 3 (locally assigned) from the UUID */
	const char *state_dir; /* where it keeps what outlives a restart; NULL: nothing does */
	const char *with_dir;  /* a folder for that which moves along with the volume, made when it
				  is needed; NULL: it is kept in state_dir */
	struct scsi_keeper *keeper; /* of its reservations, where there is no with_dir; or NULL;
				       borrowed as vol */
};

/* Makes a logical unit; strings are copied. Returns owned. Blocks; before the loops run or on a
 * thread that is none of theirs: one at a time makes and frees units and targets. */
struct scsi_lun *scsi_lun_new(struct scsi_domain *domain, const struct scsi_lun_conf *conf);

/* Frees it when it is in no map, no task uses it and it is idle; its channels must be closed. Takes
 * it. */
void scsi_lun_free(struct scsi_lun *lun);

/* Opens its channel on each loop; on the loop itself or before the loops run. 0 or -errno. */
int scsi_lun_open(struct scsi_lun *lun, struct loop *loop);

/* Closes its channel on a loop; nothing in flight there. */
void scsi_lun_close(struct scsi_lun *lun, struct loop *loop);

/* Ends what the unit does on its own, a sanitize operation; true when nothing of it is left, and no
 * answer on its way that is read from the volume's memory: ask again until then. No loop opens or
 * closes a channel meanwhile. Any thread. */
bool scsi_lun_stop(struct scsi_lun *lun);

/* Whether it may be freed, when it is in no map and its channels are closed: task management or a
 * change of reservations may not be over. Ask again until then. Any thread. */
bool scsi_lun_idle(const struct scsi_lun *lun);

#define SCSI_NAA_LEN 8

/* The NAA identifier of a volume without one by hand: SCSI_NAA_LEN bytes. Any thread. */
void scsi_naa_from_uuid(const uint8_t *uuid, uint8_t *naa);

/* Its channel on a loop, borrowed; NULL: there is none. On that loop. */
struct vol_chan *scsi_lun_chan(const struct scsi_lun *lun, struct loop *loop);

/* The volume, borrowed. Any thread. */
struct vol *scsi_lun_vol(const struct scsi_lun *lun);

/* ---- targets ---- */

#define SCSI_LUN_NUMBER_MAX 16383 /* flat space addressing, SAM-5 4.7.4.3 */
#define SCSI_LUNS_MAX       256   /* per target */

/* A target port's SCSI side: `name` is the port name that VPD 83 tells ("iqn...,t,0x0001"),
 * `rel_port` the relative target port identifier. Returns owned. Threads as scsi_lun_new. */
struct scsi_target *scsi_target_new(
	struct scsi_domain *domain, const char *iqn, uint16_t tpgt, uint16_t rel_port);

/* Nobody finds it any more who does not know it yet: the first half of its end. Before the second,
 * every loop is visited twice: there may be some who have just found it. Threads as scsi_lun_new.
 */
void scsi_target_hide(struct scsi_target *target);

/* Frees it; no nexus is left. Takes it, but not its logical units. */
void scsi_target_free(struct scsi_target *target);

/* One more who will open a nexus by it, or has one. Any thread. */
struct scsi_target *scsi_target_get(struct scsi_target *target);

/* One less. Any thread. */
void scsi_target_put(struct scsi_target *target);

/* How many there are; with 0 and nobody who could find it any more it may be freed. Any thread. */
unsigned scsi_target_users(const struct scsi_target *target);

/* The iSCSI name, borrowed. */
const char *scsi_target_iqn(const struct scsi_target *target);

/* Maps a logical unit; `readonly`: nobody writes by this way (WRITE PROTECTED, SPC-4 27/00).
 * -EEXIST, -EINVAL (number), -ENOSPC. As long as no nexus has seen the target; afterwards it is
 * live.h that changes maps. */
int scsi_target_map(
	struct scsi_target *target, uint16_t number, struct scsi_lun *lun, bool readonly);

#endif
