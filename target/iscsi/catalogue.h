/* SPDX-License-Identifier: Apache-2.0 */
/*
 * catalogue.h: what logins and discovery look at: targets, who may use them, secrets, portals.
 *
 * A catalogue is filled in once and never changes after the first loop has it; another one takes
 * its place. Each loop has a pointer of its own to the one that holds there, so a login takes no
 * lock; a login under way keeps the one that it began with until it is over, and a session keeps
 * its target.
 */
#ifndef KURA_TARGET_ISCSI_CATALOGUE_H
#define KURA_TARGET_ISCSI_CATALOGUE_H

#include "target/iscsi/iscsi.h"
#include "target/iscsi/login_guard.h"

struct iscsi_auth;

/* The first bits of an address. */
struct access_net {
	uint8_t address[GUARD_ADDRESS_BYTES];
	unsigned bits; /* of all 128 */
};

/* One line of who may come to a target. */
struct access_rule {
	char *initiator; /* a name, or the beginning of one and "*" */
	uintptr_t who;   /* the same line of the same target in another catalogue has it too */
	struct access_net *nets; /* it must come from one of them; none: from anywhere */
	unsigned net_count;
	char *host;                 /* the group that it belongs to, or NULL */
	struct iscsi_auth *auth;    /* owned; NULL: the target's */
	struct scsi_target **ports; /* what it sees, for each tag of the catalogue; borrowed ones */
};

/* Where initiators come in. */
struct access_portal {
	uint8_t address[GUARD_ADDRESS_BYTES];
	bool any;        /* every address instead */
	uint16_t port;   /* 0: any */
	unsigned group;  /* index into the catalogue's tags */
	char *advertise; /* or NULL */
};

struct iscsi_target {
	struct list node; /* in the catalogue's targets */
	unsigned refs;    /* the catalogue and sessions; atomic */
	char *name;
	char *alias;             /* or NULL */
	struct iscsi_auth *auth; /* owned; NULL: no secret is asked for */
	bool *hidden;   /* for each of the tags: not reached by this portal group; or NULL */
	char *redirect; /* "address:port", or NULL */
	bool redirect_permanent;
	struct access_rule *rules;
	unsigned rule_count;
};

struct iscsi_catalogue {
	unsigned refs;                     /* loops, logins, and who made it; atomic */
	struct list targets;               /* iscsi_target */
	struct iscsi_auth *discovery_auth; /* owned; NULL: no secret is asked for */
	uint16_t *tags;                    /* of the portal groups */
	unsigned tag_count;
	struct access_portal *portals;
	unsigned portal_count;
};

/* One more who keeps it. Any thread. */
struct iscsi_catalogue *catalogue_get(struct iscsi_catalogue *cat);

/* One more who keeps a target, over the end of its catalogue. NULL is fine. Any thread. */
struct iscsi_target *catalogue_target_get(struct iscsi_target *target);

/* One less; the last one frees it. NULL is fine. Any thread. */
void catalogue_target_put(struct iscsi_target *target);

#endif
