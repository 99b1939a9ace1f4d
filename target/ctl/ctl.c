/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control thread accepts and lets go of clients; each of these has a thread that reads a line,
 * runs its verb and answers. Whoever sends too long a line, or does not read, is closed.
 */
#include "target/ctl/ctl.h"

#include "common/deadline.h"
#include "common/fault.h"
#include "common/list.h"
#include "common/own.h"
#include "rpc/line.h"
#include "target/ctl/job.h"

#include <errno.h>
#include <grp.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>

#define GROUP_MAX       (16u << 20) /* bytes of a group with its members */
#define PEER_GROUPS_MAX 65536u      /* NGROUPS_MAX of Linux: groups of one process */
#define TIRED_MS        100 /* until another client is asked in, when there is no descriptor */

struct client {
	struct list node;
	struct ctl *ctl;
	struct ctl_asker asker;
	pthread_t thread;
	int fd;
	bool over; /* its thread has nothing more to do; locked */
};

struct ctl {
	struct server *srv; /* borrowed */
	struct ctl_jobs *jobs;
	char *path;
	int listen_fd;
	int stop_fd; /* an eventfd: the end, or a client that is over */
	pthread_t thread;
	pthread_mutex_t change; /* see ctl_asker */
	pthread_mutex_t lock;   /* of what is below */
	struct list clients;
	unsigned client_count, looker_count; /* all, and those who may only look */
	bool stopping;                       /* atomic */
};

/* ---- a client, on its thread ---- */

/* False: the client is gone, or does not read. */
static bool client_answer(struct client *c, const char *text, size_t len)
{
	char *reply own_free = ctl_answer(&c->asker, text, len);

	bool sent;

	sent = !reply || (line_send(c->fd, reply, strlen(reply)) && line_send(c->fd, "\n", 1));
	if (c->asker.changed)
		(void)fault_point(FAULT_verb_answered);
	return sent;
}

/* Answers the requests that are whole; false: the client shall go. */
static bool client_serve(struct client *c, char *in, size_t *have)
{
	char *end;

	while ((end = memchr(in, '\n', *have))) {
		size_t len = (size_t)(end - in);

		if (!client_answer(c, in, len))
			return false;
		*have -= len + 1;
		memmove(in, end + 1, *have);
	}
	return *have < RPC_REQUEST_MAX;
}

static void *client_run(void *arg)
{
	struct client *c = arg;
	char *in own_free = own_calloc(1, RPC_REQUEST_MAX);
	size_t have = 0;
	ssize_t n;

	pthread_setname_np(pthread_self(), "kura-client");
	do {
		n = recv(c->fd, in + have, RPC_REQUEST_MAX - have, 0);
		have += n > 0 ? (size_t)n : 0;
	} while ((n > 0 && client_serve(c, in, &have)) || (n < 0 && errno == EINTR));
	pthread_mutex_lock(&c->ctl->lock);
	c->over = true;
	pthread_mutex_unlock(&c->ctl->lock);
	eventfd_write(c->ctl->stop_fd, 1);
	return NULL;
}

/* ---- who it is ---- */

bool ctl_group(const char *name, gid_t *gid)
{
	struct group entry, *found = NULL;
	size_t room = 4096; /* names of members: as many as there are */
	char *text = NULL;
	int err;

	do {
		free(text);
		text = own_calloc(1, room);
		err = getgrnam_r(name, &entry, text, room, &found);
		room *= 2;
	} while (err == ERANGE && room <= GROUP_MAX);
	if (!err && found)
		*gid = found->gr_gid;
	free(text);
	return !err && found;
}

/* Whether the peer belongs to a group of this machine, which need not be there. */
static bool in_group(int fd, gid_t main_group, const char *name)
{
	socklen_t len = PEER_GROUPS_MAX * sizeof(gid_t);
	gid_t *groups own_free = NULL;
	gid_t wanted;

	if (!ctl_group(name, &wanted))
		return false;
	if (main_group == wanted)
		return true;
	groups = own_calloc(PEER_GROUPS_MAX, sizeof *groups);
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &len))
		return false;
	for (unsigned i = 0; i < len / sizeof *groups; i++) {
		if (groups[i] == wanted)
			return true;
	}
	return false;
}

