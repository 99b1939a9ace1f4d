/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_parts: the parts of the generator that can be wrong without a target noticing: histogram,
 * CRC32C, stamps, and the send queue with a socket that never takes all of it.
 */
#include "tests/bench/crc.h"
#include "tests/bench/hist.h"
#include "tests/bench/stamp.h"
#include "tests/bench/tx.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static void near(uint64_t got, uint64_t want)
{
	uint64_t slack = want / 60 + 1;

	assert_in_range(got, want - slack, want + slack);
}

static void hist_quantiles_are_near(void **state)
{
	struct hist *h = calloc(1, sizeof *h);

	(void)state;
	assert_int_equal(hist_quantile(h, 0.5), 0);
	for (uint64_t v = 1; v <= 100000; v++)
		hist_add(h, v * 1000);
	near(hist_quantile(h, 0.5), 50000000);
	near(hist_quantile(h, 0.99), 99000000);
	near(hist_quantile(h, 0.999), 99900000);
	assert_int_equal(h->max, 100000000);
	near((uint64_t)hist_mean(h), 50000500);
	free(h);
}

static void hist_takes_every_value(void **state)
{
	struct hist *h = calloc(1, sizeof *h), *sum = calloc(1, sizeof *sum);

	(void)state;
	for (unsigned int bit = 0; bit < 64; bit++)
		hist_add(h, (uint64_t)1 << bit);
	hist_add(h, UINT64_MAX);
	hist_add(h, 0);
	hist_merge(sum, h);
	hist_merge(sum, h);
	assert_int_equal(sum->count, 132);
	assert_true(sum->max == UINT64_MAX);
	assert_int_equal(hist_quantile(sum, 0), 0);
	free(h);
	free(sum);
}

/* The examples of RFC 7143 B.4. */
static void crc_matches_the_rfc(void **state)
{
	static const uint8_t of_zeros[4] = { 0xaa, 0x36, 0x91, 0x8a };
	static const uint8_t of_ones[4] = { 0x43, 0xab, 0xa8, 0x62 };
	static const uint8_t of_rising[4] = { 0x4e, 0x79, 0xdd, 0x46 };
	uint8_t data[32];

	(void)state;
	crc_init();
	memset(data, 0, sizeof data);
	assert_true(crc_matches(of_zeros, crc_add(CRC_INIT, data, sizeof data)));
	memset(data, 0xff, sizeof data);
	assert_true(crc_matches(of_ones, crc_add(CRC_INIT, data, sizeof data)));
	for (uint8_t i = 0; i < sizeof data; i++)
		data[i] = i;
	for (size_t cut = 0; cut <= sizeof data; cut++) {
		uint32_t crc = crc_add(CRC_INIT, data, cut);

		assert_true(crc_matches(of_rising, crc_add(crc, data + cut, sizeof data - cut)));
	}
	data[7] ^= 1;
	assert_false(crc_matches(of_rising, crc_add(CRC_INIT, data, sizeof data)));
}

static void stamp_tells_what_is_wrong(void **state)
{
	uint8_t now[4096], then[4096];
	char why[200];

	(void)state;
	stamp_fill(now, sizeof now, 81920, 7, 99);
	assert_int_equal(stamp_check(now, sizeof now, 81920, 7, 99, why, sizeof why), 0);
	assert_int_not_equal(stamp_check(now, sizeof now, 86016, 7, 99, why, sizeof why), 0);
	assert_int_not_equal(stamp_check(now, sizeof now, 81920, 8, 99, why, sizeof why), 0);
	assert_int_not_equal(stamp_check(now, sizeof now, 81920, 7, 98, why, sizeof why), 0);
	/* Torn: the last block is of the write before. */
	stamp_fill(then, sizeof then, 81920, 6, 99);
	memcpy(now + 3584, then + 3584, 512);
	assert_int_not_equal(stamp_check(now, sizeof now, 81920, 7, 99, why, sizeof why), 0);
	assert_non_null(strstr(why, "number 167"));
	assert_non_null(strstr(why, "write 6"));
}

/* The byte at a place of the stream that the queue test sends. */
static uint8_t stream_byte(size_t at)
{
	return (uint8_t)(at * 2654435761u >> 13);
}

static void stream_fill(uint8_t *p, size_t at, size_t len)
{
	for (size_t i = 0; i < len; i++)
		p[i] = stream_byte(at + i);
}

/* Receives what is there, at most `most` bytes, and checks it; returns the new place. */
static size_t stream_drain(int fd, size_t at, size_t most)
{
	uint8_t buf[4096];
	ssize_t n = recv(fd, buf, most < sizeof buf ? most : sizeof buf, MSG_DONTWAIT);

	for (ssize_t i = 0; i < n; i++)
		assert_int_equal(buf[i], stream_byte(at + (size_t)i));
	return at + (n > 0 ? (size_t)n : 0);
}

static void tx_keeps_the_order(void **state)
{
	const size_t pieces = 20000;
	struct tx *q = calloc(1, sizeof *q);
	uint8_t *out = malloc(pieces * 700);
	size_t queued = 0, seen = 0;
	int fd[2], small = 4096;
	bool blocked = false;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	setsockopt(fd[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
	for (size_t i = 0; i < pieces; i++) {
		size_t len = 1 + (size_t)rand() % 200;

		stream_fill(out + queued, queued, len);
		if (i % 3)
			memcpy(tx_bytes(q, len), out + queued, len);
		else
			tx_data(q, out + queued, len);
		queued += len;
		if (i % 5 == 0)
			assert_int_equal(tx_flush(q, fd[0]), 0);
		blocked |= q->blocked;
		seen = stream_drain(fd[1], seen, 90);
	}
	assert_true(blocked);
	while (seen < queued) {
		assert_int_equal(tx_flush(q, fd[0]), 0);
		seen = stream_drain(fd[1], seen, 4096);
	}
	assert_int_equal(tx_flush(q, fd[0]), 0);
	assert_false(q->blocked);
	/* What was sent was given back, more than once. */
	assert_in_range(q->cap, 1, queued / 2);
	tx_fini(q);
	free(q);
	free(out);
	close(fd[0]);
	close(fd[1]);
}

static void tx_says_when_the_peer_is_gone(void **state)
{
	struct tx *q = calloc(1, sizeof *q);
	int fd[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	close(fd[1]);
	memset(tx_bytes(q, 10), 0, 10);
	assert_true(tx_flush(q, fd[0]) < 0);
	tx_fini(q);
	free(q);
	close(fd[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hist_quantiles_are_near),
		cmocka_unit_test(hist_takes_every_value),
		cmocka_unit_test(crc_matches_the_rfc),
		cmocka_unit_test(stamp_tells_what_is_wrong),
		cmocka_unit_test(tx_keeps_the_order),
		cmocka_unit_test(tx_says_when_the_peer_is_gone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
