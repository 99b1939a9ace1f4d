/* SPDX-License-Identifier: Apache-2.0 */
/*
 * value.h: one value of the configuration: checked against its row of keys.def and stored.
 *
 * Every refusal is a half sentence of the form "what is wrong; what would be right".
 */
#ifndef KURA_CONFIG_VALUE_H
#define KURA_CONFIG_VALUE_H

#include "config/keys.h"

#define CFG_WHY_LEN 800 /* room for a refusal */

enum cfg_kind {
	CFG_KIND_NUMBER,
	CFG_KIND_STRING,
	CFG_KIND_BOOL,
	CFG_KIND_FLOAT,
	CFG_KIND_HEX,  /* a number written as 0x.. */
	CFG_KIND_LIST, /* list, array or group */
};

struct cfg_value {
	enum cfg_kind kind;
	int64_t number;     /* NUMBER */
	bool flag;          /* BOOL */
	const char *string; /* STRING, borrowed */
};

/* Writes a refusal into `why` (CFG_WHY_LEN); always -EINVAL. Any thread. */
int cfg_refuse(char *why, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Stores `value` in the field of `key`; 0, or -EINVAL with a refusal in `why` (CFG_WHY_LEN). The
 * field is left as it was on refusal. Any thread. */
int cfg_value_set(
	const struct cfg_key *key, void *object, const struct cfg_value *value, char *why);

/* Stores the default of `key`, which must have one. */
void cfg_value_set_default(const struct cfg_key *key, void *object);

/* Stores the normal form of a numeric address with its port (`port` when none is written) in
 * `field`, which owns a text or NULL; as cfg_value_set. */
int cfg_portal_set(char **field, const char *text, unsigned long port, char *why);

/* The same; a port alone is of 127.0.0.1, where 0 is any that is free. */
int cfg_local_set(char **field, const char *text, unsigned long port, char *why);

/* The same of portal group tags, separated by blanks. */
int cfg_tags_set(char **field, const char *text, char *why);

/* The same of networks, "address/bits", separated by blanks. */
int cfg_networks_set(char **field, const char *text, char *why);

/*
 * The normal form of an iSCSI name (RFC 7143 4.2.7, RFC 3722) in `out`, which has room for
 * CFG_ISCSI_NAME_MAX + 1; 0, or -EINVAL with a refusal in `why` (CFG_WHY_LEN). Any thread.
 */
int cfg_iscsi_name(const char *text, char *out, char *why);
#define CFG_ISCSI_NAME_MAX 223

/* The same of the beginning of a name with "*" behind it. */
int cfg_iscsi_pattern(const char *text, char *out, char *why);

#endif
