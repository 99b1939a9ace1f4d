// SPDX-License-Identifier: Apache-2.0
/*
 * fuzz_text.c: the text of login and text requests. The first byte says how the negotiation begins,
 * 0xff parts one request from the next.
 */
#include "tests/fuzz/fuzz.h"

#include "target/iscsi/keys.h"

#define ANSWER_MAX (1u << 20)

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	return 0;
}

/* Results lie in the ranges of RFC 7143 13 whatever was offered. */
static void check_params(const struct keys *k)
{
	struct conn_params p = { 0 };

	keys_params(k, &p);
	fuzz_check(p.max_xmit >= 512 && p.max_xmit <= 16777215);
	fuzz_check(p.max_burst >= 512 && p.max_burst <= 16777215);
	fuzz_check(p.first_burst >= 512 && p.first_burst <= p.max_burst);
	fuzz_check(p.max_outstanding_r2t >= 1 && p.max_outstanding_r2t <= 65535);
	fuzz_check(p.time2wait <= 3600 && p.time2retain <= 3600);
}

/* An answer is text again: items with a key, a value and a NUL. */
static void check_answer(const struct keys_text *out)
{
	const uint8_t *at = out->data, *end = out->data ? out->data + out->len : NULL;

	while (at < end) {
		const uint8_t *nul = memchr(at, 0, (size_t)(end - at));

		fuzz_check(nul && memchr(at, '=', (size_t)(nul - at)));
		at = nul + 1;
	}
}

/* One request; the bytes are in memory of exactly their length. */
static int negotiate(struct keys *k, const uint8_t *data, size_t len)
{
	struct keys_text out = { .most = ANSWER_MAX };
	uint8_t *text = len ? malloc(len) : NULL; /* as an empty data segment comes */
	int err;

	fuzz_check(text || !len);
	if (text)
		memcpy(text, data, len);
	err = keys_negotiate(k, text, len, &out);
	if (err == 0) {
		check_answer(&out);
		check_params(k);
	} else {
		fuzz_check(err != -EBADMSG || k->rule);
	}
	for (unsigned i = 0; err == 0 && i < KEYS_COUNT; i++)
		fuzz_check(!k->text[i] || strlen(k->text[i]) <= len);
	keys_text_free(&out);
	free(text);
	return err;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const enum keys_stage stages[4] = { KEYS_SECURITY, KEYS_OPERATE, KEYS_FULL,
		KEYS_OPERATE };
	struct keys k;

	if (size == 0)
		return 0;
	keys_init(&k, stages[data[0] & 3], data[0] & 4);
	data++;
	size--;
	while (size > 0) {
		const uint8_t *stop = memchr(data, 0xff, size);
		size_t len = stop ? (size_t)(stop - data) : size;

		if (negotiate(&k, data, len))
			break;
		if (k.stage != KEYS_FULL)
			k.stage = (enum keys_stage)(k.stage << 1);
		if (!stop)
			break;
		data += len + 1;
		size -= len + 1;
	}
	return 0;
}
