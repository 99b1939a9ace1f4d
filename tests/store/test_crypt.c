// SPDX-License-Identifier: Apache-2.0
/*
 * test_crypt.c: the crypt layer on a simulated loop: what lies below it, that callers' memory stays
 * what it was, its key file, and changes of the key, also those that end half way.
 */
#include "tests/store/cases.h"

#include "common/crypto.h"
#include "common/own.h"
#include "target/loop/loop_sim.h"
#include "volume/crypt_key.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define BLOCK 512u

struct rig_crypt {
	struct loop *loop;
	struct vol *vol;
	struct vol_chan *chan;
	char dir[64], path[96], key[96], options[128], why[512];
	struct vol_layer_conf layer;
	struct vol_conf conf;
};

static uint8_t data[CASE_SIZE] __attribute__((aligned(4096)));
static uint8_t back[CASE_SIZE] __attribute__((aligned(4096)));

static int setup(void **state)
{
	struct rig_crypt *s = own_calloc(1, sizeof *s);

	s->loop = sim_loop_new();
	own_assert(case_dir(PLACE_TMPFS, s->dir));
	snprintf(s->path, sizeof s->path, "%s/disk.img", s->dir);
	snprintf(s->key, sizeof s->key, "%s/disk.key", s->dir);
	snprintf(s->options, sizeof s->options, "key=%s", s->key);
	s->layer = (struct vol_layer_conf){ "crypt", s->options };
	s->conf = (struct vol_conf){ .name = "crypt",
		.store = "file",
		.path = s->path,
		.size = CASE_SIZE,
		.layers = &s->layer,
		.layer_count = 1 };
	case_key_write(s->key, 1);
	*state = s;
	return 0;
}

static bool try_open(struct rig_crypt *s)
{
	int err = 0;

	s->vol = s->conf.store ? vol_open(&s->conf, s->why, sizeof s->why)
			       : vol_open_store(&s->conf, &case_bare_ops, s->why, sizeof s->why);
	if (!s->vol)
		return false;
	s->chan = vol_chan_open(s->vol, s->loop, &err);
	assert_non_null(s->chan);
	return true;
}

static void open_it(struct rig_crypt *s)
{
	if (!try_open(s))
		fail_msg("%s", s->why);
}

static void close_it(struct rig_crypt *s)
{
	if (s->chan)
		vol_chan_close(own_take(s->chan));
	if (s->vol)
		vol_close(own_take(s->vol));
}

static int teardown(void **state)
{
	struct rig_crypt *s = *state;

	sim_io_hold(s->loop, false);
	close_it(s);
	loop_free(s->loop);
	case_dir_remove(s->dir);
	free(s);
	return 0;
}

/* ---- requests ---- */

struct req {
	struct vol_io io;
	int res;
	unsigned done;
};

static void req_done(struct vol_io *io, int res)
{
	struct req *r = container_of(io, struct req, io);

	r->res = res;
	r->done++;
}

static void req_start(struct rig_crypt *s, struct req *r, enum vol_op op, uint64_t off,
	struct iovec *iov, unsigned n)
{
	memset(r, 0, sizeof *r);
	vol_io_init(&r->io);
	r->io.op = op;
	r->io.off = off;
	for (unsigned i = 0; i < n; i++)
		r->io.len += iov[i].iov_len;
	r->io.iov = iov;
	r->io.iovcnt = n;
	r->io.done = req_done;
	vol_submit(s->chan, &r->io);
	assert_int_equal(r->done, 0);
}

static int req_run(struct rig_crypt *s, enum vol_op op, uint64_t off, struct iovec *iov, unsigned n)
{
	struct req r;

	req_start(s, &r, op, off, iov, n);
	sim_run(s->loop);
	assert_int_equal(r.done, 1);
	assert_int_equal(r.io.off, off);
	return r.res;
}

static int rw(struct rig_crypt *s, enum vol_op op, uint64_t off, void *p, uint64_t len)
{
	struct iovec one = { p, len };

	return req_run(s, op, off, &one, 1);
}

