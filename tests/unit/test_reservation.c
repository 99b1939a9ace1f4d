/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Persistent reservations and RESERVE and RELEASE, by nexuses on two loops: what each service
 * action does, whom it tells, what it refuses, and that a preempted write is over before the
 * answer.
 */
#include "tests/unit/pr.h"

#include "common/own.h"

#include <stdio.h>

static const struct tp_conf plain;
static const struct tp_conf slow = { .layer = "delay", .options = "ms=50" };

#define OTHER "iqn.2026-11.kura.test:b,i,0x00023d00000b"

/* ---- registering ---- */

static void test_register(void **state)
{
	TP_BOX(tp) = tp_new(&plain);

	(void)state;
	pr_expect_keys(tp, 0, 0, NULL);
	assert_int_equal(
		PR_OUT(tp, 0, RES_OUT_REGISTER, .key = 1, .sark = 2), SCSI_RESERVATION_CONFLICT);
	assert_int_equal(PR_OUT(tp, 0, RES_OUT_REGISTER), SCSI_GOOD); /* nothing */
	pr_expect_keys(tp, 0, 0, NULL);
	assert_int_equal(PR_OUT(tp, 0, RES_OUT_REGISTER, .sark = 2), SCSI_GOOD);
	assert_int_equal(PR_OUT(tp, 2, RES_OUT_REGISTER, .sark = 2), SCSI_GOOD);
	EXPECT_KEYS(tp, 2, 2, 2);
	assert_int_equal(PR_OUT(tp, 0, RES_OUT_REGISTER, .sark = 3), SCSI_RESERVATION_CONFLICT);
	assert_int_equal(PR_OUT(tp, 0, RES_OUT_REGISTER, .key = 2, .sark = 3), SCSI_GOOD);
	EXPECT_KEYS(tp, 3, 3, 2);
	assert_int_equal(PR_OUT(tp, 0, RES_OUT_REGISTER_IGNORE, .key = 77, .sark = 4), SCSI_GOOD);
	EXPECT_KEYS(tp, 4, 4, 2);
	assert_int_equal(PR_OUT(tp, 0, RES_OUT_REGISTER, .key = 4), SCSI_GOOD);
	EXPECT_KEYS(tp, 5, 2);
	assert_int_equal(PR_OUT(tp, 2, RES_OUT_REGISTER_IGNORE), SCSI_GOOD);
	pr_expect_keys(tp, 6, 0, NULL);
	for (unsigned n = 0; n < TP_NEXUSES; n++)
		assert_int_equal(pr_attention(tp, n), 0);
}

static void test_wrong_lists(void **state)
{
	TP_BOX(tp) = tp_new(&plain);
	uint8_t list[64] = { 0 };
	TP_CMD(c);

	(void)state;
	tp_exec(tp, &c, CDB_(0x5f, 0, 0, 0, 0, 0, 0, 0, 23, 0), 0, list, 23);
	assert_sense(&c, 5, 0x1a, 0);
	tp_exec(tp, &c, CDB_(0x5f, 0, 0, 0, 0, 0, 0, 0, 25, 0), 0, list, 25);
	assert_sense(&c, 5, 0x1a, 0);
	tp_exec(tp, &c, CDB_(0x5f, 0, 0, 0, 0, 0, 0, 0, 24, 0), 0, list, 8);
	assert_sense(&c, 5, 0x1a, 0);
	tp_exec(tp, &c, CDB_(0x5f, 9, 0, 0, 0, 0, 0, 0, 24, 0), 0, list, 24);
	assert_field(&c, 1, 4);
	pr_out(tp, 0, &c, &(struct pr){ RES_OUT_REGISTER_IGNORE, .sark = 1, .flags = 8 });
	assert_list_field(&c, 20, 3);
	pr_out(tp, 0, &c, &(struct pr){ RES_OUT_REGISTER, .sark = 1, .flags = 1 });
	assert_list_field(&c, 20, 0); /* nowhere to keep it */
	pr_register(tp, 0, 1);
	pr_out(tp, 0, &c, &(struct pr){ RES_OUT_RESERVE, .key = 1, .type = 2 });
	assert_field(&c, 2, 3);
	pr_out(tp, 0, &c, &(struct pr){ RES_OUT_RESERVE, .key = 1, .type = WE, .scope = 1 });
	assert_field(&c, 2, 7);
	pr_out(tp, 0, &c, &(struct pr){ RES_OUT_REGISTER, .key = 1, .flags = 8 });
	assert_sense(&c, 5, 0x1a, 0);
	pr_out(tp, 0, &c, &(struct pr){ RES_OUT_REPLACE_LOST, .sark = 1, .type = WE });
	assert_sense(&c, 5, 0x26, 0x04);
	EXPECT_KEYS(tp, 1, 1);
}

