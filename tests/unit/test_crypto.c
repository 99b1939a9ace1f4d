// SPDX-License-Identifier: Apache-2.0
/*
 * test_crypto.c: AES-256-XTS against the vectors of IEEE 1619 annex B, digests, and where the keys
 * are while they are in use and afterwards: nowhere that a core dump shows, and then nowhere at
 * all.
 */
#include "common/crypto.h"

#include "common/own.h"
#include "common/secret.h"

#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

static void hex_of(const uint8_t *bytes, size_t len, char *text)
{
	for (size_t i = 0; i < len; i++)
		snprintf(text + 2 * i, 3, "%02x", bytes[i]);
}

static void hex_parse(const char *text, uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		unsigned v;

		assert_int_equal(sscanf(text + 2 * i, "%2x", &v), 1);
		bytes[i] = (uint8_t)v;
	}
}

static void expect_hex(const uint8_t *bytes, size_t len, const char *want)
{
	char text[129];

	assert_true(len <= 64);
	hex_of(bytes, len, text);
	assert_string_equal(text, want);
}

/* ---- digests ---- */

static void expect_digest(enum crypto_digest_id id, const char *want)
{
	const struct crypto_piece pieces[] = { { "a", 1 }, { "", 0 }, { "bc", 2 } };
	uint8_t out[CRYPTO_DIGEST_MAX];
	unsigned n = crypto_digest(id, pieces, own_array_len(pieces), out);

	assert_int_equal(n, strlen(want) / 2);
	expect_hex(out, n, want);
}

