/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crc.h: CRC32C by tables. The target computes its digests with a library; the generator has its
 * own arithmetic, so that the one checks the other.
 */
#ifndef KURA_TESTS_BENCH_CRC_H
#define KURA_TESTS_BENCH_CRC_H

#include <stddef.h>
#include <stdint.h>

#define CRC_INIT 0xffffffffu

/* Builds the tables. Once, before any thread starts. */
void crc_init(void);

/* Takes `len` bytes into the running value `crc`; the digest is the complement of the last one
 * and goes on the wire low byte first (RFC 7143 13.1). */
uint32_t crc_add(uint32_t crc, const void *p, size_t len);

/* Stores the digest that ends a running value. */
void crc_store(uint8_t out[4], uint32_t crc);

/* Whether `in` is the digest that ends a running value. */
int crc_matches(const uint8_t in[4], uint32_t crc);

#endif
