/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration: what is read from good files, and every message on bad ones, word for word. */
#include "tests/unit/config_texts.h"

#include "common/near.h"
#include "common/own.h"
#include "common/size.h"
#include "config/keys.h"
#include "config/value.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#define VOLUME "volumes = ( { name = \"v\"; store = \"file\"; path = \"/v\"; @ } );"
#define TARGET                                                                                     \
	"volumes = ( { name = \"v\"; store = \"mem\"; size = \"1M\"; } );\n"                       \
	"targets = ( { @ initiators = ( { name = \"*\"; } ); } );"
#define LUNS                                                                                       \
	"volumes = ( { name = \"v\"; store = \"mem\"; size = \"1M\"; },"                           \
	"{ name = \"w\"; store = \"mem\"; size = \"1M\"; } );\n"                                   \
	"targets = ( { name = \"iqn.2026-11.a:b\";\n"                                              \
	"initiators = ( { name = \"*\"; } ); luns = (\n@\n); } );"

static void test_defaults(void **state)
{
	struct config *cfg = good("");

	(void)state;
	assert_int_equal(cfg->portal_count, 1);
	assert_string_equal(cfg->portals[0].address, "*");
	assert_int_equal(cfg->portals[0].port, 3260);
	assert_int_equal(cfg->portals[0].where.line, 0);
	assert_string_equal(cfg->portals[0].where.file, "t");
	assert_int_equal(cfg->loops, 0);
	assert_string_equal(cfg->engine, "auto");
	assert_string_equal(cfg->log_level, "info");
	assert_int_equal(cfg->stop_seconds, 10);
	assert_int_equal(cfg->max_connections, 1024);
	assert_int_equal(cfg->login_seconds, 15);
	assert_int_equal(cfg->ping_seconds, 20);
	assert_int_equal(cfg->ping_timeout_seconds, 10);
	assert_int_equal(cfg->queue_depth, 128);
	assert_int_equal(cfg->volume_count + cfg->target_count, 0);
	cfg_free(cfg);
}

static void test_whole(void **state)
{
	struct config *cfg = good(
		"portals = ( { address = \"127.0.0.1\"; port = 0; },\n"
		"            { address = \"2001:DB8:0::1\"; } );\n"
		"volumes = ( { name = \"vm1\"; store = \"file\"; path = \"/srv/vm1.img\";\n"
		"              size = \"20G\"; cache = \"direct\"; block_size = 4096;\n"
		"              uuid = \"01234567-89AB-cdef-0123-456789abcdef\";\n"
		"              layers = ( { kind = \"delay\"; options = \"read_ms=5\"; } ); },\n"
		"  { name = \"vm2\"; store = \"mem\"; size = 5000000512; thin = false; } );\n"
		"targets = ( {\n"
		"  name = \"IQN.2026-11.kura.example:VM1\"; alias = \"first\";\n"
		"  luns = ( { lun = 0; volume = \"vm1\"; }, { lun = 16383; volume = \"vm2\";\n"
		"     readonly = true; naa = \"3ABCDEF012345678\"; vendor = \"ME\"; } );\n"
		"  initiators = ( { name = \"*\"; }, { name = \"eui.02004567A425678D\"; } );\n"
		"} );\n"
		"loops = 2; queue_depth = 64L;");
	const struct cfg_volume *v = cfg->volumes;
	const struct cfg_lun *lun = cfg->targets[0].luns;

	(void)state;
	assert_int_equal(cfg->portal_count, 2);
	assert_string_equal(cfg->portals[1].address, "2001:db8::1");
	assert_int_equal(cfg->portals[1].port, 3260);
	assert_int_equal(v[0].size, 20ull << 30);
	assert_int_equal(v[0].cache, CFG_CACHE_DIRECT);
	assert_int_equal(v[0].block_size, 4096);
	assert_true(v[0].thin);
	assert_string_equal(v[0].uuid, "01234567-89ab-cdef-0123-456789abcdef");
	assert_int_equal(v[0].layer_count, 1);
	assert_string_equal(v[0].layers[0].kind, "delay");
	assert_string_equal(v[0].layers[0].options, "read_ms=5");
	assert_int_equal(v[1].size, 5000000512ull);
	assert_int_equal(v[1].where.line, 7);
	assert_false(v[1].thin);
	assert_null(v[1].path);
	assert_string_equal(cfg->targets[0].name, "iqn.2026-11.kura.example:vm1");
	assert_string_equal(cfg->targets[0].alias, "first");
	assert_string_equal(lun[0].vendor, "KURA");
	assert_string_equal(lun[0].product, "VOLUME");
	assert_string_equal(lun[0].revision, "0001");
	assert_null(lun[0].serial);
	assert_null(lun[0].naa);
	assert_int_equal(lun[1].lun, 16383);
	assert_true(lun[1].readonly);
	assert_string_equal(lun[1].naa, "3abcdef012345678");
	assert_string_equal(lun[1].vendor, "ME");
	assert_string_equal(cfg->targets[0].initiators[1].name, "eui.02004567a425678d");
	assert_int_equal(cfg->warning_count, 0);
	assert_int_equal(cfg->loops, 2);
	assert_int_equal(cfg->queue_depth, 64);
	cfg_free(cfg);
}

