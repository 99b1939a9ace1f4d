/* SPDX-License-Identifier: Apache-2.0 */
/*
 * be.h: big-endian integers as they lie on the wire and on disk.
 *
 * Each is a struct of bytes, so a host integer cannot be assigned to one by mistake, alignment is
 * one, and a wire struct made of them needs no packing attribute.
 */
#ifndef KURA_COMMON_BE_H
#define KURA_COMMON_BE_H

#include <stdint.h>
#include <string.h>

struct be16 {
	uint8_t b[2];
};
struct be24 {
	uint8_t b[3];
};
struct be32 {
	uint8_t b[4];
};
struct be64 {
	uint8_t b[8];
};

/* Reads 16 bits big-endian at `p`; any alignment, any thread. */
static inline uint16_t be16_load(const void *p)
{
	uint16_t v;

	memcpy(&v, p, sizeof v);
	return __builtin_bswap16(v);
}

/* Reads 24 bits big-endian at `p`. */
static inline uint32_t be24_load(const void *p)
{
	const uint8_t *b = p;

	return (uint32_t)b[0] << 16 | (uint32_t)b[1] << 8 | b[2];
}

/* Reads 32 bits big-endian at `p`. */
static inline uint32_t be32_load(const void *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof v);
	return __builtin_bswap32(v);
}

/* Reads 64 bits big-endian at `p`. */
static inline uint64_t be64_load(const void *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof v);
	return __builtin_bswap64(v);
}

/* Writes `v` big-endian at `p`, 2 bytes. */
static inline void be16_store(void *p, uint16_t v)
{
	v = __builtin_bswap16(v);
	memcpy(p, &v, sizeof v);
}

/* Writes the low 24 bits of `v` big-endian at `p`, 3 bytes. */
static inline void be24_store(void *p, uint32_t v)
{
	uint8_t *b = p;

	b[0] = (uint8_t)(v >> 16);
	b[1] = (uint8_t)(v >> 8);
	b[2] = (uint8_t)v;
}

/* Writes `v` big-endian at `p`, 4 bytes. */
static inline void be32_store(void *p, uint32_t v)
{
	v = __builtin_bswap32(v);
	memcpy(p, &v, sizeof v);
}

/* Writes `v` big-endian at `p`, 8 bytes. */
static inline void be64_store(void *p, uint64_t v)
{
	v = __builtin_bswap64(v);
	memcpy(p, &v, sizeof v);
}

/* The value of a field; the field is borrowed. */
static inline uint16_t be16_get(const struct be16 *f)
{
	return be16_load(f->b);
}

/* The value of a field; the field is borrowed. */
static inline uint32_t be24_get(const struct be24 *f)
{
	return be24_load(f->b);
}

/* The value of a field; the field is borrowed. */
static inline uint32_t be32_get(const struct be32 *f)
{
	return be32_load(f->b);
}

/* The value of a field; the field is borrowed. */
static inline uint64_t be64_get(const struct be64 *f)
{
	return be64_load(f->b);
}

/* Sets a field from a host integer. */
static inline void be16_set(struct be16 *f, uint16_t v)
{
	be16_store(f->b, v);
}

/* Sets a field from the low 24 bits of a host integer. */
static inline void be24_set(struct be24 *f, uint32_t v)
{
	be24_store(f->b, v);
}

/* Sets a field from a host integer. */
static inline void be32_set(struct be32 *f, uint32_t v)
{
	be32_store(f->b, v);
}

/* Sets a field from a host integer. */
static inline void be64_set(struct be64 *f, uint64_t v)
{
	be64_store(f->b, v);
}

#endif
