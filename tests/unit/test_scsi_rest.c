/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Logs, self-tests, buffers, the clock and defect lists.
 */
#include "tests/unit/scsi_testport.h"

#include "common/own.h"

#include <sys/stat.h>
#include <unistd.h>

#define ROOM 65536u

/* ---- LOG SENSE ---- */

static const uint8_t *log_page(struct tp *tp, struct tp_cmd *c, uint8_t page, uint8_t subpage)
{
	tp_exec(tp, c, CDB_(0x4d, 0, 0x40 | page, subpage, 0, 0, 0, 4, 0, 0), ROOM, NULL, 0);
	assert_good(c);
	assert_int_equal(c->task.in_data[0] & 0x7f, page | (subpage ? 0x40 : 0));
	assert_int_equal(c->task.in_data[1], subpage);
	assert_int_equal(be16_load(c->task.in_data + 2), c->task.in_len - 4);
	return c->task.in_data + 4;
}

static void test_log_pages(void **state)
{
	struct tp_conf conf = { 0 };
	TP_BOX(tp) = tp_new(&conf);
	TP_CMD(c);

	(void)state;
	assert_memory_equal(log_page(tp, &c, 0, 0), "\x00\x0d\x0e\x10\x2f", 5);
	assert_int_equal(c.task.in_len, 4 + 5);
	assert_memory_equal(log_page(tp, &c, 0, 0xff), "\0\0\0\xff\x0d\0\x0e\0\x10\0\x2f\0", 12);
	assert_int_equal(c.task.in_len, 4 + 12);
	assert_memory_equal(
		log_page(tp, &c, 0x0d, 0), "\0\0\x03\x02\x00\xff\0\x01\x03\x02\x00\xff", 12);
	assert_memory_equal(log_page(tp, &c, 0x2f, 0), "\0\0\x03\x04\0\0\xff\xff", 8);
	log_page(tp, &c, 0x10, 0);
	assert_int_equal(c.task.in_len, 4 + 20 * 20);
	tp_exec(tp, &c, CDB_(0x4d, 0, 0x4d, 0, 0, 0, 1, 0, 255, 0), ROOM, NULL, 0);
	assert_good(&c); /* from parameter 1 on */
	assert_int_equal(c.task.in_len, 4 + 6);
	assert_int_equal(be16_load(c.task.in_data + 4), 1);
	tp_exec(tp, &c, CDB_(0x4d, 0, 0x4d, 0, 0, 0, 2, 0, 255, 0), ROOM, NULL, 0);
	assert_field(&c, 5, 7);
	tp_exec(tp, &c, CDB_(0x4d, 0, 0x0d, 0, 0, 0, 0, 0, 255, 0), ROOM, NULL, 0); /* PC */
	assert_field(&c, 2, 7);
	tp_exec(tp, &c, CDB_(0x4d, 0, 0x4c, 0, 0, 0, 0, 0, 255, 0), ROOM, NULL, 0); /* thick */
	assert_field(&c, 2, 5);
	tp_exec(tp, &c, CDB_(0x4d, 0, 0x4d, 1, 0, 0, 0, 0, 255, 0), ROOM, NULL, 0);
	assert_field(&c, 3, 7);
	tp_exec(tp, &c, CDB_(0x4d, 1, 0x4d, 0, 0, 0, 0, 0, 255, 0), ROOM, NULL, 0); /* SP */
	assert_field(&c, 1, 0);
}