static void test_warnings(void **state)
{
	struct config *cfg = good("\ntargets = ( { name = \"naa.52004567BA64678D\"; } );");

	(void)state;
	assert_int_equal(cfg->warning_count, 2);
	assert_string_equal(cfg->warnings[0].text,
		"t:2: targets[0]: nobody may log in; list who may: initiators = ( { name = "
		"\"iqn...\"; } ), or \"*\" for anybody");
	assert_string_equal(cfg->warnings[1].text,
		"t:2: targets[0]: has no LUN; write luns = ( { lun = 0; volume = ...; } )");
	cfg_free(cfg);
}

static void bad_deep(void)
{
	char *text own_free = own_calloc(1, 40001);

	memset(text, '(', 40000);
	memcpy(text, "a=", 2);
	bad(text, "t:1: memory exhausted at "
		  "\"a=(((((((((((((((((((((((((((((((((((((((((((((((((((((((((("
		  "\"; brackets are nested too deep\n");
}

static void test_syntax(void **state)
{
	(void)state;
	bad("loops = 2;\nengine = aio;\n",
		"t:2: syntax error at \"engine = aio;\"; is a ';' or ',' missing before it, a "
		"bracket or quote left open, or a word without quotes?\n");
	bad("loops = 2;\nloops = 3;\n",
		"t:2: duplicate setting name at \"loops = 3;\"; write each key of a group once\n");
	bad("loops = [ 1, 2.5 ];\n", "t:1: mismatched element type in array at \"loops = [ 1, 2.5 "
				     "];\"; write a list, in ( ) instead of [ ]\n");
	bad_deep();
	bad("loops = 2;\nengine = \"aio;\n\n", "t:2: a text is never closed; is a \" missing?\n");
	bad("/* x\n\n", "t:1: a comment is never closed; is a */ missing?\n");
	bad("\n@include \"x\"\n", "t:2: @include is not possible here; write it out\n");
}

static void test_keys(void **state)
{
	(void)state;
	bad("lops = 2;", "t:1: lops: no such key in the file; did you mean \"loops\"?\n");
	bad("targets = ( { name = \"iqn.2026-11.a:b\"; lusn = (); } );",
		"t:1: targets[0].lusn: no such key in a target; did you mean \"luns\"?\n");
	bad("portals = ( { xyzzy = 1; } );",
		"t:1: portals[0].xyzzy: no such key in a portal; kura.conf(5) describes these: "
		"address, port, group, advertise\n");
	bad("volumes = ( { },\n { name = \"a\"; } );",
		"t:1: volumes[0]: has no name; write name = ...; (what the rest of the file calls "
		"it)\n"
		"t:2: volumes[1]: has neither store nor pool; write store = ...; (where its bytes "
		"are kept) or pool = ...; (the pool in which it is)\n");
	bad("volumes = { name = \"a\"; };",
		"t:1: volumes: is not a list; write volumes = ( { ... }, { ... } );\n");
	bad("volumes = ( \"a\" );",
		"t:1: volumes[0]: is not a volume; write { name = ...; ... }\n");
	bad("targets = ( { name = \"iqn.2026-11.a:b\"; initiators = ( \"*\" ); } );",
		"t:1: targets[0].initiators[0]: is not an initiator; write { name = ...; ... }\n");
}

