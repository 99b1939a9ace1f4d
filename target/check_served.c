/* SPDX-License-Identifier: Apache-2.0 */
/* What is served: portals, targets, volumes, and the pools below. */
#include "target/check.h"

#include "common/own.h"
#include "target/tend.h"
#include "volume/volume.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#define NEAR_PERCENT 80u /* used: a warning */
#define FULL_PERCENT 95u /* an error */

/* ---- portals ---- */

static bool is_loopback(const char *address)
{
	return !strncmp(address, "127.", 4) || !strcmp(address, "::1");
}

/* Whether an interface of this box has the numeric address. */
static bool is_here(const struct ifaddrs *all, const char *address)
{
	uint8_t want[16];
	int family = inet_pton(AF_INET, address, want) == 1 ? AF_INET : AF_INET6;

	if (family == AF_INET6 && inet_pton(AF_INET6, address, want) != 1)
		return true; /* with a zone, or none that we know */
	for (const struct ifaddrs *a = all; a; a = a->ifa_next) {
		const struct sockaddr *sa = a->ifa_addr;

		if (!sa || sa->sa_family != family)
			continue;
		if (family == AF_INET &&
			!memcmp(&((const struct sockaddr_in *)(const void *)sa)->sin_addr, want, 4))
			return true;
		if (family == AF_INET6 &&
			!memcmp(&((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr, want,
				16))
			return true;
	}
	return false;
}

static void tell_lost(struct check *c, const struct cfg_portal *p)
{
	char *remedy own_free =
		own_printf("ip address add %s dev INTERFACE, or kura portal remove %s --port %u",
			p->address, p->address, p->port);

	check_add(c, CHECK_ERROR, "portal", p->address, remedy,
		"no interface of this box has this address: nobody can connect");
}

static void check_portals(struct check *c, const struct config *cfg)
{
	struct ifaddrs *all = NULL;
	bool outside = false, good = true;

	if (getifaddrs(&all))
		return;
	for (unsigned i = 0; i < cfg->portal_count; i++) {
		const char *address = cfg->portals[i].address;

		outside = outside || !is_loopback(address);
		if (!strcmp(address, "*") || is_loopback(address) || is_here(all, address))
			continue;
		good = false;
		tell_lost(c, &cfg->portals[i]);
	}
	freeifaddrs(all);
	if (!outside)
		check_add(c, CHECK_HINT, "portals", NULL, "kura portal add ADDRESS",
			"only loopback is listened at: no other machine can connect");
	else if (good)
		check_add(c, CHECK_OK, "portals", NULL, "", "initiators can connect");
}

/* ---- targets ---- */

static bool has_luns(const struct cfg_target *t)
{
	for (unsigned i = 0; i < t->access_count; i++) {
		if (t->access[i].lun_count)
			return true;
	}
	return t->lun_count;
}

/* Somebody of whom nothing but a name is known. */
static bool is_open(const struct cfg_target *t)
{
	for (unsigned i = 0; i < t->initiator_count; i++) {
		const struct cfg_initiator *one = &t->initiators[i];

		if (!strcmp(one->name, "*") && !one->addresses && !one->auth && !t->auth)
			return true;
	}
	return false;
}

static void check_target(struct check *c, const struct cfg_target *t)
{
	if (!t->initiator_count && !t->access_count) {
		char *remedy own_free = own_printf("kura target allow %s --initiator IQN", t->name);

		check_add(c, CHECK_HINT, "target", t->name, remedy, "nobody may enter it");
	}
	if (!has_luns(t) && !t->redirect) {
		char *remedy own_free = own_printf("kura lun add %s VOLUME", t->name);

		check_add(c, CHECK_HINT, "target", t->name, remedy, "it has no LUN");
	}
	if (is_open(t)) {
		char *remedy own_free = own_printf(
			"kura target allow %s --initiator IQN for each, then kura target deny %s "
			"--initiator '*'; or ask for a secret (CHAP)",
			t->name, t->name);

		check_add(c, CHECK_HINT, "target", t->name, remedy,
			"anybody who reaches a portal may enter it");
	}
}

static void check_targets(struct check *c, const struct config *cfg)
{
	unsigned before = c->count[CHECK_HINT];

	for (unsigned i = 0; i < cfg->target_count; i++)
		check_target(c, &cfg->targets[i]);
	for (unsigned i = 0; i < cfg->host_count; i++) {
		const char *name = cfg->hosts[i].name;
		char *remedy own_free = own_printf("kura host add-initiator %s IQN", name);

		if (!cfg->hosts[i].initiator_count)
			check_add(c, CHECK_HINT, "host", name, remedy, "nobody belongs to it");
	}
	if (before == c->count[CHECK_HINT])
		check_add(c, CHECK_OK, "targets", NULL, "", "each has LUNs and who may enter");
}

/* ---- volumes ---- */

static bool is_mapped(const struct config *cfg, const char *volume)
{
	for (unsigned i = 0; i < cfg->target_count; i++) {
		const struct cfg_target *t = &cfg->targets[i];

		for (unsigned l = 0; l < t->lun_count; l++) {
			if (!strcmp(t->luns[l].volume, volume))
				return true;
		}
		for (unsigned a = 0; a < t->access_count; a++) {
			for (unsigned l = 0; l < t->access[a].lun_count; l++) {
				if (!strcmp(t->access[a].luns[l].volume, volume))
					return true;
			}
		}
	}
	return false;
}

/* A file that has holes grows as it is written: what is free has to suffice. */
static void check_room(struct check *c, const struct cfg_volume *v, uint64_t size)
{
	struct statvfs fs;
	struct stat st;
	uint64_t has, left;

	if (stat(v->path, &st) || !S_ISREG(st.st_mode) || statvfs(v->path, &fs))
		return;
	has = (uint64_t)st.st_blocks * 512;
	left = (uint64_t)fs.f_bavail * fs.f_frsize;
	if (has >= size || left >= size - has)
		return;
	check_add(c, left ? CHECK_WARNING : CHECK_ERROR, "volume", v->name,
		"make room in its file system, or move it to a larger one",
		"it may take %llu MiB more, but its file system has %llu MiB left",
		(unsigned long long)((size - has) >> 20), (unsigned long long)(left >> 20));
}

/* Whether a volume is open, and what it is; only for that is the server held up. */
static bool look_at(struct server *srv, const char *name, struct vol_info *info)
{
	const struct vol *vol;

	(void)server_view(srv);
	vol = server_volume(srv, name);
	if (vol)
		*info = vol_info(vol);
	server_view_end(srv);
	return vol;
}

static void check_volume(
	struct check *c, struct server *srv, const struct config *cfg, const struct cfg_volume *v)
{
	bool disk = v->store && (!strcmp(v->store, "file") || !strcmp(v->store, "block"));
	struct vol_info info;

	if (!look_at(srv, v->name, &info)) {
		check_add(c, CHECK_ERROR, "volume", v->name,
			"journalctl -u kurad says why; kura apply tries again", "it is not open");
		return;
	}
	if (!is_mapped(cfg, v->name)) {
		char *remedy own_free = own_printf("kura share %s --to IQN", v->name);

		check_add(c, CHECK_HINT, "volume", v->name, remedy, "no target maps it");
	}
	if (disk && v->thin && !v->readonly && !(info.caps & VOL_CAN_TRIM))
		check_add(c, CHECK_HINT, "volume", v->name,
			"a file system with fallocate (ext4, xfs) or a device with discard, or "
			"thin = false",
			"what initiators discard cannot be given back by what it lies on");
	if (!disk || !v->path)
		return;
	check_room(c, v, info.size);
	if (!strcmp(v->store, "file") && check_in_memory(v->path))
		check_add(c, CHECK_WARNING, "volume", v->name,
			"kura volume export it to a file on a disk, and serve that",
			"it lies in memory (tmpfs): what is written is lost with the next boot");
}

static void check_volumes(struct check *c, struct server *srv, const struct config *cfg)
{
	struct list *last = c->findings.prev;

	for (unsigned i = 0; i < cfg->volume_count; i++)
		check_volume(c, srv, cfg, &cfg->volumes[i]);
	if (last == c->findings.prev)
		check_add(c, CHECK_OK, "volumes", NULL, "", "each is open and mapped");
}

void check_served(struct check *c, struct server *srv, const struct config *cfg)
{
	check_portals(c, cfg);
	check_targets(c, cfg);
	check_volumes(c, srv, cfg);
}

/* ---- pools ---- */

static unsigned percent(uint64_t size, uint64_t left)
{
	return size ? (unsigned)(((double)(size - left)) * 100 / (double)size) : 0;
}

static void check_use(
	struct check *c, const char *name, const char *what, uint64_t size, uint64_t left)
{
	unsigned used = percent(size, left);

	if (used >= NEAR_PERCENT)
		check_add(c, used >= FULL_PERCENT ? CHECK_ERROR : CHECK_WARNING, "pool", name,
			"make it larger, or delete snapshots and volumes",
			"%u percent of its %s is used; writes fail when it is full", used, what);
}

static void check_pool(struct check *c, struct pool *pool, const char *name)
{
	char why[POOL_WHY_LEN] = "";
	struct pool_info info;

	if (pool_check_host(pool, why, sizeof why))
		check_add(c, CHECK_WARNING, "pool", name,
			"edit /etc/lvm/lvm.conf as the finding says; lvmconfig --type full devices "
			"shows what holds",
			"%s", why);
	if (pool_info(pool, &info, why, sizeof why)) {
		check_add(c, CHECK_ERROR, "pool", name, "see the finding", "%s", why);
		return;
	}
	check_use(c, name, "room", info.size, info.free);
	check_use(c, name, "metadata", info.meta_size, info.meta_free);
	if (info.meta_size && (info.failed || info.readonly))
		check_add(c, CHECK_ERROR, "pool", name, "lvconvert --repair, see lvmthin(7)",
			"its metadata %s", info.failed ? "is broken" : "takes no writes");
	else if (info.readonly)
		check_add(c, CHECK_ERROR, "pool", name,
			"mount it writable, give it to the user of kurad, or name it in "
			"ReadWritePaths= of the unit (systemctl edit kurad), and restart kurad",
			"kurad cannot write there");
}

void check_pools(struct check *c, struct server *srv, const struct config *cfg)
{
	struct list *last = c->findings.prev;

	for (unsigned i = 0; i < cfg->pool_count; i++) {
		struct pool *pool = server_pool(srv, cfg->pools[i].name);

		if (pool)
			check_pool(c, pool, cfg->pools[i].name);
		else
			check_add(c, CHECK_ERROR, "pool", cfg->pools[i].name,
				"journalctl -u kurad says why; kura apply tries again",
				"it is not open");
		server_pool_put(srv, pool);
	}
	if (cfg->pool_count && last == c->findings.prev)
		check_add(c, CHECK_OK, "pools", NULL, "", "each has room");
}
