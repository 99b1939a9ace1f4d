/* SPDX-License-Identifier: Apache-2.0 */
/*
 * access.h: who may use which target: the names of initiators, and the lists that targets were
 * offered with.
 *
 * A catalogue that a loop has is only read, so any thread that keeps it may ask.
 */
#ifndef KURA_TARGET_ISCSI_ACCESS_H
#define KURA_TARGET_ISCSI_ACCESS_H

#include "target/iscsi/session.h"

/*
 * Checks an iSCSI name that a peer says and brings it to its normal form (RFC 7143 4.2.7, RFC 3722:
 * lower case). `out` gets it, or "". 0 or -EINVAL.
 */
int access_name(const char *text, char out[ISCSI_NAME_MAX + 1]);

/* The target with this normalised name, borrowed; or NULL: there is none, or it is not reached by
 * the portal group of who came in by the address `local`. */
struct iscsi_target *access_find(
	const struct iscsi_catalogue *cat, const char *name, const char *local);

/* Whether a target is reached by the portal group of who came in by `local`. */
bool access_reached(
	const struct iscsi_catalogue *cat, const struct iscsi_target *target, const char *local);

/* The address of "address:port" as a connection writes it, IPv4 mapped into IPv6. */
void access_address(const char *peer, uint8_t out[GUARD_ADDRESS_BYTES]);

/*
 * The first rule by which the initiator of this normalised name may use the target from the peer
 * "address:port", borrowed. NULL: it may not, and *why (NULL is fine) is a sentence.
 */
const struct access_rule *access_rule(const struct iscsi_target *target, const char *initiator,
	const char *peer, const char **why);

/* What an initiator has to prove under this rule; NULL: nothing. */
const struct iscsi_auth *access_auth(
	const struct iscsi_target *target, const struct access_rule *rule);

/* The portal group of a connection that came in by "address:port": an index into cat->tags. */
unsigned access_group(const struct iscsi_catalogue *cat, const char *local);

/*
 * The addresses of that group that an initiator is told: calls each(arg, "address:port") for them,
 * the one that it came in by unless its portal is advertised as another one.
 */
void access_addresses(const struct iscsi_catalogue *cat, const char *local,
	void (*each)(void *arg, const char *address), void *arg);

/* Fills in a rule's networks from "address/bits ..." as the configuration's normal form has it. */
void access_nets_init(struct access_rule *rule, const char *text);

/* Hides a target from all portal groups but those whose tags are in `text`, "1 2". */
void access_groups_init(
	const struct iscsi_catalogue *cat, struct iscsi_target *target, const char *text);

/* Fills in a portal. */
void access_portal_init(struct access_portal *portal, const struct iscsi_portal_conf *conf);

#endif