static void test_numbers(void **state)
{
	(void)state;
	bad("loops = \"2\";", "t:1: loops: is a text in quotes; write a whole decimal number "
			      "without quotes, from 0 to 64\n");
	bad("loops = 1.5;", "t:1: loops: is a number with a fraction; write a whole decimal number "
			    "without quotes, from 0 to 64\n");
	bad("loops = 0x10;", "t:1: loops: is a hexadecimal number; write a whole decimal number "
			     "without quotes, from 0 to 64\n");
	bad("loops = true;", "t:1: loops: is a truth value; write a whole decimal number without "
			     "quotes, from 0 to 64\n");
	bad("loops = { };", "t:1: loops: is a list or group; write a whole decimal number without "
			    "quotes, from 0 to 64\n");
	bad("loops = -1;", "t:1: loops: -1 is out of range; write a number from 0 to 64\n");
	bad("loops = 4294967298;",
		"t:1: loops: 4294967298 is out of range; write a number from 0 to 64\n");
	bad("portals = ( { port = 65536; } );",
		"t:1: portals[0].port: 65536 is out of range; write a number from 0 to 65535\n");
	bad_in(VOLUME, "readonly = 1;",
		"t:1: volumes[0].readonly: is a number; write true or false without quotes\n");
}

static void test_sizes(void **state)
{
	(void)state;
	bad_in(VOLUME, "size = \"20Q\";",
		"t:1: volumes[0].size: \"20Q\" is no size; write bytes, or a whole number with K, "
		"M, G or T such as \"20G\"\n");
	bad_in(VOLUME, "size = true;",
		"t:1: volumes[0].size: is a truth value; write bytes, or a whole number with K, M, "
		"G or T such as \"20G\"\n");
	bad_in(VOLUME, "size = \"99999999T\";",
		"t:1: volumes[0].size: is out of range; the largest size is \"4194304T\"\n");
	bad_in(VOLUME, "size = -512;",
		"t:1: volumes[0].size: is out of range; the largest size is \"4194304T\"\n");
	bad_in(VOLUME, "size = 5000000001;",
		"t:1: volumes[0].size: 5000000001 is not a multiple of the block size 512; "
		"5000000512 would be the next one\n");
	bad_in(VOLUME, "size = \"6K\"; block_size = 4096;",
		"t:1: volumes[0].size: 6144 is not a multiple of the block size 4096; 8192 would "
		"be the next one\n");
	bad_in(VOLUME, "block_size = 1024;",
		"t:1: volumes[0].block_size: 1024 is not possible; write 512 or 4096\n");
	bad_in(VOLUME, "physical_block_size = 6000;",
		"t:1: volumes[0].physical_block_size: 6000 is not possible; write a power of two "
		"from 512, the block size, on\n");
}

static void test_size_forms(void **state)
{
	uint64_t n = 0;
	char text[24];

	(void)state;
	assert_int_equal(size_parse("0", &n), 0);
	assert_int_equal(n, 0);
	assert_int_equal(size_parse("3K", &n), 0);
	assert_int_equal(n, 3072);
	assert_int_equal(size_parse("16777215T", &n), 0);
	assert_int_equal(n, 16777215ull << 40);
	assert_int_equal(size_parse("16777216T", &n), -ERANGE);
	assert_int_equal(size_parse("18446744073709551616", &n), -ERANGE);
	assert_int_equal(size_parse("", &n), -EINVAL);
	assert_int_equal(size_parse("K", &n), -EINVAL);
	assert_int_equal(size_parse("1KB", &n), -EINVAL);
	assert_int_equal(size_parse(" 1", &n), -EINVAL);
	size_format(20ull << 30, text);
	assert_string_equal(text, "20G");
	size_format(1537, text);
	assert_string_equal(text, "1537");
	size_format(0, text);
	assert_string_equal(text, "0");
}

