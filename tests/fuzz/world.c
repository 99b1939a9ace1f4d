// SPDX-License-Identifier: Apache-2.0
#include "tests/fuzz/world.h"

#include "common/log.h"

static struct world world;

static void world_make_lun(struct world *w)
{
	const struct vol_conf conf = {
		.name = "fuzz",
		.store = "mem",
		.size = WORLD_BYTES,
		.block_size = 512,
		.physical_block_size = 4096,
		.uuid = "6b757261-0000-4000-8000-000000000001",
	};
	struct scsi_lun_conf lun_conf = {
		.removable = true,
		.thin = true,
		.vendor = "KURA",
		.product = "VOLUME",
		.revision = "0001",
	};
	char why[256];

	w->vol = vol_open(&conf, why, sizeof(why));
	fuzz_check(w->vol);
	lun_conf.vol = w->vol;
	w->lun = scsi_lun_new(w->domain, &lun_conf);
	fuzz_check(w->lun && scsi_lun_open(w->lun, w->loop) == 0);
	w->target = scsi_target_new(w->domain, WORLD_TARGET, ISCSI_TPGT, 1);
	fuzz_check(w->target && scsi_target_map(w->target, 0, w->lun, false) == 0);
}

struct world *world_get(void)
{
	static const struct iscsi_rule_conf anybody = { .initiator = "*" };
	const struct iscsi_opts opts = {
		.max_connections = 16,
		.max_logins = 16,
		.max_logins_per_address = 16,
		.max_sessions = 16,
		.max_tasks = 256,
		.max_text = 65536,
		.max_burst = 1048576,
		.first_burst = 262144,
		.max_r2t = 8,
		.login_seconds = 15,
		.logout_seconds = 15,
		.discovery_seconds = 60,
		.stall_seconds = 60,
		.ping_seconds = 20,
		.ping_timeout_seconds = 10,
		.queue_depth = 32,
	};
	struct world *w = &world;

	if (w->loop)
		return w;
	log_set_level(LOG_LEVEL_ERROR);
	w->loop = sim_loop_new();
	w->domain = scsi_domain_new(&w->loop, 1);
	world_make_lun(w);
	w->srv = iscsi_server_new(&opts, w->domain, &w->loop, 1);
	iscsi_catalogue_offer(
		iscsi_server_catalogue(w->srv), &(struct iscsi_offer){ .name = WORLD_TARGET,
							.target = w->target,
							.rules = &anybody,
							.rule_count = 1 });
	sim_run(w->loop);
	return w;
}