static void test_digests(void **state)
{
	(void)state;
	expect_digest(CRYPTO_MD5, "900150983cd24fb0d6963f7d28e17f72");
	expect_digest(CRYPTO_SHA1, "a9993e364706816aba3e25717850c26c9cd0d89d");
	expect_digest(
		CRYPTO_SHA256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	expect_digest(CRYPTO_SHA3_256,
		"3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532");
}

static void test_same(void **state)
{
	(void)state;
	assert_true(crypto_same("abcd", "abcd", 4));
	assert_true(crypto_same("abcd", "abce", 3));
	assert_false(crypto_same("abcd", "abce", 4));
}

/* ---- IEEE 1619 annex B, XTS-AES-256, 512 bytes ---- */

#define IEEE_KEY                                                                                   \
	"2718281828459045235360287471352662497757247093699959574966967627"                         \
	"3141592653589793238462643383279502884197169399375105820974944592"

static const struct {
	uint64_t number;
	const char *head, *tail, *sha256; /* 32 bytes of the ciphertext; of all of it */
} ieee[] = {
	{ 0xff, "1c3b3a102f770386e4836c99e370cf9bea00803f5e482357a4ae12d414a3e63b",
		"773dad38014bd2092fa755c824bb5e54c4f36ffda9fcea70b9c6e693e148c151",
		"e97e974fa393af794f7a4684395814cf820de60a01eaec677d87b452e316b364" },
	{ 0xffff, "77a31251618a15e6b92d1d66dffe7b50b50bad552305ba0217a610688eff7e11",
		"54fbff89eeaeea791f4a7ab1f9868294a4f9e27b42af8100cb9d59cef9645803",
		"def4fad29e95dfe1a24b1ad4620f86d7be094cced5b19e0b121aa82d9e6baf98" },
	{ 0xffffff, "e387aaa58ba483afa7e8eb469778317ecf4cf573aa9d4eac23f2cdf914e4e200",
		"ed242c8900dd1fa965bc950dfce09b132263a1eef52dd6888c309f5a7d712826",
		"8bf44861a081dd660d91ce615b5cdfb4d5df9d72c3025c12e67cc0ae097fa5d5" },
	{ 0xffffffff, "bf53d2dade78e822a4d949a9bc6766b01b06a8ef70d26748c6a7fc36d80ae4c5",
		"f6516139420fcff3b7361d86322c4bd84c82f335abb152c4a93411373aaa8220",
		"c706140a11affda7402234f5e6331eacbfeb687d8e80d83962691823bb3636f0" },
	{ 0xffffffffff, "64497e5a831e4a932c09be3e5393376daa599548b816031d224bbf50a818ed23",
		"6975be5e0b4efce51cd3e70c25a1fbbbd609d273ad5b0d59631c531f6a0a57b9",
		"afba71abc4e95b186d89a63a5437c1bafcfd1a18ca273970c534aba4f8d05282" },
};

static void test_vectors(void **state)
{
	uint8_t key[CRYPTO_XTS_KEY], plain[512], out[512], back[512], sum[CRYPTO_DIGEST_MAX];
	const struct crypto_piece all = { out, sizeof out };
	struct crypto_xts *encrypt, *decrypt;

	(void)state;
	hex_parse(IEEE_KEY, key, sizeof key);
	for (unsigned i = 0; i < sizeof plain; i++)
		plain[i] = (uint8_t)i;
	encrypt = crypto_xts_new(key, true);
	decrypt = crypto_xts_new(key, false);
	for (unsigned i = 0; i < own_array_len(ieee); i++) {
		crypto_xts_unit(encrypt, ieee[i].number, plain, out, sizeof out);
		expect_hex(out, 32, ieee[i].head);
		expect_hex(out + 480, 32, ieee[i].tail);
		assert_int_equal(crypto_digest(CRYPTO_SHA256, &all, 1, sum), 32);
		expect_hex(sum, 32, ieee[i].sha256);
		crypto_xts_unit(decrypt, ieee[i].number, out, back, sizeof back);
		assert_memory_equal(back, plain, sizeof plain);
		crypto_xts_unit(decrypt, ieee[i].number, out, out, sizeof out); /* in place */
		assert_memory_equal(out, plain, sizeof plain);
	}
	crypto_xts_free(encrypt);
	crypto_xts_free(decrypt);
}

static void test_equal_halves(void **state)
{
	uint8_t key[CRYPTO_XTS_KEY] = { 0 };

	(void)state;
	assert_null(crypto_xts_new(key, true));
}

/* ---- where keys are ---- */

/* The bytes of key `seed`, without the key itself ever lying in one piece. */
static uint8_t key_byte(unsigned seed, unsigned i)
{
	uint32_t v = (seed * 64 + i + 1) * 2654435761u;

	return (uint8_t)(v >> 24 ^ v >> 11);
}

static void key_make(uint8_t *key, unsigned seed)
{
	for (unsigned i = 0; i < CRYPTO_XTS_KEY; i++)
		key[i] = key_byte(seed, i);
}

/* Whether a quarter of the key is here. */
static bool key_is(const uint8_t *bytes, unsigned seed, unsigned quarter)
{
	unsigned i = 0;

	while (i < 16 && bytes[i] == key_byte(seed, quarter + i))
		i++;
	return i == 16;
}

/* Places in `len` bytes where a quarter of the key begins. */
static unsigned key_count(const uint8_t *bytes, size_t len, unsigned seed)
{
	const uint8_t *end = len < 16 ? bytes : bytes + len - 15;
	unsigned found = 0;

	for (unsigned quarter = 0; quarter < CRYPTO_XTS_KEY; quarter += 16) {
		const uint8_t *p = bytes;

		while ((p = memchr(p, key_byte(seed, quarter), (size_t)(end - p))))
			found += key_is(p++, seed, quarter);
	}
	return found;
}

struct search {
	FILE *maps;
	int mem;
	uint8_t *copy; /* of a stretch of memory */
	unsigned seed;
	unsigned dumped, hidden; /* places found in memory of either kind */
};

#define SEARCH_COPY (1u << 20)

static unsigned search_range(const struct search *s, uint64_t from, uint64_t to)
{
	unsigned found = 0;

	while (from < to) {
		size_t len = to - from < SEARCH_COPY ? to - from : SEARCH_COPY;
		ssize_t n = pread(s->mem, s->copy, len, (off_t)from);

		if (n <= 0)
			break;
		found += key_count(s->copy, (size_t)n, s->seed);
		from += (uint64_t)n;
	}
	explicit_bzero(s->copy, SEARCH_COPY);
	return found;
}

/* One entry of smaps after the other: addresses, what is resident, and the flags at its end. */
static void search_all(struct search *s)
{
	unsigned long long a, b, from = 0, to = 0, resident = 0;
	char line[512], mode[5] = "";

	while (fgets(line, sizeof line, s->maps)) {
		if (sscanf(line, "%llx-%llx %4s", &a, &b, mode) == 3) {
			from = a;
			to = b;
			continue;
		}
		(void)!sscanf(line, "Rss: %llu", &resident);
		if (strncmp(line, "VmFlags:", 8) || mode[1] != 'w' || !resident ||
			to - from > 1ull << 30 ||
			((uintptr_t)s->copy >= from && (uintptr_t)s->copy < to))
			continue;
		if (strstr(line, " dd"))
			s->hidden += search_range(s, from, to);
		else
			s->dumped += search_range(s, from, to);
	}
}

/* What this process has of a key. */
static struct search search_key(unsigned seed)
{
	struct search s = { .seed = seed };

	s.maps = fopen("/proc/self/smaps", "re");
	s.mem = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
	s.copy = aligned_alloc(4096, SEARCH_COPY);
	own_assert(s.maps && s.mem >= 0 && s.copy);
	search_all(&s);
	free(s.copy);
	close(s.mem);
	fclose(s.maps);
	return s;
}

static void expect_key(unsigned seed, unsigned hidden_least, unsigned hidden_most)
{
	struct search s = search_key(seed);

	assert_int_equal(s.dumped, 0);
	assert_in_range(s.hidden, hidden_least, hidden_most);
}

static void test_hidden(void **state)
{
	uint8_t *key = secret_room(), block[512] = "hidden";
	struct crypto_xts *encrypt, *decrypt;

	(void)state;
	expect_key(1, 0, 0);
	key_make(key, 1);
	expect_key(1, 4, 4);
	encrypt = crypto_xts_new(key, true);
	decrypt = crypto_xts_new(key, false);
	crypto_xts_unit(encrypt, 7, block, block, sizeof block);
	crypto_xts_unit(decrypt, 7, block, block, sizeof block);
	assert_string_equal((char *)block, "hidden");
	expect_key(1, 8, 32);
	key_make(key, 2);
	crypto_xts_rekey(encrypt, key);
	crypto_xts_rekey(decrypt, key);
	expect_key(1, 0, 0);
	expect_key(2, 8, 32);
	crypto_xts_unit(encrypt, 7, block, block, sizeof block);
	crypto_xts_unit(decrypt, 7, block, block, sizeof block);
	assert_string_equal((char *)block, "hidden");
	crypto_xts_free(encrypt);
	crypto_xts_free(decrypt);
	expect_key(2, 4, 4);
	secret_free(key);
	expect_key(2, 0, 0);
}

/* The search itself sees what lies about. */
static void test_search(void **state)
{
	uint8_t *key = malloc(CRYPTO_XTS_KEY);

	(void)state;
	key_make(key, 3);
	assert_int_equal(search_key(3).dumped, 4);
	explicit_bzero(key, CRYPTO_XTS_KEY);
	free(key);
	assert_int_equal(search_key(3).dumped, 0);
}

/* ---- no allocation on the data path ---- */

#ifndef __SANITIZE_ADDRESS__
static void test_no_allocation(void **state)
{
	uint8_t key[CRYPTO_XTS_KEY], block[4096] = "";
	struct crypto_xts *x;
	struct mallinfo2 before, after;

	(void)state;
	key_make(key, 4);
	x = crypto_xts_new(key, true);
	before = mallinfo2();
	for (unsigned i = 0; i < 1000; i++)
		crypto_xts_unit(x, i, block, block, sizeof block);
	after = mallinfo2();
	assert_int_equal(after.uordblks, before.uordblks);
	crypto_xts_free(x);
}
#endif

/* Keys come and go on several threads at once. */
static void *churn(void *arg)
{
	uint8_t key[CRYPTO_XTS_KEY], a[512] = "churn", b[512];

	key_make(key, (unsigned)(uintptr_t)arg);
	for (unsigned i = 0; i < 200; i++) {
		struct crypto_xts *encrypt = crypto_xts_new(key, true);
		struct crypto_xts *decrypt = crypto_xts_new(key, false);

		crypto_xts_unit(encrypt, i, a, b, sizeof b);
		crypto_xts_unit(decrypt, i, b, b, sizeof b);
		crypto_xts_free(encrypt);
		crypto_xts_free(decrypt);
		if (memcmp(a, b, sizeof b))
			return arg;
	}
	return NULL;
}

static void test_threads(void **state)
{
	pthread_t thread[4];

	(void)state;
	for (uintptr_t i = 0; i < own_array_len(thread); i++)
		assert_int_equal(pthread_create(&thread[i], NULL, churn, (void *)(5 + i)), 0);
	for (unsigned i = 0; i < own_array_len(thread); i++) {
		void *wrong;

		pthread_join(thread[i], &wrong);
		assert_null(wrong);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_digests),
		cmocka_unit_test(test_same),
		cmocka_unit_test(test_vectors),
		cmocka_unit_test(test_equal_halves),
		cmocka_unit_test(test_search),
		cmocka_unit_test(test_hidden),
#ifndef __SANITIZE_ADDRESS__
		cmocka_unit_test(test_no_allocation),
#endif
		cmocka_unit_test(test_threads),
	};

	return cmocka_run_group_tests_name("crypto", tests, NULL, NULL);
}
