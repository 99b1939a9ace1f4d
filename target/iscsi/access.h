/* SPDX-License-Identifier: Apache-2.0 */
/*
 * access.h: who may use which target: the names of initiators, and the lists that targets were
 * offered with.
 *
 * The lists are made before the loops run and only read afterwards, so any thread may ask.
 */
#ifndef KURA_TARGET_ISCSI_ACCESS_H
#define KURA_TARGET_ISCSI_ACCESS_H

#include "target/iscsi/session.h"

/*
 * Checks an iSCSI name that a peer says and brings it to its normal form (RFC 7143 4.2.7, RFC 3722:
 * lower case). `out` gets it, or "". 0 or -EINVAL.
 */
int access_name(const char *text, char out[ISCSI_NAME_MAX + 1]);

/* The target with this normalised name, borrowed; or NULL. */
struct iscsi_target *access_find(const struct iscsi_server *srv, const char *name);

/* The address of "address:port" as a connection writes it, IPv4 mapped into IPv6. */
void access_address(const char *peer, uint8_t out[GUARD_ADDRESS_BYTES]);

/* The rule by which the initiator of this normalised name may use the target, borrowed; NULL: it
 * may not. */
const struct access_rule *access_rule(const struct iscsi_target *target, const char *initiator);

/* What an initiator has to prove under this rule; NULL: nothing. */
const struct iscsi_auth *access_auth(
	const struct iscsi_target *target, const struct access_rule *rule);

#endif
