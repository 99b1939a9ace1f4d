// SPDX-License-Identifier: Apache-2.0
/*
 * access.c: names are checked before anything is looked up by them; a target that lists nobody lets
 * nobody in.
 */
#include "target/iscsi/access.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
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

struct iscsi_target *access_find(const struct iscsi_server *srv, const char *name)
{
	list_for_each (it, &srv->targets) {
		struct iscsi_target *target = container_of(it, struct iscsi_target, node);

		if (!strcmp(scsi_target_iqn(target->scsi), name))
			return target;
	}
	return NULL;
}

void access_address(const char *peer, uint8_t out[GUARD_ADDRESS_BYTES])
{
	const char *end = strrchr(peer, ':');
	bool v4 = *peer != '[';
	char text[CONN_ADDRESS_MAX];

	memset(out, 0, GUARD_ADDRESS_BYTES);
	if (!end || (!v4 && end[-1] != ']'))
		return;
	snprintf(text, sizeof text, "%.*s", (int)(end - peer - (v4 ? 0 : 2)), peer + !v4);
	if (v4)
		memset(out + 10, 0xff, 2); /* RFC 4291 2.5.5.2 */
	if (inet_pton(v4 ? AF_INET : AF_INET6, text, v4 ? out + 12 : out) != 1)
		memset(out, 0, GUARD_ADDRESS_BYTES);
}

const struct access_rule *access_rule(const struct iscsi_target *target, const char *initiator)
{
	for (unsigned i = 0; i < target->rule_count; i++) {
		const struct access_rule *rule = &target->rules[i];

		if (!strcmp(rule->initiator, "*") || !strcmp(rule->initiator, initiator))
			return rule;
	}
	return NULL;
}

const struct iscsi_auth *access_auth(
	const struct iscsi_target *target, const struct access_rule *rule)
{
	return rule->auth ? rule->auth : target->auth;
}
