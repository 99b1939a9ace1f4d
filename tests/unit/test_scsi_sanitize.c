/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SANITIZE: what is overwritten and erased, who is kept off meanwhile, and what is left when it
 * fails, is aborted or does not end.
 */
#include "tests/unit/scsi_testport.h"

#include "common/own.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#define BLOCKS 8192u /* four pieces */

static struct tp *box_new(const char *layer, const char *options)
{
	struct tp_conf conf = {
		.blocks = BLOCKS, .thin = true, .layer = layer, .options = options
	};

	return tp_new(&conf);
}

static void overwrite(struct tp *tp, struct tp_cmd *c, uint8_t flags, uint8_t head, uint16_t len,
	const void *pattern)
{
	static uint8_t list[600];

	list[0] = head;
	be16_store(list + 2, len);
	memcpy(list + 4, pattern, len);
	tp_start(tp, 0, c,
		CDB_(0x48, flags | 1, 0, 0, 0, 0, 0, (uint8_t)((len + 4) >> 8), (uint8_t)(len + 4),
			0),
		0, list, len + 4u);
}

static void ready(struct tp *tp, struct tp_cmd *c, unsigned n)
{
	tp_start(tp, n, c, CDB_(0, 0, 0, 0, 0, 0), 0, NULL, 0);
	tp_run(tp);
}

static void assert_all(struct tp *tp, struct tp_cmd *c, const uint8_t *block)
{
	for (uint32_t lba = 0; lba < BLOCKS; lba += 64) {
		tp_read10(tp, c, lba, 64);
		for (unsigned i = 0; i < 64; i++)
			assert_memory_equal(c->task.in_data + i * 512, block, 512);
	}
}

static void test_overwrite(void **state)
{
	TP_BOX(tp) = box_new(NULL, NULL);
	uint8_t block[512];
	TP_CMD(c);
	TP_CMD(other);

	(void)state;
	overwrite(tp, &c, 0, 0x01, 3, "abc");
	tp_run(tp);
	assert_int_equal(c.done, 0);
	ready(tp, &other, 2); /* on another loop */
	assert_sense(&other, 0x2, 0x04, 0x1b);
	assert_int_equal(other.task.sense[15], 0x80); /* SKSV, and the progress */
	assert_true(be16_load(other.task.sense + 16) < 0xffff);
	tp_start(tp, 1, &other, CDB_(0x03, 0, 0, 0, 18, 0), 18, NULL, 0);
	tp_run(tp);
	assert_good(&other);
	assert_memory_equal(other.task.in_data + 12, "\x04\x1b", 2);
	tp_start(tp, 1, &other, CDB_(0x12, 0, 0, 0, 96, 0), 96, NULL, 0);
	tp_run(tp);
	assert_good(&other);
	overwrite(tp, &other, 0, 0x01, 3, "xyz"); /* one at a time */
	tp_run(tp);
	assert_sense(&other, 0x2, 0x04, 0x1b);
	tp_advance(tp, 200);
	assert_good(&c);
	for (unsigned i = 0; i < sizeof block; i++)
		block[i] = (uint8_t) "abc"[i % 3];
	assert_all(tp, &c, block);
}

static void test_passes_inverted(void **state)
{
	TP_BOX(tp) = box_new(NULL, NULL);
	uint8_t block[512];
	TP_CMD(c);

	(void)state;
	overwrite(tp, &c, 0x80, 0x82, 1, "\x0f"); /* two passes, the second inverted */
	tp_run(tp);
	assert_good(&c); /* IMMED */
	ready(tp, &c, 0);
	assert_sense(&c, 0x2, 0x04, 0x1b);
	tp_advance(tp, 300);
	ready(tp, &c, 0);
	assert_good(&c);
	memset(block, 0xf0, sizeof block);
	assert_all(tp, &c, block);
}

static void test_erase(void **state)
{
	TP_BOX(tp) = box_new(NULL, NULL);
	uint8_t block[512];
	TP_CMD(c);

	(void)state;
	tp_fill(block, sizeof block, 1);
	tp_write10(tp, &c, 77, 1, block);
	tp_exec(tp, &c, CDB_(0x48, 2, 0, 0, 0, 0, 0, 0, 0, 0), 0, NULL, 0);
	assert_good(&c);
	memset(block, 0, sizeof block);
	assert_all(tp, &c, block);
}

