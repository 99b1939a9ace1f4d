// SPDX-License-Identifier: Apache-2.0
/* Who may see what, as the configuration says it: secrets, and every message on bad ones. */
#include "tests/unit/config_texts.h"

#include "common/own.h"
#include "common/secret.h"
#include "kura_config.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static void close_file(FILE **f)
{
	if (*f)
		fclose(*f);
}

/* ---- secrets ---- */

#define AUTH "discovery_auth = {\n@\n};"

static void test_auth(void **state)
{
	struct config *cfg = good(
		"discovery_auth = { user = \"d\"; secret = \"twelve bytes\"; };\n"
		"targets = ( { name = \"iqn.2026-11.a:b\"; luns = ();\n"
		"auth = { user = \"0x12\"; secret = \"q\"; mutual_user = \"m\";\n"
		"         mutual_secret = \"\\x41 secret\"; algorithms = [ \"sha-256\", "
		"\"md5\" ]; };\n"
		"initiators = ( { name = \"*\"; auth = { user = \"i\"; secret = \"s\"; }; } );\n"
		"} );");
	const struct cfg_target *t = cfg->targets;

	(void)state;
	assert_string_equal(cfg->discovery_auth->user, "d");
	assert_string_equal(cfg->discovery_auth->algorithms, "sha3-256 sha-256 sha-1 md5");
	assert_null(cfg->discovery_auth->mutual_user);
	assert_int_equal(t->auth->where.line, 3);
	assert_string_equal(t->auth->user, "0x12");
	assert_string_equal(t->auth->secret, "q");
	assert_string_equal(t->auth->mutual_secret, "A secret");
	assert_string_equal(t->auth->algorithms, "sha-256 md5");
	assert_string_equal(t->initiators[0].auth->user, "i");
	assert_int_equal(cfg->warning_count, 4);
	assert_string_equal(cfg->warnings[0].text,
		"t:3: targets[0].auth.secret: the secret has 1 bytes; with less than 12 it can be "
		"guessed from what goes over the network");
	cfg_free(cfg);
}

static void test_auth_bad(void **state)
{
	(void)state;
	bad("discovery_auth = 1;",
		"t:1: discovery_auth: is not a group; write discovery_auth = { ... };\n");
	bad_in(AUTH, "secret = \"twelve bytes\";",
		"t:1: discovery_auth: has no user; write user = ...; (the name by which the "
		"initiator introduces itself)\n");
	bad_in(AUTH, "user = \"\"; secret = \"twelve bytes\";",
		"t:2: discovery_auth.user: is empty; write a name of 1 to 255 characters\n");
	bad_in(AUTH, "user = \"u\";",
		"t:1: discovery_auth.secret: is missing; write secret_file = \"/path\"; with a "
		"file of mode 0600\n");
	bad_in(AUTH, "user = \"u\"; secret = \"\";",
		"t:2: discovery_auth.secret: has 0 bytes; a secret has 1 to 255, better 12 or "
		"more\n");
	bad_in(AUTH, "user = \"u\"; secret = 12345678901234;",
		"t:2: discovery_auth.secret: is a number; write a text in double quotes\n");
	bad_in(AUTH, "user = \"u\"; secret = \"twelve bytes\"; mutual_user = \"m\";",
		"t:1: discovery_auth.mutual_secret: is missing; write mutual_secret_file = "
		"\"/path\"; with a file of mode 0600\n");
	bad_in(AUTH, "user = \"u\"; secret = \"twelve bytes\"; mutual_secret = \"other twelve\";",
		"t:1: discovery_auth.mutual_user: is missing; a secret goes with a name\n");
	bad_in(AUTH,
		"user = \"u\"; secret = \"twelve bytes\"; mutual_user = \"m\"; mutual_secret = "
		"\"twelve bytes\";",
		"t:2: discovery_auth.mutual_secret: is the secret of the initiator; take another "
		"one for the target\n");
	bad_in(AUTH, "user = \"u\"; secret = \"twelve bytes\"; algorithms = [ \"sha256\" ];",
		"t:2: discovery_auth.algorithms: \"sha256\" is not known; write some of "
		"\"sha3-256\", \"sha-256\", \"sha-1\" or \"md5\" (did you mean \"sha-256\"?)\n");
	bad_in(AUTH, "user = \"u\"; secret = \"twelve bytes\"; algorithms = [ \"md5\", \"md5\" ];",
		"t:2: discovery_auth.algorithms: has \"md5\" twice; write each once\n");
	bad_in(AUTH, "user = \"u\"; secret = \"twelve bytes\"; algorithms = [ ];",
		"t:2: discovery_auth.algorithms: is no list of texts; write algorithms = [ "
		"\"...\", \"...\" ];\n");
	bad_in(AUTH, "user = \"u\"; secret = \"twelve bytes\"; algorithms = \"md5\";",
		"t:2: discovery_auth.algorithms: is no list of texts; write algorithms = [ "
		"\"...\", \"...\" ];\n");
	/* a secret is not shown, whatever is wrong around it */
	bad_in(AUTH, "secret = \"twelve bytes\" = 1;",
		"t:2: syntax error at \"secret = \"; is a ';' or ',' missing before it, a bracket "
		"or quote left open, or a word without quotes?\n");
}

