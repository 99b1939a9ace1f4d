/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/copy_rig.h"

#include "common/own.h"

static uint8_t data[1u << 20];

/* ---- a box with two units ---- */

static void reopen(struct tp *tp, void (*change)(struct rig *r), struct rig *r)
{
	for (unsigned n = 0; n < TP_NEXUSES; n++)
		tp_close_nexus(tp, n);
	tp_run(tp);
	change(r);
	for (unsigned n = 0; n < TP_NEXUSES; n++) {
		tp_open_nexus(tp, n);
		for (unsigned i = 0; i < tp->nexus[n].itl_count; i++)
			tp->nexus[n].itl[i].ua_count = 0;
	}
}

static void map_second(struct rig *r)
{
	assert_int_equal(scsi_target_map(r->tp->target, SECOND, r->lun, r->readonly), 0);
}

static struct vol *second_vol(const struct tp_conf *conf)
{
	struct vol_layer_conf layer = { .kind = conf->layer, .options = conf->options };
	struct vol_conf vc = { .name = "second",
		.store = "mem",
		.size = (uint64_t)BLOCKS * (conf->block_size ? conf->block_size : 512),
		.block_size = conf->block_size,
		.uuid = "c0ffee01-1234-4321-8888-0123456789ab",
		.layers = &layer,
		.layer_count = conf->layer ? 1 : 0 };
	char why[256] = "";
	struct vol *vol = vol_open(&vc, why, sizeof why);

	if (!vol)
		fail_msg("vol_open: %s", why);
	return vol;
}

struct rig *rig_new(const struct tp_conf *first, const struct tp_conf *second)
{
	struct rig *r = own_calloc(1, sizeof *r);
	struct scsi_lun_conf lc = { .vendor = "KURA",
		.product = "TEST DISK",
		.revision = "0.1",
		.serial = "short",
		.thin = second->thin };

	r->tp = tp_new(first);
	r->readonly = second->readonly;
	lc.vol = r->vol = second_vol(second);
	r->lun = scsi_lun_new(r->tp->domain, &lc);
	for (unsigned i = 0; i < TP_LOOPS; i++) {
		tp_enter(r->tp, 2 * i);
		assert_int_equal(scsi_lun_open(r->lun, r->tp->loop[i]), 0);
	}
	reopen(r->tp, map_second, r);
	return r;
}

void rig_free(struct rig **r)
{
	struct tp *tp = (*r)->tp;

	for (unsigned n = 0; n < TP_NEXUSES; n++)
		tp_close_nexus(tp, n);
	tp_advance(tp, 60);
	for (unsigned i = 0; i < TP_LOOPS; i++) {
		tp_enter(tp, 2 * i);
		scsi_lun_close((*r)->lun, tp->loop[i]);
	}
	scsi_lun_free((*r)->lun);
	vol_close((*r)->vol);
	tp_free(tp);
	free(*r);
}

/* ---- parameter lists ---- */

void list_begin(struct rig *r, uint8_t id, uint8_t usage)
{
	memset(r->list, 0, sizeof r->list);
	r->list[0] = id;
	r->list[1] = (uint8_t)(usage << 3);
	r->at = 16;
	r->units = 0;
}

uint8_t *list_unit(struct rig *r, const struct scsi_lun *lun)
{
	uint8_t *d = r->list + r->at;

	d[0] = 0xe4;
	d[4] = 0x01;
	d[5] = 0x03;
	d[7] = lun->naa_len;
	memcpy(d + 8, lun->naa, lun->naa_len);
	be24_store(d + 29, lun->block_size);
	r->at += 32;
	r->units += 32;
	be16_store(r->list + 2, (uint16_t)r->units);
	return d;
}

uint8_t *list_segment(
	struct rig *r, uint16_t from, uint16_t to, uint16_t blocks, uint64_t src, uint64_t dst)
{
	uint8_t *d = r->list + r->at;

	d[0] = 0x02;
	be16_store(d + 2, 0x18);
	be16_store(d + 4, from);
	be16_store(d + 6, to);
	be16_store(d + 10, blocks);
	be64_store(d + 12, src);
	be64_store(d + 20, dst);
	r->at += 28;
	be32_store(r->list + 8, r->at - 16 - r->units);
	return d;
}

void both_units(struct rig *r, uint8_t id)
{
	list_begin(r, id, 0);
	list_unit(r, r->tp->lun);
	list_unit(r, r->lun);
}

void copy_start(struct rig *r, struct tp_cmd *c)
{
	uint8_t cdb[16] = { 0x83 };

	be32_store(cdb + 10, r->at);
	tp_start(r->tp, 0, c, cdb, 16, 0, r->list, r->at);
}

void copy_exec(struct rig *r, struct tp_cmd *c)
{
	copy_start(r, c);
	tp_run(r->tp);
	assert_int_equal(c->done, 1);
}

void copy_exec4(struct rig *r, struct tp_cmd *c, uint32_t id)
{
	uint8_t cdb[16] = { 0x83, 0x01 };
	uint32_t lists = r->at - 16;

	memmove(r->list + 48, r->list + 16, lists);
	memset(r->list, 0, 48);
	r->list[0] = 0x01;
	be16_store(r->list + 2, 0x20);
	r->list[16] = 0xff;
	be32_store(r->list + 20, id);
	be16_store(r->list + 42, (uint16_t)r->units);
	be16_store(r->list + 44, (uint16_t)(lists - r->units));
	r->at += 32;
	be32_store(cdb + 10, r->at);
	tp_exec(r->tp, c, cdb, 16, 0, r->list, r->at);
}

void at_lun(struct tp_cmd *c, uint8_t number)
{
	c->task.lun_field[1] = number;
}

void fill_disk(struct rig *r, uint8_t number, uint32_t lba, uint16_t blocks, unsigned seed)
{
	TP_CMD(c);

	at_lun(&c, number);
	tp_fill(data, (size_t)blocks * r->tp->bs, seed);
	tp_write10(r->tp, &c, lba, blocks, data);
	assert_good(&c);
}

void expect_disk(
	struct rig *r, uint8_t number, uint32_t lba, uint16_t blocks, unsigned seed, size_t off)
{
	TP_CMD(c);

	at_lun(&c, number);
	tp_read10(r->tp, &c, lba, blocks);
	assert_good(&c);
	tp_fill(data, off + (size_t)blocks * 512, seed);
	assert_memory_equal(c.task.in_data, data + off, (size_t)blocks * 512);
}

void expect_third(const struct tp_cmd *c, uint16_t code, uint16_t n, bool dest, uint8_t status,
	uint8_t key, uint8_t asc, uint8_t ascq)
{
	const uint8_t *s = c->task.sense;
	unsigned area = s[dest ? 9 : 8];

	assert_int_equal(c->task.status, SCSI_CHECK_CONDITION);
	assert_int_equal(s[2], 0x0a);
	assert_int_equal(be16_load(s + 12), code);
	assert_int_equal(be16_load(s + 10), n);
	assert_int_equal(s[dest ? 8 : 9], 0);
	assert_int_equal(area, 18);
	assert_int_equal(s[area], status);
	if (status != SCSI_CHECK_CONDITION)
		return;
	assert_int_equal(s[area + 1 + 2], key);
	assert_int_equal(s[area + 1 + 12], asc);
	assert_int_equal(s[area + 1 + 13], ascq);
	assert_int_equal(c->task.sense_len, s[7] + 8);
}
