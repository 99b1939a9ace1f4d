/* SPDX-License-Identifier: Apache-2.0 */
/*
 * listen.h: listening sockets: bound from the configuration or taken from the service manager.
 *
 * IPv4 and IPv6 are bound apart, so that "*" is both whatever the host prefers. On a thread that
 * may block; nothing here knows what comes in by the sockets.
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
	int fd;                       /* owned; non-blocking */
	char name[LISTEN_NAME_LEN];   /* "127.0.0.1:3260", "[::1]:3260": as bound */
	bool given;                   /* by the service manager */
	char portal[LISTEN_NAME_LEN]; /* what it was bound for: address and port as configured */
	int family;
	bool kept; /* listen_follow: the configuration wants it */
};

struct listen_set {
	struct listen_socket sockets[LISTEN_MAX];
	unsigned count;
};

/*
 * Takes the `count` listening sockets of the service manager into an empty set. 0, or -errno with a
 * sentence in `why` (LISTEN_WHY_LEN); close the set in both cases.
 */
int listen_take(struct listen_set *set, const int *given, unsigned count, char *why);

/*
 * Binds what `cfg` wants and `set` has not, into the empty set `fresh`, and marks in `set` what is
 * kept: what was bound for a portal of `cfg`, and what was given. A portal that a given socket
 * serves is not bound again, and one that nobody wrote but the default is left out when there are
 * given ones. 0, or -errno with a sentence in `why` (LISTEN_WHY_LEN) that says which address and
 * what to do; close `fresh` then.
 */
int listen_follow(
	struct listen_set *set, const struct config *cfg, struct listen_set *fresh, char *why);

/* The port of a portal: the one that it names, or the one that the kernel chose, or 0: not bound.
 */
uint16_t listen_port(const struct listen_set *set, const struct cfg_portal *p);

/* Moves the sockets of `fresh` into `set`, where there is room: listen_follow has seen to it. */
void listen_join(struct listen_set *set, struct listen_set *fresh);

/* Closes the socket at a place of the set; another one takes its place. */
void listen_drop(struct listen_set *set, unsigned at);

/* Closes all of them. */
void listen_close(struct listen_set *set);

#endif
