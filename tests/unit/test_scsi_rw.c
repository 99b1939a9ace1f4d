/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commands that move or check blocks: READ, WRITE, VERIFY, WRITE AND VERIFY, WRITE SAME, UNMAP,
 * SYNCHRONIZE CACHE; with the volume in memory, in a file, failing, and out of buffers.
 */
#include "tests/unit/scsi_testport.h"

#include "common/own.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define BLOCKS_MAX 8u
static uint8_t data[BLOCKS_MAX * 4096], back[BLOCKS_MAX * 4096];

static const struct scsi_command *row(uint8_t opcode)
{
	bool has_actions;

	return scsi_command_find(opcode, 0, &has_actions);
}

static size_t make_cdb(uint8_t *cdb, uint8_t opcode, uint8_t flags, uint64_t lba, uint64_t blocks)
{
	const struct scsi_command *cmd = row(opcode);

	memset(cdb, 0, 16);
	cdb[0] = opcode;
	for (unsigned i = cmd->lba.width; i; i--, lba >>= 8)
		cdb[cmd->lba.byte + i - 1] = (uint8_t)lba;
	for (unsigned i = cmd->blocks.width; i; i--, blocks >>= 8)
		cdb[cmd->blocks.byte + i - 1] = (uint8_t)blocks;
	cdb[1] |= flags;
	return cmd->len;
}

/* A command with LBA and length; data-out of `out_len` bytes of data[], `in_room` of data-in. */
static void go(struct tp *tp, struct tp_cmd *c, uint8_t opcode, uint8_t flags, uint64_t lba,
	uint64_t blocks, uint32_t in_room, uint32_t out_len)
{
	uint8_t cdb[16];
	size_t len = make_cdb(cdb, opcode, flags, lba, blocks);

	tp_exec(tp, c, cdb, len, in_room, data, out_len);
}

static void check_blocks(struct tp *tp, uint32_t lba, uint16_t blocks, const void *expected)
{
	TP_CMD(c);

	tp_read10(tp, &c, lba, blocks);
	assert_memory_equal(c.task.in_data, expected, blocks * tp->bs);
}

static void test_every_read_and_write(void **state)
{
	static const uint8_t writes[] = { 0x0a, 0x2a, 0xaa, 0x8a },
			     reads[] = { 0x08, 0x28, 0xa8, 0x88 };
	static const uint32_t sizes[] = { 512, 4096 };

	(void)state;
	for (size_t s = 0; s < 2; s++) {
		struct tp_conf conf = { .block_size = sizes[s] };
		TP_BOX(tp) = tp_new(&conf);

		for (size_t i = 0; i < 4; i++) {
			uint32_t len = 3 * tp->bs;
			TP_CMD(w);
			TP_CMD(r);

			tp_fill(data, len, (unsigned)(s * 4 + i));
			w.pieces = (unsigned)i + 1;
			go(tp, &w, writes[i], 0, 10 * i, 3, 0, len);
			assert_good(&w);
			assert_int_equal(w.asked, len);
			assert_int_equal(w.task.want_out, len);
			go(tp, &r, reads[3 - i], 0, 10 * i, 3, len, 0);
			assert_good(&r);
			assert_int_equal(r.task.in_len, len);
			assert_int_equal(r.task.want_in, len);
			assert_memory_equal(r.task.in_data, data, len);
		}
	}
}

static void test_six_byte_length_zero_is_256(void **state)
{
	struct tp_conf conf = { 0 };
	TP_BOX(tp) = tp_new(&conf);
	TP_CMD(c);

	(void)state;
	go(tp, &c, 0x08, 0, 0x1fffff & 1792, 0, 256 * 512, 0);
	assert_good(&c);
	assert_int_equal(c.task.in_len, 256 * 512);
	go(tp, &c, 0x08, 0, 1793, 0, 256 * 512, 0);
	assert_sense(&c, 0x5, 0x21, 0x00);
	assert_info(&c, 2048);
}

static void test_zero_blocks(void **state)
{
	static const uint8_t opcodes[] = { 0x28, 0xa8, 0x88, 0x2a, 0xaa, 0x8a, 0x2f, 0xaf, 0x8f,
		0x2e, 0xae, 0x8e };
	struct tp_conf conf = { 0 };
	TP_BOX(tp) = tp_new(&conf);

	(void)state;
	for (size_t i = 0; i < sizeof opcodes; i++) {
		TP_CMD(c);

		go(tp, &c, opcodes[i], 0, 0, 0, 512, 512);
		assert_good(&c);
		assert_int_equal(c.task.in_len, 0);
		assert_int_equal(c.task.want_in, 0);
		assert_int_equal(c.task.want_out, 0);
		assert_int_equal(c.asked, 0);
	}
}

