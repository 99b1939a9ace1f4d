/* SPDX-License-Identifier: Apache-2.0 */
/* What a name server is told, byte for byte and cut into messages; answers of every kind; another
 * list while it runs. */
#include "target/isns.h"

#include "common/be.h"
#include "common/own.h"
#include "target/isns_msg.h"

#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#define NAME "iqn.2026-11.kura.test:t"

/* A list of `targets` at `portals`; every second portal is of group 2, and the last target is
 * reached by these alone. */
static struct isns_list list_of(unsigned targets, unsigned portals)
{
	struct isns_list list = { .entity = own_strdup("kura.here") };

	list.portals = own_calloc(portals + 1, sizeof *list.portals);
	list.targets = own_calloc(targets + 1, sizeof *list.targets);
	for (; list.portal_count < portals; list.portal_count++)
		list.portals[list.portal_count] = (struct isns_portal){
			.address = { [10] = 0xff, 0xff, 192, 0, 2, (uint8_t)list.portal_count },
			.port = 3260,
			.group = (uint16_t)(1 + list.portal_count % 2),
		};
	for (; list.target_count < targets; list.target_count++)
		list.targets[list.target_count] =
			(struct isns_target){ .name = own_printf(NAME "%u", list.target_count) };
	if (targets)
		list.targets[targets - 1].groups = own_strdup("7 2");
	return list;
}

/* ---- messages ---- */

static void test_query(void **state)
{
	static const char want[] = "\0\1\0\2\0\70\214\0\0\5\0\0"
				   "\0\0\0\40\0\0\0\4abc\0"
				   "\0\0\0\1\0\0\0\14kura.here\0\0\0"
				   "\0\0\0\0\0\0\0\0"
				   "\0\0\0\1\0\0\0\0"
				   "\0\0\0\6\0\0\0\0";
	uint8_t out[ISNS_MSG_MAX];
	size_t len = isns_msg_query(out, &(struct isns_who){ "abc", "kura.here" }, 5);

	(void)state;
	assert_int_equal(len, sizeof want - 1);
	assert_memory_equal(out, want, len);
}

/* Counts the attributes with this tag (and this value) in a message of ours. */
static unsigned count_tag(const uint8_t *msg, size_t len, uint32_t tag, const char *value)
{
	unsigned n = 0;

	for (size_t at = ISNS_HEAD_BYTES; at < len;) {
		uint32_t t = be32_load(msg + at), size = be32_load(msg + at + 4);

		assert_true(at + 8 + size <= len && size % 4 == 0);
		n += t == tag && (!value || !strcmp((const char *)msg + at + 8, value));
		at += 8 + size;
	}
	return n;
}

/* A registration of any size comes in messages of few bytes that hold each object once. */
static void test_cut(void **state)
{
	static const unsigned sizes[][2] = { { 1, 1 }, { 3, 2 }, { 200, 2 }, { 2, 256 } };
	uint8_t out[ISNS_MSG_MAX];

	(void)state;
	for (unsigned s = 0; s < own_array_len(sizes); s++) {
		struct isns_list list = list_of(sizes[s][0], sizes[s][1]);
		unsigned next = 0, nodes = 0, portals = 0, groups = 0, messages = 0;

		while (next < isns_msg_objects(&list)) {
			size_t len = isns_msg_register(out, &list, NAME "0", 900, 1, &next);

			assert_int_equal(be16_load(out + 6), messages++ ? 0x8c00 : 0x9c00);
			assert_int_equal(count_tag(out, len, 1, "kura.here"), 2);
			nodes += count_tag(out, len, 33, NULL);
			portals += count_tag(out, len, 16, NULL);
			groups += count_tag(out, len, 48, NULL);
		}
		assert_int_equal(nodes, sizes[s][0]);
		assert_int_equal(portals, sizes[s][1]);
		assert_int_equal(groups, sizes[s][0] * sizes[s][1]);
		isns_list_fini(&list);
	}
}

static void test_reaches(void **state)
{
	struct isns_list list = list_of(2, 2), copy;

	(void)state;
	assert_true(isns_list_reaches(&list.targets[0], 1));
	assert_false(isns_list_reaches(&list.targets[1], 1));
	assert_true(isns_list_reaches(&list.targets[1], 2));
	assert_true(isns_list_reaches(&list.targets[1], 7));
	isns_list_copy(&copy, &list);
	assert_true(isns_list_same(&list, &copy));
	copy.portals[1].group = 9;
	assert_false(isns_list_same(&list, &copy));
	isns_list_fini(&copy);
	isns_list_fini(&list);
}

