/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check.h: what is wrong with this box and what is served on it, each with what to do about it.
 *
 * Everything is looked at anew, from outside as far as that goes; nothing is changed.
 */
#ifndef KURA_TARGET_CHECK_H
#define KURA_TARGET_CHECK_H

#include "common/list.h"
#include "target/server.h"

enum check_severity {
	CHECK_OK,      /* nothing is wrong there */
	CHECK_HINT,    /* it works, and could be better, or is hardly meant */
	CHECK_WARNING, /* it will go wrong, or is not safe */
	CHECK_ERROR,   /* it has gone wrong */
};

struct check_finding {
	struct list node;
	enum check_severity severity;
	char *object;  /* "volume vm1" */
	char *finding; /* what is wrong */
	char *remedy;  /* what to do; "" with CHECK_OK */
};

struct check {
	struct list findings; /* check_finding, in the order in which they were looked for */
	unsigned count[CHECK_ERROR + 1]; /* of each severity */
};

/* What is looked at. */
enum check_depth {
	CHECK_QUICK, /* what takes no time: no tools are run, no loop is asked */
	CHECK_ALL,
};

/* Looks; `control` is the path of the control socket; `check` is filled in: fini it. Blocks; not on
 * a loop's thread. */
void check_run(
	struct check *check, struct server *srv, const char *control, enum check_depth depth);

/* Frees what it holds. */
void check_fini(struct check *check);

/* "ok", "hint", "warning", "error"; static. */
const char *check_severity_name(enum check_severity severity);

/* ---- for the files check*.c ---- */

/* Adds a finding about `what name` ("volume", "vm1"; or only `what`). */
void check_add(struct check *c, enum check_severity severity, const char *what, const char *name,
	const char *remedy, const char *fmt, ...) __attribute__((format(printf, 6, 7)));

/* The kernel, its limits and its network (check_box.c). */
void check_box(struct check *c, struct server *srv, const struct config *cfg);

/* Who may read what nobody else should, whether it lasts, and says what is served; who gets at the
 * control socket (NULL: not looked at). (check_files.c). */
void check_files(
	struct check *c, const struct config *cfg, const char *state_dir, const char *control);

/* Whether the next start would serve the same; `cfg` is a copy (check_files.c). */
void check_next_start(struct check *c, const struct server *srv, const struct config *cfg);

/* Whether what is written at a path is lost with the next boot (check_files.c). */
bool check_in_memory(const char *path);

/* What is served: volumes, targets, portals; `cfg` is a copy (check_served.c). */
void check_served(struct check *c, struct server *srv, const struct config *cfg);

/* Pools; `cfg` is a copy: tools are run (check_served.c). */
void check_pools(struct check *c, struct server *srv, const struct config *cfg);

#endif
