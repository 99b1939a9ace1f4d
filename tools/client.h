/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client.h: the tool's end of the control socket: one request, one answer.
 */
#ifndef KURA_TOOLS_CLIENT_H
#define KURA_TOOLS_CLIENT_H

#include "rpc/verbs.h"

struct client {
	int fd;            /* -1: not connected */
	char *in;          /* bytes that came and are not used yet; owned */
	size_t have, room; /* bytes in it, bytes allocated */
	unsigned last_id;
};

struct reply {
	enum rpc_exit exit;  /* RPC_DONE: there is a result */
	struct jval *result; /* owned */
	char *why;           /* the sentence of a refusal; owned */
	struct jval *error;  /* the error as it came; owned, may be NULL */
};

/* Connects; RPC_DONE, or RPC_NO_DAEMON or RPC_DENIED with a sentence in `why` (RPC_WHY_LEN). Close
 * in any case. */
enum rpc_exit client_open(struct client *c, const char *path, char *why);

/* Asks and waits for the answer. Fini the reply in any case; `params` (borrowed) may be NULL. */
void client_call(struct client *c, const struct rpc_verb *verb, const struct jval *params,
	struct reply *reply);

/* Frees what a reply owns. */
void reply_fini(struct reply *reply);

/* Closes it and frees what it owns. */
void client_close(struct client *c);

#endif
