/* SPDX-License-Identifier: Apache-2.0 */
/* Distances between words, with neighbours that changed places as one mistake. */
#include "common/near.h"

#include <string.h>

#define NEAR_DISTANCE_LEN 64

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
	unsigned least = a < b ? a : b;

	return least < c ? least : c;
}

unsigned near_distance(const char *a, const char *b, unsigned max)
{
	unsigned rows[3][NEAR_DISTANCE_LEN + 1];
	size_t la = strlen(a), lb = strlen(b);
	unsigned *before = rows[0], *last = rows[1], *now = rows[2];

	if (la > NEAR_DISTANCE_LEN || lb > NEAR_DISTANCE_LEN)
		return max + 1;
	for (unsigned j = 0; j <= lb; j++)
		before[j] = last[j] = j;
	for (unsigned i = 1; i <= la; i++) {
		now[0] = i;
		for (unsigned j = 1; j <= lb; j++) {
			now[j] = min3(
				last[j] + 1, now[j - 1] + 1, last[j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
				now[j] > before[j - 2] + 1)
				now[j] = before[j - 2] + 1;
		}
		unsigned *oldest = before;
		before = last;
		last = now;
		now = oldest;
	}
	return last[lb] > max ? max + 1 : last[lb];
}

bool near_is(const char *a, const char *b, unsigned *best)
{
	size_t len = strlen(a);
	unsigned allowed = len < 3 ? 1 : len < 8 ? 2 : 3;
	unsigned d = near_distance(a, b, allowed);

	if (d > allowed || d >= *best)
		return false;
	*best = d;
	return true;
}
