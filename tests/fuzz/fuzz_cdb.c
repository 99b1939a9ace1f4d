// SPDX-License-Identifier: Apache-2.0
/*
 * fuzz_cdb.c: SCSI commands of any bytes on a volume in memory, through a port of the fuzzer's own.
 *
 * An input is a row of commands of two nexuses, several of them under way at once, with data, with
 * task management in between, and in the end the loss of both with whatever is still open.
 */
#include "tests/fuzz/world.h"

#include "target/scsi/unit.h"

#define TASKS_MAX 8
#define DATA_MAX  (1u << 20)
#define ORDERS    64

struct command {
	struct scsi_task task;
	bool open;   /* submitted, not done */
	bool wanted; /* get_data was called and is not answered */
	uint32_t want;
	struct iovec iov[2];
};

static struct command commands[TASKS_MAX];
static uint8_t payload[DATA_MAX];
static struct scsi_nexus nexuses[2];
static unsigned drained;
static bool tmf_open;

static void port_get_data(struct scsi_task *task, uint32_t len)
{
	struct command *c = (struct command *)task;

	fuzz_check(c->open && !c->wanted && len > 0 && len <= task->out_room);
	c->wanted = true;
	c->want = len;
}

/* What port.h and SAM-5 5.3.1 promise of a command that is over. */
static void port_done(struct scsi_task *task)
{
	struct command *c = (struct command *)task;

	fuzz_check(c->open);
	c->open = c->wanted = false;
	if (!task->aborted) {
		fuzz_check(task->in_len <= task->in_room);
		fuzz_check(task->in_len == 0 || task->in_data);
		fuzz_check(task->sense_len <= SCSI_SENSE_MAX);
		fuzz_check((task->status == SCSI_CHECK_CONDITION) == (task->sense_len > 0));
		for (uint32_t i = 0; i < task->in_len; i += 509)
			payload[0] ^= task->in_data[i];
	}
	scsi_task_release(task);
}

static const struct scsi_port_ops port = { .get_data = port_get_data, .done = port_done };

static void nexus_drained(struct scsi_nexus *nexus)
{
	(void)nexus;
	drained++;
}

static void tmf_done(struct scsi_tmf *tmf)
{
	(void)tmf;
	tmf_open = false;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	world_get();
	for (unsigned i = 0; i < TASKS_MAX; i++)
		scsi_task_init(&commands[i].task);
	return 0;
}

/* A LUN field: the unit, the well-known one, one that is missing, or any bytes. */
static void choose_lun(struct fuzz_in *in, uint8_t field[8])
{
	memset(field, 0, 8);
	switch (fuzz_u8(in) & 7) {
	case 0:
		field[0] = 0xc1;
		field[1] = 0x01;
		break;
	case 1:
		field[1] = 5;
		break;
	case 2:
		fuzz_bytes(in, field, 8);
		break;
	default:
		break;
	}
}

static uint32_t choose_room(struct fuzz_in *in)
{
	uint16_t n = fuzz_u16(in);

	return n & 0x8000 ? (uint32_t)(n & 0x7fff) << 9 : n;
}

static void submit(struct fuzz_in *in, struct scsi_nexus *nexus, uint64_t tag)
{
	struct command *c = &commands[tag % TASKS_MAX];
	struct scsi_task *task = &c->task;

	if (c->open)
		return;
	task->tag = tag;
	task->attr = (enum scsi_attr)(fuzz_u8(in) % 5);
	choose_lun(in, task->lun_field);
	task->in_room = choose_room(in);
	task->out_room = choose_room(in);
	if (task->out_room > DATA_MAX)
		task->out_room = DATA_MAX;
	task->cdb_len = 16;
	memset(task->cdb, 0, sizeof(task->cdb));
	fuzz_bytes(in, task->cdb, 16);
	if (fuzz_u8(in) == 0xee) {
		task->cdb_len = (uint16_t)(16 + (fuzz_u8(in) & 0xf0));
		fuzz_bytes(in, task->cdb + 16, task->cdb_len - 16u);
	}
	task->out_iov = NULL;
	task->out_iovcnt = 0;
	task->out_len = 0;
	task->out_buf = NULL;
	c->open = true;
	c->wanted = false;
	scsi_task_submit(nexus, task);
}

/* The data that a command asked for, in one piece or two; or the news that there will be none. */
static void give_data(struct fuzz_in *in, uint64_t tag)
{
	static const int errors[4] = { 0, -ECANCELED, -EPROTO, -EBADMSG };
	struct command *c = &commands[tag % TASKS_MAX];
	uint8_t how = fuzz_u8(in);
	uint32_t first = how & 1 ? c->want / 3 : 0;

	if (!c->wanted)
		return;
	c->wanted = false;
	fuzz_bytes(in, payload, how & 0x70);
	c->iov[0] = (struct iovec){ payload, first ? first : c->want };
	c->iov[1] = (struct iovec){ payload + first, c->want - first };
	c->task.out_iov = c->iov;
	c->task.out_iovcnt = first ? 2 : 1;
	c->task.out_len = c->want;
	scsi_task_data(&c->task, (how & 0x0e) == 0x0e ? errors[how >> 6] : 0);
}

