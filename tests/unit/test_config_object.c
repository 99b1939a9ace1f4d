// SPDX-License-Identifier: Apache-2.0
/* Configurations as values: copied, written and read again, and the file that verbs write. */
#include "tests/unit/config_texts.h"

#include "common/own.h"
#include "common/secret.h"
#include "config/object.h"
#include "config/value.h"

#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define EVERYTHING                                                                                 \
	"loops = 3; engine = \"aio\"; stop_seconds = 0;\n"                                         \
	"portals = ( { address = \"127.0.0.1\"; port = 3261; group = 7;\n"                         \
	"              advertise = \"192.0.2.1:3260\"; } );\n"                                     \
	"volumes = ( { name = \"a\"; store = \"file\"; path = \"/x \\\"y\\\\\"; size = "           \
	"\"1500M\";\n"                                                                             \
	"              cache = \"direct\"; thin = false;\n"                                        \
	"              layers = ( { kind = \"delay\"; options = \"read=1\"; },\n"                  \
	"                         { kind = \"stats\"; } ); },\n"                                   \
	"            { name = \"b\"; store = \"mem\"; size = 4096; block_size = 4096; } );\n"      \
	"hosts = ( { name = \"h\"; initiators = ( { name = \"iqn.2026-11.a:1\";\n"                 \
	"            addresses = [ \"10.0.0.0/8\", \"2001:db8::/32\" ]; } ); } );\n"               \
	"targets = ( { name = \"iqn.2026-11.a:t\"; alias = \"T\"; portal_groups = [ 7 ];\n"        \
	"  luns = ( { lun = 0; volume = \"a\"; }, { lun = 9; volume = \"b\"; readonly = true; } "  \
	");\n"                                                                                     \
	"  auth = { user = \"u\"; secret = \"twelve bytes\"; algorithms = [ \"md5\" ]; };\n"       \
	"  initiators = ( { name = \"iqn.2026-11.a:*\"; } );\n"                                    \
	"  access = ( { host = \"h\"; luns = ( { lun = 1; volume = \"a\"; } ); } ); } );\n"

static void test_copy_is_the_same(void **state)
{
	struct config *cfg = good(EVERYTHING), *copy = cfg_copy(cfg);

	(void)state;
	assert_true(cfg_same_object(CFG_OBJECT_config, cfg, copy));
	assert_ptr_not_equal(cfg->targets[0].where.file, copy->targets[0].where.file);
	assert_string_equal(copy->targets[0].where.file, "t");
	assert_int_equal(copy->targets[0].luns[1].where.line, cfg->targets[0].luns[1].where.line);
	copy->targets[0].luns[1].readonly = false;
	assert_false(cfg_same_object(CFG_OBJECT_config, cfg, copy));
	assert_false(cfg_same_object(CFG_OBJECT_target, cfg->targets, copy->targets));
	assert_true(cfg_same_object(CFG_OBJECT_volume, cfg->volumes, copy->volumes));
	cfg_free(cfg);
	cfg_free(copy);
}

static void test_written_reads_the_same(void **state)
{
	struct config *cfg = good(EVERYTHING);
	char *text own_free = cfg_write(cfg, CFG_WRITE_SECRETS), *again_text own_free = NULL;
	struct config *again = good(text);

	(void)state;
	assert_true(cfg_same_object(CFG_OBJECT_config, cfg, again));
	again_text = cfg_write(again, CFG_WRITE_SECRETS);
	assert_string_equal(text, again_text);
	assert_null(strstr(text, "ping_seconds")); /* nobody said it */
	cfg_free(cfg);
	cfg_free(again);
}

static void test_secrets_are_not_shown(void **state)
{
	struct config *cfg = good(EVERYTHING);
	char *text own_free = cfg_write(cfg, 0);

	(void)state;
	assert_null(strstr(text, "twelve bytes"));
	assert_non_null(strstr(text, "# secret is not shown"));
	cfg_free(cfg);
}

