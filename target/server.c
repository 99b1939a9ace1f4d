/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Everything is opened before a thread runs, in the order in which it is needed, and freed in the
 * opposite one; what was not reached is empty, so that one server_free serves every failure.
 */
#include "target/server.h"

#include "common/deadline.h"
#include "common/file.h"
#include "common/log.h"
#include "common/own.h"
#include "kura_config.h"
#include "target/doing.h"
#include "target/isns.h"
#include "target/notify.h"
#include "target/offer.h"
#include "target/server_guts.h"
#include "target/tend.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>

#define ISNS_LEAVE_MS 2000u /* the longest that a name server may keep us from ending */

static __attribute__((format(printf, 3, 4))) int fail(char *why, int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, SERVER_WHY_LEN, fmt, ap);
	va_end(ap);
	return err;
}

/* ---- making ---- */

static unsigned wanted_loops(const struct config *cfg)
{
	cpu_set_t set;
	int cores = sched_getaffinity(0, sizeof set, &set) ? 1 : CPU_COUNT(&set);
	unsigned n = cfg->loops ? cfg->loops : cores > 0 ? (unsigned)cores : 1;

	return n < SCSI_LOOPS_MAX ? n : SCSI_LOOPS_MAX;
}

static enum loop_engine_id engine_of(const char *name)
{
	if (!strcmp(name, "uring"))
		return LOOP_ENGINE_URING;
	return strcmp(name, "aio") ? LOOP_ENGINE_AUTO : LOOP_ENGINE_AIO;
}

static int make_loops(struct server *srv, char *why)
{
	unsigned n = wanted_loops(srv->cfg);
	struct loop_opts opts = { .engine = engine_of(srv->cfg->engine), .cpu = -1 };
	uint64_t memory = srv->cfg->memory / n;

	if (srv->cfg->memory)
		opts.data_max = memory < LOOP_BUF_MAX ? LOOP_BUF_MAX : memory;

	srv->loops = own_calloc(n, sizeof *srv->loops);
	srv->seats = own_calloc(n, sizeof *srv->seats);
	for (unsigned i = 0; i < n; i++) {
		int err = 0;

		opts.index = i;
		srv->loops[i] = loop_new(&opts, &err);
		if (!srv->loops[i])
			return fail(why, err,
				"loop %u with engine \"%s\" cannot be made: %s; engine = \"auto\" "
				"takes what this kernel offers",
				i, srv->cfg->engine, strerror(-err));
		srv->seats[i] = (struct seat){ .srv = srv, .loop = srv->loops[i] };
		srv->loop_count++;
	}
	return 0;
}

static void make_iscsi(struct server *srv)
{
	struct iscsi_opts opts = offer_opts(srv->cfg);

	srv->iscsi = iscsi_server_new(&opts, srv->domain, srv->loops, srv->loop_count);
	offer_all(iscsi_server_catalogue(srv->iscsi), srv->cfg, &srv->storage);
}

static int open_sockets(struct server *srv, char *why)
{
	struct listen_set *fresh own_free = own_calloc(1, sizeof *fresh);
	int given[LISTEN_MAX];
	unsigned n = notify_take_sockets(given, LISTEN_MAX);
	char text[LISTEN_WHY_LEN] = "";
	int err = listen_take(&srv->sockets, given, n, text);

	if (!err)
		err = listen_follow(&srv->sockets, srv->cfg, fresh, text);
	listen_join(&srv->sockets, fresh);
	return err ? fail(why, err, "portal %s", text) : 0;
}

/* What was being written when an earlier run died has no meaning. */
static void sweep(const char *state_dir)
{
	static const char *const folders[] = { "volumes", "units" };

	file_sweep(state_dir);
	for (unsigned i = 0; i < own_array_len(folders); i++) {
		own_free char *folder = own_printf("%s/%s", state_dir, folders[i]);

		file_sweep(folder);
	}
}

static int open_storage(struct server *srv, const char *state_dir, char *why)
{
	char text[STORAGE_WHY_LEN] = "";
	int err;

	storage_init(&srv->storage, state_dir, srv->domain, srv->loops, srv->loop_count);
	for (unsigned i = 0; i < srv->cfg->pool_count; i++) {
		err = pools_open(srv->storage.pools, &srv->cfg->pools[i], text, sizeof text);
		if (err)
			return fail(why, err, "%s", text);
	}
	sweep(state_dir);
	doing_recover(state_dir, srv->cfg, srv->storage.pools);
	for (unsigned i = 0; i < srv->cfg->volume_count; i++) {
		if (!storage_volume_open(&srv->storage, &srv->cfg->volumes[i], text))
			return fail(why, -EIO, "%s", text);
	}
	err = storage_ports_make(&srv->storage, srv->cfg, text);
	if (err)
		return fail(why, err, "%s", text);
	for (unsigned i = 0; i < srv->cfg->target_count; i++) {
		const struct cfg_target *t = &srv->cfg->targets[i];

		log_info("target offered", "target=%s luns=%u initiators=%u hosts=%u", t->name,
			t->lun_count, t->initiator_count, t->access_count);
	}
	return 0;
}

