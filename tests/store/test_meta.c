// SPDX-License-Identifier: Apache-2.0
/*
 * test_meta.c: a volume's identity: found again, never replaced in silence, whatever happened to
 * its record.
 */
#include "volume/meta.h"

#include "common/crc32c.h"
#include "common/own.h"
#include "tests/store/cases.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static const uint8_t sample[VOL_UUID_LEN] = { 0x5e, 0x0c, 0x2a, 0x86, 0x3c, 0x8f, 0x4d, 0x1e, 0x9b,
	0x57, 0x0d, 0x6f, 0x2f, 0x1c, 0x9a, 0x41 };
static const struct meta_record sample_record = { .uuid = { 0x5e, 0x0c, 0x2a, 0x86, 0x3c, 0x8f,
							  0x4d, 0x1e, 0x9b, 0x57, 0x0d, 0x6f, 0x2f,
							  0x1c, 0x9a, 0x41 } };
static const char sample_text[] = "5e0c2a86-3c8f-4d1e-9b57-0d6f2f1c9a41";

struct scratch {
	char dir[64];     /* the folder */
	char sidecar[96]; /* of a volume in it */
	char why[512];    /* what was said last */
	struct meta_place place;
};

static int setup(void **state)
{
	struct scratch *s = own_calloc(1, sizeof *s);

	own_assert(case_dir(PLACE_DISK, s->dir));
	snprintf(s->sidecar, sizeof s->sidecar, "%s/disk.img.kura", s->dir);
	s->place = (struct meta_place){ .name = "vm1", .sidecar = s->sidecar };
	*state = s;
	return 0;
}

static int teardown(void **state)
{
	struct scratch *s = *state;

	case_dir_remove(s->dir);
	free(s);
	return 0;
}

static int identify(struct scratch *s, uint8_t uuid[VOL_UUID_LEN])
{
	memset(uuid, 0, VOL_UUID_LEN);
	s->why[0] = 0;
	return meta_identify(&s->place, uuid, s->why, sizeof s->why);
}

static void put(const char *path, const char *text, size_t len)
{
	own_fd int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, len), len);
}

static size_t get(const char *path, char text[512])
{
	own_fd int fd = open(path, O_RDONLY);
	ssize_t n = read(fd, text, 512);

	assert_true(n >= 0);
	return (size_t)n;
}

/* ---- text ---- */

static void test_uuid_text(void **state)
{
	char text[META_UUID_TEXT];
	uint8_t uuid[VOL_UUID_LEN];

	(void)state;
	meta_uuid_format(sample, text);
	assert_string_equal(text, sample_text);
	assert_int_equal(meta_uuid_parse("5E0C2A86-3C8F-4D1E-9B57-0D6F2F1C9A41", uuid), 0);
	assert_memory_equal(uuid, sample, VOL_UUID_LEN);
	assert_int_equal(meta_uuid_parse("", uuid), -EINVAL);
	assert_int_equal(meta_uuid_parse("5e0c2a86-3c8f-4d1e-9b57-0d6f2f1c9a4", uuid), -EINVAL);
	assert_int_equal(meta_uuid_parse("5e0c2a86-3c8f-4d1e-9b57-0d6f2f1c9a411", uuid), -EINVAL);
	assert_int_equal(meta_uuid_parse("5e0c2a863c8f4d1e9b570d6f2f1c9a41", uuid), -EINVAL);
	assert_int_equal(meta_uuid_parse("5e0c2a86-3c8f-4d1e-9b57-0d6f2f1c9ag1", uuid), -EINVAL);
}

static void test_record(void **state)
{
	char text[META_RECORD_MAX + 1];
	struct meta_record found;
	size_t len = meta_record_build(&sample_record, text);

	(void)state;
	assert_int_equal(len, 72); /* as docs/disk-format.md draws it */
	assert_string_equal(text, "kura-volume 1\nuuid 5e0c2a86-3c8f-4d1e-9b57-0d6f2f1c9a41\n"
				  "crc32c df35c28a\n");
	assert_int_equal(meta_record_parse(text, len, &found), 0);
	assert_memory_equal(found.uuid, sample, VOL_UUID_LEN);
	for (size_t cut = 0; cut < len; cut++)
		assert_int_equal(meta_record_parse(text, cut, &found), -EBADMSG);
	text[len] = '\n';
	assert_int_equal(meta_record_parse(text, len + 1, &found), -EBADMSG);
}