static void test_words(void **state)
{
	(void)state;
	bad("engine = \"urnig\";", "t:1: engine: \"urnig\" is not known; write \"auto\", \"uring\" "
				   "or \"aio\" (did you mean \"uring\"?)\n");
	bad("engine = \"fast\";", "t:1: engine: \"fast\" is not known; write \"auto\", \"uring\" "
				  "or \"aio\"\n");
	bad("engine = 1;",
		"t:1: engine: is a number; write one of \"auto\", \"uring\" or \"aio\"\n");
	bad_in(VOLUME, "cache = \"Direct\";",
		"t:1: volumes[0].cache: \"Direct\" is not known; write \"buffered\" or \"direct\" "
		"(did you mean \"direct\"?)\n");
}

static void test_texts(void **state)
{
	(void)state;
	bad("volumes = ( { name = \"a b\"; store = \"mem\"; size = \"1M\"; } );",
		"t:1: volumes[0].name: \"a b\" is no name at its character 2; use letters, digits, "
		"'.', '_' and '-'\n");
	bad("volumes = ( { name = \"\"; store = \"mem\"; size = \"1M\"; } );",
		"t:1: volumes[0].name: has 0 characters; a name has 1 to 63\n");
	bad("volumes = ( { name = 7; store = \"mem\"; size = \"1M\"; } );",
		"t:1: volumes[0].name: is a number; write a text in double quotes\n");
	bad("volumes = ( { name = \"a\"; store = \"file\"; path = \"vm.img\"; } );",
		"t:1: volumes[0].path: \"vm.img\" is not an absolute path; begin it with /\n");
	bad("portals = ( { address = \"localhost\"; } );",
		"t:1: portals[0].address: \"localhost\" is no numeric address; write one such as "
		"\"192.0.2.1\" or \"2001:db8::1\" (no name, no brackets, no port), or \"*\" for "
		"all\n");
	bad_in(VOLUME, "uuid = \"0123\";",
		"t:1: volumes[0].uuid: \"0123\" is no UUID; write one as uuidgen prints it, "
		"8-4-4-4-12 hexadecimal digits\n");
	bad_in(LUNS, "{ lun = 0; volume = \"v\"; vendor = \"TOO LONG A NAME\"; }",
		"t:4: targets[0].luns[0].vendor: \"TOO LONG A NAME\" has 15 characters; at most 8 "
		"go here\n");
	bad_in(LUNS, "{ lun = 0; volume = \"v\"; vendor = \"\xc3\xa9\"; }",
		"t:4: targets[0].luns[0].vendor: has the byte 0xc3; only printable ASCII goes "
		"here\n");
	bad_in(LUNS, "{ lun = 0; volume = \"v\"; naa = \"12\"; }",
		"t:4: targets[0].luns[0].naa: \"12\" is no NAA identifier; write 16 or 32 "
		"hexadecimal digits\n");
	bad_in(LUNS, "{ lun = 0; volume = \"v\"; naa = \"1234567812345678\"; }",
		"t:4: targets[0].luns[0].naa: \"1234567812345678\" begins with 1; 16 digits begin "
		"with 2, 3 or 5, and 32 digits with 6\n");
}

