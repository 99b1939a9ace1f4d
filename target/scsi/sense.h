/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sense.h: sense data: the codes of sense.def, and how they are laid out.
 *
 * A cause is a struct scsi_cause; sense_build writes it in fixed or descriptor format.
 */
#ifndef KURA_TARGET_SCSI_SENSE_H
#define KURA_TARGET_SCSI_SENSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Sense keys, SPC-4 4.5.6. */
enum scsi_sense_key {
	SENSE_KEY_NO_SENSE = 0x0,
	SENSE_KEY_NOT_READY = 0x2,
	SENSE_KEY_MEDIUM_ERROR = 0x3,
	SENSE_KEY_HARDWARE_ERROR = 0x4,
	SENSE_KEY_ILLEGAL_REQUEST = 0x5,
	SENSE_KEY_UNIT_ATTENTION = 0x6,
	SENSE_KEY_DATA_PROTECT = 0x7,
	SENSE_KEY_COPY_ABORTED = 0xa,
	SENSE_KEY_ABORTED_COMMAND = 0xb,
	SENSE_KEY_MISCOMPARE = 0xe,
};

enum scsi_sense {
#define SENSE(name, key, asc, ascq) SENSE_##name,
#include "target/scsi/sense.def"
#undef SENSE
};

/* Unit attentions, ASC << 8 | ASCQ (SAM-5 5.14, SPC-4 annex F). */
enum scsi_attention {
	UA_MEDIUM_CHANGED = 0x2800,   /* NOT READY TO READY CHANGE, MEDIUM MAY HAVE CHANGED */
	UA_POWER_ON = 0x2900,         /* POWER ON, RESET, OR BUS DEVICE RESET OCCURRED */
	UA_BUS_RESET = 0x2902,        /* SCSI BUS RESET OCCURRED: a hard reset */
	UA_DEVICE_RESET = 0x2903,     /* BUS DEVICE RESET FUNCTION OCCURRED: a logical unit reset */
	UA_CAPACITY_CHANGED = 0x2a09, /* CAPACITY DATA HAS CHANGED */
	UA_MODE_CHANGED = 0x2a01,     /* MODE PARAMETERS CHANGED */
	UA_RESERVATIONS_PREEMPTED = 0x2a03,
	UA_RESERVATIONS_RELEASED = 0x2a04,
	UA_REGISTRATIONS_PREEMPTED = 0x2a05,
	UA_ACCESS_CHANGED = 0x2a06,    /* ASYMMETRIC ACCESS STATE CHANGED */
	UA_TIMESTAMP_CHANGED = 0x2a10, /* TIMESTAMP CHANGED */
	UA_THIN_THRESHOLD = 0x3807,    /* THIN PROVISIONING SOFT THRESHOLD REACHED */
	UA_LUNS_CHANGED = 0x3f0e,      /* REPORTED LUNS DATA HAS CHANGED */
	UA_COMMANDS_CLEARED = 0x2f00,  /* COMMANDS CLEARED BY ANOTHER INITIATOR */
	UA_PROTOCOL_CLEARED = 0x477f,  /* SOME COMMANDS CLEARED BY ISCSI PROTOCOL EVENT */
};

enum scsi_pointer { POINTER_NONE, POINTER_CDB, POINTER_LIST, POINTER_PROGRESS };

struct scsi_cause {
	uint8_t key, asc, ascq;
	bool info_valid;           /* `info` is to be told */
	uint64_t info;             /* INFORMATION */
	enum scsi_pointer pointer; /* what `byte` and `bit` are in */
	uint16_t byte;             /* FIELD POINTER; or the progress, of 65536 */
	int8_t bit; /* BIT POINTER, the most significant of the field; -1: all of it */
	/* -- of third-party copies, SPC-4 5.17.7.4 -- */
	bool segment_valid; /* it concerns a segment: */
	bool in_segment;    /* FIELD POINTER counts from where its descriptor begins */
	uint16_t segment;   /* its number */
	bool third_valid;   /* what the unit said that failed: */
	bool third_dest;    /* it is the copy destination */
	uint8_t third_status, third_len;
	const uint8_t *third; /* its sense data, borrowed */
};

/* The cause that a row of sense.def stands for, without information or field pointer. */
struct scsi_cause sense_cause(enum scsi_sense sense);

/* The cause of a unit attention. */
struct scsi_cause sense_attention(uint16_t code);

/* Writes sense data for `cause` at `dst` (room for SCSI_SENSE_MAX) and returns its length. */
uint8_t sense_build(uint8_t *dst, bool descriptor, const struct scsi_cause *cause);

#endif
