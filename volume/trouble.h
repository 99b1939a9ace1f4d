/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trouble.h: telling the log that a volume fails: once a minute for each kind of failure, however
 * many requests fail.
 */
#ifndef KURA_VOLUME_TROUBLE_H
#define KURA_VOLUME_TROUBLE_H

#include "volume/volume.h"

#define TROUBLE_KINDS 5

struct trouble {
	uint64_t told_s[TROUBLE_KINDS]; /* when a line was written last, 0: never; atomic */
	uint64_t since[TROUBLE_KINDS];  /* failures without a line since; atomic */
};

/* A request of the volume `name` failed with `err`, an errno of the contract. Any thread. */
void trouble_tell(struct trouble *t, const char *name, const struct vol_io *io, int err);

#endif
