/* SPDX-License-Identifier: Apache-2.0 */
/* server_guts.h: what a server is made of, for those who change it while it runs (apply.c). */
#ifndef KURA_TARGET_SERVER_GUTS_H
#define KURA_TARGET_SERVER_GUTS_H

#include "target/door.h"
#include "target/listen.h"
#include "target/server.h"
#include "target/storage.h"
#include "target/watch.h"

#include <pthread.h>
#include <time.h>

/* A loop and its thread. */
struct seat {
	struct server *srv;
	struct loop *loop;
	pthread_t thread;
	bool started;
	struct loop_post bye; /* ends it */
};

struct server {
	struct config *cfg;       /* owned; what is served: changes under storage.lock */
	pthread_mutex_t applying; /* held by the one change that is under way */
	unsigned stop_seconds;    /* of the stop that began */
	unsigned loop_count;      /* made so far */
	struct loop **loops;
	struct seat *seats;
	struct scsi_domain *domain;
	struct storage storage;
	struct iscsi_server *iscsi;
	struct listen_set sockets; /* change under storage.lock */
	struct door door;
	struct watch watch;
	struct isns *isns;       /* or NULL */
	struct metrics *metrics; /* over HTTP, or NULL; of changes (scrape.h) */
	struct loop_post stop;   /* to loop 0 */
	struct iscsi_drain drain;
	struct storage_flush flush;
	int over_fd;        /* an eventfd */
	char *config_file;  /* what it was started with */
	int state_fd;       /* the state directory, locked: it is ours */
	unsigned running;   /* threads; atomic */
	unsigned rest;      /* enum rest_state of rest.h; atomic */
	unsigned rest_ends; /* how often it was ended; of those who begin and end it */
	time_t started;     /* monotonic */
};

/* Tells the name server, if there is one, what is offered now. */
void server_tell_isns(struct server *srv);

#endif
