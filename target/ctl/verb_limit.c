/* SPDX-License-Identifier: Apache-2.0 */
/* How fast a volume may be used: shown, and changed while it is used. */
#include "target/ctl/verbs.h"

#include "common/own.h"
#include "target/ctl/volumes.h"
#include "volume/layer_limit.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* The keys of a limit that say how much; each is an argument and a field of the verb, too. */
static const char *const rates[] = { "iops", "bytes", "read_iops", "read_bytes", "write_iops",
	"write_bytes" };

static uint64_t *rate_of(struct cfg_limit *l, unsigned i)
{
	uint64_t *const of[] = { &l->iops, &l->bytes, &l->read_iops, &l->read_bytes, &l->write_iops,
		&l->write_bytes };

	_Static_assert(own_array_len(of) == own_array_len(rates), "one for each");
	return of[i];
}

static bool is_limited(struct cfg_limit *l)
{
	for (unsigned i = 0; i < own_array_len(rates); i++) {
		if (*rate_of(l, i))
			return true;
	}
	return false;
}

char *ctl_limit_text(const struct cfg_limit *l)
{
	char text[256];
	size_t at = 0;
	struct cfg_limit is = *l;

	for (unsigned i = 0; i < own_array_len(rates); i++) {
		if (*rate_of(&is, i))
			at += (size_t)snprintf(text + at, sizeof text - at, "%s%s=%" PRIu64,
				at ? " " : "", rates[i], *rate_of(&is, i));
	}
	return own_strdup(at ? text : "none");
}

/* Requests that wait for their turn now. */
static unsigned waiting(struct ctl_call *call, const char *name)
{
	const struct vol *vol;
	unsigned n;

	(void)server_view(call->srv);
	vol = server_volume(call->srv, name);
	n = vol ? limit_waiting(vol) : 0;
	server_view_end(call->srv);
	return n;
}

/* Whether any argument asks for a change. */
static bool is_asked(struct ctl_call *call)
{
	bool asked = ctl_flag(call, "none") || jval_get(call->params, "burst_ms");

	for (unsigned i = 0; i < own_array_len(rates); i++)
		asked |= jval_get(call->params, rates[i]) != NULL;
	return asked;
}

static void answer(struct ctl_call *call, const struct cfg_volume *v, bool changed)
{
	jval_set_text(call->result, "volume", v->name);
	jval_set_flag(call->result, "limited", v->limit != NULL);
	for (unsigned i = 0; v->limit && i < own_array_len(rates); i++) {
		if (*rate_of(v->limit, i))
			jval_set_number(call->result, rates[i], *rate_of(v->limit, i));
	}
	if (v->limit)
		jval_set_number(call->result, "burst_ms", v->limit->burst_ms);
	jval_set_number(call->result, "waiting", waiting(call, v->name));
	jval_set_flag(call->result, "changed", changed);
}

/* What is asked for, over what is; false after ctl_fail. */
static bool wanted(struct ctl_call *call, const struct cfg_volume *v, struct cfg_limit *want)
{
	if (v->limit && !ctl_flag(call, "none"))
		*want = *v->limit;
	else
		cfg_set_defaults(CFG_OBJECT_limit, want);
	for (unsigned i = 0; i < own_array_len(rates); i++)
		*rate_of(want, i) = ctl_number(call, rates[i], *rate_of(want, i));
	want->burst_ms = (uint32_t)ctl_number(call, "burst_ms", want->burst_ms);
	if (is_limited(want) || !jval_get(call->params, "burst_ms"))
		return true;
	ctl_fail(call, RPC_USAGE,
		"burst_ms: volume \"%s\" has no limit; say how much as well, such as --iops 500",
		v->name);
	return false;
}

static bool is_same(const struct cfg_limit *old, const struct cfg_limit *new)
{
	return old ? new &&cfg_same_object(CFG_OBJECT_limit, old, new) : !new;
}

/* Makes `want` the limit of a volume, NULL: it has none. */
static void set_limit(const struct config *cfg, struct cfg_volume *v, const struct cfg_limit *want)
{
	free(v->limit);
	v->limit = NULL;
	if (!want)
		return;
	v->limit = own_calloc(1, sizeof *v->limit);
	*v->limit = *want;
	v->limit->where = cfg_managed_where(cfg);
}

/* Takes `cfg`. */
static void change(struct ctl_call *call, struct config *cfg, struct cfg_volume *v)
{
	struct cfg_limit want = { 0 };
	const char *name = ctl_text(call, "volume");
	struct config *now;

	if (!wanted(call, v, &want)) {
		cfg_free(cfg);
		return;
	}
	if (is_same(v->limit, is_limited(&want) ? &want : NULL)) {
		answer(call, v, false);
		cfg_free(cfg);
		return;
	}
	if (!ctl_may_change(call, cfg, &v->where, "volume", name)) {
		cfg_free(cfg);
		return;
	}
	set_limit(cfg, v, is_limited(&want) ? &want : NULL);
	if (!ctl_commit(call, cfg, false))
		return;
	now = ctl_config(call);
	answer(call, cfg_volume_named(now, name), true);
	cfg_free(now);
}

void verb_volume_limit(struct ctl_call *call)
{
	struct config *cfg = ctl_config(call);
	struct cfg_volume *v = ctl_find_volume(call, cfg, ctl_text(call, "volume"));

	if (v && is_asked(call)) {
		change(call, cfg, v);
		return;
	}
	if (v) {
		answer(call, v, false);
		jval_unset(call->result, "changed"); /* nobody has asked for that */
	}
	cfg_free(cfg);
}
