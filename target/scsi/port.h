/* SPDX-License-Identifier: Apache-2.0 */
/*
 * port.h: what a transport does for the SCSI room: two functions. iSCSI is one port, the test port
 * of tests/ is another.
 */
#ifndef KURA_TARGET_SCSI_PORT_H
#define KURA_TARGET_SCSI_PORT_H

#include "target/scsi/task.h"

struct scsi_port_ops {
	/*
	 * Collect data-out: the first `len` bytes, len <= task->out_room, len > 0. Immediate and
	 * unsolicited data count. The port calls scsi_task_data later, exactly once, never inside.
	 * When the task is aborted meanwhile, done() comes with `aborted` set instead: the port
	 * stops collecting and does not call scsi_task_data any more.
	 */
	void (*get_data)(struct scsi_task *task, uint32_t len);
	/*
	 * The command is over: status, sense, in_data/in_len, want_in/want_out are set; the task is
	 * the port's again. `task->aborted`: nothing is to be sent for it. Never inside
	 * scsi_task_submit or scsi_task_data. The port calls scsi_task_release when it has sent.
	 */
	void (*done)(struct scsi_task *task);
};

#endif
