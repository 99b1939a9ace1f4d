/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One thread, one connection a visit. What others want of the thread (another list, the end) lies
 * under a lock, and an eventfd wakes it from every wait: for the server as well as between visits.
 */
#include "target/isns.h"

#include "common/log.h"
#include "common/own.h"
#include "target/isns_msg.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>

#define ANSWER_MS        5000u /* the longest that a server may take for one thing */
#define PAUSE_FIRST_MS   1000u /* after a visit that failed; then twice as long each time */
#define PAUSE_LONGEST_MS 60000u
#define REPLY_MAX        65536u /* bytes of an answer that are read at most */
#define WHY_LEN          160

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

struct isns {
	/* constant */
	char *server;          /* "192.0.2.5:3205" */
	union address address; /* the same */
	unsigned refresh_ms;   /* between visits */
	int wake;              /* an eventfd */
	pthread_t thread;
	/* what others want; under the lock */
	pthread_mutex_t lock;
	struct isns_list next; /* the list to take over, when has_next */
	bool has_next;
	bool leaving;
	uint64_t leave_by; /* the server is told until then; 0: it is not */
	/* the thread's own */
	struct isns_list list;   /* what is to be registered */
	char *source;            /* who registered; NULL: the server has nothing of us */
	char *entity;            /* as what */
	bool current;            /* the server has the list */
	bool parting;            /* the end was begun, and we tell the server */
	uint64_t visit_by;       /* the time of this exchange is over then */
	uint32_t period_seconds; /* a silent one is forgotten by the server after so long */
	unsigned pause_ms;       /* after the next failure */
	uint16_t transaction;
	char why[WHY_LEN];  /* what went wrong at last */
	char told[WHY_LEN]; /* the same, as the log has it; empty: all is well */
	uint8_t message[ISNS_MSG_MAX];
	uint8_t answer[REPLY_MAX];
};

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static __attribute__((format(printf, 3, 4))) int fail(struct isns *s, int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(s->why, sizeof s->why, fmt, ap);
	va_end(ap);
	return err;
}

static bool is_leaving(struct isns *s)
{
	bool leaving;

	pthread_mutex_lock(&s->lock);
	leaving = s->leaving;
	pthread_mutex_unlock(&s->lock);
	return leaving;
}

/* ---- waiting ---- */

/* Waits until `fd` (-1: nothing) is ready or the time is over or somebody wants something. > 0:
 * ready, 0: not. */
static int wait_for(struct isns *s, int fd, short events, uint64_t until)
{
	struct pollfd p[2] = { { .fd = s->wake, .events = POLLIN },
		{ .fd = fd, .events = events } };
	uint64_t now = now_ms();
	eventfd_t unused;

	if (poll(p, 2, now < until ? (int)(until - now) : 0) <= 0)
		return 0;
	if (p[0].revents)
		(void)eventfd_read(s->wake, &unused);
	return p[1].revents != 0;
}

/* Waits for the server. 0, -ETIMEDOUT, or -ECANCELED: we are to go. */
static int wait_server(struct isns *s, int fd, short events)
{
	for (;;) {
		if (wait_for(s, fd, events, s->visit_by))
			return 0;
		if (!s->parting && is_leaving(s))
			return -ECANCELED;
		if (now_ms() >= s->visit_by)
			return fail(s, -ETIMEDOUT, "it does not answer");
	}
}

/* ---- one exchange ---- */

static int open_server(struct isns *s)
{
	socklen_t len =
		s->address.any.sa_family == AF_INET ? sizeof s->address.v4 : sizeof s->address.v6;
	int type = SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, err = 0;
	socklen_t err_len = sizeof err;
	own_fd int fd = socket(s->address.any.sa_family, type, 0);

	if (fd < 0)
		return fail(s, -errno, "no socket: %s", strerror(errno));
	if (connect(fd, &s->address.any, len) < 0 && errno != EINPROGRESS)
		return fail(s, -errno, "connect: %s", strerror(errno));
	err = wait_server(s, fd, POLLOUT);
	if (err)
		return err;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &err_len) < 0)
		err = errno;
	return err ? fail(s, -err, "connect: %s", strerror(err)) : own_take_fd(&fd);
}

