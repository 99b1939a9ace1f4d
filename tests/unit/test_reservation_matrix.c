/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each command against each reservation: the tables of the standards are written down here once
 * more, and every row of commands.def is sent by the holder, by another registered nexus and by one
 * that is not registered, under each type, in a box of its own. A row that the table does not have
 * is a failure, so that no command comes in without its columns.
 */
#include "tests/unit/pr.h"

#include "common/own.h"
#include "common/stat.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

/*
 * SPC-4 table 65, SBC-3 table 13, in their order of columns: from any nexus under Write Exclusive
 * and Exclusive Access; from a registered one under the types for registrants; from one that is not
 * registered under these, Write Exclusive and Exclusive Access. Then SPC-2 table 9: reserved by
 * another; and SPC-4 5.13.5.2: allowed while reservations are lost. A is allowed, C is a conflict.
 */
static const struct expected {
	uint8_t opcode, action, byte4;
	const char *columns;
} table[] = {
	{ 0x00, 0, 0, "AAAAACC" },    /* TEST UNIT READY */
	{ 0x03, 0, 0, "AAAAAAA" },    /* REQUEST SENSE */
	{ 0x04, 0, 0, "CCACCCC" },    /* FORMAT UNIT */
	{ 0x08, 0, 0, "ACAACCC" },    /* READ(6) */
	{ 0x0a, 0, 0, "CCACCCC" },    /* WRITE(6) */
	{ 0x12, 0, 0, "AAAAAAA" },    /* INQUIRY */
	{ 0x15, 0, 0, "CCACCCC" },    /* MODE SELECT(6) */
	{ 0x1a, 0, 0, "ACAACCC" },    /* MODE SENSE(6) */
	{ 0x1b, 0, 0x00, "CCACCCC" }, /* START STOP UNIT, stop */
	{ 0x1b, 0, 0x01, "AAAAAAA" }, /* start */
	{ 0x1b, 0, 0x11, "CCACCCC" }, /* with a power condition */
	{ 0x1c, 0, 0, "ACAACCC" },    /* RECEIVE DIAGNOSTIC RESULTS */
	{ 0x1d, 0, 0, "CCACCCC" },    /* SEND DIAGNOSTIC */
	{ 0x1e, 0, 0x00, "AAAAAAC" }, /* PREVENT ALLOW MEDIUM REMOVAL, allow */
	{ 0x1e, 0, 0x01, "CCACCCC" }, /* prevent */
	{ 0x25, 0, 0, "AAAAAAC" },    /* READ CAPACITY(10) */
	{ 0x28, 0, 0, "ACAACCC" },    /* READ(10) */
	{ 0x2a, 0, 0, "CCACCCC" },    /* WRITE(10) */
	{ 0x2e, 0, 0, "CCACCCC" },    /* WRITE AND VERIFY(10) */
	{ 0x2f, 0, 0, "ACAACCC" },    /* VERIFY(10) */
	{ 0x34, 0, 0, "ACAACCC" },    /* PRE-FETCH(10) */
	{ 0x35, 0, 0, "CCACCCC" },    /* SYNCHRONIZE CACHE(10) */
	{ 0x37, 0, 0, "ACAACCC" },    /* READ DEFECT DATA(10) */
	{ 0x3b, 0, 0, "CCACCCA" },    /* WRITE BUFFER */
	{ 0x3c, 0, 0, "ACAACCA" },    /* READ BUFFER */
	{ 0x41, 0, 0, "CCACCCC" },    /* WRITE SAME(10) */
	{ 0x42, 0, 0, "CCACCCC" },    /* UNMAP */
	{ 0x48, 0x01, 0, "CCACCCC" }, /* SANITIZE */
	{ 0x48, 0x02, 0, "CCACCCC" }, { 0x48, 0x03, 0, "CCACCCC" }, { 0x48, 0x1f, 0, "CCACCCC" },
	{ 0x4c, 0, 0, "CCACCCC" },    /* LOG SELECT */
	{ 0x4d, 0, 0, "AAAAAAA" },    /* LOG SENSE */
	{ 0x55, 0, 0, "CCACCCC" },    /* MODE SELECT(10) */
	{ 0x5a, 0, 0, "ACAACCC" },    /* MODE SENSE(10) */
	{ 0x5e, 0x00, 0, "AAAAACC" }, /* PERSISTENT RESERVE IN */
	{ 0x5e, 0x01, 0, "AAAAACC" }, { 0x5e, 0x02, 0, "AAAAACC" }, { 0x5e, 0x03, 0, "AAAAACC" },
	{ 0x7f, 0x0e, 0, "CCACCCC" }, /* ORWRITE(32) */
	{ 0x7f, 0x12, 0, "ACAACCC" }, /* GET LBA STATUS(32) */
	{ 0x83, 0x00, 0, "CCACCCC" }, /* EXTENDED COPY(LID1) */
	{ 0x83, 0x01, 0, "CCACCCC" }, /* EXTENDED COPY(LID4) */
	{ 0x83, 0x1c, 0, "CCACCCC" }, /* COPY OPERATION ABORT */
	{ 0x84, 0x00, 0, "AAAAACC" }, /* RECEIVE COPY RESULTS and their like */
	{ 0x84, 0x01, 0, "AAAAACC" }, { 0x84, 0x03, 0, "AAAAACC" }, { 0x84, 0x04, 0, "AAAAACC" },
	{ 0x84, 0x05, 0, "AAAAACC" }, { 0x84, 0x06, 0, "AAAAACC" }, { 0x84, 0x07, 0, "AAAAACC" },
	{ 0x84, 0x08, 0, "AAAAACC" }, { 0x88, 0, 0, "ACAACCC" }, /* READ(16) */
	{ 0x89, 0, 0, "CCACCCC" },                               /* COMPARE AND WRITE */
	{ 0x8a, 0, 0, "CCACCCC" },                               /* WRITE(16) */
	{ 0x8b, 0, 0, "CCACCCC" },                               /* ORWRITE(16) */
	{ 0x8e, 0, 0, "CCACCCC" },                               /* WRITE AND VERIFY(16) */
	{ 0x8f, 0, 0, "ACAACCC" },                               /* VERIFY(16) */
	{ 0x90, 0, 0, "ACAACCC" },                               /* PRE-FETCH(16) */
	{ 0x91, 0, 0, "CCACCCC" },                               /* SYNCHRONIZE CACHE(16) */
	{ 0x93, 0, 0, "CCACCCC" },                               /* WRITE SAME(16) */
	{ 0x9c, 0, 0, "CCACCCC" },                               /* WRITE ATOMIC(16) */
	{ 0x9e, 0x10, 0, "AAAAAAC" },                            /* READ CAPACITY(16) */
	{ 0x9e, 0x12, 0, "ACAACCC" },                            /* GET LBA STATUS(16) */
	{ 0xa0, 0, 0, "AAAAAAA" },                               /* REPORT LUNS */
	{ 0xa3, 0x05, 0, "AAAAACC" }, /* REPORT IDENTIFYING INFORMATION */
	{ 0xa3, 0x0a, 0, "AAAAACA" }, /* REPORT TARGET PORT GROUPS */
	{ 0xa3, 0x0c, 0, "ACAACCC" }, /* REPORT SUPPORTED OPERATION CODES */
	{ 0xa3, 0x0d, 0, "ACAACCC" }, /* REPORT SUPPORTED TASK MANAGEMENT FUNCTIONS */
	{ 0xa3, 0x0f, 0, "AAAAACC" }, /* REPORT TIMESTAMP */
	{ 0xa4, 0x06, 0, "CCACCCC" }, /* SET IDENTIFYING INFORMATION */
	{ 0xa4, 0x0a, 0, "CCACCCC" }, /* SET TARGET PORT GROUPS */
	{ 0xa4, 0x0f, 0, "CCACCCC" }, /* SET TIMESTAMP */
	{ 0xa8, 0, 0, "ACAACCC" },    /* READ(12) */
	{ 0xaa, 0, 0, "CCACCCC" },    /* WRITE(12) */
	{ 0xae, 0, 0, "CCACCCC" },    /* WRITE AND VERIFY(12) */
	{ 0xaf, 0, 0, "ACAACCC" },    /* VERIFY(12) */
	{ 0xb7, 0, 0, "ACAACCC" },    /* READ DEFECT DATA(12) */
};

