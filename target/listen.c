/* SPDX-License-Identifier: Apache-2.0 */
/* Binding: every failure names the address, what the kernel said and what a person can do. */
#include "target/listen.h"

#include "common/own.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define LISTEN_BACKLOG 512
#define BIND_PAUSE_MS  10
#define BIND_PAUSES    50
#define PORT_TRIES     64

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

/* "127.0.0.1:3260" or "[::1]:3260". */
static void name_of(const union address *a, char name[LISTEN_NAME_LEN])
{
	char text[INET6_ADDRSTRLEN];

	if (a->any.sa_family == AF_INET) {
		inet_ntop(AF_INET, &a->v4.sin_addr, text, sizeof text);
		snprintf(name, LISTEN_NAME_LEN, "%s:%u", text, ntohs(a->v4.sin_port));
	} else {
		inet_ntop(AF_INET6, &a->v6.sin6_addr, text, sizeof text);
		snprintf(name, LISTEN_NAME_LEN, "[%s]:%u", text, ntohs(a->v6.sin6_port));
	}
}

static uint16_t port_of(const union address *a)
{
	return ntohs(a->any.sa_family == AF_INET ? a->v4.sin_port : a->v6.sin6_port);
}

static int address_of(int fd, union address *a)
{
	socklen_t len = sizeof *a;

	*a = (union address){ 0 };
	return getsockname(fd, &a->any, &len) < 0 ? -errno : 0;
}

/* The address in binary form; `text` was checked when the file was read. */
static void set_address(union address *a, int family, const char *text, uint16_t port)
{
	bool any = !strcmp(text, "*");

	*a = (union address){ 0 };
	a->any.sa_family = (sa_family_t)family;
	if (family == AF_INET) {
		a->v4.sin_port = htons(port);
		if (!any)
			own_assert(inet_pton(family, text, &a->v4.sin_addr) == 1);
	} else {
		a->v6.sin6_port = htons(port);
		if (!any)
			own_assert(inet_pton(family, text, &a->v6.sin6_addr) == 1);
	}
}

/* What a person can do about an errno of bind. */
static const char *advice(int err)
{
	switch (err) {
	case -EADDRINUSE:
		return "another program listens there, see \"ss -ltnp\"; stop it or choose another "
		       "port";
	case -EADDRNOTAVAIL:
		return "no interface has this address, see \"ip addr\"; is it up yet?";
	case -EACCES:
		return "ports below 1024 are for root; choose a higher one or give "
		       "CAP_NET_BIND_SERVICE";
	case -EAFNOSUPPORT:
		return "this kernel does not have this address family";
	}
	return "see kura.conf(5), portals";
}

static int bind_one(const union address *a)
{
	own_fd int fd = socket(a->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	bool v6 = a->any.sa_family == AF_INET6;
	int on = 1;

	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0)
		return -errno;
	if (v6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) < 0)
		return -errno;
	if (bind(fd, &a->any, v6 ? sizeof a->v6 : sizeof a->v4) < 0 ||
		listen(fd, LISTEN_BACKLOG) < 0)
		return -errno;
	return own_take_fd(&fd);
}

/* The kernel takes the rings of a killed process down in the background: for some milliseconds the
 * sockets of a kurad that died are still bound, and the one that takes its place waits for them. */
static int bind_patiently(const union address *a)
{
	const struct timespec pause = { .tv_nsec = BIND_PAUSE_MS * 1000000L };
	int fd = bind_one(a);

	for (int i = 0; fd == -EADDRINUSE && i < BIND_PAUSES; i++) {
		nanosleep(&pause, NULL);
		fd = bind_one(a);
	}
	return fd;
}

/* How a portal is known: as it was written. */
static void name_portal(const struct cfg_portal *p, char name[LISTEN_NAME_LEN])
{
	snprintf(name, LISTEN_NAME_LEN, "%s %u", p->address, p->port);
}

