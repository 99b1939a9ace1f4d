/* SPDX-License-Identifier: Apache-2.0 */
/*
 * edit.h: how a verb changes what is served: it takes a copy of the running configuration, changes
 * what the managed file names in it, and commits: the copy is checked, written and followed.
 *
 * The file is written when the server has everything ready and before anything of it holds: a reply
 * is never for something that a restart would forget, and no restart finds what the server refused.
 */
#ifndef KURA_TARGET_CTL_EDIT_H
#define KURA_TARGET_CTL_EDIT_H

#include "config/object.h"
#include "target/ctl/call.h"

/* A copy of the running configuration: to look at, or to change and commit. Returns owned. */
struct config *ctl_config(struct ctl_call *call);

/* The same only to look at: portals have the ports at which they listen, also where the kernel
 * chose them. */
struct config *ctl_config_seen(struct ctl_call *call);

/* Whether `next` is right in itself, which ctl_commit asks as well; false after ctl_fail. */
bool ctl_check(struct ctl_call *call, const struct config *next);

/*
 * Makes `next` (takes, in any case) what is written and served. False: ctl_fail was called with
 * what is wrong, or with who uses what would go (detail "users"), and nothing has changed. `force`
 * ends sessions that use what goes. In a CHANGE, or between ctl_change_begin and _end.
 */
bool ctl_commit(struct ctl_call *call, struct config *next, bool force);

/* ---- objects by name ---- */

/* The volume of that name; NULL after ctl_fail (RPC_NOT_FOUND) with the nearest one. Borrowed until
 * the list changes, as the next two. */
struct cfg_volume *ctl_find_volume(struct ctl_call *call, struct config *cfg, const char *name);

/* The same of targets, by their iSCSI names. */
struct cfg_target *ctl_find_target(struct ctl_call *call, struct config *cfg, const char *name);

/* The same of host groups. */
struct cfg_host *ctl_find_host(struct ctl_call *call, struct config *cfg, const char *name);

/* Whether verbs may change an object; false: ctl_fail was called with its file and line. */
bool ctl_may_change(struct ctl_call *call, const struct config *cfg, const struct cfg_where *where,
	const char *what, const char *name);

/* Sets a field from text, as the file would have it; false: ctl_fail was called. NULL text: nothing
 * to set. */
bool ctl_set(struct ctl_call *call, enum cfg_object object, void *owner, const char *key,
	const char *text);

/* "name" of an iSCSI name as the configuration keeps it; NULL after ctl_fail. Returns owned. */
char *ctl_iscsi_name(struct ctl_call *call, const char *text);

/* ---- parts that several verbs share ---- */

/* The arguments user, secret_file, mutual_user, mutual_secret_file as *out, owned, or NULL when
 * none is given; false after ctl_fail. */
bool ctl_auth(struct ctl_call *call, const struct config *cfg, struct cfg_auth **out);

/* Reads the secrets that the files of `auth` hold; false after ctl_fail. */
bool ctl_read_secrets(struct ctl_call *call, struct cfg_auth *auth);

/* Whether the networks of the argument "address" are of some "initiator" of the call; false after
 * ctl_fail: they would be dropped. */
bool ctl_addresses_fit(struct ctl_call *call);

/* Adds an initiator, from the networks of the argument "address", to a target or host group. 1, 0:
 * it was there, -1 after ctl_fail. */
int ctl_add_initiator(struct ctl_call *call, const struct config *cfg, enum cfg_object object,
	void *owner, const char *name);

/* The entry of a host group in a target, made when there is none; NULL after ctl_fail. Borrowed
 * until the list changes. */
struct cfg_access *ctl_access(
	struct ctl_call *call, struct config *cfg, struct cfg_target *t, const char *host);

/* Maps a volume with the arguments readonly, serial and naa; false after ctl_fail. */
bool ctl_map(struct ctl_call *call, const struct config *cfg, enum cfg_object object, void *owner,
	uint64_t number, const char *volume);

/* "file:line". Returns owned. */
char *ctl_where(const struct cfg_where *where);

/* LUNs as a list of objects. Returns owned. */
struct jval *ctl_luns(const struct cfg_lun *luns, unsigned count);

/* The same of initiators. */
struct jval *ctl_initiators(const struct cfg_initiator *initiators, unsigned count);

#endif
