/* SPDX-License-Identifier: Apache-2.0 */
/*
 * iscsi.h: the iSCSI room as the server sees it: targets that may be logged in to, connections that
 * are given to a loop, and a clean stop.
 */
#ifndef KURA_TARGET_ISCSI_ISCSI_H
#define KURA_TARGET_ISCSI_ISCSI_H

#include "target/scsi/lun.h"

struct iscsi_server;
struct iscsi_catalogue;
struct iscsi_target;

#define ISCSI_NAME_MAX 223 /* bytes, RFC 7143 4.2.7.2 */
#define ISCSI_TPGT     1   /* the portal group when nothing is said of portals */

/* Limits on what peers can hold, and times; 0 is no limit, or the default of kura.conf(5). */
struct iscsi_opts {
	unsigned max_connections;        /* of the process */
	unsigned max_logins;             /* of them, not in full feature phase yet */
	unsigned max_logins_per_address; /* of those, from one host */
	unsigned max_sessions;           /* of the process */
	unsigned max_tasks;              /* of the process; each loop has its share */
	unsigned max_text;               /* bytes of text in one negotiation */
	unsigned max_burst;              /* bytes: ours of MaxBurstLength */
	unsigned first_burst;            /* and of FirstBurstLength */
	unsigned max_r2t;                /* and of MaxOutstandingR2T */
	unsigned login_seconds;        /* a connection must reach full feature phase in this time */
	unsigned logout_seconds;       /* commands must end in this time after a logout request */
	unsigned discovery_seconds;    /* a silent discovery session ends after this time */
	unsigned stall_seconds;        /* in the middle of a PDU, a write, a send */
	unsigned ping_seconds;         /* NOP-In after so long a silence; 0: never */
	unsigned ping_timeout_seconds; /* then the answer must come in this time */
	unsigned queue_depth;          /* commands outstanding per session, 1..SESSION_DEPTH_MAX */
	unsigned session_connections;  /* connections that a session may have; 0 is 1 */
};

/* Makes the server's iSCSI side; loops and domain are borrowed. It begins with an empty catalogue.
 * Before the loops run. Returns owned. */
struct iscsi_server *iscsi_server_new(const struct iscsi_opts *opts, struct scsi_domain *domain,
	struct loop *const *loops, unsigned n);

/* The catalogue that it begins with, borrowed, to be filled in before the loops run. */
struct iscsi_catalogue *iscsi_server_catalogue(struct iscsi_server *srv);

/* Frees it with its targets' iSCSI side; the loops are stopped and iscsi_drain is over. Takes it.
 */
void iscsi_server_free(struct iscsi_server *srv);

/* CHAP, RFC 7143 12.1.3: what an initiator has to prove. */
struct iscsi_auth_conf {
	const char *user;          /* the name that it gives */
	const char *secret;        /* and what it has to know */
	const char *mutual_user;   /* the name that we give when we are asked; or NULL */
	const char *mutual_secret; /* and what we know; another one than `secret` */
	const char *algorithms;    /* best first: "sha3-256 sha-256 sha-1 md5", or some of them */
};

/* One line of who may come to a target. */
struct iscsi_rule_conf {
	const char *initiator; /* a normalised name, or the beginning of one and "*" */
	const char *addresses; /* "10.0.0.0/8 2001:db8::/32": it must come from there; or NULL */
	const char *host;      /* the group that it belongs to, for the log; or NULL */
	struct scsi_target *const *ports;   /* what it sees, one for each portal group; borrowed */
	const struct iscsi_auth_conf *auth; /* NULL: what the target asks for */
};

struct iscsi_offer {
	const char *name;                    /* normalised */
	struct scsi_target *target;          /* what rules without `ports` show; borrowed */
	const char *alias;                   /* or NULL */
	const char *portal_groups;           /* tags, "1 2": by these alone; NULL: by all */
	const char *redirect;                /* "address:port" where everybody is sent; or NULL */
	bool redirect_permanent;             /* they are to remember it */
	const struct iscsi_auth_conf *auth;  /* NULL: no secret is asked for */
	const struct iscsi_rule_conf *rules; /* the first that fits decides; none: nobody */
	unsigned rule_count;
};

struct iscsi_portal_conf {
	const char *address; /* numeric, or "*": every address */
	uint16_t port;       /* 0: any */
	unsigned group;      /* its portal group: an index into the tags */
	const char
		*advertise; /* "address:port" that initiators are told; NULL: where they came in */
};

/* ---- the catalogue: what logins and discovery look at; see catalogue.h ---- */

/* Makes an empty one. Returns owned; any thread, as the following. */
struct iscsi_catalogue *iscsi_catalogue_new(void);