static void fill(uint8_t *p, size_t len, uint64_t seed)
{
	for (size_t i = 0; i < len; i++)
		p[i] = (uint8_t)(rig_random(&seed) >> 24);
}

/* What the file has, without the layer. */
static void below(const struct rig_crypt *s, uint64_t off, void *p, size_t len)
{
	own_fd int fd = open(s->path, O_RDONLY | O_CLOEXEC);

	assert_int_equal(pread(fd, p, len, (off_t)off), len);
}

static void key_read(const struct rig_crypt *s, uint8_t key[CRYPTO_XTS_KEY])
{
	own_fd int fd = open(s->key, O_RDONLY | O_CLOEXEC);
	struct stat st;

	assert_int_equal(pread(fd, key, CRYPTO_XTS_KEY, 0), CRYPTO_XTS_KEY);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_size, CRYPTO_XTS_KEY);
	assert_int_equal(st.st_mode & 07777, 0600);
}

static bool is_there(const struct rig_crypt *s, const char *suffix)
{
	own_free char *path = own_printf("%s%s", s->key, suffix);

	return access(path, F_OK) == 0;
}

/* ---- what lies below ---- */

/* Every block below is the AES-256-XTS of its number. */
static void test_ciphertext(void **state)
{
	struct rig_crypt *s = *state;
	uint8_t key[CRYPTO_XTS_KEY], want[BLOCK], found[BLOCK];
	struct crypto_xts *x;

	open_it(s);
	fill(data, 8192, 1);
	assert_int_equal(rw(s, VOL_WRITE, 3 * BLOCK, data, 8192), 0);
	key_read(s, key);
	x = crypto_xts_new(key, true);
	for (unsigned i = 0; i < 8192 / BLOCK; i++) {
		crypto_xts_unit(x, 3 + i, data + i * BLOCK, want, BLOCK);
		below(s, (3 + i) * BLOCK, found, BLOCK);
		assert_memory_equal(found, want, BLOCK);
		assert_memory_not_equal(found, data + i * BLOCK, BLOCK);
	}
	crypto_xts_free(x);
}

static void test_units_of_4k(void **state)
{
	struct rig_crypt *s = *state;
	uint8_t key[CRYPTO_XTS_KEY], found[4096], want[4096];
	struct crypto_xts *x;

	s->conf.block_size = 4096;
	open_it(s);
	fill(data, 4096, 2);
	assert_int_equal(rw(s, VOL_WRITE, 5 * 4096, data, 4096), 0);
	key_read(s, key);
	x = crypto_xts_new(key, true);
	crypto_xts_unit(x, 5, data, want, 4096);
	crypto_xts_free(x);
	below(s, 5 * 4096, found, 4096);
	assert_memory_equal(found, want, 4096);
	assert_int_equal(rw(s, VOL_READ, 5 * 4096, back, 4096), 0);
	assert_memory_equal(back, data, 4096);
}

/* Zeroes that an initiator writes are data; what was never written, or zeroed, reads as zero. */
static void test_zeroes(void **state)
{
	struct rig_crypt *s = *state;
	static const uint8_t zero[4096];
	struct vol_info info;

	open_it(s);
	info = vol_info(s->vol);
	assert_true(info.caps & VOL_CAN_REKEY);
	assert_false(info.caps & VOL_CAN_LEND);
	assert_int_equal(rw(s, VOL_READ, 0, back, 4096), 0);
	assert_memory_equal(back, zero, 4096);
	memset(data, 0, 4096);
	assert_int_equal(rw(s, VOL_WRITE, 0, data, 4096), 0);
	below(s, 0, back, 4096);
	assert_memory_not_equal(back, zero, BLOCK);
	assert_int_equal(rw(s, VOL_READ, 0, back, 4096), 0);
	assert_memory_equal(back, zero, 4096);
	fill(data, 4096, 3);
	assert_int_equal(rw(s, VOL_WRITE, 0, data, 4096), 0);
	assert_int_equal(rw(s, VOL_ZERO, BLOCK, NULL, BLOCK), 0);
	memset(data + BLOCK, 0, BLOCK);
	assert_int_equal(rw(s, VOL_READ, 0, back, 4096), 0);
	assert_memory_equal(back, data, 4096);
}