/* A unit is not free to go while an answer is sent from its volume's memory. */
static void test_lent_memory_is_waited_for(void **state)
{
	struct tp_conf conf = { 0 };
	TP_BOX(tp) = tp_new(&conf);
	TP_CMD(c);

	(void)state;
	assert_true(scsi_lun_stop(tp->lun));
	c.lent = true;
	go(tp, &c, 0x28, 0, 0, 8, 8 * 512, 0);
	assert_good(&c);
	assert_null(c.task.in_buf);
	assert_false(scsi_lun_stop(tp->lun));
	tp_clean(&c);
	assert_true(scsi_lun_stop(tp->lun));
}

/* ---- residuals ---- */

static void test_read_into_less_and_more_room(void **state)
{
	struct tp_conf conf = { 0 };
	TP_BOX(tp) = tp_new(&conf);
	static const uint32_t rooms[] = { 0, 1, 200, 511, 512, 513, 1023, 1024, 1025, 10000 };
	TP_CMD(c);

	(void)state;
	tp_fill(data, 1024, 3);
	tp_write10(tp, &c, 5, 2, data);
	for (size_t i = 0; i < own_array_len(rooms); i++) {
		uint32_t come = rooms[i] < 1024 ? rooms[i] : 1024;

		go(tp, &c, 0x28, 0, 5, 2, rooms[i], 0);
		assert_good(&c);
		assert_int_equal(c.task.in_len, come);
		assert_int_equal(c.task.want_in, 1024);
		if (come)
			assert_memory_equal(c.task.in_data, data, come);
	}
}

static void write_with_room(struct tp *tp, uint8_t opcode, uint32_t room)
{
	uint32_t whole = (room < 1024 ? room : 1024) & ~511u;
	TP_CMD(c);

	memset(data, 'a', 2048);
	tp_write10(tp, &c, 7, 4, data);
	memset(data, 'b', sizeof data);
	go(tp, &c, opcode, 0, 7, 2, 0, room);
	assert_good(&c);
	assert_int_equal(c.task.want_out, 1024);
	assert_int_equal(c.asked, whole);
	memset(back, 'a', 2048);
	memset(back, 'b', whole);
	check_blocks(tp, 7, 4, back);
}

static void test_write_of_less_and_more_data(void **state)
{
	static const uint8_t opcodes[] = { 0x2a, 0xaa, 0x8a, 0x2e, 0xae, 0x8e };
	static const uint32_t rooms[] = { 0, 1, 200, 511, 512, 513, 1024, 2048, 10000 };
	struct tp_conf conf = { 0 };
	TP_BOX(tp) = tp_new(&conf);

	(void)state;
	for (size_t o = 0; o < sizeof opcodes; o++)
		for (size_t i = 0; i < own_array_len(rooms); i++)
			write_with_room(tp, opcodes[o], rooms[i]);
}

/* ---- data-out that does not come ---- */

static void test_data_errors(void **state)
{
	struct tp_conf conf = { 0 };
	TP_BOX(tp) = tp_new(&conf);
	TP_CMD(c);

	(void)state;
	c.data_err = -EPROTO;
	go(tp, &c, 0x2a, 0, 0, 1, 0, 512);
	assert_sense(&c, 0xb, 0x0c, 0x0d);
	c.data_err = -EREMOTEIO;
	go(tp, &c, 0x2a, 0, 0, 1, 0, 512);
	assert_sense(&c, 0xb, 0x0c, 0x0c);
	c.data_err = -EBADMSG;
	go(tp, &c, 0x2a, 0, 0, 1, 0, 512);
	assert_sense(&c, 0xb, 0x47, 0x05);
	c.data_err = -ECANCELED;
	tp_start(tp, 0, &c, CDB_(0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0), 0, data, 512);
	tp_run(tp);
	assert_int_equal(c.done, 1);
	assert_true(c.task.aborted);
}

/* ---- VERIFY ---- */

