/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/scsi_testport.h"

#include "common/own.h"

static struct tp *tp_of(const struct scsi_nexus *nexus, unsigned n)
{
	return container_of(nexus - n, struct tp, nexus[0]);
}

/* ---- the two functions of the port ---- */

static void give_now(struct tp_cmd *c)
{
	struct scsi_task *t = &c->task;
	uint32_t left = c->asked, part;
	unsigned pieces = c->pieces ? c->pieces : 1;

	t->out_iov = c->iov;
	t->out_iovcnt = 0;
	t->out_len = c->asked;
	t->out_buf = NULL;
	for (unsigned i = 0; i < pieces && left; i++) {
		part = i + 1 == pieces ? left : c->asked / pieces + 7 * (i % 2);
		part = part < left ? part : left;
		c->iov[i].iov_base = c->out + (c->asked - left);
		c->iov[i].iov_len = part;
		left -= part;
		t->out_iovcnt++;
	}
	scsi_task_data(t, c->data_err);
}

static void give_later(struct loop_hook *hook)
{
	give_now(container_of(hook, struct tp_cmd, later));
}

void tp_give(struct tp_cmd *c)
{
	tp_enter(c->tp, c->task.nexus == &c->tp->nexus[2] ? 2 : 0);
	assert_true(c->asked);
	give_now(c);
}

static void port_get_data(struct scsi_task *task, uint32_t len)
{
	struct tp_cmd *c = container_of(task, struct tp_cmd, task);

	assert_true(len > 0 && len <= task->out_room);
	assert_int_equal(c->asked, 0);
	c->asked = len;
	if (!c->hold_data)
		loop_turn_end(task->nexus->loop, &c->later);
}

static void port_done(struct scsi_task *task)
{
	struct tp_cmd *c = container_of(task, struct tp_cmd, task);

	assert_false(c->inside);
	assert_true(task->in_len <= task->in_room);
	assert_true(task->in_len <= task->want_in || task->aborted);
	loop_hook_cancel(&c->later);
	c->done++;
}

static const struct scsi_port_ops port_ops = { .get_data = port_get_data, .done = port_done };

/* ---- the box ---- */

static struct loop *tp_loop_new(const struct tp_conf *conf, unsigned index)
{
	struct loop_opts opts = {
		.engine = LOOP_ENGINE_SIM, .index = index, .data_max = conf->data_max, .cpu = -1
	};
	int err;
	struct loop *loop = loop_new(&opts, &err);

	assert_non_null(loop);
	return loop;
}

static struct vol *tp_vol_new(const struct tp_conf *conf)
{
	struct vol_layer_conf layer = { .kind = conf->layer, .options = conf->options };
	struct vol_conf vc = { .name = "test",
		.store = conf->path ? "file" : "mem",
		.path = conf->path,
		.block_size = conf->block_size,
		.physical_block_size = conf->physical,
		.uuid = "c0ffee00-1234-4321-8888-0123456789ab",
		.layers = &layer,
		.layer_count = conf->layer ? 1 : 0 };
	char why[256] = "";
	struct vol *vol;

	vc.size =
		(conf->blocks ? conf->blocks : 2048) * (conf->block_size ? conf->block_size : 512);
	vol = vol_open(&vc, why, sizeof why);
	if (!vol)
		fail_msg("vol_open: %s", why);
	return vol;
}

static void nexus_drained(struct scsi_nexus *nexus)
{
	unsigned n = nexus->initiator[strlen(nexus->initiator) - 1] - '1';
	struct tp *tp = tp_of(nexus, n);

	assert_int_equal(nexus->task_count, 0);
	tp->open[n] = false;
	tp->drained++;
}

void tp_enter(struct tp *tp, unsigned n)
{
	struct loop *loop = tp->loop[n == 2];

	if (loop_self() != loop)
		sim_turn(loop);
	assert_ptr_equal(loop_self(), loop);
}

void tp_open_nexus(struct tp *tp, unsigned n)
{
	char name[] = TP_INITIATOR;

	name[sizeof name - 2] = (char)('1' + n);
	scsi_nexus_open(&tp->nexus[n], tp->domain, tp->loop[n == 2], tp->target, name, &port_ops);
	tp->open[n] = true;
}

void tp_close_nexus(struct tp *tp, unsigned n)
{
	tp_enter(tp, n);
	scsi_nexus_close(&tp->nexus[n], nexus_drained);
}