static int make_state_dir(const char *dir, char *why)
{
	if (!mkdir(dir, 0700) || errno == EEXIST)
		return 0;
	return fail(why, -errno,
		"%s: cannot be made: %s; it keeps what must outlive a restart: make it, or name "
		"another one by --state",
		dir, strerror(errno));
}

/* Two on one state directory would each write what the other's verbs made, and settle what the
 * other is at. A file system without locks has to do without. */
static int lock_state_dir(struct server *srv, const char *dir, char *why)
{
	srv->state_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (srv->state_fd < 0)
		return fail(why, -errno, "%s: %s; name another directory by --state", dir,
			strerror(errno));
	if (!flock(srv->state_fd, LOCK_EX | LOCK_NB) || errno != EWOULDBLOCK)
		return 0;
	return fail(why, -EBUSY,
		"%s: another kurad keeps its state there; end that one, or give this one its own "
		"--state",
		dir);
}

/* Each connection is a descriptor; the usual soft limit of 1024 is for programs that use select. */
static void raise_file_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return;
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
}

static int make(struct server *srv, const struct server_opts *opts, char *why)
{
	int err = make_state_dir(opts->state_dir, why);

	if (!err)
		err = lock_state_dir(srv, opts->state_dir, why);
	if (!err)
		err = make_loops(srv, why);
	if (err)
		return err;
	srv->domain = scsi_domain_new(srv->loops, srv->loop_count);
	err = open_storage(srv, opts->state_dir, why);
	if (err)
		return err;
	make_iscsi(srv);
	err = open_sockets(srv, why);
	if (err)
		return err;
	door_init(&srv->door, srv->iscsi, srv->loops, srv->loop_count);
	srv->over_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return srv->over_fd < 0 ? fail(why, -errno, "eventfd: %s", strerror(errno)) : 0;
}

struct server *server_new(struct config *cfg, const struct server_opts *opts, char *why)
{
	struct server *srv = own_calloc(1, sizeof *srv);

	srv->cfg = cfg;
	srv->config_file = own_strdup(cfg->file);
	srv->over_fd = -1;
	srv->state_fd = -1;
	pthread_mutex_init(&srv->applying, NULL);
	raise_file_limit();
	if (make(srv, opts, why)) {
		server_free(srv);
		return NULL;
	}
	return srv;
}

/* ---- running ---- */

static void *seat_run(void *arg)
{
	struct seat *seat = arg;

	loop_run(seat->loop);
	if (!__atomic_sub_fetch(&seat->srv->running, 1, __ATOMIC_ACQ_REL))
		eventfd_write(seat->srv->over_fd, 1);
	return NULL;
}

static time_t now_seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec;
}

static int start_threads(struct server *srv, char *why)
{
	srv->running = srv->loop_count;
	for (unsigned i = 0; i < srv->loop_count; i++) {
		struct seat *seat = &srv->seats[i];
		int err = pthread_create(&seat->thread, NULL, seat_run, seat);

		if (err)
			return fail(why, -err, "thread %u cannot be made: %s", i, strerror(err));
		seat->started = true;
	}
	return 0;
}

#ifdef HAVE_ISNS

static int start_isns(struct server *srv, char *why)
{
	struct isns_list list;

	if (!srv->cfg->isns)
		return 0;
	isns_list_make(&list, srv->cfg, &srv->sockets);
	srv->isns = isns_start(srv->cfg->isns, &list);
	isns_list_fini(&list);
	return srv->isns ? 0 : fail(why, -errno, "no thread for iSNS: %s", strerror(errno));
}

void server_tell_isns(struct server *srv)
{
	struct isns_list list;

	if (!srv->isns)
		return;
	isns_list_make(&list, srv->cfg, &srv->sockets);
	isns_update(srv->isns, &list);
	isns_list_fini(&list);
}

/* Its part of the stop goes on beside the rest, and never takes longer than all of it. */
static void leave_isns(struct server *srv)
{
	unsigned ms = srv->cfg->stop_seconds * 1000;

	if (srv->isns)
		isns_leave(srv->isns, ms < ISNS_LEAVE_MS ? ms : ISNS_LEAVE_MS);
}

static void free_isns(struct server *srv)
{
	isns_free(srv->isns);
}

#else

static int start_isns(struct server *srv, char *why)
{
	(void)srv;
	(void)why;
	return 0;
}

void server_tell_isns(struct server *srv)
{
	(void)srv;
}

static void leave_isns(struct server *srv)
{
	(void)srv;
}

static void free_isns(struct server *srv)
{
	(void)srv;
}

#endif

int server_start(struct server *srv, char *why)
{
	uint64_t usec = notify_watchdog_usec();
	int err;

	if (usec)
		watch_start(&srv->watch, srv->loops, srv->loop_count,
			usec < 20000 ? 10 : (uint32_t)(usec / 2000), notify_alive);
	err = start_isns(srv, why);
	if (err)
		return err;
	for (unsigned i = 0; i < srv->sockets.count; i++) {
		const struct listen_socket *s = &srv->sockets.sockets[i];

		door_open(&srv->door, s->fd);
		log_info("portal listening", "address=%s%s", s->name, s->given ? " given=yes" : "");
	}
	srv->started = now_seconds();
	srv->storage.running = true;
	err = start_threads(srv, why);
	if (err)
		return err;
	err = pools_watch(srv->storage.pools, server_pool_short, srv);
	if (err)
		log_warn("pools are not asked how full they are: no thread", "error=\"%s\"",
			strerror(-err));
	return 0;
}