/* Zeroes below that the guard has to write itself, because the store cannot. */
static void test_zeroes_emulated(void **state)
{
	struct rig_crypt *s = *state;

	s->conf.store = NULL;
	s->conf.path = NULL;
	open_it(s);
	fill(data, 8192, 4);
	assert_int_equal(rw(s, VOL_WRITE, 0, data, 8192), 0);
	assert_int_equal(rw(s, VOL_ZERO, 2 * BLOCK, NULL, 3 * BLOCK), 0);
	memset(data + 2 * BLOCK, 0, 3 * BLOCK);
	assert_int_equal(rw(s, VOL_READ, 0, back, 8192), 0);
	assert_memory_equal(back, data, 8192);
}

/* ---- callers' memory ---- */

/* Blocks that lie in pieces of any length, none of them changed by a write. */
static void test_pieces(void **state)
{
	struct rig_crypt *s = *state;
	static const size_t cut[] = { 1, 511, 0, 512, 700, 3, 1, 320, 2048 };
	struct iovec iov[own_array_len(cut)];
	uint8_t *at = data;
	static uint8_t before[4096];

	open_it(s);
	fill(data, 4096, 5);
	memcpy(before, data, 4096);
	for (unsigned i = 0; i < own_array_len(cut); at += cut[i++])
		iov[i] = (struct iovec){ at, cut[i] };
	assert_int_equal(at - data, 4096);
	assert_int_equal(req_run(s, VOL_WRITE, 4096, iov, own_array_len(cut)), 0);
	assert_memory_equal(data, before, 4096);
	assert_int_equal(rw(s, VOL_READ, 4096, back, 4096), 0);
	assert_memory_equal(back, before, 4096);
	memset(data, 0xee, 4096);
	assert_int_equal(req_run(s, VOL_READ, 4096, iov, own_array_len(cut)), 0);
	assert_memory_equal(data, before, 4096);
}

/* Longer than a buffer of ciphertext. */
static void test_long(void **state)
{
	struct rig_crypt *s = *state;
	const uint64_t len = (3 << 20) + 5 * BLOCK;

	open_it(s);
	fill(data, len, 6);
	assert_int_equal(rw(s, VOL_WRITE, BLOCK, data, len), 0);
	assert_int_equal(rw(s, VOL_READ, BLOCK, back, len), 0);
	assert_memory_equal(back, data, len);
}

/* No room for ciphertext is "busy", and nothing was written. */
static void test_no_room(void **state)
{
	const struct loop_opts opts = { .engine = LOOP_ENGINE_SIM, .cpu = -1, .data_max = 16384 };
	struct rig_crypt *s = *state;
	static const uint8_t zero[65536];
	struct iovec two[2] = { { back, 100 }, { back + 100, 412 } };
	struct loop_buf *held[2];
	int err;

	loop_free(s->loop);
	s->loop = loop_new(&opts, &err);
	open_it(s);
	fill(data, 65536, 7);
	assert_int_equal(rw(s, VOL_WRITE, 0, data, 65536), -ENOMEM);
	below(s, 0, back, 65536);
	assert_memory_equal(back, zero, 65536);
	assert_int_equal(rw(s, VOL_WRITE, 0, data, 8192), 0);
	held[0] = loop_buf_get(s->loop, 4096); /* one has the jobs */
	held[1] = loop_buf_get(s->loop, 8192);
	assert_true(held[0] && held[1]);
	assert_int_equal(rw(s, VOL_WRITE, 0, data, 512), -ENOMEM);
	assert_int_equal(req_run(s, VOL_READ, 0, two, 2), -ENOMEM);
	assert_int_equal(rw(s, VOL_READ, 0, back, 8192), 0); /* in one piece: needs none */
	assert_memory_equal(back, data, 8192);
	loop_buf_put(s->loop, held[0]);
	loop_buf_put(s->loop, held[1]);
	assert_int_equal(rw(s, VOL_WRITE, 0, data, 512), 0);
}

