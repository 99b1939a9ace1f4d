/* SPDX-License-Identifier: Apache-2.0 */
/* The list of findings, and the order in which they are looked for. */
#include "target/check.h"

#include "common/own.h"
#include "config/object.h"
#include "target/guests.h"
#include "target/rest.h"
#include "target/server_guts.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

const char *check_severity_name(enum check_severity severity)
{
	static const char *const names[] = { "ok", "hint", "warning", "error" };

	return names[severity];
}

void check_add(struct check *c, enum check_severity severity, const char *what, const char *name,
	const char *remedy, const char *fmt, ...)
{
	struct check_finding *f = own_calloc(1, sizeof *f);
	char text[768];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	f->severity = severity;
	f->object = name ? own_printf("%s %s", what, name) : own_strdup(what);
	f->finding = own_strdup(text);
	f->remedy = own_strdup(remedy);
	list_push(&c->findings, &f->node);
	c->count[severity]++;
}

static void check_loops(struct check *c, struct server *srv)
{
	struct list sessions;
	char number[12];
	int silent;

	list_init(&sessions);
	silent = guests_look(srv, &sessions);
	guests_free(&sessions);
	if (silent < 0) {
		check_add(c, CHECK_OK, "loops", NULL, "", "every loop answers");
		return;
	}
	snprintf(number, sizeof number, "%d", silent);
	check_add(c, CHECK_ERROR, "loop", number,
		"look into the log of kurad; report it with the output of eu-stack -p PID",
		"it does not answer: its sessions stand still");
}

static void check_state(struct check *c, const struct server *srv)
{
	if (rest_state(srv) != REST_SERVING)
		check_add(c, CHECK_WARNING, "kurad", NULL, "kura resume",
			"it is %s: nobody may log in", rest_state_name(rest_state(srv)));
}

void check_run(struct check *c, struct server *srv, const char *control, enum check_depth depth)
{
	struct config *copy;

	*c = (struct check){ 0 };
	list_init(&c->findings);
	check_state(c, srv);
	if (depth == CHECK_ALL)
		check_loops(c, srv);
	copy = cfg_copy(server_view(srv));
	server_view_end(srv);
	/* without the lock, which others wait for: a file system may hang */
	check_served(c, srv, copy);
	check_box(c, srv, copy);
	check_files(c, copy, srv->storage.state_dir, control);
	if (depth == CHECK_ALL) {
		check_next_start(c, srv, copy);
		check_pools(c, srv, copy);
	}
	cfg_free(copy);
}

void check_fini(struct check *c)
{
	struct list *node;

	while ((node = list_pop(&c->findings))) {
		struct check_finding *f = container_of(node, struct check_finding, node);

		free(f->object);
		free(f->finding);
		free(f->remedy);
		free(f);
	}
}
