// SPDX-License-Identifier: Apache-2.0
/*
 * test_pool_says.c: what becomes of the words of LVM's tools. A shell says them.
 */
#include "common/exec.h"
#include "common/own.h"
#include "volume/pool_lvm.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const struct pool vg = { .conf = { .name = "p", .vg = "vg0" } };
static char why[POOL_WHY_LEN];

static int says(const char *script, char **out)
{
	struct lvm_args args = { .v = { "sh", "-c", script }, .count = 3 };
	const struct pool_why to = { why, sizeof why };

	*why = '\0';
	return lvm_run(&vg, &args, out, &to);
}

static void complains(const char *lines, int err, const char *line)
{
	own_free char *script = own_printf("printf '%s' >&2; exit 5", lines);

	assert_int_equal(says(script, NULL), err);
	if (!strstr(why, line) || !strstr(why, "pool p: volume group vg0: sh says: "))
		fail_msg("\"%s\" is not in: %s", line, why);
}

static void test_complaints(void **state)
{
	(void)state;
	complains("  Logical Volume \"x\" already exists in volume group \"vg0\"\n", -EEXIST,
		"says: Logical Volume \"x\"");
	/* what comes before */
	complains("  WARNING: Device /dev/sdb not found\n  /dev/sdc: read failed: in some way\n"
		  "  Devices file PVID 7 not found.\n"
		  "  Volume group \"vg0\" has insufficient free space (3 extents)\n",
		-ENOSPC, "says: Volume group \"vg0\" has insufficient");
	/* none that is known: the first, and no warning */
	complains("\n  WARNING: it is late\n  first of it\n  second of it\n", -EIO,
		"says: first of it;");
	complains("\n  WARNING: it is late\n", -EIO, "says: WARNING: it is late;");
	complains("", -EIO, "says: nothing;");
}

/* A report is whole or none. */
static void test_long_report(void **state)
{
	own_free char *whole = own_printf("head -c %u /dev/zero | tr '\\0' a", EXEC_SAID_MAX);
	own_free char *more = own_printf("head -c %u /dev/zero | tr '\\0' a", EXEC_SAID_MAX + 1);
	own_free char *fails = own_printf("%s; echo not found >&2; exit 5", more);
	char *report = NULL;

	(void)state;
	assert_int_equal(says(whole, &report), 0);
	assert_int_equal(strlen(report), EXEC_SAID_MAX);
	own_free_ptr(&report);
	report = NULL;
	assert_int_equal(says(more, &report), -EOVERFLOW);
	assert_null(report);
	assert_non_null(strstr(why, "more than 32 MiB"));
	assert_int_equal(says(fails, &report), -ENOENT);
	assert_null(report);
	/* nobody reads it */
	assert_int_equal(says(more, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_complaints),
		cmocka_unit_test(test_long_report),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
