/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report.h: the mistakes of a configuration, collected in the order of the file.
 *
 * Whoever finds one names the key by its path, "targets[0].luns[1].volume"; the reader knows where
 * that was written.
 */
#ifndef KURA_CONFIG_REPORT_H
#define KURA_CONFIG_REPORT_H

#include "config/text.h"
#include "config/config.h"

#define CFG_PATH_LEN 96 /* room for the path of a key */

struct cfg_report {
	const struct cfg_text *text; /* borrowed: where lines come from */
	/* The joined line on which the key `path` is written, or the nearest thing around it. */
	unsigned (*line_of)(void *arg, const char *path);
	void *arg;                   /* for line_of */
	struct cfg_error *errors;    /* the caller's */
	unsigned *lines;             /* their joined lines, to keep them in order; owned */
	unsigned max, stored, count; /* room, how many are stored, how many there are */
	struct cfg_error *warnings;  /* owned */
	unsigned warning_count;
};

/* Starts one that stores up to `max` mistakes in `errors`, which stay the caller's. */
void cfg_report_init(struct cfg_report *r, struct cfg_error *errors, unsigned max);

/* Frees what it owns; warnings that were not taken go with it. */
void cfg_report_fini(struct cfg_report *r);

/* Adds a mistake on a joined line (0: the file as a whole); `path` may be empty. */
void cfg_report_error_at(struct cfg_report *r, unsigned line, const char *path, const char *fmt,
	...) __attribute__((format(printf, 4, 5)));

/* Adds a mistake at the key `path`, unless that key has one already. */
void cfg_report_error(struct cfg_report *r, const char *path, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Adds a warning at the key `path`. */
void cfg_report_warning(struct cfg_report *r, const char *path, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Checks a group of keys for CHAP that stands at the path `group`. */
void cfg_check_auth(const struct cfg_auth *a, const char *group, struct cfg_report *r);

/*
 * Checks what no single key can tell: duplicates, references, sizes and blocks, stores and paths.
 * Fields that were refused before are empty and are passed over.
 */
void cfg_check(const struct config *cfg, struct cfg_report *r);

#endif