static void test_verify(void **state)
{
	static const uint8_t opcodes[] = { 0x2f, 0xaf, 0x8f };
	struct tp_conf conf = { 0 };
	TP_BOX(tp) = tp_new(&conf);
	TP_CMD(c);

	(void)state;
	tp_fill(data, 2048, 9);
	tp_write10(tp, &c, 100, 4, data);
	for (size_t i = 0; i < sizeof opcodes; i++) {
		go(tp, &c, opcodes[i], 0x00, 100, 4, 0, 0);
		assert_good(&c);
		assert_int_equal(c.task.want_out, 0);
		c.pieces = 3;
		go(tp, &c, opcodes[i], 0x02, 100, 4, 0, 2048);
		assert_good(&c);
		assert_int_equal(c.task.want_out, 2048);
		data[1500] ^= 1;
		go(tp, &c, opcodes[i], 0x02, 100, 4, 0, 2048);
		assert_sense(&c, 0xe, 0x1d, 0x00);
		assert_info(&c, 1500);
		go(tp, &c, opcodes[i], 0x02, 100, 4, 0,
			1024 + 10); /* the wrong byte does not come */
		assert_good(&c);
		assert_int_equal(c.asked, 1024);
		go(tp, &c, opcodes[i], 0x00, 100, 4, 0, 2048); /* nothing is compared */
		assert_good(&c);
		data[1500] ^= 1;
		go(tp, &c, opcodes[i], 0x04, 100, 4, 0, 2048); /* BYTCHK 10b */
		assert_field(&c, 1, 2);
	}
}

static void test_verify_one_block_many_times(void **state)
{
	struct tp_conf conf = { 0 };
	TP_BOX(tp) = tp_new(&conf);
	TP_CMD(c);

	(void)state;
	for (unsigned i = 0; i < 4; i++)
		tp_fill(data + 512 * i, 512, 1);
	tp_write10(tp, &c, 0, 4, data);
	go(tp, &c, 0x2f, 0x06, 0, 4, 0, 512);
	assert_good(&c);
	assert_int_equal(c.task.want_out, 512);
	go(tp, &c, 0x2f, 0x06, 0, 5, 0, 512);
	assert_sense(&c, 0xe, 0x1d, 0x00);
	assert_info(&c, 4 * 512);
}

static void test_verify_of_more_than_a_piece(void **state)
{
	struct tp_conf conf = { .blocks = 40000 };
	TP_BOX(tp) = tp_new(&conf);
	uint8_t *much = own_calloc(1, 6000 * 512);
	TP_CMD(c);

	(void)state;
	tp_fill(much, 6000 * 512, 4);
	tp_write10(tp, &c, 33, 6000, much);
	c.pieces = 5;
	tp_exec(tp, &c, CDB_(0x2f, 2, 0, 0, 0, 33, 0, 0x17, 0x70, 0), 0, much, 6000 * 512);
	assert_good(&c);
	much[5555 * 512 + 77] ^= 0x80;
	tp_exec(tp, &c, CDB_(0x2f, 2, 0, 0, 0, 33, 0, 0x17, 0x70, 0), 0, much, 6000 * 512);
	assert_sense(&c, 0xe, 0x1d, 0x00);
	assert_info(&c, 5555 * 512 + 77);
	go(tp, &c, 0x8f, 0, 0, 40000, 0,
		0); /* longer than a transfer may be: nothing is transferred */
	assert_good(&c);
	go(tp, &c, 0x8f, 2, 0, 40000, 0, 512);
	assert_field(&c, 10, 7);
	free(much);
}

static void test_write_and_verify(void **state)
{
	static const uint8_t opcodes[] = { 0x2e, 0xae, 0x8e };
	struct tp_conf conf = { 0 };
	TP_BOX(tp) = tp_new(&conf);
	TP_CMD(c);

	(void)state;
	for (size_t i = 0; i < sizeof opcodes; i++) {
		for (uint8_t check = 0; check < 2; check++) {
			tp_fill(data, 2048, (unsigned)i * 2 + check);
			c.pieces = 4;
			go(tp, &c, opcodes[i], (uint8_t)(check << 1), 40, 4, 0, 2048);
			assert_good(&c);
			check_blocks(tp, 40, 4, data);
		}
		go(tp, &c, opcodes[i], 0x04, 40, 4, 0, 2048);
		assert_field(&c, 1, 2);
		go(tp, &c, opcodes[i], 0x06, 40, 4, 0, 2048);
		assert_field(&c, 1, 2);
	}
}