/* An error below is told, and leaves nothing taken. */
static void test_error_below(void **state)
{
	struct rig_crypt *s = *state;
	const struct vol_layer_conf layers[] = { s->layer, { "error", "op=read,write after=1" } };

	s->conf.layers = layers;
	s->conf.layer_count = 2;
	open_it(s);
	fill(data, 2 << 20, 8);
	assert_int_equal(rw(s, VOL_WRITE, 0, data, 2 << 20), -EIO); /* its second piece */
	assert_int_equal(rw(s, VOL_READ, 0, back, 4096), -EIO);
	assert_int_equal(vol_chan_inflight(s->chan), 0);
	assert_int_equal(vol_rekey(s->vol), 0); /* nothing counts as in flight */
}

/* ---- keys ---- */

static void test_restart(void **state)
{
	struct rig_crypt *s = *state;

	open_it(s);
	fill(data, 4096, 9);
	assert_int_equal(rw(s, VOL_WRITE, 0, data, 4096), 0);
	close_it(s);
	open_it(s);
	assert_int_equal(rw(s, VOL_READ, 0, back, 4096), 0);
	assert_memory_equal(back, data, 4096);
	close_it(s);
	case_key_write(s->key, 2); /* another key gives other data */
	open_it(s);
	assert_int_equal(rw(s, VOL_READ, 0, back, 4096), 0);
	for (unsigned i = 0; i < 4096; i += BLOCK)
		assert_memory_not_equal(back + i, data + i, BLOCK);
	close_it(s);
	case_key_write(s->key, 1);
	s->conf.readonly = true;
	open_it(s);
	assert_false(vol_info(s->vol).caps & VOL_CAN_REKEY);
	assert_int_equal(vol_rekey(s->vol), -ENOTSUP);
	assert_int_equal(rw(s, VOL_READ, 0, back, 4096), 0);
	assert_memory_equal(back, data, 4096);
}

static void expect_refused(struct rig_crypt *s, const char *word)
{
	s->why[0] = 0;
	assert_false(try_open(s));
	if (!strstr(s->why, word))
		fail_msg("no \"%s\" in: %s", word, s->why);
}