enum {
	COLUMN_WE,
	COLUMN_EA,
	COLUMN_REGISTERED,
	COLUMN_WE_RR,
	COLUMN_EA_RR,
	COLUMN_SPC2,
	COLUMN_LOST
};

/* Have a table of their own, below. */
static bool of_reservations(uint8_t opcode)
{
	return opcode == 0x5f || opcode == 0x16 || opcode == 0x17 || opcode == 0x56 ||
	       opcode == 0x57;
}

static void test_every_row_is_in_the_table(void **state)
{
	unsigned count, missing = 0;
	const struct scsi_command *rows = scsi_command_table(&count);

	(void)state;
	for (unsigned r = 0; r < count; r++) {
		uint8_t action = rows[r].action == SCSI_NO_ACTION ? 0 : rows[r].action;
		bool found = of_reservations(rows[r].opcode);

		for (size_t i = 0; i < own_array_len(table); i++)
			found |= table[i].opcode == rows[r].opcode && table[i].action == action;
		if (found)
			continue;
		print_error("%s has no line in the table\n", rows[r].name);
		missing++;
	}
	assert_int_equal(missing, 0);
}

/* ---- one command, sent with lengths of zero so that it does as little as it can ---- */

/* Write-protected, so that what is let pass goes no further. */
static const struct tp_conf conf = {
	.readonly = true, .removable = true, .thin = true, .keyed = true
};