static void test_wrong(void **state)
{
	TP_BOX(tp) = box_new(NULL, NULL);
	uint8_t list[600] = { 0 };
	TP_CMD(c);

	(void)state;
	tp_exec(tp, &c, CDB_(0x48, 3, 0, 0, 0, 0, 0, 0, 0, 0), 0, NULL, 0); /* no keys */
	assert_field(&c, 1, 4);
	tp_exec(tp, &c, CDB_(0x48, 0x42, 0, 0, 0, 0, 0, 0, 0, 0), 0, NULL, 0); /* ZNR */
	assert_field(&c, 1, 6);
	tp_exec(tp, &c, CDB_(0x48, 2, 0, 0, 0, 0, 0, 0, 8, 0), 0, list, 8);
	assert_field(&c, 7, 7);
	tp_exec(tp, &c, CDB_(0x48, 1, 0, 0, 0, 0, 0, 0, 4, 0), 0, list, 4);
	assert_field(&c, 7, 7);
	tp_exec(tp, &c, CDB_(0x48, 1, 0, 0, 0, 0, 0, 2, 5, 0), 0, list, 517);
	assert_field(&c, 7, 7);
	overwrite(tp, &c, 0, 0x00, 4, "abcd"); /* no pass */
	tp_run(tp);
	assert_field(&c, 7, 7);
	overwrite(tp, &c, 0, 0x21, 4, "abcd"); /* TEST */
	tp_run(tp);
	assert_list_field(&c, 0, 6);
	tp_exec(tp, &c, CDB_(0x48, 0x1f, 0, 0, 0, 0, 0, 0, 0, 0), 0, NULL, 0); /* no failure */
	assert_field(&c, 1, 4);
	ready(tp, &c, 0);
	assert_good(&c);
}

/* The command goes, the operation stays: SBC-3 4.11.2. */
static void test_aborted(void **state)
{
	TP_BOX(tp) = box_new(NULL, NULL);
	uint8_t block[512];
	TP_CMD(c);
	TP_CMD(other);

	(void)state;
	overwrite(tp, &c, 0, 0x01, 1, "x");
	tp_run(tp);
	tp_close_nexus(tp, 0);
	tp_run(tp);
	tp_advance(tp, 20);
	assert_int_equal(c.done, 1);
	assert_true(c.task.aborted);
	assert_false(tp->open[0]);
	ready(tp, &other, 1);
	assert_sense(&other, 0x2, 0x04, 0x1b);
	tp_advance(tp, 200);
	tp_open_nexus(tp, 0);
	for (unsigned i = 0; i < tp->nexus[0].itl_count; i++)
		tp->nexus[0].itl[i].ua_count = 0;
	memset(block, 'x', sizeof block);
	assert_all(tp, &c, block);
}

static void test_failure(void **state)
{
	TP_BOX(tp) = box_new("error", "op=write count=1");
	TP_CMD(c);

	(void)state;
	overwrite(tp, &c, 0, 0x01, 1, "x");
	tp_advance(tp, 200);
	assert_sense(&c, 0x3, 0x31, 0x03);
	ready(tp, &c, 1);
	assert_sense(&c, 0x3, 0x31, 0x03);
	tp_exec(tp, &c, CDB_(0x48, 0x1f, 0, 0, 0, 0, 0, 0, 0, 0), 0, NULL,
		0); /* AUSE was not set */
	assert_field(&c, 1, 4);
	overwrite(tp, &c, 0, 0x01, 1, "y"); /* another one helps */
	tp_advance(tp, 200);
	assert_good(&c);
	ready(tp, &c, 1);
	assert_good(&c);
}

static void test_exit_failure(void **state)
{
	TP_BOX(tp) = box_new("error", "op=write count=1");
	TP_CMD(c);

	(void)state;
	overwrite(tp, &c, 0x20, 0x01, 1, "x"); /* AUSE */
	tp_advance(tp, 200);
	assert_sense(&c, 0x3, 0x31, 0x03);
	tp_exec(tp, &c, CDB_(0x48, 0x1f, 0, 0, 0, 0, 0, 0, 0, 0), 0, NULL, 0);
	assert_good(&c);
	ready(tp, &c, 1);
	assert_good(&c);
}

/* A write whose data come late does not land in what is wiped. */
static void test_late_write(void **state)
{
	TP_BOX(tp) = box_new(NULL, NULL);
	uint8_t block[512] = { 1 };
	TP_CMD(c);
	struct tp_cmd late __attribute__((cleanup(tp_clean))) = { .hold_data = true };

	(void)state;
	tp_start(tp, 2, &late, CDB_(0x2a, 0, 0, 0, 0, 9, 0, 0, 1, 0), 0, block, 512);
	tp_run(tp);
	overwrite(tp, &c, 0, 0x01, 1, "x");
	tp_run(tp);
	tp_give(&late);
	tp_advance(tp, 200);
	assert_sense(&late, 0x2, 0x04, 0x1b);
	assert_good(&c);
	memset(block, 'x', sizeof block);
	assert_all(tp, &c, block);
}