/* Takes `fd` into the set; `p` NULL: it was given. */
static int add(struct listen_set *set, int fd, const struct cfg_portal *p)
{
	struct listen_socket *s = &set->sockets[set->count];
	union address a;
	int err = address_of(fd, &a);

	own_assert(set->count < LISTEN_MAX);
	if (err) {
		close(fd);
		return err;
	}
	*s = (struct listen_socket){ .fd = fd, .given = !p, .family = a.any.sa_family };
	name_of(&a, s->name);
	if (p)
		name_portal(p, s->portal);
	set->count++;
	return 0;
}

/* One configuration followed. */
struct following {
	struct listen_set *set, *fresh;
	char *why;
};

/* A socket that was bound for this portal; it is kept. */
static const struct listen_socket *keep(struct following *f, const struct cfg_portal *p, int family)
{
	char name[LISTEN_NAME_LEN];

	name_portal(p, name);
	for (unsigned i = 0; i < f->set->count; i++) {
		struct listen_socket *s = &f->set->sockets[i];

		if (s->given || s->kept || s->family != family || strcmp(s->portal, name))
			continue;
		s->kept = true;
		return s;
	}
	return NULL;
}

/* Whether a socket of ours has the port: every address of it, or one of those that are wanted. */
static bool is_ours(const struct following *f, uint16_t port)
{
	union address a;

	for (unsigned i = 0; i < f->set->count; i++) {
		if (!address_of(f->set->sockets[i].fd, &a) && port_of(&a) == port)
			return true;
	}
	return false;
}

static const char *advice_here(const struct following *f, uint16_t port, int err)
{
	if (err != -EADDRINUSE || !is_ours(f, port))
		return advice(err);
	return "kurad itself listens on this port by a portal that covers this one or is covered "
	       "by it; such a change needs a restart, or another port";
}

/* Binds one address, if it is not; *port 0 becomes the port that the kernel chose. */
static int open_one(struct following *f, const struct cfg_portal *p, int family, uint16_t *port)
{
	const struct listen_socket *kept = keep(f, p, family);
	char name[LISTEN_NAME_LEN];
	union address a;
	int fd, err;

	if (kept) {
		if (!*port && !address_of(kept->fd, &a))
			*port = port_of(&a);
		return 0;
	}
	set_address(&a, family, p->address, *port);
	name_of(&a, name);
	fd = p->port ? bind_patiently(&a) : bind_one(&a);
	err = fd < 0 ? fd : add(f->fresh, fd, p);
	if (err) {
		snprintf(f->why, LISTEN_WHY_LEN, "%s: cannot listen: %s; %s", name, strerror(-err),
			advice_here(f, *port, err));
		return err;
	}
	if (!*port && !address_of(fd, &a))
		*port = port_of(&a);
	return 0;
}

/* Whether the socket takes IPv4 connections as well as IPv6 ones. */
static bool is_dual(int fd)
{
	int v6only = 1;
	socklen_t len = sizeof v6only;

	return !getsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6only, &len) && !v6only;
}

/* Whether the given socket `fd` serves portal `p` in `family`; one for every address serves all. */
static bool serves(int fd, const struct cfg_portal *p, int family)
{
	union address has, want;

	if (address_of(fd, &has) || port_of(&has) != p->port)
		return false;
	set_address(&want, family, p->address, p->port);
	if (has.any.sa_family == AF_INET)
		return family == AF_INET &&
		       (has.v4.sin_addr.s_addr == htonl(INADDR_ANY) ||
			       has.v4.sin_addr.s_addr == want.v4.sin_addr.s_addr);
	if (IN6_IS_ADDR_UNSPECIFIED(&has.v6.sin6_addr))
		return family == AF_INET6 || is_dual(fd);
	return family == AF_INET6 && IN6_ARE_ADDR_EQUAL(&has.v6.sin6_addr, &want.v6.sin6_addr);
}

static bool is_given(const struct listen_set *set, const struct cfg_portal *p, int family)
{
	for (unsigned i = 0; i < set->count; i++) {
		if (set->sockets[i].given && serves(set->sockets[i].fd, p, family))
			return true;
	}
	return false;
}