/* One less who keeps it; the last one frees it. NULL is fine. */
void iscsi_catalogue_put(struct iscsi_catalogue *cat);

/* Says by which portals initiators come; copied. `tags` has one for each portal group. Before any
 * target is offered; without it there is one group, ISCSI_TPGT. */
void iscsi_catalogue_portals(struct iscsi_catalogue *cat, const uint16_t *tags, unsigned tag_count,
	const struct iscsi_portal_conf *portals, unsigned count);

/* Offers a target; everything but target ports is copied. Before a loop has the catalogue. */
void iscsi_catalogue_offer(struct iscsi_catalogue *cat, const struct iscsi_offer *offer);

/* Asks for a secret in discovery sessions; copied, NULL: no secret. Before a loop has it. */
void iscsi_catalogue_guard_discovery(
	struct iscsi_catalogue *cat, const struct iscsi_auth_conf *auth);

/* What becomes of a session under a catalogue. */
enum iscsi_verdict {
	ISCSI_STAYS,
	ISCSI_NO_TARGET,  /* there is none of this name, or not by this portal */
	ISCSI_NO_ACCESS,  /* the initiator may not use it any more */
	ISCSI_OTHER_LUNS, /* it belongs to other hosts now, or came by another portal group */
};

/* A connection of a session with a target. */
struct iscsi_seen {
	struct list node; /* in iscsi_round.seen */
	char initiator[ISCSI_NAME_MAX + 1];
	char target[ISCSI_NAME_MAX + 1];
	const struct scsi_target *port; /* borrowed as long as the session is there: an address */
	enum iscsi_verdict verdict;
};

enum iscsi_action {
	ISCSI_LOOK,  /* nothing happens */
	ISCSI_TAKE,  /* every loop takes the catalogue over */
	ISCSI_ASK,   /* who may not stay is asked to log out within `seconds`, RFC 7143 11.9.1 */
	ISCSI_CLOSE, /* and closed */
};

/* A visit of all sessions on all loops. */
struct iscsi_round {
	void (*done)(struct iscsi_round *round); /* on the loop that asked */
	struct iscsi_catalogue *cat;             /* by which they are judged; borrowed until done */
	enum iscsi_action action;
	uint16_t seconds;
	const struct iscsi_opts *opts; /* TAKE: limits and times; borrowed until done */
	bool collect;                  /* fill in `seen` */
	/* -- the result -- */
	unsigned judged[SCSI_LOOPS_MAX]; /* sessions that may not stay, by loop */
	struct list
		seen[SCSI_LOOPS_MAX]; /* iscsi_seen; the asker's to free, see iscsi_round_fini */
	/* -- the room's -- */
	struct iscsi_server *srv;
	struct scsi_everywhere everywhere;
};

/* Begins the visit, on a loop of the server. Keeps `round` until done, never inside. */
void iscsi_round_submit(struct iscsi_server *srv, struct iscsi_round *round);

/* How many may not stay. */
unsigned iscsi_round_judged(const struct iscsi_round *round);

/* Frees what was collected. Any thread. */
void iscsi_round_fini(struct iscsi_round *round);

/* ---- connections ---- */

/* Connections of loop `index`, for choosing the least loaded. Any thread. */
unsigned iscsi_server_load(const struct iscsi_server *srv, unsigned index);

/* Sessions, with those that end and have commands at a volume still. Any thread. */
unsigned iscsi_server_sessions(const struct iscsi_server *srv);

/*
 * One more connection, the socket `fd`, is on its way to loop `index` and counts as its own from
 * now on. Returns its place among those that are not logged in, for iscsi_server_adopt; negative
 * when a limit is reached: it is to be closed (logged, counted). On the first loop.
 */
int iscsi_server_expect(struct iscsi_server *srv, unsigned index, int fd);

/* Takes the connected socket `fd`, which was expected on `loop` and got `place`, and serves it
 * there: called on that loop's thread. */
void iscsi_server_adopt(struct iscsi_server *srv, struct loop *loop, int fd, int place);

struct iscsi_drain {
	void (*done)(
		struct iscsi_drain *d); /* on the loop that asked, when no connection is left */
	uint32_t seconds;               /* how long initiators are given to log out */
	/* -- the room's -- */
	struct iscsi_server *srv;
	struct loop *loop;
	struct loop_timer timer;
	uint64_t deadline_ns;
	bool closing;
	struct scsi_everywhere everywhere;
};

/*
 * Ends every connection: tells each session by an asynchronous message that a logout is wanted
 * within `seconds` (RFC 7143 11.9.1), waits for logouts and for commands in flight, closes what is
 * left after that time, and calls done. New connections are refused from now on. Keeps `d`.
 */
void iscsi_drain(struct iscsi_server *srv, struct loop *loop, struct iscsi_drain *d);

#endif