static const struct scsi_command *row_of(const struct expected *e)
{
	bool has_actions;

	return scsi_command_find(e->opcode, e->action, &has_actions);
}

static void send_row(struct tp *tp, unsigned n, struct tp_cmd *c, const struct expected *e)
{
	static uint8_t zeroes[4096];
	uint8_t cdb[32] = { e->opcode };
	size_t len = e->opcode == SCSI_VARIABLE ? 32 : 16;

	cdb[e->opcode == SCSI_VARIABLE ? 9 : 1] = e->action;
	if (e->byte4)
		cdb[4] = e->byte4;
	if (e->opcode == SCSI_VARIABLE)
		cdb[7] = 24;
	tp_start(tp, n, c, cdb, len, sizeof zeroes, zeroes, sizeof zeroes);
	tp_run(tp);
	assert_int_equal(c->done, 1);
}

static void expect(struct tp *tp, unsigned n, const struct expected *e, bool allowed, unsigned type)
{
	TP_CMD(c);

	send_row(tp, n, &c, e);
	if ((c.task.status != SCSI_RESERVATION_CONFLICT) == allowed)
		return;
	print_error("%s byte 4 %02x, type %u, nexus %u: status %02x\n", row_of(e)->name, e->byte4,
		type, n, c.task.status);
	fail();
}

static const uint8_t types[] = { WE, EA, WE_RO, EA_RO, WE_AR, EA_AR };

/* Nexus 0 holds it, 2 is registered, on the other loop; 1 is not. */
static struct tp *reserved(uint8_t type)
{
	struct tp *tp = tp_new(&conf);

	pr_register(tp, 0, 1);
	pr_register(tp, 2, 2);
	assert_int_equal(PR_OUT(tp, 0, RES_OUT_RESERVE, .key = 1, .type = type), SCSI_GOOD);
	return tp;
}

static bool exclusive(uint8_t type)
{
	return type == EA || type == EA_RO || type == EA_AR;
}