static void test_answers(void **state)
{
	static const char good[] = "\0\0\0\0"
				   "\0\0\0\1\0\0\0\4abc\0"
				   "\0\0\0\0\0\0\0\0"
				   "\0\0\0\1\0\0\0\4abc\0"
				   "\0\0\0\6\0\0\0\4\0\0\1\0";
	struct isns_reply reply;

	(void)state;
	assert_int_equal(isns_msg_answer(good, sizeof good - 1, &reply), 0);
	assert_true(reply.found && reply.period_seconds == 256 && !reply.status);
	assert_int_equal(isns_msg_answer(good, 24, &reply), 0);
	assert_false(reply.found);
	assert_int_equal(isns_msg_answer("\0\0\0\7", 4, &reply), 0);
	assert_int_equal(reply.status, 7);
	assert_string_equal(isns_msg_status(7), "source absent");
	assert_int_equal(isns_msg_answer(good, 3, &reply), -EPROTO);
	for (size_t cut = 5; cut < sizeof good - 1; cut++) {
		char *copy own_free = memcpy(own_calloc(1, cut), good, cut);
		int err = isns_msg_answer(copy, cut, &reply);

		assert_int_equal(err, cut == 16 || cut == 24 || cut == 36 ? 0 : -EPROTO);
	}
}

/* Bytes of every kind: none is read beyond the end (the sanitizers look). */
static void test_noise(void **state)
{
	struct isns_reply reply;
	struct isns_head head;
	unsigned seed = 4171;

	(void)state;
	for (unsigned i = 0; i < 20000; i++) {
		size_t len = (size_t)rand_r(&seed) % 64;
		uint8_t *bytes own_free = own_calloc(1, len + ISNS_HEAD_BYTES);

		for (size_t k = 4; k < len; k++)
			bytes[k] = rand_r(&seed) % 4 ? 0 : (uint8_t)rand_r(&seed);
		(void)isns_msg_answer(bytes, len, &reply);
		(void)isns_msg_head(bytes, &head);
	}
}

/* ---- from the configuration ---- */

/* Sockets of every address become the addresses of the machine, or none. */
static void test_wildcard(void **state)
{
	char any[] = "*", told[] = "192.0.2.9:3261", told6[] = "[2001:db8::9]:3262";
	struct cfg_portal portals[] = { { .address = any, .group = 4 },
		{ .address = any, .port = 1, .advertise = told },
		{ .address = any, .port = 2, .advertise = told6 } };
	struct cfg_isns isns = { .server = any };
	struct config cfg = { .portals = portals, .portal_count = 1, .isns = &isns };
	static const uint8_t zero[ISNS_ADDRESS_BYTES];
	struct listen_set sockets = { .count = 1 };
	struct sockaddr_in6 all = { .sin6_family = AF_INET6 };
	struct isns_list list;

	(void)state;
	sockets.sockets[0].fd = socket(AF_INET6, SOCK_STREAM, 0);
	if (sockets.sockets[0].fd < 0 ||
		bind(sockets.sockets[0].fd, (struct sockaddr *)&all, sizeof all) < 0)
		skip();
	isns_list_make(&list, &cfg, &sockets);
	for (unsigned i = 0; i < list.portal_count; i++) {
		assert_memory_not_equal(list.portals[i].address, zero, sizeof zero);
		assert_int_equal(list.portals[i].group, 4);
	}
	assert_memory_equal(list.entity, "kura", 4);
	isns_list_fini(&list);
	for (unsigned i = 1; i < 3; i++) {
		char text[INET6_ADDRSTRLEN];

		cfg.portals = &portals[i];
		portals[i].port = 0;
		isns_list_make(&list, &cfg, &sockets);
		assert_int_equal(list.portal_count, 1);
		assert_int_equal(list.portals[0].port, 3260 + i);
		inet_ntop(AF_INET6, list.portals[0].address, text, sizeof text);
		assert_string_equal(text, i == 1 ? "::ffff:192.0.2.9" : "2001:db8::9");
		isns_list_fini(&list);
	}
	close(sockets.sockets[0].fd);
}

