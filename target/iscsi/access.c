// SPDX-License-Identifier: Apache-2.0
/*
 * access.c: names are checked before anything is looked up by them; a target that lists nobody lets
 * nobody in.
 */
#include "target/iscsi/access.h"

#include "common/own.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool all_hex(const char *s, size_t len)
{
	return strlen(s) == len && strspn(s, "0123456789abcdef") == len;
}

/* RFC 7143 4.2.7.4: iqn.YYYY-MM.reversed.domain[:anything] */
static bool name_is_iqn(const char *name)
{
	static const char form[] = "iqn.dddd-dd.";
	int month;

	for (size_t i = 0; form[i]; i++) {
		bool digit = name[i] >= '0' && name[i] <= '9';

		if (form[i] == 'd' ? !digit : name[i] != form[i])
			return false;
	}
	month = (name[9] - '0') * 10 + name[10] - '0';
	return month >= 1 && month <= 12 && name[12] && name[12] != ':' && name[12] != '.';
}

int access_name(const char *text, char out[ISCSI_NAME_MAX + 1])
{
	size_t len = strlen(text);

	out[0] = '\0';
	if (!len || len > ISCSI_NAME_MAX) /* RFC 7143 4.2.7.2 */
		return -EINVAL;
	for (size_t i = 0; i < len; i++) {
		char c = text[i];

		if (c >= 'A' && c <= 'Z')
			c = (char)(c - 'A' + 'a'); /* RFC 3722 4 */
		/* RFC 3722 6.2; it prohibits '_' too, which hosts in the field have in their names
		 */
		else if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') &&
			 (!c || !strchr("-.:_", c)))
			c = '\0';
		out[i] = c;
	}
	out[len] = '\0';
	if (strlen(out) == len &&
		(name_is_iqn(out) ||
			(!strncmp(out, "eui.", 4) && all_hex(out + 4, 16)) || /* RFC 7143 4.2.7.5 */
			(!strncmp(out, "naa.", 4) &&                          /* RFC 7143 4.2.7.6 */
				(all_hex(out + 4, 16) || all_hex(out + 4, 32)))))
		return 0;
	out[0] = '\0';
	return -EINVAL;
}

bool access_reached(
	const struct iscsi_catalogue *cat, const struct iscsi_target *target, const char *local)
{
	return !target->hidden || !target->hidden[access_group(cat, local)];
}

struct iscsi_target *access_find(
	const struct iscsi_catalogue *cat, const char *name, const char *local)
{
	list_for_each (it, &cat->targets) {
		struct iscsi_target *target = container_of(it, struct iscsi_target, node);

		if (!strcmp(target->name, name))
			return access_reached(cat, target, local) ? target : NULL;
	}
	return NULL;
}

/* ---- addresses ---- */

/* The address written in `text`, IPv4 mapped into IPv6 (RFC 4291 2.5.5.2); what is none is ::. */
static void parse_address(const char *text, uint8_t out[GUARD_ADDRESS_BYTES])
{
	bool v4 = !strchr(text, ':');

	memset(out, 0, GUARD_ADDRESS_BYTES);
	if (v4)
		memset(out + 10, 0xff, 2);
	if (inet_pton(v4 ? AF_INET : AF_INET6, text, v4 ? out + 12 : out) != 1)
		memset(out, 0, GUARD_ADDRESS_BYTES);
}

/* Cuts "address:port" or "[address]:port"; the port is 0 when there is none. */
static uint16_t cut_port(const char *text, char host[CONN_ADDRESS_MAX])
{
	const char *end = strrchr(text, ':');
	size_t len = end ? (size_t)(end - text) : 0;

	if (len > 1 && *text == '[' && text[len - 1] == ']') {
		text++;
		len -= 2;
	}
	snprintf(host, CONN_ADDRESS_MAX, "%.*s", (int)(len < CONN_ADDRESS_MAX ? len : 0), text);
	return end ? (uint16_t)strtoul(end + 1, NULL, 10) : 0;
}

void access_address(const char *peer, uint8_t out[GUARD_ADDRESS_BYTES])
{
	char host[CONN_ADDRESS_MAX];

	cut_port(peer, host);
	parse_address(host, out);
}