/* ---- reserving ---- */

static void test_reserve_and_release(void **state)
{
	TP_BOX(tp) = tp_new(&plain);
	TP_CMD(c);

	(void)state;
	assert_int_equal(PR_OUT(tp, 0, RES_OUT_RESERVE, .type = WE), SCSI_RESERVATION_CONFLICT);
	pr_register(tp, 0, 1);
	pr_register(tp, 2, 2);
	assert_int_equal(
		PR_OUT(tp, 0, RES_OUT_RESERVE, .key = 9, .type = WE), SCSI_RESERVATION_CONFLICT);
	assert_int_equal(PR_OUT(tp, 0, RES_OUT_RESERVE, .key = 1, .type = WE_RO), SCSI_GOOD);
	pr_expect_reservation(tp, WE_RO, 1);
	EXPECT_KEYS(tp, 2, 1, 2); /* PRGENERATION does not count it */
	assert_int_equal(PR_OUT(tp, 0, RES_OUT_RESERVE, .key = 1, .type = WE_RO), SCSI_GOOD);
	assert_int_equal(
		PR_OUT(tp, 0, RES_OUT_RESERVE, .key = 1, .type = EA), SCSI_RESERVATION_CONFLICT);
	assert_int_equal(
		PR_OUT(tp, 2, RES_OUT_RESERVE, .key = 2, .type = WE_RO), SCSI_RESERVATION_CONFLICT);
	assert_int_equal(PR_OUT(tp, 2, RES_OUT_RELEASE, .key = 2, .type = WE_RO), SCSI_GOOD);
	pr_expect_reservation(tp, WE_RO, 1); /* not its to release */
	pr_out(tp, 0, &c, &(struct pr){ RES_OUT_RELEASE, .key = 1, .type = EA });
	assert_sense(&c, 5, 0x26, 0x04);
	assert_int_equal(pr_attention(tp, 2), 0);
	assert_int_equal(PR_OUT(tp, 0, RES_OUT_RELEASE, .key = 1, .type = WE_RO), SCSI_GOOD);
	pr_expect_reservation(tp, RES_NONE, 0);
	assert_int_equal(pr_attention(tp, 2), UA_RESERVATIONS_RELEASED);
	assert_int_equal(pr_attention(tp, 2), 0);
	assert_int_equal(pr_attention(tp, 0), 0); /* the one who did it knows */
	assert_int_equal(pr_attention(tp, 1), 0); /* not registered */
	assert_int_equal(PR_OUT(tp, 0, RES_OUT_RESERVE, .key = 1, .type = WE), SCSI_GOOD);
	assert_int_equal(PR_OUT(tp, 0, RES_OUT_RELEASE, .key = 1, .type = WE), SCSI_GOOD);
	assert_int_equal(pr_attention(tp, 2), 0); /* SPC-4 5.13.11.2.2 e) */
}

static void test_all_registrants(void **state)
{
	TP_BOX(tp) = tp_new(&plain);

	(void)state;
	pr_register(tp, 0, 1);
	pr_register(tp, 2, 2);
	assert_int_equal(PR_OUT(tp, 0, RES_OUT_RESERVE, .key = 1, .type = EA_AR), SCSI_GOOD);
	pr_expect_reservation(tp, EA_AR, 0);
	assert_int_equal(PR_OUT(tp, 2, RES_OUT_RESERVE, .key = 2, .type = EA_AR), SCSI_GOOD);
	assert_int_equal(PR_OUT(tp, 0, RES_OUT_REGISTER, .key = 1), SCSI_GOOD);
	pr_expect_reservation(tp, EA_AR, 0);
	assert_int_equal(pr_move(tp, 0, false), SCSI_RESERVATION_CONFLICT);
	assert_int_equal(PR_OUT(tp, 2, RES_OUT_REGISTER, .key = 2), SCSI_GOOD);
	pr_expect_reservation(tp, RES_NONE, 0); /* the last one */
	assert_int_equal(pr_move(tp, 0, false), SCSI_GOOD);
	pr_register(tp, 0, 1);
	pr_register(tp, 2, 2);
	assert_int_equal(PR_OUT(tp, 0, RES_OUT_RESERVE, .key = 1, .type = EA_AR), SCSI_GOOD);
	assert_int_equal(PR_OUT(tp, 2, RES_OUT_RELEASE, .key = 2, .type = EA_AR), SCSI_GOOD);
	assert_int_equal(pr_attention(tp, 0), UA_RESERVATIONS_RELEASED);
	assert_int_equal(pr_attention(tp, 2), 0);
}