static int send_all(struct isns *s, int fd, const uint8_t *bytes, size_t len)
{
	while (len) {
		ssize_t n = send(fd, bytes, len, MSG_NOSIGNAL);
		int err = n >= 0 ? 0 : errno == EAGAIN ? wait_server(s, fd, POLLOUT) : -errno;

		if (err == -ECANCELED || err == -ETIMEDOUT)
			return err;
		if (err)
			return fail(s, err, "send: %s", strerror(-err));
		if (n > 0) {
			bytes += n;
			len -= (size_t)n;
		}
	}
	return 0;
}

static int receive_all(struct isns *s, int fd, uint8_t *bytes, size_t len)
{
	while (len) {
		ssize_t n = recv(fd, bytes, len, 0);
		int err = n >= 0 ? 0 : errno == EAGAIN ? wait_server(s, fd, POLLIN) : -errno;

		if (err == -ECANCELED || err == -ETIMEDOUT)
			return err;
		if (err)
			return fail(s, err, "receive: %s", strerror(-err));
		if (!n)
			return fail(s, -ECONNRESET, "it closed the connection without an answer");
		if (n > 0) {
			bytes += n;
			len -= (size_t)n;
		}
	}
	return 0;
}

/* RFC 4171 5.2: an answer may come in several PDUs. Its length in *len. */
static int receive_answer(struct isns *s, int fd, enum isns_function function, size_t *len)
{
	uint8_t raw[ISNS_HEAD_BYTES];
	struct isns_head head = { 0 };
	int err;

	*len = 0;
	for (unsigned pdu = 0; !head.last; pdu++) {
		err = receive_all(s, fd, raw, sizeof raw);
		if (err)
			return err;
		if (isns_msg_head(raw, &head) || head.function != (function | ISNS_ANSWER) ||
			head.transaction != s->transaction || head.sequence != pdu ||
			head.length > REPLY_MAX - *len)
			return fail(
				s, -EPROTO, "its answer is not one of iSNS; is it another server?");
		err = receive_all(s, fd, s->answer + *len, head.length);
		if (err)
			return err;
		*len += head.length;
	}
	return 0;
}

/* Sends s->message and reads the answer, whatever its status. */
static int exchange(
	struct isns *s, int fd, enum isns_function function, size_t len, struct isns_reply *reply)
{
	uint64_t until = now_ms() + ANSWER_MS;
	int err;

	if (!s->parting)
		s->visit_by = until;
	err = send_all(s, fd, s->message, len);
	if (!err)
		err = receive_answer(s, fd, function, &len);
	if (err)
		return err;
	if (isns_msg_answer(s->answer, len, reply))
		return fail(s, -EPROTO, "its answer cannot be read");
	return 0;
}

static int refused(struct isns *s, const char *what, uint32_t status)
{
	return fail(s, -EACCES, "it refuses the %s with status %u, %s", what, status,
		isns_msg_status(status));
}

/* ---- what we tell the server ---- */

static void forget(struct isns *s)
{
	free(s->source);
	free(s->entity);
	s->source = s->entity = NULL;
	s->current = false;
}

/* Whether a target of the list is called so. */
static bool is_ours(const struct isns_list *list, const char *name)
{
	unsigned i = 0;

	while (i < list->target_count && strcmp(list->targets[i].name, name))
		i++;
	return i < list->target_count;
}

static int deregister(struct isns *s, int fd)
{
	struct isns_who who = { s->source, s->entity };
	size_t len = isns_msg_deregister(s->message, &who, ++s->transaction);
	struct isns_reply reply;
	int err = exchange(s, fd, ISNS_DEV_DEREG, len, &reply);

	if (err)
		return err;
	if (reply.status)
		return refused(s, "deregistration", reply.status);
	log_info("deregistered from the iSNS server", "server=%s entity=%s", s->server, s->entity);
	forget(s);
	return 0;
}

/* The server forgets us when three visits in a row did not happen. */
static uint32_t wanted_period(const struct isns *s)
{
	return s->refresh_ms / 1000 * 3;
}

