/* SPDX-License-Identifier: Apache-2.0 */
/*
 * binary.h: binary values as login keys write them (RFC 7143 6.1): "0x" and hexadecimal digits, or
 * "0b" and base64. Any thread.
 */
#ifndef KURA_TARGET_ISCSI_BINARY_H
#define KURA_TARGET_ISCSI_BINARY_H

#include <stddef.h>
#include <stdint.h>

/* The bytes of `text` in `out`, which has room for `room`: their number, -EINVAL for what is no
 * binary value or has no bytes, or -ENOSPC. */
int binary_parse(const char *text, uint8_t *out, size_t room);

/* Writes `len` bytes as "0x" and digits; `out` has room for 2 * len + 3. */
void binary_format(const uint8_t *bytes, size_t len, char *out);

#endif
