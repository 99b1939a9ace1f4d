// SPDX-License-Identifier: Apache-2.0
#include "target/offer.h"

#include "common/own.h"

/* The group as the iSCSI room takes it, in `out`; NULL for none. Strings stay the group's. */
static const struct iscsi_auth_conf *auth_of(
	const struct cfg_auth *auth, struct iscsi_auth_conf *out)
{
	if (!auth)
		return NULL;
	*out = (struct iscsi_auth_conf){
		.user = auth->user,
		.secret = auth->secret,
		.mutual_user = auth->mutual_user,
		.mutual_secret = auth->mutual_secret,
		.algorithms = auth->algorithms,
	};
	return out;
}

static void offer_target(
	struct iscsi_server *srv, const struct cfg_target *t, struct scsi_target *target)
{
	struct iscsi_rule_conf *rules own_free = own_calloc(t->initiator_count + 1, sizeof *rules);
	struct iscsi_auth_conf *auths own_free = own_calloc(t->initiator_count + 1, sizeof *auths);
	struct iscsi_auth_conf auth;
	struct iscsi_offer offer = {
		.target = target,
		.alias = t->alias,
		.auth = auth_of(t->auth, &auth),
		.rules = rules,
		.rule_count = t->initiator_count,
	};

	for (unsigned i = 0; i < t->initiator_count; i++)
		rules[i] = (struct iscsi_rule_conf){
			.initiator = t->initiators[i].name,
			.auth = auth_of(t->initiators[i].auth, &auths[i]),
		};
	iscsi_server_offer(srv, &offer);
}

void offer_all(struct iscsi_server *srv, const struct config *cfg, const struct storage *storage)
{
	struct iscsi_auth_conf auth;

	for (unsigned i = 0; i < cfg->target_count; i++)
		offer_target(srv, &cfg->targets[i], storage->targets[i]);
	iscsi_server_guard_discovery(srv, auth_of(cfg->discovery_auth, &auth));
}
