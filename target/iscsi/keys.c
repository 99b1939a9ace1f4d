// SPDX-License-Identifier: Apache-2.0
/*
 * keys.c: cuts text into pairs, finds each key's row in keys.def, and makes the answer that its
 * result function says.
 *
 * A text is answered in three steps: all pairs are found and checked, then they are negotiated (in
 * an order of our own, because one key can depend on another that stands behind it), then the
 * answers are written in the order of the offers. What can fail: text that is malformed or says a
 * key twice ends the negotiation; a value that is not allowed is answered with Reject.
 */
#include "target/iscsi/keys.h"

#include "common/own.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum keys_kind { KIND_TEXT, KIND_LIST, KIND_BOOL, KIND_NUMBER, KIND_GONE };
enum keys_result { RESULT_AND, RESULT_OR, RESULT_MIN, RESULT_MAX, RESULT_DECLARE };
enum keys_sender { SENDER_INITIATOR, SENDER_TARGET, SENDER_BOTH };
enum keys_irrelevant { IRRELEVANT_NEVER, IRRELEVANT_DISCOVERY, IRRELEVANT_UNSOLICITED };

/* The words in which keys.def speaks of stages. */
enum { SECURITY = KEYS_SECURITY, OPERATE = KEYS_OPERATE, FULL = KEYS_FULL };
enum { LOGIN = KEYS_SECURITY | KEYS_OPERATE };
/* Beside the stages: by the first connection of a session only. */
enum { LEADING = 8, LEAD = KEYS_OPERATE | LEADING };

struct keys_row {
	const char *name;
	enum keys_kind kind;
	unsigned stages; /* union of enum keys_stage */
	enum keys_sender sender;
	enum keys_irrelevant irrelevant;
	enum keys_result result;
	uint32_t initial;    /* what holds when nobody says it */
	uint32_t ours;       /* our side of the result function */
	uint32_t least;      /* numbers: legal range */
	uint32_t most;       /* the same; of text: bytes */
	const char *choices; /* lists: what we know; of KEY_GONE the answer */
};

