/* SPDX-License-Identifier: Apache-2.0 */
/*
 * import.h: the configuration of another target made into one of kura's.
 *
 * What is read there fills a struct config, which is printed in the grammar of kura.conf(5); what
 * has no place in it is kept as a note, with its object and the reason, and is shown to a person.
 */
#ifndef KURA_TOOLS_IMPORT_H
#define KURA_TOOLS_IMPORT_H

#include "config/object.h"
#include "rpc/verbs.h"

#define IMPORT_WHY_LEN  600
#define IMPORT_NAME_LEN 64 /* a name with its NUL */

/* A secret, and the file that stands for it. */
struct import_secret {
	char *secret;      /* NULL: the source does not have it; owned, wiped */
	char *user, *file; /* owned */
	char *whose;       /* for a person; owned */
};

struct import {
	const char *file; /* the source; borrowed */
	struct config *cfg;
	const char *secret_dir; /* where the files of secrets are to be; borrowed */
	bool with_secrets;      /* print those that are known */
	struct import_secret *secrets;
	unsigned secret_count;
	char **notes; /* what was not carried over; owned */
	unsigned note_count, notes_lost;
	char *remark; /* about what was; or NULL; owned */
	unsigned objects;
	char why[IMPORT_WHY_LEN]; /* wrong input: where and what */
};

/* A volume as the source has it. Names and texts are borrowed. */
struct import_disk {
	const char *name;    /* what it would like to be called */
	const char *path;    /* NULL: memory */
	uint64_t size;       /* of memory, or of a file that may have to be made; 0: as it is */
	unsigned block_size; /* 0: the default */
	unsigned physical;   /* of a physical block; 0: the default */
	bool readonly, direct, removable;
};

/* A mapping as the source has it; NULL: the default, or not known. */
struct import_lun {
	uint64_t number;
	const char *volume; /* by import_volume */
	const char *serial, *naa, *vendor, *product, *revision;
	bool readonly;
};

/* CHAP; a secret that is not known is NULL. */
struct import_chap {
	const char *user, *secret, *mutual_user, *mutual_secret;
};

/* Says that something was not carried over: "object: reason". Bytes that do not print become '?'.
 */
void import_note(struct import *im, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Says what is wrong with the input, "file:line: what"; always -EINVAL. */
int import_wrong(struct import *im, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Sets a field by its row of keys.def; what it refuses is a note about `who`, and false. */
bool import_set(struct import *im, enum cfg_object object, void *owner, const char *key,
	const char *text, const char *who);

/* Where a new object says that it is. */
struct cfg_where import_where(struct import *im);

/* Whether the path is that of a block device, as far as this machine knows. */
bool import_is_device(const char *path);

/* The volume, added when its path is new. Its name, for `name` (room for IMPORT_NAME_LEN), or
 * false after a note about `who`. */
bool import_volume(struct import *im, const struct import_disk *disk, const char *who, char *name);

/* Maps it in a target or an access; false after a note about `who`. */
bool import_map(struct import *im, enum cfg_object object, void *owner,
	const struct import_lun *lun, const char *who);

/* A group of keys for CHAP, owned by the caller; NULL: no user is named, or a note about `who`. */
struct cfg_auth *import_auth(struct import *im, const struct import_chap *chap, const char *who);

/* A host group of one initiator, with what it has to prove (takes `auth`), the one that is there
 * when there is the same. Its name, borrowed until the next one; NULL after a note. */
const char *import_host(
	struct import *im, const char *initiator, struct cfg_auth *auth, const char *who);

/* A name of kura.conf(5) for a text, unlike those of `list` (a key of the whole file). */
void import_name(const struct import *im, const char *text, const char *list, char *name);

/* tgt's targets.conf. 0, or -EINVAL with `why`. */
int import_tgt(struct import *im, const char *path);

/* LIO's saveconfig.json. The same. */
int import_lio(struct import *im, const char *path);

/* "kura import-config tgt|lio FILE": `words` behind the first, `count` of them. */
enum rpc_exit import_config(char **words, unsigned count);

/* How it is called, for help. */
extern const char import_usage[];

#endif