/* ---- WRITE SAME and UNMAP ---- */

static void test_write_same(void **state)
{
	static const uint8_t opcodes[] = { 0x41, 0x93 };
	static const uint32_t sizes[] = { 512, 4096 };

	(void)state;
	for (size_t s = 0; s < 4; s++) {
		struct tp_conf conf = { .block_size = sizes[s / 2], .thin = true };
		TP_BOX(tp) = tp_new(&conf);
		uint8_t op = opcodes[s % 2];
		TP_CMD(c);

		tp_fill(data, tp->bs, 5);
		go(tp, &c, op, 0, 10, 2000, 0, tp->bs); /* more than a piece */
		assert_good(&c);
		assert_int_equal(c.task.want_out, tp->bs);
		check_blocks(tp, 10, 1, data);
		check_blocks(tp, 1111, 1, data);
		check_blocks(tp, 2009, 1, data);
		memset(back, 0, tp->bs);
		check_blocks(tp, 9, 1, back);
		check_blocks(tp, 2010, 1, back);
		memset(data, 0, tp->bs);
		go(tp, &c, op, 0x08, 500, 3, 0, tp->bs); /* UNMAP, zeroes */
		assert_good(&c);
		check_blocks(tp, 502, 1, back);
		tp_fill(data, tp->bs, 6);
		go(tp, &c, op, 0x08, 500, 3, 0, tp->bs); /* UNMAP, and not zeroes */
		assert_good(&c);
		check_blocks(tp, 502, 1, data);
		go(tp, &c, op, 0, 2040, 0, 0, tp->bs); /* to the end */
		assert_good(&c);
		check_blocks(tp, 2039, 1, back);
		check_blocks(tp, 2040, 1, data);
		check_blocks(tp, 2047, 1, data);
		go(tp, &c, op, 0, 2048, 0, 0, tp->bs); /* nothing is left */
		assert_good(&c);
		assert_int_equal(c.asked, 0);
		go(tp, &c, op, 0, 0, 1, 0, tp->bs / 2);
		assert_field(&c, row(op)->blocks.byte, 7);
		go(tp, &c, op, 0, 0, 1, 0, tp->bs * 2);
		assert_field(&c, row(op)->blocks.byte, 7);
		go(tp, &c, op, 0x10, 0, 1, 0, tp->bs); /* ANCHOR */
		assert_field(&c, 1, 4);
	}
}

static void test_write_same_without_data(void **state)
{
	struct tp_conf conf = { 0 };
	TP_BOX(tp) = tp_new(&conf);
	TP_CMD(c);

	(void)state;
	tp_fill(data, 1024, 5);
	tp_write10(tp, &c, 10, 2, data);
	go(tp, &c, 0x93, 0x01, 11, 1, 0, 0); /* NDOB */
	assert_good(&c);
	assert_int_equal(c.task.want_out, 0);
	memset(data + 512, 0, 512);
	check_blocks(tp, 10, 2, data);
	go(tp, &c, 0x93, 0x09, 11, 1, 0, 0); /* UNMAP where it is not offered */
	assert_field(&c, 1, 3);
	go(tp, &c, 0x41, 0x01, 11, 1, 0, 0); /* no NDOB here */
	assert_field(&c, 1, 0);
}

static void unmap_descriptor(unsigned i, uint64_t lba, uint32_t blocks)
{
	be64_store(data + 8 + 16 * i, lba);
	be32_store(data + 16 + 16 * i, blocks);
	memset(data + 20 + 16 * i, 0, 4);
	be16_store(data, (uint16_t)(6 + 16 * (i + 1)));
	be16_store(data + 2, (uint16_t)(16 * (i + 1)));
	memset(data + 4, 0, 4);
}

static void unmap(struct tp *tp, struct tp_cmd *c, uint16_t len, uint32_t room)
{
	uint8_t cdb[10] = { 0x42 };

	be16_store(cdb + 7, len);
	tp_exec(tp, c, cdb, sizeof cdb, 0, data, room);
}

