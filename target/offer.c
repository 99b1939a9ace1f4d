// SPDX-License-Identifier: Apache-2.0
#include "target/offer.h"

#include "common/own.h"
#include "config/object.h"

#include <string.h>

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

/* The tags of the portals, each once, in the order of the configuration. */
struct tags {
	uint16_t *tag;
	unsigned count;
};

static struct tags tags_of(const struct config *cfg)
{
	struct tags t = { .tag = own_calloc(cfg->portal_count, sizeof *t.tag) };

	for (unsigned i = 0; i < cfg->portal_count; i++) {
		unsigned k = 0;

		while (k < t.count && t.tag[k] != cfg->portals[i].group)
			k++;
		if (k == t.count)
			t.tag[t.count++] = cfg->portals[i].group;
	}
	return t;
}

/* The list of rules of one target while it is made. */
struct making {
	struct storage *storage;
	const struct tags *tags;
	const char *target;
	struct iscsi_rule_conf *rules;
	struct iscsi_auth_conf *auths;
	struct scsi_target **ports; /* for each rule, for each portal group */
	unsigned count;
};

/* A line for one initiator, who belongs to `host` by `access`, or to none (NULL). */
static void add_rule(struct making *m, const struct cfg_initiator *i, const struct cfg_host *host,
	const struct cfg_access *access)
{
	struct scsi_target **ports = m->ports + m->count * m->tags->count;
	const struct cfg_auth *auth = i->auth ? i->auth : host ? host->auth : NULL;
	const char *view = access && access->lun_count ? host->name : NULL;

	for (unsigned g = 0; g < m->tags->count; g++) {
		const struct storage_port *port =
			storage_port_find(m->storage, m->target, m->tags->tag[g], view);

		ports[g] = port ? port->scsi : NULL;
	}
	m->rules[m->count] = (struct iscsi_rule_conf){
		.initiator = i->name,
		.addresses = i->addresses,
		.host = host ? host->name : NULL,
		.ports = ports,
		.auth = auth_of(auth, &m->auths[m->count]),
	};
	m->count++;
}

static void add_rules(struct making *m, const struct config *cfg, const struct cfg_target *t)
{
	for (unsigned i = 0; i < t->access_count; i++) {
		const struct cfg_host *host = cfg_host_named(cfg, t->access[i].host);

		for (unsigned k = 0; k < host->initiator_count; k++)
			add_rule(m, &host->initiators[k], host, &t->access[i]);
	}
	for (unsigned i = 0; i < t->initiator_count; i++)
		add_rule(m, &t->initiators[i], NULL, NULL);
}

static unsigned count_rules(const struct config *cfg, const struct cfg_target *t)
{
	unsigned n = t->initiator_count;

	for (unsigned i = 0; i < t->access_count; i++)
		n += cfg_host_named(cfg, t->access[i].host)->initiator_count;
	return n;
}

static void offer_target(struct iscsi_catalogue *cat, const struct config *cfg,
	struct storage *storage, const struct tags *tags, const struct cfg_target *t)
{
	unsigned n = count_rules(cfg, t) + 1; /* none is fine */
	struct making m = {
		.storage = storage,
		.tags = tags,
		.target = t->name,
		.rules = own_calloc(n, sizeof *m.rules),
		.auths = own_calloc(n, sizeof *m.auths),
		.ports = own_calloc((size_t)n * tags->count, sizeof(struct scsi_target *)),
	};
	struct iscsi_auth_conf auth;
	struct iscsi_offer offer = {
		.name = t->name,
		.alias = t->alias,
		.portal_groups = t->portal_groups,
		.redirect = t->redirect ? t->redirect->address : NULL,
		.redirect_permanent = t->redirect && t->redirect->permanent,
		.auth = auth_of(t->auth, &auth),
	};

	add_rules(&m, cfg, t);
	offer.rules = m.rules;
	offer.rule_count = m.count;
	iscsi_catalogue_offer(cat, &offer);
	free(m.rules);
	free(m.auths);
	free(m.ports);
}

static void name_portals(
	struct iscsi_catalogue *cat, const struct config *cfg, const struct tags *tags)
{
	struct iscsi_portal_conf *portals own_free = own_calloc(cfg->portal_count, sizeof *portals);

	for (unsigned i = 0; i < cfg->portal_count; i++) {
		const struct cfg_portal *p = &cfg->portals[i];
		unsigned group = 0;

		while (tags->tag[group] != p->group)
			group++;
		portals[i] = (struct iscsi_portal_conf){
			.address = p->address,
			.port = p->port,
			.group = group,
			.advertise = p->advertise,
		};
	}
	iscsi_catalogue_portals(cat, tags->tag, tags->count, portals, cfg->portal_count);
}

void offer_all(struct iscsi_catalogue *cat, const struct config *cfg, struct storage *storage)
{
	struct tags tags = tags_of(cfg);
	struct iscsi_auth_conf auth;

	name_portals(cat, cfg, &tags);
	for (unsigned i = 0; i < cfg->target_count; i++)
		offer_target(cat, cfg, storage, &tags, &cfg->targets[i]);
	iscsi_catalogue_guard_discovery(cat, auth_of(cfg->discovery_auth, &auth));
	free(tags.tag);
}

struct iscsi_opts offer_opts(const struct config *cfg)
{
	return (struct iscsi_opts){
		.max_connections = cfg->max_connections,
		.max_logins = cfg->max_logins,
		.max_logins_per_address = cfg->max_logins_per_address,
		.max_sessions = cfg->max_sessions,
		.max_tasks = cfg->max_tasks,
		.max_text = cfg->max_text,
		.max_burst = cfg->max_burst_length,
		.first_burst = cfg->first_burst_length,
		.max_r2t = cfg->max_outstanding_r2t,
		.login_seconds = cfg->login_seconds,
		.logout_seconds = cfg->logout_seconds,
		.discovery_seconds = cfg->discovery_seconds,
		.stall_seconds = cfg->stall_seconds,
		.ping_seconds = cfg->ping_seconds,
		.ping_timeout_seconds = cfg->ping_timeout_seconds,
		.queue_depth = cfg->queue_depth,
		.session_connections = cfg->max_connections_per_session,
	};
}
