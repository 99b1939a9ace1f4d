/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reservations that outlive the process: what is written and read back, a file that is cut at any
 * byte, the one before it, and a disk that does not take it.
 */
#include "tests/unit/pr.h"

#include "common/crc32c.h"
#include "common/own.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#define NAME "c0ffee00-1234-4321-8888-0123456789ab"

static char dir[64], path[256], old_path[256];
static struct tp_conf conf = { .state_dir = dir };

static int set_up(void **state)
{
	(void)state;
	snprintf(dir, sizeof dir, "/tmp/kura-reservation.XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof path, "%s/reservations/" NAME, dir);
	snprintf(old_path, sizeof old_path, "%s/reservations/" NAME ".old", dir);
	return 0;
}

static int tear_down(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof command, "rm -r %s", dir);
	return system(command);
}

static size_t take(const char *from, char *text, size_t room)
{
	FILE *f = fopen(from, "r");
	size_t len;

	assert_non_null(f);
	len = fread(text, 1, room, f);
	fclose(f);
	return len;
}

static void give(const char *to, const char *text, size_t len)
{
	FILE *f = fopen(to, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, len, f), len);
	fclose(f);
}

/* A box in which nexus 0 holds by key 1 and nexus 2 is registered with key 2, to last. */
static void first_life(uint8_t type)
{
	TP_BOX(tp) = tp_new(&conf);

	assert_int_equal(PR_OUT(tp, 0, RES_OUT_REGISTER, .sark = 1, .flags = 1), SCSI_GOOD);
	assert_int_equal(PR_OUT(tp, 2, RES_OUT_REGISTER, .sark = 2, .flags = 1), SCSI_GOOD);
	assert_int_equal(PR_OUT(tp, 0, RES_OUT_RESERVE, .key = 1, .type = type), SCSI_GOOD);
}

static void test_kept(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		first_life(i ? EA_AR : WE);
		TP_BOX(tp) = tp_new(&conf);
		TP_CMD(c);

		EXPECT_KEYS(tp, 0, 1, 2); /* SPC-4 6.15.2: PRGENERATION begins anew */
		pr_expect_reservation(tp, i ? EA_AR : WE, i ? 0 : 1);
		assert_int_equal(pr_move(tp, 1, true), SCSI_RESERVATION_CONFLICT);
		assert_int_equal(pr_move(tp, 0, true), SCSI_GOOD);
		assert_int_equal(pr_in(tp, 0, &c, 2, 8), SCSI_GOOD);
		assert_int_equal(c.task.in_data[2], 0x9d);
		assert_int_equal(c.task.in_data[3], 0xc1); /* PTPL_A */
		assert_int_equal(PR_OUT(tp, 2, RES_OUT_CLEAR, .key = 2), SCSI_GOOD);
	}
	TP_BOX(after) = tp_new(&conf);

	pr_expect_keys(after, 0, 0, NULL);
}

/* SPC-4 5.13.5.1: the last APTPL counts. */
static void test_not_kept(void **state)
{
	(void)state;
	{
		TP_BOX(tp) = tp_new(&conf);

		assert_int_equal(PR_OUT(tp, 0, RES_OUT_REGISTER, .sark = 1, .flags = 1), SCSI_GOOD);
		assert_int_equal(PR_OUT(tp, 2, RES_OUT_REGISTER, .sark = 2), SCSI_GOOD);
		assert_int_equal(PR_OUT(tp, 0, RES_OUT_RESERVE, .key = 1, .type = WE), SCSI_GOOD);
	}
	TP_BOX(tp) = tp_new(&conf);

	pr_expect_keys(tp, 0, 0, NULL);
	assert_int_equal(pr_move(tp, 1, true), SCSI_GOOD);
}

/* A file that is cut or altered at any byte is told from a good one. */
static void test_any_byte(void **state)
{
	char text[4096], broken[4096];
	size_t len;
	uint64_t serial;
	const uint8_t uuid[VOL_UUID_LEN] = { 0xc0, 0xff, 0xee, 0, 0x12, 0x34, 0x43, 0x21, 0x88,
		0x88, 0x01, 0x23, 0x45, 0x67, 0x89, 0xab };
	const uint8_t other[VOL_UUID_LEN] = { 1 };
	struct res_state *s;

	(void)state;
	first_life(WE_RO);
	len = take(path, text, sizeof text);
	s = res_file_parse(text, len, uuid, &serial);
	assert_non_null(s);
	assert_int_equal(s->count, 2);
	assert_int_equal(serial, 3);
	res_state_free(s, NULL);
	assert_null(res_file_parse(text, len, other, &serial));
	for (size_t i = 0; i < len; i++) {
		assert_null(res_file_parse(text, i, uuid, &serial));
		memcpy(broken, text, len);
		broken[i] ^= 0x01;
		assert_null(res_file_parse(broken, len, uuid, &serial));
	}
}

/* A forged file, with a checksum that is right: a name ends in the middle of an escape. */
static void test_name_that_ends_too_early(void **state)
{
	static const struct {
		const char *name, *is; /* as it is written, and what it says; NULL: nothing */
	} rows[] = { { "iqn.a%20b%25", "iqn.a b%" }, { "iqn.a%2", NULL }, { "iqn.a%", NULL },
		{ "iqn.a%2g", NULL }, { "iqn.a%00", NULL }, { "%", NULL }, { "%-1", NULL } };
	const uint8_t uuid[VOL_UUID_LEN] = { 1 };

	(void)state;
	for (size_t i = 0; i < 2 * own_array_len(rows); i++) {
		bool target = i % 2;
		const char *name = rows[i / 2].name;
		own_free char *body = own_printf(
			"kura-reservations 1\nvolume 01000000000000000000000000000000\nserial 1\n"
			"aptpl 1\ntype 0\nregistrants 1\nregistrant 0000000000000001 - 1 %s %s\n",
			target ? "iqn.i" : name, target ? name : "iqn.t");
		own_free char *text =
			own_printf("%scrc32c %08x\n", body, crc32c(body, strlen(body)));
		uint64_t serial;
		struct res_state *s = res_file_parse(text, strlen(text), uuid, &serial);

		assert_int_equal(!s, !rows[i / 2].is);
		if (s) {
			assert_string_equal(target ? s->reg[0].who.target : s->reg[0].who.initiator,
				rows[i / 2].is);
			res_state_free(s, NULL);
		}
	}
}

