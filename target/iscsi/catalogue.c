// SPDX-License-Identifier: Apache-2.0
/* catalogue.c: made by whoever runs the server, so memory that is not there ends the process. */
#include "target/iscsi/catalogue.h"

#include "target/iscsi/access.h"
#include "target/iscsi/login_chap.h"

#include "common/own.h"

#include <stdlib.h>
#include <string.h>

struct iscsi_catalogue *iscsi_catalogue_new(void)
{
	struct iscsi_catalogue *cat = own_calloc(1, sizeof *cat);

	cat->refs = 1;
	list_init(&cat->targets);
	cat->tags = own_calloc(1, sizeof *cat->tags);
	cat->tags[0] = ISCSI_TPGT;
	cat->tag_count = 1;
	return cat;
}

struct iscsi_catalogue *catalogue_get(struct iscsi_catalogue *cat)
{
	__atomic_add_fetch(&cat->refs, 1, __ATOMIC_RELAXED);
	return cat;
}

struct iscsi_target *catalogue_target_get(struct iscsi_target *target)
{
	if (target)
		__atomic_add_fetch(&target->refs, 1, __ATOMIC_RELAXED);
	return target;
}

void catalogue_target_put(struct iscsi_target *t)
{
	if (!t || __atomic_sub_fetch(&t->refs, 1, __ATOMIC_ACQ_REL))
		return;
	for (unsigned i = 0; i < t->rule_count; i++) {
		free(t->rules[i].initiator);
		free(t->rules[i].nets);
		free(t->rules[i].host);
		free(t->rules[i].ports);
		chap_auth_free(t->rules[i].auth);
	}
	free(t->rules);
	free(t->redirect);
	free(t->hidden);
	chap_auth_free(t->auth);
	free(t->alias);
	free(t->name);
	free(t);
}

void iscsi_catalogue_put(struct iscsi_catalogue *cat)
{
	struct list *node;

	if (!cat || __atomic_sub_fetch(&cat->refs, 1, __ATOMIC_ACQ_REL))
		return;
	while ((node = list_pop(&cat->targets)))
		catalogue_target_put(container_of(node, struct iscsi_target, node));
	chap_auth_free(cat->discovery_auth);
	for (unsigned i = 0; i < cat->portal_count; i++)
		free(cat->portals[i].advertise);
	free(cat->portals);
	free(cat->tags);
	free(cat);
}

static struct iscsi_auth *make_auth(const struct iscsi_auth_conf *conf)
{
	return conf ? chap_auth_new(conf) : NULL;
}

void iscsi_catalogue_portals(struct iscsi_catalogue *cat, const uint16_t *tags, unsigned tag_count,
	const struct iscsi_portal_conf *portals, unsigned count)
{
	own_assert(list_empty(&cat->targets) && !cat->portal_count && tag_count);
	free(cat->tags);
	cat->tags = own_calloc(tag_count, sizeof *cat->tags);
	memcpy(cat->tags, tags, tag_count * sizeof *tags);
	cat->tag_count = tag_count;
	cat->portals = own_calloc(count + 1, sizeof *cat->portals);
	for (; cat->portal_count < count; cat->portal_count++)
		access_portal_init(&cat->portals[cat->portal_count], &portals[cat->portal_count]);
}

/* FNV-1a: what wrong secrets have cost must not be forgotten with a catalogue. */
static uintptr_t name_rule(const char *target, const char *initiator)
{
	uint64_t hash = 0xcbf29ce484222325u;

	for (const char *p = target; *p; p++)
		hash = (hash ^ (uint8_t)*p) * 0x100000001b3u;
	for (const char *p = initiator; *p; p++)
		hash = (hash ^ (uint8_t)*p) * 0x100000001b3u;
	return (uintptr_t)hash;
}

static void init_rule(const struct iscsi_catalogue *cat, struct access_rule *rule,
	const struct iscsi_rule_conf *conf, const struct iscsi_offer *offer)
{
	rule->initiator = own_strdup(conf->initiator);
	rule->who = name_rule(offer->name, conf->initiator);
	rule->host = own_strdup(conf->host);
	rule->auth = make_auth(conf->auth);
	if (conf->addresses)
		access_nets_init(rule, conf->addresses);
	rule->ports = own_calloc(cat->tag_count, sizeof(struct scsi_target *));
	for (unsigned i = 0; i < cat->tag_count; i++)
		rule->ports[i] = conf->ports ? conf->ports[i] : offer->target;
}

void iscsi_catalogue_offer(struct iscsi_catalogue *cat, const struct iscsi_offer *offer)
{
	struct iscsi_target *t = own_calloc(1, sizeof *t);

	t->refs = 1;
	t->name = own_strdup(offer->name);
	t->alias = own_strdup(offer->alias);
	t->redirect = own_strdup(offer->redirect);
	t->redirect_permanent = offer->redirect_permanent;
	if (offer->portal_groups)
		access_groups_init(cat, t, offer->portal_groups);
	t->auth = make_auth(offer->auth);
	t->rules = own_calloc(offer->rule_count + 1, sizeof *t->rules);
	for (; t->rule_count < offer->rule_count; t->rule_count++)
		init_rule(cat, &t->rules[t->rule_count], &offer->rules[t->rule_count], offer);
	list_push(&cat->targets, &t->node);
}

void iscsi_catalogue_guard_discovery(
	struct iscsi_catalogue *cat, const struct iscsi_auth_conf *auth)
{
	cat->discovery_auth = make_auth(auth);
}
