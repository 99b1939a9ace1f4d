/* SPDX-License-Identifier: Apache-2.0 */
/* One HTTP server at a time, but for a moment two when it moves. */
#include "target/scrape.h"

#include "common/log.h"
#include "kura_config.h"
#include "target/metrics.h"
#include "target/server_guts.h"

#include <errno.h>
#include <string.h>

#ifdef HAVE_MICROHTTPD

_Static_assert(METRICS_WHY_LEN <= SERVER_WHY_LEN, "a sentence of metrics_start has to fit");

int scrape_begin(struct server *srv, char *why)
{
	if (!srv->cfg->metrics)
		return 0;
	srv->metrics = metrics_start(srv->cfg->metrics, srv, why);
	return srv->metrics ? 0 : -EADDRNOTAVAIL;
}

int scrape_follow(struct server *srv, const struct config *next, char *why)
{
	const char *old = srv->cfg->metrics, *address = next->metrics;
	struct metrics *fresh = NULL;

	if (old && address ? !strcmp(old, address) : old == address)
		return 0;
	if (address) {
		fresh = metrics_start(address, srv, why);
		if (!fresh)
			return -EADDRNOTAVAIL;
	}
	metrics_stop(srv->metrics);
	srv->metrics = fresh;
	if (!fresh)
		log_info("metrics are not answered any more", "address=%s", old);
	return 0;
}

void scrape_end(struct server *srv)
{
	metrics_stop(srv->metrics);
	srv->metrics = NULL;
}

#else

int scrape_begin(struct server *srv, char *why)
{
	(void)srv;
	(void)why;
	return 0;
}

int scrape_follow(struct server *srv, const struct config *next, char *why)
{
	(void)srv;
	(void)next;
	(void)why;
	return 0;
}

void scrape_end(struct server *srv)
{
	(void)srv;
}

#endif
