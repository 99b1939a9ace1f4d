/* SPDX-License-Identifier: Apache-2.0 */
/*
 * secret.h: texts and keys that nobody else may see: memory of their own that stays out of core
 * dumps and is wiped when it is freed.
 */
#ifndef KURA_COMMON_SECRET_H
#define KURA_COMMON_SECRET_H

#include <stddef.h>

#define SECRET_MAX 255 /* bytes */

/* SECRET_MAX + 1 zeroed bytes, or the process ends. Returns owned: secret_free. Any thread. */
void *secret_room(void);

/* A copy of `len` bytes (at most SECRET_MAX, no NUL among them) and a NUL, or the process ends.
 * Returns owned: secret_free. Any thread. */
char *secret_new(const char *bytes, size_t len);

/* Another copy; NULL gives NULL. Returns owned: secret_free. Any thread. */
char *secret_dup(const char *secret);

/* Wipes it and frees it; NULL is fine. Takes it. Any thread. */
void secret_free(void *secret);

#endif
