/* SPDX-License-Identifier: Apache-2.0 */
/*
 * login_guard.h: what wrong secrets cost: each one makes the next attempt of the same initiator
 * from the same address wait longer.
 *
 * An attempt waits whether it turns out right or wrong, so that hanging up early tells and saves
 * nothing. Who an initiator is, is told by the access rule that let it in: under a pattern a new
 * name is no new start. One table for each loop, of fixed size; on the loop's thread.
 */
#ifndef KURA_TARGET_ISCSI_LOGIN_GUARD_H
#define KURA_TARGET_ISCSI_LOGIN_GUARD_H

#include <stdint.h>

#define GUARD_ENTRIES       64u
#define GUARD_STEP_MS       250u /* after the first wrong secret; doubles with each */
#define GUARD_STEP_MOST_MS  4000u
#define GUARD_WAIT_MOST_MS  6000u   /* attempts that would wait longer are not looked at */
#define GUARD_FORGET_MS     600000u /* without a further one */
#define GUARD_ADDRESS_BYTES 16u     /* IPv6, or IPv4 mapped into it */

struct login_guard_entry {
	const void *who; /* names the rule; with `wrong` 0: a free place */
	uint8_t address[GUARD_ADDRESS_BYTES];
	uint32_t wrong;    /* in a row */
	uint64_t last_ms;  /* when the last one came */
	uint64_t until_ms; /* attempts wait until then */
};

struct login_guard {
	struct login_guard_entry entry[GUARD_ENTRIES];
};

/* How long an attempt that comes now has to wait, in milliseconds. */
uint32_t guard_wait(const struct login_guard *guard, const void *who,
	const uint8_t address[GUARD_ADDRESS_BYTES], uint64_t now_ms);

/* The secret was wrong. When the table is full the entry that was quiet for longest goes. */
void guard_wrong(struct login_guard *guard, const void *who,
	const uint8_t address[GUARD_ADDRESS_BYTES], uint64_t now_ms);

/* The secret was right: what was before is forgotten. */
void guard_right(
	struct login_guard *guard, const void *who, const uint8_t address[GUARD_ADDRESS_BYTES]);

#endif