static void test_lists_change(void **state)
{
	struct config *cfg = good(EVERYTHING), *copy = cfg_copy(cfg);
	struct cfg_error errors[4];
	struct cfg_lun lun = { 0 };
	char why[CFG_WHY_LEN] = "";
	struct cfg_target *t = copy->targets;

	(void)state;
	cfg_set_defaults(CFG_OBJECT_lun, &lun);
	assert_int_equal(cfg_set_text(CFG_OBJECT_lun, &lun, "lun", "12", why), 0);
	assert_int_equal(cfg_set_text(CFG_OBJECT_lun, &lun, "volume", "b", why), 0);
	assert_int_equal(cfg_set_text(CFG_OBJECT_lun, &lun, "readonly", "maybe", why), -22);
	assert_string_equal(why, "\"maybe\" is no truth value; write true or false");
	assert_int_equal(cfg_set_text(CFG_OBJECT_lun, &lun, "lun", "16384", why), -22);
	cfg_list_add(CFG_OBJECT_target, t, "luns", &lun);
	assert_int_equal(t->lun_count, 3);
	assert_int_equal(t->luns[2].lun, 12);
	assert_string_equal(t->luns[2].product, "VOLUME");
	assert_int_equal(cfg_check_again(copy, errors, 4), 1);
	assert_string_equal(errors[0].text, "targets[0].luns[2].volume: \"b\" is LUN 9 of this "
					    "target already; map a volume once in a target");
	cfg_list_remove(CFG_OBJECT_target, t, "luns", 2);
	assert_true(cfg_same_object(CFG_OBJECT_config, cfg, copy));
	cfg_free(cfg);
	cfg_free(copy);
}

/* Adding to a long list does not move it each time. */
static void test_long_lists(void **state)
{
	struct config *cfg = good(EVERYTHING);
	struct cfg_target *t = cfg->targets;
	struct cfg_lun lun;
	unsigned first = t->lun_count;

	(void)state;
	for (unsigned i = first; i < 5000; i++) {
		const struct cfg_lun *added;

		lun = (struct cfg_lun){ 0 };
		cfg_set_defaults(CFG_OBJECT_lun, &lun);
		lun.lun = i;
		added = cfg_list_add(CFG_OBJECT_target, t, "luns", &lun);
		assert_ptr_equal(added, t->luns + i);
		assert_true(malloc_usable_size(t->luns) >= cfg_list_room(i + 1) * sizeof lun);
	}
	assert_int_equal(t->lun_count, 5000);
	for (unsigned i = first; i < 5000; i++)
		assert_int_equal(t->luns[i].lun, i);
	for (unsigned i = 0; i < 2; i++) {
		struct config *copy = cfg_copy(cfg);

		assert_true(cfg_same_object(CFG_OBJECT_config, cfg, copy));
		lun = (struct cfg_lun){ 0 };
		cfg_set_defaults(CFG_OBJECT_lun, &lun);
		while (t->lun_count > 4095) /* one less than there is memory for */
			cfg_list_remove(CFG_OBJECT_target, t, "luns", t->lun_count - 1);
		cfg_list_add(CFG_OBJECT_target, copy->targets, "luns", &lun);
		cfg_free(copy);
	}
	cfg_free(cfg);
}

/* ---- the managed file ---- */

static void write_private(const char *name, const char *text)
{
	char *path own_free = own_printf("%s/%s", folder, name);

	write_file(name, text);
	assert_int_equal(chmod(path, 0600), 0);
}

/* Reads main.conf with made.conf; wants so many mistakes and what the first one has in it. */
static struct config *read_both(unsigned want, const char *message)
{
	struct cfg_error *errors own_free = own_calloc(MAX_ERRORS, sizeof *errors);
	char *path own_free = own_printf("%s/main.conf", folder);
	char *made own_free = own_printf("%s/made.conf", folder);
	unsigned count = 0;
	struct config *cfg = cfg_read_both(path, made, errors, MAX_ERRORS, &count);

	if (count != want || (want && !strstr(errors[0].text, message)))
		print_message("%s\n", errors[0].text);
	assert_int_equal(count, want);
	assert_true(!want || strstr(errors[0].text, message));
	assert_int_equal(!cfg, want != 0);
	return cfg;
}

