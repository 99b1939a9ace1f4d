/* SPDX-License-Identifier: Apache-2.0 */
/* The verbs that only look. */
#include "target/ctl/verb.h"

#include "common/own.h"
#include "common/stat.h"
#include "kura_config.h"
#include "volume/layer_stats.h"

#include <stdio.h>
#include <string.h>

static struct ctl_json *verb_version(const struct server *srv)
{
	struct ctl_json *out = ctl_json_object();

	(void)srv;
	ctl_json_set_text(out, "name", "kurad");
	ctl_json_set_text(out, "version", PACKAGE_VERSION);
	return out;
}

/* ---- status ---- */

static struct ctl_json *loops_status(const struct server *srv)
{
	struct ctl_json *loops = ctl_json_list();

	for (unsigned i = 0; i < server_loops(srv); i++) {
		struct ctl_json *one = ctl_json_object();

		ctl_json_set_number(one, "loop", i);
		ctl_json_set_number(one, "connections", server_loop_load(srv, i));
		ctl_json_append(loops, one);
	}
	return loops;
}

static struct ctl_json *volume_status(const struct cfg_volume *v, const struct vol *vol)
{
	struct ctl_json *one = ctl_json_object();
	struct vol_info info = vol_info(vol);
	char uuid[2 * VOL_UUID_LEN + 1];

	for (unsigned i = 0; i < VOL_UUID_LEN; i++)
		snprintf(uuid + 2 * i, 3, "%02x", info.uuid[i]);
	ctl_json_set_text(one, "name", v->name);
	ctl_json_set_text(one, "store", v->store);
	if (v->path)
		ctl_json_set_text(one, "path", v->path);
	ctl_json_set_number(one, "bytes", info.size);
	ctl_json_set_number(one, "block_size", info.block_size);
	ctl_json_set_text(one, "uuid", uuid);
	return one;
}

static struct ctl_json *target_status(const struct cfg_target *t)
{
	struct ctl_json *one = ctl_json_object(), *luns = ctl_json_list();

	ctl_json_set_text(one, "name", t->name);
	for (unsigned i = 0; i < t->lun_count; i++) {
		struct ctl_json *lun = ctl_json_object();

		ctl_json_set_number(lun, "lun", t->luns[i].lun);
		ctl_json_set_text(lun, "volume", t->luns[i].volume);
		ctl_json_append(luns, lun);
	}
	ctl_json_set(one, "luns", luns);
	return one;
}

static struct ctl_json *verb_status(const struct server *srv)
{
	const struct config *cfg = server_config(srv);
	struct ctl_json *out = ctl_json_object();
	struct ctl_json *volumes = ctl_json_list(), *targets = ctl_json_list();
	uint64_t connections = 0;

	for (unsigned i = 0; i < server_loops(srv); i++)
		connections += server_loop_load(srv, i);
	for (unsigned i = 0; i < cfg->volume_count; i++)
		ctl_json_append(volumes, volume_status(&cfg->volumes[i], server_volume(srv, i)));
	for (unsigned i = 0; i < cfg->target_count; i++)
		ctl_json_append(targets, target_status(&cfg->targets[i]));
	ctl_json_set_number(out, "uptime_seconds", server_uptime(srv));
	ctl_json_set_text(out, "engine", server_engine(srv));
	ctl_json_set_number(out, "connections", connections);
	ctl_json_set(out, "loops", loops_status(srv));
	ctl_json_set(out, "volumes", volumes);
	ctl_json_set(out, "targets", targets);
	return out;
}

/* ---- stats ---- */

static struct ctl_json *op_stats(const struct stats_op *op)
{
	struct ctl_json *out = ctl_json_object();

	ctl_json_set_number(out, "count", op->count);
	ctl_json_set_number(out, "bytes", op->bytes);
	ctl_json_set_number(out, "errors", op->errors);
	ctl_json_set_number(out, "p50_ns", stats_percentile_ns(op, 500));
	ctl_json_set_number(out, "p99_ns", stats_percentile_ns(op, 990));
	return out;
}

/* What the stats layer of a volume has seen, or NULL when it has none. */
static struct ctl_json *volume_stats(const struct cfg_volume *v, const struct vol *vol)
{
	static const char *const names[] = { "read", "write", "flush", "trim", "zero", "extents" };
	struct stats_table *table own_free = own_calloc(1, sizeof *table);
	struct ctl_json *out;

	if (!stats_read(vol, table))
		return NULL;
	out = ctl_json_object();
	ctl_json_set_text(out, "name", v->name);
	for (unsigned i = 0; i < own_array_len(names); i++)
		ctl_json_set(out, names[i], op_stats(&table->op[i]));
	return out;
}

static struct ctl_json *verb_stats(const struct server *srv)
{
	const struct config *cfg = server_config(srv);
	struct ctl_json *out = ctl_json_object();
	struct ctl_json *counters = ctl_json_object(), *volumes = ctl_json_list();

	for (unsigned i = 0; i < STAT_COUNT; i++)
		ctl_json_set_number(
			counters, stat_name((enum stat_id)i), stat_sum((enum stat_id)i));
	for (unsigned i = 0; i < cfg->volume_count; i++) {
		struct ctl_json *one = volume_stats(&cfg->volumes[i], server_volume(srv, i));

		if (one)
			ctl_json_append(volumes, one);
	}
	ctl_json_set(out, "counters", counters);
	ctl_json_set(out, "volumes", volumes);
	return out;
}

/* ---- the table ---- */

static struct ctl_json *verb_verbs(const struct server *srv)
{
	struct ctl_json *out = ctl_json_object();

	(void)srv;
	for (unsigned i = 0; i < ctl_verb_count; i++)
		ctl_json_set_text(out, ctl_verbs[i].name, ctl_verbs[i].help);
	return out;
}

const struct ctl_verb ctl_verbs[] = {
#define VERB(verb, function, text) { .name = #verb, .run = function, .help = text },
#include "target/ctl/verbs.def"
#undef VERB
};
const unsigned ctl_verb_count = own_array_len(ctl_verbs);

const struct ctl_verb *ctl_verb_find(const char *name)
{
	for (unsigned i = 0; i < ctl_verb_count; i++) {
		if (!strcmp(ctl_verbs[i].name, name))
			return &ctl_verbs[i];
	}
	return NULL;
}
