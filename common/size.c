/* SPDX-License-Identifier: Apache-2.0 */
/* Sizes: digits and at most one letter. */
#include "common/size.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

int size_parse(const char *text, uint64_t *bytes)
{
	static const char units[] = "KMGTP";
	uint64_t n = 0;
	const char *p = text;

	if (!isdigit((unsigned char)*p))
		return -EINVAL;
	for (; isdigit((unsigned char)*p); p++) {
		if (__builtin_mul_overflow(n, (uint64_t)10, &n) ||
			__builtin_add_overflow(n, (uint64_t)(*p - '0'), &n))
			return -ERANGE;
	}
	const char *unit = *p ? strchr(units, toupper((unsigned char)*p)) : NULL;
	if (unit) {
		unsigned shift = 10 * (unsigned)(unit - units + 1);

		if (n > UINT64_MAX >> shift)
			return -ERANGE;
		n <<= shift;
		p++;
	}
	if (*p)
		return -EINVAL;
	*bytes = n;
	return 0;
}

void size_format(uint64_t bytes, char *out)
{
	static const char units[] = "KMGTP";
	unsigned step = 0;

	while (bytes && step < 5 && bytes % 1024 == 0) {
		bytes /= 1024;
		step++;
	}
	if (step)
		snprintf(out, 24, "%llu%c", (unsigned long long)bytes, units[step - 1]);
	else
		snprintf(out, 24, "%llu", (unsigned long long)bytes);
}