static void test_unregistering_holder(void **state)
{
	TP_BOX(tp) = tp_new(&plain);

	(void)state;
	pr_register(tp, 0, 1);
	pr_register(tp, 2, 2);
	assert_int_equal(PR_OUT(tp, 0, RES_OUT_RESERVE, .key = 1, .type = WE_RO), SCSI_GOOD);
	assert_int_equal(PR_OUT(tp, 0, RES_OUT_REGISTER, .key = 1), SCSI_GOOD);
	pr_expect_reservation(tp, RES_NONE, 0);
	assert_int_equal(pr_attention(tp, 2), UA_RESERVATIONS_RELEASED);
	assert_int_equal(pr_attention(tp, 0), 0);
	pr_register(tp, 0, 1);
	assert_int_equal(PR_OUT(tp, 0, RES_OUT_RESERVE, .key = 1, .type = WE), SCSI_GOOD);
	assert_int_equal(PR_OUT(tp, 0, RES_OUT_REGISTER, .key = 1), SCSI_GOOD);
	pr_expect_reservation(tp, RES_NONE, 0);
	assert_int_equal(pr_attention(tp, 2), 0);
}

static void test_clear(void **state)
{
	TP_BOX(tp) = tp_new(&plain);

	(void)state;
	pr_register(tp, 0, 1);
	pr_register(tp, 2, 2);
	assert_int_equal(PR_OUT(tp, 0, RES_OUT_RESERVE, .key = 1, .type = EA), SCSI_GOOD);
	assert_int_equal(PR_OUT(tp, 2, RES_OUT_CLEAR, .key = 1), SCSI_RESERVATION_CONFLICT);
	assert_int_equal(PR_OUT(tp, 2, RES_OUT_CLEAR, .key = 2), SCSI_GOOD);
	pr_expect_keys(tp, 3, 0, NULL);
	pr_expect_reservation(tp, RES_NONE, 0);
	assert_int_equal(pr_attention(tp, 0), UA_RESERVATIONS_PREEMPTED);
	assert_int_equal(pr_attention(tp, 2), 0);
}

/* ---- preempting ---- */

static void test_preempt_reservation(void **state)
{
	TP_BOX(tp) = tp_new(&plain);
	TP_CMD(c);

	(void)state;
	pr_register(tp, 0, 1);
	pr_register(tp, 1, 3);
	pr_register(tp, 2, 2);
	assert_int_equal(PR_OUT(tp, 0, RES_OUT_RESERVE, .key = 1, .type = WE_RO), SCSI_GOOD);
	pr_out(tp, 2, &c, &(struct pr){ RES_OUT_PREEMPT, .key = 2, .type = EA_RO });
	assert_list_field(&c, 8, 7);
	assert_int_equal(PR_OUT(tp, 2, RES_OUT_PREEMPT, .key = 2, .sark = 99, .type = EA_RO),
		SCSI_RESERVATION_CONFLICT);
	pr_out(tp, 2, &c, &(struct pr){ RES_OUT_PREEMPT, .key = 2, .sark = 1, .type = 4 });
	assert_field(&c, 2, 3);
	assert_int_equal(
		PR_OUT(tp, 2, RES_OUT_PREEMPT, .key = 2, .sark = 1, .type = EA_RO), SCSI_GOOD);
	assert_int_equal(pr_attention(tp, 0), UA_REGISTRATIONS_PREEMPTED);
	assert_int_equal(pr_attention(tp, 0), 0);
	assert_int_equal(pr_attention(tp, 1), UA_RESERVATIONS_RELEASED); /* another type */
	EXPECT_KEYS(tp, 4, 3, 2);
	pr_expect_reservation(tp, EA_RO, 2);
	assert_int_equal(pr_attention(tp, 2), 0);
	assert_int_equal(pr_move(tp, 0, true), SCSI_RESERVATION_CONFLICT);
	assert_int_equal(pr_move(tp, 1, true), SCSI_GOOD);
	/* itself: the registration stays, the type is new */
	assert_int_equal(
		PR_OUT(tp, 2, RES_OUT_PREEMPT, .key = 2, .sark = 2, .type = WE_RO), SCSI_GOOD);
	assert_int_equal(pr_attention(tp, 1), UA_RESERVATIONS_RELEASED);
	EXPECT_KEYS(tp, 5, 3, 2);
	pr_expect_reservation(tp, WE_RO, 2);
}

