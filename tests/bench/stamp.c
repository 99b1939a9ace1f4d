/* SPDX-License-Identifier: Apache-2.0 */
/* stamp.c: see stamp.h. A block is 64 words: seed, block number, generation, then a sequence that
 * follows from the three, so that every word of a block is checked. */
#include "tests/bench/stamp.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define WORDS (STAMP_BYTES / 8)

static uint64_t mix(uint64_t x)
{
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ x >> 27) * 0x94d049bb133111ebULL;
	return x ^ x >> 31;
}

static void stamp_block(uint64_t w[WORDS], uint64_t block, uint32_t gen, uint64_t seed)
{
	uint64_t x = mix(block ^ mix(gen ^ mix(seed)));

	w[0] = seed;
	w[1] = block;
	w[2] = gen;
	for (unsigned int i = 3; i < WORDS; i++)
		w[i] = x += 0x9e3779b97f4a7c15ULL;
}

void stamp_fill(void *buf, size_t len, uint64_t at, uint32_t gen, uint64_t seed)
{
	uint64_t w[WORDS];
	uint8_t *p = buf;

	for (size_t off = 0; off < len; off += STAMP_BYTES) {
		stamp_block(w, (at + off) / STAMP_BYTES, gen, seed);
		memcpy(p + off, w, sizeof w);
	}
}

int stamp_check(const void *buf, size_t len, uint64_t at, uint32_t gen, uint64_t seed, char *why,
	size_t why_size)
{
	uint64_t want[WORDS], got[WORDS];
	const uint8_t *p = buf;

	for (size_t off = 0; off < len; off += STAMP_BYTES) {
		uint64_t block = (at + off) / STAMP_BYTES;

		stamp_block(want, block, gen, seed);
		if (memcmp(p + off, want, sizeof want) == 0)
			continue;
		memcpy(got, p + off, sizeof got);
		snprintf(why, why_size,
			"wrong data in the 512 bytes number %" PRIu64 ": found seed %" PRIx64
			" block %" PRIu64 " write %" PRIu64 ", expected seed %" PRIx64
			" write %" PRIu32,
			block, got[0], got[1], got[2], seed, gen);
		return -EILSEQ;
	}
	return 0;
}