static void test_iscsi_names(void **state)
{
	char name[CFG_ISCSI_NAME_MAX + 2], out[CFG_ISCSI_NAME_MAX + 1], why[CFG_WHY_LEN];

	(void)state;
	assert_int_equal(cfg_iscsi_name("iqn.2001-04.com.Example:X.y-Z:1", out, why), 0);
	assert_string_equal(out, "iqn.2001-04.com.example:x.y-z:1");
	assert_int_equal(cfg_iscsi_name("iqn.2001-04.com", out, why), 0);
	assert_int_equal(cfg_iscsi_name("naa.62004567BA64678D0123456789ABCDEF", out, why), 0);
	assert_string_equal(out, "naa.62004567ba64678d0123456789abcdef");
	memset(name, 'a', sizeof name);
	memcpy(name, "iqn.2026-11.", 12);
	name[CFG_ISCSI_NAME_MAX] = '\0';
	assert_int_equal(cfg_iscsi_name(name, out, why), 0);
	bad_in(TARGET, "name = \"disk\";",
		"t:2: targets[0].name: \"disk\" is no iSCSI name; names begin with \"iqn.\", "
		"\"eui.\" or \"naa.\", such as \"iqn.2026-11.com.example:vm1\"\n");
	bad_in(TARGET, "name = \"iqn.com.example\";",
		"t:2: targets[0].name: \"iqn.com.example\" has no date after \"iqn.\"; write the "
		"year and month in which you owned the domain, such as "
		"\"iqn.2026-11.com.example:vm1\"\n");
	bad_in(TARGET, "name = \"iqn.2026-13.com.example\";",
		"t:2: targets[0].name: \"iqn.2026-13.com.example\" has the month 13; months go "
		"from 01 to 12\n");
	bad_in(TARGET, "name = \"iqn.2026-11.:x\";",
		"t:2: targets[0].name: \"iqn.2026-11.:x\" has no reversed domain after the date; "
		"write it such as \"iqn.2026-11.com.example:vm1\"\n");
	bad_in(TARGET, "name = \"eui.0123\";",
		"t:2: targets[0].name: \"eui.0123\" is malformed; after \"eui.\" come 16 "
		"hexadecimal digits\n");
	bad_in(TARGET, "name = \"naa.0123456789abcdefg\";",
		"t:2: targets[0].name: \"naa.0123456789abcdefg\" is malformed; after \"naa.\" come "
		"16 or 32 hexadecimal digits\n");
	bad_in(TARGET, "name = \"iqn.2026-11.a:b_c\";",
		"t:2: targets[0].name: \"iqn.2026-11.a:b_c\" is no iSCSI name at its character 16; "
		"only letters, digits, '-', '.' and ':' are allowed\n");
	bad_in(TARGET, "name = \"iqn.2026-11.b\xc3\xbc.a\";",
		"t:2: targets[0].name: has the byte 0xc3; write the name in ASCII, a domain with "
		"other letters in its xn-- form\n");
	bad_in(TARGET, "name = \"\";",
		"t:2: targets[0].name: has 0 characters; an iSCSI name has 1 to 223\n");
}

static void test_portals(void **state)
{
	(void)state;
	bad("portals = ();",
		"t:1: portals: has no portal; write one, or leave it out for every address\n");
	bad("portals = ( { address = \"127.0.0.1\"; },\n{ address = \"127.0.0.1\"; } );",
		"t:2: portals[1]: \"127.0.0.1\" port 3260 is taken by portals[0] in line 1; write "
		"each address and port once\n");
	bad("portals = ( { },\n{ address = \"::1\"; } );",
		"t:2: portals[1]: \"::1\" port 3260 is taken by portals[0] in line 1; write each "
		"address and port once\n");
	cfg_free(good("portals = ( { port = 0; }, { port = 0; }, { port = 1; } );"));
}

static void test_stores(void **state)
{
	(void)state;
	bad("volumes = ( { name = \"a\"; store = \"block\"; } );",
		"t:1: volumes[0].path: is missing; store \"block\" needs the path of the block "
		"device\n");
	bad("volumes = ( { name = \"a\"; store = \"block\"; path = \"/dev/x\"; size = \"1G\"; } );",
		"t:1: volumes[0].size: does not go with store \"block\", a device is as large as "
		"it is; remove it\n");
	bad("volumes = ( { name = \"a\"; store = \"mem\"; } );",
		"t:1: volumes[0].size: is missing; store \"mem\" needs a size such as \"1G\"\n");
	bad("volumes = ( { name = \"a\"; store = \"null\"; size = 512; path = \"/x\"; "
	    "cache = \"direct\"; } );",
		"t:1: volumes[0].path: does not go with store \"null\", which keeps nothing on a "
		"disk; remove it\n"
		"t:1: volumes[0].cache: does not go with store \"null\", which has no file; remove "
		"it\n");
	bad_in(VOLUME,
		"layers = ( { kind = \"stats\"; }, { kind = \"stats\"; }, { kind = \"stats\"; }, "
		"{ kind = \"stats\"; }, { kind = \"stats\"; }, { kind = \"stats\"; } );",
		"t:1: volumes[0].layers: has 6 layers; at most 5 go here\n");
}

