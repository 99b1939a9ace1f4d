/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stamp.h: what the generator writes when it checks data. Every 512 bytes say which block of the
 * disk they are and which write of that block put them there, so a lost, torn, misplaced or stale
 * write shows itself in the next read.
 */
#ifndef KURA_TESTS_BENCH_STAMP_H
#define KURA_TESTS_BENCH_STAMP_H

#include <stddef.h>
#include <stdint.h>

#define STAMP_BYTES 512

/* Fills `len` bytes (a multiple of 512) that will lie at byte `at` of the disk, as write number
 * `gen` of the run `seed`. */
void stamp_fill(void *buf, size_t len, uint64_t at, uint32_t gen, uint64_t seed);

/* Checks what stamp_fill made. Returns 0, or -EILSEQ with one line about the first wrong block in
 * `why`. */
int stamp_check(const void *buf, size_t len, uint64_t at, uint32_t gen, uint64_t seed, char *why,
	size_t why_size);

#endif
