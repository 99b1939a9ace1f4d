// SPDX-License-Identifier: Apache-2.0
/* What the keys of an auth group owe each other. No message has a part of a secret. */
#include "config/report.h"

#include <stdio.h>
#include <string.h>

#define GOOD_SECRET 12 /* bytes; RFC 7143 9.2.1: 96 bits */

struct half {
	const char *user, *secret, *file;             /* the values */
	const char *user_key, *secret_key, *file_key; /* their names */
	bool optional;
};

static const char *key_path(char out[CFG_PATH_LEN], const char *group, const char *key)
{
	snprintf(out, CFG_PATH_LEN, "%s.%s", group, key);
	return out;
}

/* A name and a secret go together, and the secret is in one place. */
static void check_half(const struct half *h, const char *group, struct cfg_report *r)
{
	char path[CFG_PATH_LEN];

	if (h->user && !*h->user)
		cfg_report_error(r, key_path(path, group, h->user_key),
			"is empty; write a name of 1 to 255 characters");
	if (h->user && !h->secret && !h->file)
		cfg_report_error(r, key_path(path, group, h->secret_key),
			"is missing; write %s = \"/path\"; with a file of mode 0600", h->file_key);
	if (h->secret && !h->user && h->optional)
		cfg_report_error(r, key_path(path, group, h->user_key),
			"is missing; a secret goes with a name");
	if (h->secret && strlen(h->secret) < GOOD_SECRET)
		cfg_report_warning(r, key_path(path, group, h->file ? h->file_key : h->secret_key),
			"the secret has %zu bytes; with less than %d it can be guessed from what "
			"goes "
			"over the network",
			strlen(h->secret), GOOD_SECRET);
}

void cfg_check_auth(const struct cfg_auth *a, const char *group, struct cfg_report *r)
{
	const struct half one = {
		.user = a->user,
		.secret = a->secret,
		.file = a->secret_file,
		.user_key = "user",
		.secret_key = "secret",
		.file_key = "secret_file",
	};
	const struct half mutual = {
		.user = a->mutual_user,
		.secret = a->mutual_secret,
		.file = a->mutual_secret_file,
		.user_key = "mutual_user",
		.secret_key = "mutual_secret",
		.file_key = "mutual_secret_file",
		.optional = true,
	};
	char path[CFG_PATH_LEN];

	check_half(&one, group, r);
	check_half(&mutual, group, r);
	/* RFC 7143 12.1.3: or whoever asks us to prove ourselves learns how to answer us */
	if (a->secret && a->mutual_secret && !strcmp(a->secret, a->mutual_secret))
		cfg_report_error(r,
			key_path(path, group,
				a->mutual_secret_file ? "mutual_secret_file" : "mutual_secret"),
			"is the secret of the initiator; take another one for the target");
}
