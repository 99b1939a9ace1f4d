/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ghost.h: requests that a volume has and does not give back, although their I_T nexus is over:
 * whom they hold up, so that the nexus need not wait for them.
 *
 * Nothing calls back what the kernel has. An initiator that comes again takes its old tasks for
 * terminated (SAM-5 6.3.4, RFC 7143 6.3.5), so none of its ports may work on a volume that an old
 * write of it can still reach. Every other volume is open to it. A read harms nobody, but keeps its
 * memory: who comes again and again to a volume that hangs is held up there at GHOST_READS_MOST.
 */
#ifndef KURA_TARGET_SCSI_GHOST_H
#define KURA_TARGET_SCSI_GHOST_H

#include "target/scsi/nexus.h"

#define GHOST_READS_MOST 64u /* of one host at one volume */

/* Whether a nexus that closes has nothing left but requests at volumes. On its loop. */
bool scsi_ghost_only(const struct scsi_nexus *nexus);

/*
 * Takes down the requests that are left of a nexus that closes; then(nexus) comes, later, when
 * every loop holds up the initiator where it has to be. How many requests are left is returned. On
 * the nexus's loop.
 */
unsigned scsi_ghost_part(struct scsi_nexus *nexus, void (*then)(void *nexus));

/* A task of such a nexus is over; the last one that holds up opens the volume again. On its loop.
 */
void scsi_ghost_gone(const struct scsi_task *task);

/* Sets `haunted` of each I_T_L nexus. On the loop of `nexus`. */
void scsi_ghost_look(struct scsi_nexus *nexus);

#endif