static void test_unmap(void **state)
{
	struct tp_conf conf = { .thin = true };
	TP_BOX(tp) = tp_new(&conf);
	TP_CMD(c);

	(void)state;
	tp_fill(data, 8192, 8);
	tp_write10(tp, &c, 0, 16, data);
	unmap_descriptor(0, 0, 8);
	unmap_descriptor(1, 3, 0); /* nothing: no error */
	unmap_descriptor(2, 8, 1);
	c.pieces = 3;
	unmap(tp, &c, 8 + 48, 8 + 48);
	assert_good(&c);
	assert_int_equal(c.task.want_out, 56);
	memset(back, 0, 9 * 512);
	check_blocks(tp, 0, 9, back);
	tp_fill(data, 8192, 8);
	check_blocks(tp, 9, 7, data + 9 * 512);
}

static void test_unmap_lists_that_are_wrong(void **state)
{
	struct tp_conf conf = { .thin = true };
	TP_BOX(tp) = tp_new(&conf);
	TP_CMD(c);

	(void)state;
	unmap(tp, &c, 0, 0);
	assert_good(&c);
	assert_int_equal(c.asked, 0);
	for (uint16_t len = 1; len < 8; len++) {
		unmap(tp, &c, len, 64);
		assert_sense(&c, 0x5, 0x1a, 0x00);
		unmap(tp, &c, 24, len);
		assert_sense(&c, 0x5, 0x1a, 0x00);
	}
	unmap_descriptor(0, 0, 8);
	unmap(tp, &c, 23, 23); /* the descriptor is cut off */
	assert_sense(&c, 0x5, 0x1a, 0x00);
	be16_store(data + 2, 15); /* less than one descriptor: none */
	unmap(tp, &c, 24, 24);
	assert_good(&c);
	be16_store(data + 2, 0);
	unmap(tp, &c, 8, 8);
	assert_good(&c);
	be16_store(data + 2, 0xfff0);
	unmap(tp, &c, 8, 8);
	assert_sense(&c, 0x5, 0x1a, 0x00);
	unmap_descriptor(0, 2047, 1);
	unmap_descriptor(1, 2047, 2);
	unmap(tp, &c, 40, 40);
	assert_sense(&c, 0x5, 0x21, 0x00);
	assert_info(&c, 2048);
	unmap_descriptor(0, UINT64_MAX, UINT32_MAX);
	unmap(tp, &c, 24, 24);
	assert_sense(&c, 0x5, 0x21, 0x00);
	for (unsigned i = 0; i < 257; i++)
		unmap_descriptor(i, i, 1);
	unmap(tp, &c, 8 + 16 * 257, 8 + 16 * 257);
	assert_list_field(&c, 2, 7);
	be16_store(data + 2, 16 * 256);
	unmap(tp, &c, 8 + 16 * 257, 8 + 16 * 257);
	assert_good(&c);
}

static void test_unmap_and_write_same_beyond_the_limits(void **state)
{
	struct tp_conf conf = { .thin = true, .blocks = 3 << 20 };
	TP_BOX(tp) = tp_new(&conf);
	TP_CMD(c);

	(void)state;
	unmap_descriptor(0, 0, 1 << 20);
	unmap(tp, &c, 24, 24);
	assert_good(&c);
	unmap_descriptor(1, 1 << 20, 1);
	unmap(tp, &c, 40, 40);
	assert_list_field(&c, 8 + 16 + 8, 7);
	memset(data, 0, 512);
	go(tp, &c, 0x93, 0x08, 0, 0xffff, 0, 512);
	assert_good(&c);
	go(tp, &c, 0x93, 0x08, 0, 0x10000, 0, 512);
	assert_field(&c, 10, 7);
	go(tp, &c, 0x93, 0x08, 0, 0, 0, 512); /* to the end is too many as well */
	assert_field(&c, 10, 7);
	go(tp, &c, 0x93, 0x08, (3 << 20) - 0xffff, 0, 0, 512);
	assert_good(&c);
}

/* ---- a volume with a cache: FLUSH and FUA really happen ---- */

static char *scratch_file(void)
{
	const char *dir = getenv("TMPDIR");
	char *path = own_printf("%s/kura-scsi-XXXXXX", dir ? dir : "/tmp");
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	close(fd);
	return path;
}

static void remove_scratch(char **path)
{
	char *lock = own_printf("%s.kura", *path);

	unlink(*path);
	unlink(lock);
	free(lock);
	free(*path);
}

/* Runs a command with every request to the file held, and names them: R, W, S (fdatasync), w (a
 * write that is durable by itself). */
