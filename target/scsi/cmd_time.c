/* SPDX-License-Identifier: Apache-2.0 */
/*
 * REPORT TIMESTAMP and SET TIMESTAMP. A unit tells the time of the machine until an initiator sets
 * another one, which runs on from there and is kept as its distance from the monotonic clock.
 */
#include "target/scsi/command.h"
#include "target/scsi/tell.h"

#include "common/own.h"

#include <time.h>

#define TIMESTAMP_LEN 12u

/* TIMESTAMP ORIGIN, SPC-4 5.2 */
enum { ORIGIN_SET = 0x02, ORIGIN_OTHER = 0x03 };

static uint64_t clock_ms(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* SPC-4 6.38 */
void scsi_cmd_report_timestamp(struct scsi_task *task)
{
	uint64_t ahead = __atomic_load_n(&task->lun->clock, __ATOMIC_RELAXED);
	uint64_t now = ahead ? clock_ms(CLOCK_MONOTONIC) + ahead : clock_ms(CLOCK_REALTIME);
	struct span_writer w;

	if (!scsi_reply_begin(task, &w))
		return;
	span_put16(&w, TIMESTAMP_LEN - 2);
	span_put8(&w, ahead ? ORIGIN_SET : ORIGIN_OTHER);
	span_put8(&w, 0);
	span_put16(&w, (uint16_t)(now >> 32));
	span_put32(&w, (uint32_t)now);
	span_put16(&w, 0);
	scsi_reply_end(task, &w, be32_load(task->cdb + 6));
}

static void set_list(struct scsi_task *task)
{
	uint8_t list[TIMESTAMP_LEN];
	bool there = scsi_task_copy_out(task, 0, list, sizeof list);
	uint64_t wanted = (uint64_t)be16_load(list + 4) << 32 | be32_load(list + 6);
	uint64_t ahead = wanted - clock_ms(CLOCK_MONOTONIC); /* modulo 2^64 */

	own_assert(there);
	/* zero means that it was never set: a millisecond does not matter */
	__atomic_store_n(&task->lun->clock, ahead ? ahead : 1, __ATOMIC_RELAXED);
	scsi_tell_others(task, UA_TIMESTAMP_CHANGED, scsi_task_good); /* SPC-4 5.2 */
}

/* SPC-4 6.46 */
void scsi_cmd_set_timestamp(struct scsi_task *task)
{
	uint32_t len = be32_load(task->cdb + 6);

	task->want_out = len;
	if (len == 0) /* SPC-4 6.46: not an error, no change */
		scsi_task_good(task);
	else if (len < TIMESTAMP_LEN || len > task->out_room)
		scsi_task_fail(task, SENSE_PARAMETER_LIST_LENGTH);
	else
		scsi_task_want(task, TIMESTAMP_LEN, set_list);
}
