/* SPDX-License-Identifier: Apache-2.0 */
/*
 * storage.h: what a configuration serves, opened: volumes, logical units, and targets that map
 * them.
 *
 * A volume that several targets map in the same way is one logical unit with several ports, so that
 * reservations and unit attentions hold for all ways to it. A target has a port of its own for each
 * map of LUNs and each portal group.
 */
#ifndef KURA_TARGET_STORAGE_H
#define KURA_TARGET_STORAGE_H

#include "config/config.h"
#include "target/scsi/lun.h"
#include "volume/volume.h"

#define STORAGE_WHY_LEN 512

struct storage_lun;

struct storage {
	const struct config *cfg;   /* borrowed until closed */
	struct scsi_domain *domain; /* borrowed */
	const char *state_dir;      /* borrowed */
	struct vol **vols;          /* in the order of cfg->volumes */
	unsigned vol_count;         /* open ones */
	struct storage_lun *luns;   /* each logical unit once */
	unsigned lun_count;
	struct scsi_target **targets; /* each port once; NULL where there is none */
	unsigned target_count;
	unsigned *first;      /* of each entry of cfg->targets: its first port in targets */
	uint16_t *groups;     /* tags of portal groups, in the order of cfg->portals */
	unsigned group_count; /* each once */
};

/*
 * Opens everything that `cfg` names and a channel of each logical unit on each of the `n` loops,
 * which do not run yet. One log line per volume and target. 0, or -errno with a sentence in `why`
 * (STORAGE_WHY_LEN). Close it in both cases. Blocks.
 */
int storage_open(struct storage *s, const struct config *cfg, const char *state_dir,
	struct scsi_domain *domain, struct loop *const *loops, unsigned n, char *why);

/*
 * The port of a target, borrowed: of the entry `index` of cfg->targets, in the portal group number
 * `group` of s->groups, as it is seen by `access`, one of the target's entries; NULL: by those who
 * see the target's own LUNs.
 */
struct scsi_target *storage_port(
	const struct storage *s, unsigned index, unsigned group, const struct cfg_access *access);

struct storage_flush {
	void (*done)(struct storage_flush *f); /* on the loop that asked, never inside the call */
	unsigned failed;                       /* volumes that could not be flushed; logged */
	unsigned left;                         /* flushes under way */
	struct loop_post post;                 /* brings done */
	struct loop_timer timer;               /* until units have stopped what they do */
	struct storage *storage;
	struct loop *loop;
};

/* Ends what units do on their own, then flushes every volume that has a cache, on the calling loop.
 * Keeps `f` until done. */
void storage_flush(struct storage *s, struct loop *loop, struct storage_flush *f);

/* Closes the channels of one loop, on which nothing is in flight; on its thread, or when it does
 * not run. */
void storage_leave(struct storage *s, struct loop *loop);

/* Frees and closes everything; all loops have left and no session is there. Blocks. */
void storage_close(struct storage *s);

#endif
