/* SPDX-License-Identifier: Apache-2.0 */
/*
 * storage.h: what is served, opened: volumes, logical units, and the target ports that map them,
 * all of them known by name, so that they follow one configuration after the other.
 *
 * A volume has one logical unit for each identity (vendor, product, serial ...) by which LUNs show
 * it, whatever maps it, so that reservations and unit attentions hold for all ways to it. A target
 * has a port for each portal group, and for each host group with LUNs of its own.
 *
 * One thread at a time changes it: before the loops run, or, when `running` is set, a thread that
 * may block and is none of theirs. Others may look at volumes while they hold `lock`.
 */
#ifndef KURA_TARGET_STORAGE_H
#define KURA_TARGET_STORAGE_H

#include "config/config.h"
#include "target/pools.h"
#include "target/scsi/lun.h"
#include "volume/volume.h"

#include <pthread.h>

#define STORAGE_WHY_LEN 512

struct storage_change;

struct storage_volume {
	struct list node;
	char *name;
	struct vol *vol;
	char *pool;                /* that it is in, or NULL */
	char *with_dir;            /* folder there for what moves along with it, or NULL */
	bool keeps;                /* the pool does that by pool_keep */
	struct scsi_keeper keeper; /* through which it does */
	struct pools *pools;       /* borrowed */
};

struct storage_unit {
	struct list node;
	struct storage_volume *volume;
	char *identity; /* what tells it from the other units of the volume */
	struct scsi_lun *scsi;
	unsigned maps; /* LUNs of ports that are this unit */
};

struct storage_map {
	uint16_t lun;
	bool readonly;
	struct storage_unit *unit;
};

struct storage_port {
	struct list node;
	char *target;    /* iSCSI name */
	char *host;      /* the group whose LUNs it shows; NULL: the target's own */
	uint16_t tag;    /* of the portal group */
	uint16_t number; /* relative port identifier */
	struct scsi_target *scsi;
	struct storage_map *maps;
	unsigned map_count;
};

struct storage {
	struct scsi_domain *domain; /* borrowed */
	struct loop *const *loops;  /* borrowed */
	unsigned loop_count;
	char *state_dir;
	struct pools *pools;  /* owned */
	bool running;         /* the loops do; changes go by them */
	pthread_mutex_t lock; /* of `volumes`, for those who look */
	struct list volumes, units, ports;
	struct list *near; /* of ports: the one found last, where the next search begins */
	struct storage_change *late; /* a change that a volume does not let end; or NULL */
};

/* An empty one. Close it. */
void storage_init(struct storage *s, const char *state_dir, struct scsi_domain *domain,
	struct loop *const *loops, unsigned n);

/* ---- what is there ---- */

/* The volume of this name, borrowed; or NULL. */
struct storage_volume *storage_volume_find(const struct storage *s, const char *name);

/* The same for who asks for one after the other in their order and would find each at once: *near,
 * NULL at first and whenever one was closed, is where the search begins. */
struct storage_volume *storage_volume_find_near(
	const struct storage *s, struct list **near, const char *name);

/* The port of a target in the portal group `tag`, as the hosts of group `host` see it; NULL: as
 * those do who see the target's own LUNs. Borrowed; or NULL. */
struct storage_port *storage_port_find(
	struct storage *s, const char *target, uint16_t tag, const char *host);

/* ---- what comes; each with a sentence in `why` (STORAGE_WHY_LEN) when it fails ---- */

/* Opens a volume; one log line. NULL: it cannot be. Blocks. */
struct storage_volume *storage_volume_open(
	struct storage *s, const struct cfg_volume *cfg, char *why);

/*
 * Makes the ports that `cfg` wants and that are not there, with their LUNs; nobody can log in by
 * them yet. Its volumes are open. 0 or -errno: sweep what was made. Blocks.
 */
int storage_ports_make(struct storage *s, const struct config *cfg, char *why);

/* Makes the LUNs of ports that are there, and their write protection, what `cfg` wants; those that
 * it does not want stay, unless another volume takes their place. 0 or -errno. Blocks. */
int storage_luns_follow(struct storage *s, const struct config *cfg, char *why);

/* From now on the volume may be used so fast; NULL: without limit. One log line. */
void storage_volume_limit(const struct storage_volume *v, const struct cfg_limit *limit);

/* Tells initiators that the volume has another size; to shrink, before it has. 0 or -errno. */
int storage_volume_resized(struct storage *s, struct storage_volume *volume, uint64_t size);

/* ---- what goes ---- */

/* Unmaps a volume wherever it is mapped, and closes it. 0, or -ETIMEDOUT as storage_sweep. */
int storage_volume_close(struct storage *s, struct storage_volume *volume, char *why);

/*
 * Removes what `cfg` does not want: ports, whose sessions end or have ended, LUNs, units, volumes.
 * Waits for commands that are at a volume, but not for ever: -ETIMEDOUT, and the rest stays to be
 * swept another time. Blocks.
 */
int storage_sweep(struct storage *s, const struct config *cfg, char *why);

/* ---- the end ---- */

struct storage_flush {
	void (*done)(struct storage_flush *f); /* on the loop that asked, never inside the call */
	bool units_go_on;                      /* what units do on their own is left alone */
	unsigned failed;                       /* volumes that could not be flushed; logged */
	unsigned left;                         /* flushes under way */
	struct loop_post post;                 /* brings done */
	struct loop_timer timer;               /* until units have stopped what they do */
	struct storage *storage;
	struct loop *loop;
};

/* Ends what units do on their own (but for units_go_on), then flushes every volume that has a
 * cache, on the calling loop. Keeps `f` until done. */
void storage_flush(struct storage *s, struct loop *loop, struct storage_flush *f);

/* Closes the channels of one loop, on which nothing is in flight; on its thread, or when it does
 * not run. */
void storage_leave(struct storage *s, struct loop *loop);

/* Frees and closes everything; all loops have left and no session is there. Blocks. */
void storage_close(struct storage *s);

#endif