/* ---- CRYPTOGRAPHIC ERASE ---- */

struct keyed {
	char dir[64], key[80], options[96];
	struct tp *tp;
};

static void key_write(const char *path)
{
	own_fd int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	uint8_t bytes[64];

	for (unsigned i = 0; i < sizeof bytes; i++)
		bytes[i] = (uint8_t)(i * 41 + 7);
	own_assert(fd >= 0 && write(fd, bytes, sizeof bytes) == sizeof bytes);
}

static void keyed_open(struct keyed *k)
{
	snprintf(k->dir, sizeof k->dir, "/dev/shm/kura-sanitize-XXXXXX");
	own_assert(mkdtemp(k->dir));
	snprintf(k->key, sizeof k->key, "%s/key", k->dir);
	snprintf(k->options, sizeof k->options, "key=%s", k->key);
	key_write(k->key);
	k->tp = box_new("crypt", k->options);
}

static void keyed_close(struct keyed *k)
{
	if (k->tp)
		tp_free(k->tp);
	unlink(k->key);
	rmdir(k->dir);
}

#define KEYED(name) struct keyed name __attribute__((cleanup(keyed_close))) = { .tp = NULL }

static void crypto_erase(struct tp *tp, struct tp_cmd *c, uint8_t flags)
{
	tp_start(tp, 0, c, CDB_(0x48, flags | 3, 0, 0, 0, 0, 0, 0, 0, 0), 0, NULL, 0);
}

/* What was written is gone, what was never written reads as zero, and the key file has changed. */
static void test_crypto(void **state)
{
	KEYED(k);
	uint8_t block[512], zero[512] = { 0 };
	TP_CMD(c);

	(void)state;
	keyed_open(&k);
	tp_fill(block, sizeof block, 1);
	tp_write10(k.tp, &c, 77, 1, block);
	assert_good(&c);
	tp_read10(k.tp, &c, 77, 1);
	assert_memory_equal(c.task.in_data, block, sizeof block);
	crypto_erase(k.tp, &c, 0);
	tp_run(k.tp);
	assert_good(&c);
	tp_read10(k.tp, &c, 77, 1);
	assert_good(&c);
	assert_memory_not_equal(c.task.in_data, block, sizeof block);
	assert_memory_not_equal(c.task.in_data, zero, sizeof zero);
	tp_read10(k.tp, &c, 78, 1);
	assert_memory_equal(c.task.in_data, zero, sizeof zero);
	tp_write10(k.tp, &c, 77, 1, block);
	tp_read10(k.tp, &c, 77, 1);
	assert_memory_equal(c.task.in_data, block, sizeof block);
}

static void test_crypto_told(void **state)
{
	KEYED(k);
	TP_CMD(c);

	(void)state;
	keyed_open(&k);
	tp_exec(k.tp, &c, CDB_(0xa3, 0x0c, 3, 0x48, 0, 3, 0, 0, 0, 64, 0, 0), 64, NULL, 0);
	assert_good(&c);
	assert_memory_equal(c.task.in_data, "\x00\x03\x00\x0a\x48\xa3", 6);
	tp_exec(k.tp, &c, CDB_(0x12, 1, 0xb1, 0, 64, 0), 64, NULL, 0);
	assert_int_equal(c.task.in_data[7], 0x50); /* WABEREQ and WACEREQ 01b */
}

static void test_crypto_not_there(void **state)
{
	TP_BOX(tp) = box_new(NULL, NULL);
	TP_CMD(c);

	(void)state;
	tp_exec(tp, &c, CDB_(0xa3, 0x0c, 3, 0x48, 0, 3, 0, 0, 0, 64, 0, 0), 64, NULL, 0);
	assert_int_equal(c.task.in_data[1], 0x01);
	tp_exec(tp, &c, CDB_(0x12, 1, 0xb1, 0, 64, 0), 64, NULL, 0);
	assert_int_equal(c.task.in_data[7], 0x40);
	tp_exec(tp, &c, CDB_(0x48, 3, 0, 0, 0, 0, 0, 0, 0, 0), 0, NULL, 0);
	assert_field(&c, 1, 4);
}

