// SPDX-License-Identifier: Apache-2.0
/* Values that are addresses with more to them: a port, or the bits of a network. */
#include "config/value.h"

#include "common/own.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

/* A decimal number up to `most` that is all of `text`; false: it is none. */
static bool number(const char *text, unsigned long most, unsigned long *out)
{
	size_t len = strspn(text, "0123456789");

	*out = strtoul(text, NULL, 10);
	return len && len < 6 && !text[len] && *out <= most;
}

/* "192.0.2.7", "192.0.2.7:3260", "2001:db8::1", "[2001:db8::1]", "[2001:db8::1]:3260": the address
 * in `host`, the rest behind it in *rest. */
static void cut_portal(const char *text, char host[INET6_ADDRSTRLEN], const char **rest)
{
	const char *end = strchr(text, ':');
	size_t len = strlen(text);

	if (*text == '[' && strchr(text, ']')) {
		text++;
		len = strcspn(text, "]");
		end = text + len + 1;
	} else if (end && !strchr(end + 1, ':')) {
		len = (size_t)(end - text);
	} else {
		end = text + len;
	}
	snprintf(host, INET6_ADDRSTRLEN, "%.*s", (int)(len < INET6_ADDRSTRLEN ? len : 0), text);
	*rest = end;
}

int cfg_portal_set(char **field, const char *text, unsigned long port, char *why)
{
	unsigned long usual = port;
	char host[INET6_ADDRSTRLEN];
	const char *rest;
	struct in6_addr raw = { 0 };
	int family;

	cut_portal(text, host, &rest);
	family = strchr(host, ':') ? AF_INET6 : AF_INET;
	if (inet_pton(family, host, &raw) != 1 ||
		(*rest && (*rest != ':' || !number(rest + 1, 65535, &port) || !port)))
		return cfg_refuse(why,
			"\"%.64s\" is no numeric address with a port; write one such as "
			"\"192.0.2.7:%lu\" or \"[2001:db8::7]:%lu\"",
			text, usual, usual);
	if (family == AF_INET ? !raw.s6_addr32[0] : IN6_IS_ADDR_UNSPECIFIED(&raw))
		return cfg_refuse(why,
			"\"%.64s\" is every address and none; write one that initiators can reach",
			text);
	inet_ntop(family, &raw, host, sizeof host);
	free(*field);
	*field = own_printf(family == AF_INET ? "%s:%lu" : "[%s]:%lu", host, port);
	return 0;
}

int cfg_local_set(char **field, const char *text, unsigned long port, char *why)
{
	if (!number(text, 65535, &port))
		return cfg_portal_set(field, text, port, why);
	free(*field);
	*field = own_printf("127.0.0.1:%lu", port);
	return 0;
}

/* Whether all bits of an address behind the first `bits` are zero. */
static bool is_network(const struct in6_addr *raw, unsigned long bits, unsigned long all)
{
	for (unsigned long i = bits; i < all; i++)
		if (raw->s6_addr[i / 8] & 0x80 >> i % 8)
			return false;
	return true;
}

/* Appends the normal form of one network to `out`. */
static int add_network(const char *text, char **out, char *why)
{
	size_t len = strcspn(text, "/");
	int family = strchr(text, ':') ? AF_INET6 : AF_INET;
	unsigned long all = family == AF_INET ? 32 : 128, bits = all;
	char *before own_free = *out;
	char host[INET6_ADDRSTRLEN];
	struct in6_addr raw = { 0 };

	*out = NULL;
	snprintf(host, sizeof host, "%.*s", (int)(len < sizeof host ? len : 0), text);
	if (inet_pton(family, host, &raw) != 1 ||
		(text[len] && !number(text + len + 1, all, &bits)))
		return cfg_refuse(why,
			"\"%.64s\" is no network; write one such as \"192.0.2.0/24\", "
			"\"2001:db8::/32\", or a single address",
			text);
	if (!is_network(&raw, bits, all))
		return cfg_refuse(why,
			"\"%.64s\" has bits behind its first %lu; write the network's own address, "
			"or a "
			"longer prefix",
			text, bits);
	inet_ntop(family, &raw, host, sizeof host);
	*out = own_printf("%s%s%s/%lu", before, *before ? " " : "", host, bits);
	return 0;
}

int cfg_networks_set(char **field, const char *text, char *why)
{
	char *copy own_free = own_strdup(text);
	char *out = own_strdup(""), *rest = copy, *one;

	while ((one = strsep(&rest, " "))) {
		int err = add_network(one, &out, why);

		if (err)
			return err;
	}
	free(*field);
	*field = out;
	return 0;
}

int cfg_tags_set(char **field, const char *text, char *why)
{
	char *copy own_free = own_strdup(text);
	char *rest = copy, *one;

	while ((one = strsep(&rest, " "))) {
		unsigned long tag;

		if (!number(one, 65535, &tag))
			return cfg_refuse(
				why, "%.20s is out of range; write numbers from 0 to 65535", one);
	}
	free(*field);
	*field = own_strdup(text);
	return 0;
}
