// SPDX-License-Identifier: Apache-2.0
/*
 * crypto.c: the one file that knows libcrypto.
 *
 * An expanded key is as good as the key, and libcrypto would put it anywhere on the heap, where a
 * core dump shows it. So its allocations are ours: while a thread prepares a key they come from a
 * vault of pages that are not dumped, one page each, and are wiped when they are freed.
 */
#include "common/crypto.h"

#include "common/log.h"
#include "common/own.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>

/* ---- the vault ---- */

#define VAULT_PAGE  4096u
#define VAULT_PAGES 65536u /* addresses only; a key takes two or three pages */

static struct {
	pthread_mutex_t lock;
	uint8_t *base; /* VAULT_PAGES pages; memory comes with their first use */
	uint32_t next; /* pages from here on were never used */
	uint8_t *free; /* the first free one, which begins with where the next is */
} vault = { .lock = PTHREAD_MUTEX_INITIALIZER };

static _Thread_local unsigned vault_open; /* allocations of this thread are for keys */

static bool is_in_vault(const void *p)
{
	const uint8_t *at = p;

	return vault.base && at >= vault.base && at < vault.base + VAULT_PAGES * VAULT_PAGE;
}

static void *vault_get(size_t len)
{
	void *p = NULL;

	if (len > VAULT_PAGE)
		return NULL;
	pthread_mutex_lock(&vault.lock);
	if (vault.free) {
		p = vault.free;
		memcpy(&vault.free, p, sizeof vault.free);
	} else if (vault.next < VAULT_PAGES) {
		p = vault.base + (size_t)vault.next++ * VAULT_PAGE;
	}
	pthread_mutex_unlock(&vault.lock);
	return p;
}

static void vault_put(uint8_t *p)
{
	explicit_bzero(p, VAULT_PAGE);
	pthread_mutex_lock(&vault.lock);
	memcpy(p, &vault.free, sizeof vault.free);
	vault.free = p;
	pthread_mutex_unlock(&vault.lock);
}

static void *crypto_malloc(size_t len, const char *file, int line)
{
	(void)file;
	(void)line;
	return vault_open ? vault_get(len) : malloc(len);
}

static void *crypto_realloc(void *p, size_t len, const char *file, int line)
{
	if (!p)
		return crypto_malloc(len, file, line);
	if (is_in_vault(p)) /* its page is all that it can have */
		return len <= VAULT_PAGE ? p : NULL;
	return realloc(p, len);
}

static void crypto_free(void *p, const char *file, int line)
{
	(void)file;
	(void)line;
	if (is_in_vault(p))
		vault_put(p);
	else
		free(p);
}

/* ---- what is made once ---- */

static struct {
	pthread_once_t once;
	EVP_CIPHER *xts; /* NULL: not to be had */
} made = { .once = PTHREAD_ONCE_INIT };

static void crypto_setup(void)
{
	void *base = mmap(NULL, (size_t)VAULT_PAGES * VAULT_PAGE, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	own_assert(base != MAP_FAILED);
	(void)madvise(base, (size_t)VAULT_PAGES * VAULT_PAGE, MADV_DONTDUMP);
	vault.base = base;
	/* refused when another library of this process has used libcrypto before */
	if (!CRYPTO_set_mem_functions(crypto_malloc, crypto_realloc, crypto_free))
		log_warn("crypto: a core dump would show keys, for another library was first to "
			 "use libcrypto",
			"library=%s", OpenSSL_version(OPENSSL_VERSION));
	made.xts = EVP_CIPHER_fetch(NULL, "AES-256-XTS", NULL);
}

static void crypto_ready(void)
{
	own_assert(pthread_once(&made.once, crypto_setup) == 0);
}

/* ---- digests and comparing ---- */

unsigned crypto_digest(enum crypto_digest_id id, const struct crypto_piece *pieces, unsigned n,
	uint8_t out[CRYPTO_DIGEST_MAX])
{
	static const EVP_MD *(*const rows[])(void) = {
		[CRYPTO_MD5] = EVP_md5,
		[CRYPTO_SHA1] = EVP_sha1,
		[CRYPTO_SHA256] = EVP_sha256,
		[CRYPTO_SHA3_256] = EVP_sha3_256,
	};
	EVP_MD_CTX *ctx;
	unsigned len = 0;
	bool good;

	crypto_ready();
	ctx = EVP_MD_CTX_new();
	good = ctx && EVP_DigestInit_ex(ctx, rows[id](), NULL) &&
	       EVP_MD_CTX_size(ctx) <= CRYPTO_DIGEST_MAX;
	for (unsigned i = 0; i < n && good; i++)
		good = EVP_DigestUpdate(ctx, pieces[i].data, pieces[i].len);
	if (!good || !EVP_DigestFinal_ex(ctx, out, &len))
		len = 0;
	EVP_MD_CTX_free(ctx); /* wipes what it held */
	return len;
}

bool crypto_same(const void *a, const void *b, size_t len)
{
	return CRYPTO_memcmp(a, b, len) == 0;
}

/* ---- AES-256-XTS ---- */

struct crypto_xts {
	EVP_CIPHER_CTX *ctx; /* in the vault, and so is the expanded key */
	int encrypt;         /* as libcrypto wants it */
};

struct crypto_xts *crypto_xts_new(const uint8_t key[CRYPTO_XTS_KEY], bool encrypt)
{
	struct crypto_xts *x = own_calloc(1, sizeof *x);
	bool good;

	crypto_ready();
	x->encrypt = encrypt;
	vault_open++;
	x->ctx = EVP_CIPHER_CTX_new();
	good = made.xts && x->ctx &&
	       EVP_CipherInit_ex2(x->ctx, made.xts, key, NULL, x->encrypt, NULL);
	vault_open--;
	if (good)
		return x;
	crypto_xts_free(x);
	return NULL;
}

void crypto_xts_free(struct crypto_xts *x)
{
	if (!x)
		return;
	EVP_CIPHER_CTX_free(x->ctx);
	free(x);
}

void crypto_xts_rekey(struct crypto_xts *x, const uint8_t key[CRYPTO_XTS_KEY])
{
	int good;

	vault_open++;
	good = EVP_CipherInit_ex2(x->ctx, NULL, key, NULL, x->encrypt, NULL);
	vault_open--;
	own_assert(good);
}

void crypto_xts_unit(
	struct crypto_xts *x, uint64_t number, const uint8_t *in, uint8_t *out, uint32_t len)
{
	uint8_t tweak[16] = { 0 };
	int moved = 0;

	for (unsigned i = 0; i < 8; i++) /* little-endian, IEEE 1619 5.1 */
		tweak[i] = (uint8_t)(number >> 8 * i);
	own_assert(EVP_CipherInit_ex2(x->ctx, NULL, NULL, tweak, x->encrypt, NULL) &&
		   EVP_CipherUpdate(x->ctx, out, &moved, in, (int)len) && (uint32_t)moved == len);
}
