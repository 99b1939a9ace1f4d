// SPDX-License-Identifier: Apache-2.0
#include "target/iscsi/login_guard.h"

#include <stdbool.h>
#include <string.h>

/* Whether both are one host: an IPv4 address, or the network of an IPv6 host (RFC 4291 2.5.4),
 * which can choose the rest of its address as it likes. */
static bool same_host(const uint8_t *a, const uint8_t *b)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff }; /* RFC 4291 2.5.5.2 */
	bool v4 = !memcmp(a, mapped, sizeof mapped);

	return !memcmp(a, b, v4 ? GUARD_ADDRESS_BYTES : 8);
}

static struct login_guard_entry *find(
	const struct login_guard *guard, const void *who, const uint8_t *address)
{
	for (unsigned i = 0; i < GUARD_ENTRIES; i++) {
		const struct login_guard_entry *e = &guard->entry[i];

		if (e->wrong && e->who == who && same_host(e->address, address))
			return (struct login_guard_entry *)e;
	}
	return NULL;
}

uint32_t guard_wait(const struct login_guard *guard, const void *who,
	const uint8_t address[GUARD_ADDRESS_BYTES], uint64_t now_ms)
{
	const struct login_guard_entry *e = find(guard, who, address);

	return e && e->until_ms > now_ms ? (uint32_t)(e->until_ms - now_ms) : 0;
}

/* A free place, or the one that was quiet for longest. */
static struct login_guard_entry *oldest(struct login_guard *guard)
{
	struct login_guard_entry *best = guard->entry;

	for (unsigned i = 0; i < GUARD_ENTRIES; i++) {
		struct login_guard_entry *e = &guard->entry[i];

		if (!e->wrong)
			return e;
		if (e->last_ms < best->last_ms)
			best = e;
	}
	return best;
}

void guard_wrong(struct login_guard *guard, const void *who,
	const uint8_t address[GUARD_ADDRESS_BYTES], uint64_t now_ms)
{
	struct login_guard_entry *e = find(guard, who, address);
	uint32_t step = GUARD_STEP_MS;

	if (!e || now_ms - e->last_ms > GUARD_FORGET_MS) {
		e = e ? e : oldest(guard);
		*e = (struct login_guard_entry){ .who = who };
		memcpy(e->address, address, GUARD_ADDRESS_BYTES);
	}
	for (uint32_t i = 0; i < e->wrong && step < GUARD_STEP_MOST_MS; i++)
		step *= 2;
	e->wrong++;
	e->last_ms = now_ms;
	e->until_ms = (e->until_ms > now_ms ? e->until_ms : now_ms) + step;
}

void guard_right(
	struct login_guard *guard, const void *who, const uint8_t address[GUARD_ADDRESS_BYTES])
{
	struct login_guard_entry *e = find(guard, who, address);

	if (e)
		*e = (struct login_guard_entry){ 0 };
}
