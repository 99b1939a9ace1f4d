// SPDX-License-Identifier: Apache-2.0
/*
 * test_common.c: bytes, spans, lists, cleanup, log lines, counters and the digest's CRC.
 */
#include "common/be.h"
#include "common/crc32c.h"
#include "common/file.h"
#include "common/list.h"
#include "common/log.h"
#include "common/own.h"
#include "common/span.h"
#include "common/stat.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

/* ---- be.h ---- */

static void test_be_round_trip(void **state)
{
	const uint8_t wire[9] = { 0xff, 0x01, 0x82, 0x03, 0x84, 0x05, 0x86, 0x07, 0x88 };
	const uint8_t *odd = wire + 1; /* alignment must not matter */
	uint8_t out[9] = { 0 };

	(void)state;
	assert_int_equal(be16_load(odd), 0x0182);
	assert_int_equal(be24_load(odd), 0x018203);
	assert_int_equal(be32_load(odd), 0x01820384);
	assert_true(be64_load(odd) == 0x0182038405860788u);
	be64_store(out + 1, be64_load(odd));
	assert_memory_equal(out + 1, odd, 8);
	be32_store(out + 1, 0xdeadbeef);
	assert_memory_equal(out + 1, "\xde\xad\xbe\xef", 4);
	be24_store(out + 1, 0xff123456); /* only the low 24 bits */
	assert_memory_equal(out + 1, "\x12\x34\x56\xef", 4);
	be16_store(out + 1, 0xabcd);
	assert_memory_equal(out + 1, "\xab\xcd\x56\xef", 4);
}

static void test_be_fields_have_no_padding(void **state)
{
	struct wire {
		uint8_t op;
		struct be16 a;
		struct be24 b;
		struct be32 c;
		struct be64 d;
	} w = { .op = 1 };

	(void)state;
	assert_int_equal(sizeof w, 18);
	be16_set(&w.a, 0xfffe);
	be24_set(&w.b, 0xfffefd);
	be32_set(&w.c, 0x80000000);
	be64_set(&w.d, UINT64_MAX - 1);
	assert_int_equal(be16_get(&w.a), 0xfffe);
	assert_int_equal(be24_get(&w.b), 0xfffefd);
	assert_true(be32_get(&w.c) == 0x80000000);
	assert_true(be64_get(&w.d) == UINT64_MAX - 1);
}

/* ---- span.h ---- */

static void test_span_reads_to_its_end_and_not_further(void **state)
{
	const uint8_t b[] = { 1, 0, 2, 0, 0, 0, 3, 9 };
	struct span_reader r = span_reader(b, sizeof b);

	(void)state;
	assert_int_equal(span_take8(&r), 1);
	assert_int_equal(span_take16(&r), 2);
	assert_int_equal(span_take32(&r), 3);
	assert_int_equal(span_left(&r), 1);
	assert_false(r.overrun);
	assert_int_equal(span_take16(&r), 0);
	assert_true(r.overrun);
	assert_int_equal(span_take8(&r), 0); /* sticky, although a byte is left */
	assert_null(span_take(&r, 0));

	r = span_reader(b, 0);
	assert_non_null(span_take(&r, 0));
	assert_false(r.overrun);
	assert_true(span_take64(&r) == 0);
	assert_true(r.overrun);
	r = span_reader(b, sizeof b);
	assert_null(span_take(&r, SIZE_MAX));
}

static void test_span_write_is_cut_and_counted(void **state)
{
	uint8_t b[8];
	struct span_writer w = span_writer(b, 5);

	(void)state;
	memset(b, 0xee, sizeof b);
	span_put8(&w, 1);
	span_put16(&w, 0x0203);
	assert_false(span_cut(&w));
	assert_int_equal(span_stored(&w), 3);
	span_put32(&w, 0x04050607); /* two of its bytes fit */
	assert_memory_equal(b, "\1\2\3\4\5\xee\xee\xee", 8);
	assert_true(span_cut(&w));
	assert_int_equal(w.want, 7);
	assert_int_equal(span_stored(&w), 5);
	span_put24(&w, 1);
	span_put64(&w, 1);
	span_fill(&w, 7, 100);
	assert_int_equal(w.want, 118);
	assert_memory_equal(b, "\1\2\3\4\5\xee\xee\xee", 8);
}