void access_nets_init(struct access_rule *rule, const char *text)
{
	while (*text) {
		size_t len = strcspn(text, " "), slash = strcspn(text, "/");
		struct access_net *net;
		char host[INET6_ADDRSTRLEN];

		own_assert(slash < len && slash < sizeof host);
		snprintf(host, sizeof host, "%.*s", (int)slash, text);
		rule->nets = reallocarray(rule->nets, rule->net_count + 1, sizeof *rule->nets);
		own_assert(rule->nets);
		net = &rule->nets[rule->net_count++];
		parse_address(host, net->address);
		net->bits = (unsigned)strtoul(text + slash + 1, NULL, 10) +
			    (strchr(host, ':') ? 0 : 96);
		own_assert(net->bits <= 128);
		text += len + (text[len] == ' ');
	}
}

static bool is_in_net(const uint8_t *address, const struct access_net *net)
{
	unsigned bytes = net->bits / 8, rest = net->bits % 8;

	return !memcmp(address, net->address, bytes) &&
	       (!rest || !((address[bytes] ^ net->address[bytes]) >> (8 - rest)));
}

/* ---- rules ---- */

static bool fits_name(const struct access_rule *rule, const char *initiator)
{
	size_t len = strlen(rule->initiator);

	if (rule->initiator[len - 1] == '*') /* no name has one, RFC 3722 6.2 */
		return !strncmp(rule->initiator, initiator, len - 1);
	return !strcmp(rule->initiator, initiator);
}

static bool fits_address(const struct access_rule *rule, const char *peer)
{
	uint8_t address[GUARD_ADDRESS_BYTES];

	if (!rule->net_count)
		return true;
	access_address(peer, address);
	for (unsigned i = 0; i < rule->net_count; i++)
		if (is_in_net(address, &rule->nets[i]))
			return true;
	return false;
}

const struct access_rule *access_rule(const struct iscsi_target *target, const char *initiator,
	const char *peer, const char **why)
{
	const char *reason = "no entry of the target's initiators and access fits this name";

	for (unsigned i = 0; i < target->rule_count; i++) {
		const struct access_rule *rule = &target->rules[i];

		if (!fits_name(rule, initiator))
			continue;
		if (fits_address(rule, peer))
			return rule;
		reason = "the target's entry for this name has other addresses";
	}
	if (why)
		*why = reason;
	return NULL;
}

const struct iscsi_auth *access_auth(
	const struct iscsi_target *target, const struct access_rule *rule)
{
	return rule->auth ? rule->auth : target->auth;
}

/* ---- portals ---- */

void access_portal_init(struct access_portal *portal, const struct iscsi_portal_conf *conf)
{
	*portal = (struct access_portal){
		.any = !strcmp(conf->address, "*"),
		.port = conf->port,
		.group = conf->group,
		.advertise = own_strdup(conf->advertise),
	};
	if (!portal->any)
		parse_address(conf->address, portal->address);
}

/* The portal that a connection came in by; one of every address only when no other fits. */
static const struct access_portal *portal_of(const struct iscsi_catalogue *cat, const char *local)
{
	const struct access_portal *found = NULL;
	uint8_t address[GUARD_ADDRESS_BYTES];
	char host[CONN_ADDRESS_MAX];
	uint16_t port = cut_port(local, host);

	parse_address(host, address);
	for (unsigned i = 0; i < cat->portal_count; i++) {
		const struct access_portal *p = &cat->portals[i];

		if (p->port && p->port != port)
			continue;
		if (!p->any && !memcmp(p->address, address, sizeof address))
			return p;
		if (p->any && !found)
			found = p;
	}
	return found;
}

void access_groups_init(
	const struct iscsi_catalogue *cat, struct iscsi_target *target, const char *text)
{
	char *end;

	target->hidden = own_calloc(cat->tag_count, sizeof *target->hidden);
	for (unsigned i = 0; i < cat->tag_count; i++)
		target->hidden[i] = true;
	for (; *text; text = end) {
		unsigned long tag = strtoul(text, &end, 10);

		own_assert(end != text);
		for (unsigned i = 0; i < cat->tag_count; i++)
			if (cat->tags[i] == tag)
				target->hidden[i] = false;
	}
}

unsigned access_group(const struct iscsi_catalogue *cat, const char *local)
{
	const struct access_portal *portal = portal_of(cat, local);

	return portal ? portal->group : 0;
}

void access_addresses(const struct iscsi_catalogue *cat, const char *local,
	void (*each)(void *arg, const char *address), void *arg)
{
	const struct access_portal *own = portal_of(cat, local);

	if (!own || !own->advertise)
		each(arg, local);
	for (unsigned i = 0; own && i < cat->portal_count; i++) {
		const struct access_portal *p = &cat->portals[i];

		if (p->group == own->group && p->advertise)
			each(arg, p->advertise);
	}
}
