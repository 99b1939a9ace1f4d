/* SPDX-License-Identifier: Apache-2.0 */
/* storage_guts.h: what the files of the storage share: units, and changes that go by the loops. */
#ifndef KURA_TARGET_STORAGE_GUTS_H
#define KURA_TARGET_STORAGE_GUTS_H

#include "target/storage.h"

/* ---- units (storage.c) ---- */

/* The unit that a LUN of a configuration names, made when it is not there yet: its volume is open,
 * and `volume` its entry. NULL with a sentence in `why`. */
struct storage_unit *storage_unit_for(
	struct storage *s, const struct cfg_volume *volume, const struct cfg_lun *lun, char *why);

/* Whether the LUN of a configuration names this unit. */
bool storage_unit_is(const struct storage_unit *unit, const struct cfg_lun *lun);

/* Frees a unit that nobody maps. */
void storage_unit_free(struct storage *s, struct storage_unit *unit);

/* Closes a volume that has no unit; one log line. */
void storage_volume_free(struct storage *s, struct storage_volume *volume);

/* ---- ports (ports.c) ---- */

/* Takes a LUN away from a port. 0, or -ETIMEDOUT: it is kept in s->late. */
int storage_lun_remove(struct storage *s, struct storage_port *port, uint16_t number);

/* Frees a port by which there is no session any more. */
void storage_port_free(struct storage *s, struct storage_port *port);

/* ---- changes by the loops (change.c) ---- */

enum storage_change_kind { CHANGE_ADD, CHANGE_PROTECT, CHANGE_REMOVE, CHANGE_SIZE };

/* What is to be changed; see live.h for what each kind wants to know. */
struct storage_order {
	enum storage_change_kind kind;
	struct scsi_target *target;
	struct scsi_lun *lun;
	struct storage_unit *unit; /* REMOVE: one map less when it is over */
	uint16_t number;
	bool readonly;
	uint64_t size;
};

/* Carries it out and waits. 0, -errno of live.h, -EBUSY: one is late; -ETIMEDOUT: this one is, and
 * s->late has it. */
int change_do(struct storage *s, const struct storage_order *order);

/* Whether the change that was late is over; true as well when there was none. */
bool change_settled(struct storage *s);

/* Forgets it: the loops are over. */
void change_forget(struct storage *s);

/* Opens or closes the channels of a unit on every loop. 0 or -errno. */
int change_channels(struct storage *s, struct scsi_lun *lun, bool open);

/* Waits until nobody on any loop can have found what was just hidden. */
void change_grace(struct storage *s);

#endif