static void test_preempt_registrations(void **state)
{
	TP_BOX(tp) = tp_new(&plain);

	(void)state;
	pr_register(tp, 0, 1);
	pr_register(tp, 1, 5);
	pr_register(tp, 2, 5);
	assert_int_equal(PR_OUT(tp, 0, RES_OUT_RESERVE, .key = 1, .type = WE), SCSI_GOOD);
	/* SCOPE and TYPE are not looked at */
	assert_int_equal(
		PR_OUT(tp, 0, RES_OUT_PREEMPT, .key = 1, .sark = 5, .type = 15), SCSI_GOOD);
	assert_int_equal(pr_attention(tp, 1), UA_REGISTRATIONS_PREEMPTED);
	assert_int_equal(pr_attention(tp, 2), UA_REGISTRATIONS_PREEMPTED);
	EXPECT_KEYS(tp, 4, 1);
	pr_expect_reservation(tp, WE, 1);
	/* its own, where there is no reservation */
	assert_int_equal(PR_OUT(tp, 0, RES_OUT_RELEASE, .key = 1, .type = WE), SCSI_GOOD);
	assert_int_equal(PR_OUT(tp, 0, RES_OUT_PREEMPT, .key = 1), SCSI_RESERVATION_CONFLICT);
	assert_int_equal(PR_OUT(tp, 0, RES_OUT_PREEMPT, .key = 1, .sark = 1), SCSI_GOOD);
	pr_expect_keys(tp, 5, 0, NULL);
	assert_int_equal(pr_attention(tp, 0), 0);
}

static void test_preempt_all_registrants(void **state)
{
	TP_BOX(tp) = tp_new(&plain);

	(void)state;
	pr_register(tp, 0, 1);
	pr_register(tp, 1, 3);
	pr_register(tp, 2, 2);
	assert_int_equal(PR_OUT(tp, 0, RES_OUT_RESERVE, .key = 1, .type = WE_AR), SCSI_GOOD);
	assert_int_equal(PR_OUT(tp, 2, RES_OUT_PREEMPT, .key = 2, .sark = 3), SCSI_GOOD);
	assert_int_equal(pr_attention(tp, 1), UA_REGISTRATIONS_PREEMPTED);
	pr_expect_reservation(tp, WE_AR, 0);
	assert_int_equal(PR_OUT(tp, 2, RES_OUT_PREEMPT, .key = 2, .type = EA), SCSI_GOOD);
	EXPECT_KEYS(tp, 5, 2);
	pr_expect_reservation(tp, EA, 2);
	assert_int_equal(pr_attention(tp, 0), UA_REGISTRATIONS_PREEMPTED);
	assert_int_equal(pr_attention(tp, 0), 0);
	assert_int_equal(pr_attention(tp, 2), 0);
}

/* ---- preempting and aborting ---- */

static uint8_t stamp[512];

static void start_write(struct tp *tp, unsigned n, struct tp_cmd *c, uint64_t tag, bool hold)
{
	memset(stamp, 0xee, sizeof stamp);
	c->task.tag = tag;
	c->hold_data = hold;
	tp_start(tp, n, c, CDB_(0x2a, 0, 0, 0, 0, 7, 0, 0, 1, 0), 0, stamp, sizeof stamp);
}

/* The answer waits for the write in the volume, on the other loop; one that waits for its data ends
 * at once; a third nexus is left alone. */
static void test_preempt_and_abort(void **state)
{
	TP_BOX(tp) = tp_new(&slow);
	uint8_t list[1024];
	TP_CMD(at_volume);
	TP_CMD(at_port);
	TP_CMD(other);
	TP_CMD(c);

	(void)state;
	pr_register(tp, 0, 1);
	pr_register(tp, 2, 2);
	start_write(tp, 2, &at_volume, 1, false);
	start_write(tp, 2, &at_port, 2, true);
	start_write(tp, 1, &other, 1, false);
	tp_run(tp);
	assert_int_equal(at_volume.task.owner, SCSI_OWNER_VOLUME);
	pr_start(tp, 0, &c, &(struct pr){ RES_OUT_PREEMPT_ABORT, .key = 1, .sark = 2 }, list);
	tp_run(tp);
	assert_int_equal(c.done, 0);
	assert_int_equal(at_port.done, 1);
	assert_true(at_port.task.aborted);
	tp_advance(tp, 70);
	assert_good(&c);
	assert_true(at_volume.done && at_volume.task.aborted);
	assert_good(&other);
	assert_int_equal(pr_attention(tp, 2), UA_REGISTRATIONS_PREEMPTED);
	assert_int_equal(pr_attention(tp, 2), 0);
	EXPECT_KEYS(tp, 3, 1);
}

