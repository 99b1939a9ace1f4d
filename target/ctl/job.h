/* SPDX-License-Identifier: Apache-2.0 */
/*
 * job.h: work that takes long: each job runs on a thread of its own, is listed while it runs and
 * for a while after, and can be cancelled.
 *
 * What a job had begun when kurad ended is undone by the room that began it, at the next start.
 */
#ifndef KURA_TARGET_CTL_JOB_H
#define KURA_TARGET_CTL_JOB_H

#include "target/ctl/call.h"

#define CTL_JOBS_MAX 64u /* running and ended ones; the oldest ended one makes room */

/* Makes the table, empty. Returns owned. */
struct ctl_jobs *ctl_jobs_new(void);

/* Cancels what runs, waits for its end, frees everything. Takes it; blocks. */
void ctl_jobs_free(struct ctl_jobs *jobs);

/* Starts a job for a call, whose parameters are copied. Its number, or 0: too many run, or there is
 * no thread. Any thread. */
unsigned ctl_job_start(struct ctl_jobs *jobs, const struct ctl_call *call);

/* What is known of each job, oldest first, into a list. Any thread. */
void ctl_jobs_list(struct ctl_jobs *jobs, struct jval *list);

/* What is known of one into `out`; false: there is none of that number. Any thread. */
bool ctl_job_show(struct ctl_jobs *jobs, unsigned number, struct jval *out);

/* The same once it has ended, or a second later. Blocks. */
bool ctl_job_wait(struct ctl_jobs *jobs, unsigned number, struct jval *out);

/* Asks one to end; false: there is none of that number. Any thread. */
bool ctl_job_cancel(struct ctl_jobs *jobs, unsigned number);

#endif
