// SPDX-License-Identifier: Apache-2.0
/*
 * test_pool_claim.c: a place is one pool's, whatever the lock of a directory says. The lock is the
 * test's own flock.
 */
#include "volume/pool_claim.h"

#include "common/own.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static int lock_says;

/* In the place of the C library's. */
int flock(int fd, int operation)
{
	(void)fd;
	assert_int_equal(operation, LOCK_EX | LOCK_NB);
	errno = lock_says;
	return lock_says ? -1 : 0;
}

static int claim_dir(struct pool *pool, int says, char why[POOL_WHY_LEN])
{
	own_fd int fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const struct pool_why to = { why, POOL_WHY_LEN };

	lock_says = says;
	*why = '\0';
	assert_true(fd >= 0);
	return pool_claim_dir(pool, fd, &to);
}

static void test_locks(void **state)
{
	struct pool pool = { .conf = { .name = "p", .path = "/" } };
	char why[POOL_WHY_LEN];

	(void)state;
	assert_int_equal(claim_dir(&pool, 0, why), 0);
	pool_claim_end(&pool);
	/* there are none: no reason to refuse */
	assert_int_equal(claim_dir(&pool, ENOLCK, why), 0);
	pool_claim_end(&pool);
	assert_int_equal(claim_dir(&pool, EOPNOTSUPP, why), 0);
	pool_claim_end(&pool);
	assert_int_equal(claim_dir(&pool, EWOULDBLOCK, why), -EBUSY);
	assert_non_null(strstr(why, "another process"));
	pool_claim_end(&pool);
	/* nobody knows */
	assert_int_equal(claim_dir(&pool, EIO, why), -EIO);
	assert_non_null(strstr(why, "pool p: / cannot be locked"));
	pool_claim_end(&pool);
	pool_claim_end(&pool);
}

/* One process, a filesystem without locks. */
static void test_twice(void **state)
{
	struct pool a = { .conf = { .name = "a", .path = "/" } };
	struct pool b = { .conf = { .name = "b", .path = "/" } };
	char why[POOL_WHY_LEN];

	(void)state;
	assert_int_equal(claim_dir(&a, ENOLCK, why), 0);
	assert_int_equal(claim_dir(&b, ENOLCK, why), -EBUSY);
	assert_non_null(strstr(why, "pool b: directory / is pool a already"));
	pool_claim_end(&b);
	assert_int_equal(claim_dir(&b, ENOLCK, why), -EBUSY);
	pool_claim_end(&a);
	assert_int_equal(claim_dir(&b, ENOLCK, why), 0);
	pool_claim_end(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_locks),
		cmocka_unit_test(test_twice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
