// SPDX-License-Identifier: Apache-2.0
/* metrics.c: the only file that knows libmicrohttpd. Nothing of a request is used but its path. */
#include "target/metrics.h"

#include "common/log.h"
#include "common/own.h"
#include "target/metrics_text.h"

#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#define TEXT_TYPE "text/plain; version=0.0.4; charset=utf-8"

struct metrics {
	struct MHD_Daemon *daemon;
	struct server *srv; /* borrowed */
};

/* ---- answers, on its thread ---- */

static enum MHD_Result answer(struct MHD_Connection *c, unsigned status, char *text, size_t len,
	enum MHD_ResponseMemoryMode mode)
{
	struct MHD_Response *r = MHD_create_response_from_buffer(len, text, mode);
	enum MHD_Result result;

	if (!r)
		return MHD_NO;
	MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, TEXT_TYPE);
	if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
		MHD_add_response_header(r, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
	result = MHD_queue_response(c, status, r);
	MHD_destroy_response(r);
	return result;
}

static enum MHD_Result say(struct MHD_Connection *c, unsigned status, const char *text)
{
	return answer(c, status, (char *)text, strlen(text), MHD_RESPMEM_PERSISTENT);
}

static enum MHD_Result requested(void *arg, struct MHD_Connection *c, const char *url,
	const char *method, const char *version, const char *data, size_t *data_len, void **state)
{
	struct metrics *m = arg;
	char *text;
	size_t len = 0;

	(void)version, (void)data, (void)data_len, (void)state;
	if (strcmp(method, MHD_HTTP_METHOD_GET) && strcmp(method, MHD_HTTP_METHOD_HEAD))
		return say(c, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET\n");
	if (!strcmp(url, "/"))
		return say(c, MHD_HTTP_OK, "kurad: see /metrics\n");
	if (strcmp(url, "/metrics"))
		return say(c, MHD_HTTP_NOT_FOUND, "only /metrics\n");
	text = metrics_text(m->srv, &len);
	if (!text)
		return say(c, MHD_HTTP_SERVICE_UNAVAILABLE, "no memory\n");
	return answer(c, MHD_HTTP_OK, text, len, MHD_RESPMEM_MUST_FREE);
}

/* ---- start and stop ---- */

union any_address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

/* The configuration has checked its form. */
static bool parse_address(const char *text, union any_address *a)
{
	const char *port = strrchr(text, ':');
	char host[INET6_ADDRSTRLEN];
	bool v6 = *text == '[';
	size_t len;

	memset(a, 0, sizeof *a);
	if (!port)
		return false;
	len = (size_t)(port - text) - (v6 ? 2 : 0);
	snprintf(host, sizeof host, "%.*s", (int)len, text + v6);
	a->any.sa_family = v6 ? AF_INET6 : AF_INET;
	if (v6)
		a->v6.sin6_port = htons((uint16_t)strtoul(port + 1, NULL, 10));
	else
		a->v4.sin_port = htons((uint16_t)strtoul(port + 1, NULL, 10));
	return inet_pton(a->any.sa_family, host,
		       v6 ? (void *)&a->v6.sin6_addr : (void *)&a->v4.sin_addr) == 1;
}

static void log_where(struct metrics *m, const char *address)
{
	const union MHD_DaemonInfo *info =
		MHD_get_daemon_info(m->daemon, MHD_DAEMON_INFO_BIND_PORT);
	const char *port = strrchr(address, ':');

	log_info("metrics listening", "address=%.*s:%u", (int)(port - address), address,
		info ? info->port : 0);
}

struct metrics *metrics_start(const char *address, struct server *srv, char *why)
{
	unsigned flags = MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_AUTO;
	struct metrics *m = own_calloc(1, sizeof *m);
	union any_address a;

	m->srv = srv;
	if (parse_address(address, &a))
		m->daemon = MHD_start_daemon(
			flags | (a.any.sa_family == AF_INET6 ? MHD_USE_IPv6 : 0), 0, NULL, NULL,
			requested, m, MHD_OPTION_SOCK_ADDR, &a.any, MHD_OPTION_CONNECTION_LIMIT,
			METRICS_CONNECTIONS, MHD_OPTION_CONNECTION_TIMEOUT, METRICS_SECONDS,
			MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)METRICS_MEMORY, MHD_OPTION_END);
	else
		errno = EINVAL;
	if (m->daemon) {
		log_where(m, address);
		return m;
	}
	snprintf(why, METRICS_WHY_LEN,
		"metrics = \"%s\": cannot listen there: %s; give another port, or leave the key "
		"out",
		address, strerror(errno));
	free(m);
	return NULL;
}

void metrics_stop(struct metrics *m)
{
	if (!m)
		return;
	MHD_stop_daemon(m->daemon);
	free(m);
}
