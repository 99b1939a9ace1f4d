/* SPDX-License-Identifier: Apache-2.0 */
/* A name server hands these addresses to machines elsewhere, so none of them may be 0.0.0.0. */
#include "target/isns_list.h"

#include "common/own.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define HOST_LEN 64

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

/* ---- addresses ---- */

/* The address alone, as iSNS has it. */
static void raw_of(const struct sockaddr *a, uint8_t raw[ISNS_ADDRESS_BYTES])
{
	const union address *u = (const union address *)a;

	if (a->sa_family == AF_INET6) {
		memcpy(raw, &u->v6.sin6_addr, ISNS_ADDRESS_BYTES);
		return;
	}
	memset(raw, 0, 10);
	memset(raw + 10, 0xff, 2);
	memcpy(raw + 12, &u->v4.sin_addr, 4);
}

/* The same of a numeric text, which was checked when the file was read. */
static void raw_of_text(const char *text, uint8_t raw[ISNS_ADDRESS_BYTES])
{
	union address a = { 0 };

	a.any.sa_family = strchr(text, ':') ? AF_INET6 : AF_INET;
	own_assert(inet_pton(a.any.sa_family, text,
			   a.any.sa_family == AF_INET ? (void *)&a.v4.sin_addr
						      : (void *)&a.v6.sin6_addr) == 1);
	raw_of(&a.any, raw);
}

static bool is_wildcard(const union address *a)
{
	return a->any.sa_family == AF_INET ? a->v4.sin_addr.s_addr == htonl(INADDR_ANY)
					   : IN6_IS_ADDR_UNSPECIFIED(&a->v6.sin6_addr);
}

static void add_portal(struct isns_list *list, const uint8_t raw[ISNS_ADDRESS_BYTES], uint16_t port,
	uint16_t group)
{
	struct isns_portal *p;

	for (unsigned i = 0; i < list->portal_count; i++) {
		p = &list->portals[i];
		if (p->port == port && !memcmp(p->address, raw, ISNS_ADDRESS_BYTES))
			return;
	}
	list->portals = reallocarray(list->portals, list->portal_count + 1, sizeof *list->portals);
	own_assert(list->portals);
	p = &list->portals[list->portal_count++];
	*p = (struct isns_portal){ .port = port, .group = group };
	memcpy(p->address, raw, ISNS_ADDRESS_BYTES);
}

/* Whether other machines can use an address of an interface. */
static bool is_useful(const struct ifaddrs *i, int family)
{
	const union address *a = (const union address *)i->ifa_addr;

	if (!a || a->any.sa_family != family || !(i->ifa_flags & IFF_UP) ||
		i->ifa_flags & IFF_LOOPBACK)
		return false;
	return family == AF_INET || !IN6_IS_ADDR_LINKLOCAL(&a->v6.sin6_addr);
}

static void add_interfaces(struct isns_list *list, int family, uint16_t port, uint16_t group)
{
	uint8_t raw[ISNS_ADDRESS_BYTES];
	struct ifaddrs *all = NULL;

	if (getifaddrs(&all))
		return;
	for (const struct ifaddrs *i = all; i; i = i->ifa_next) {
		if (!is_useful(i, family))
			continue;
		raw_of(i->ifa_addr, raw);
		add_portal(list, raw, port, group);
	}
	freeifaddrs(all);
}

/* ---- portals ---- */

/* The portal that a socket serves; one of every address only when no other fits. Or NULL. */
static const struct cfg_portal *portal_of(const struct config *cfg, const union address *a)
{
	uint16_t port = ntohs(a->any.sa_family == AF_INET ? a->v4.sin_port : a->v6.sin6_port);
	uint8_t own[ISNS_ADDRESS_BYTES], raw[ISNS_ADDRESS_BYTES];
	const struct cfg_portal *found = NULL;

	raw_of(&a->any, own);
	for (unsigned i = 0; i < cfg->portal_count; i++) {
		const struct cfg_portal *p = &cfg->portals[i];
		bool any = !strcmp(p->address, "*");

		if (p->port && p->port != port)
			continue;
		if (any && !found)
			found = p;
		if (any)
			continue;
		raw_of_text(p->address, raw);
		if (!memcmp(own, raw, sizeof raw))
			return p;
	}
	return found;
}

