// SPDX-License-Identifier: Apache-2.0
/*
 * test_access.c: who fits which rule, by name and address; which portal a connection came in by,
 * and what addresses it is told.
 */
#include "tests/unit/talk.h"

static void rules_are(struct iscsi_target *t, struct access_rule *rules, unsigned count)
{
	*t = (struct iscsi_target){ .rules = rules, .rule_count = count };
}

static void test_names(void **state)
{
	struct access_rule rules[] = {
		{ .initiator = (char[]){ "iqn.2026-11.a:one" } },
		{ .initiator = (char[]){ "iqn.1998-01.com.vmware:*" } },
		{ .initiator = (char[]){ "iqn.2026-11.a:o*" } },
		{ .initiator = (char[]){ "*" } },
	};
	static const struct {
		const char *name;
		int all, most; /* which rule of all, and of all but the last; -1: none */
	} rows[] = {
		{ "iqn.2026-11.a:one", 0, 0 },
		{ "iqn.2026-11.a:one2", 2, 2 },
		{ "iqn.2026-11.a:o", 2, 2 },
		{ "iqn.2026-11.a:", 3, -1 },
		{ "iqn.1998-01.com.vmware:esx1", 1, 1 },
		{ "iqn.1998-01.com.vmware:", 1, 1 },
		{ "iqn.1998-01.com.vmwarex:", 3, -1 },
		{ "naa.52004567ba64678d", 3, -1 },
	};
	struct iscsi_target t;
	const char *why;

	(void)state;
	for (size_t i = 0; i < own_array_len(rows); i++) {
		rules_are(&t, rules, 4);
		assert_ptr_equal(
			access_rule(&t, rows[i].name, "127.0.0.1:1", NULL), &rules[rows[i].all]);
		rules_are(&t, rules, 3);
		assert_ptr_equal(access_rule(&t, rows[i].name, "127.0.0.1:1", &why),
			rows[i].most < 0 ? NULL : &rules[rows[i].most]);
	}
	rules_are(&t, rules, 0);
	assert_null(access_rule(&t, "iqn.2026-11.a:one", "127.0.0.1:1", &why));
	assert_string_equal(why, "no entry of the target's initiators and access fits this name");
}

static bool may_come(const char *networks, const char *peer)
{
	struct access_rule rule = { .initiator = (char[]){ "*" } };
	struct iscsi_target t;
	const char *why = NULL;
	bool may;

	rules_are(&t, &rule, 1);
	access_nets_init(&rule, networks);
	may = access_rule(&t, "iqn.2026-11.a:b", peer, &why);
	if (!may)
		assert_string_equal(why, "the target's entry for this name has other addresses");
	free(rule.nets);
	return may;
}

static void test_networks(void **state)
{
	(void)state;
	assert_true(may_come("10.0.0.0/8", "10.255.1.2:40000"));
	assert_false(may_come("10.0.0.0/8", "11.0.0.0:40000"));
	assert_true(may_come("10.128.0.0/9", "10.128.0.1:40000"));
	assert_false(may_come("10.128.0.0/9", "10.127.255.255:40000"));
	assert_true(may_come("192.0.2.4/30", "192.0.2.7:1"));
	assert_false(may_come("192.0.2.4/30", "192.0.2.8:1"));
	assert_true(may_come("192.0.2.4/32", "192.0.2.4:1"));
	assert_false(may_come("192.0.2.4/32", "192.0.2.5:1"));
	assert_true(may_come("0.0.0.0/0", "203.0.113.1:1"));
	assert_false(may_come("0.0.0.0/0", "[2001:db8::1]:1"));
	assert_true(may_come("2001:db8::/32", "[2001:db8:ffff::1]:1"));
	assert_false(may_come("2001:db8::/32", "[2001:db9::1]:1"));
	assert_true(may_come("2001:db8::/33", "[2001:db8:7fff::1]:1"));
	assert_false(may_come("2001:db8::/33", "[2001:db8:8000::1]:1"));
	assert_true(may_come("2001:db8::1/128", "[2001:db8::1]:1"));
	assert_false(may_come("2001:db8::1/128", "[2001:db8::2]:1"));
	assert_true(may_come("10.0.0.0/8 2001:db8::/32 192.0.2.1/32", "192.0.2.1:1"));
	assert_false(may_come("10.0.0.0/8 2001:db8::/32 192.0.2.1/32", "192.0.2.2:1"));
	assert_false(may_come("10.0.0.0/8", "?")); /* an address that the kernel did not tell */
}