static void test_key_refused(void **state)
{
	struct rig_crypt *s = *state;
	uint8_t half[32] = { 1, 2, 3 };
	int fd;

	s->layer.options = "";
	expect_refused(s, "needs key=/PATH");
	s->layer.options = "key=disk.key";
	expect_refused(s, "absolute");
	s->layer.options = "lock=/x";
	expect_refused(s, "key=/PATH");
	s->layer.options = s->options;
	assert_int_equal(chmod(s->key, 0640), 0);
	expect_refused(s, "chmod 600");
	assert_int_equal(chmod(s->key, 0600), 0);
	assert_int_equal(truncate(s->key, 63), 0);
	expect_refused(s, "63 bytes");
	assert_int_equal(truncate(s->key, 65), 0);
	expect_refused(s, "65 bytes");
	unlink(s->key);
	expect_refused(s, "head -c 64 /dev/urandom >");
	assert_int_equal(mkdir(s->key, 0700), 0);
	expect_refused(s, "plain file");
	rmdir(s->key);
	fd = open(s->key, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(write(fd, half, sizeof half), sizeof half);
	close(fd);
	expect_refused(s, "equal halves");
	case_key_write(s->key, 1);
	open_it(s);
}

/* A key has one volume, or several that only read. */
static void test_key_in_use(void **state)
{
	struct rig_crypt *s = *state;
	struct vol_conf other = s->conf;
	struct vol *vol;

	open_it(s);
	other.name = "other";
	other.store = "mem";
	assert_null(vol_open(&other, s->why, sizeof s->why));
	assert_non_null(strstr(s->why, "in use"));
	assert_int_equal(vol_rekey(s->vol), 0);
	assert_null(vol_open(&other, s->why, sizeof s->why)); /* the new file is locked as well */
	close_it(s);
	vol = vol_open(&other, s->why, sizeof s->why);
	assert_non_null(vol);
	vol_close(vol);
}

static void test_rekey(void **state)
{
	struct rig_crypt *s = *state;
	uint8_t before[CRYPTO_XTS_KEY], after[CRYPTO_XTS_KEY], zero[CRYPTO_XTS_KEY] = { 0 };
	own_fd int old = open(s->key, O_RDONLY | O_CLOEXEC);

	open_it(s);
	fill(data, 4096, 10);
	assert_int_equal(rw(s, VOL_WRITE, 0, data, 4096), 0);
	key_read(s, before);
	assert_int_equal(vol_rekey(s->vol), 0);
	key_read(s, after);
	assert_memory_not_equal(after, before, CRYPTO_XTS_KEY / 2);
	assert_memory_not_equal(after, after + CRYPTO_XTS_KEY / 2, CRYPTO_XTS_KEY / 2);
	assert_false(is_there(s, ".kura-new") || is_there(s, ".kura-old"));
	assert_int_equal(pread(old, before, sizeof before, 0), sizeof before);
	assert_memory_equal(before, zero, sizeof zero); /* overwritten where it lay */
	assert_int_equal(rw(s, VOL_READ, 0, back, 4096), 0);
	for (unsigned i = 0; i < 4096; i += BLOCK)
		assert_memory_not_equal(back + i, data + i, BLOCK);
	assert_int_equal(rw(s, VOL_READ, 1 << 20, back, CRYPTO_XTS_KEY * 8), 0);
	assert_memory_equal(back, zero, sizeof zero); /* what was not written is still zero */
	assert_int_equal(rw(s, VOL_WRITE, 0, data, 4096), 0);
	close_it(s);
	open_it(s);
	assert_int_equal(rw(s, VOL_READ, 0, back, 4096), 0);
	assert_memory_equal(back, data, 4096);
}

/* Links are followed: the file that they lead to is replaced, not the link. */
static void test_rekey_link(void **state)
{
	struct rig_crypt *s = *state;
	own_free char *real = own_printf("%s.real", s->key);
	struct stat st;

	assert_int_equal(rename(s->key, real), 0);
	assert_int_equal(symlink(real, s->key), 0);
	open_it(s);
	assert_int_equal(vol_rekey(s->vol), 0);
	assert_int_equal(lstat(s->key, &st), 0);
	assert_true(S_ISLNK(st.st_mode));
	close_it(s);
	open_it(s);
}

/* While a request is in flight the key stays. */
static void test_rekey_busy(void **state)
{
	struct rig_crypt *s = *state;
	uint8_t before[CRYPTO_XTS_KEY], after[CRYPTO_XTS_KEY];
	struct iovec one = { back, 4096 };
	struct req r;

	open_it(s);
	key_read(s, before);
	sim_io_hold(s->loop, true);
	req_start(s, &r, VOL_READ, 0, &one, 1);
	assert_int_equal(vol_rekey(s->vol), -EBUSY);
	sim_io_hold(s->loop, false);
	sim_io_complete(s->loop, sim_io_nth(s->loop, 0), SIM_IO_DO);
	sim_run(s->loop);
	assert_int_equal(r.done, 1);
	assert_int_equal(r.res, 0);
	key_read(s, after);
	assert_memory_equal(after, before, sizeof after);
	assert_int_equal(vol_rekey(s->vol), 0);
}

/* Two channels, one of which has long been idle. */
static void test_rekey_channels(void **state)
{
	struct rig_crypt *s = *state;
	struct vol_chan *first;
	int err;

	open_it(s);
	first = s->chan;
	s->chan = vol_chan_open(s->vol, s->loop, &err);
	assert_int_equal(vol_rekey(s->vol), 0);
	fill(data, 4096, 11);
	assert_int_equal(rw(s, VOL_WRITE, 0, data, 4096), 0);
	vol_chan_close(s->chan);
	s->chan = first;
	assert_int_equal(rw(s, VOL_READ, 0, back, 4096), 0);
	assert_memory_equal(back, data, 4096);
}

/* ---- a change of the key that ended half way ---- */

static void expect_readable(struct rig_crypt *s)
{
	open_it(s);
	assert_int_equal(rw(s, VOL_READ, 0, back, 4096), 0);
	assert_memory_equal(back, data, 4096);
	assert_false(is_there(s, ".kura-new") || is_there(s, ".kura-old"));
	close_it(s);
}

static void test_torn(void **state)
{
	struct rig_crypt *s = *state;
	own_free char *new = own_printf("%s.kura-new", s->key);
	own_free char *old = own_printf("%s.kura-old", s->key);
	uint8_t bytes[CRYPTO_XTS_KEY], zero[CRYPTO_XTS_KEY] = { 0 };
	int fd;

	open_it(s);
	fill(data, 4096, 12);
	assert_int_equal(rw(s, VOL_WRITE, 0, data, 4096), 0);
	close_it(s);
	case_key_write(new, 7); /* the next one is written, half of it or all */
	assert_int_equal(truncate(new, 30), 0);
	expect_readable(s);
	case_key_write(new, 7); /* the old one has two names */
	assert_int_equal(link(s->key, old), 0);
	expect_readable(s);
	case_key_write(old, 8); /* the new one is in place, the old one is not overwritten */
	fd = open(old, O_RDONLY | O_CLOEXEC);
	expect_readable(s);
	assert_int_equal(pread(fd, bytes, sizeof bytes, 0), sizeof bytes);
	assert_memory_equal(bytes, zero, sizeof zero);
	close(fd);
}

/* A process that is killed at any moment of it leaves the old key or a new one, never less. */
static void test_killed(void **state)
{
	struct rig_crypt *s = *state;
	uint8_t before[CRYPTO_XTS_KEY], after[CRYPTO_XTS_KEY];

	for (unsigned i = 0; i < 40; i++) {
		struct crypt_key key = { .fd = -1 };
		pid_t pid;
		int err;

		key_read(s, before);
		pid = fork();
		if (pid == 0) {
			err = crypt_key_open(&key, s->key, false, s->why, sizeof s->why);
			while (!err)
				err = crypt_key_replace(&key);
			_exit(1);
		}
		usleep(1000 + i * 97);
		for (unsigned ms = 0; i == 39 && ms < 10000; ms++) { /* a busy machine: once */
			key_read(s, after);
			if (memcmp(before, after, sizeof after) != 0)
				break;
			usleep(1000);
		}
		assert_int_equal(kill(pid, SIGKILL), 0);
		waitpid(pid, &err, 0);
		assert_true(WIFSIGNALED(err));
		key_read(s, after);
		assert_int_equal(crypt_key_open(&key, s->key, false, s->why, sizeof s->why), 0);
		assert_memory_equal(key.bytes, after, sizeof after);
		assert_false(is_there(s, ".kura-new") || is_there(s, ".kura-old"));
		crypt_key_close(&key);
	}
	assert_memory_not_equal(before, after, sizeof after);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_ciphertext, setup, teardown),
		cmocka_unit_test_setup_teardown(test_units_of_4k, setup, teardown),
		cmocka_unit_test_setup_teardown(test_zeroes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_zeroes_emulated, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pieces, setup, teardown),
		cmocka_unit_test_setup_teardown(test_long, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_room, setup, teardown),
		cmocka_unit_test_setup_teardown(test_error_below, setup, teardown),
		cmocka_unit_test_setup_teardown(test_restart, setup, teardown),
		cmocka_unit_test_setup_teardown(test_key_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_key_in_use, setup, teardown),
		cmocka_unit_test_setup_teardown(test_rekey, setup, teardown),
		cmocka_unit_test_setup_teardown(test_rekey_link, setup, teardown),
		cmocka_unit_test_setup_teardown(test_rekey_busy, setup, teardown),
		cmocka_unit_test_setup_teardown(test_rekey_channels, setup, teardown),
		cmocka_unit_test_setup_teardown(test_torn, setup, teardown),
		cmocka_unit_test_setup_teardown(test_killed, setup, teardown),
	};

	return cmocka_run_group_tests_name("crypt", tests, NULL, NULL);
}