static void test_crypto_wrong(void **state)
{
	KEYED(k);
	uint8_t list[8] = { 0 }, block[512];
	TP_CMD(c);

	(void)state;
	keyed_open(&k);
	tp_fill(block, sizeof block, 2);
	tp_write10(k.tp, &c, 5, 1, block);
	tp_exec(k.tp, &c, CDB_(0x48, 3, 0, 0, 0, 0, 0, 0, 8, 0), 0, list, sizeof list);
	assert_field(&c, 7, 7);
	tp_exec(k.tp, &c, CDB_(0x48, 0x43, 0, 0, 0, 0, 0, 0, 0, 0), 0, NULL, 0); /* ZNR */
	assert_field(&c, 1, 6);
	tp_read10(k.tp, &c, 5, 1);
	assert_memory_equal(c.task.in_data, block, sizeof block);
}

/* The folder of the key takes no new file: nothing is erased, and nobody is told that it was. */
static void test_crypto_failure(void **state)
{
	KEYED(k);
	char in_the_way[96];
	TP_CMD(c);

	(void)state;
	keyed_open(&k);
	snprintf(in_the_way, sizeof in_the_way, "%s.kura-new", k.key);
	assert_int_equal(mkdir(in_the_way, 0700), 0);
	crypto_erase(k.tp, &c, 0x20); /* AUSE */
	tp_run(k.tp);
	assert_sense(&c, 0x3, 0x31, 0x03);
	ready(k.tp, &c, 2);
	assert_sense(&c, 0x3, 0x31, 0x03);
	tp_exec(k.tp, &c, CDB_(0x48, 0x1f, 0, 0, 0, 0, 0, 0, 0, 0), 0, NULL, 0);
	assert_good(&c);
	crypto_erase(k.tp, &c, 0);
	tp_run(k.tp);
	assert_sense(&c, 0x3, 0x31, 0x03);
	rmdir(in_the_way);
	crypto_erase(k.tp, &c, 0); /* another one helps */
	tp_run(k.tp);
	assert_good(&c);
	ready(k.tp, &c, 2);
	assert_good(&c);
}

/* A write whose data come late does not land, under whatever key; IMMED answers at once. */
static void test_crypto_late_write(void **state)
{
	KEYED(k);
	uint8_t block[512] = { 1 }, zero[512] = { 0 };
	TP_CMD(c);
	struct tp_cmd late __attribute__((cleanup(tp_clean))) = { .hold_data = true };

	(void)state;
	keyed_open(&k);
	tp_start(k.tp, 2, &late, CDB_(0x2a, 0, 0, 0, 0, 9, 0, 0, 1, 0), 0, block, 512);
	tp_run(k.tp);
	sim_io_delay(k.tp->loop[0], 10); /* the slow lane is slow */
	crypto_erase(k.tp, &c, 0x80);
	tp_run(k.tp);
	tp_give(&late);
	tp_run(k.tp);
	assert_sense(&late, 0x2, 0x04, 0x1b);
	tp_advance(k.tp, 100);
	sim_io_delay(k.tp->loop[0], 0);
	assert_good(&c);
	tp_read10(k.tp, &c, 9, 1);
	assert_good(&c);
	assert_memory_equal(c.task.in_data, zero, sizeof zero);
}

/* The server ends: the operation stops, and the state does not pretend that it is over. */
static void test_stop(void **state)
{
	TP_BOX(tp) = box_new(NULL, NULL);
	TP_CMD(c);

	(void)state;
	overwrite(tp, &c, 0x80, 0x01, 1, "x");
	tp_run(tp);
	assert_good(&c);
	assert_false(scsi_lun_stop(tp->lun));
	tp_advance(tp, 40);
	assert_true(scsi_lun_stop(tp->lun));
	assert_true(tp->lun->sanitize & SANITIZE_RUNNING);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_overwrite),
		cmocka_unit_test(test_passes_inverted),
		cmocka_unit_test(test_erase),
		cmocka_unit_test(test_wrong),
		cmocka_unit_test(test_aborted),
		cmocka_unit_test(test_failure),
		cmocka_unit_test(test_exit_failure),
		cmocka_unit_test(test_late_write),
		cmocka_unit_test(test_crypto),
		cmocka_unit_test(test_crypto_told),
		cmocka_unit_test(test_crypto_not_there),
		cmocka_unit_test(test_crypto_wrong),
		cmocka_unit_test(test_crypto_failure),
		cmocka_unit_test(test_crypto_late_write),
		cmocka_unit_test(test_stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