static char told[400];

static void tell(void *arg, const char *address)
{
	(void)arg;
	strcat(told, address);
	strcat(told, " ");
}

static void portal_is(const char *local, unsigned group, const char *addresses)
{
	assert_int_equal(access_group(&w.catalogue, local), group);
	*told = '\0';
	access_addresses(&w.catalogue, local, tell, NULL);
	assert_string_equal(told, addresses);
}

static void test_portals(void **state)
{
	static const struct iscsi_portal_conf confs[] = {
		{ .address = "*", .port = 3260, .group = 1 },
		{ .address = "192.0.2.1", .port = 3260, .group = 0 },
		{ .address = "192.0.2.2",
			.port = 3260,
			.group = 2,
			.advertise = "198.51.100.2:3260" },
		{ .address = "2001:db8::2",
			.port = 0,
			.group = 2,
			.advertise = "[2001:db8:f::2]:3260" },
	};
	struct access_portal portals[own_array_len(confs)];
	uint16_t tags[] = { 1, 2, 3 };

	(void)state;
	portal_is("192.0.2.9:3260", 0, "192.0.2.9:3260 "); /* nothing is known of portals */
	for (size_t i = 0; i < own_array_len(confs); i++)
		access_portal_init(&portals[i], &confs[i]);
	w.catalogue.tags = tags;
	w.catalogue.tag_count = own_array_len(tags);
	w.catalogue.portals = portals;
	w.catalogue.portal_count = own_array_len(portals);
	portal_is("192.0.2.1:3260", 0, "192.0.2.1:3260 ");
	portal_is("192.0.2.9:3260", 1, "192.0.2.9:3260 ");
	portal_is("192.0.2.2:3260", 2, "198.51.100.2:3260 [2001:db8:f::2]:3260 ");
	portal_is("[2001:db8::2]:4711", 2, "198.51.100.2:3260 [2001:db8:f::2]:3260 ");
	portal_is("[2001:db8::3]:3260", 1, "[2001:db8::3]:3260 ");
	access_groups_init(&w.catalogue, &w.target[0], "3 1");
	assert_true(access_reached(&w.catalogue, &w.target[0], "192.0.2.1:3260"));
	assert_false(access_reached(&w.catalogue, &w.target[0], "192.0.2.9:3260"));
	assert_true(access_reached(&w.catalogue, &w.target[0], "192.0.2.2:3260"));
	assert_null(access_find(&w.catalogue, "iqn.2026-11.kura.test:wire", "192.0.2.9:3260"));
	assert_ptr_equal(access_find(&w.catalogue, "iqn.2026-11.kura.test:wire", "192.0.2.1:3260"),
		&w.target[0]);
	assert_true(access_reached(&w.catalogue, &w.target[1], "192.0.2.9:3260"));
	free(own_take(w.target[0].hidden));
	portal_is("192.0.2.1:860", 0, "192.0.2.1:860 ");
	for (size_t i = 0; i < own_array_len(portals); i++)
		free(portals[i].advertise);
}

static void test_redirect(void **state)
{
	(void)state;
	w.target[0].redirect = (char[]){ "192.0.2.9:3260" };
	say(OPERATE_FULL, NAMES);
	assert_int_equal(be16_get(&w.pdu.login_rsp.status), LOGIN_MOVED);
	assert_string_equal(w.text, "TargetAddress=192.0.2.9:3260|");
	assert_true(w.last);
	assert_false(w.joined);
	w.target[0].redirect_permanent = true;
	connect_again();
	say(T | FLAGS(0, 1), NAMES "AuthMethod=None|");
	assert_int_equal(be16_get(&w.pdu.login_rsp.status), LOGIN_MOVED_AWAY);
	assert_string_equal(w.text, "TargetAddress=192.0.2.9:3260|");
	/* who may not use it is not told where it went */
	w.target[1].redirect = w.target[0].redirect;
	connect_again();
	say(OPERATE_FULL, NAME_I "TargetName=iqn.2026-11.kura.test:closed|");
	hear_refusal(LOGIN_AUTHORIZATION);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_names),
		TEST(test_networks),
		TEST(test_portals),
		TEST(test_redirect),
	};

	return cmocka_run_group_tests_name("access", tests, NULL, NULL);
}
