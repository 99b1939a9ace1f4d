/* SPDX-License-Identifier: Apache-2.0 */
/*
 * READ BUFFER and WRITE BUFFER, modes data and echo: memory for a test of the way between. Each
 * nexus has its own, made with its first WRITE BUFFER, and for one unit at a time.
 */
#include "target/scsi/command.h"

#include "common/own.h"

#include <string.h>

/* MODE, SPC-4 6.18 and 6.49 */
enum { BUFFER_DATA = 0x02, BUFFER_DESCRIPTOR = 0x03, BUFFER_ECHO = 0x0a, BUFFER_ECHO_SIZE = 0x0b };

#define ECHO_MAX 4096u
#define DATA_MAX 32768u

struct scsi_buffer {
	const struct scsi_lun *lun; /* whose this is now */
	uint32_t echo_len;          /* bytes that were written, 0: none */
	uint8_t echo[ECHO_MAX];
	uint8_t data[DATA_MAX];
};

/* The buffer of this nexus and unit, or NULL. */
static struct scsi_buffer *buffer_of(const struct scsi_task *task)
{
	struct scsi_buffer *b = task->nexus->buffer;

	return b && b->lun == task->lun ? b : NULL;
}

/* ---- READ BUFFER, SPC-4 6.18 ---- */

static void read_bytes(struct scsi_task *task, const uint8_t *bytes, uint32_t len)
{
	uint32_t allocation = be24_load(task->cdb + 6);

	if (len > allocation)
		len = allocation;
	task->want_in = len;
	if (len == 0) {
		scsi_task_good(task);
		return;
	}
	task->in_buf = loop_buf_get(task->nexus->loop, len);
	if (!task->in_buf) {
		scsi_task_busy(task);
		return;
	}
	if (bytes)
		memcpy(task->in_buf->data, bytes, len);
	else
		memset(task->in_buf->data, 0, len);
	task->in_data = task->in_buf->data;
	task->in_len = len < task->in_room ? len : task->in_room;
	scsi_task_good(task);
}

static void read_data(struct scsi_task *task)
{
	const struct scsi_buffer *b = buffer_of(task);
	uint32_t offset = be24_load(task->cdb + 3);

	if (task->cdb[2])
		scsi_task_fail_field(task, 2, 7);
	else if (offset > DATA_MAX)
		scsi_task_fail_field(task, 3, 7);
	else
		read_bytes(task, b ? b->data + offset : NULL, DATA_MAX - offset);
}

/* SPC-4 6.18.5: a buffer that is not there has a descriptor of zeroes. */
static void read_descriptor(struct scsi_task *task)
{
	uint8_t descriptor[4] = { 0 }; /* OFFSET BOUNDARY 0: any byte */

	if (task->cdb[2] == 0)
		be24_store(descriptor + 1, DATA_MAX);
	read_bytes(task, descriptor, sizeof descriptor);
}

static void read_echo(struct scsi_task *task)
{
	const struct scsi_buffer *b = buffer_of(task);

	if (b && b->echo_len)
		read_bytes(task, b->echo, b->echo_len);
	else
		scsi_task_fail(task, SENSE_COMMAND_SEQUENCE); /* SPC-4 6.18.7 */
}

void scsi_cmd_read_buffer(struct scsi_task *task)
{
	/* EBOS: nobody else writes into it, SPC-4 6.18.8 */
	static const uint8_t echo_size[4] = { 0x01, 0, ECHO_MAX >> 8, ECHO_MAX & 0xff };

	switch (task->cdb[1] & 0x1f) {
	case BUFFER_DATA:
		read_data(task);
		return;
	case BUFFER_DESCRIPTOR:
		read_descriptor(task);
		return;
	case BUFFER_ECHO:
		read_echo(task);
		return;
	case BUFFER_ECHO_SIZE:
		read_bytes(task, echo_size, sizeof echo_size);
		return;
	default:
		scsi_task_fail_field(task, 1, 4);
	}
}

/* ---- WRITE BUFFER, SPC-4 6.49 ---- */

static void write_bytes(struct scsi_task *task)
{
	struct scsi_nexus *nexus = task->nexus;
	bool echo = (task->cdb[1] & 0x1f) == BUFFER_ECHO;
	struct scsi_buffer *b = nexus->buffer;
	bool there;

	if (!b)
		b = nexus->buffer = calloc(1, sizeof *b);
	if (!b) {
		scsi_task_busy(task);
		return;
	}
	if (b->lun != task->lun)
		memset(b, 0, sizeof *b);
	b->lun = task->lun;
	there = scsi_task_copy_out(
		task, 0, echo ? b->echo : b->data + be24_load(task->cdb + 3), task->out_len);
	own_assert(there);
	if (echo)
		b->echo_len = task->out_len;
	scsi_task_good(task);
}

void scsi_cmd_write_buffer(struct scsi_task *task)
{
	unsigned mode = task->cdb[1] & 0x1f;
	uint32_t offset = be24_load(task->cdb + 3), len = be24_load(task->cdb + 6);
	uint32_t room = mode == BUFFER_ECHO ? ECHO_MAX : DATA_MAX;

	task->want_out = len;
	if (mode != BUFFER_DATA && mode != BUFFER_ECHO)
		scsi_task_fail_field(task, 1, 4);
	else if (mode == BUFFER_DATA && task->cdb[2])
		scsi_task_fail_field(task, 2, 7);
	else if (mode == BUFFER_DATA && offset > room)
		scsi_task_fail_field(task, 3, 7);
	else if (len > room - (mode == BUFFER_DATA ? offset : 0))
		scsi_task_fail_field(task, 6, 7);
	else if (len == 0) /* SPC-4 6.49: nothing is written */
		scsi_task_good(task);
	else if (len > task->out_room)
		scsi_task_fail(task, SENSE_PARAMETER_LIST_LENGTH);
	else
		scsi_task_want(task, len, write_bytes);
}
