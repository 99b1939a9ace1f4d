/* SPDX-License-Identifier: Apache-2.0 */
/*
 * self_test.h: what SEND DIAGNOSTIC leaves for the log of self-tests.
 */
#ifndef KURA_TARGET_SCSI_SELF_TEST_H
#define KURA_TARGET_SCSI_SELF_TEST_H

#include "target/scsi/unit.h"

#define SELF_TESTS SCSI_SELF_TESTS

/* Writes entry `i`, 0 the newest, as the log page has it behind its header (SPC-4 7.3.12). */
void self_test_entry(const struct scsi_lun *lun, unsigned i, uint8_t data[16]);

#endif
