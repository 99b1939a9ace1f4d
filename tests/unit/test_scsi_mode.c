/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What initiators change of a unit: MODE SELECT and what follows from it, PREVENT ALLOW MEDIUM
 * REMOVAL, and the record that outlives a restart.
 */
#include "tests/unit/scsi_testport.h"

#include "common/own.h"
#include "target/scsi/record.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#define ROOM 255u

/* Gives the unit a record in a folder of its own. */
static char *state_new(struct tp *tp)
{
	char *dir = own_strdup("/tmp/kura-mode-XXXXXX");

	assert_non_null(mkdtemp(dir));
	scsi_record_open(tp->lun, NULL, dir);
	assert_non_null(tp->lun->record);
	return dir;
}

static void state_free(char **dir)
{
	own_free char *all = own_printf("rm -rf %s", *dir);

	assert_int_equal(system(all), 0);
	free(*dir);
}

#define STATE(name, tp) char *name __attribute__((cleanup(state_free))) = state_new(tp)

/* MODE SELECT(6) of one page without a block descriptor. */
static void select6(struct tp *tp, struct tp_cmd *c, uint8_t flags, const void *page, uint8_t len)
{
	uint8_t list[64] = { 0 };

	memcpy(list + 4, page, len);
	tp_exec(tp, c, CDB_(0x15, flags, 0, 0, (uint8_t)(len + 4), 0), 0, list, len + 4u);
}

/* The page now, by MODE SENSE(6) with DBD. */
static const uint8_t *sense6(struct tp *tp, struct tp_cmd *c, uint8_t page)
{
	tp_exec(tp, c, CDB_(0x1a, 8, page, 0, ROOM, 0), ROOM, NULL, 0);
	assert_good(c);
	return c->task.in_data + 4;
}

static const uint8_t swp_page[12] = { 0x0a, 0x0a, 0x20, 0x10, 0x08 };
static const uint8_t plain_page[12] = { 0x0a, 0x0a, 0x20, 0x10, 0x00 };

static void test_swp(void **state)
{
	struct tp_conf conf = { 0 };
	TP_BOX(tp) = tp_new(&conf);
	uint8_t data[512] = { 0 };
	TP_CMD(c);
	TP_CMD(other);

	(void)state;
	select6(tp, &c, 0x10, swp_page, 12);
	assert_good(&c);
	assert_memory_equal(sense6(tp, &c, 0x0a), swp_page, 12);
	assert_int_equal(c.task.in_data[2], 0x90); /* WP */
	tp_exec(tp, &c, CDB_(0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0), 0, data, 512);
	assert_sense(&c, 0x7, 0x27, 0x02);
	tp_read10(tp, &c, 0, 1);
	for (unsigned n = 1; n < TP_NEXUSES; n++) { /* the others are told, once */
		tp_start(tp, n, &other, CDB_(0, 0, 0, 0, 0, 0), 0, NULL, 0);
		tp_run(tp);
		assert_sense(&other, 0x6, 0x2a, 0x01);
		tp_start(tp, n, &other, CDB_(0, 0, 0, 0, 0, 0), 0, NULL, 0);
		tp_run(tp);
		assert_good(&other);
	}
	select6(tp, &c, 0x10, swp_page, 12); /* no change: nobody is told */
	assert_good(&c);
	tp_start(tp, 1, &other, CDB_(0, 0, 0, 0, 0, 0), 0, NULL, 0);
	tp_run(tp);
	assert_good(&other);
	select6(tp, &c, 0x10, plain_page, 12);
	assert_good(&c);
	tp_write10(tp, &c, 0, 1, data);
}

static void test_d_sense(void **state)
{
	static const uint8_t page[12] = { 0x0a, 0x0a, 0x24, 0x10 };
	struct tp_conf conf = { 0 };
	TP_BOX(tp) = tp_new(&conf);
	TP_CMD(c);

	(void)state;
	select6(tp, &c, 0x10, page, 12);
	assert_good(&c);
	tp_exec(tp, &c, CDB_(0x28, 0, 0xff, 0, 0, 0, 0, 0, 1, 0), 512, NULL, 0);
	assert_int_equal(c.task.status, SCSI_CHECK_CONDITION);
	assert_int_equal(c.task.sense[0], 0x72);
	assert_int_equal(c.task.sense[2], 0x21);
}

