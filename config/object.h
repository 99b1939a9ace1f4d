/* SPDX-License-Identifier: Apache-2.0 */
/*
 * object.h: configurations as values: copied, compared, changed, checked again and written, all by
 * the rows of keys.def.
 *
 * An object belongs to the file that names it. Verbs change only what the managed file names; they
 * change a copy of the running configuration, which is checked, written and then followed.
 */
#ifndef KURA_CONFIG_OBJECT_H
#define KURA_CONFIG_OBJECT_H

#include "config/keys.h"

/* A copy of everything. Returns owned: cfg_free. Any thread. */
struct config *cfg_copy(const struct config *cfg);

/* Copies the fields of `from` into `to`, which owns nothing yet. */
void cfg_copy_object(enum cfg_object object, void *to, const void *from);

/* Whether all fields are the same, wherever they were written. Any thread. */
bool cfg_same_object(enum cfg_object object, const void *a, const void *b);

/* The same of one field. */
bool cfg_same_field(const struct cfg_key *key, const void *a, const void *b);

/* Checks the whole as cfg_read does; the number of mistakes, the first `max` in `errors`. */
unsigned cfg_check_again(const struct config *cfg, struct cfg_error *errors, unsigned max);

/* ---- by name; NULL: there is none. Borrowed from `cfg` until its list changes. Any thread. ----
 */

/* The volume of this name. Who asks for one after the other in the order of the list finds each at
 * once, as with the next two. */
struct cfg_volume *cfg_volume_named(const struct config *cfg, const char *name);

/* The target of this iSCSI name, in capitals or not. */
struct cfg_target *cfg_target_named(const struct config *cfg, const char *name);

/* The host group of this name. */
struct cfg_host *cfg_host_named(const struct config *cfg, const char *name);

/* ---- what the managed file names ---- */

/* Appends an item to a list (a key of `owner`, which is `object`) and takes what its fields own;
 * *item itself stays the caller's. Returns it, borrowed until the next change of the list. */
void *cfg_list_add(enum cfg_object object, void *owner, const char *key, const void *item);

/* Removes item `i` of a list and frees what it owns. */
void cfg_list_remove(enum cfg_object object, void *owner, const char *key, unsigned i);

/* Where new objects say that they are: in the managed file. `cfg` must have been read with one. */
struct cfg_where cfg_managed_where(const struct config *cfg);

/* Whether an object stands in the managed file. */
bool cfg_is_managed(const struct config *cfg, const struct cfg_where *where);

/* Sets a field from text as the file would have it, numbers and sizes too. 0, or -EINVAL with a
 * half sentence in `why` (CFG_WHY_LEN of value.h). */
int cfg_set_text(enum cfg_object object, void *owner, const char *key, const char *text, char *why);

/* ---- writing ---- */

enum cfg_write_flags {
	CFG_WRITE_MANAGED = 1u << 0, /* only what the managed file names; else everything */
	CFG_WRITE_SECRETS = 1u << 1, /* secrets that no file of their own holds; else their place */
};

/* The configuration in the grammar of kura.conf(5), without what is as it would be anyway. It may
 * hold secrets: wipe it. Returns owned. Any thread. */
char *cfg_write(const struct config *cfg, unsigned flags);

#endif