/* clang-format off */
static const struct keys_row keys_rows[KEYS_COUNT] = {
#define KEY_TEXT(id, key, who, when, bytes) \
	[KEYS_##id] = { .name = key, .kind = KIND_TEXT, .sender = SENDER_##who, .stages = when, \
		.most = bytes },
#define KEY_LIST(id, key, when, unless, known, param) \
	[KEYS_##id] = { .name = key, .kind = KIND_LIST, .sender = SENDER_BOTH, .stages = when, \
		.irrelevant = IRRELEVANT_##unless, .choices = known },
#define KEY_BOOL(id, key, when, unless, function, at_first, mine, param) \
	[KEYS_##id] = { .name = key, .kind = KIND_BOOL, .sender = SENDER_BOTH, .stages = when, \
		.irrelevant = IRRELEVANT_##unless, .result = RESULT_##function, \
		.initial = at_first, .ours = mine },
#define KEY_NUMBER(id, key, when, unless, function, at_first, mine, low, high, param) \
	[KEYS_##id] = { .name = key, .kind = KIND_NUMBER, .sender = SENDER_BOTH, .stages = when, \
		.irrelevant = IRRELEVANT_##unless, .result = RESULT_##function, \
		.initial = at_first, .ours = mine, .least = low, .most = high },
#define KEY_GONE(id, key, answer) \
	[KEYS_##id] = { .name = key, .kind = KIND_GONE, .sender = SENDER_BOTH, .stages = OPERATE, \
		.choices = answer },
#include "target/iscsi/keys.def"
#undef KEY_TEXT
#undef KEY_LIST
#undef KEY_BOOL
#undef KEY_NUMBER
#undef KEY_GONE
};
/* clang-format on */

/* One key=value of a text, and what is answered to it. */
struct keys_pair {
	const char *key; /* in the text; key_len bytes, not ended by NUL */
	size_t key_len;
	const char *value; /* in the text, ended by NUL */
	size_t value_len;
	int id;             /* enum keys_id, or -1: nobody knows it */
	const char *answer; /* NULL: none; "": in `made` */
	char made[24];      /* an answer that is made: a number, a choice of ours */
};

struct keys_pairs {
	unsigned count;
	struct keys_pair pair[KEYS_PAIRS_MAX];
};

/* ---- growing text ---- */

static bool text_room(struct keys_text *t, size_t len)
{
	uint32_t room = t->room ? t->room : 512;
	uint8_t *p;

	if (len > t->most || t->len > t->most - len) {
		t->err = -ENOBUFS;
		return false;
	}
	while (room < t->len + len)
		room *= 2;
	if (room == t->room)
		return true;
	p = realloc(t->data, room);
	if (!p) {
		t->err = -ENOMEM;
		return false;
	}
	t->data = p;
	t->room = room;
	return true;
}

void keys_text_add(struct keys_text *t, const void *data, size_t len)
{
	if (t->err || !len || !text_room(t, len))
		return;
	memcpy(t->data + t->len, data, len);
	t->len += (uint32_t)len;
}

static void text_pair(struct keys_text *t, const char *key, size_t key_len, const char *value)
{
	keys_text_add(t, key, key_len);
	keys_text_add(t, "=", 1);
	keys_text_add(t, value, strlen(value) + 1);
}

void keys_text_pair(struct keys_text *t, const char *key, const char *value)
{
	text_pair(t, key, strlen(key), value);
}

void keys_text_free(struct keys_text *t)
{
	free(t->data);
	*t = (struct keys_text){ .most = t->most };
}

/* ---- cutting ---- */

static int broken(struct keys *k, const char *rule)
{
	k->rule = rule;
	return -EBADMSG;
}

/* RFC 7143 6.1, standard-label; '#' is the mark of X# keys (RFC 7143 13.22). */
static bool key_char(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
	       (c && strchr("-.+@_#", c));
}

static int find_row(const char *key, size_t len)
{
	for (int id = 0; id < KEYS_COUNT; id++)
		if (strlen(keys_rows[id].name) == len && !memcmp(keys_rows[id].name, key, len))
			return id;
	return -1;
}

/* Cuts one item, `len` bytes and its NUL, at the '='. */
static int cut_pair(struct keys *k, const char *item, size_t len, struct keys_pair *pair)
{
	const char *eq = memchr(item, '=', len);

	if (!eq)
		return broken(k, "RFC 7143 6.1: text that is no key=value pair");
	pair->key = item;
	pair->key_len = (size_t)(eq - item);
	pair->value = eq + 1;
	pair->value_len = len - pair->key_len - 1;
	pair->answer = NULL;
	if (!pair->key_len || pair->key_len > KEYS_NAME_MAX)
		return broken(k, "RFC 7143 6.1: a key has 1 to 63 bytes");
	for (size_t i = 0; i < pair->key_len; i++)
		if (!key_char(item[i]))
			return broken(k, "RFC 7143 6.1: a byte that no key may have");
	pair->id = find_row(item, pair->key_len);
	return 0;
}

/* RFC 7143 6.1: every pair, the last one too, is followed by a NUL. */
static int cut_text(struct keys *k, const uint8_t *text, size_t len, struct keys_pairs *pairs)
{
	const char *p = len ? (const char *)text : "", *end = p + len; /* no text may be NULL */

	if (len && end[-1])
		return broken(k, "RFC 7143 6.1: text without its last NUL");
	/* padding that was counted as data; real initiators do it */
	for (unsigned pad = 0; pad < 3 && end - p >= 2 && !end[-2]; pad++)
		end--;
	while (p < end) {
		size_t item = strlen(p);
		int err;

		if (pairs->count == KEYS_PAIRS_MAX)
			return -E2BIG;
		err = cut_pair(k, p, item, &pairs->pair[pairs->count++]);
		if (err)
			return err;
		p += item + 1;
	}
	return 0;
}

/* RFC 7143 6.3: a key is said once in a negotiation. */
static int check_twice(struct keys *k, const struct keys_pairs *pairs)
{
	for (unsigned i = 0; i < pairs->count; i++) {
		int id = pairs->pair[i].id;

		if (id < 0)
			continue;
		if ((k->seen | k->given) & keys_bit(id))
			return broken(k, "RFC 7143 6.3: a key said twice");
		k->given |= keys_bit(id);
	}
	k->seen |= k->given;
	return 0;
}

/* ---- values ---- */

static int digit_of(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return 16;
}

/* RFC 7143 6.1: decimal-constant (no leading zero) or hex-constant. */
bool keys_number(const char *s, uint32_t *value)
{
	int base = s[0] == '0' && (s[1] == 'x' || s[1] == 'X') ? 16 : 10;
	uint64_t v = 0;

	if (base == 16)
		s += 2;
	else if (s[0] == '0' && s[1])
		return false;
	if (!*s)
		return false;
	for (; *s; s++) {
		int digit = digit_of(*s);

		if (digit >= base)
			return false;
		v = v * (unsigned)base + (unsigned)digit;
		if (v > UINT32_MAX)
			return false;
	}
	*value = (uint32_t)v;
	return true;
}

/* The index of the word `item` in `list`, both separated by commas; -1: not there. */
static int list_index(const char *list, const char *item, size_t len)
{
	for (int i = 0; *list; i++) {
		size_t n = strcspn(list, ",");

		if (n == len && !memcmp(list, item, len))
			return i;
		list += n + (list[n] == ',');
	}
	return -1;
}

bool keys_list_has(const char *list, const char *item)
{
	return list_index(list, item, strlen(item)) >= 0;
}

static bool reserved_answer(const char *value)
{
	return !strcmp(value, "NotUnderstood") || !strcmp(value, "Irrelevant") ||
	       !strcmp(value, "Reject");
}

/* ---- result functions ---- */

static void reject(struct keys *k, struct keys_pair *pair)
{
	k->rejected |= keys_bit(pair->id);
	pair->answer = "Reject";
}

static void answer_number(struct keys_pair *pair, uint32_t value)
{
	snprintf(pair->made, sizeof pair->made, "%u", value);
	pair->answer = "";
}

/* RFC 7143 6.2.1: the first of the initiator's list that we know; none: Reject. */
static void choose(struct keys *k, struct keys_pair *pair)
{
	const char *choices = keys_rows[pair->id].choices, *item = pair->value;

	for (;;) {
		size_t len = strcspn(item, ",");
		int index = len ? list_index(choices, item, len) : -1;

		if (index >= 0) {
			k->value[pair->id] = (uint32_t)index;
			snprintf(pair->made, sizeof pair->made, "%.*s", (int)len, item);
			pair->answer = "";
			return;
		}
		if (!item[len])
			break;
		item += len + 1;
	}
	reject(k, pair);
}

/* RFC 7143 6.2.2: Yes or No, AND or OR. Where an answer is optional, it is given. */
static void agree_bool(struct keys *k, struct keys_pair *pair)
{
	const struct keys_row *row = &keys_rows[pair->id];
	bool yes = !strcmp(pair->value, "Yes");

	if (!yes && strcmp(pair->value, "No")) {
		reject(k, pair);
		return;
	}
	yes = row->result == RESULT_AND ? yes && row->ours : yes || row->ours;
	k->value[pair->id] = yes;
	pair->answer = yes ? "Yes" : "No";
}

/* RFC 7143 6.2.2: a number outside of its range is not admissible. */
static void agree_number(struct keys *k, struct keys_pair *pair)
{
	const struct keys_row *row = &keys_rows[pair->id];
	uint32_t value, ours = k->ours[pair->id];

	if (!keys_number(pair->value, &value) || value < row->least || value > row->most) {
		reject(k, pair);
		return;
	}
	/* RFC 7143 13.14: FirstBurstLength must not exceed MaxBurstLength */
	if (pair->id == KEYS_FIRST_BURST && ours > k->value[KEYS_MAX_BURST])
		ours = k->value[KEYS_MAX_BURST];
	if (row->result == RESULT_MIN && value > ours)
		value = ours;
	if (row->result == RESULT_MAX && value < ours)
		value = ours;
	k->value[pair->id] = value;
	if (row->result != RESULT_DECLARE)
		answer_number(pair, value);
}

/* RFC 7143 13: "Irrelevant when". */
static bool irrelevant(const struct keys *k, const struct keys_row *row)
{
	switch (row->irrelevant) {
	case IRRELEVANT_NEVER:
		return false;
	case IRRELEVANT_DISCOVERY:
		return k->discovery;
	case IRRELEVANT_UNSOLICITED: /* RFC 7143 13.14 */
		return k->discovery ||
		       (k->value[KEYS_INITIAL_R2T] && !k->value[KEYS_IMMEDIATE_DATA]);
	}
	return false;
}

/* A declaration: kept for the caller. */
static void declared(struct keys *k, struct keys_pair *pair)
{
	k->text[pair->id] = pair->value;
	if (pair->id == KEYS_SESSION_TYPE) /* RFC 7143 13.21 */
		k->discovery = !strcmp(pair->value, "Discovery");
}

static void agree(struct keys *k, struct keys_pair *pair)
{
	const struct keys_row *row = &keys_rows[pair->id];

	if (row->sender == SENDER_TARGET) {
		/* RFC 7143 13: only we say this; an answer to what we said is none of an offer */
		if (!reserved_answer(pair->value))
			reject(k, pair);
		return;
	}
	if (!(row->stages & k->stage)) { /* RFC 7143 13: "Use" */
		reject(k, pair);
		return;
	}
	if (k->joining && (row->stages & LEADING)) { /* RFC 7143 13: "Use: LO" */
		reject(k, pair);
		return;
	}
	if (irrelevant(k, row)) {
		pair->answer = "Irrelevant";
		return;
	}
	switch (row->kind) {
	case KIND_TEXT:
		declared(k, pair);
		break;
	case KIND_LIST:
		choose(k, pair);
		break;
	case KIND_BOOL:
		agree_bool(k, pair);
		break;
	case KIND_NUMBER:
		agree_number(k, pair);
		break;
	case KIND_GONE: /* RFC 7143 13.25 */
		pair->answer = row->choices;
		break;
	}
}

/* RFC 7143 6.2: a key that is not known is answered, unless it is an answer itself. */
static void agree_unknown(struct keys_pair *pair)
{
	if (!reserved_answer(pair->value))
		pair->answer = "NotUnderstood";
}

/* SessionType decides what is irrelevant, FirstBurstLength depends on three others. */
static int turn_of(int id)
{
	return id == KEYS_SESSION_TYPE ? 0 : id == KEYS_FIRST_BURST ? 2 : 1;
}

/* RFC 7143 6.1: the length of a declared text. */
static int check_length(struct keys *k, const struct keys_pair *pair)
{
	if (pair->id >= 0 && keys_rows[pair->id].kind == KIND_TEXT &&
		pair->value_len > keys_rows[pair->id].most)
		return broken(k, "RFC 7143 6.1: a value that is too long");
	return 0;
}

int keys_negotiate(struct keys *k, const uint8_t *text, size_t len, struct keys_text *out)
{
	struct keys_pairs pairs = { .count = 0 };
	int err;

	k->given = k->rejected = 0;
	memset(k->text, 0, sizeof k->text);
	err = cut_text(k, text, len, &pairs);
	if (!err)
		err = check_twice(k, &pairs);
	for (unsigned i = 0; !err && i < pairs.count; i++)
		err = check_length(k, &pairs.pair[i]);
	if (err)
		return err;
	for (int turn = 0; turn < 3; turn++)
		for (unsigned i = 0; i < pairs.count; i++)
			if (pairs.pair[i].id >= 0 && turn_of(pairs.pair[i].id) == turn)
				agree(k, &pairs.pair[i]);
	for (unsigned i = 0; i < pairs.count; i++) {
		struct keys_pair *pair = &pairs.pair[i];

		if (pair->id < 0)
			agree_unknown(pair);
		if (pair->answer)
			text_pair(out, pair->key, pair->key_len,
				*pair->answer ? pair->answer : pair->made);
	}
	return out->err;
}

/* ---- the rest ---- */

void keys_init(struct keys *k, enum keys_stage stage, bool discovery)
{
	*k = (struct keys){ .stage = stage, .discovery = discovery };
	for (int id = 0; id < KEYS_COUNT; id++) {
		k->value[id] = keys_rows[id].initial;
		k->ours[id] = keys_rows[id].ours;
	}
}

void keys_declare(struct keys *k, enum keys_id id, const char *value, struct keys_text *out)
{
	k->declared |= keys_bit(id);
	keys_text_pair(out, keys_rows[id].name, value);
}

void keys_declare_ours(struct keys *k, enum keys_id id, struct keys_text *out)
{
	char number[12];

	snprintf(number, sizeof number, "%u", k->ours[id]);
	keys_declare(k, id, number, out);
}

const char *keys_name(enum keys_id id)
{
	return keys_rows[id].name;
}

void keys_params(const struct keys *k, struct conn_params *p)
{
#define NO_PARAM     (void)0
#define PARAM(field) p->field = value
#define KEY_TEXT(...)
#define KEY_LIST(id, a, b, c, d, param)               PARAM_OF(id, param)
#define KEY_BOOL(id, a, b, c, d, e, f, param)         PARAM_OF(id, param)
#define KEY_NUMBER(id, a, b, c, d, e, f, g, h, param) PARAM_OF(id, param)
#define KEY_GONE(...)
#define PARAM_OF(id, param)                                                                        \
	{                                                                                          \
		uint32_t value = k->value[KEYS_##id];                                              \
		(void)value;                                                                       \
		param;                                                                             \
	}
#include "target/iscsi/keys.def"
#undef KEY_TEXT
#undef KEY_LIST
#undef KEY_BOOL
#undef KEY_NUMBER
#undef KEY_GONE
#undef PARAM_OF
#undef PARAM
#undef NO_PARAM
	p->discovery = k->discovery;
	if (p->first_burst > p->max_burst) /* RFC 7143 13.14 */
		p->first_burst = p->max_burst;
}