/* The asker's other commands go as well when its own key is meant, the command itself does not. */
static void test_preempt_and_abort_itself(void **state)
{
	TP_BOX(tp) = tp_new(&slow);
	uint8_t list[1024];
	TP_CMD(mine);
	TP_CMD(c);

	(void)state;
	pr_register(tp, 0, 1);
	assert_int_equal(PR_OUT(tp, 0, RES_OUT_RESERVE, .key = 1, .type = WE), SCSI_GOOD);
	start_write(tp, 0, &mine, 1, false);
	tp_run(tp);
	pr_start(tp, 0, &c, &(struct pr){ RES_OUT_PREEMPT_ABORT, .key = 1, .sark = 1, .type = EA },
		list);
	tp_advance(tp, 70);
	assert_good(&c);
	assert_true(mine.task.aborted);
	pr_expect_reservation(tp, EA, 1);
}

/* Two that preempt each other: one wins, the other is aborted and does nothing; nobody waits for
 * ever. */
static void test_preempt_each_other(void **state)
{
	TP_BOX(tp) = tp_new(&slow);
	uint8_t list_a[1024], list_b[1024];
	TP_CMD(write_a);
	TP_CMD(write_b);
	TP_CMD(a);
	TP_CMD(b);

	(void)state;
	pr_register(tp, 0, 1);
	pr_register(tp, 2, 2);
	start_write(tp, 0, &write_a, 1, false);
	start_write(tp, 2, &write_b, 1, false);
	tp_run(tp);
	pr_start(tp, 0, &a, &(struct pr){ RES_OUT_PREEMPT_ABORT, .key = 1, .sark = 2 }, list_a);
	pr_start(tp, 2, &b, &(struct pr){ RES_OUT_PREEMPT_ABORT, .key = 2, .sark = 1 }, list_b);
	tp_advance(tp, 120);
	assert_int_equal(a.done, 1);
	assert_int_equal(b.done, 1);
	assert_int_equal(a.task.aborted + b.task.aborted, 1);
	EXPECT_KEYS(tp, 3, a.task.aborted ? 2 : 1);
	assert_int_equal(write_a.task.aborted + write_b.task.aborted, 1);
}

/* ---- names of other nexuses ---- */

static uint32_t put_id(uint8_t *p, const char *name)
{
	struct span_writer w = span_writer(p, 512);

	res_transport_put(&w, name);
	return (uint32_t)w.want;
}

static void test_register_and_move(void **state)
{
	TP_BOX(tp) = tp_new(&plain);
	uint8_t more[512], list[1024] = { 0 };
	uint32_t len = put_id(more, tp->nexus[2].initiator);
	TP_CMD(c);

	(void)state;
	be64_store(list, 1);
	be64_store(list + 8, 8);
	be16_store(list + 18, 1);
	be32_store(list + 20, len);
	memcpy(list + 24, more, len);
	pr_register(tp, 0, 1);
	tp_exec(tp, &c, CDB_(0x5f, 7, 0, 0, 0, 0, 0, 0, (uint8_t)(24 + len), 0), 0, list, 24 + len);
	assert_field(&c, 1, 4); /* there is no reservation */
	assert_int_equal(PR_OUT(tp, 0, RES_OUT_RESERVE, .key = 1, .type = WE), SCSI_GOOD);
	tp_exec(tp, &c, CDB_(0x5f, 7, 0, 0, 0, 0, 0, 0, (uint8_t)(23 + len), 0), 0, list, 24 + len);
	assert_sense(&c, 5, 0x1a, 0);
	be16_store(list + 18, 2); /* no such port */
	tp_exec(tp, &c, CDB_(0x5f, 7, 0, 0, 0, 0, 0, 0, (uint8_t)(24 + len), 0), 0, list, 24 + len);
	assert_list_field(&c, 18, 7);
	be16_store(list + 18, 1);
	list[17] = 0x02; /* UNREG */
	tp_exec(tp, &c, CDB_(0x5f, 7, 0, 0, 0, 0, 0, 0, (uint8_t)(24 + len), 0), 0, list, 24 + len);
	assert_good(&c);
	EXPECT_KEYS(tp, 2, 8);
	pr_expect_reservation(tp, WE, 8);
	assert_int_equal(pr_move(tp, 2, true), SCSI_GOOD);
	assert_int_equal(pr_move(tp, 0, true), SCSI_RESERVATION_CONFLICT);
	tp_exec(tp, &c, CDB_(0x5f, 7, 0, 0, 0, 0, 0, 0, (uint8_t)(24 + len), 0), 0, list, 24 + len);
	assert_int_equal(c.task.status, SCSI_RESERVATION_CONFLICT);
	assert_int_equal(pr_attention(tp, 2), 0);
}

