/* SPDX-License-Identifier: Apache-2.0 */
/* job.h: waiting for work that takes long, with its progress on a terminal. */
#ifndef KURA_TOOLS_JOB_H
#define KURA_TOOLS_JOB_H

#include "tools/client.h"

#include <stdio.h>

/*
 * Waits until job `number` has ended and makes *reply what kurad tells of it then, or, if it did
 * not end well, the refusal that it ended with. A progress bar is drawn on `f` where that is a
 * terminal; otherwise there is a line every ten seconds. An interrupt (Ctrl-C) lets the job go on
 * and ends the waiting with RPC_DONE and no result.
 */
void job_wait(struct client *c, unsigned number, FILE *f, struct reply *reply);

/* The same, but *reply is what the job's verb answers. */
void job_wait_result(struct client *c, unsigned number, FILE *f, struct reply *reply);

#endif
