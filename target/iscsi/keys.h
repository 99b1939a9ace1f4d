/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keys.h: the text of login and text PDUs: pairs of key and value, and what is answered to them.
 *
 * Text goes in as bytes and answers come out as bytes; nothing here knows a connection, a PDU or a
 * session, so the whole of it can be driven by a test or a fuzzer. Any thread; no state but what is
 * passed.
 */
#ifndef KURA_TARGET_ISCSI_KEYS_H
#define KURA_TARGET_ISCSI_KEYS_H

#include "target/iscsi/conn.h"

#define KEYS_NAME_MAX  63  /* bytes of a key, RFC 7143 6.1 */
#define KEYS_VALUE_MAX 255 /* bytes of a simple value, RFC 7143 6.1 */
/* Pairs in one text. There are fewer than 40 keys, so only somebody who makes some up comes near.
 */
#define KEYS_PAIRS_MAX 128
#define KEYS_TEXT_MAX  (64u << 10) /* bytes of one text over all its PDUs, RFC 7143 6.2 */
/* Bytes of one answer: what we say ourselves, the list of all our targets; no peer decides it. */
#define KEYS_OUT_MAX (16u << 20)

enum keys_id {
#define KEY_TEXT(id, ...)   KEYS_##id,
#define KEY_LIST(id, ...)   KEYS_##id,
#define KEY_BOOL(id, ...)   KEYS_##id,
#define KEY_NUMBER(id, ...) KEYS_##id,
#define KEY_GONE(id, ...)   KEYS_##id,
#include "target/iscsi/keys.def"
#undef KEY_TEXT
#undef KEY_LIST
#undef KEY_BOOL
#undef KEY_NUMBER
#undef KEY_GONE
	KEYS_COUNT
};
_Static_assert(KEYS_COUNT <= 64, "a key is a bit of struct keys");

/* The stages in which text is exchanged: bits, so that a key can name several. */
enum keys_stage { KEYS_SECURITY = 1, KEYS_OPERATE = 2, KEYS_FULL = 4 };

/* Bytes that grow up to `most`. */
struct keys_text {
	uint8_t *data; /* owned */
	uint32_t len, room;
	uint32_t most; /* bytes */
	int err;       /* sticky: -ENOMEM, or -ENOBUFS beyond `most` */
};

/* One negotiation: all of a login, or one exchange of text requests. */
struct keys {
	enum keys_stage stage;        /* of the text that comes next; the caller moves it */
	bool discovery;               /* SessionType=Discovery was said */
	bool joining;                 /* the session is there: its keys are settled */
	uint64_t seen;                /* bits of keys that the initiator has said */
	uint64_t declared;            /* and that we have said ourselves */
	uint64_t given;               /* said in the last text */
	uint64_t rejected;            /* and answered with Reject */
	uint32_t value[KEYS_COUNT];   /* results; of a list the index of the choice */
	uint32_t ours[KEYS_COUNT];    /* our side of numbers; the row's unless the caller says so */
	const char *text[KEYS_COUNT]; /* KEY_TEXT of the last text, borrowed from it; or NULL */
	const char *rule;             /* what was broken when keys_negotiate said -EBADMSG */
};

/* The bit of a key in the masks of struct keys. */
static inline uint64_t keys_bit(enum keys_id id)
{
	return 1ull << id;
}

/* Begins a negotiation: nothing said, every value its default. */
void keys_init(struct keys *k, enum keys_stage stage, bool discovery);

/*
 * Takes a whole text (`len` bytes, all its PDUs put together) and appends the answers to `out`, in
 * the order of the offers. The text is borrowed, and k->text[] points into it. Returns 0, -EBADMSG
 * for text that is malformed or says a key twice (k->rule names the section), -E2BIG for more than
 * KEYS_PAIRS_MAX pairs, or out->err. After an error the negotiation is over.
 */
int keys_negotiate(struct keys *k, const uint8_t *text, size_t len, struct keys_text *out);

/* Appends a pair to `out`, and marks the key as declared. */
void keys_declare(struct keys *k, enum keys_id id, const char *value, struct keys_text *out);

/* The same for a number; ours, when the row has one. */
void keys_declare_ours(struct keys *k, enum keys_id id, struct keys_text *out);

/* Writes what was negotiated to `p`; never a FirstBurstLength above MaxBurstLength. */
void keys_params(const struct keys *k, struct conn_params *p);

/* Whether a list, its items separated by commas, has this one. */
bool keys_list_has(const char *list, const char *item);

/* The name of a key as it is written; static. */
const char *keys_name(enum keys_id id);

/* Reads a decimal or hexadecimal number below 2^32 (RFC 7143 6.1); false: it is none. */
bool keys_number(const char *text, uint32_t *value);

/* Appends bytes; an error sticks in t->err, and nothing is appended after it. */
void keys_text_add(struct keys_text *t, const void *data, size_t len);

/* Appends "key=value" and its NUL. */
void keys_text_pair(struct keys_text *t, const char *key, const char *value);

/* Frees the bytes; `t` is empty afterwards and can be used again. */
void keys_text_free(struct keys_text *t);

#endif