/* ---- the thread, with a server that is content with everything ---- */

struct server {
	int fd;
	unsigned seen; /* messages */
	uint16_t functions[8];
	unsigned nodes[8]; /* that were named in each */
	bool second[8];    /* whether the list's second target was */
};

/* Takes one message on a new connection or on *conn. */
static void serve_one(struct server *srv, int *conn)
{
	uint8_t msg[ISNS_HEAD_BYTES + 65536];
	uint8_t answer[ISNS_HEAD_BYTES + 4] = { 0 };
	unsigned at = srv->seen++;
	size_t len;

	for (;;) {
		if (*conn < 0)
			*conn = accept(srv->fd, NULL, NULL);
		assert_true(*conn >= 0);
		if (recv(*conn, msg, ISNS_HEAD_BYTES, MSG_WAITALL) == ISNS_HEAD_BYTES)
			break;
		close(*conn);
		*conn = -1;
	}
	len = be16_load(msg + 4);
	assert_int_equal(recv(*conn, msg + ISNS_HEAD_BYTES, len, MSG_WAITALL), len);
	len += ISNS_HEAD_BYTES;
	assert_true(at < own_array_len(srv->functions));
	srv->functions[at] = be16_load(msg + 2);
	srv->nodes[at] = count_tag(msg, len, 33, NULL);
	srv->second[at] = count_tag(msg, len, 32, NAME "1") != 0;
	memcpy(answer, msg, ISNS_HEAD_BYTES);
	be16_store(answer + 2, (uint16_t)(srv->functions[at] | ISNS_ANSWER));
	be16_store(answer + 4, 4);
	be16_store(answer + 6, 0x4c00);
	assert_int_equal(send(*conn, answer, sizeof answer, MSG_NOSIGNAL), sizeof answer);
}

static void test_update(void **state)
{
	static const uint16_t want[] = { ISNS_DEV_ATTR_REG, ISNS_DEV_ATTR_REG, ISNS_DEV_DEREG,
		ISNS_DEV_ATTR_REG, ISNS_DEV_DEREG, ISNS_DEV_ATTR_REG, ISNS_DEV_DEREG };
	struct server srv = { .fd = socket(AF_INET, SOCK_STREAM, 0) };
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct isns_list one = list_of(1, 1), two = list_of(2, 1), none = list_of(0, 1);
	struct cfg_isns cfg = { .refresh_seconds = 3600 };
	socklen_t len = sizeof a;
	struct isns *isns;
	int conn = -1;

	(void)state;
	assert_int_equal(bind(srv.fd, (struct sockaddr *)&a, sizeof a), 0);
	assert_int_equal(listen(srv.fd, 4), 0);
	assert_int_equal(getsockname(srv.fd, (struct sockaddr *)&a, &len), 0);
	cfg.server = own_printf("127.0.0.1:%u", ntohs(a.sin_port));
	isns = isns_start(&cfg, &one);
	assert_non_null(isns);
	serve_one(&srv, &conn); /* one target */
	isns_update(isns, &one);
	isns_update(isns, &two);
	serve_one(&srv, &conn); /* two, by the same source */
	free(two.targets[0].name);
	two.targets[0].name = own_strdup(NAME "5");
	isns_update(isns, &two);
	serve_one(&srv, &conn); /* the source is gone: away with all, */
	serve_one(&srv, &conn); /* and all again */
	isns_update(isns, &none);
	serve_one(&srv, &conn); /* nothing is left */
	isns_update(isns, &one);
	serve_one(&srv, &conn);
	isns_leave(isns, 5000);
	serve_one(&srv, &conn);
	isns_free(isns);
	assert_memory_equal(srv.functions, want, sizeof want);
	assert_true(srv.nodes[0] == 1 && srv.nodes[1] == 2 && srv.nodes[3] == 2);
	assert_true(!srv.second[0] && srv.second[1] && srv.second[3] && srv.nodes[5] == 1);
	close(conn);
	close(srv.fd);
	isns_list_fini(&one);
	isns_list_fini(&two);
	isns_list_fini(&none);
	free(cfg.server);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_query),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_reaches),
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_noise),
		cmocka_unit_test(test_wildcard),
		cmocka_unit_test(test_update),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