/* Both families of "*"; a host without IPv6 is served by IPv4 alone. */
static int open_both(struct following *f, const struct cfg_portal *p)
{
	uint16_t port = p->port;
	int err = is_given(f->set, p, AF_INET) ? 0 : open_one(f, p, AF_INET, &port);

	if (err || is_given(f->set, p, AF_INET6))
		return err;
	err = open_one(f, p, AF_INET6, &port);
	return err == -EAFNOSUPPORT || err == -EADDRNOTAVAIL ? 0 : err;
}

/* A port that the kernel chose among those of IPv4 may be somebody's of IPv6: then another one. */
static int open_any(struct following *f, const struct cfg_portal *p)
{
	unsigned before = f->fresh->count;
	int err = open_both(f, p);

	for (int i = 0; i < PORT_TRIES && err == -EADDRINUSE && !p->port; i++) {
		if (f->fresh->count == before)
			break;
		listen_drop(f->fresh, before);
		err = open_both(f, p);
	}
	return err;
}

static int open_portal(struct following *f, const struct cfg_portal *p)
{
	int family = strchr(p->address, ':') ? AF_INET6 : AF_INET;
	uint16_t port = p->port;

	if (!strcmp(p->address, "*"))
		return open_any(f, p);
	if (is_given(f->set, p, family))
		return 0;
	return open_one(f, p, family, &port);
}

int listen_take(struct listen_set *set, const int *given, unsigned count, char *why)
{
	int err = 0;

	for (unsigned i = 0; i < count && !err; i++)
		err = add(set, given[i], NULL);
	if (err)
		snprintf(why, LISTEN_WHY_LEN, "a socket from the service manager is unusable: %s",
			strerror(-err));
	return err;
}

static bool has_given(const struct listen_set *set)
{
	for (unsigned i = 0; i < set->count; i++) {
		if (set->sockets[i].given)
			return true;
	}
	return false;
}

int listen_follow(
	struct listen_set *set, const struct config *cfg, struct listen_set *fresh, char *why)
{
	struct following f = { .set = set, .fresh = fresh, .why = why };
	int err = 0;

	for (unsigned i = 0; i < set->count; i++)
		set->sockets[i].kept = set->sockets[i].given;
	for (unsigned i = 0; i < cfg->portal_count && !err; i++) {
		const struct cfg_portal *p = &cfg->portals[i];

		if (!p->where.line && has_given(set))
			continue; /* the default; whoever gave sockets chose otherwise */
		if (set->count + fresh->count + 2 > LISTEN_MAX) {
			snprintf(why, LISTEN_WHY_LEN, "more than %u sockets; remove portals",
				LISTEN_MAX);
			return -E2BIG;
		}
		err = open_portal(&f, p);
	}
	return err;
}

uint16_t listen_port(const struct listen_set *set, const struct cfg_portal *p)
{
	char name[LISTEN_NAME_LEN];
	union address a;

	name_portal(p, name);
	for (unsigned i = 0; !p->port && i < set->count; i++) {
		if (!strcmp(set->sockets[i].portal, name) && !address_of(set->sockets[i].fd, &a))
			return port_of(&a);
	}
	return p->port;
}

void listen_join(struct listen_set *set, struct listen_set *fresh)
{
	own_assert(set->count + fresh->count <= LISTEN_MAX);
	for (unsigned i = 0; i < fresh->count; i++) {
		set->sockets[set->count] = fresh->sockets[i];
		set->sockets[set->count++].kept = true;
	}
	fresh->count = 0;
}

void listen_drop(struct listen_set *set, unsigned at)
{
	close(set->sockets[at].fd);
	set->sockets[at] = set->sockets[--set->count];
}

void listen_close(struct listen_set *set)
{
	for (unsigned i = 0; i < set->count; i++)
		close(set->sockets[i].fd);
	set->count = 0;
}