static void test_span_patches_inside_the_room(void **state)
{
	uint8_t b[8] = { 0 };
	struct span_writer w = span_writer(b, 5);

	(void)state;
	span_fill(&w, 0xff, 5);
	span_patch16(&w, 0, 0x0102);
	span_patch32(&w, 3, 0x03040506); /* half beyond */
	span_patch16(&w, 7, 0x0909);     /* all beyond */
	assert_memory_equal(b, "\1\2\xff\3\4\0\0\0", 8);
	w = span_writer(NULL, 0); /* measuring only */
	span_put(&w, "abc", 3);
	span_fill(&w, 0, 2);
	assert_int_equal(w.want, 5);
	assert_int_equal(span_stored(&w), 0);
}

/* ---- list.h ---- */

struct item {
	int value;
	struct list node;
};

static int list_digits(const struct list *head)
{
	int n = 0;

	list_for_each (it, (struct list *)(uintptr_t)head)
		n = n * 10 + container_of(it, struct item, node)->value;
	return n;
}

static void test_list_order(void **state)
{
	struct item i[5];
	struct list a, b;

	(void)state;
	list_init(&a);
	list_init(&b);
	assert_null(list_pop(&a));
	for (int k = 0; k < 5; k++) {
		i[k].value = k + 1;
		list_init(&i[k].node);
	}
	list_push(&a, &i[1].node);
	list_push(&a, &i[2].node);
	list_push_front(&a, &i[0].node);
	assert_int_equal(list_digits(&a), 123);
	list_splice(&a, &b); /* from empty */
	list_push(&b, &i[3].node);
	list_push(&b, &i[4].node);
	list_splice(&a, &b);
	assert_int_equal(list_digits(&a), 12345);
	assert_true(list_empty(&b));
	list_del(&i[2].node);
	list_del(&i[2].node); /* harmless twice */
	assert_int_equal(list_digits(&a), 1245);
	assert_ptr_equal(list_pop(&a), &i[0].node);
	assert_true(list_empty(&i[0].node));
	list_for_each_safe (it, &a)
		list_del(it);
	assert_true(list_empty(&a));
	list_push(&b, &i[0].node);
	list_splice(&a, &b); /* into empty */
	assert_int_equal(list_digits(&a), 1);
}

/* ---- own.h ---- */

static void test_own_scope_ends_ownership(void **state)
{
	int copy;

	(void)state;
	{
		own_fd int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
		own_free char *gone = own_strdup("x");

		assert_non_null(gone);
		copy = fd;
		assert_true(fcntl(copy, F_GETFD) >= 0);
	}
	assert_int_equal(fcntl(copy, F_GETFD), -1);
	{
		own_fd int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
		own_free char *s = own_printf("%d-%s", 7, "a");
		char *mine = own_take(s);

		copy = own_take_fd(&fd);
		assert_int_equal(fd, -1);
		assert_null(s);
		assert_string_equal(mine, "7-a");
		free(mine);
	}
	assert_true(fcntl(copy, F_GETFD) >= 0);
	close(copy);
	assert_null(own_strdup(NULL));
}

/* ---- log.h ---- */

struct capture {
	int saved; /* the real standard error */
	int rd;    /* what was written */
	char text[8192];
};

static void capture_begin(struct capture *c)
{
	int p[2];

	assert_int_equal(pipe2(p, O_CLOEXEC | O_NONBLOCK), 0);
	c->saved = dup(STDERR_FILENO);
	c->rd = p[0];
	dup2(p[1], STDERR_FILENO);
	close(p[1]);
}

static const char *capture_end(struct capture *c)
{
	ssize_t n = read(c->rd, c->text, sizeof c->text - 1);

	dup2(c->saved, STDERR_FILENO);
	close(c->saved);
	close(c->rd);
	c->text[n > 0 ? n : 0] = 0;
	return c->text;
}

static void test_log_line_cannot_be_forged(void **state)
{
	struct capture c;

	(void)state;
	unsetenv("JOURNAL_STREAM");
	capture_begin(&c);
	log_info("test: hello", "name=%s", "a\nerror forged \x7f\xc3");
	log_warn("test: bare", NULL);
	log_debug("test: not wanted", NULL);
	assert_string_equal(capture_end(&c),
		"info  test: hello name=a\\x0aerror forged \\x7f\\xc3\nwarn  test: bare\n");
	setenv("JOURNAL_STREAM", "8:1", 1);
	capture_begin(&c);
	log_error("test: journal", "k=%d", 1);
	assert_string_equal(capture_end(&c), "<3>test: journal k=1\n");
	unsetenv("JOURNAL_STREAM");
}

