/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cases.h: the rows that the contract test runs over: each store, where it lies, and the layers on
 * it; and a store that can do nothing by itself, to see what the guard makes up for.
 */
#ifndef KURA_TESTS_STORE_CASES_H
#define KURA_TESTS_STORE_CASES_H

#include "tests/store/rig.h"
#include "volume/vol_store.h"

#include <limits.h>

#define CASE_SIZE (8u << 20)

enum case_place { PLACE_NONE, PLACE_DISK, PLACE_TMPFS, PLACE_LOOPDEV };

struct store_case {
	const char *name;                    /* in test names */
	const char *store;                   /* row of stores.def; NULL: the bare store */
	enum case_place place;               /* what its path is */
	enum vol_cache cache;                /* file */
	uint32_t block_size;                 /* 512 or 4096 */
	const struct vol_layer_conf *layers; /* on it */
	unsigned layer_count;                /* of them */
};

extern const struct store_case store_cases[];
extern const unsigned store_case_count;

/* A scratch folder with one volume in it, open, and a loop with a channel. */
struct env {
	const struct store_case *row;
	enum loop_engine_id engine;
	struct vol_conf conf;    /* as opened; path and state_dir in the folder */
	char dir[64];            /* the folder */
	char path[128];          /* of the file, or the loop device */
	char backing[128];       /* of the file that has the blocks */
	char key_path[PATH_MAX]; /* of the crypt layer's key */
	char key[PATH_MAX + 8];  /* its options */
	struct vol_layer_conf layers[VOL_LAYERS_MAX]; /* the row's, with them */
	char why[512];                                /* what vol_open or set-up said */
	bool skip;                                    /* cannot be set up here; why says so */
	struct rig *rig;
	struct vol *vol;       /* may be closed and set again by the test */
	struct vol_chan *chan; /* the same */
	struct vol_info info;
};

/* A new empty folder on disk (the folder of tests, TMPDIR, or the current one) or on tmpfs, its
 * name in `dir`. false: not to be had. */
bool case_dir(enum case_place place, char dir[64]);

/* Removes such a folder with the files in it. */
void case_dir_remove(const char *dir);

/* Writes a key file, another key for each seed. */
void case_key_write(const char *path, unsigned seed);

/* Sets everything up; env->skip when this machine cannot. Returns owned. */
struct env *env_new(const struct store_case *row, enum loop_engine_id engine);

/* Takes it all down again. Takes it. */
void env_free(struct env *env);

/* Closes channel and volume; opens them again by env->conf. false with env->why: refused. */
void env_close(struct env *env);
bool env_open(struct env *env);

/* ---- the bare store: memory of CASE_SIZE, that knows READ, WRITE and FLUSH only ---- */

#define BARE_LOG_MAX 4096

struct bare_log {
	struct {
		enum vol_op op;
		uint32_t flags;
		uint64_t off, len;
	} row[BARE_LOG_MAX];
	unsigned count;
};

/* The store itself, for vol_open_store. */
extern const struct vol_part_ops case_bare_ops;

/* What reached the bare store since this was zeroed; one loop at a time. */
extern struct bare_log bare_log;

#endif
