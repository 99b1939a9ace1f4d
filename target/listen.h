/* SPDX-License-Identifier: Apache-2.0 */
/*
 * listen.h: listening sockets: bound from the configuration or taken from the service manager.
 *
 * IPv4 and IPv6 are bound apart, so that "*" is both whatever the host prefers. Set-up only, before
 * the loops run; nothing here knows what comes in by the sockets.
 */
#ifndef KURA_TARGET_LISTEN_H
#define KURA_TARGET_LISTEN_H

#include "config/config.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>

#define LISTEN_MAX      (2 * CFG_PORTALS_MAX)
#define LISTEN_NAME_LEN (INET6_ADDRSTRLEN + 16) /* "[address%scope]:port" and its end */
#define LISTEN_WHY_LEN  512

struct listen_socket {
	int fd;                     /* owned; non-blocking */
	char name[LISTEN_NAME_LEN]; /* "127.0.0.1:3260", "[::1]:3260": as bound */
	bool given;                 /* by the service manager */
};

struct listen_set {
	struct listen_socket sockets[LISTEN_MAX];
	unsigned count;
};

/*
 * Opens every portal of `cfg`. A portal that one of the `given_count` listening sockets in `given`
 * (taken) already serves is not bound again; the rest of those is served as it is, and a portal
 * that nobody wrote but the default is then left out. 0, or -errno with a sentence in `why`
 * (LISTEN_WHY_LEN) that says which address and what to do; close the set in both cases.
 */
int listen_open(struct listen_set *set, const struct config *cfg, const int *given,
	unsigned given_count, char *why);

/* Closes all of them. */
void listen_close(struct listen_set *set);

#endif
