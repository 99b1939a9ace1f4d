// SPDX-License-Identifier: Apache-2.0
/* Both encodings are taken in their one whole form: pairs of digits, and base64 with its padding.
 */
#include "target/iscsi/binary.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* The value of a hexadecimal digit, or -1. */
static int hex_value(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *at = c ? strchr(digits, c >= 'A' && c <= 'F' ? c - 'A' + 'a' : c) : NULL;

	return at ? (int)(at - digits) : -1;
}

static int parse_hex(const char *p, uint8_t *out, size_t room)
{
	size_t len = 0;

	for (; *p; p += 2) {
		int high = hex_value(p[0]), low = hex_value(p[1]);

		if (high < 0 || low < 0)
			return -EINVAL;
		if (len == room)
			return -ENOSPC;
		out[len++] = (uint8_t)(high << 4 | low);
	}
	return len ? (int)len : -EINVAL;
}

/* The value of a digit of base64 (RFC 4648 4), or -1. */
static int base64_value(char c)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *at = c ? strchr(digits, c) : NULL;

	return at ? (int)(at - digits) : -1;
}

/* Four digits, the last of them maybe padding: 1 to 3 bytes in `out`, or -EINVAL. */
static int parse_four(const char *p, uint8_t out[3])
{
	int pad = p[3] != '=' ? 0 : p[2] != '=' ? 1 : 2;
	uint32_t bits = 0;

	for (int i = 0; i < 4; i++) {
		int value = i < 4 - pad ? base64_value(p[i]) : 0;

		if (value < 0)
			return -EINVAL;
		bits = bits << 6 | (uint32_t)value;
	}
	out[0] = (uint8_t)(bits >> 16);
	out[1] = (uint8_t)(bits >> 8);
	out[2] = (uint8_t)bits;
	/* RFC 4648 3.5: the bits that padding leaves over are zero */
	return bits & (pad == 2 ? 0xffff : pad ? 0xff : 0) ? -EINVAL : 3 - pad;
}

static int parse_base64(const char *p, uint8_t *out, size_t room)
{
	size_t left = strlen(p), len = 0;

	if (!left || left % 4)
		return -EINVAL;
	for (; left; left -= 4, p += 4) {
		uint8_t bytes[3];
		int n = parse_four(p, bytes);

		if (n < 0 || (n < 3 && left > 4))
			return -EINVAL;
		if (room - len < (size_t)n)
			return -ENOSPC;
		memcpy(out + len, bytes, (size_t)n);
		len += (size_t)n;
	}
	return (int)len;
}

int binary_parse(const char *text, uint8_t *out, size_t room)
{
	if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X'))
		return parse_hex(text + 2, out, room);
	if (text[0] == '0' && (text[1] == 'b' || text[1] == 'B'))
		return parse_base64(text + 2, out, room);
	return -EINVAL;
}

void binary_format(const uint8_t *bytes, size_t len, char *out)
{
	strcpy(out, "0x");
	for (size_t i = 0; i < len; i++)
		snprintf(out + 2 + 2 * i, 3, "%02x", bytes[i]);
}