static void test_log_provisioning(void **state)
{
	struct tp_conf conf = { .thin = true };
	TP_BOX(tp) = tp_new(&conf);
	uint8_t block[512] = { 1 };
	const uint8_t *p;
	TP_CMD(c);

	(void)state;
	assert_memory_equal(log_page(tp, &c, 0, 0), "\x00\x0c\x0d", 3);
	p = log_page(tp, &c, 0x0c, 0);
	assert_int_equal(c.task.in_data[0], 0x8c); /* DS */
	assert_memory_equal(p, "\0\x02\x03\x08\0\0\0\0\x01\0\0\0", 12);
	tp_write10(tp, &c, 100, 1, block);
	p = log_page(tp, &c, 0x0c, 0);
	assert_true(be32_load(p + 4) >= 1 && be32_load(p + 4) <= 2048);
	assert_int_equal(c.task.in_len, 4 + 12);
	tp_exec(tp, &c, CDB_(0x4d, 0, 0x4c, 0, 0, 0, 3, 0, 255, 0), ROOM, NULL, 0);
	assert_field(&c, 5, 7);
}

/* Of a file: its blocks, and what its filesystem has for everybody. */
static void test_log_provisioning_of_a_file(void **state)
{
	char path[] = "/tmp/kura-rest-XXXXXX";
	own_fd int fd = mkstemp(path);
	own_free char *identity = own_printf("%s.kura", path);
	struct tp_conf conf = { .thin = true, .path = path };
	struct tp *tp = tp_new(&conf);
	uint8_t block[512] = { 1 };
	struct stat st;
	const uint8_t *p;
	TP_CMD(c);

	(void)state;
	assert_true(fd >= 0);
	tp_write10(tp, &c, 100, 1, block);
	if (scsi_command_offered(scsi_command_find(0x42, 0, &(bool){ false }), tp->lun)) {
		p = log_page(tp, &c, 0x0c, 0);
		assert_int_equal(fstat(fd, &st), 0);
		assert_int_equal(c.task.in_len, 4 + 24);
		assert_memory_equal(p, "\0\x01\x03\x08", 4);
		assert_memory_equal(p + 8, "\x02\0\0\0\0\x02\x03\x08", 8); /* shared; used: */
		assert_int_equal(be32_load(p + 16), st.st_blocks);
		assert_memory_equal(p + 20, "\x01\0\0\0", 4); /* its own */
		tp_exec(tp, &c, CDB_(0x4d, 0, 0x4c, 0, 0, 0, 2, 0, 255, 0), ROOM, NULL, 0);
		assert_good(&c);
		assert_int_equal(c.task.in_len, 4 + 12);
	}
	tp_clean(&c);
	tp_free(tp);
	unlink(path);
	unlink(identity);
}

/* ---- SEND and RECEIVE DIAGNOSTIC ---- */

static void self_test(struct tp *tp, struct tp_cmd *c, uint8_t flags)
{
	tp_exec(tp, c, CDB_(0x1d, flags, 0, 0, 0, 0), 0, NULL, 0);
}

static void test_self_test(void **state)
{
	struct tp_conf conf = { 0 };
	TP_BOX(tp) = tp_new(&conf);
	const uint8_t *p;
	TP_CMD(c);

	(void)state;
	self_test(tp, &c, 0x04); /* the default one is not in the log */
	assert_good(&c);
	assert_int_equal(log_page(tp, &c, 0x10, 0)[4], 0);
	for (unsigned i = 0; i < 25; i++) {
		self_test(tp, &c, i % 2 ? 0x20 : 0xa0);
		assert_good(&c);
	}
	p = log_page(tp, &c, 0x10, 0);
	for (unsigned i = 0; i < 20; i++) { /* newest first */
		assert_int_equal(be16_load(p + 20 * i), i + 1);
		assert_int_equal(p[20 * i + 4], i % 2 ? 0x20 : 0xa0);
		assert_int_equal(be64_load(p + 20 * i + 8), UINT64_MAX);
	}
	self_test(tp, &c, 0x24);
	assert_field(&c, 1, 7);
	self_test(tp, &c, 0x60);
	assert_field(&c, 1, 7);
	self_test(tp, &c, 0x80); /* none to abort */
	assert_field(&c, 1, 7);
}

