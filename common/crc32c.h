/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crc32c.h: the CRC of iSCSI digests (RFC 7143 13.1), by isa-l.
 *
 * A running value starts as CRC32C_INIT, takes any number of pieces, and is closed by crc32c_end.
 */
#ifndef KURA_COMMON_CRC32C_H
#define KURA_COMMON_CRC32C_H

#include <stddef.h>
#include <stdint.h>

#define CRC32C_INIT 0xffffffffu

/* Takes `len` bytes at `p` into the running value `crc` and returns the new one. Any thread. */
uint32_t crc32c_add(uint32_t crc, const void *p, size_t len);

/* The digest of a running value, as a host integer that goes on the wire low byte first. */
static inline uint32_t crc32c_end(uint32_t crc)
{
	return ~crc;
}

/* The digest of one piece. */
static inline uint32_t crc32c(const void *p, size_t len)
{
	return crc32c_end(crc32c_add(CRC32C_INIT, p, len));
}

/* Stores a digest in its byte order on the wire (RFC 7143 13.1: as in the example of B.4). */
static inline void crc32c_store(uint8_t out[4], uint32_t digest)
{
	out[0] = (uint8_t)digest;
	out[1] = (uint8_t)(digest >> 8);
	out[2] = (uint8_t)(digest >> 16);
	out[3] = (uint8_t)(digest >> 24);
}

/* Reads a digest from its byte order on the wire. */
static inline uint32_t crc32c_load(const uint8_t in[4])
{
	return (uint32_t)in[3] << 24 | (uint32_t)in[2] << 16 | (uint32_t)in[1] << 8 | in[0];
}

#endif
