/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control thread: a poll over a few clients, each with one request under way. Whoever sends too
 * much, or does not read, waits or is closed; nobody is told twice.
 */
#include "target/ctl/ctl.h"

#include "common/log.h"
#include "common/own.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

struct client {
	int fd;      /* -1: free */
	char *in;    /* CTL_REQUEST_MAX bytes */
	size_t have; /* bytes in it */
	char *out;   /* what is being sent, or NULL */
	size_t out_len, out_at;
};

struct ctl {
	const struct server *srv; /* borrowed */
	char *path;
	int listen_fd;
	int stop_fd; /* an eventfd */
	pthread_t thread;
	struct client clients[CTL_CLIENTS_MAX];
};

/* ---- clients ---- */

static void client_close(struct client *c)
{
	close(c->fd);
	free(c->in);
	free(c->out);
	*c = (struct client){ .fd = -1 };
}

static void client_open(struct ctl *ctl, int fd)
{
	for (unsigned i = 0; i < CTL_CLIENTS_MAX; i++) {
		struct client *c = &ctl->clients[i];

		if (c->fd >= 0)
			continue;
		*c = (struct client){ .fd = fd, .in = own_calloc(1, CTL_REQUEST_MAX) };
		return;
	}
	close(fd);
}

/* Sends what the socket takes; false: the client is gone. */
static bool client_send(struct client *c)
{
	while (c->out) {
		ssize_t n = send(c->fd, c->out + c->out_at, c->out_len - c->out_at, MSG_NOSIGNAL);

		if (n < 0)
			return errno == EAGAIN || errno == EINTR;
		c->out_at += (size_t)n;
		if (c->out_at == c->out_len) {
			free(c->out);
			c->out = NULL;
		}
	}
	return true;
}

/* Answers the requests that are there, one after the other as their answers leave. */
static bool client_serve(struct ctl *ctl, struct client *c)
{
	char *end;

	while (!c->out && (end = memchr(c->in, '\n', c->have))) {
		size_t len = (size_t)(end - c->in);
		char *text = ctl_answer(ctl->srv, c->in, len);

		c->have -= len + 1;
		memmove(c->in, end + 1, c->have);
		if (text) {
			c->out = own_printf("%s\n", text);
			c->out_len = strlen(c->out);
			c->out_at = 0;
			free(text);
		}
		if (!client_send(c))
			return false;
	}
	return c->out || c->have < CTL_REQUEST_MAX;
}

/* Reads what is there; false: the client is gone or sends too much. */
static bool client_receive(struct ctl *ctl, struct client *c)
{
	ssize_t n = recv(c->fd, c->in + c->have, CTL_REQUEST_MAX - c->have, 0);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	if (n == 0)
		return false;
	c->have += (size_t)n;
	return client_serve(ctl, c);
}

static void client_turn(struct ctl *ctl, struct client *c, short events)
{
	bool alive = true;

	if (c->out)
		alive = !(events & (POLLERR | POLLHUP)) && client_send(c) && client_serve(ctl, c);
	else if (events)
		alive = client_receive(ctl, c);
	if (!alive)
		client_close(c);
}

/* ---- the thread ---- */

static void accept_all(struct ctl *ctl)
{
	int fd;

	while ((fd = accept4(ctl->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0)
		client_open(ctl, fd);
}

static void *ctl_run(void *arg)
{
	struct ctl *ctl = arg;
	struct pollfd p[2 + CTL_CLIENTS_MAX];

	pthread_setname_np(pthread_self(), "kura-ctl");
	for (;;) {
		p[0] = (struct pollfd){ .fd = ctl->stop_fd, .events = POLLIN };
		p[1] = (struct pollfd){ .fd = ctl->listen_fd, .events = POLLIN };
		for (unsigned i = 0; i < CTL_CLIENTS_MAX; i++)
			p[2 + i] = (struct pollfd){ .fd = ctl->clients[i].fd,
				.events = ctl->clients[i].out ? POLLOUT : POLLIN };
		if (poll(p, own_array_len(p), -1) < 0)
			continue;
		if (p[0].revents)
			return NULL;
		for (unsigned i = 0; i < CTL_CLIENTS_MAX; i++) {
			if (p[2 + i].revents)
				client_turn(ctl, &ctl->clients[i], p[2 + i].revents);
		}
		if (p[1].revents)
			accept_all(ctl);
	}
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
	if (!connect(fd, (const struct sockaddr *)a, sizeof *a) || errno == EAGAIN)
		return -EADDRINUSE;
	return unlink(a->sun_path) ? -errno : 0;
}

static int bind_socket(const struct sockaddr_un *a)
{
	int fd own_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	mode_t old;
	int err;

	if (fd < 0)
		return -errno;
	old = umask(0177);
	err = bind(fd, (const struct sockaddr *)a, sizeof *a) ? -errno : 0;
	umask(old);
	if (err)
		return err;
	return listen(fd, 16) ? -errno : own_take_fd(&fd);
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
			"%s: another kurad answers there; give this one its own --control", path);
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
	for (unsigned i = 0; i < CTL_CLIENTS_MAX; i++) {
		if (ctl->clients[i].fd >= 0)
			client_close(&ctl->clients[i]);
	}
	if (ctl->listen_fd >= 0) {
		close(ctl->listen_fd);
		unlink(ctl->path);
	}
	if (ctl->stop_fd >= 0)
		close(ctl->stop_fd);
	free(ctl->path);
	free(ctl);
}

struct ctl *ctl_start(const char *path, const struct server *srv, int *err, char *why)
{
	struct ctl *ctl = own_calloc(1, sizeof *ctl);

	ctl->srv = srv;
	ctl->path = own_strdup(path);
	for (unsigned i = 0; i < CTL_CLIENTS_MAX; i++)
		ctl->clients[i].fd = -1;
	ctl->stop_fd = -1;
	ctl->listen_fd = open_socket(path, why);
	*err = ctl->listen_fd < 0 ? ctl->listen_fd : 0;
	if (!*err) {
		ctl->stop_fd = eventfd(0, EFD_CLOEXEC);
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

void ctl_stop(struct ctl *ctl)
{
	if (!ctl)
		return;
	eventfd_write(ctl->stop_fd, 1);
	pthread_join(ctl->thread, NULL);
	ctl_free(ctl);
}