static void test_select_wrong(void **state)
{
	struct tp_conf conf = { 0 };
	TP_BOX(tp) = tp_new(&conf);
	uint8_t page[16], list[64] = { 0 };
	TP_CMD(c);

	(void)state;
	select6(tp, &c, 0x00, swp_page, 12); /* PF */
	assert_field(&c, 1, 4);
	select6(tp, &c, 0x11, swp_page, 12); /* SP, and no record */
	assert_field(&c, 1, 0);
	memcpy(page, plain_page, 12);
	page[3] = 0x00; /* the queue algorithm cannot be changed */
	select6(tp, &c, 0x10, page, 12);
	assert_list_field(&c, 7, 4);
	page[0] = 0x03; /* no such page */
	select6(tp, &c, 0x10, page, 12);
	assert_list_field(&c, 4, 5);
	memcpy(page, plain_page, 12);
	page[1] = 9;
	select6(tp, &c, 0x10, page, 12);
	assert_list_field(&c, 5, 7);
	select6(tp, &c, 0x10, plain_page, 11); /* cut off */
	assert_sense(&c, 0x5, 0x1a, 0x00);
	tp_exec(tp, &c, CDB_(0x15, 0x10, 0, 0, 3, 0), 0, list, 3);
	assert_sense(&c, 0x5, 0x1a, 0x00);
	tp_exec(tp, &c, CDB_(0x15, 0x10, 0, 0, 0, 0), 0, NULL, 0); /* nothing */
	assert_good(&c);
	list[1] = 1; /* medium type */
	tp_exec(tp, &c, CDB_(0x15, 0x10, 0, 0, 4, 0), 0, list, 4);
	assert_list_field(&c, 1, 7);
}

/* Block descriptors, and MODE SELECT(10) with the long one. */
static void test_select_descriptor(void **state)
{
	struct tp_conf conf = { 0 };
	TP_BOX(tp) = tp_new(&conf);
	uint8_t list[64] = { 0, 0, 0, 8, 0, 0, 0x08, 0, 0, 0, 2, 0 };
	TP_CMD(c);

	(void)state;
	memcpy(list + 12, swp_page, 12);
	tp_exec(tp, &c, CDB_(0x15, 0x10, 0, 0, 24, 0), 0, list, 24);
	assert_good(&c);
	assert_memory_equal(sense6(tp, &c, 0x0a), swp_page, 12);
	list[7] = 1; /* another capacity */
	tp_exec(tp, &c, CDB_(0x15, 0x10, 0, 0, 24, 0), 0, list, 24);
	assert_list_field(&c, 4, 7);
	list[7] = 0;
	list[10] = 4; /* another block size */
	tp_exec(tp, &c, CDB_(0x15, 0x10, 0, 0, 24, 0), 0, list, 24);
	assert_list_field(&c, 9, 7);
	memset(list, 0, sizeof list);
	list[4] = 1; /* LONGLBA */
	list[7] = 16;
	list[22] = 2;
	memcpy(list + 24, plain_page, 12);
	tp_exec(tp, &c, CDB_(0x55, 0x10, 0, 0, 0, 0, 0, 0, 36, 0), 0, list, 36);
	assert_good(&c);
	assert_memory_equal(sense6(tp, &c, 0x0a), plain_page, 12);
}

/* What is saved comes back with a reset; what is not goes with it. */
static void test_saved(void **state)
{
	struct tp_conf conf = { 0 };
	TP_BOX(tp) = tp_new(&conf);
	STATE(dir, tp);
	struct scsi_tmf tmf = { .function = SCSI_TMF_ABORT_TASK };
	uint32_t modes;
	char text[SCSI_RECORD_MAX];
	bool unfinished;
	ssize_t n;
	TP_CMD(c);

	(void)state;
	(void)tmf;
	select6(tp, &c, 0x11, swp_page, 12);
	assert_good(&c);
	assert_int_equal(sense6(tp, &c, 0xca)[4], 0x08);
	assert_int_equal(c.task.in_data[4], 0x8a); /* PS */
	{
		own_fd int fd = open(tp->lun->record, O_RDONLY | O_CLOEXEC);

		n = read(fd, text, sizeof text);
	}
	assert_int_equal(scsi_record_parse(text, (size_t)n, &modes, &unfinished), 0);
	assert_int_equal(modes, MODE_SWP);
	assert_false(unfinished);
	select6(tp, &c, 0x10, plain_page, 12);
	assert_good(&c);
	assert_int_equal(sense6(tp, &c, 0x0a)[4], 0x00);
	assert_int_equal(sense6(tp, &c, 0xca)[4], 0x08);
	scsi_lun_reset(tp->lun);
	assert_int_equal(sense6(tp, &c, 0x0a)[4], 0x08);
	tp->lun->modes = 0;
	free(own_take(tp->lun->record));
	scsi_record_open(tp->lun, NULL, dir); /* as after a restart */
	assert_int_equal(tp->lun->modes, MODE_SWP);
}