#define SECRET_CONF "discovery_auth = { user = \"u\"; secret_file = \"%s\"; };"

static void secret_file_is(const char *bytes, size_t len, unsigned mode, const char *want)
{
	char *cwd own_free = getcwd(NULL, 0);
	char *path own_free = own_printf("%s/%s/a.conf", cwd, folder);
	char *conf own_free = own_printf(SECRET_CONF, path);
	char *good_words own_free = NULL;
	struct config *cfg;
	FILE *f;

	(void)remove(path);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(bytes, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(path, mode), 0);
	if (want && strstr(want, "%s"))
		good_words = own_printf(
			"t:1: discovery_auth.secret_file: \"%s\" has the mode %04o, so others "
			"than its owner get at the secret; chmod 600 it, and choose a new secret "
			"if they could\n",
			path, mode);
	else if (want)
		good_words = own_printf("t:1: discovery_auth.secret_file: \"%s\" %s\n", path, want);
	if (want) {
		bad(conf, good_words);
		return;
	}
	cfg = good(conf);
	assert_memory_equal(cfg->discovery_auth->secret, bytes, 12);
	assert_int_equal(strlen(cfg->discovery_auth->secret), 12);
	cfg_free(cfg);
}

static void test_secret_file(void **state)
{
	char many[300];

	(void)state;
	memset(many, 'a', sizeof many);
	secret_file_is("twelve bytes", 12, 0600, NULL);
	secret_file_is("twelve bytes\n", 13, 0400, NULL);
	secret_file_is("twelve bytes", 12, 0640, "%s");
	secret_file_is("twelve bytes", 12, 0604, "%s");
	secret_file_is("", 0, 0600, "holds none; a secret has 1 to 255 bytes");
	secret_file_is("\n", 1, 0600, "holds none; a secret has 1 to 255 bytes");
	secret_file_is(many, 256, 0600, "holds more; a secret has 1 to 255 bytes");
	secret_file_is(many, 300, 0600, "holds more; a secret has 1 to 255 bytes");
	secret_file_is("twelve\nbytes", 12, 0600,
		"holds more than one line, or a NUL; write the secret on one line");
	secret_file_is("twelve\0bytes", 12, 0600,
		"holds more than one line, or a NUL; write the secret on one line");
	bad("discovery_auth = { user = \"u\"; secret_file = \"/nonexistent/x\"; };",
		"t:1: discovery_auth.secret_file: \"/nonexistent/x\" cannot be read: No such file "
		"or directory\n");
	bad("discovery_auth = { user = \"u\"; secret_file = \"/dev/null\"; };",
		"t:1: discovery_auth.secret_file: \"/dev/null\" is not a plain file\n");
	bad("discovery_auth = { user = \"u\"; secret_file = \"/\"; };",
		"t:1: discovery_auth.secret_file: \"/\" is not a plain file\n");
	bad("discovery_auth = { user = \"u\"; secret = \"twelve bytes\"; secret_file = \"/\"; };",
		"t:1: discovery_auth.secret_file: does not go with the secret itself; remove one "
		"of the two\n");
}

/* Root reads what is another user's, who could read and change it. */
static void test_secret_file_of_another(void **state)
{
	char *cwd own_free = getcwd(NULL, 0);
	char *path own_free = own_printf("%s/%s/a.conf", cwd, folder);
	char *conf own_free = own_printf(SECRET_CONF, path);
	char *want own_free = own_printf("t:1: discovery_auth.secret_file: \"%s\" belongs to "
					 "another user (65534), who gets at "
					 "the secret; chown it, and choose a new secret\n",
		path);

	(void)state;
	if (geteuid())
		skip();
	(void)remove(path);
	write_file("a.conf", "twelve bytes");
	assert_int_equal(chmod(path, 0600), 0);
	assert_int_equal(chown(path, 65534, 65534), 0);
	bad(conf, want);
	(void)remove(path);
}

