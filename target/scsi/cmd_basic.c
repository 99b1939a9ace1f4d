/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TEST UNIT READY, REQUEST SENSE and START STOP UNIT.
 */
#include "target/scsi/command.h"
#include "target/scsi/sanitize.h"

#include <string.h>

/* SPC-4 6.47: whatever is against GOOD was found before we came here. */
void scsi_cmd_test_unit_ready(struct scsi_task *task)
{
	scsi_task_good(task);
}

/* What REQUEST SENSE tells: SPC-4 6.39 and SAM-5 5.14. */
static struct scsi_cause sense_now(struct scsi_task *task)
{
	uint16_t attention;

	if (!task->itl)
		return sense_cause(SENSE_LUN_NOT_SUPPORTED);
	attention = scsi_itl_take(task->itl);
	if (attention)
		return sense_attention(attention);
	if (task->lun && __atomic_load_n(&task->lun->sanitize, __ATOMIC_ACQUIRE)) /* SBC-3 4.11.2 */
		return scsi_sanitize_cause(__atomic_load_n(&task->lun->sanitize, __ATOMIC_ACQUIRE));
	if (task->lun && !scsi_lun_loaded(task->lun))
		return sense_cause(SENSE_NO_MEDIUM);
	return sense_cause(SENSE_NONE);
}

void scsi_cmd_request_sense(struct scsi_task *task)
{
	bool descriptor = task->cdb[1] & 0x01;
	struct scsi_cause cause;
	struct span_writer w;

	if (!scsi_reply_begin(task, &w))
		return;
	cause = sense_now(task);
	w.want = sense_build(w.p, descriptor, &cause);
	scsi_reply_end(task, &w, task->cdb[4]);
}

/* ---- START STOP UNIT, SBC-3 5.25 ---- */

/* The others learn of it by a unit attention (SPC-4 5.10: not ready to ready). */
static void load(struct scsi_task *task)
{
	uint32_t old = __atomic_load_n(&task->lun->medium, __ATOMIC_RELAXED), loaded;

	do {
		if (!(old & 1))
			return;
		loaded = old + 1; /* one load more, and bit 0 is clear */
	} while (!__atomic_compare_exchange_n(
		&task->lun->medium, &old, loaded, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
	task->itl->medium_seen = loaded >> 1;
}

static void stop_flushed(struct scsi_task *task)
{
	if (task->step[0]) /* LOEJ */
		__atomic_fetch_or(&task->lun->medium, 1, __ATOMIC_RELAXED);
	scsi_task_good(task);
}

static void stop(struct scsi_task *task)
{
	bool no_flush = task->cdb[4] & 0x04;

	if (no_flush || !(task->lun->info.caps & VOL_HAS_CACHE)) {
		stop_flushed(task);
		return;
	}
	scsi_task_io(task, VOL_FLUSH, 0, 0);
	scsi_task_io_go(task, stop_flushed);
}

/*
 * A unit that others share is neither stopped nor put to sleep for one of them: START 0 writes the
 * cache and power conditions are taken note of. Only a removable medium can be ejected.
 */
void scsi_cmd_start_stop(struct scsi_task *task)
{
	unsigned power = task->cdb[4] >> 4;
	bool load_eject = task->cdb[4] & 0x02, start = task->cdb[4] & 0x01;

	if (power) { /* SBC-3 5.25: then START and LOEJ are ignored */
		scsi_task_good(task);
		return;
	}
	if (load_eject && !task->lun->removable) {
		scsi_task_fail_field(task, 4, 1);
		return;
	}
	/* SBC-3 4.15 */
	if (load_eject && __atomic_load_n(&task->lun->preventers, __ATOMIC_RELAXED)) {
		scsi_task_fail(task, SENSE_REMOVAL_PREVENTED);
		return;
	}
	task->step[0] = load_eject;
	if (!start) {
		stop(task);
		return;
	}
	if (load_eject)
		load(task);
	scsi_task_good(task);
}
