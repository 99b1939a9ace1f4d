/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keys.h: the rows of keys.def as a table, and what can be asked of it.
 *
 * It knows where each key lies in the structs of config.h, so that defaults, values and freeing
 * need no code per key. All of it is constant: any thread.
 */
#ifndef KURA_CONFIG_KEYS_H
#define KURA_CONFIG_KEYS_H

#include "config/config.h"

enum cfg_object {
	CFG_OBJECT_config,
	CFG_OBJECT_portal,
	CFG_OBJECT_pool,
	CFG_OBJECT_volume,
	CFG_OBJECT_limit,
	CFG_OBJECT_layer,
	CFG_OBJECT_target,
	CFG_OBJECT_lun,
	CFG_OBJECT_initiator,
	CFG_OBJECT_host,
	CFG_OBJECT_access,
	CFG_OBJECT_redirect,
	CFG_OBJECT_auth,
	CFG_OBJECT_isns,
	CFG_OBJECT_COUNT
};

enum cfg_type {
	CFG_TYPE_NUMBER,    /* uint16_t or uint32_t */
	CFG_TYPE_SIZE,      /* uint64_t */
	CFG_TYPE_BOOL,      /* bool */
	CFG_TYPE_CACHE,     /* enum cfg_cache */
	CFG_TYPE_WORD,      /* char *, as all below: one of a few words */
	CFG_TYPE_TEXT,      /* printable ASCII */
	CFG_TYPE_NAME,      /* letters, digits, dot, underscore, dash */
	CFG_TYPE_PATH,      /* absolute */
	CFG_TYPE_ADDRESS,   /* numeric address or "*" */
	CFG_TYPE_UUID,      /* 8-4-4-4-12 hex digits, lower case */
	CFG_TYPE_NAA,       /* 16 or 32 hex digits, lower case */
	CFG_TYPE_IQN,       /* iSCSI name, normalised */
	CFG_TYPE_INITIATOR, /* the same, or the beginning of one and "*" */
	CFG_TYPE_VOLUME,    /* name of a volume */
	CFG_TYPE_HOST,      /* name of a host group */
	CFG_TYPE_PORTAL,    /* numeric address and port */
	CFG_TYPE_LOCAL,     /* the same, or a port of 127.0.0.1 */
	CFG_TYPE_NETWORKS,  /* "address/bits", separated by blanks; in the file an array */
	CFG_TYPE_TAGS,      /* numbers, separated by blanks; in the file an array */
	CFG_TYPE_WORDS,     /* some of a few words, separated by blanks; in the file an array */
	CFG_TYPE_SECRET,    /* any text, in memory of its own: common/secret.h */
	CFG_TYPE_GROUP,     /* pointer to an `item`, or NULL */
	CFG_TYPE_LIST,      /* array of `item` and a count */
};

struct cfg_key {
	enum cfg_object object; /* whose */
	enum cfg_type type;     /* of the value */
	const char *name;       /* in the file */
	const char *deflt;      /* as text; NULL: must be given; "": may be absent */
	const char *limits;     /* see keys.def */
	const char *help;       /* one line */
	size_t offset;          /* of the field in its struct */
	size_t width;           /* of the field */
	size_t count_offset;    /* LIST: of the count */
	enum cfg_object item;   /* LIST, GROUP: what is in it */
};

struct cfg_object_info {
	const char *name; /* for messages: "a volume" */
	size_t size;      /* of the struct */
	size_t where;     /* offset of its struct cfg_where; CFG_NO_WHERE: none */
};

#define CFG_NO_WHERE ((size_t)-1)

extern const struct cfg_key cfg_keys[];
extern const unsigned cfg_key_count;
extern const struct cfg_object_info cfg_objects[CFG_OBJECT_COUNT];

/* The next key of `object` behind `after` (NULL: the first); NULL at the end. Static. */
const struct cfg_key *cfg_key_next(enum cfg_object object, const struct cfg_key *after);

/* The key of `object` that is called so, or NULL. Static. */
const struct cfg_key *cfg_key_find(enum cfg_object object, const char *name);

/* The field of `key` in its object, borrowed. */
static inline void *cfg_key_field(const struct cfg_key *key, void *object)
{
	return (char *)object + key->offset;
}

/* The array of a LIST key, borrowed, and its length. */
void *cfg_key_items(const struct cfg_key *key, void *object, unsigned *count);

/* For how many items there is memory at least in a list of `count`: one more than that, and a power
 * of two, so that a list which grows by one at a time is moved seldom. */
static inline unsigned cfg_list_room(unsigned count)
{
	return count ? 2u << (31 - __builtin_clz(count)) : 1;
}

/* A config with the defaults of the top level and nothing else. Returns owned. */
struct config *cfg_new(const char *file);

/* Fills a zeroed object with its defaults. */
void cfg_set_defaults(enum cfg_object object, void *out);

/* Frees what the fields of an object own, not the object. */
void cfg_fini_object(enum cfg_object object, void *p);

#endif
