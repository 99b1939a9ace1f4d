// SPDX-License-Identifier: Apache-2.0
/*
 * pool_claim.c: a list of the open pools of this process.
 */
#include "volume/pool_claim.h"

#include "common/log.h"
#include "common/own.h"
#include "volume/holder.h"

#include <errno.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

static pthread_mutex_t claims_lock = PTHREAD_MUTEX_INITIALIZER;
static struct pool *claims; /* by claim_next */

/* Locked. */
static const struct pool *claimant(const char *place)
{
	const struct pool *p = claims;

	while (p && strcmp(p->claim, place) != 0)
		p = p->claim_next;
	return p;
}

int pool_claim(struct pool *pool, const char *place, const char *called, const struct pool_why *why)
{
	const struct pool *has;
	int err = 0;

	own_assert(!pool->claim);
	pthread_mutex_lock(&claims_lock);
	has = claimant(place);
	if (has) {
		err = pool_refuse(why, -EBUSY,
			"pool %s: %s is pool %s already, and belongs to one pool only; take that "
			"one, or remove it first",
			pool->conf.name, called, has->conf.name);
	} else {
		pool->claim = own_strdup(place);
		pool->claim_next = claims;
		claims = pool;
	}
	pthread_mutex_unlock(&claims_lock);
	return err;
}

/* What flock(2) says where a filesystem, or the server of one, has no locks. */
static bool lacks_locks(int err)
{
	return err == ENOLCK || err == EOPNOTSUPP || err == ENOSYS;
}

static int dir_lock(const struct pool *pool, int fd, const struct pool_why *why)
{
	char holder[64] = "";

	if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		return 0;
	if (lacks_locks(errno)) {
		log_warn("pool: its directory cannot be locked: see that no other kurad has it",
			"pool=%s path=%s error=\"%s\"", pool->conf.name, pool->conf.path,
			strerror(errno));
		return 0;
	}
	if (errno != EWOULDBLOCK)
		return pool_refuse(why, -errno,
			"pool %s: %s cannot be locked against other processes: %s; see its "
			"filesystem",
			pool->conf.name, pool->conf.path, strerror(errno));
	holder_name(fd, holder, sizeof holder);
	return pool_refuse(why, -EBUSY,
		"pool %s: %s is a pool of another process already%s%s; a directory belongs to one "
		"pool only",
		pool->conf.name, pool->conf.path, *holder ? ": " : "", holder);
}

int pool_claim_dir(struct pool *pool, int fd, const struct pool_why *why)
{
	own_free char *place = NULL, *called = own_printf("directory %s", pool->conf.path);
	struct stat st;
	int err;

	if (fstat(fd, &st))
		return pool_refuse(why, -errno, "pool %s: %s cannot be looked at: %s",
			pool->conf.name, pool->conf.path, strerror(errno));
	place = own_printf(
		"dir %llu:%llu", (unsigned long long)st.st_dev, (unsigned long long)st.st_ino);
	err = pool_claim(pool, place, called, why);
	return err ? err : dir_lock(pool, fd, why);
}

void pool_claim_end(struct pool *pool)
{
	struct pool **at = &claims;

	if (!pool->claim)
		return;
	pthread_mutex_lock(&claims_lock);
	while (*at != pool)
		at = &(*at)->claim_next;
	*at = pool->claim_next;
	pthread_mutex_unlock(&claims_lock);
	own_free_ptr(&pool->claim);
	pool->claim = NULL;
}