static void walk_type(const struct expected *e, uint8_t type)
{
	unsigned any = exclusive(type) ? COLUMN_EA : COLUMN_WE;
	unsigned stranger = exclusive(type) ? COLUMN_EA_RR : COLUMN_WE_RR;
	bool rr = res_type_registrants(type);
	TP_BOX(tp) = reserved(type);

	expect(tp, 2, e, e->columns[rr ? COLUMN_REGISTERED : any] == 'A', type);
	expect(tp, 1, e, e->columns[rr ? stranger : any] == 'A', type);
	expect(tp, 0, e, true, type);
}

static void test_persistent_reservations(void **state)
{
	(void)state;
	for (size_t i = 0; i < own_array_len(table); i++)
		for (size_t t = 0; t < own_array_len(types) && row_of(&table[i]); t++)
			walk_type(&table[i], types[t]);
}

/* Registered alone is in nobody's way. */
static void test_registrations_alone(void **state)
{
	(void)state;
	for (size_t i = 0; i < own_array_len(table); i++) {
		TP_BOX(tp) = tp_new(&conf);

		if (!row_of(&table[i]))
			continue;
		pr_register(tp, 0, 1);
		for (unsigned n = 0; n < TP_NEXUSES; n++)
			expect(tp, n, &table[i], true, RES_NONE);
	}
}

static void test_reserve6(void **state)
{
	(void)state;
	for (size_t i = 0; i < own_array_len(table); i++) {
		const struct expected *e = &table[i];
		TP_BOX(tp) = tp_new(&conf);

		if (!row_of(e))
			continue;
		assert_int_equal(pr_plain(tp, 0, 0x16), SCSI_GOOD);
		expect(tp, 2, e, e->columns[COLUMN_SPC2] == 'A', 0x16);
		expect(tp, 0, e, e->opcode != 0x5e, 0x16);
	}
}

/* ---- PERSISTENT RESERVE OUT, SPC-4 table 66 ---- */

static const struct {
	enum res_action action;
	bool registered, stranger; /* allowed */
	uint64_t sark;
} out_table[] = {
	{ RES_OUT_CLEAR, true, false, 0 },
	{ RES_OUT_PREEMPT, true, false, 1 },
	{ RES_OUT_PREEMPT_ABORT, true, false, 1 },
	{ RES_OUT_REGISTER, true, true, 5 },
	{ RES_OUT_REGISTER_IGNORE, true, true, 5 },
	{ RES_OUT_RELEASE, true, false, 0 },
	{ RES_OUT_REPLACE_LOST, true, false, 5 },
	{ RES_OUT_RESERVE, false, false, 0 },
};

static void walk_out(unsigned i, uint8_t type, unsigned n)
{
	struct pr pr = { out_table[i].action, .type = type, .key = n == 2 ? 2 : 0,
		.sark = out_table[i].sark };
	bool allowed = n == 2 ? out_table[i].registered : out_table[i].stranger;
	TP_BOX(tp) = reserved(type);
	TP_CMD(c);

	/* SPC-4 5.13.10: each registrant is a holder */
	if (n == 2 && res_type_all(type))
		allowed = true;
	pr_out(tp, n, &c, &pr);
	if ((c.task.status != SCSI_RESERVATION_CONFLICT) == allowed)
		return;
	print_error(
		"action %u, type %u, nexus %u: status %02x\n", pr.action, type, n, c.task.status);
	fail();
}

static void test_persistent_reserve_out(void **state)
{
	(void)state;
	for (unsigned i = 0; i < own_array_len(out_table); i++)
		for (size_t t = 0; t < own_array_len(types); t++)
			for (unsigned n = 1; n <= 2; n++)
				walk_out(i, types[t], n);
}

/* ---- counters, one for each cause ---- */

static uint64_t conflicts(enum stat_id id)
{
	static uint64_t seen[STAT_COUNT];
	uint64_t now = stat_sum(id), more = now - seen[id];

	seen[id] = now;
	return more;
}