static void test_pools(void **state)
{
	struct config *cfg = good("pools = ( { name = \"p\"; kind = \"lvm-thin\"; vg = \"vg0\"; "
				  "thin_pool = \"t\"; } );\n"
				  "volumes = ( { name = \"v\"; pool = \"p\"; } );");

	(void)state;
	assert_int_equal(cfg->pool_count, 1);
	assert_string_equal(cfg->pools[0].thin_pool, "t");
	assert_int_equal(cfg->pools[0].snapshot_percent, 100);
	assert_int_equal(cfg->pools[0].low_water, 80);
	assert_int_equal(cfg->pools[0].extend_at, 0);
	assert_null(cfg->volumes[0].store);
	assert_string_equal(cfg->volumes[0].pool, "p");
	cfg_free(cfg);
	bad("pools = ( { name = \"p\"; kind = \"dir\"; vg = \"x\"; },\n"
	    "{ name = \"p\"; kind = \"lvm\"; vg = \"x\"; } );",
		"t:1: pools[0].path: is missing; a pool of kind \"dir\" needs its path\n"
		"t:1: pools[0].vg: does not go with a pool of kind \"dir\"; remove it\n"
		"t:2: pools[1].name: \"p\" is taken by pools[0].name in line 1; each pool needs a "
		"name of its own\n");
	cfg = good("pools = ( { name = \"a\"; kind = \"lvm\"; vg = \"x\"; },\n"
		   "{ name = \"b\"; kind = \"lvm-thin\"; vg = \"x\"; thin_pool = \"t\"; },\n"
		   "{ name = \"c\"; kind = \"lvm-thin\"; vg = \"x\"; thin_pool = \"u\"; },\n"
		   "{ name = \"d\"; kind = \"dir\"; path = \"/p\"; },\n"
		   "{ name = \"e\"; kind = \"dir\"; path = \"/p/.q\"; } );");
	cfg_free(cfg);
	bad("pools = ( { name = \"a\"; kind = \"lvm\"; vg = \"x\"; },\n"
	    "{ name = \"b\"; kind = \"lvm\"; vg = \"x\"; } );",
		"t:2: pools[1].vg: \"x\" is taken by pool \"a\" in line 1; a directory, a device, "
		"a "
		"volume group or a thin pool belongs to one pool only\n");
	bad("pools = ( { name = \"a\"; kind = \"lvm-thin\"; vg = \"x\"; thin_pool = \"t\"; },\n"
	    "{ name = \"b\"; kind = \"lvm-thin\"; vg = \"x\"; thin_pool = \"t\"; } );",
		"t:2: pools[1].thin_pool: \"t\" is taken by pool \"a\" in line 1; a directory, a "
		"device, a volume group or a thin pool belongs to one pool only\n");
	bad("pools = ( { name = \"a\"; kind = \"dir\"; path = \"/p/q\"; },\n"
	    "{ name = \"b\"; kind = \"dir\"; path = \"/./p//q/\"; } );",
		"t:2: pools[1].path: \"/./p//q/\" is taken by pool \"a\" in line 1; a directory, a "
		"device, a volume group or a thin pool belongs to one pool only\n");
	bad("pools = ( { name = \"p\"; kind = \"dir\"; path = \"/p\"; extend_at = 70; } );",
		"t:1: pools[0].extend_at: does not go with a pool of kind \"dir\"; remove it\n");
	bad("volumes = ( { name = \"v\"; pool = \"q\"; size = \"1G\"; } );",
		"t:1: volumes[0].pool: \"q\" is no pool of this file; add it to pools\n"
		"t:1: volumes[0].size: does not go with pool, which knows it; remove one of "
		"both\n");
}

