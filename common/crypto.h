/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crypto.h: what kura needs of libcrypto: digests, comparison in constant time, and AES-256-XTS by
 * data units. No other file includes its headers.
 *
 * Whatever libcrypto keeps of a key lies in memory that stays out of core dumps and is wiped when
 * it is freed.
 */
#ifndef KURA_COMMON_CRYPTO_H
#define KURA_COMMON_CRYPTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum crypto_digest_id { CRYPTO_MD5, CRYPTO_SHA1, CRYPTO_SHA256, CRYPTO_SHA3_256 };

#define CRYPTO_DIGEST_MAX 32 /* bytes */
#define CRYPTO_XTS_KEY    64 /* bytes: two keys of AES-256, which differ */

struct crypto_piece {
	const void *data;
	size_t len;
};

/* The digest of `n` pieces one behind the other. The bytes of it, or 0: this machine does not
 * compute it (one that is bound to FIPS 140 has no MD5). Any thread. */
unsigned crypto_digest(enum crypto_digest_id id, const struct crypto_piece *pieces, unsigned n,
	uint8_t out[CRYPTO_DIGEST_MAX]);

/* Whether two times `len` bytes are the same, in a time that does not tell where they differ. Any
 * thread. */
bool crypto_same(const void *a, const void *b, size_t len);

/* A key of AES-256-XTS (IEEE 1619) in one direction, ready for use; one thread at a time. */
struct crypto_xts;

/* Prepares a key for encryption or for decryption; NULL: libcrypto has no AES-256-XTS, or refuses
 * the key. Returns owned. Any thread. */
struct crypto_xts *crypto_xts_new(const uint8_t key[CRYPTO_XTS_KEY], bool encrypt);

/* Wipes it and frees it; NULL is fine. Takes it. */
void crypto_xts_free(struct crypto_xts *x);

/* Takes another key in the place of the one before, of which nothing is left. Allocates nothing. */
void crypto_xts_rekey(struct crypto_xts *x, const uint8_t key[CRYPTO_XTS_KEY]);

/*
 * One data unit of `len` bytes (16 bytes to 16 MiB) with its number, which is the tweak (IEEE 1619
 * 5.1). `out` may be `in`, else they do not overlap. Allocates nothing.
 */
void crypto_xts_unit(
	struct crypto_xts *x, uint64_t number, const uint8_t *in, uint8_t *out, uint32_t len);

#endif