/* Whether the mapping that holds `p` stays out of core dumps: "dd" among its VmFlags. */
static bool is_undumped(const void *p)
{
	FILE *f own_cleanup(close_file) = fopen("/proc/self/smaps", "r");
	unsigned long at = (unsigned long)p, from, to;
	bool found = false;
	char line[512];

	assert_non_null(f);
	while (fgets(line, sizeof line, f)) {
		if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
			found = at >= from && at < to;
		else if (found && !strncmp(line, "VmFlags:", 8))
			return strstr(line, " dd") != NULL;
	}
	return false;
}

static void test_secret_stays_out_of_dumps(void **state)
{
	struct config *cfg = good("discovery_auth = { user = \"u\"; secret = \"twelve bytes\"; };");
	char *copy = secret_dup(cfg->discovery_auth->secret);

	(void)state;
	assert_string_equal(copy, "twelve bytes");
	assert_true(is_undumped(cfg->discovery_auth->secret));
	assert_true(is_undumped(copy));
	assert_false(is_undumped(cfg->discovery_auth->user));
	secret_free(copy);
	assert_null(secret_dup(NULL));
	secret_free(NULL);
	cfg_free(cfg);
}

/* A secret in the configuration asks that its file, and no other, be private. */
static void test_secret_in_shared_file(void **state)
{
	char *main_path own_free = own_printf("%s/main.conf", folder);
	char *part own_free = own_printf("%s/a.conf", folder);

	(void)state;
	write_file("a.conf", "discovery_auth = { user = \"u\"; secret = \"twelve bytes\"; };\n");
	write_file("main.conf", "loops = 2;\n@include \"a.conf\"\n");
	assert_int_equal(chmod(main_path, 0644), 0);
	assert_int_equal(chmod(part, 0640), 0);
	assert_null(read_main(1,
		"a.conf:1: discovery_auth.secret: stands in a file that others than its owner get "
		"at; chmod 600 it, or write secret_file = \"/path\"; with a file of mode 0600"));
	assert_int_equal(chmod(part, 0600), 0);
	cfg_free(read_main(0, NULL));
}

/* ---- who comes from where ---- */

static void test_access(void **state)
{
	struct config *cfg = good(
		"portals = ( { address = \"192.0.2.1\"; group = 7; advertise = \"198.51.100.1\"; "
		"},\n"
		"  { address = \"2001:db8::1\"; advertise = \"[2001:DB8::2]:860\"; } );\n"
		"volumes = ( { name = \"v\"; store = \"mem\"; size = \"1M\"; } );\n"
		"hosts = ( { name = \"esx\"; auth = { user = \"u\"; secret = \"twelve bytes\"; };\n"
		"  initiators = ( { name = \"IQN.1998-01.com.VMware:*\";\n"
		"    addresses = [ \"10.0.0.0/8\", \"2001:db8::/32\", \"192.0.2.9\" ]; } ); } );\n"
		"targets = ( { name = \"iqn.2026-11.a:b\";\n"
		"  portal_groups = [ 7, 1 ];"
		"  redirect = { address = \"192.0.2.8\"; permanent = true; };\n"
		"  access = ( { host = \"esx\"; luns = ( { lun = 5; volume = \"v\"; readonly = "
		"true; } );"
		" } ); } );\n");
	const struct cfg_target *t = cfg->targets;

	(void)state;
	assert_int_equal(cfg->portals[0].group, 7);
	assert_string_equal(cfg->portals[0].advertise, "198.51.100.1:3260");
	assert_int_equal(cfg->portals[1].group, 1);
	assert_string_equal(cfg->portals[1].advertise, "[2001:db8::2]:860");
	assert_string_equal(cfg->hosts[0].initiators[0].name, "iqn.1998-01.com.vmware:*");
	assert_string_equal(
		cfg->hosts[0].initiators[0].addresses, "10.0.0.0/8 2001:db8::/32 192.0.2.9/32");
	assert_string_equal(cfg->hosts[0].auth->user, "u");
	assert_string_equal(t->redirect->address, "192.0.2.8:3260");
	assert_true(t->redirect->permanent);
	assert_string_equal(t->portal_groups, "7 1");
	assert_string_equal(t->access[0].host, "esx");
	assert_int_equal(t->access[0].luns[0].lun, 5);
	assert_true(t->access[0].luns[0].readonly);
	assert_int_equal(cfg->warning_count, 0);
	cfg_free(cfg);
}