static void test_twins(void **state)
{
	(void)state;
	bad("volumes = ( { name = \"a\"; store = \"file\"; path = \"/a\"; },\n"
	    "{ name = \"a\"; store = \"file\"; path = \"/b\"; } );",
		"t:2: volumes[1].name: \"a\" is taken by volumes[0].name in line 1; give each "
		"volume a name of its own\n");
	bad("volumes = ( { name = \"a\"; store = \"file\"; path = \"/a\"; },\n"
	    "{ name = \"b\"; store = \"file\"; path = \"/a\"; } );",
		"t:2: volumes[1].path: \"/a\" is taken by volumes[0].path in line 1; two volumes "
		"on the same bytes destroy each other; map one volume twice instead\n");
	bad("targets = ( { name = \"iqn.2026-11.a:b\"; },\n{ name = \"iqn.2026-11.a:B\"; } );",
		"t:2: targets[1].name: \"iqn.2026-11.a:b\" is taken by targets[0].name in line 1; "
		"give each target a name of its own\n");
	bad("targets = ( { name = \"iqn.2026-11.a:b\"; initiators = ( { name = \"*\"; },\n"
	    "{ name = \"*\"; } ); } );",
		"t:2: targets[0].initiators[1].name: \"*\" is taken by "
		"targets[0].initiators[0].name in line 1; write each initiator once\n");
}

static void test_luns(void **state)
{
	(void)state;
	bad_in(LUNS, "{ lun = 0; volume = \"v\"; },\n{ lun = 0; volume = \"w\"; }",
		"t:5: targets[0].luns[1].lun: 0 is taken by the LUN in line 4; give each LUN of a "
		"target a number of its own\n");
	bad_in(LUNS, "{ volume = \"v\"; },\n{ lun = 16384; volume = \"v\"; }",
		"t:4: targets[0].luns[0]: has no lun; write lun = ...; (the logical unit number)\n"
		"t:5: targets[0].luns[1].lun: 16384 is out of range; write a number from 0 to "
		"16383\n");
	bad_in(LUNS, "{ lun = 0;\nvolume = \"V\"; }",
		"t:5: targets[0].luns[0].volume: no volume is called \"V\"; volumes are: v, w (did "
		"you mean \"v\"?)\n");
	bad("targets = ( { name = \"iqn.2026-11.a:b\"; luns = ( { lun = 1; volume = \"v\"; } ); } "
	    ");",
		"t:1: targets[0].luns[0].volume: no volume is called \"v\"; there are no volumes, "
		"write volumes = ( { name = ...; store = ...; } );\n");
	bad_in(LUNS, "{ lun = 0; volume = \"v\"; },\n{ lun = 1; volume = \"v\"; }",
		"t:5: targets[0].luns[1].volume: \"v\" is LUN 0 of this target already; map a "
		"volume once in a target\n");
	bad_in(LUNS,
		"{ lun = 0; volume = \"v\"; naa = \"3000000000000001\"; serial = \"s\"; },\n"
		"{ lun = 2; volume = \"w\"; naa = \"3000000000000001\"; serial = \"s\"; }",
		"t:5: targets[0].luns[1].naa: \"3000000000000001\" is taken by "
		"targets[0].luns[0].naa in line 4; initiators would take the two volumes for one "
		"disk\n"
		"t:5: targets[0].luns[1].serial: \"s\" is taken by targets[0].luns[0].serial in "
		"line 4; initiators would take the two volumes for one disk\n");
}

/* More mistakes than there is room for: counted, the first ones shown. */
static void test_many(void **state)
{
	char text[4096] = "";
	struct cfg_error errors[2];
	unsigned count = 0;

	(void)state;
	for (unsigned i = 0; i < 100; i++)
		sprintf(text + strlen(text), "q%u = 1;\n", i);
	assert_null(cfg_read_text(text, strlen(text), "t", errors, 2, &count));
	assert_int_equal(count, 100);
	assert_memory_equal(errors[1].text, "t:2: q1: no such key", 20);
	assert_null(cfg_read_text(text, strlen(text), "t", NULL, 0, &count));
	assert_int_equal(count, 100);
	assert_null(cfg_read_text("loops = 1;\0", 11, "t", errors, 2, &count));
	assert_string_equal(errors[0].text, "t:1: has a NUL byte; is this a text file?");
}