static void test_specified_ports(void **state)
{
	TP_BOX(tp) = tp_new(&plain);
	uint8_t more[512] = { 0 };
	uint32_t len = put_id(more + 4, tp->nexus[2].initiator);
	struct pr pr = { RES_OUT_REGISTER, .sark = 6, .flags = 8, .more = more };
	TP_CMD(c);

	(void)state;
	len += put_id(more + 4 + len, OTHER);
	be32_store(more, len);
	pr.more_len = len + 4;
	assert_int_equal(pr_out(tp, 0, &c, &pr), SCSI_GOOD);
	EXPECT_KEYS(tp, 1, 6, 6, 6);
	assert_int_equal(PR_OUT(tp, 2, RES_OUT_RESERVE, .key = 6, .type = WE), SCSI_GOOD);
	pr.key = 6;
	pr_out(tp, 0, &c, &pr); /* registered already */
	assert_list_field(&c, 20, 3);
	pr.key = 0;
	pr_out(tp, 1, &c, &pr); /* one of them is */
	assert_list_field(&c, 28, 7);
	EXPECT_KEYS(tp, 1, 6, 6, 6); /* all or nothing */
	be32_store(more, len - 4);
	pr_out(tp, 1, &c, &pr);
	assert_sense(&c, 5, 0x1a, 0);
	be32_store(more, len);
	be16_store(more + 6, 400); /* the first is cut off */
	pr_out(tp, 1, &c, &pr);
	assert_list_field(&c, 28, 7);
	more[4] = 0x05; /* the name of a node */
	len = put_id(more + 4, "iqn.2026-11.kura.test:b");
	be32_store(more, len);
	pr.more_len = len + 4;
	pr_out(tp, 1, &c, &pr);
	assert_list_field(&c, 28, 7);
}

static void test_full_status(void **state)
{
	TP_BOX(tp) = tp_new(&plain);
	const uint8_t *p;
	uint32_t len;
	TP_CMD(c);

	(void)state;
	pr_register(tp, 0, 0x1122334455667788);
	pr_register(tp, 2, 2);
	assert_int_equal(PR_OUT(tp, 2, RES_OUT_RESERVE, .key = 2, .type = EA_RO), SCSI_GOOD);
	assert_int_equal(pr_in(tp, 1, &c, 3, 1024), SCSI_GOOD);
	p = c.task.in_data;
	assert_int_equal(be32_load(p), 2);
	assert_int_equal(be32_load(p + 4), c.task.in_len - 8);
	p += 8;
	assert_int_equal(be64_load(p), 0x1122334455667788);
	assert_int_equal(p[12], 0);
	assert_int_equal(be16_load(p + 18), 1);
	len = be32_load(p + 20);
	assert_int_equal(len % 4, 0);
	assert_int_equal(p[24], 0x45);
	assert_int_equal(be16_load(p + 26), len - 4);
	assert_string_equal((const char *)p + 28, tp->nexus[0].initiator);
	p += 24 + len;
	assert_int_equal(p[12], 1);
	assert_int_equal(p[13], EA_RO);
	assert_string_equal((const char *)p + 28, tp->nexus[2].initiator);
	len = c.task.in_len;
	assert_int_equal(pr_in(tp, 1, &c, 3, 50), SCSI_GOOD);
	assert_int_equal(c.task.in_len, 50);
	assert_int_equal(be32_load(c.task.in_data + 4), len - 8); /* not cut */
	assert_int_equal(pr_in(tp, 1, &c, 3, 0), SCSI_GOOD);
	assert_int_equal(c.task.in_len, 0);
}