static int register_list(struct isns *s, int fd)
{
	const struct isns_list *list = &s->list;
	const char *source =
		s->source && is_ours(list, s->source) ? s->source : list->targets[0].name;
	unsigned next = 0, count = isns_msg_objects(list);
	struct isns_reply reply = { 0 };

	while (next < count) {
		unsigned first = next;
		size_t len = isns_msg_register(
			s->message, list, source, wanted_period(s), ++s->transaction, &next);
		int err;

		own_assert(next > first);
		err = exchange(s, fd, ISNS_DEV_ATTR_REG, len, &reply);
		if (err)
			return err;
		if (reply.status)
			return refused(s, "registration", reply.status);
		if (!s->source) {
			s->source = own_strdup(source);
			s->entity = own_strdup(list->entity);
		}
	}
	s->current = true;
	s->period_seconds = reply.period_seconds ? reply.period_seconds : wanted_period(s);
	log_info("registered with the iSNS server", "server=%s entity=%s targets=%u portals=%u",
		s->server, list->entity, list->target_count, list->portal_count);
	return 0;
}

/* Asks the server whether it still knows us, which also keeps the registration alive. */
static int refresh(struct isns *s, int fd)
{
	struct isns_who who = { s->source, s->entity };
	size_t len = isns_msg_query(s->message, &who, ++s->transaction);
	struct isns_reply reply;
	int err = exchange(s, fd, ISNS_DEV_ATTR_QRY, len, &reply);

	if (err || (!reply.status && reply.found))
		return err;
	log_info("the iSNS server has forgotten us", "server=%s entity=%s", s->server, s->entity);
	forget(s);
	return 0;
}

/* Brings the server to know what the list says. */
static int visit(struct isns *s)
{
	bool any = s->list.target_count && s->list.portal_count;
	bool other = s->source &&
		     (!any || !is_ours(&s->list, s->source) || strcmp(s->entity, s->list.entity));
	int err = 0;
	own_fd int fd = -1;

	if (!any && !s->source)
		return 0;
	s->visit_by = now_ms() + ANSWER_MS;
	fd = open_server(s);
	if (fd < 0)
		return fd;
	if (other)
		err = deregister(s, fd);
	else if (s->current)
		err = refresh(s, fd);
	if (!err && any && !s->current)
		err = register_list(s, fd);
	return err;
}

/* ---- the thread ---- */

/* Takes over what others left for us. */
static void take_next(struct isns *s)
{
	struct isns_list next;
	bool has;

	pthread_mutex_lock(&s->lock);
	has = s->has_next;
	next = s->next;
	s->has_next = false;
	s->next = (struct isns_list){ 0 };
	pthread_mutex_unlock(&s->lock);
	if (!has)
		return;
	if (isns_list_same(&next, &s->list)) {
		isns_list_fini(&next);
		return;
	}
	isns_list_fini(&s->list);
	s->list = next;
	s->current = false;
}

static bool is_wanted(struct isns *s)
{
	bool wanted;

	pthread_mutex_lock(&s->lock);
	wanted = s->leaving || s->has_next;
	pthread_mutex_unlock(&s->lock);
	return wanted;
}

/* In time for a server that forgets sooner than we asked for. */
static unsigned next_visit_ms(const struct isns *s)
{
	uint64_t third = s->period_seconds * 1000ull / 3;

	return s->source && third < s->refresh_ms ? (unsigned)third : s->refresh_ms;
}

/* Says what is new about the server and gives the pause until the next visit. */
static unsigned judge(struct isns *s, int err)
{
	unsigned pause = s->pause_ms;

	if (!err) {
		if (*s->told)
			log_info("the iSNS server is back", "server=%s", s->server);
		*s->told = '\0';
		s->pause_ms = PAUSE_FIRST_MS;
		return next_visit_ms(s);
	}
	if (strcmp(s->why, s->told)) {
		log_warn("not registered with the iSNS server",
			"server=%s reason=\"%s\"; initiators may not find the targets by it; it is "
			"tried again",
			s->server, s->why);
		memcpy(s->told, s->why, sizeof s->told);
	}
	s->pause_ms = 2 * pause < PAUSE_LONGEST_MS ? 2 * pause : PAUSE_LONGEST_MS;
	return pause;
}

