/* SPDX-License-Identifier: Apache-2.0 */
/* crc.c: see crc.h. Eight bytes per step: table k holds the effect of a byte k places further on.
 */
#include "tests/bench/crc.h"

#include <string.h>

#define POLY_REFLECTED 0x82f63b78u

static uint32_t table[8][256];

void crc_init(void)
{
	for (uint32_t i = 0; i < 256; i++) {
		uint32_t v = i;

		for (int bit = 0; bit < 8; bit++)
			v = v >> 1 ^ (v & 1 ? POLY_REFLECTED : 0);
		table[0][i] = v;
	}
	for (uint32_t i = 0; i < 256; i++)
		for (int k = 1; k < 8; k++)
			table[k][i] = table[k - 1][i] >> 8 ^ table[0][table[k - 1][i] & 0xff];
}

static uint32_t word(const uint8_t *p)
{
	return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

uint32_t crc_add(uint32_t crc, const void *p, size_t len)
{
	const uint8_t *b = p;

	for (; len >= 8; len -= 8, b += 8) {
		uint32_t lo = word(b) ^ crc;
		uint32_t hi = word(b + 4);

		crc = table[7][lo & 0xff] ^ table[6][lo >> 8 & 0xff] ^ table[5][lo >> 16 & 0xff] ^
		      table[4][lo >> 24] ^ table[3][hi & 0xff] ^ table[2][hi >> 8 & 0xff] ^
		      table[1][hi >> 16 & 0xff] ^ table[0][hi >> 24];
	}
	for (; len; len--, b++)
		crc = crc >> 8 ^ table[0][(crc ^ *b) & 0xff];
	return crc;
}

void crc_store(uint8_t out[4], uint32_t crc)
{
	crc = ~crc;
	out[0] = (uint8_t)crc;
	out[1] = (uint8_t)(crc >> 8);
	out[2] = (uint8_t)(crc >> 16);
	out[3] = (uint8_t)(crc >> 24);
}

int crc_matches(const uint8_t in[4], uint32_t crc)
{
	uint8_t want[4];

	crc_store(want, crc);
	return memcmp(in, want, sizeof want) == 0;
}