#define HOST                                                                                       \
	"hosts = ( { name = \"h\"; initiators = ( { name = \"*\"; } ); } );\n"                     \
	"volumes = ( { name = \"v\"; store = \"mem\"; size = \"1M\"; } );\n"                       \
	"targets = ( { name = \"iqn.2026-11.a:b\"; luns = ();\n@\n} );"
#define INITIATOR "hosts = ( { name = \"h\"; initiators = (\n{ @ } ); } );"

static void test_access_bad(void **state)
{
	(void)state;
	bad_in(HOST, "access = ( { host = \"x\"; } );",
		"t:4: targets[0].access[0].host: no host group is called \"x\"; write hosts = ( { "
		"name = \"x\"; initiators = ( ... ); } );\n");
	bad_in(HOST, "access = ( { host = \"h\"; },\n{ host = \"h\"; } );",
		"t:5: targets[0].access[1].host: \"h\" is taken by targets[0].access[0].host in "
		"line 4; give a host group one map in a target\n");
	bad_in(HOST, "access = ( { } );",
		"t:4: targets[0].access[0]: has no host; write host = ...; (the name of a host "
		"group of this file)\n");
	bad_in(HOST, "access = ( { host = \"h\"; luns = ( { lun = 0; volume = \"w\"; } ); } );",
		"t:4: targets[0].access[0].luns[0].volume: no volume is called \"w\"; volumes "
		"are: v (did you mean \"v\"?)\n");
	bad_in(HOST,
		"access = ( { host = \"h\"; luns = ( { lun = 0; volume = \"v\"; },\n"
		"{ lun = 0; volume = \"v\"; } ); } );",
		"t:5: targets[0].access[0].luns[1].volume: \"v\" is LUN 0 of this target already; "
		"map a volume once in a target\n"
		"t:5: targets[0].access[0].luns[1].lun: 0 is taken by the LUN in line 4; give each "
		"LUN of a target a number of its own\n");
	bad("hosts = ( { name = \"h\"; initiators = ( { name = \"*\"; } ); },\n"
	    "{ name = \"h\"; initiators = ( { name = \"*\"; } ); } );",
		"t:2: hosts[1].name: \"h\" is taken by hosts[0].name in line 1; give each host "
		"group a name of its own\n");
	bad_in(HOST, "portal_groups = [ 1, 7 ];",
		"t:4: targets[0].portal_groups: no portal belongs to the group 7; write group = 7; "
		"at one\n");
	bad_in(HOST, "portal_groups = [ 65536 ];",
		"t:4: targets[0].portal_groups: 65536 is out of range; write numbers from 0 to "
		"65535\n");
	bad_in(HOST, "portal_groups = [ -1 ];",
		"t:4: targets[0].portal_groups: -1 is out of range; write numbers from 0 to "
		"65535\n");
	bad_in(HOST, "portal_groups = [ \"1\" ];",
		"t:4: targets[0].portal_groups: is no list of numbers; write portal_groups = [ 1, "
		"2 "
		"];\n");
	bad_in(HOST, "portal_groups = 1;",
		"t:4: targets[0].portal_groups: is no list of numbers; write portal_groups = [ 1, "
		"2 "
		"];\n");
	bad_in(HOST, "redirect = { address = \"example.org\"; };",
		"t:4: targets[0].redirect.address: \"example.org\" is no numeric address with a "
		"port; write one such as \"192.0.2.7:3260\" or \"[2001:db8::7]:3260\"\n");
}

#define ISNS "isns = { @ };\n"

static void test_isns(void **state)
{
	(void)state;
#ifdef HAVE_ISNS
	struct config *cfg = good("isns = { server = \"[2001:DB8::5]\"; };");

	assert_string_equal(cfg->isns->server, "[2001:db8::5]:3205");
	assert_null(cfg->isns->entity);
	assert_int_equal(cfg->isns->refresh_seconds, 300);
	cfg_free(cfg);
	bad_in(ISNS, "entity = \"e\";",
		"t:1: isns: has no server; write server = ...; (the address and port of the iSNS "
		"server)\n");
	bad_in(ISNS, "server = \"names.example\";",
		"t:1: isns.server: \"names.example\" is no numeric address with a port; write one "
		"such as \"192.0.2.7:3205\" or \"[2001:db8::7]:3205\"\n");
	bad_in(ISNS, "server = \"192.0.2.5\"; entity = \"a b\";",
		"t:1: isns.entity: \"a b\" is no name at its character 2; use letters, digits, "
		"'.', '_' and '-'\n");
#else
	bad_in(ISNS, "server = \"192.0.2.5\";",
		"t:1: isns: is not known to this kurad, which was built without iSNS; leave the "
		"group out, or build it with ./configure --enable-isns\n");
#endif
}