static void nap(struct isns *s, unsigned ms)
{
	uint64_t until = now_ms() + ms;

	while (!is_wanted(s) && now_ms() < until)
		(void)wait_for(s, -1, 0, until);
}

/* The end: tells the server, if it knows us and there is time. */
static void part(struct isns *s)
{
	int fd;

	pthread_mutex_lock(&s->lock);
	s->visit_by = s->leave_by;
	pthread_mutex_unlock(&s->lock);
	if (!s->source || !s->visit_by)
		return;
	s->parting = true;
	fd = open_server(s);
	if (fd < 0 || deregister(s, fd))
		log_warn("not deregistered from the iSNS server",
			"server=%s entity=%s reason=\"%s\"; it forgets this kurad by itself in at "
			"most %u s",
			s->server, s->entity, s->why, s->period_seconds);
	if (fd >= 0)
		close(fd);
}

static void *run(void *arg)
{
	struct isns *s = arg;

	while (!is_leaving(s)) {
		int err;

		take_next(s);
		err = visit(s);
		if (err != -ECANCELED)
			nap(s, judge(s, err));
	}
	part(s);
	return NULL;
}

/* ---- from outside ---- */

/* "192.0.2.5:3205" or "[2001:db8::5]:3205", as config/ writes them. */
static void set_address(union address *a, const char *text)
{
	const char *colon = strrchr(text, ':');
	bool v6 = *text == '[';
	char host[INET6_ADDRSTRLEN];
	uint16_t port;
	int ok;

	own_assert(colon);
	snprintf(host, sizeof host, "%.*s", (int)(colon - text) - 2 * v6, text + v6);
	port = htons((uint16_t)strtoul(colon + 1, NULL, 10));
	if (v6) {
		a->v6 = (struct sockaddr_in6){ .sin6_family = AF_INET6, .sin6_port = port };
		ok = inet_pton(AF_INET6, host, &a->v6.sin6_addr);
	} else {
		a->v4 = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = port };
		ok = inet_pton(AF_INET, host, &a->v4.sin_addr);
	}
	own_assert(ok == 1);
}

static void destroy(struct isns *s)
{
	isns_list_fini(&s->next);
	isns_list_fini(&s->list);
	forget(s);
	if (s->wake >= 0)
		close(s->wake);
	pthread_mutex_destroy(&s->lock);
	free(s->server);
	free(s);
}

struct isns *isns_start(const struct cfg_isns *cfg, const struct isns_list *list)
{
	struct isns *s = own_calloc(1, sizeof *s);
	int err = 0;

	s->server = own_strdup(cfg->server);
	set_address(&s->address, s->server);
	s->refresh_ms = cfg->refresh_seconds * 1000;
	s->pause_ms = PAUSE_FIRST_MS;
	pthread_mutex_init(&s->lock, NULL);
	isns_list_copy(&s->list, list);
	s->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (s->wake < 0)
		err = errno;
	if (!err)
		err = pthread_create(&s->thread, NULL, run, s);
	if (!err)
		return s;
	destroy(s);
	errno = err;
	return NULL;
}

void isns_update(struct isns *s, const struct isns_list *list)
{
	pthread_mutex_lock(&s->lock);
	isns_list_fini(&s->next);
	isns_list_copy(&s->next, list);
	s->has_next = true;
	pthread_mutex_unlock(&s->lock);
	eventfd_write(s->wake, 1);
}

static void begin_end(struct isns *s, uint64_t leave_by)
{
	pthread_mutex_lock(&s->lock);
	if (!s->leaving)
		s->leave_by = leave_by;
	s->leaving = true;
	pthread_mutex_unlock(&s->lock);
	eventfd_write(s->wake, 1);
}

void isns_leave(struct isns *s, unsigned ms)
{
	begin_end(s, now_ms() + ms);
}

void isns_free(struct isns *s)
{
	if (!s)
		return;
	begin_end(s, 0);
	pthread_join(s->thread, NULL);
	destroy(s);
}
