/* SPDX-License-Identifier: Apache-2.0 */
/*
 * volumes.h: what the verbs of pools and volumes share: finding a volume and its pool, who uses it,
 * and the steps by which a new one comes to be served.
 *
 * A pool may have volumes that no configuration names: snapshots above all. They are found by their
 * names, too.
 */
#ifndef KURA_TARGET_CTL_VOLUMES_H
#define KURA_TARGET_CTL_VOLUMES_H

#include "target/ctl/edit.h"
#include "target/doing.h"
#include "target/tend.h"

/* A volume that a verb is about; ctl_volume_fini. */
struct ctl_volume {
	const struct cfg_volume *cfg; /* its entry, borrowed; NULL: only the pool knows it */
	struct pool *pool;            /* in use */
	struct pool_volume is;        /* what the pool says of it */
};

/* An open pool to be used until server_pool_put; `name` NULL: the only one that there is. NULL
 * after ctl_fail. */
struct pool *ctl_pool(struct ctl_call *call, const struct config *cfg, const char *name);

/* The volume of a pool, by its name or, when no configuration names it, by looking into every pool.
 * False after ctl_fail. */
bool ctl_volume_get(
	struct ctl_call *call, struct config *cfg, const char *name, struct ctl_volume *out);

/* Lets go of it. */
void ctl_volume_fini(struct ctl_call *call, struct ctl_volume *v);

/* Refuses with what a room below said. */
void ctl_fail_errno(struct ctl_call *call, int err, const char *why);

/* ---- who uses it ---- */

/* Where it is mapped, as a list of texts "TARGET LUN n"; NULL when nowhere. Returns owned. */
struct jval *ctl_mapped(const struct config *cfg, const char *volume);

/* The initiators with sessions that see it, as a list of texts. No change is under way. */
struct jval *ctl_users(struct ctl_call *call, const struct config *cfg, const char *volume);

/* Whether nobody maps it; false: ctl_fail was called with where it is and who is there. `todo` is
 * what a person may do instead. */
bool ctl_is_free(
	struct ctl_call *call, const struct config *cfg, const char *volume, const char *todo);

/* Takes every mapping of it out of the configuration. False after ctl_fail: one is written in the
 * human's file. */
bool ctl_unmap(struct ctl_call *call, struct config *cfg, const char *volume);

/* How fast it may be used, as "iops=500 write_bytes=8388608". Returns owned. */
char *ctl_limit_text(const struct cfg_limit *limit);

/* ---- steps ---- */

/* Whether no verb is at work on what is, or is to be, called so; false after ctl_fail. In a CHANGE.
 */
bool ctl_is_idle(struct ctl_call *call, const char *name);

/* Writes the note of what begins; false after ctl_fail: also when what it is to make is there. In a
 * CHANGE. */
bool ctl_note(struct ctl_call *call, const struct doing *doing);

/*
 * The pool has made a volume of which there is a note: it is named in `cfg` (takes), served, and
 * the note goes. When it cannot be, the pool loses it again. In a CHANGE.
 */
bool ctl_name_volume(struct ctl_call *call, struct config *cfg, const struct doing *doing,
	const struct cfg_volume *like);

/* The same for one that is as a volume is by default; answers with its name and size. */
void ctl_name_new(struct ctl_call *call, const char *pool, const char *volume);

/* A snapshot, for which the volume is held still; for how long in *micros. 0, or -errno with a
 * sentence in `why` (POOL_WHY_LEN). */
int ctl_snapshot(struct ctl_call *call, struct pool *pool, const char *volume, const char *snap,
	uint64_t *micros, char *why);

/* Whether a copy of its bytes may leave it; false after ctl_fail. `what` it would be. */
bool ctl_may_copy(struct ctl_call *call, const struct ctl_volume *v, const char *what);

/* Whether somebody might write to it while it is copied: it is mapped, and not read-only. */
bool ctl_is_written(const struct config *cfg, const struct ctl_volume *v);

/* As server_tend; false after ctl_fail. */
bool ctl_tend(struct ctl_call *call);

/* What initiators are told of an identity. */
void ctl_tell_naa(struct jval *out, const uint8_t *uuid);

/* A volume as pools and configuration say. */
void ctl_tell_volume(struct jval *out, const struct config *cfg, const struct ctl_volume *v);

#endif
