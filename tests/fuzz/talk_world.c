// SPDX-License-Identifier: Apache-2.0
/*
 * talk_world.c: a target for fuzz_talk: an open target and one with CHAP, over a plain unit, one
 * whose requests take a while, and one whose requests fail now and then.
 *
 * The loop stays from input to input, everything else is new for each, so that an input does the
 * same whenever it is run, and the freeing of everything is a part of what is looked at.
 */
#include "tests/fuzz/talk_conn.h"

#include "common/log.h"
#include "target/iscsi/session.h"
#include "target/loop/loop_engine.h"

#include <unistd.h>

#define UNITS 3u

static struct world world;
static struct vol *vols[UNITS];
static struct scsi_lun *luns[UNITS];
static struct scsi_target *targets[2];
static int first_fd = -1; /* the lowest descriptor that was free before */
static unsigned rx_free;  /* receive buffers that were free before */

static int lowest_fd(void)
{
	int fd = dup(0);

	if (fd >= 0)
		close(fd);
	return fd;
}

static void make_unit(struct world *w, unsigned n)
{
	static const struct vol_layer_conf layers[UNITS] = {
		[1] = { "delay", "ms=5" },
		[2] = { "error", "rate=1/3 errno=EIO" },
	};
	static const char *const names[UNITS] = { "plain", "slow", "broken" };
	const struct vol_conf conf = {
		.name = names[n],
		.store = "mem",
		.size = 1u << 20,
		.block_size = 512,
		.physical_block_size = 4096,
		.uuid = n == 0   ? "6b757261-0000-4000-8000-000000000001"
			: n == 1 ? "6b757261-0000-4000-8000-000000000002"
				 : "6b757261-0000-4000-8000-000000000003",
		.layers = &layers[n],
		.layer_count = layers[n].kind != NULL,
	};
	struct scsi_lun_conf lun_conf = {
		.removable = true,
		.thin = true,
		.vendor = "KURA",
		.product = "VOLUME",
		.revision = "0001",
	};
	char why[256];

	vols[n] = vol_open(&conf, why, sizeof(why));
	fuzz_check(vols[n]);
	lun_conf.vol = vols[n];
	luns[n] = scsi_lun_new(w->domain, &lun_conf);
	fuzz_check(luns[n] && scsi_lun_open(luns[n], w->loop) == 0);
	for (unsigned t = 0; t < 2; t++)
		fuzz_check(scsi_target_map(targets[t], (uint16_t)n, luns[n], false) == 0);
}

static void offer(struct world *w)
{
	static const struct iscsi_rule_conf anybody = { .initiator =
								"iqn.2026-11.kura.test:fuzzer*" };
	static const struct iscsi_auth_conf auth = {
		.user = "alice",
		.secret = TALK_SECRET,
		.mutual_user = "kura",
		.mutual_secret = "we-are-who-we-say",
		.algorithms = "sha3-256 sha-256 sha-1 md5",
	};

	iscsi_catalogue_offer(iscsi_server_catalogue(w->srv),
		&(struct iscsi_offer){ .name = scsi_target_iqn(targets[0]),
			.target = targets[0],
			.alias = "open",
			.rules = &anybody,
			.rule_count = 1 });
	iscsi_catalogue_offer(iscsi_server_catalogue(w->srv),
		&(struct iscsi_offer){ .name = scsi_target_iqn(targets[1]),
			.target = targets[1],
			.auth = &auth,
			.rules = &anybody,
			.rule_count = 1 });
}

struct world *talk_world_new(void)
{
	const struct iscsi_opts opts = {
		.max_connections = 16,
		.max_logins = 16,
		.max_logins_per_address = 16,
		.max_sessions = 3, /* of four connections, one too many */
		.session_connections = TALK_CONNS,
		.max_tasks = 64,
		.max_text = 8192,
		.max_burst = 65536,
		.first_burst = 16384,
		.max_r2t = 4,
		.login_seconds = 15,
		.logout_seconds = 15,
		.discovery_seconds = 30,
		.stall_seconds = 40,
		.ping_seconds = 20,
		.ping_timeout_seconds = 10,
		.queue_depth = 8,
	};
	struct world *w = &world;

	if (!w->loop) {
		log_set_level(LOG_LEVEL_ERROR);
		w->loop = sim_loop_new();
	}
	first_fd = lowest_fd();
	rx_free = w->loop->rx.count - w->loop->rx.free_count;
	w->domain = scsi_domain_new(&w->loop, 1);
	targets[0] = scsi_target_new(w->domain, WORLD_TARGET, ISCSI_TPGT, 1);
	targets[1] = scsi_target_new(w->domain, TALK_CHAP_TARGET, ISCSI_TPGT, 2);
	for (unsigned n = 0; n < UNITS; n++)
		make_unit(w, n);
	w->srv = iscsi_server_new(&opts, w->domain, &w->loop, 1);
	offer(w);
	sim_run(w->loop);
	return w;
}

/* Nothing of a connection, session or task is left. */
static void check_left(struct world *w)
{
	const struct iscsi_loop *home = &w->srv->loops[0];
	uint32_t tasks = 0;

	fuzz_check(iscsi_server_load(w->srv, 0) == 0 && list_empty(&home->conns));
	fuzz_check(w->srv->conn_total == 0 && w->srv->session_total == 0);
	fuzz_check(list_empty(&w->srv->sessions));
	list_for_each (node, &home->free_tasks)
		tasks++;
	fuzz_check(tasks == home->task_count);
}

void talk_world_free(struct world *w)
{
	for (unsigned n = 0; n < UNITS; n++)
		for (unsigned i = 0; i < 1000 && !scsi_lun_stop(luns[n]); i++)
			sim_advance(w->loop, 100);
	sim_advance(w->loop, 1000);
	check_left(w);
	iscsi_server_free(w->srv);
	for (unsigned n = 0; n < UNITS; n++)
		scsi_lun_close(luns[n], w->loop);
	scsi_target_free(targets[0]);
	scsi_target_free(targets[1]);
	for (unsigned n = 0; n < UNITS; n++) {
		scsi_lun_free(luns[n]);
		vol_close(vols[n]);
	}
	scsi_domain_free(w->domain);
	fuzz_check(w->loop->data.out == 0);
	fuzz_check(w->loop->rx.count - w->loop->rx.free_count == rx_free);
	fuzz_check(sim_next_timer_ms(w->loop) < 0);
	fuzz_check(lowest_fd() == first_fd);
}