/* What a pool knows of a volume besides makes it one of version 2. */
static void test_record_of_pool(void **state)
{
	struct meta_record in = sample_record, out;
	char text[META_RECORD_MAX + 1];
	size_t len;

	(void)state;
	in.snapshot = in.thick = in.has_origin = true;
	memset(in.origin, 0xab, sizeof in.origin);
	in.created = 1763830000;
	len = meta_record_build(&in, text);
	assert_string_equal(text,
		"kura-volume 2\nuuid 5e0c2a86-3c8f-4d1e-9b57-0d6f2f1c9a41\n"
		"kind snapshot\nspace thick\norigin abababab-abab-abab-abab-abababababab\n"
		"created 1763830000\ncrc32c 788a5ff2\n");
	assert_int_equal(meta_record_parse(text, len, &out), 0);
	assert_memory_equal(&in, &out, sizeof in);
	for (size_t cut = 0; cut < len; cut++)
		assert_int_equal(meta_record_parse(text, cut, &out), -EBADMSG);
	for (size_t bit = 0; bit < len * 8; bit++) {
		text[bit / 8] = (char)(text[bit / 8] ^ 1 << bit % 8);
		assert_true(meta_record_parse(text, len, &out) < 0);
		text[bit / 8] = (char)(text[bit / 8] ^ 1 << bit % 8);
	}
}

static void test_record_flips(void **state)
{
	char text[META_RECORD_MAX + 1];
	struct meta_record found;
	size_t len = meta_record_build(&sample_record, text);

	(void)state;
	for (size_t bit = 0; bit < len * 8; bit++) {
		int err;

		text[bit / 8] = (char)(text[bit / 8] ^ 1 << bit % 8);
		err = meta_record_parse(text, len, &found);
		assert_int_equal(err, bit / 8 < 12 ? -EPROTO : -EBADMSG);
		text[bit / 8] = (char)(text[bit / 8] ^ 1 << bit % 8);
	}
}

/* A whole record of a version that is not ours. */
static void test_record_later(void **state)
{
	char text[META_RECORD_MAX + 1] = "kura-volume 3\nuuid x\nhost y\n";
	struct meta_record found;
	size_t len = strlen(text);

	(void)state;
	len += (size_t)snprintf(text + len, 32, "crc32c %08x\n", crc32c(text, len));
	assert_int_equal(meta_record_parse(text, len, &found), -EPROTONOSUPPORT);
	assert_int_equal(meta_record_parse(text, len - 1, &found), -EBADMSG);
}

/* ---- places ---- */

