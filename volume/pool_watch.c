// SPDX-License-Identifier: Apache-2.0
/*
 * pool_watch.c: the events of thin pools, for those who wait for them.
 */
#include "volume/pool_kind.h"

#include <errno.h>

int pool_watch(struct pool *pool, void (*told)(void *arg, const struct pool_info *info), void *arg,
	char *text, size_t len)
{
	const struct pool_why why = { text, len };

	(void)told;
	(void)arg;
	return pool_refuse(&why, -ENOTSUP,
		"pool %s: a pool of kind \"%s\" is no thin pool, there is nothing to watch",
		pool->conf.name, pool->ops->kind);
}

void pool_unwatch(struct pool *pool)
{
	(void)pool;
}