static const char *requests(struct tp *tp, struct tp_cmd *c, uint8_t opcode, uint8_t flags,
	uint64_t lba, uint64_t blocks, uint32_t in_room, uint32_t out_room)
{
	static char names[16];
	uint8_t cdb[16];
	size_t len = make_cdb(cdb, opcode, flags, lba, blocks), n = 0;
	struct loop_io *io;

	sim_io_hold(tp->loop[0], true);
	tp_start(tp, 0, c, cdb, len, in_room, data, out_room);
	tp_run(tp);
	while (!c->done && n < sizeof names - 1) {
		io = sim_io_nth(tp->loop[0], 0);
		assert_non_null(io);
		names[n++] = io->op == LOOP_IO_READ       ? 'R'
			     : io->op == LOOP_IO_DATASYNC ? 'S'
			     : io->op == LOOP_IO_WRITE    ? (io->flags ? 'w' : 'W')
							  : '?';
		sim_io_complete(tp->loop[0], io, SIM_IO_DO);
		tp_run(tp);
	}
	names[n] = 0;
	sim_io_hold(tp->loop[0], false);
	assert_good(c);
	return names;
}

static void test_cache_is_told_truthfully(void **state)
{
	char *path __attribute__((cleanup(remove_scratch))) = scratch_file();
	struct tp_conf conf = { .path = path };
	TP_BOX(tp) = tp_new(&conf);
	TP_CMD(c);

	(void)state;
	assert_true(vol_info(tp->vol).caps & VOL_HAS_CACHE);
	tp_fill(data, 1024, 2);
	assert_string_equal(requests(tp, &c, 0x2a, 0x00, 0, 2, 0, 1024), "W");
	assert_string_equal(requests(tp, &c, 0x2a, 0x08, 0, 2, 0, 1024), "w");
	assert_string_equal(requests(tp, &c, 0x28, 0x00, 0, 2, 1024, 0), "R");
	assert_string_equal(requests(tp, &c, 0x28, 0x08, 0, 2, 1024, 0), "SR");
	assert_string_equal(requests(tp, &c, 0x28, 0x10, 0, 2, 1024, 0), "R"); /* DPO */
	assert_string_equal(requests(tp, &c, 0x2f, 0x00, 0, 2, 0, 0), "SR");
	assert_string_equal(requests(tp, &c, 0x2f, 0x02, 0, 2, 0, 1024), "SR");
	assert_string_equal(requests(tp, &c, 0x2e, 0x02, 0, 2, 0, 1024), "wR");
	assert_string_equal(requests(tp, &c, 0x35, 0x00, 0, 0, 0, 0), "S");
	assert_string_equal(requests(tp, &c, 0x91, 0x00, 5, 6, 0, 0), "S");
	assert_string_equal(requests(tp, &c, 0x35, 0x02, 0, 2048, 0, 0), "S"); /* IMMED */
	assert_string_equal(requests(tp, &c, 0x35, 0x00, 2048, 0, 0, 0), "");  /* nothing left */
	tp_exec(tp, &c, CDB_(0x1b, 0, 0, 0, 0, 0), 0, NULL, 0);
	assert_good(&c);
}

static void test_flush_that_fails_is_no_good(void **state)
{
	char *path __attribute__((cleanup(remove_scratch))) = scratch_file();
	struct tp_conf conf = { .path = path, .layer = "error", .options = "op=flush errno=EIO" };
	TP_BOX(tp) = tp_new(&conf);
	TP_CMD(c);

	(void)state;
	go(tp, &c, 0x35, 0, 0, 0, 0, 0);
	assert_sense(&c, 0x3, 0x0c, 0x00);
	assert_int_equal(c.task.sense[0], 0x70); /* no block is known to be the one */
	go(tp, &c, 0x2f, 0, 0, 1, 0, 0);
	assert_sense(&c, 0x3, 0x0c, 0x00);
	tp_exec(tp, &c, CDB_(0x1b, 0, 0, 0, 0, 0), 0, NULL, 0);
	assert_sense(&c, 0x3, 0x0c, 0x00);
}

/* ---- errno becomes sense ---- */

