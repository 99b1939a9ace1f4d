/* SPDX-License-Identifier: Apache-2.0 */
/*
 * isns_list.h: what a name server is told about us: an entity, its portals, its targets.
 *
 * A list owns all that it points to; it is made on the thread that changes the configuration and
 * handed over as a copy.
 */
#ifndef KURA_TARGET_ISNS_LIST_H
#define KURA_TARGET_ISNS_LIST_H

#include "config/config.h"
#include "target/listen.h"

#include <stdbool.h>
#include <stdint.h>

#define ISNS_ADDRESS_BYTES 16

struct isns_portal {
	uint8_t address[ISNS_ADDRESS_BYTES]; /* IPv6, or IPv4 mapped into it */
	uint16_t port;
	uint16_t group; /* portal group tag */
};

struct isns_target {
	char *name;   /* owned */
	char *alias;  /* owned; or NULL */
	char *groups; /* owned; tags of the groups that reach it, "1 2"; NULL: all of them */
};

struct isns_list {
	char *entity; /* owned; what the server calls this kurad */
	struct isns_portal *portals;
	unsigned portal_count;
	struct isns_target *targets;
	unsigned target_count;
};

/*
 * Fills `list` from `cfg`, which has an isns group, and from the sockets that are open (borrowed
 * both): each portal by the address that initiators are told, and one of every address by the
 * addresses that this machine has just now, loopback left out. Asks the kernel; set-up threads.
 */
void isns_list_make(
	struct isns_list *list, const struct config *cfg, const struct listen_set *sockets);

/* Fills `copy` with the same as `list` (borrowed). Any thread. */
void isns_list_copy(struct isns_list *copy, const struct isns_list *list);

/* Whether both say the same. Any thread. */
bool isns_list_same(const struct isns_list *a, const struct isns_list *b);

/* Whether `target` is reached by the portals of `group`. Any thread. */
bool isns_list_reaches(const struct isns_target *target, uint16_t group);

/* Frees what it owns and leaves it empty. Any thread. */
void isns_list_fini(struct isns_list *list);

#endif
