/* SPDX-License-Identifier: Apache-2.0 */
/*
 * options.h: the "key=value key=value" text of a layer, taken apart.
 *
 * Each layer gives a table of its keys; a word that is not in it is refused with the keys that are.
 */
#ifndef KURA_VOLUME_OPTIONS_H
#define KURA_VOLUME_OPTIONS_H

#include "volume/vol_store.h"

#define OPTIONS_VALUE_MAX 255

struct options_key {
	const char *name;
	/* Takes the value into the part. 0, or a negative errno: it is refused with `form`. */
	int (*take)(struct vol_part *part, const char *value);
	const char *form; /* what would be right, as "op=read,write" */
};

/* Feeds every key of setup->options to its row of `keys` (`n` rows). 0, or -EINVAL after
 * vol_refuse. Any thread. */
int options_parse(
	struct vol_setup *setup, struct vol_part *part, const struct options_key *keys, unsigned n);

/* Operations by name, "read,write" or "any", as bits 1 << VOL_READ ... 0 or -EINVAL. */
int options_ops(const char *text, uint32_t *ops);

#endif
