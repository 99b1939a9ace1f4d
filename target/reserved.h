/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reserved.h: reservations of volumes, for a thread that may wait: it asks the loop where they are
 * kept, and gives up when that does not answer in time.
 */
#ifndef KURA_TARGET_RESERVED_H
#define KURA_TARGET_RESERVED_H

#include "target/scsi/reservation.h"
#include "target/server.h"

/* What initiators have made of a volume, copied. */
struct reserved {
	char *volume;            /* its name, owned */
	const struct vol *vol;   /* compared only */
	struct res_state *state; /* owned; NULL: nothing maps the volume */
};

struct reserved_list {
	unsigned count;
	struct reserved *all; /* owned */
};

/* Looks at every volume (NULL), or at the one of that name; none: there is none. 0 or -ETIMEDOUT.
 * `list` is filled in any case: free it. Not on a loop's thread. */
int reserved_look(struct server *srv, const char *volume, struct reserved_list *list);

/* Frees what it holds. */
void reserved_free(struct reserved_list *list);

/* Ends every registration and reservation of a volume; it is on disk and every loop knows it when
 * this returns. 0, -ENOENT: it has none; -EIO: it cannot be saved, nothing has changed; -ETIMEDOUT:
 * it is still under way. Not on a loop's thread. */
int reserved_clear(struct server *srv, const char *volume);

#endif