/* In a child: a process goes to the journal for good. */
static void journal_child(const char *path)
{
	char stream[64];
	struct stat st;

	setenv("JOURNAL_STREAM", "1:1", 1); /* another one than standard error */
	log_to_journal(path);
	log_info("test: not to the journal", NULL);
	fstat(STDERR_FILENO, &st);
	snprintf(stream, sizeof stream, "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
	setenv("JOURNAL_STREAM", stream, 1);
	log_to_journal(path);
	log_warn("test: refused", "%s conn=%d why=\"no \nroom\" b=", "loose words", 7);
	log_error("test: bare", NULL);
	log_info("test: marks", "why=\"no \"a\" here; try \"b\"\" lun=1");
	_exit(0);
}

static void test_log_fields_of_the_journal(void **state)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	char dir[] = "/tmp/kura-journal-XXXXXX", got[4096];
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), status;
	ssize_t n;
	pid_t pid;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(a.sun_path, sizeof a.sun_path, "%s/socket", dir);
	assert_int_equal(bind(fd, (const struct sockaddr *)&a, sizeof a), 0);
	pid = fork();
	if (!pid)
		journal_child(a.sun_path);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	n = recv(fd, got, sizeof got - 1, MSG_DONTWAIT);
	got[n > 0 ? n : 0] = '\0';
	assert_string_equal(got,
		"PRIORITY=4\nSYSLOG_IDENTIFIER=kurad\n"
		"MESSAGE=test: refused loose words conn=7 why=\"no \\x0aroom\" b=\n"
		"KURA_CONN=7\nKURA_WHY=no \\x0aroom\nKURA_B=\n");
	n = recv(fd, got, sizeof got - 1, MSG_DONTWAIT);
	got[n > 0 ? n : 0] = '\0';
	assert_string_equal(got, "PRIORITY=3\nSYSLOG_IDENTIFIER=kurad\nMESSAGE=test: bare\n");
	n = recv(fd, got, sizeof got - 1, MSG_DONTWAIT);
	got[n > 0 ? n : 0] = '\0';
	assert_non_null(strstr(got, "\nKURA_WHY=no \"a\" here; try \"b\"\nKURA_LUN=1\n"));
	close(fd);
	unlink(a.sun_path);
	rmdir(dir);
}

static void test_log_long_line_is_cut(void **state)
{
	char *big = own_calloc(1, 9001);
	struct capture c;
	const char *text;

	(void)state;
	memset(big, '\t', 9000); /* each byte becomes four */
	capture_begin(&c);
	log_info("test: long", "v=%s", big);
	text = capture_end(&c);
	assert_true(strlen(text) <= 2048 + 64);
	assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
	free(big);
}

static void test_log_level_and_limit(void **state)
{
	struct log_limit limit = { 0 };
	unsigned written = 0;

	(void)state;
	assert_false(log_wants(LOG_LEVEL_DEBUG));
	log_set_level(LOG_LEVEL_ERROR);
	assert_false(log_wants(LOG_LEVEL_WARN));
	log_set_level(LOG_LEVEL_INFO);
	assert_true(log_wants(LOG_LEVEL_INFO));
	for (int i = 0; i < 1000; i++)
		written += log_limit_ok(&limit);
	assert_in_range(written, 1, 25);
	assert_int_equal(limit.suppressed + written, 1000);
	limit.last_ms -= 60000; /* a minute later */
	assert_true(log_limit_ok(&limit));
}

/* ---- stat.h ---- */

static void *count_some(void *arg)
{
	for (int i = 0; i < 1000; i++)
		stat_add(STAT_loop_turns, 2);
	return arg;
}

static void test_stat_sums_over_threads(void **state)
{
	uint64_t before = stat_sum(STAT_loop_turns);
	pthread_t t[3];

	(void)state;
	for (int i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&t[i], NULL, count_some, NULL), 0);
	count_some(NULL);
	for (int i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
	assert_true(stat_sum(STAT_loop_turns) == before + 8000); /* also of threads that ended */
	assert_string_equal(stat_name(STAT_loop_turns), "loop_turns");
	assert_non_null(stat_name(STAT_COUNT - 1));
}

/* ---- own_assert ---- */

