/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scrape.h: metrics over HTTP as the configuration of a server has them: begun with it, moved when
 * the key changes, ended before it stops. Where kurad is built without HTTP there is nothing to do.
 */
#ifndef KURA_TARGET_SCRAPE_H
#define KURA_TARGET_SCRAPE_H

#include "target/server.h"

/* Begins to answer where the configuration of a running server says, if it does. 0, or -errno with
 * a sentence in `why` (SERVER_WHY_LEN). On a thread that may block, as the others. */
int scrape_begin(struct server *srv, char *why);

/*
 * Answers where `next` says instead, or no more; nothing happens when that is where it is. The new
 * place answers before the old one is given up: two addresses are never in each other's way, for
 * none is every address. 0, or -errno with a sentence in `why` (SERVER_WHY_LEN): then it answers
 * where it did. In a change.
 */
int scrape_follow(struct server *srv, const struct config *next, char *why);

/* Ends it; harmless when there is none. No change is under way any more. */
void scrape_end(struct server *srv);

#endif