/* "192.0.2.7:3260" or "[2001:db8::7]:3260", as config/ writes them. */
static void add_advertised(struct isns_list *list, const char *text, uint16_t group)
{
	const char *colon = strrchr(text, ':');
	bool v6 = *text == '[';
	uint8_t raw[ISNS_ADDRESS_BYTES];
	char host[HOST_LEN];

	own_assert(colon);
	snprintf(host, sizeof host, "%.*s", (int)(colon - text) - 2 * v6, text + v6);
	raw_of_text(host, raw);
	add_portal(list, raw, (uint16_t)strtoul(colon + 1, NULL, 10), group);
}

static void add_socket(struct isns_list *list, const struct config *cfg, int fd)
{
	const struct cfg_portal *p;
	uint8_t raw[ISNS_ADDRESS_BYTES];
	union address a = { 0 };
	socklen_t len = sizeof a;
	uint16_t port, group;

	if (getsockname(fd, &a.any, &len))
		return;
	port = ntohs(a.any.sa_family == AF_INET ? a.v4.sin_port : a.v6.sin6_port);
	p = portal_of(cfg, &a);
	group = p ? p->group : 1;
	if (p && p->advertise) {
		add_advertised(list, p->advertise, group);
	} else if (is_wildcard(&a)) {
		add_interfaces(list, a.any.sa_family, port, group);
	} else {
		raw_of(&a.any, raw);
		add_portal(list, raw, port, group);
	}
}

/* ---- the list ---- */

static char *own_entity(void)
{
	char host[HOST_LEN + 1] = "";

	if (gethostname(host, sizeof host - 1) || !*host)
		return own_strdup("kura");
	return own_printf("kura.%s", host);
}

static void add_target(struct isns_list *list, const struct isns_target *t)
{
	list->targets[list->target_count++] = (struct isns_target){
		.name = own_strdup(t->name),
		.alias = own_strdup(t->alias),
		.groups = own_strdup(t->groups),
	};
}

void isns_list_make(
	struct isns_list *list, const struct config *cfg, const struct listen_set *sockets)
{
	const char *entity = cfg->isns->entity;

	*list = (struct isns_list){ .entity = entity ? own_strdup(entity) : own_entity() };
	for (unsigned i = 0; i < sockets->count; i++)
		add_socket(list, cfg, sockets->sockets[i].fd);
	list->targets = own_calloc(cfg->target_count + 1, sizeof *list->targets);
	for (unsigned i = 0; i < cfg->target_count; i++) {
		const struct cfg_target *t = &cfg->targets[i];

		add_target(list, &(struct isns_target){ t->name, t->alias, t->portal_groups });
	}
}

void isns_list_copy(struct isns_list *copy, const struct isns_list *list)
{
	size_t bytes = list->portal_count * sizeof *list->portals;

	*copy = (struct isns_list){ .entity = own_strdup(list->entity) };
	copy->portals = own_calloc(list->portal_count + 1, sizeof *copy->portals);
	if (bytes)
		memcpy(copy->portals, list->portals, bytes);
	copy->portal_count = list->portal_count;
	copy->targets = own_calloc(list->target_count + 1, sizeof *copy->targets);
	for (unsigned i = 0; i < list->target_count; i++)
		add_target(copy, &list->targets[i]);
}

static bool same_text(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

bool isns_list_same(const struct isns_list *a, const struct isns_list *b)
{
	if (!same_text(a->entity, b->entity) || a->portal_count != b->portal_count ||
		a->target_count != b->target_count)
		return false;
	for (unsigned i = 0; i < a->portal_count; i++) {
		const struct isns_portal *p = &a->portals[i], *q = &b->portals[i];

		if (p->port != q->port || p->group != q->group ||
			memcmp(p->address, q->address, ISNS_ADDRESS_BYTES))
			return false;
	}
	for (unsigned i = 0; i < a->target_count; i++) {
		const struct isns_target *t = &a->targets[i], *u = &b->targets[i];

		if (!same_text(t->name, u->name) || !same_text(t->alias, u->alias) ||
			!same_text(t->groups, u->groups))
			return false;
	}
	return true;
}

bool isns_list_reaches(const struct isns_target *target, uint16_t group)
{
	const char *text = target->groups;
	char *end;

	if (!text)
		return true;
	for (; *text; text = end) {
		if (strtoul(text, &end, 10) == group && end != text)
			return true;
		if (end == text)
			break;
	}
	return false;
}

void isns_list_fini(struct isns_list *list)
{
	for (unsigned i = 0; i < list->target_count; i++) {
		free(list->targets[i].name);
		free(list->targets[i].alias);
		free(list->targets[i].groups);
	}
	free(list->targets);
	free(list->portals);
	free(list->entity);
	*list = (struct isns_list){ 0 };
}