static void test_errors_of_the_volume(void **state)
{
	static const struct {
		const char *options;
		uint8_t read[3], write[3]; /* key, ASC, ASCQ */
	} rows[] = {
		{ "errno=EIO", { 0x3, 0x11, 0x00 }, { 0x3, 0x0c, 0x00 } },
		{ "errno=ENOSPC", { 0x7, 0x27, 0x07 }, { 0x7, 0x27, 0x07 } },
		{ "errno=EROFS", { 0x7, 0x27, 0x00 }, { 0x7, 0x27, 0x00 } },
		{ "errno=ENODEV", { 0x2, 0x04, 0x12 }, { 0x2, 0x04, 0x12 } },
		{ "errno=ETIMEDOUT", { 0xb, 0x2e, 0x02 }, { 0xb, 0x2e, 0x02 } },
		{ "errno=ECANCELED", { 0xb, 0x00, 0x00 }, { 0xb, 0x00, 0x00 } },
		{ "errno=EOPNOTSUPP", { 0x4, 0x44, 0x00 }, { 0x4, 0x44, 0x00 } },
	};

	(void)state;
	for (size_t i = 0; i < own_array_len(rows); i++) {
		struct tp_conf conf = { .layer = "error", .options = rows[i].options };
		TP_BOX(tp) = tp_new(&conf);
		TP_CMD(c);

		go(tp, &c, 0x28, 0, 9, 2, 1024, 0);
		assert_sense(&c, rows[i].read[0], rows[i].read[1], rows[i].read[2]);
		assert_int_equal(c.task.want_in, 0);
		if (i == 0)
			assert_info(&c, 9);
		go(tp, &c, 0x2a, 0, 9, 2, 0, 1024);
		assert_sense(&c, rows[i].write[0], rows[i].write[1], rows[i].write[2]);
		if (i == 0)
			assert_info(&c, 9);
	}
}

static void test_busy_volume(void **state)
{
	struct tp_conf conf = { .layer = "error", .options = "errno=ENOMEM" };
	TP_BOX(tp) = tp_new(&conf);
	TP_CMD(c);

	(void)state;
	go(tp, &c, 0x28, 0, 0, 1, 512, 0);
	assert_int_equal(c.task.status, SCSI_BUSY);
	assert_int_equal(c.task.sense_len, 0);
}

/* No room for more data: BUSY when the initiator has nothing else here, else TASK SET FULL. */
static void test_out_of_buffers(void **state)
{
	struct tp_conf conf = { .data_max = 64 << 10, .layer = "delay", .options = "ms=5 op=read" };
	TP_BOX(tp) = tp_new(&conf);
	TP_CMD(a);
	TP_CMD(b);

	(void)state;
	go(tp, &b, 0x28, 0, 0, 256, 256 * 512, 0);
	assert_int_equal(b.task.status, SCSI_BUSY);
	tp_start(tp, 0, &a, CDB_(0x28, 0, 0, 0, 0, 0, 0, 0, 128, 0), 128 * 512, NULL, 0);
	go(tp, &b, 0x28, 0, 0, 1, 512, 0);
	assert_int_equal(b.task.status, SCSI_TASK_SET_FULL);
	tp_exec(tp, &b, CDB_(0x12, 0, 0, 0, 96, 0), 96, NULL, 0);
	assert_int_equal(b.task.status, SCSI_TASK_SET_FULL);
	tp_advance(tp, 10);
	assert_good(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_read_and_write),
		cmocka_unit_test(test_six_byte_length_zero_is_256),
		cmocka_unit_test(test_zero_blocks),
		cmocka_unit_test(test_lent_memory_is_waited_for),
		cmocka_unit_test(test_read_into_less_and_more_room),
		cmocka_unit_test(test_write_of_less_and_more_data),
		cmocka_unit_test(test_data_errors),
		cmocka_unit_test(test_verify),
		cmocka_unit_test(test_verify_one_block_many_times),
		cmocka_unit_test(test_verify_of_more_than_a_piece),
		cmocka_unit_test(test_write_and_verify),
		cmocka_unit_test(test_write_same),
		cmocka_unit_test(test_write_same_without_data),
		cmocka_unit_test(test_unmap),
		cmocka_unit_test(test_unmap_lists_that_are_wrong),
		cmocka_unit_test(test_unmap_and_write_same_beyond_the_limits),
		cmocka_unit_test(test_cache_is_told_truthfully),
		cmocka_unit_test(test_flush_that_fails_is_no_good),
		cmocka_unit_test(test_errors_of_the_volume),
		cmocka_unit_test(test_busy_volume),
		cmocka_unit_test(test_out_of_buffers),
	};

	return cmocka_run_group_tests_name("scsi_rw", tests, NULL, NULL);
}
