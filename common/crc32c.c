// SPDX-License-Identifier: Apache-2.0
/*
 * crc32c.c: the only file that knows isa-l, whose crc32_iscsi takes the processor's instructions.
 */
#include "common/crc32c.h"

#include <isa-l/crc.h>

#include <limits.h>

uint32_t crc32c_add(uint32_t crc, const void *p, size_t len)
{
	const uint8_t *at = p;

	while (len) {
		int n = len > INT_MAX ? INT_MAX : (int)len;

		/* isa-l takes a pointer without const and does not write through it */
		crc = crc32_iscsi((unsigned char *)(uintptr_t)at, n, crc);
		at += n;
		len -= (size_t)n;
	}
	return crc;
}
