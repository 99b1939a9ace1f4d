/* SPDX-License-Identifier: Apache-2.0 */
/*
 * call.h: one question or order that came over the control socket, as its verb sees it: checked
 * parameters in, a result or a refusal out.
 *
 * A verb is one function on a thread that may block. Verbs that change run one at a time, but for
 * pauses that one of them makes; those that look run beside them. A job runs on a thread of its own
 * and tells how far it is.
 */
#ifndef KURA_TARGET_CTL_CALL_H
#define KURA_TARGET_CTL_CALL_H

#include "rpc/verbs.h"
#include "target/guests.h"
#include "target/server.h"

#include <pthread.h>
#include <sys/types.h>

#define CTL_WHY_LEN 512

struct ctl_job;
struct ctl_jobs;

struct ctl_call {
	struct server *srv;      /* borrowed */
	struct ctl_jobs *jobs;   /* borrowed */
	pthread_mutex_t *change; /* held by a CHANGE while it runs; see ctl_change_begin */
	const bool *ending;      /* kurad ends; atomic */
	struct guests_wait wait; /* of a CHANGE: ctl_pause */
	struct ctl_job *job;     /* JOB: what is told of it; else NULL */
	const struct rpc_verb *verb;
	const struct jval *params; /* checked against the rows; NULL: none; borrowed */
	struct jval *result;       /* an empty object, for the verb to fill */
	enum rpc_exit exit;        /* RPC_DONE, unless ctl_fail was called */
	char why[CTL_WHY_LEN];     /* the sentence of the refusal */
	struct jval *detail;       /* more about the refusal, an object: who uses it ...; or NULL */
	uid_t uid;                 /* who asks */
	const char *control;       /* the socket by which it came, borrowed */
};

/* The text of an argument, borrowed; NULL: it was not given. */
const char *ctl_text(const struct ctl_call *call, const char *name);

/* The number or size of an argument, or `absent`. */
uint64_t ctl_number(const struct ctl_call *call, const char *name, uint64_t absent);

/* Whether a flag was given. */
bool ctl_flag(const struct ctl_call *call, const char *name);

/* How many values an argument that is a list has. */
unsigned ctl_count(const struct ctl_call *call, const char *name);

/* One of them, borrowed. */
const char *ctl_item(const struct ctl_call *call, const char *name, unsigned i);

/* Refuses the call with a sentence: which object, what is wrong, what to do. */
void ctl_fail(struct ctl_call *call, enum rpc_exit exit, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* What an errno of a room below is for the one who called. */
enum rpc_exit ctl_exit_of(int err);

/* The detail of a refusal, made when it is asked for; borrowed. */
struct jval *ctl_detail(struct ctl_call *call);

/* The list of the result of a LIST verb, to be filled; borrowed. */
struct jval *ctl_list(struct ctl_call *call);

/* The pause of a CHANGE that waits (see guests_wait): others may change things meanwhile, so what
 * was seen before may not hold any more. False: kurad ends, and nobody shall wait. */
bool ctl_pause(struct guests_wait *wait, unsigned ms);

/* A verb's function. */
typedef void ctl_verb_run(struct ctl_call *call);

/* That of each verb. */
extern ctl_verb_run *const ctl_verb_runs[RPC_VERB_COUNT];

/* ---- jobs ---- */

/* Around what a job changes of the configuration, while no CHANGE runs: a job holds nothing but for
 * that. Blocks. */
void ctl_change_begin(struct ctl_call *call);

/* The end of it. */
void ctl_change_end(struct ctl_call *call);

/* Tells how far a job is (total 0: not known). Returns false when it shall end: undo and ctl_fail
 * with RPC_REFUSED. `job` NULL: nothing to tell. On the job's thread. */
bool ctl_job_told(struct ctl_job *job, uint64_t done_bytes, uint64_t total_bytes);

#endif