/* More registrants than a page holds, and no more than there is room for. */
static void test_many_registrants(void **state)
{
	TP_BOX(tp) = tp_new(&plain);
	char name[] = TP_INITIATOR;
	TP_CMD(c);

	(void)state;
	for (unsigned i = 0; i <= RES_REGISTRANTS_MAX; i++) {
		tp_close_nexus(tp, 0);
		tp_run(tp);
		snprintf(name, sizeof name, "iqn.2026-11.kura.test:a,i,0x00023d%05x1", i);
		scsi_nexus_open(
			&tp->nexus[0], tp->domain, tp->loop[0], tp->target, name, tp->nexus[1].ops);
		tp->open[0] = true;
		tp->nexus[0].itl[0].ua_count = 0;
		pr_out(tp, 0, &c, &(struct pr){ RES_OUT_REGISTER, .sark = i + 1 });
		if (i < RES_REGISTRANTS_MAX)
			assert_good(&c);
	}
	assert_sense(&c, 5, 0x55, 0x04);
	assert_int_equal(pr_in(tp, 1, &c, 0, 0xffff), SCSI_GOOD);
	assert_int_equal(c.task.in_len, 8 + 8 * RES_REGISTRANTS_MAX);
	assert_int_equal(pr_in(tp, 1, &c, 3, 0xffff), SCSI_GOOD);
	assert_int_equal(be32_load(c.task.in_data + 4), RES_REGISTRANTS_MAX * (24 + 4 + 44));
}

/* ---- who comes and goes ---- */

static void test_registration_survives_the_session(void **state)
{
	TP_BOX(tp) = tp_new(&plain);

	(void)state;
	pr_register(tp, 2, 2);
	assert_int_equal(PR_OUT(tp, 2, RES_OUT_RESERVE, .key = 2, .type = EA), SCSI_GOOD);
	tp_close_nexus(tp, 2);
	tp_run(tp);
	assert_int_equal(pr_move(tp, 0, false), SCSI_RESERVATION_CONFLICT);
	tp_open_nexus(tp, 2);
	assert_int_equal(pr_attention(tp, 2), UA_POWER_ON);
	assert_int_equal(pr_attention(tp, 2), 0);
	assert_int_equal(pr_move(tp, 2, false), SCSI_GOOD);
	assert_int_equal(PR_OUT(tp, 2, RES_OUT_RELEASE, .key = 2, .type = EA), SCSI_GOOD);
	assert_int_equal(pr_move(tp, 0, false), SCSI_GOOD);
}

/* Preempted while away, told at the next login, once; and so is what was not fetched. */
static void test_attention_waits_for_the_absent(void **state)
{
	TP_BOX(tp) = tp_new(&plain);

	(void)state;
	pr_register(tp, 0, 1);
	pr_register(tp, 2, 2);
	tp_close_nexus(tp, 2);
	tp_run(tp);
	assert_int_equal(PR_OUT(tp, 0, RES_OUT_PREEMPT, .key = 1, .sark = 2), SCSI_GOOD);
	for (unsigned turn = 0; turn < 2; turn++) {
		tp_open_nexus(tp, 2);
		if (turn == 0)
			assert_int_equal(tp->nexus[2].itl[0].ua_count, 2);
		if (turn == 0) { /* not fetched: it leaves again */
			tp_close_nexus(tp, 2);
			tp_run(tp);
		}
	}
	assert_int_equal(pr_attention(tp, 2), UA_POWER_ON);
	assert_int_equal(pr_attention(tp, 2), UA_REGISTRATIONS_PREEMPTED);
	assert_int_equal(pr_attention(tp, 2), 0);
	tp_close_nexus(tp, 2);
	tp_run(tp);
	tp_open_nexus(tp, 2);
	assert_int_equal(pr_attention(tp, 2), UA_POWER_ON);
	assert_int_equal(pr_attention(tp, 2), 0);
}

/* ---- RESERVE and RELEASE of SPC-2 ---- */

#define RESERVE6 0x16
#define RELEASE6 0x17

static void test_reserve6(void **state)
{
	TP_BOX(tp) = tp_new(&plain);
	TP_CMD(c);

	(void)state;
	assert_int_equal(pr_plain(tp, 0, RESERVE6), SCSI_GOOD);
	assert_int_equal(pr_plain(tp, 0, RESERVE6), SCSI_GOOD);
	assert_int_equal(pr_plain(tp, 2, RESERVE6), SCSI_RESERVATION_CONFLICT);
	assert_int_equal(pr_plain(tp, 2, 0x00), SCSI_RESERVATION_CONFLICT);
	assert_int_equal(pr_move(tp, 2, false), SCSI_RESERVATION_CONFLICT);
	assert_int_equal(pr_move(tp, 0, true), SCSI_GOOD);
	assert_int_equal(pr_plain(tp, 2, RELEASE6), SCSI_GOOD); /* not its own: nothing */
	assert_int_equal(pr_plain(tp, 2, 0x00), SCSI_RESERVATION_CONFLICT);
	/* the two ways do not mix, not for the holder either */
	assert_int_equal(PR_OUT(tp, 0, RES_OUT_REGISTER, .sark = 1), SCSI_RESERVATION_CONFLICT);
	assert_int_equal(pr_in(tp, 0, &c, 0, 64), SCSI_RESERVATION_CONFLICT);
	assert_int_equal(pr_plain(tp, 0, RELEASE6), SCSI_GOOD);
	assert_int_equal(pr_plain(tp, 2, 0x00), SCSI_GOOD);
}