static void test_self_test_fails(void **state)
{
	struct tp_conf conf = { .layer = "error", .options = "op=read" };
	TP_BOX(tp) = tp_new(&conf);
	const uint8_t *p;
	TP_CMD(c);

	(void)state;
	self_test(tp, &c, 0x04);
	assert_sense(&c, 0x4, 0x3e, 0x03);
	self_test(tp, &c, 0xa0);
	assert_sense(&c, 0x4, 0x3e, 0x03);
	self_test(tp, &c, 0x20); /* in the background: in the log */
	assert_good(&c);
	p = log_page(tp, &c, 0x10, 0);
	assert_int_equal(p[4], 0x27);
	assert_memory_equal(p + 16, "\x04\x3e\x03", 3);
	assert_int_equal(p[24], 0xa7);
}

static void test_diagnostic_pages(void **state)
{
	struct tp_conf conf = { 0 };
	TP_BOX(tp) = tp_new(&conf);
	uint8_t list[8] = { 0 };
	TP_CMD(c);

	(void)state;
	tp_exec(tp, &c, CDB_(0x1d, 0x10, 0, 0, 4, 0), 0, list, 4);
	assert_good(&c);
	tp_exec(tp, &c, CDB_(0x1c, 0, 0, 0, 255, 0), ROOM, NULL, 0);
	assert_good(&c);
	assert_int_equal(c.task.in_len, 5);
	assert_memory_equal(c.task.in_data, "\0\0\0\x01\0", 5);
	tp_exec(tp, &c, CDB_(0x1c, 1, 0x40, 0, 255, 0), ROOM, NULL, 0);
	assert_field(&c, 2, 7);
	tp_exec(tp, &c, CDB_(0x1d, 0x00, 0, 0, 4, 0), 0, list, 4); /* PF */
	assert_field(&c, 1, 4);
	list[0] = 0x40;
	tp_exec(tp, &c, CDB_(0x1d, 0x10, 0, 0, 4, 0), 0, list, 4);
	assert_list_field(&c, 0, 7);
	tp_exec(tp, &c, CDB_(0x1d, 0x10, 0, 0, 3, 0), 0, list, 3);
	assert_sense(&c, 0x5, 0x1a, 0x00);
	tp_exec(tp, &c, CDB_(0x1d, 0x14, 0, 0, 4, 0), 0, list, 4);
	assert_field(&c, 3, 7);
}

/* ---- READ and WRITE BUFFER ---- */

static void test_buffer_data(void **state)
{
	struct tp_conf conf = { 0 };
	TP_BOX(tp) = tp_new(&conf);
	static uint8_t data[32768];
	TP_CMD(c);
	TP_CMD(other);

	(void)state;
	tp_fill(data, sizeof data, 3);
	tp_exec(tp, &c, CDB_(0x3c, 3, 0, 0, 0, 0, 0, 0, 4, 0), ROOM, NULL, 0);
	assert_good(&c);
	assert_memory_equal(c.task.in_data, "\x00\x00\x80\x00", 4);
	tp_exec(tp, &c, CDB_(0x3c, 3, 1, 0, 0, 0, 0, 0, 4, 0), ROOM, NULL, 0); /* no such buffer */
	assert_good(&c);
	assert_memory_equal(c.task.in_data, "\0\0\0\0", 4);
	tp_exec(tp, &c, CDB_(0x3c, 2, 0, 0, 0, 0, 0, 0x80, 0, 0), ROOM, NULL, 0); /* fresh */
	assert_good(&c);
	assert_int_equal(c.task.in_len, 32768);
	assert_int_equal(c.task.in_data[9], 0);
	tp_exec(tp, &c, CDB_(0x3b, 2, 0, 0, 0, 0, 0, 0x80, 0, 0), 0, data, 32768);
	assert_good(&c);
	tp_exec(tp, &c, CDB_(0x3b, 2, 0, 0, 0x10, 0, 0, 0, 2, 0), 0, data, 2); /* in the middle */
	assert_good(&c);
	memcpy(data + 4096, data, 2);
	tp_exec(tp, &c, CDB_(0x3c, 2, 0, 0, 0, 0, 0, 0xff, 0, 0), ROOM, NULL, 0);
	assert_good(&c);
	assert_int_equal(c.task.in_len, 32768);
	assert_memory_equal(c.task.in_data, data, 32768);
	tp_exec(tp, &c, CDB_(0x3c, 2, 0, 0, 0x7f, 0xff, 0, 0, 9, 0), ROOM, NULL, 0);
	assert_good(&c);
	assert_int_equal(c.task.in_len, 1);
	tp_start(tp, 1, &other, CDB_(0x3c, 2, 0, 0, 0, 0, 0, 0, 9, 0), ROOM, NULL, 0);
	tp_run(tp);
	assert_good(&other); /* not another one's */
	assert_int_equal(other.task.in_data[1], 0);
}

