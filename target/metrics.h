/* SPDX-License-Identifier: Apache-2.0 */
/*
 * metrics.h: the text of metrics_text.h over HTTP, for Prometheus. One thread serves it, beside the
 * loops; how many connections it has, and how long they may be silent, is bounded.
 */
#ifndef KURA_TARGET_METRICS_H
#define KURA_TARGET_METRICS_H

#include "target/server.h"

#define METRICS_WHY_LEN     256
#define METRICS_CONNECTIONS 16u         /* at once */
#define METRICS_SECONDS     10u         /* of silence on one */
#define METRICS_MEMORY      (32u << 10) /* bytes of a request */

struct metrics;

/* Begins to answer at `address` ("127.0.0.1:9260", "[::1]:9260"; port 0: any) for `srv`, borrowed
 * until it is stopped; the log says where. NULL with a sentence in `why` (METRICS_WHY_LEN). Returns
 * owned. */
struct metrics *metrics_start(const char *address, struct server *srv, char *why);

/* Ends it. Takes it; NULL is fine; waits for an answer under way. */
void metrics_stop(struct metrics *metrics);

#endif
