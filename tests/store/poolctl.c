// SPDX-License-Identifier: Apache-2.0
/*
 * poolctl.c: one verb on the pool that the environment names (pool_rig.h), for tests in a machine:
 *
 *   poolctl create NAME BYTES | grow NAME BYTES | snapshot NAME SNAP | clone SOURCE NAME | list
 */
#include "common/own.h"
#include "volume/pool.h"

#include <stdio.h>
#include <string.h>

static int list(struct pool *pool, char *why, size_t len)
{
	struct pool_volume *volumes;
	size_t count;
	int err = pool_list(pool, &volumes, &count, why, len);

	for (size_t i = 0; i < count; i++)
		printf("%s size=%llu allocated=%llu%s origin=%s\n", volumes[i].name,
			(unsigned long long)volumes[i].size,
			(unsigned long long)volumes[i].allocated,
			volumes[i].snapshot ? " snapshot" : "", volumes[i].origin);
	free(volumes);
	return err;
}

static int verb(struct pool *pool, char **argv, char *why, size_t len)
{
	const char *name = argv[2] ? argv[2] : "", *more = argv[2] && argv[3] ? argv[3] : "";
	struct pool_make make = { name, strtoull(more, NULL, 0),
		(pool_caps(pool) & POOL_CAN_THIN) != 0, NULL };

	if (!strcmp(argv[1], "create"))
		return pool_create(pool, &make, why, len);
	if (!strcmp(argv[1], "grow"))
		return pool_grow(pool, name, make.size, why, len);
	if (!strcmp(argv[1], "snapshot"))
		return pool_snapshot(pool, name, more, NULL, why, len);
	if (!strcmp(argv[1], "clone"))
		return pool_clone(pool, name, more, NULL, why, len);
	if (!strcmp(argv[1], "list"))
		return list(pool, why, len);
	snprintf(why, len, "no such verb");
	return -1;
}

int main(int argc, char **argv)
{
	const struct pool_conf conf = {
		.name = "tank",
		.kind = getenv("KURA_POOL_KIND"),
		.path = getenv("KURA_POOL_PATH"),
		.vg = getenv("KURA_POOL_VG"),
		.thin_pool = getenv("KURA_POOL_THIN"),
	};
	char why[POOL_WHY_LEN] = "";
	struct pool *pool = pool_open(&conf, why, sizeof why);
	int err = pool && argc > 1 ? verb(pool, argv, why, sizeof why) : -1;

	if (err)
		fprintf(stderr, "poolctl: %s\n", why);
	pool_close(pool);
	return err ? 1 : 0;
}