static void test_buffer_echo(void **state)
{
	struct tp_conf conf = { 0 };
	TP_BOX(tp) = tp_new(&conf);
	uint8_t data[4096];
	TP_CMD(c);

	(void)state;
	tp_fill(data, sizeof data, 4);
	tp_exec(tp, &c, CDB_(0x3c, 0x0b, 0, 0, 0, 0, 0, 0, 4, 0), ROOM, NULL, 0);
	assert_good(&c);
	assert_memory_equal(c.task.in_data, "\x01\x00\x10\x00", 4);
	tp_exec(tp, &c, CDB_(0x3c, 0x0a, 0, 0, 0, 0, 0, 0x10, 0, 0), ROOM, NULL, 0);
	assert_sense(&c, 0x5, 0x2c, 0x00); /* nothing was written */
	tp_exec(tp, &c, CDB_(0x3b, 0x0a, 0, 0, 0, 0, 0, 0x10, 0, 0), 0, data, 4096);
	assert_good(&c);
	tp_exec(tp, &c, CDB_(0x3c, 0x0a, 0, 0, 0, 0, 0, 0xff, 0, 0), ROOM, NULL, 0);
	assert_good(&c);
	assert_int_equal(c.task.in_len, 4096);
	assert_memory_equal(c.task.in_data, data, 4096);
}

static void test_buffer_wrong(void **state)
{
	struct tp_conf conf = { 0 };
	TP_BOX(tp) = tp_new(&conf);
	static uint8_t data[65536];
	TP_CMD(c);

	(void)state;
	tp_exec(tp, &c, CDB_(0x3c, 0x1c, 0, 0, 0, 0, 0, 0, 4, 0), ROOM, NULL, 0);
	assert_field(&c, 1, 4);
	tp_exec(tp, &c, CDB_(0x3b, 0x05, 0, 0, 0, 0, 0, 0, 4, 0), 0, data, 4); /* microcode */
	assert_field(&c, 1, 4);
	tp_exec(tp, &c, CDB_(0x3b, 2, 1, 0, 0, 0, 0, 0, 4, 0), 0, data, 4);
	assert_field(&c, 2, 7);
	tp_exec(tp, &c, CDB_(0x3b, 2, 0, 0, 0x80, 1, 0, 0, 4, 0), 0, data, 4);
	assert_field(&c, 3, 7);
	tp_exec(tp, &c, CDB_(0x3b, 2, 0, 0, 0x7f, 0xff, 0, 0, 2, 0), 0, data, 2);
	assert_field(&c, 6, 7);
	tp_exec(tp, &c, CDB_(0x3b, 0x0a, 0, 0, 0, 0, 0, 0x10, 1, 0), 0, data, 4097);
	assert_field(&c, 6, 7);
	tp_exec(tp, &c, CDB_(0x3c, 2, 0, 0xff, 0, 0, 0, 0, 2, 0), ROOM, NULL, 0);
	assert_field(&c, 3, 7);
}

/* ---- timestamps ---- */