static void manage(struct fuzz_in *in, struct world *w, struct scsi_nexus *nexus)
{
	static struct scsi_tmf tmf;

	if (tmf_open)
		return;
	memset(&tmf, 0, sizeof(tmf));
	tmf.function = (enum scsi_tmf_function)(fuzz_u8(in) % (SCSI_TMF_QUERY_ASYNC_EVENT + 1));
	tmf.nexus = nexus;
	choose_lun(in, tmf.lun_field);
	tmf.tag = fuzz_u8(in) % ORDERS;
	tmf.done = tmf_done;
	tmf_open = true;
	scsi_tmf_submit(&tmf);
	sim_run(w->loop);
}

/* Ends whatever is open: a port that lost its initiator gives no more data. */
static void lose_nexuses(struct world *w)
{
	drained = 0;
	scsi_nexus_close(&nexuses[0], nexus_drained);
	scsi_nexus_close(&nexuses[1], nexus_drained);
	sim_run(w->loop);
	fuzz_check(drained == 2 && !tmf_open);
	for (unsigned i = 0; i < TASKS_MAX; i++)
		fuzz_check(!commands[i].open);
}

/* One command of our own, to its end, whatever that is. */
static void carry_out(
	struct world *w, const uint8_t *cdb, size_t len, uint8_t *out, uint32_t out_len)
{
	struct command *c = &commands[0];
	struct scsi_task *task = &c->task;

	memset(task->lun_field, 0, sizeof(task->lun_field));
	memset(task->cdb, 0, sizeof(task->cdb));
	memcpy(task->cdb, cdb, len);
	task->cdb_len = 16;
	task->attr = SCSI_ATTR_SIMPLE;
	task->tag = 0;
	task->in_room = 0;
	task->out_room = out_len;
	task->out_iov = NULL;
	task->out_iovcnt = 0;
	task->out_len = 0;
	task->out_buf = NULL;
	c->open = true;
	c->wanted = false;
	scsi_task_submit(&nexuses[0], task);
	sim_run(w->loop);
	if (c->wanted) {
		c->wanted = false;
		c->iov[0] = (struct iovec){ out, c->want };
		task->out_iov = c->iov;
		task->out_iovcnt = 1;
		task->out_len = c->want;
		scsi_task_data(task, 0);
		sim_run(w->loop);
	}
	fuzz_check(!c->open);
}

/*
 * The unit lives from input to input; this takes back what the last one did to it: a medium that
 * was unloaded, reservations, mode pages, generations of ORWRITE.
 */
static void tidy_up(struct world *w)
{
	static const uint8_t ready[6], load[6] = { 0x1b, 0, 0, 0, 3 };
	static const uint8_t enrol[10] = { 0x5f, 6, 0, 0, 0, 0, 0, 0, 24 };
	static const uint8_t clear[10] = { 0x5f, 3, 0, 0, 0, 0, 0, 0, 24 };
	static const uint8_t select[6] = { 0x15, 0x10, 0, 0, 16 };
	uint8_t keys[24] = { 0 }, control[16] = { 0, 0, 0, 0, 0x0a, 0x0a, 0x20, 0x10 };

	keys[15] = 1; /* the new key of the first, */
	carry_out(w, ready, sizeof(ready), NULL, 0);
	carry_out(w, load, sizeof(load), NULL, 0);
	carry_out(w, ready, sizeof(ready), NULL, 0);
	carry_out(w, enrol, sizeof(enrol), keys, sizeof(keys));
	keys[15] = 0;
	keys[7] = 1; /* and the key of the second */
	carry_out(w, clear, sizeof(clear), keys, sizeof(keys));
	carry_out(w, select, sizeof(select), control, sizeof(control));
	scsi_orwrite_reset(w->lun);
}

static void gain_nexuses(struct world *w)
{
	memset(nexuses, 0, sizeof(nexuses));
	scsi_nexus_open(&nexuses[0], w->domain, w->loop, w->target,
		"iqn.2026-11.kura.test:fuzzer,i,0x00023d000001", &port);
	scsi_nexus_open(&nexuses[1], w->domain, w->loop, w->target,
		"iqn.2026-11.kura.test:fuzzer,i,0x00023d000002", &port);
	tidy_up(w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct world *w = world_get();
	struct fuzz_in in = { data, size };

	gain_nexuses(w);
	for (uint64_t tag = 0; in.left > 0 && tag < ORDERS; tag++) {
		uint8_t order = fuzz_u8(&in);
		struct scsi_nexus *nexus = &nexuses[order >> 3 & 1];

		if (order < 0x90)
			submit(&in, nexus, tag);
		else if (order < 0xa0)
			manage(&in, w, nexus);
		else if (order < 0xd0)
			give_data(&in, order);
		if (order & 1)
			sim_run(w->loop);
		if (order < 0x90 && (order & 2))
			give_data(&in, tag);
		if (order & 4)
			sim_run(w->loop);
	}
	lose_nexuses(w);
	return 0;
}
