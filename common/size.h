/* SPDX-License-Identifier: Apache-2.0 */
/*
 * size.h: sizes as people write them: bytes, or a number with K, M, G, T or P, powers of 1024. Any
 * thread.
 */
#ifndef KURA_COMMON_SIZE_H
#define KURA_COMMON_SIZE_H

#include <stdint.h>

/* Bytes of "20G" or "512". 0, -EINVAL, or -ERANGE: more than 64 bits hold. */
int size_parse(const char *text, uint64_t *bytes);

/* Writes bytes as short as they go without loss, "20G"; `out` has room for 24. */
void size_format(uint64_t bytes, char *out);

#endif