static void test_timestamp(void **state)
{
	struct tp_conf conf = { 0 };
	TP_BOX(tp) = tp_new(&conf);
	uint8_t list[12] = { 0, 0, 0, 0, 0x01, 0x23, 0x45, 0x67, 0x89, 0xab };
	const uint8_t *p;
	TP_CMD(c);

	(void)state;
	tp_exec(tp, &c, CDB_(0xa3, 0x0f, 0, 0, 0, 0, 0, 0, 0, 255, 0, 0), ROOM, NULL, 0);
	assert_good(&c);
	assert_int_equal(c.task.in_len, 12);
	p = c.task.in_data;
	assert_memory_equal(p, "\0\x0a\x03\0", 4);
	assert_true(be16_load(p + 4) >= 0x0190); /* after the year 2024 */
	tp_exec(tp, &c, CDB_(0xa4, 0x0f, 0, 0, 0, 0, 0, 0, 0, 12, 0, 0), 0, list, 12);
	assert_good(&c);
	tp_exec(tp, &c, CDB_(0xa3, 0x0f, 0, 0, 0, 0, 0, 0, 0, 255, 0, 0), ROOM, NULL, 0);
	assert_good(&c);
	p = c.task.in_data;
	assert_int_equal(p[2], 0x02);
	assert_int_equal(be16_load(p + 4), 0x0123);
	assert_in_range(be32_load(p + 6), 0x456789ab, 0x456789ab + 60000);
	tp_start(tp, 2, &c, CDB_(0, 0, 0, 0, 0, 0), 0, NULL, 0);
	tp_run(tp);
	assert_sense(&c, 0x6, 0x2a, 0x10);
	tp_exec(tp, &c, CDB_(0xa4, 0x0f, 0, 0, 0, 0, 0, 0, 0, 11, 0, 0), 0, list, 11);
	assert_sense(&c, 0x5, 0x1a, 0x00);
	tp_exec(tp, &c, CDB_(0xa4, 0x0f, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0), 0, NULL, 0);
	assert_good(&c);
}

/* ---- READ DEFECT DATA ---- */

static void test_defects(void **state)
{
	struct tp_conf conf = { 0 };
	TP_BOX(tp) = tp_new(&conf);
	TP_CMD(c);

	(void)state;
	tp_exec(tp, &c, CDB_(0x37, 0, 0x1d, 0, 0, 0, 0, 0, 255, 0), ROOM, NULL, 0);
	assert_good(&c);
	assert_int_equal(c.task.in_len, 4);
	assert_memory_equal(c.task.in_data, "\0\x1d\0\0", 4);
	tp_exec(tp, &c, CDB_(0xb7, 0x08, 0, 0, 0, 0, 0, 0, 0, 255, 0, 0), ROOM, NULL, 0);
	assert_good(&c);
	assert_int_equal(c.task.in_len, 8);
	assert_memory_equal(c.task.in_data, "\0\x08\0\0\0\0\0\0", 8);
	tp_exec(tp, &c, CDB_(0x37, 0, 0x07, 0, 0, 0, 0, 0, 255, 0), ROOM, NULL, 0);
	assert_field(&c, 2, 2);
	tp_exec(tp, &c, CDB_(0xb7, 0x07, 0, 0, 0, 0, 0, 0, 0, 255, 0, 0), ROOM, NULL, 0);
	assert_field(&c, 1, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_log_pages),
		cmocka_unit_test(test_log_provisioning),
		cmocka_unit_test(test_log_provisioning_of_a_file),
		cmocka_unit_test(test_self_test),
		cmocka_unit_test(test_self_test_fails),
		cmocka_unit_test(test_diagnostic_pages),
		cmocka_unit_test(test_buffer_data),
		cmocka_unit_test(test_buffer_echo),
		cmocka_unit_test(test_buffer_wrong),
		cmocka_unit_test(test_timestamp),
		cmocka_unit_test(test_defects),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