static void test_addresses_bad(void **state)
{
	static const char *const portals[] = { "", "192.0.2.1:", "192.0.2.1:0", "192.0.2.1:65536",
		"192.0.2.1:x", "192.0.2.1:1:2", "[2001:db8::1", "[2001:db8::1]1", "[192.0.2]:1",
		"2001:db8::g" };
	static const char *const nets[] = { "10", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/x",
		"2001:db8::/129", "10.0.0.0/8/8", "host" };

	(void)state;
	for (size_t i = 0; i < own_array_len(portals); i++) {
		char *text own_free =
			own_printf("portals = ( { advertise = \"%s\"; } );", portals[i]);
		char *want own_free = own_printf(
			"t:1: portals[0].advertise: \"%s\" is no numeric address with a port; "
			"write one such as \"192.0.2.7:3260\" or \"[2001:db8::7]:3260\"\n",
			portals[i]);

		bad(text, want);
	}
	for (size_t i = 0; i < own_array_len(nets); i++) {
		char *part own_free = own_printf("name = \"*\"; addresses = [ \"%s\" ];", nets[i]);
		char *want own_free = own_printf(
			"t:2: hosts[0].initiators[0].addresses: \"%s\" is no network; write one "
			"such as \"192.0.2.0/24\", \"2001:db8::/32\", or a single address\n",
			nets[i]);

		bad_in(INITIATOR, part, want);
	}
	bad("portals = ( { advertise = \"0.0.0.0\"; } );",
		"t:1: portals[0].advertise: \"0.0.0.0\" is every address and none; write one that "
		"initiators can reach\n");
	bad("portals = ( { advertise = \"[::]:3260\"; } );",
		"t:1: portals[0].advertise: \"[::]:3260\" is every address and none; write one "
		"that initiators can reach\n");
	bad_in(INITIATOR, "name = \"*\"; addresses = [ \"10.0.0.1/8\" ];",
		"t:2: hosts[0].initiators[0].addresses: \"10.0.0.1/8\" has bits behind its first "
		"8; write the network's own address, or a longer prefix\n");
	bad_in(INITIATOR, "name = \"*\"; addresses = \"10.0.0.0/8\";",
		"t:2: hosts[0].initiators[0].addresses: is no list of texts; write addresses = [ "
		"\"...\", \"...\" ];\n");
}

static void test_patterns_bad(void **state)
{
	(void)state;
	bad_in(INITIATOR, "name = \"iqn.*.a:b\";",
		"t:2: hosts[0].initiators[0].name: \"iqn.*.a:b\" has \"*\" within it; it stands "
		"for the rest of a name, at the end\n");
	bad_in(INITIATOR, "name = \"**\";",
		"t:2: hosts[0].initiators[0].name: \"**\" has \"*\" within it; it stands for the "
		"rest of a name, at the end\n");
	bad_in(INITIATOR, "name = \"host*\";",
		"t:2: hosts[0].initiators[0].name: \"host*\" is the beginning of no iSCSI name; "
		"write one such as \"iqn.1998-01.com.vmware:*\", or \"*\" for anybody\n");
	bad_in(INITIATOR, "name = \"iqn.a b*\";",
		"t:2: hosts[0].initiators[0].name: \"iqn.a b\" is no iSCSI name at its character "
		"6; only letters, digits, '-', '.' and ':' are allowed\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_auth),
		cmocka_unit_test(test_auth_bad),
		cmocka_unit_test(test_secret_file),
		cmocka_unit_test(test_secret_file_of_another),
		cmocka_unit_test(test_secret_stays_out_of_dumps),
		cmocka_unit_test(test_secret_in_shared_file),
		cmocka_unit_test(test_access),
		cmocka_unit_test(test_access_bad),
		cmocka_unit_test(test_addresses_bad),
		cmocka_unit_test(test_isns),
		cmocka_unit_test(test_patterns_bad),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
