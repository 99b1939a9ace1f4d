/* SPDX-License-Identifier: Apache-2.0 */
/*
 * door.h: where connections come in: loop 0 accepts them all and sends each to the loop that has
 * the fewest.
 *
 * One accepting loop knows what it has just handed out, so a burst is spread as evenly as a
 * trickle; listening once per loop would leave that to a hash.
 */
#ifndef KURA_TARGET_DOOR_H
#define KURA_TARGET_DOOR_H

#include "common/log.h"
#include "target/iscsi/iscsi.h"
#include "target/listen.h"

struct door {
	struct iscsi_server *iscsi; /* borrowed */
	struct loop *const *loops;  /* borrowed; [0] accepts */
	unsigned loop_count;
	unsigned turn;                   /* where the search for the least loaded loop begins */
	struct list listeners;           /* that are not closed */
	struct log_limit limit;          /* of lines about failed accepts */
	void (*shut)(struct door *door); /* see door_shut */
};

struct door_closing {
	void (*closed)(struct door_closing *c);
};

/* One that nobody comes in by yet. Fini it. */
void door_init(
	struct door *door, struct iscsi_server *iscsi, struct loop *const *loops, unsigned n);

/* Accepts by the listening socket `fd` (borrowed until closed) as well; before loop 0 runs or on
 * its thread. */
void door_open(struct door *door, int fd);

/* Accepts no more by `fd`: closing->closed comes later, then the socket is the caller's. On loop
 * 0's thread. */
void door_close(struct door *door, struct door_closing *closing, int fd);

/* Accepts no more and calls `shut` later; on loop 0's thread. The sockets stay open. */
void door_shut(struct door *door, void (*shut)(struct door *door));

/* Frees what it owns; the loops are over. */
void door_fini(struct door *door);

#endif
