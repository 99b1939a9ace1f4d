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

struct door_listener;

struct door {
	struct iscsi_server *iscsi; /* borrowed */
	struct loop *const *loops;  /* borrowed; [0] accepts */
	unsigned loop_count;
	unsigned turn; /* where the search for the least loaded loop begins */
	struct door_listener *listeners;
	unsigned listener_count;
	unsigned open;                   /* listeners that are not closed */
	struct log_limit limit;          /* of lines about failed accepts */
	void (*shut)(struct door *door); /* see door_shut */
};

/* Prepares it for the sockets of `set` (borrowed). Fini also when nothing was started. */
void door_init(struct door *door, struct iscsi_server *iscsi, struct loop *const *loops, unsigned n,
	const struct listen_set *set);

/* Starts accepting; before loop 0 runs or on its thread. */
void door_start(struct door *door);

/* Accepts no more and calls `shut` later; on loop 0's thread. The sockets stay open. */
void door_shut(struct door *door, void (*shut)(struct door *door));

/* Frees what it owns; the loops are over. */
void door_fini(struct door *door);

#endif