/* Fills in who asks; false: somebody who may not even look. */
static bool asker_of(struct client *c)
{
	struct ucred peer;
	socklen_t len = sizeof peer;

	if (getsockopt(c->fd, SOL_SOCKET, SO_PEERCRED, &peer, &len))
		return false;
	c->asker = (struct ctl_asker){
		.srv = c->ctl->srv,
		.jobs = c->ctl->jobs,
		.change = &c->ctl->change,
		.ending = &c->ctl->stopping,
		.uid = peer.uid,
		.control = c->ctl->path,
		.may_change = peer.uid == 0 || peer.uid == geteuid() ||
			      in_group(c->fd, peer.gid, CTL_GROUP),
	};
	return c->asker.may_change || in_group(c->fd, peer.gid, CTL_MONITOR_GROUP);
}

/* ---- the thread ---- */

static void client_free(struct client *c)
{
	list_del(&c->node);
	c->ctl->client_count--;
	c->ctl->looker_count -= !c->asker.may_change;
	close(c->fd);
	free(c);
}

static void say_and_close(int fd, enum rpc_exit exit, const char *why)
{
	char *text own_free = own_printf("{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{"
					 "\"code\":%d,\"message\":\"%s\",\"data\":{\"exit\":"
					 "%d}}}\n",
		-32000 - (int)exit, why, (int)exit);

	(void)send(fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT);
	close(fd);
}

/* Why a client cannot be let in; NULL: it is. */
static const char *refuse_client(struct client *c, enum rpc_exit *exit)
{
	*exit = RPC_DENIED;
	if (!asker_of(c))
		return "this user may not ask kurad; join the group " CTL_GROUP
		       " or " CTL_MONITOR_GROUP;
	*exit = RPC_BUSY;
	if (c->ctl->client_count == CTL_CLIENTS_MAX ||
		(!c->asker.may_change && c->ctl->looker_count == CTL_LOOKERS_MAX))
		return "too many clients at once; try again";
	return NULL;
}

static void client_open(struct ctl *ctl, int fd)
{
	struct timeval send_time = { .tv_sec = CTL_SEND_SECONDS };
	struct client *c = own_calloc(1, sizeof *c);
	const char *why;
	enum rpc_exit exit;

	c->ctl = ctl;
	c->fd = fd;
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &send_time, sizeof send_time);
	why = refuse_client(c, &exit);
	if (!why && pthread_create(&c->thread, NULL, client_run, c))
		why = "there is no thread for another client; try again";
	if (why) {
		free(c);
		say_and_close(fd, exit, why);
		return;
	}
	list_push(&ctl->clients, &c->node);
	ctl->client_count++;
	ctl->looker_count += !c->asker.may_change;
}

/* Lets go of the clients whose threads are over. */
static void reap(struct ctl *ctl)
{
	list_for_each_safe (node, &ctl->clients) {
		struct client *c = container_of(node, struct client, node);
		bool over;

		pthread_mutex_lock(&ctl->lock);
		over = c->over;
		pthread_mutex_unlock(&ctl->lock);
		if (!over)
			continue;
		pthread_join(c->thread, NULL);
		client_free(c);
	}
}

static bool is_stopping(const struct ctl *ctl)
{
	return __atomic_load_n(&ctl->stopping, __ATOMIC_ACQUIRE);
}

static void end_clients(struct ctl *ctl)
{
	list_for_each (node, &ctl->clients)
		shutdown(container_of(node, struct client, node)->fd, SHUT_RDWR);
	while (!list_empty(&ctl->clients)) {
		struct client *c = container_of(ctl->clients.next, struct client, node);

		pthread_join(c->thread, NULL);
		client_free(c);
	}
}

static bool is_exhausted(int err)
{
	return err == EMFILE || err == ENFILE || err == ENOBUFS || err == ENOMEM;
}

static void *ctl_run(void *arg)
{
	struct ctl *ctl = arg;
	struct pollfd p[2] = {
		{ .fd = ctl->stop_fd, .events = POLLIN },
		{ .fd = ctl->listen_fd, .events = POLLIN },
	};

	pthread_setname_np(pthread_self(), "kura-ctl");
	while (!is_stopping(ctl)) {
		eventfd_t rung;
		int fd;

		(void)poll(p, own_array_len(p), -1);
		(void)eventfd_read(ctl->stop_fd, &rung);
		reap(ctl);
		while ((fd = accept4(ctl->listen_fd, NULL, NULL, SOCK_CLOEXEC)) >= 0)
			client_open(ctl, fd);
		if (is_exhausted(errno)) /* whoever waits there goes on waiting */
			(void)poll(p, 1, TIRED_MS);
	}
	end_clients(ctl);
	return NULL;
}

/* ---- the socket ---- */

static __attribute__((format(printf, 3, 4))) int fail(char *why, int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, CTL_WHY_LEN, fmt, ap);
	va_end(ap);
	return err;
}

