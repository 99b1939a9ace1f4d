/* SPDX-License-Identifier: Apache-2.0 */
/*
 * apply.h: a running server follows a changed configuration: what is and what is wanted are
 * compared, and each difference becomes a step that is carried out while everything else goes on.
 *
 * Whatever can fail is made ready first: volumes are opened, units and ports made, sockets bound.
 * Nobody sees any of that yet, so that a failure there leaves everything as it was. Then the steps
 * take effect, those that add before those that remove. A configuration and its server agree at any
 * time: server_view tells what is served.
 */
#ifndef KURA_TARGET_APPLY_H
#define KURA_TARGET_APPLY_H

#include "target/server.h"

#define APPLY_WHY_LEN SERVER_WHY_LEN

enum apply_flags {
	APPLY_DRY_RUN = 1u << 0, /* says what would be done, and does nothing */
	APPLY_FORCE = 1u << 1,   /* also where sessions use what goes */
	APPLY_SHRINK = 1u << 2,  /* also where a volume becomes smaller: what lay behind is gone */
};

/* What kind of step it is; apply_kind_name has the words for machines. */
enum apply_kind {
#define APPLY_KIND(id, name) APPLY_##id,
#include "target/apply.def"
#undef APPLY_KIND
	APPLY_KINDS
};

enum apply_state {
	APPLY_PLANNED, /* not begun, or a dry run */
	APPLY_DONE,
	APPLY_FAILED,  /* `text` says why at its end; what the step was for is as it was before */
	APPLY_REFUSED, /* not without leave (enum apply_flags), or not while it has users */
	APPLY_RESTART, /* takes effect with the next start only; left as it is */
};

struct apply_step {
	enum apply_kind kind;
	enum apply_state state;
	char *object; /* the name of the volume or target, the address of the portal, the key */
	char *text;   /* a sentence for people: what is done to what */
	char **users; /* names of initiators whose sessions are ended by it, or use it */
	unsigned user_count;
};

/* All memory belongs to the report. */
struct apply_report {
	struct apply_step *steps; /* in the order in which they are carried out */
	unsigned count;
	char why[APPLY_WHY_LEN]; /* what went wrong as a whole, or "" */
};

/*
 * Makes `srv` follow `next` (takes, in any case), a checked configuration. `flags` are of enum
 * apply_flags. `report` is filled in, also with an error: free it by apply_report_fini.
 *
 * 0: `next` holds now; there may be steps in APPLY_RESTART, and in APPLY_FAILED where a volume
 *    could not get another size: what is served (server_view) has the old values of these.
 * -EBUSY: another change has been under way for ten seconds, or (steps in APPLY_REFUSED) something
 * is in use that would go or be opened again. Nothing has changed. Other -errno: something could
 * not be made ready, report->why says what. Nothing has changed.
 *
 * On a thread that may block and is none of the loops': the main thread or the control socket's,
 * while the server runs. Takes as long as volumes take to open, and some seconds when sessions are
 * asked to log out.
 */
int server_apply(
	struct server *srv, struct config *next, unsigned flags, struct apply_report *report);

/*
 * What is to last is written when nothing can fail any more, and before anything of it holds:
 * `keep` does so, with the configuration that will hold (borrowed). 0, or -errno and a sentence in
 * `why` (APPLY_WHY_LEN): then nothing has changed.
 */
struct apply_keep {
	int (*keep)(struct apply_keep *keep, const struct config *next, char *why);
};

/* The same as server_apply, with `keep` (borrowed, called at most once) on the way. */
int server_apply_kept(struct server *srv, struct config *next, unsigned flags,
	struct apply_keep *keep, struct apply_report *report);

/* Frees what the report holds. */
void apply_report_fini(struct apply_report *report);

/* "open_volume" and so on; static. */
const char *apply_kind_name(enum apply_kind kind);

/* "planned", "done", "failed", "refused", "restart"; static. */
const char *apply_state_name(enum apply_state state);

#endif