static void test_made_once(void **state)
{
	struct scratch *s = *state;
	uint8_t first[VOL_UUID_LEN], second[VOL_UUID_LEN];
	char text[512];
	struct stat st;

	assert_int_equal(identify(s, first), 0);
	assert_int_equal(identify(s, second), 0);
	assert_memory_equal(first, second, VOL_UUID_LEN);
	assert_int_equal(first[6] >> 4, 4);
	assert_int_equal(first[8] >> 6, 2);
	assert_int_equal(get(s->sidecar, text), 72);
	assert_int_equal(stat(s->sidecar, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	unlink(s->sidecar);
	assert_int_equal(identify(s, second), 0);
	assert_memory_not_equal(first, second, VOL_UUID_LEN);
}

static void test_cut_everywhere(void **state)
{
	struct scratch *s = *state;
	char text[META_RECORD_MAX + 1], after[512];
	uint8_t uuid[VOL_UUID_LEN];
	size_t len = meta_record_build(&sample_record, text);

	for (size_t cut = 0; cut < len; cut++) {
		put(s->sidecar, text, cut);
		assert_int_equal(identify(s, uuid), -EBADMSG);
		assert_non_null(strstr(s->why, s->sidecar));
		assert_int_equal(get(s->sidecar, after), cut);
		assert_memory_equal(after, text, cut);
	}
}

static void test_cut_while_writing(void **state)
{
	struct scratch *s = *state;
	own_free char *temp = own_printf("%s.tmp", s->sidecar);
	char text[META_RECORD_MAX + 1];
	uint8_t uuid[VOL_UUID_LEN];
	size_t len = meta_record_build(&sample_record, text);

	put(s->sidecar, text, len);
	put(temp, text, 30);
	assert_int_equal(identify(s, uuid), 0);
	assert_memory_equal(uuid, sample, VOL_UUID_LEN);
	unlink(s->sidecar);
	assert_int_equal(identify(s, uuid), 0);
	assert_memory_not_equal(uuid, sample, VOL_UUID_LEN);
}

static void test_foreign(void **state)
{
	struct scratch *s = *state;
	static const char text[] = "holiday pictures\n";
	char after[512];
	uint8_t uuid[VOL_UUID_LEN];

	put(s->sidecar, text, sizeof text - 1);
	assert_int_equal(identify(s, uuid), -EPROTO);
	s->place.given = sample_text;
	assert_int_equal(identify(s, uuid), -EPROTO);
	assert_int_equal(get(s->sidecar, after), sizeof text - 1);
	assert_memory_equal(after, text, sizeof text - 1);
}

static void test_unreadable(void **state)
{
	struct scratch *s = *state;
	uint8_t uuid[VOL_UUID_LEN];

	assert_int_equal(mkdir(s->sidecar, 0700), 0);
	assert_int_equal(identify(s, uuid), -EISDIR);
	assert_non_null(strstr(s->why, s->sidecar));
}

static void test_by_hand(void **state)
{
	struct scratch *s = *state;
	uint8_t uuid[VOL_UUID_LEN];

	assert_int_equal(identify(s, uuid), 0);
	s->place.given = sample_text;
	assert_int_equal(identify(s, uuid), 0);
	assert_memory_equal(uuid, sample, VOL_UUID_LEN);
	s->place.given = NULL;
	assert_int_equal(identify(s, uuid), 0);
	assert_memory_equal(uuid, sample, VOL_UUID_LEN);
	put(s->sidecar, "kura-vol", 8); /* torn: repaired by hand */
	s->place.given = sample_text;
	assert_int_equal(identify(s, uuid), 0);
	s->place.given = NULL;
	assert_int_equal(identify(s, uuid), 0);
	assert_memory_equal(uuid, sample, VOL_UUID_LEN);
	s->place.given = "what";
	assert_int_equal(identify(s, uuid), -EINVAL);
	assert_non_null(strstr(s->why, "what"));
}

static void test_state_dir(void **state)
{
	struct scratch *s = *state;
	own_free char *record = own_printf("%s/volumes/vm1.kura", s->dir);
	uint8_t first[VOL_UUID_LEN], second[VOL_UUID_LEN];

	s->place.sidecar = NULL;
	s->place.state_dir = s->dir;
	assert_int_equal(identify(s, first), 0);
	assert_int_equal(access(record, F_OK), 0);
	assert_int_equal(identify(s, second), 0);
	assert_memory_equal(first, second, VOL_UUID_LEN);
	s->place.name = "vm2";
	assert_int_equal(identify(s, second), 0);
	assert_memory_not_equal(first, second, VOL_UUID_LEN);
	s->place.state_dir = "/nonexistent/kura";
	assert_int_equal(identify(s, second), -ENOENT);
	assert_non_null(strstr(s->why, "/nonexistent/kura"));
}

static void test_by_name(void **state)
{
	struct scratch *s = *state;
	uint8_t first[VOL_UUID_LEN], second[VOL_UUID_LEN];

	s->place.sidecar = NULL;
	assert_int_equal(identify(s, first), 0);
	assert_int_equal(identify(s, second), 0);
	assert_memory_equal(first, second, VOL_UUID_LEN);
	assert_int_equal(first[6] >> 4, 8);
	s->place.name = "vm2";
	assert_int_equal(identify(s, second), 0);
	assert_memory_not_equal(first, second, VOL_UUID_LEN);
}

static void test_sidecar_path(void **state)
{
	struct scratch *s = *state;
	own_free char *real = realpath(s->dir, NULL);
	own_free char *file = own_printf("%s/disk.img", s->dir);
	own_free char *link = own_printf("%s/link.img", s->dir);
	own_free char *want = own_printf("%s/disk.img.kura", real);
	own_free char *missing = meta_sidecar_path(file);
	own_free char *by_link = NULL;

	assert_string_equal(missing, want);
	put(file, "x", 1);
	assert_int_equal(symlink("disk.img", link), 0);
	by_link = meta_sidecar_path(link);
	assert_string_equal(by_link, want);
	assert_null(meta_sidecar_path("/nonexistent/kura/disk.img"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_uuid_text),
		cmocka_unit_test(test_record),
		cmocka_unit_test(test_record_of_pool),
		cmocka_unit_test(test_record_flips),
		cmocka_unit_test(test_record_later),
		cmocka_unit_test_setup_teardown(test_made_once, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cut_everywhere, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cut_while_writing, setup, teardown),
		cmocka_unit_test_setup_teardown(test_foreign, setup, teardown),
		cmocka_unit_test_setup_teardown(test_unreadable, setup, teardown),
		cmocka_unit_test_setup_teardown(test_by_hand, setup, teardown),
		cmocka_unit_test_setup_teardown(test_state_dir, setup, teardown),
		cmocka_unit_test_setup_teardown(test_by_name, setup, teardown),
		cmocka_unit_test_setup_teardown(test_sidecar_path, setup, teardown),
	};

	return cmocka_run_group_tests_name("meta", tests, NULL, NULL);
}