#define MAIN                                                                                       \
	"volumes = ( { name = \"a\"; store = \"mem\"; size = \"1M\"; } );\n"                       \
	"targets = ( { name = \"iqn.2026-11.a:t\"; luns = ( { lun = 0; volume = \"a\"; } ); } "    \
	");\n"
#define MADE                                                                                       \
	"# kura wrote this\n"                                                                      \
	"volumes = ( { name = \"b\"; store = \"mem\"; size = \"1M\"; } );\n"                       \
	"targets = (\n"                                                                            \
	"  { name = \"iqn.2026-11.a:u\"; luns = ( { lun = 0; volume = \"b\"; },\n"                 \
	"    { lun = 1; volume = \"a\"; } );\n"                                                    \
	"    auth = { user = \"u\"; secret = \"twelve bytes\"; }; } );\n"

static void test_both_are_one(void **state)
{
	struct config *cfg, *copy, *again;
	char *text own_free = NULL;

	(void)state;
	write_private("main.conf", MAIN);
	write_private("made.conf", MADE);
	cfg = read_both(0, "");
	assert_int_equal(cfg->volume_count, 2);
	assert_string_equal(cfg->volumes[0].name, "a");
	assert_int_equal(cfg->volumes[1].where.line, 2);
	assert_int_equal(cfg->targets[1].luns[1].where.line, 5);
	assert_false(cfg_is_managed(cfg, &cfg->volumes[0].where));
	assert_true(cfg_is_managed(cfg, &cfg->volumes[1].where));
	copy = cfg_copy(cfg);
	assert_true(cfg_is_managed(copy, &copy->targets[1].where));
	text = cfg_write(copy, CFG_WRITE_MANAGED | CFG_WRITE_SECRETS);
	assert_null(strstr(text, "a:t"));
	write_private("made.conf", text);
	again = read_both(0, "");
	assert_true(cfg_same_object(CFG_OBJECT_config, cfg, again));
	cfg_free(cfg);
	cfg_free(copy);
	cfg_free(again);
}

static void test_managed_need_not_be_there(void **state)
{
	char *path own_free = own_printf("%s/made.conf", folder);
	struct config *cfg;
	char *text own_free = NULL;

	(void)state;
	write_private("main.conf", MAIN);
	unlink(path);
	cfg = read_both(0, "");
	assert_string_equal(cfg->managed, path);
	text = cfg_write(cfg, CFG_WRITE_MANAGED);
	assert_string_equal(text, "");
	cfg_free(cfg);
	write_private("made.conf", "");
	cfg = read_both(0, "");
	cfg_free(cfg);
}

/* Line numbers are those of the file that is meant, in messages of every kind. */
static void test_managed_mistakes(void **state)
{
	(void)state;
	write_private("main.conf", MAIN);
	write_private("made.conf", "\nloops = 2;\n");
	read_both(1, "/made.conf:2: loops: does not belong into this file");
	write_private("made.conf", "\n\nvolumes = ( {\n");
	read_both(1, "/made.conf:4: syntax error");
	write_private("made.conf",
		"\nvolumes = ( { name = \"b\"; store = \"mem\"; size = \"1M\"; },\n"
		"{ name = \"a\"; store = \"mem\"; size = \"1M\"; } );\n");
	read_both(1, "/made.conf:3: volumes[2].name: \"a\" is taken by volumes[0].name");
	write_private("made.conf", "@include \"main.conf\"\n");
	read_both(1, "/made.conf:1: @include is not possible here");
	write_private("main.conf", MAIN "x = 1;\n");
	write_private("made.conf", MADE);
	read_both(1, "/main.conf:3: x: no such key");
	write_private(
		"main.conf", MAIN "loops = \n"); /* goes on in the next line, which is not its */
	read_both(1, "/main.conf:4: syntax error");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_copy_is_the_same),
		cmocka_unit_test(test_written_reads_the_same),
		cmocka_unit_test(test_secrets_are_not_shown),
		cmocka_unit_test(test_lists_change),
		cmocka_unit_test(test_long_lists),
		cmocka_unit_test(test_both_are_one),
		cmocka_unit_test(test_managed_need_not_be_there),
		cmocka_unit_test(test_managed_mistakes),
	};

	return cmocka_run_group_tests_name("config object", tests, make_folder, remove_folder);
}
