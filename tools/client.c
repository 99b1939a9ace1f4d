/* SPDX-License-Identifier: Apache-2.0 */
/* A line out, a line in. What does not look like an answer is one that says so. */
#include "tools/client.h"

#include "common/own.h"
#include "rpc/line.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#define ANSWER_MAX (256u << 20) /* a listing of everything is smaller */

static enum rpc_exit no_daemon(const char *path, char *why)
{
	int err = errno;

	if (err == EACCES || err == EPERM) {
		snprintf(why, RPC_WHY_LEN,
			"%s: this user may not ask kurad; use root, or a member of the group kura "
			"(or kura-monitor, to look)",
			path);
		return RPC_DENIED;
	}
	snprintf(why, RPC_WHY_LEN,
		"%s: no kurad answers there (%s); start it (systemctl start kurad), or give its "
		"--control as --socket",
		path, strerror(err));
	return RPC_NO_DAEMON;
}

enum rpc_exit client_open(struct client *c, const char *path, char *why)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	*c = (struct client){ .fd = -1 };
	if (strlen(path) >= sizeof a.sun_path) {
		snprintf(why, RPC_WHY_LEN, "%.200s: the path of a socket is shorter", path);
		return RPC_USAGE;
	}
	strcpy(a.sun_path, path);
	c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->fd < 0 || connect(c->fd, (const struct sockaddr *)&a, sizeof a))
		return no_daemon(path, why);
	return RPC_DONE;
}

/* The next line without its end, owned; NULL: the connection is over. */
static char *receive_line(struct client *c)
{
	size_t seen = 0;
	char *end, *line;
	ssize_t n;

	while (!(end = c->have > seen ? memchr(c->in + seen, '\n', c->have - seen) : NULL)) {
		seen = c->have;
		if (c->have == c->room) {
			c->room = c->room ? 2 * c->room : 65536;
			if (c->room > ANSWER_MAX || !(line = realloc(c->in, c->room)))
				return NULL;
			c->in = line;
		}
		n = recv(c->fd, c->in + c->have, c->room - c->have, 0);
		if (n == 0 || (n < 0 && errno != EINTR))
			return NULL;
		c->have += n > 0 ? (size_t)n : 0;
	}
	seen = (size_t)(end - c->in);
	line = strndup(c->in, seen);
	c->have -= seen + 1;
	memmove(c->in, end + 1, c->have);
	return line;
}

static void broken(struct reply *reply, const char *what)
{
	reply->exit = RPC_NO_DAEMON;
	reply->why = own_printf("kurad %s; see its log (journalctl -u kurad)", what);
}

/* Whether it was done is known to nobody; every verb can be said again. */
static void unanswered(struct reply *reply, const struct rpc_verb *verb)
{
	if (verb->class == RPC_LOOK) {
		broken(reply, "closed the connection before it answered");
		return;
	}
	reply->exit = RPC_NO_DAEMON;
	reply->why = own_printf("kurad ended before it answered: \"%s\" may or may not have been "
				"done; when kurad runs again, look, or say it again",
		verb->words);
}

static void take_answer(struct reply *reply, const struct jval *answer)
{
	const struct jval *result = jval_get(answer, "result");
	const struct jval *error = jval_get(answer, "error");
	const char *message = jval_text(jval_get(error, "message"));
	int64_t exit = jval_number(jval_get(jval_get(error, "data"), "exit"));

	if (result) {
		reply->result = jval_copy(result);
		return;
	}
	if (!message) {
		broken(reply, "sent something that is no answer");
		return;
	}
	reply->exit = exit > 0 && exit < 256 ? (enum rpc_exit)exit : RPC_REFUSED;
	reply->why = own_strdup(message);
	reply->error = jval_copy(error);
}

/* "volume create" is the method "volume.create". */
static char *method_of(const struct rpc_verb *verb)
{
	char *method = own_strdup(verb->words);

	for (char *p = method; *p; p++) {
		if (*p == ' ')
			*p = '.';
	}
	return method;
}

static char *request_text(struct client *c, const struct rpc_verb *verb, const struct jval *params)
{
	char *method own_free = method_of(verb);
	struct jval *request = jval_object();
	char *text own_free = NULL;

	jval_set_text(request, "jsonrpc", "2.0");
	jval_set_number(request, "id", ++c->last_id);
	jval_set_text(request, "method", method);
	if (params)
		jval_set_copy(request, "params", params);
	text = jval_print(request);
	jval_free(request);
	return own_printf("%s\n", text);
}

void client_call(struct client *c, const struct rpc_verb *verb, const struct jval *params,
	struct reply *reply)
{
	char *text own_free = request_text(c, verb, params);
	char *line own_free = NULL;
	struct jval *answer;
	char why[200];

	*reply = (struct reply){ .exit = RPC_DONE };
	if (strlen(text) > RPC_REQUEST_MAX) {
		reply->exit = RPC_USAGE;
		reply->why =
			own_printf("\"%s\": all of it has %zu bytes, and kurad takes %u at once; "
				   "say it in several",
				verb->words, strlen(text), RPC_REQUEST_MAX);
		return;
	}
	/* Who is turned away at the door is told why, and sees the end of the connection. */
	(void)line_send(c->fd, text, strlen(text));
	line = receive_line(c);
	if (!line) {
		unanswered(reply, verb);
		return;
	}
	answer = jval_parse(line, strlen(line), why, sizeof why);
	take_answer(reply, answer);
	jval_free(answer);
}

void reply_fini(struct reply *reply)
{
	jval_free(reply->result);
	jval_free(reply->error);
	free(reply->why);
	*reply = (struct reply){ 0 };
}

void client_close(struct client *c)
{
	if (c->fd >= 0)
		close(c->fd);
	free(c->in);
	*c = (struct client){ .fd = -1 };
}
