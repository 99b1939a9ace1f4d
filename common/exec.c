// SPDX-License-Identifier: Apache-2.0
/*
 * exec.c: one child, two pipes, one poll loop.
 */
#include "common/exec.h"

#include "common/own.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define EXEC_SILENCE_MS 200 /* then who watches is asked whether it is to go on */

struct exec_said {
	int fd;                         /* our end; -1: at its end */
	const struct exec_watch *watch; /* is told instead of kept; or NULL */
	bool ended;                     /* it wants no more */
	bool cut;                       /* it said more than is kept */
	char *text;
	size_t len, room;
};

/* Reads once; at the end of what is said it closes the pipe. */
static void said_read(struct exec_said *s)
{
	char piece[16384];
	ssize_t n = read(s->fd, piece, sizeof piece);

	if (n < 0 && errno == EINTR)
		return;
	if (n <= 0) {
		close(own_take_fd(&s->fd));
		return;
	}
	if (s->watch) {
		s->ended |= !s->watch->said(s->watch->arg, piece, (size_t)n);
		return;
	}
	s->cut |= s->len + (size_t)n > EXEC_SAID_MAX;
	if (s->cut)
		return;
	if (s->len + (size_t)n + 1 > s->room) {
		s->room = 2 * s->room + (size_t)n + 1;
		s->text = realloc(s->text, s->room);
		own_assert(s->text);
	}
	memcpy(s->text + s->len, piece, (size_t)n);
	s->len += (size_t)n;
	s->text[s->len] = 0;
}

/* Asks the one who watches; what it does not want any more is ended. */
static void said_ask(struct exec_said *s, pid_t pid)
{
	if (!s->ended)
		s->ended = !s->watch->said(s->watch->arg, NULL, 0);
	if (s->ended)
		kill(pid, SIGKILL);
}

static void said_all(struct exec_said said[2], pid_t pid)
{
	int patience = said[0].watch && pid > 0 ? EXEC_SILENCE_MS : -1;

	while (said[0].fd >= 0 || said[1].fd >= 0) {
		struct pollfd fds[2] = { { said[0].fd, POLLIN, 0 }, { said[1].fd, POLLIN, 0 } };

		int n = poll(fds, 2, patience);

		if (n < 0)
			continue;
		if (patience > 0 && (!n || said[0].ended))
			said_ask(&said[0], pid);
		for (unsigned i = 0; i < 2; i++)
			if (fds[i].revents)
				said_read(&said[i]);
	}
}

/* Ours first, so that they count. Returns owned. */
static char **environment(void)
{
	static const char *const ours[] = { "LC_ALL=C", "LVM_SUPPRESS_FD_WARNINGS=1" };
	size_t n = 0;
	char **env;

	while (environ[n])
		n++;
	env = own_calloc(n + own_array_len(ours) + 1, sizeof *env);
	memcpy(env, ours, sizeof ours);
	memcpy(env + own_array_len(ours), environ, n * sizeof *env);
	return env;
}

static int spawn(const char *const *argv, int pipes[2][2], pid_t *pid)
{
	own_free char **env = environment();
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	sigset_t none, all;
	int err;

	sigemptyset(&none);
	sigfillset(&all);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setsigdefault(&attr, &all);
	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&files, pipes[0][1], 1);
	posix_spawn_file_actions_adddup2(&files, pipes[1][1], 2);
	err = posix_spawnp(pid, argv[0], &files, &attr, (char *const *)argv, env);
	posix_spawn_file_actions_destroy(&files);
	posix_spawnattr_destroy(&attr);
	return -err;
}

/* The child's part, on its parent's memory: ended with the thread that waits for it, so that none
 * goes on writing when kurad was killed. errno of exec, or no return. */
static int become(const char *const *argv, char **env, int pipes[2][2], pid_t parent,
	const struct exec_watch *watch)
{
	sigset_t none;
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	signal(SIGPIPE, SIG_DFL);
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) || getppid() != parent || fd < 0 || dup2(fd, 0) < 0 ||
		dup2(pipes[0][1], 1) < 0 || dup2(pipes[1][1], 2) < 0)
		return errno ? errno : ECHILD;
	for (unsigned i = 0; i < watch->keep_count; i++) {
		if (fcntl(watch->keep[i], F_SETFD, 0))
			return errno;
	}
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	execvpe(argv[0], (char *const *)argv, env);
	return errno;
}

/* As spawn; the child ends when the process does. No fork: loops have memory that is pinned. */
static int spawn_tied(
	const char *const *argv, int pipes[2][2], pid_t *pid, const struct exec_watch *watch)
{
	own_free char **env = environment();
	volatile int err = 0;
	sigset_t all, before;
	pid_t parent = getpid();

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	*pid = vfork();
	if (!*pid) {
		err = become(argv, env, pipes, parent, watch);
		_exit(127);
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (*pid < 0)
		return -errno;
	if (err)
		(void)waitpid(*pid, NULL, 0);
	return -err;
}

static int reap(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static int run(const char *const *argv, struct exec_said said[2])
{
	int pipes[2][2];
	pid_t pid = 0;
	int err;

	for (unsigned i = 0; i < 2; i++) {
		if (pipe2(pipes[i], O_CLOEXEC)) {
			err = -errno;
			if (i) {
				close(own_take_fd(&said[0].fd));
				close(pipes[0][1]);
			}
			return err;
		}
		said[i].fd = pipes[i][0];
	}
	err = said[0].watch ? spawn_tied(argv, pipes, &pid, said[0].watch)
			    : spawn(argv, pipes, &pid);
	close(pipes[0][1]);
	close(pipes[1][1]);
	said_all(said, err ? 0 : pid);
	return err ? err : reap(pid);
}

int exec_run(const char *const *argv, char **out, char **err)
{
	struct exec_said said[2] = { { .fd = -1 }, { .fd = -1 } };
	int status = run(argv, said);
	char **to[2] = { out, err };

	for (unsigned i = 0; i < 2; i++) {
		if (to[i])
			*to[i] = said[i].text ? said[i].text : own_strdup("");
		else
			free(said[i].text);
	}
	return !status && out && said[0].cut ? -EOVERFLOW : status;
}

int exec_watch(const char *const *argv, const struct exec_watch *watch, char **err)
{
	struct exec_said said[2] = { { .fd = -1, .watch = watch }, { .fd = -1 } };
	int status = run(argv, said);

	*err = said[1].text ? said[1].text : own_strdup("");
	return said[0].ended ? -ECANCELED : status;
}