static void test_own_assert_aborts(void **state)
{
	int status;
	pid_t pid = fork();

	(void)state;
	if (!pid) {
		log_set_level(-1);
		own_assert(1 + 1 == 2);
		own_assert(1 + 1 == 3);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

/* ---- crc32c.h: the examples of RFC 7143 B.4 ---- */

static void assert_digest(const uint8_t *p, size_t len, const char *wire)
{
	uint8_t out[4];

	crc32c_store(out, crc32c(p, len));
	assert_memory_equal(out, wire, 4);
	assert_true(crc32c_load(out) == crc32c(p, len));
	for (size_t cut = 0; cut <= len; cut++) /* any two pieces give the same */
		assert_true(crc32c_end(crc32c_add(crc32c_add(CRC32C_INIT, p, cut), p + cut,
				    len - cut)) == crc32c(p, len));
}

static void test_crc32c_examples(void **state)
{
	static const uint8_t read10[48] = {
		0x01,
		0xc0, [16] = 0x14, [22] = 0x04, [27] = 0x14, [31] = 0x18, [32] = 0x28, [40] = 0x02
	};
	uint8_t b[32];

	(void)state;
	memset(b, 0, sizeof b);
	assert_digest(b, sizeof b, "\xaa\x36\x91\x8a");
	memset(b, 0xff, sizeof b);
	assert_digest(b, sizeof b, "\x43\xab\xa8\x62");
	for (unsigned i = 0; i < sizeof b; i++)
		b[i] = (uint8_t)i;
	assert_digest(b, sizeof b, "\x4e\x79\xdd\x46");
	for (unsigned i = 0; i < sizeof b; i++)
		b[i] = (uint8_t)(31 - i);
	assert_digest(b, sizeof b, "\x5c\xdb\x3f\x11");
	assert_digest(read10, sizeof read10, "\x56\x3a\x96\xd9");
}

/* ---- file.h ---- */

static void test_file_is_replaced_whole(void **state)
{
	char dir[] = "/tmp/kura-file.XXXXXX";
	own_free char *path = NULL, *beside = NULL, *text = NULL;
	struct stat st;
	size_t len;
	int err;

	(void)state;
	assert_non_null(mkdtemp(dir));
	path = own_printf("%s/record", dir);
	beside = own_printf("%s.tmp", path);
	assert_int_equal(file_replace(path, "first", 5, 0600), 0);
	/* What a crash left beside it, longer and open to all, is overwritten. */
	assert_int_equal(file_write(beside, "left by a crash", 15, 0644), 0);
	assert_int_equal(file_replace(path, "next", 4, 0600), 0);
	text = file_read(path, 4, &len, &err);
	assert_non_null(text);
	assert_int_equal(len, 4);
	assert_string_equal(text, "next");
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(access(beside, F_OK), -1);
	assert_null(file_read(path, 3, &len, &err));
	assert_int_equal(err, -EFBIG);
	unlink(path);
	assert_null(file_read(path, 3, &len, &err));
	assert_int_equal(err, -ENOENT);
	rmdir(dir);
	assert_int_equal(file_replace(path, "lost", 4, 0600), -ENOENT);
}

static void test_file_that_cannot_be_replaced_stays(void **state)
{
	char dir[] = "/tmp/kura-file.XXXXXX";
	own_free char *path = NULL, *beside = NULL;

	(void)state;
	assert_non_null(mkdtemp(dir));
	path = own_printf("%s/folder", dir);
	beside = own_printf("%s.tmp", path);
	assert_int_equal(file_make_folder(path), 0);
	assert_int_equal(file_make_folder(path), 0);
	assert_int_equal(file_replace(path, "x", 1, 0600), -EISDIR);
	assert_int_equal(access(beside, F_OK), -1);
	assert_int_equal(symlink("/dev/null", beside), 0);
	assert_int_equal(file_replace(path, "x", 1, 0600), -ELOOP);
	assert_int_equal(rmdir(path), 0);
	rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_be_round_trip),
		cmocka_unit_test(test_be_fields_have_no_padding),
		cmocka_unit_test(test_span_reads_to_its_end_and_not_further),
		cmocka_unit_test(test_span_write_is_cut_and_counted),
		cmocka_unit_test(test_span_patches_inside_the_room),
		cmocka_unit_test(test_list_order),
		cmocka_unit_test(test_own_scope_ends_ownership),
		cmocka_unit_test(test_log_line_cannot_be_forged),
		cmocka_unit_test(test_log_fields_of_the_journal),
		cmocka_unit_test(test_log_long_line_is_cut),
		cmocka_unit_test(test_log_level_and_limit),
		cmocka_unit_test(test_stat_sums_over_threads),
		cmocka_unit_test(test_own_assert_aborts),
		cmocka_unit_test(test_crc32c_examples),
		cmocka_unit_test(test_file_is_replaced_whole),
		cmocka_unit_test(test_file_that_cannot_be_replaced_stays),
	};

	return cmocka_run_group_tests_name("common", tests, NULL, NULL);
}