struct tp *tp_new_fresh(const struct tp_conf *conf)
{
	struct tp *tp = own_calloc(1, sizeof *tp);
	struct scsi_lun_conf lc = { .vendor = "KURA",
		.product = "TEST DISK",
		.revision = "0.1",
		.state_dir = conf->state_dir,
		.removable = conf->removable,
		.thin = conf->thin };

	tp->conf = *conf;
	tp->bs = conf->block_size ? conf->block_size : 512;
	for (unsigned i = 0; i < TP_LOOPS; i++)
		tp->loop[i] = tp_loop_new(conf, i);
	tp->domain = scsi_domain_new(tp->loop, TP_LOOPS);
	lc.vol = tp->vol = tp_vol_new(conf);
	tp->lun = scsi_lun_new(tp->domain, &lc);
	tp->lun->info.caps |= conf->keyed ? VOL_CAN_REKEY : 0;
	for (unsigned i = 0; i < TP_LOOPS; i++)
		assert_int_equal(scsi_lun_open(tp->lun, tp->loop[i]), 0);
	tp->target = scsi_target_new(tp->domain, TP_TARGET, 1, 1);
	assert_int_equal(scsi_target_map(tp->target, 300, tp->lun, conf->readonly), 0);
	assert_int_equal(scsi_target_map(tp->target, 0, tp->lun, conf->readonly), 0);
	for (unsigned n = 0; n < TP_NEXUSES; n++)
		tp_open_nexus(tp, n);
	return tp;
}

struct tp *tp_new(const struct tp_conf *conf)
{
	struct tp *tp = tp_new_fresh(conf);

	for (unsigned n = 0; n < TP_NEXUSES; n++)
		for (unsigned i = 0; i < tp->nexus[n].itl_count; i++)
			tp->nexus[n].itl[i].ua_count = 0;
	return tp;
}

/* A turn of one loop may be followed by one of another, to which it has posted. */
void tp_run(struct tp *tp)
{
	bool busy = true;

	for (unsigned turns = 0; busy; turns++) {
		assert_true(turns < 10000);
		busy = false;
		for (unsigned i = 0; i < TP_LOOPS; i++)
			busy |= sim_turn(tp->loop[i]);
		for (unsigned i = 0; i < TP_LOOPS; i++)
			busy |= sim_next_timer_ms(tp->loop[i]) == 0;
	}
}

void tp_advance(struct tp *tp, uint32_t ms)
{
	tp_run(tp);
	for (; ms; ms--) {
		for (unsigned i = 0; i < TP_LOOPS; i++)
			sim_advance(tp->loop[i], 1);
		tp_run(tp);
	}
}

void tp_free(struct tp *tp)
{
	for (unsigned n = 0; n < TP_NEXUSES; n++)
		if (tp->open[n] && !tp->nexus[n].closing)
			tp_close_nexus(tp, n);
	tp_advance(tp, 10);
	for (unsigned n = 0; n < TP_NEXUSES; n++)
		assert_false(tp->open[n]);
	for (unsigned i = 0; i < TP_LOOPS; i++) {
		tp_enter(tp, 2 * i);
		scsi_lun_close(tp->lun, tp->loop[i]);
	}
	scsi_target_free(tp->target);
	scsi_lun_free(tp->lun);
	vol_close(tp->vol);
	scsi_domain_free(tp->domain);
	for (unsigned i = 0; i < TP_LOOPS; i++)
		loop_free(tp->loop[i]);
	free(tp);
}

/* ---- commands ---- */

void tp_clean(struct tp_cmd *c)
{
	if (c->done)
		scsi_task_release(&c->task);
	memset(c, 0, sizeof *c);
}

void tp_start(struct tp *tp, unsigned n, struct tp_cmd *c, const uint8_t *cdb, size_t len,
	uint32_t in_room, void *out, uint32_t out_room)
{
	struct scsi_task *t = &c->task;
	uint64_t tag = t->tag;
	uint8_t lun_field[8];

	memcpy(lun_field, t->lun_field, 8);
	if (c->done)
		scsi_task_release(t);
	scsi_task_init(t);
	t->tag = tag;
	memcpy(t->lun_field, lun_field, 8);
	t->attr = c->attr ? c->attr : SCSI_ATTR_SIMPLE;
	memcpy(t->cdb, cdb, len);
	t->cdb_len = len < 16 ? 16 : (uint16_t)len;
	t->in_room = in_room;
	t->in_lent = c->lent;
	t->out_room = out_room;
	c->tp = tp;
	c->out = out;
	c->asked = 0;
	c->done = 0;
	loop_hook_init(&c->later, give_later);
	tp_enter(tp, n);
	c->inside = true;
	scsi_task_submit(&tp->nexus[n], t);
	c->inside = false;
}

