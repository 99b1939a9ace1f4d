/* SPDX-License-Identifier: Apache-2.0 */
/* disk.c: what the generator asks a disk before it loads it. */
#include "tests/bench/sess.h"

#include "common/be.h"

#include <stdio.h>
#include <string.h>

#define CHECK_CONDITION 0x02
#define TUR_TRIES       8

/* A single command in flight: what `done` leaves for disk_command. */
struct single {
	uint8_t status;
	uint32_t moved;
};

static void single_done(struct sess *s, struct task *t, uint8_t status)
{
	struct single *one = s->owner;

	one->status = status;
	one->moved = t->moved;
	s->answered = true;
}

int disk_command(struct sess *s, const uint8_t cdb[16], uint8_t *buf, uint32_t len, uint32_t *got)
{
	struct single one = { 0, 0 };
	int err;

	if (!sess_may_start(s))
		return sess_fail(s, "the command window is closed after login");
	s->done = single_done;
	s->owner = &one;
	s->answered = false;
	s->now_ns = sess_now_ns();
	xfer_start(s, cdb, false, buf, len);
	err = sess_await(s);
	if (got)
		*got = one.moved;
	return err ? err : one.status;
}

static int wait_ready(struct sess *s)
{
	const uint8_t cdb[16] = { 0 };
	int status = 0;

	/* Unit attentions of a new nexus are told here, one at a time (SAM-5 5.14). */
	for (int i = 0; i < TUR_TRIES; i++) {
		status = disk_command(s, cdb, NULL, 0, NULL);
		if (status <= 0)
			return status;
	}
	return sess_fail(s, "TEST UNIT READY: status 0x%02x, sense key %x asc %02x%02x",
		(unsigned int)status, s->text[4] & 0xfu, s->text[14], s->text[15]);
}

int disk_probe(struct sess *s, uint64_t *blocks, uint32_t *block_bytes)
{
	uint8_t cdb[16] = { 0x9e, 0x10, [13] = 32 };
	uint8_t data[32] = { 0 };
	uint32_t got = 0;
	int err = wait_ready(s);

	if (err)
		return err;
	err = disk_command(s, cdb, data, sizeof data, &got);
	if (err < 0)
		return err;
	if (err || got < 12)
		return sess_fail(
			s, "READ CAPACITY(16): status 0x%02x, %u bytes", (unsigned int)err, got);
	*blocks = be64_load(data) + 1;
	*block_bytes = be32_load(data + 8);
	if (!*blocks || *block_bytes < 512 || *block_bytes & (*block_bytes - 1))
		return sess_fail(s, "a capacity of %llu blocks of %u bytes",
			(unsigned long long)*blocks, *block_bytes);
	return 0;
}