/* ---- files ---- */

static void test_include(void **state)
{
	char *sub own_free = own_printf("%s/sub", folder);
	struct config *cfg;

	(void)state;
	assert_int_equal(mkdir(sub, 0700), 0);
	write_file("main.conf", "/*\n@include \"none\"\n*/\n@include \"a.conf\"\n# x\n"
				"targets = ( { name = \"iqn.2026-11.a:b\"; } );\n");
	write_file("a.conf", "loops = 1;\n  @include \"sub/b.conf\"\t\nqueue_depth = 7;");
	write_file("sub/b.conf", "volumes = ( { name = \"v\"; store = \"mem\";\n"
				 "size = 8589934592; } );\n");
	cfg = read_main(0, "");
	assert_non_null(cfg);
	assert_int_equal(cfg->volumes[0].size, 8589934592ull);
	assert_string_equal(cfg->volumes[0].where.file + strlen(folder), "/sub/b.conf");
	assert_int_equal(cfg->volumes[0].where.line, 1);
	assert_string_equal(cfg->targets[0].where.file + strlen(folder), "/main.conf");
	assert_int_equal(cfg->targets[0].where.line, 6);
	assert_int_equal(cfg->queue_depth, 7);
	cfg_free(cfg);
	write_file("a.conf", "loops = 1;\n@include \"sub/b.conf\"\nqueue_depth = 0;");
	assert_null(read_main(
		1, "a.conf:3: queue_depth: 0 is out of range; write a number from 1 to 1024"));
}

static void test_include_bad(void **state)
{
	char *want own_free =
		own_printf("main.conf:2: @include: cannot read %s/sub: Is a directory", folder);

	(void)state;
	write_file("main.conf", "\n@include \"../x\"\n");
	assert_null(read_main(1, "main.conf:2: @include \"../x\" leads out of the directory of the "
				 "main file; name a file in it or below it"));
	write_file("main.conf", "\n@include \"/etc/passwd\"\n");
	assert_null(
		read_main(1, "main.conf:2: @include \"/etc/passwd\" leads out of the directory of "
			     "the main file; name a file in it or below it"));
	write_file("main.conf", "\n@include \"main.conf\"\n");
	assert_null(
		read_main(1, "main.conf:2: @include \"main.conf\" is nested more than 8 deep; does "
			     "a file include itself?"));
	write_file("main.conf", "\n@include \"sub\"\n");
	assert_null(read_main(1, want));
}

static void test_unreadable(void **state)
{
	struct cfg_error errors[1];
	unsigned count = 0;

	(void)state;
	assert_null(cfg_read("/nonexistent/x.conf", errors, 1, &count));
	assert_int_equal(count, 1);
	assert_string_equal(
		errors[0].text, "/nonexistent/x.conf: cannot be read: No such file or directory");
	assert_null(cfg_read("/", errors, 1, &count));
	assert_string_equal(errors[0].text, "/: cannot be read: Is a directory");
	cfg_free(NULL);
}

static void test_distance(void **state)
{
	(void)state;
	assert_int_equal(near_distance("volume", "volume", 3), 0);
	assert_int_equal(near_distance("volume", "volmue", 3), 1);
	assert_int_equal(near_distance("volume", "volumes", 3), 1);
	assert_int_equal(near_distance("volume", "vlumee", 3), 2);
	assert_int_equal(near_distance("volume", "portal", 3), 4);
	assert_int_equal(near_distance("", "abc", 9), 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_whole),
		cmocka_unit_test(test_warnings),
		cmocka_unit_test(test_syntax),
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_size_forms),
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_texts),
		cmocka_unit_test(test_iscsi_names),
		cmocka_unit_test(test_portals),
		cmocka_unit_test(test_stores),
		cmocka_unit_test(test_pools),
		cmocka_unit_test(test_twins),
		cmocka_unit_test(test_luns),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_include),
		cmocka_unit_test(test_include_bad),
		cmocka_unit_test(test_unreadable),
		cmocka_unit_test(test_distance),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