static void test_conflicts_are_counted(void **state)
{
	(void)state;
	conflicts(STAT_scsi_conflicts_write_exclusive);
	conflicts(STAT_scsi_conflicts_exclusive_access);
	conflicts(STAT_scsi_conflicts_spc2);
	conflicts(STAT_scsi_conflicts_pr_out);
	for (size_t t = 0; t < own_array_len(types); t++) {
		static uint8_t data[512];
		TP_BOX(tp) = reserved(types[t]);
		TP_CMD(c);

		tp_start(tp, 1, &c, CDB_(0x0a, 0, 0, 0, 1, 0), 0, data, sizeof data);
		tp_run(tp);
		assert_int_equal(c.task.status, SCSI_RESERVATION_CONFLICT);
		assert_int_equal(
			conflicts(STAT_scsi_conflicts_write_exclusive), !exclusive(types[t]));
		assert_int_equal(
			conflicts(STAT_scsi_conflicts_exclusive_access), exclusive(types[t]));
		assert_int_equal(PR_OUT(tp, 1, RES_OUT_CLEAR, .key = 9), SCSI_RESERVATION_CONFLICT);
		assert_int_equal(conflicts(STAT_scsi_conflicts_pr_out), 1);
		assert_int_equal(conflicts(STAT_scsi_conflicts_spc2), 0);
	}
}

static void test_spc2_conflicts_are_counted(void **state)
{
	TP_BOX(tp) = tp_new(&conf);

	(void)state;
	conflicts(STAT_scsi_conflicts_spc2);
	assert_int_equal(pr_plain(tp, 0, 0x16), SCSI_GOOD);
	assert_int_equal(pr_plain(tp, 2, 0x00), SCSI_RESERVATION_CONFLICT);
	assert_int_equal(conflicts(STAT_scsi_conflicts_spc2), 1);
	assert_int_equal(pr_plain(tp, 2, 0x16), SCSI_RESERVATION_CONFLICT);
	assert_int_equal(conflicts(STAT_scsi_conflicts_spc2), 1);
	assert_int_equal(conflicts(STAT_scsi_conflicts_pr_out), 0);
}

/* ---- lost reservations ---- */

static void spoil(const char *dir)
{
	char path[512];
	int fd;

	snprintf(path, sizeof path, "%s/reservations", dir);
	assert_true(mkdir(path, 0700) == 0);
	snprintf(path, sizeof path, "%s/reservations/c0ffee00-1234-4321-8888-0123456789ab", dir);
	fd = open(path, O_WRONLY | O_CREAT, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "kura-reservations 1\n", 20), 20);
	close(fd);
}

static void test_lost(void **state)
{
	char dir[] = "/tmp/kura-matrix.XXXXXX", command[64];
	struct tp_conf lost = conf;

	(void)state;
	assert_non_null(mkdtemp(dir));
	spoil(dir);
	lost.state_dir = dir;
	conflicts(STAT_scsi_conflicts_lost);
	for (size_t i = 0; i < own_array_len(table); i++) {
		const struct expected *e = &table[i];
		TP_BOX(tp) = tp_new(&lost);
		TP_CMD(c);

		if (!row_of(e))
			continue;
		send_row(tp, i % TP_NEXUSES, &c, e);
		assert_int_equal(
			conflicts(STAT_scsi_conflicts_lost), e->columns[COLUMN_LOST] == 'C');
		if (e->columns[COLUMN_LOST] == 'C')
			assert_sense(&c, 7, 0x44, 0x01);
		else if (c.task.status == SCSI_CHECK_CONDITION)
			assert_int_not_equal(c.task.sense[12], 0x44);
	}
	snprintf(command, sizeof command, "rm -r %s", dir);
	assert_int_equal(system(command), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_row_is_in_the_table),
		cmocka_unit_test(test_persistent_reservations),
		cmocka_unit_test(test_registrations_alone),
		cmocka_unit_test(test_reserve6),
		cmocka_unit_test(test_persistent_reserve_out),
		cmocka_unit_test(test_conflicts_are_counted),
		cmocka_unit_test(test_spc2_conflicts_are_counted),
		cmocka_unit_test(test_lost),
	};

	scsi_command_setup();
	return cmocka_run_group_tests_name("reservation_matrix", tests, NULL, NULL);
}
