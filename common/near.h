/* SPDX-License-Identifier: Apache-2.0 */
/*
 * near.h: which of several names a person may have meant who mistyped one. Any thread.
 */
#ifndef KURA_COMMON_NEAR_H
#define KURA_COMMON_NEAR_H

#include <stdbool.h>

/* How many letters must change to make `b` of `a`, swapped neighbours as one, at most `max` + 1. */
unsigned near_distance(const char *a, const char *b, unsigned max);

/* Whether `b` is near enough to `a` to be what was meant, and nearer than *best, which begins as
 * UINT_MAX and becomes its distance. */
bool near_is(const char *a, const char *b, unsigned *best);

#endif