/* Makes the folder of the socket; whether it is there is found out by bind. */
static void make_folder(const char *path)
{
	char *folder own_free = own_strdup(path);
	char *slash = strrchr(folder, '/');

	if (slash && slash != folder) {
		*slash = '\0';
		(void)mkdir(folder, 0755);
	}
}

/* Removes a socket on which nobody answers. -EADDRINUSE: somebody does. */
static int remove_stale(const struct sockaddr_un *a)
{
	int fd own_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct stat st;

	if (fd < 0)
		return -errno;
	if (lstat(a->sun_path, &st))
		return 0;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	/* whatever else that is is none that a dead kurad left behind */
	if (!connect(fd, (const struct sockaddr *)a, sizeof *a) ||
		(errno != ECONNREFUSED && errno != ENOENT))
		return -EADDRINUSE;
	return unlink(a->sun_path) && errno != ENOENT ? -errno : 0;
}

/* Whether anybody but root is to come in; who it is is looked at when he has come. */
static bool has_groups(void)
{
	gid_t gid;

	return ctl_group(CTL_GROUP, &gid) || ctl_group(CTL_MONITOR_GROUP, &gid);
}

static int bind_socket(const struct sockaddr_un *a)
{
	int fd own_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	mode_t old;
	int err;

	if (fd < 0)
		return -errno;
	old = umask(has_groups() ? 0111 : 0177);
	err = bind(fd, (const struct sockaddr *)a, sizeof *a) ? -errno : 0;
	umask(old);
	if (err)
		return err;
	return listen(fd, 2 * CTL_CLIENTS_MAX) ? -errno : own_take_fd(&fd);
}

/* The listening socket or -errno with the reason in `why`. */
static int open_socket(const char *path, char *why)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd, err;

	if (strlen(path) >= sizeof a.sun_path)
		return fail(why, -ENAMETOOLONG,
			"%.200s: the path of a socket has at most %zu characters", path,
			sizeof a.sun_path - 1);
	strcpy(a.sun_path, path);
	make_folder(path);
	err = remove_stale(&a);
	if (err == -EADDRINUSE)
		return fail(why, err,
			"%s: another kurad answers there, or another program; give this one its "
			"own "
			"--control",
			path);
	if (err == -EEXIST)
		return fail(
			why, err, "%s: is there and is no socket; give another --control", path);
	fd = err ? err : bind_socket(&a);
	if (fd < 0)
		return fail(why, fd, "%s: %s; give a --control that this user may make", path,
			strerror(-fd));
	return fd;
}

static void ctl_free(struct ctl *ctl)
{
	if (ctl->listen_fd >= 0) {
		close(ctl->listen_fd);
		unlink(ctl->path);
	}
	if (ctl->stop_fd >= 0)
		close(ctl->stop_fd);
	ctl_jobs_free(ctl->jobs);
	pthread_mutex_destroy(&ctl->change);
	pthread_mutex_destroy(&ctl->lock);
	free(ctl->path);
	free(ctl);
}

struct ctl *ctl_start(const char *path, struct server *srv, int *err, char *why)
{
	struct ctl *ctl = own_calloc(1, sizeof *ctl);

	ctl->srv = srv;
	ctl->path = own_strdup(path);
	ctl->jobs = ctl_jobs_new();
	list_init(&ctl->clients);
	pthread_mutex_init(&ctl->change, NULL);
	pthread_mutex_init(&ctl->lock, NULL);
	ctl->stop_fd = -1;
	ctl->listen_fd = open_socket(path, why);
	*err = ctl->listen_fd < 0 ? ctl->listen_fd : 0;
	if (!*err) {
		ctl->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		*err = ctl->stop_fd < 0 ? fail(why, -errno, "eventfd: %s", strerror(errno)) : 0;
	}
	if (!*err) {
		int res = pthread_create(&ctl->thread, NULL, ctl_run, ctl);

		*err = res ? fail(why, -res, "control thread: %s", strerror(res)) : 0;
	}
	if (!*err)
		return ctl;
	ctl_free(ctl);
	return NULL;
}

bool ctl_hold(struct ctl *ctl, unsigned ms)
{
	struct timespec until = deadline_after(ms);

	return !ctl || !pthread_mutex_clocklock(&ctl->change, CLOCK_MONOTONIC, &until);
}

void ctl_release(struct ctl *ctl)
{
	if (ctl)
		pthread_mutex_unlock(&ctl->change);
}

void ctl_stop(struct ctl *ctl)
{
	if (!ctl)
		return;
	__atomic_store_n(&ctl->stopping, true, __ATOMIC_RELEASE);
	eventfd_write(ctl->stop_fd, 1);
	pthread_join(ctl->thread, NULL);
	ctl_free(ctl);
}
