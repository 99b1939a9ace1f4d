/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crypt_key.h: the key of a volume that the crypt layer encrypts: a private file of 64 random
 * bytes, which is replaced whole or not at all.
 */
#ifndef KURA_VOLUME_CRYPT_KEY_H
#define KURA_VOLUME_CRYPT_KEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct crypt_key {
	char *path;     /* of the file, links followed; owned */
	int fd;         /* locked: no other volume or program uses the key; -1: not open */
	uint8_t *bytes; /* CRYPTO_XTS_KEY of them, out of core dumps; owned */
};

/*
 * Reads and locks the key in the file `path`, and finishes a replacement that was cut off. With
 * `readonly` nothing is written, and others may read the same key. 0, or -errno with a sentence in
 * `why`: missing, not private, not 64 bytes, two equal halves, in use. Blocks.
 */
int crypt_key_open(
	struct crypt_key *key, const char *path, bool readonly, char *why, size_t why_len);

/* Wipes and closes it; also after an open that failed. Blocks. */
void crypt_key_close(struct crypt_key *key);

/* Whether the folder of the file can be written. Blocks. */
bool crypt_key_replaceable(const struct crypt_key *key);

/*
 * Puts a new random key in the place of the old one, in the file and in `bytes`, and overwrites the
 * old one's bytes where they lay. 0 or -errno; `bytes` is what the file has, whatever the result:
 * an error may come when only the overwriting has failed. Blocks.
 */
int crypt_key_replace(struct crypt_key *key);

#endif