static void test_save_fails(void **state)
{
	struct tp_conf conf = { 0 };
	TP_BOX(tp) = tp_new(&conf);
	TP_CMD(c);

	(void)state;
	tp->lun->record = own_strdup("/nonexistent/kura/units/record");
	select6(tp, &c, 0x11, swp_page, 12);
	assert_sense(&c, 0x4, 0x44, 0x00);
	assert_int_equal(sense6(tp, &c, 0x0a)[4], 0x00); /* nothing has changed */
}

/* A record that lacks any of its bytes, or has any other bit, is no record. */
static void test_record_damaged(void **state)
{
	char text[SCSI_RECORD_MAX], drawn[SCSI_RECORD_MAX];
	size_t len = scsi_record_build(MODE_SWP | MODE_WCE, true, text);
	uint32_t modes;
	bool unfinished;

	(void)state;
	scsi_record_build(MODE_SWP | MODE_WCE, false, drawn); /* as docs/disk-format.md has it */
	assert_string_equal(drawn, "kura-unit 1\nmodes 00000005\nsanitize none\ncrc32c d847e079\n");
	assert_int_equal(scsi_record_parse(text, len, &modes, &unfinished), 0);
	assert_int_equal(modes, MODE_SWP | MODE_WCE);
	assert_true(unfinished);
	for (size_t n = 0; n < len; n++)
		assert_int_equal(scsi_record_parse(text, n, &modes, &unfinished), -EBADMSG);
	for (size_t bit = 0; bit < 8 * len; bit++) {
		text[bit / 8] ^= (char)(1 << (bit & 7));
		assert_int_equal(scsi_record_parse(text, len, &modes, &unfinished), -EBADMSG);
		text[bit / 8] ^= (char)(1 << (bit & 7));
	}
}

/* A file has a cache: with WCE 0 each write is flushed, and taking WCE away flushes once. */
static void test_wce(void **state)
{
	static const uint8_t off[20] = { 0x08, 0x12 };
	char path[] = "/tmp/kura-mode-XXXXXX";
	own_free char *sidecar = NULL;
	uint8_t data[512] = { 1 };
	int fd = mkstemp(path);
	TP_CMD(c);

	(void)state;
	close(fd);
	sidecar = own_printf("%s.kura", path);
	{
		struct tp_conf conf = { .path = path };
		TP_BOX(tp) = tp_new(&conf);

		assert_int_equal(sense6(tp, &c, 0x08)[2], 0x04);
		select6(tp, &c, 0x10, off, 20);
		assert_good(&c);
		assert_int_equal(sense6(tp, &c, 0x08)[2], 0x00);
		tp_write10(tp, &c, 0, 1, data);
		assert_true(c.task.io.flags & VOL_FUA);
		tp_clean(&c);
	}
	unlink(path);
	unlink(sidecar);
}

/* ---- PREVENT ALLOW MEDIUM REMOVAL ---- */

static void eject(struct tp *tp, struct tp_cmd *c)
{
	tp_exec(tp, c, CDB_(0x1b, 0, 0, 0, 0x02, 0), 0, NULL, 0);
}

static void test_prevent(void **state)
{
	struct tp_conf conf = { .removable = true };
	TP_BOX(tp) = tp_new(&conf);
	TP_CMD(c);
	TP_CMD(other);

	(void)state;
	tp_exec(tp, &c, CDB_(0x1e, 0, 0, 0, 2, 0), 0, NULL, 0);
	assert_field(&c, 4, 1);
	tp_start(tp, 2, &other, CDB_(0x1e, 0, 0, 0, 1, 0), 0, NULL, 0);
	tp_run(tp);
	assert_good(&other);
	tp_exec(tp, &c, CDB_(0x1e, 0, 0, 0, 1, 0), 0, NULL, 0);
	assert_good(&c);
	tp_exec(tp, &c, CDB_(0x1e, 0, 0, 0, 1, 0), 0, NULL, 0); /* twice is once */
	assert_good(&c);
	tp_exec(tp, &c, CDB_(0x1e, 0, 0, 0, 0, 0), 0, NULL, 0);
	assert_good(&c);
	eject(tp, &c); /* the other one still prevents */
	assert_sense(&c, 0x5, 0x53, 0x02);
	tp_clean(&other);
	tp_close_nexus(tp, 2);
	tp_run(tp);
	eject(tp, &c);
	assert_good(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_swp),
		cmocka_unit_test(test_d_sense),
		cmocka_unit_test(test_select_wrong),
		cmocka_unit_test(test_select_descriptor),
		cmocka_unit_test(test_saved),
		cmocka_unit_test(test_save_fails),
		cmocka_unit_test(test_record_damaged),
		cmocka_unit_test(test_wce),
		cmocka_unit_test(test_prevent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
