/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz.h: what libFuzzer calls, and the small parts that the harnesses share.
 *
 * Each harness is one program of one file: bytes go in at a border where a stranger's bytes come in
 * in real life, and nothing may crash, leak, hang or break a promise.
 */
#ifndef KURA_TESTS_FUZZ_FUZZ_H
#define KURA_TESTS_FUZZ_FUZZ_H

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Once, before the first input. */
int LLVMFuzzerInitialize(int *argc, char ***argv);
/* One input; returns 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A reader that never runs out: beyond the end it gives zeros. */
struct fuzz_in {
	const uint8_t *data;
	size_t left;
};

/* The next byte. */
static inline uint8_t fuzz_u8(struct fuzz_in *in)
{
	if (in->left == 0)
		return 0;
	in->left--;
	return *in->data++;
}

/* The next two bytes as a number. */
static inline uint16_t fuzz_u16(struct fuzz_in *in)
{
	uint16_t high = fuzz_u8(in);

	return (uint16_t)(high << 8 | fuzz_u8(in));
}

/* The next bytes into `to`, zeros when they run out. */
static inline void fuzz_bytes(struct fuzz_in *in, void *to, size_t len)
{
	size_t n = len < in->left ? len : in->left;

	memset(to, 0, len);
	memcpy(to, in->data, n);
	in->data += n;
	in->left -= n;
}

/* What must be true after any input. */
#define fuzz_check(cond)                                                                           \
	do {                                                                                       \
		if (!(cond))                                                                       \
			abort();                                                                   \
	} while (0)

#endif
