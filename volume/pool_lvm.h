/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool_lvm.h: LVM by its own tools: a command at a time, and the logical volumes of a group with
 * the tags that are kura's records.
 */
#ifndef KURA_VOLUME_POOL_LVM_H
#define KURA_VOLUME_POOL_LVM_H

#include "volume/pool_kind.h"

#define LVM_ARGS_MAX 160

/* Arguments of a command; strings are kept until lvm_run. */
struct lvm_args {
	const char *v[LVM_ARGS_MAX]; /* NULL at the end */
	unsigned count;
	char *made[72]; /* owned ones among them */
	unsigned made_count;
};

enum lvm_state { LVM_FOREIGN, LVM_LIVE, LVM_HALF, LVM_GONE, LVM_WIPE };

/* One logical volume of the pool's group. */
struct lvm_lv {
	char name[128];
	uint64_t size;      /* bytes that are seen through it */
	uint64_t allocated; /* bytes of the group or thin pool */
	char origin[128];   /* LV that it is a snapshot of, or "" */
	char pool[128];     /* its thin pool, or "" */
	char type;          /* first letter of lv_attr */
	bool active, open, invalid, merging;
	enum lvm_state state; /* by its tags */
	struct meta_record record;
};

/* Adds an argument, which is borrowed until the command has run. */
void lvm_arg(struct lvm_args *args, const char *arg);

/* Adds an argument that is made from printf's. */
void lvm_argf(struct lvm_args *args, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Runs a command of LVM with the pool's --config and --devices; takes the arguments. *out is owned
 * (NULL: not wanted). 0 or -errno with what LVM said in the sentence. Blocks. */
int lvm_run(const struct pool *pool, struct lvm_args *args, char **out, const struct pool_why *why);

/* The same for a command that takes one LV of the group as its last argument. */
int lvm_run_on(
	const struct pool *pool, struct lvm_args *args, const char *lv, const struct pool_why *why);

/* All LVs of the group but hidden ones of LVM. *lvs is owned by the caller. */
int lvm_scan(
	const struct pool *pool, struct lvm_lv **lvs, size_t *count, const struct pool_why *why);

/* See pool_keep and pool_kept (pool_lvm_kept.c). */
int lvm_keep(struct pool *pool, const char *name, const char *text, const struct pool_why *why);

/* The same. */
char *lvm_kept(struct pool *pool, const char *name, int *err, const struct pool_why *why);

/* The tags that are a record, as arguments. */
void lvm_arg_record(struct lvm_args *args, const struct meta_record *record);

#endif