void tp_exec(struct tp *tp, struct tp_cmd *c, const uint8_t *cdb, size_t len, uint32_t in_room,
	void *out, uint32_t out_room)
{
	tp_start(tp, 0, c, cdb, len, in_room, out, out_room);
	tp_run(tp);
	assert_int_equal(c->done, 1);
	assert_false(c->task.aborted);
}

/* ---- what is expected ---- */

void tp_assert_good(const struct tp_cmd *c, const char *file, int line)
{
	const struct scsi_task *t = &c->task;

	if (c->done == 1 && t->status == SCSI_GOOD && !t->aborted && !t->sense_len)
		return;
	print_error("%s:%d: opcode %02x: done %u aborted %d status %02x sense %02x %02x/%02x\n",
		file, line, t->cdb[0], c->done, t->aborted, t->status, t->sense[2], t->sense[12],
		t->sense[13]);
	_fail(file, line);
}

void tp_assert_sense(
	const struct tp_cmd *c, uint8_t key, uint8_t asc, uint8_t ascq, const char *file, int line)
{
	const struct scsi_task *t = &c->task;

	if (c->done == 1 && t->status == SCSI_CHECK_CONDITION && t->sense_len == 18 &&
		(t->sense[0] & 0x7f) == 0x70 && t->sense[2] == key && t->sense[7] == 10 &&
		t->sense[12] == asc && t->sense[13] == ascq && t->in_len == 0)
		return;
	print_error("%s:%d: opcode %02x: done %u status %02x sense %u %02x %02x/%02x, not %02x "
		    "%02x/%02x\n",
		file, line, t->cdb[0], c->done, t->status, t->sense_len, t->sense[2], t->sense[12],
		t->sense[13], key, asc, ascq);
	_fail(file, line);
}

void tp_assert_field(
	const struct tp_cmd *c, bool cdb, unsigned byte, int bit, const char *file, int line)
{
	const uint8_t *sks = c->task.sense + 15;
	uint8_t first = (uint8_t)(0x80 | (cdb ? 0x40 : 0) | (bit < 0 ? 0 : 0x08 | bit));

	tp_assert_sense(c, SENSE_KEY_ILLEGAL_REQUEST, cdb ? 0x24 : 0x26, 0x00, file, line);
	if (sks[0] == first && be16_load(sks + 1) == byte)
		return;
	print_error("%s:%d: opcode %02x: field pointer %02x %u, not %02x %u\n", file, line,
		c->task.cdb[0], sks[0], be16_load(sks + 1), first, byte);
	_fail(file, line);
}

void tp_assert_info(const struct tp_cmd *c, uint32_t info, const char *file, int line)
{
	const uint8_t *sense = c->task.sense;

	if ((sense[0] & 0x80) && be32_load(sense + 3) == info)
		return;
	print_error("%s:%d: opcode %02x: information %02x %u, not %u\n", file, line, c->task.cdb[0],
		sense[0], be32_load(sense + 3), info);
	_fail(file, line);
}

/* ---- reads and writes ---- */

static void cdb10(uint8_t *cdb, uint8_t opcode, uint32_t lba, uint16_t blocks)
{
	memset(cdb, 0, 10);
	cdb[0] = opcode;
	be32_store(cdb + 2, lba);
	be16_store(cdb + 7, blocks);
}

void tp_write10(struct tp *tp, struct tp_cmd *c, uint32_t lba, uint16_t blocks, void *data)
{
	uint8_t cdb[10];

	cdb10(cdb, 0x2a, lba, blocks);
	tp_exec(tp, c, cdb, sizeof cdb, 0, data, blocks * tp->bs);
	assert_good(c);
}

void tp_read10(struct tp *tp, struct tp_cmd *c, uint32_t lba, uint16_t blocks)
{
	uint8_t cdb[10];

	cdb10(cdb, 0x28, lba, blocks);
	tp_exec(tp, c, cdb, sizeof cdb, blocks * tp->bs, NULL, 0);
	assert_good(c);
	assert_int_equal(c->task.in_len, blocks * tp->bs);
}

void tp_fill(uint8_t *p, size_t len, unsigned seed)
{
	for (size_t i = 0; i < len; i++)
		p[i] = (uint8_t)((i >> 8) * 31 + i + seed * 17 + 1);
}