/* The one before takes its place: all but the last change is there. */
static void test_previous(void **state)
{
	(void)state;
	first_life(WE);
	give(path, "kura-reserv", 11);
	{
		TP_BOX(tp) = tp_new(&conf);

		EXPECT_KEYS(tp, 0, 1, 2);
		pr_expect_reservation(tp, RES_NONE, 0);
	}
	assert_int_equal(unlink(path), 0);
	TP_BOX(tp) = tp_new(&conf);

	EXPECT_KEYS(tp, 0, 1, 2); /* missing, but for the one before */
}

static void test_lost_and_replaced(void **state)
{
	TP_CMD(c);

	(void)state;
	first_life(WE);
	give(path, "", 0);
	give(old_path, "kura-reservations 2\n", 20);
	{
		TP_BOX(tp) = tp_new(&conf);

		tp_start(tp, 0, &c, CDB_(0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0), 512, NULL, 0);
		tp_run(tp);
		assert_sense(&c, 7, 0x44, 0x01);
		pr_out(tp, 0, &c, &(struct pr){ RES_OUT_REGISTER, .sark = 1 });
		assert_sense(&c, 7, 0x44, 0x01);
		pr_out(tp, 0, &c,
			&(struct pr){ RES_OUT_REPLACE_LOST, .type = EA, .key = 1, .sark = 1 });
		assert_list_field(&c, 0, 7);
		pr_out(tp, 0, &c, &(struct pr){ RES_OUT_REPLACE_LOST, .type = EA, .flags = 1 });
		assert_list_field(&c, 8, 7);
		assert_int_equal(
			PR_OUT(tp, 0, RES_OUT_REPLACE_LOST, .type = WE, .sark = 9, .flags = 1),
			SCSI_GOOD);
		EXPECT_KEYS(tp, 0, 9);
		assert_int_equal(pr_move(tp, 2, true), SCSI_RESERVATION_CONFLICT);
		assert_int_equal(pr_move(tp, 2, false), SCSI_GOOD);
	}
	TP_BOX(tp) = tp_new(&conf);

	EXPECT_KEYS(tp, 0, 9);
	pr_expect_reservation(tp, WE, 9);
}

/* What cannot be saved is refused, and nothing has changed. */
static void test_disk_refuses(void **state)
{
	static const struct {
		int err;
		uint8_t key, asc, ascq;
	} rows[] = { { EIO, 4, 0x44, 0 }, { ENOSPC, 5, 0x55, 0x04 }, { EROFS, 4, 0x44, 0 } };
	TP_BOX(tp) = tp_new(&conf);
	TP_CMD(c);

	(void)state;
	assert_int_equal(PR_OUT(tp, 0, RES_OUT_REGISTER, .sark = 1, .flags = 1), SCSI_GOOD);
	for (size_t i = 0; i < own_array_len(rows); i++) {
		sim_io_fail(tp->loop[0], 0, rows[i].err);
		pr_out(tp, 2, &c, &(struct pr){ RES_OUT_REGISTER, .sark = 2, .flags = 1 });
		assert_sense(&c, rows[i].key, rows[i].asc, rows[i].ascq);
		EXPECT_KEYS(tp, 1, 1);
	}
	assert_int_equal(PR_OUT(tp, 2, RES_OUT_REGISTER, .sark = 2, .flags = 1), SCSI_GOOD);
	EXPECT_KEYS(tp, 2, 1, 2);
}

/* A save at hand does not hold up commands, and others that change the reservation wait for it. */
static void test_order_of_saves(void **state)
{
	TP_BOX(tp) = tp_new(&conf);
	uint8_t list_a[1024], list_b[1024];
	TP_CMD(a);
	TP_CMD(b);

	(void)state;
	sim_io_delay(tp->loop[0], 100);
	pr_start(tp, 2, &a, &(struct pr){ RES_OUT_REGISTER, .sark = 2, .flags = 1 }, list_a);
	pr_start(tp, 0, &b, &(struct pr){ RES_OUT_REGISTER, .sark = 1, .flags = 1 }, list_b);
	tp_run(tp);
	assert_int_equal(a.done + b.done, 0);
	pr_expect_keys(tp, 0, 0, NULL);
	tp_advance(tp, 110);
	assert_int_equal(a.done + b.done, 1);
	sim_io_delay(tp->loop[0], 0);
	tp_advance(tp, 110);
	assert_good(&a);
	assert_good(&b);
	assert_int_equal(pr_move(tp, 1, true), SCSI_GOOD);
}

#define FILE_TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		FILE_TEST(test_kept),
		FILE_TEST(test_not_kept),
		FILE_TEST(test_any_byte),
		FILE_TEST(test_name_that_ends_too_early),
		FILE_TEST(test_previous),
		FILE_TEST(test_lost_and_replaced),
		FILE_TEST(test_disk_refuses),
		FILE_TEST(test_order_of_saves),
	};

	return cmocka_run_group_tests_name("reservation_file", tests, NULL, NULL);
}