static void reset_done(struct scsi_tmf *tmf)
{
	tmf->tag++;
}

static void test_reserve6_ends_by_itself(void **state)
{
	TP_BOX(tp) = tp_new(&plain);
	struct scsi_tmf tmf = { .function = SCSI_TMF_LUN_RESET, .done = reset_done };

	(void)state;
	assert_int_equal(pr_plain(tp, 2, RESERVE6), SCSI_GOOD);
	tp_close_nexus(tp, 2);
	tp_run(tp);
	assert_int_equal(pr_plain(tp, 0, 0x00), SCSI_GOOD);
	tp_open_nexus(tp, 2);
	assert_int_equal(pr_attention(tp, 2), UA_POWER_ON);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(pr_plain(tp, 2, RESERVE6), SCSI_GOOD);
		tmf.nexus = &tp->nexus[0];
		tp_enter(tp, 0);
		scsi_tmf_submit(&tmf);
		tp_run(tp);
		assert_int_equal(tmf.tag, i + 1);
		for (unsigned n = 0; n < TP_NEXUSES; n++)
			assert_true(pr_attention(tp, n));
		assert_int_equal(pr_plain(tp, 0, 0x00), SCSI_GOOD);
		tmf.function = SCSI_TMF_TARGET_RESET;
	}
}

/* SPC-4 5.13.3 */
static void test_compatible_handling(void **state)
{
	TP_BOX(tp) = tp_new(&plain);

	(void)state;
	pr_register(tp, 0, 1);
	assert_int_equal(pr_plain(tp, 0, RESERVE6), SCSI_RESERVATION_CONFLICT);
	assert_int_equal(pr_plain(tp, 2, RESERVE6), SCSI_RESERVATION_CONFLICT);
	pr_register(tp, 2, 2);
	assert_int_equal(PR_OUT(tp, 0, RES_OUT_RESERVE, .key = 1, .type = WE), SCSI_GOOD);
	assert_int_equal(pr_plain(tp, 0, RESERVE6), SCSI_GOOD);
	assert_int_equal(pr_plain(tp, 0, RELEASE6), SCSI_GOOD);
	assert_int_equal(pr_plain(tp, 2, RESERVE6), SCSI_RESERVATION_CONFLICT);
	pr_expect_reservation(tp, WE, 1);
	assert_int_equal(
		PR_OUT(tp, 0, RES_OUT_PREEMPT, .key = 1, .sark = 1, .type = WE_RO), SCSI_GOOD);
	assert_int_equal(pr_attention(tp, 2), UA_RESERVATIONS_RELEASED);
	assert_int_equal(pr_plain(tp, 2, RESERVE6), SCSI_GOOD);
	assert_int_equal(pr_plain(tp, 1, RESERVE6), SCSI_RESERVATION_CONFLICT);
	assert_int_equal(pr_move(tp, 1, false), SCSI_GOOD); /* nobody has it by RESERVE */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_register),
		cmocka_unit_test(test_wrong_lists),
		cmocka_unit_test(test_reserve_and_release),
		cmocka_unit_test(test_all_registrants),
		cmocka_unit_test(test_unregistering_holder),
		cmocka_unit_test(test_clear),
		cmocka_unit_test(test_preempt_reservation),
		cmocka_unit_test(test_preempt_registrations),
		cmocka_unit_test(test_preempt_all_registrants),
		cmocka_unit_test(test_preempt_and_abort),
		cmocka_unit_test(test_preempt_and_abort_itself),
		cmocka_unit_test(test_preempt_each_other),
		cmocka_unit_test(test_register_and_move),
		cmocka_unit_test(test_specified_ports),
		cmocka_unit_test(test_full_status),
		cmocka_unit_test(test_many_registrants),
		cmocka_unit_test(test_registration_survives_the_session),
		cmocka_unit_test(test_attention_waits_for_the_absent),
		cmocka_unit_test(test_reserve6),
		cmocka_unit_test(test_reserve6_ends_by_itself),
		cmocka_unit_test(test_compatible_handling),
	};

	return cmocka_run_group_tests_name("reservation", tests, NULL, NULL);
}