/* ---- the stop, on loop 0 ---- */

static void seat_bye(struct loop_post *post)
{
	struct seat *seat = container_of(post, struct seat, bye);

	storage_leave(&seat->srv->storage, seat->loop);
	loop_stop(seat->loop);
}

static void flushed(struct storage_flush *f)
{
	struct server *srv = container_of(f, struct server, flush);

	for (unsigned i = 0; i < srv->loop_count; i++) {
		srv->seats[i].bye.run = seat_bye;
		loop_post(srv->loops[i], &srv->seats[i].bye);
	}
}

static void drained(struct iscsi_drain *d)
{
	struct server *srv = container_of(d, struct server, drain);

	log_info("every connection is closed", NULL);
	srv->flush.done = flushed;
	storage_flush(&srv->storage, srv->loops[0], &srv->flush);
}

static void shut(struct door *door)
{
	struct server *srv = container_of(door, struct server, door);

	srv->drain.done = drained;
	/* The rest of the time is for commands that are slow to end. */
	srv->drain.seconds = srv->stop_seconds * 4 / 5;
	iscsi_drain(srv->iscsi, srv->loops[0], &srv->drain);
}

static void stop_begins(struct loop_post *post)
{
	struct server *srv = container_of(post, struct server, stop);

	watch_stop(&srv->watch);
	door_shut(&srv->door, shut);
}

bool server_stop(struct server *srv, unsigned ms)
{
	struct timespec begin = deadline_after(0), until = deadline_after(ms / 2 + 1000), end;
	unsigned seconds = (ms + 999) / 1000, waited;

	leave_isns(srv);
	if (pthread_mutex_clocklock(&srv->applying, CLOCK_MONOTONIC, &until)) /* for ever */
		return false;
	end = deadline_after(0);
	waited = (unsigned)(end.tv_sec - begin.tv_sec);
	srv->stop_seconds = seconds > waited ? seconds - waited : 0;
	srv->stop.run = stop_begins;
	loop_post(srv->loops[0], &srv->stop);
	return true;
}

int server_over_fd(const struct server *srv)
{
	return srv->over_fd;
}

bool server_is_over(const struct server *srv)
{
	return !__atomic_load_n(&srv->running, __ATOMIC_ACQUIRE);
}

void server_free(struct server *srv)
{
	if (!srv)
		return;
	own_assert(server_is_over(srv));
	for (unsigned i = 0; i < srv->loop_count; i++) {
		if (srv->seats[i].started)
			pthread_join(srv->seats[i].thread, NULL);
		else
			storage_leave(&srv->storage, srv->loops[i]);
	}
	free_isns(srv);
	door_fini(&srv->door);
	watch_fini(&srv->watch);
	listen_close(&srv->sockets);
	if (srv->iscsi)
		iscsi_server_free(srv->iscsi);
	storage_close(&srv->storage);
	if (srv->domain)
		scsi_domain_free(srv->domain);
	for (unsigned i = 0; i < srv->loop_count; i++)
		loop_free(srv->loops[i]);
	if (srv->over_fd >= 0)
		close(srv->over_fd);
	own_close_fd(&srv->state_fd);
	free(srv->config_file);
	free(srv->loops);
	free(srv->seats);
	cfg_free(srv->cfg);
	free(srv);
}

/* ---- questions ---- */

unsigned server_loops(const struct server *srv)
{
	return srv->loop_count;
}

const char *server_config_file(const struct server *srv)
{
	return srv->config_file;
}

const char *server_engine(const struct server *srv)
{
	return loop_engine_name(srv->loops[0]);
}

unsigned server_loop_load(const struct server *srv, unsigned loop)
{
	return iscsi_server_load(srv->iscsi, loop);
}

unsigned server_sessions(const struct server *srv)
{
	return iscsi_server_sessions(srv->iscsi);
}

struct scsi_domain *server_domain(const struct server *srv)
{
	return srv->domain;
}

uint64_t server_uptime(const struct server *srv)
{
	return (uint64_t)(now_seconds() - srv->started);
}

const struct config *server_view(struct server *srv)
{
	pthread_mutex_lock(&srv->storage.lock);
	return srv->cfg;
}

void server_view_end(struct server *srv)
{
	pthread_mutex_unlock(&srv->storage.lock);
}

struct vol *server_volume(const struct server *srv, const char *name)
{
	const struct storage_volume *v = storage_volume_find(&srv->storage, name);

	return v ? v->vol : NULL;
}

uint16_t server_port(const struct server *srv, const struct cfg_portal *p)
{
	return listen_port(&srv->sockets, p);
}

unsigned server_stop_seconds(struct server *srv)
{
	unsigned seconds = server_view(srv)->stop_seconds;

	server_view_end(srv);
	return seconds;
}
