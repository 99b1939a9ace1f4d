/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fault.h: named places between the steps of a change, at which a test lets the process die or the
 * step fail. Nothing happens there unless KURA_FAULT arms one.
 *
 * KURA_FAULT is "NAME", which kills the process as kill -9 would when it gets there, "NAME=fail",
 * which makes the place return -EIO, and either with ":N" behind it for the Nth visit only. "any:N"
 * kills at the Nth visit of whatever place; "log" writes a line to the log at each visit.
 */
#ifndef KURA_COMMON_FAULT_H
#define KURA_COMMON_FAULT_H

#include <stddef.h>

enum fault_id {
#define FAULT(name, help) FAULT_##name,
#include "common/fault.def"
#undef FAULT
	FAULT_COUNT
};

/* The step before this place is done. 0; -EIO when the place is armed with "=fail", and the caller
 * is to undo what it did. Any thread. */
int fault_point(enum fault_id id);

/* Name of a point: static. */
const char *fault_name(enum fault_id id);

/* Arms what `text` says, in the form of KURA_FAULT, in the place of what was armed before; NULL
 * disarms. 0, or -EINVAL when it names no point. Not while other threads may visit one. */
int fault_arm(const char *text);

/* How often a point was visited since the last fault_arm. Any thread. */
unsigned fault_visits(enum fault_id id);

#endif
