// SPDX-License-Identifier: Apache-2.0
/*
 * talk_mutate.c: changes of inputs that leave them conversations: steps come, go, move, are
 * repeated, and one field of one step becomes something else.
 */
#include "tests/fuzz/talk_conn.h"

#define CHANGES_MOST 4u

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t most);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed);
size_t LLVMFuzzerCustomCrossOver(const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size,
	uint8_t *out, size_t most, unsigned seed);

/* Numbers of our own, so that a mutation follows from its seed. */
static uint32_t roll(uint32_t *state, uint32_t below)
{
	*state = *state * 1664525u + 1013904223u;
	return (uint32_t)(((uint64_t)*state * below) >> 32);
}

static void put_u16(uint8_t p[2], uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void put_u32(uint8_t p[4], uint32_t v)
{
	put_u16(p, v >> 16);
	put_u16(p + 2, v);
}

/* Lengths at which something changes: blocks, bursts, segments, and their neighbours. */
static uint32_t some_length(uint32_t *state)
{
	static const uint32_t lengths[] = { 0, 1, 3, 4, 24, 512, 1024, 4096, 8192, 16384, 65535 };
	uint32_t length = lengths[roll(state, sizeof(lengths) / sizeof(lengths[0]))];

	return roll(state, 4) ? length : length + roll(state, 3) - 1;
}

/* ---- new steps ---- */

static const struct {
	uint8_t cdb[16];
	uint8_t flags; /* byte 1 of the PDU: F, R or W, SIMPLE */
	uint8_t op;    /* which data */
	uint16_t edtl;
} commands[] = {
	{ { 0x00 }, 0x81, 0, 0 },
	{ { 0x03, 0, 0, 0, 252 }, 0xc1, 0, 252 },
	{ { 0x12, 0, 0, 0, 255 }, 0xc1, 0, 255 },
	{ { 0x12, 1, 0x83, 0, 255 }, 0xc1, 0, 255 },
	{ { 0x08, 0, 0, 8, 2 }, 0xc1, 0, 1024 },
	{ { 0x28, 0, 0, 0, 0, 8, 0, 0, 4 }, 0xc1, 0, 2048 },
	{ { 0x28, 0, 0, 0, 0, 0, 0, 0, 64 }, 0xc1, 0, 32768 },
	{ { 0x88, 0, 0, 0, 0, 0, 0, 0, 0, 16, 0, 0, 0, 8 }, 0xc1, 0, 4096 },
	{ { 0x2a, 0, 0, 0, 0, 8, 0, 0, 4 }, 0xa1, 4, 2048 },
	{ { 0x2a, 0, 0, 0, 0, 0, 0, 0, 64 }, 0xa1, 5, 32768 },
	{ { 0x2a, 8, 0, 0, 0, 8, 0, 0, 16 }, 0x21, 4, 8192 },
	{ { 0x8a, 0, 0, 0, 0, 0, 0, 0, 0, 16, 0, 0, 0, 8 }, 0xa1, 6, 4096 },
	{ { 0x89, 0, 0, 0, 0, 0, 0, 0, 0, 16, 0, 0, 0, 1 }, 0xa1, 0, 1024 },
	{ { 0x35 }, 0x81, 0, 0 },
	{ { 0x42, 0, 0, 0, 0, 0, 0, 0, 24 }, 0xa1, 1, 24 },
	{ { 0x41, 0, 0, 0, 0, 8, 0, 0, 8 }, 0xa1, 0, 512 },
	{ { 0x5e, 0, 0, 0, 0, 0, 0, 0, 64 }, 0xc1, 0, 64 },
	{ { 0x5f, 0, 0, 0, 0, 0, 0, 0, 24 }, 0xa1, 2, 24 },
	{ { 0x5f, 1, 3, 0, 0, 0, 0, 0, 24 }, 0xa1, 2, 24 },
	{ { 0x15, 0x10, 0, 0, 24 }, 0xa1, 3, 24 },
	{ { 0x1a, 0, 0x3f, 0, 255 }, 0xc1, 0, 255 },
	{ { 0x25 }, 0xc1, 0, 8 },
	{ { 0xa0, 0, 0, 0, 0, 0, 0, 0, 1, 0 }, 0xc1, 0, 256 },
	{ { 0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32 }, 0xc1, 0, 32 },
	{ { 0x2f, 2, 0, 0, 0, 8, 0, 0, 2 }, 0xa1, 0, 1024 },
	{ { 0x1b, 0, 0, 0, 3 }, 0x81, 0, 0 },
	{ { 0x16 }, 0x81, 0, 0 },
	{ { 0x48, 3, 0, 0 }, 0x81, 0, 0 },
};

static void new_command(struct talk_step *step, uint32_t *state)
{
	unsigned n = roll(state, sizeof(commands) / sizeof(commands[0]));

	step->kind = TALK_COMMAND;
	memcpy(step->body, commands[n].cdb, sizeof(step->body));
	step->flags = commands[n].flags;
	step->op = commands[n].op;
	put_u32(step->edtl, commands[n].edtl);
	if (step->flags & PDU_CMD_WRITE && roll(state, 2))
		put_u16(step->len, commands[n].edtl);
}

static void new_step(struct talk_step *step, uint32_t *state)
{
	/* what conversations are made of, in about these parts */
	static const uint8_t kinds[] = { TALK_LOGIN, TALK_LOGIN, TALK_LOGIN_PDU, TALK_DATA,
		TALK_DATA, TALK_DATA, TALK_DATA, TALK_TMF, TALK_TMF, TALK_NOP, TALK_NOP, TALK_TEXT,
		TALK_TEXT, TALK_LOGOUT, TALK_OTHER, TALK_WINDOW, TALK_CHUNK, TALK_TIME, TALK_TIME,
		TALK_CLOSE, TALK_RAW };

	memset(step, 0, sizeof(*step));
	step->who = (uint8_t)(roll(state, 3) ? 0 : roll(state, TALK_CONNS));
	if (roll(state, 4) == 0)
		step->who |= TALK_BATCH;
	step->lun = (uint8_t)roll(state, 4);
	if (roll(state, 2)) {
		new_command(step, state);
		return;
	}
	step->kind = kinds[roll(state, sizeof(kinds))];
	step->op = (uint8_t)(roll(state, 3) ? roll(state, 8) : 0);
	step->flags = (uint8_t)(roll(state, 2) ? roll(state, 256) : 0);
	if (step->kind == TALK_LOGIN || step->kind == TALK_LOGIN_PDU || step->kind == TALK_TEXT)
		for (unsigned i = roll(state, 5); i-- > 0;)
			step->body[i] = (uint8_t)roll(state, 80);
	put_u16(step->len, some_length(state));
}

/* ---- changes of a step ---- */

static void change_body(struct talk_step *step, uint32_t *state)
{
	uint8_t *p = &step->body[roll(state, sizeof(step->body))];

	*p = (uint8_t)(roll(state, 2) ? roll(state, 256) : *p ^ 1u << roll(state, 8));
}

static void change_number(struct talk_step *step, uint32_t *state)
{
	uint32_t length = some_length(state);

	switch (roll(state, 4)) {
	case 0:
		put_u16(step->len, length);
		break;
	case 1:
		put_u16(step->off, length);
		break;
	case 2:
		put_u32(step->edtl, length);
		break;
	default: /* data that fits what is expected */
		put_u16(step->len, talk_u32(step->edtl));
		break;
	}
}

static void change_step(struct talk_step *step, uint32_t *state)
{
	static const int8_t near[] = { -1, 1, 2, 3, 7, 8, 9, 64, 127, -128, 0, 0x40 };

	switch (roll(state, 9)) {
	case 0:
		step->who = (uint8_t)((step->who & ~TALK_CONN_MASK) | roll(state, TALK_CONNS));
		break;
	case 1:
		step->who ^= TALK_BATCH;
		break;
	case 2:
		step->wrong ^= (uint8_t)(1u << roll(state, 8));
		step->sn = (uint8_t)near[roll(state, sizeof(near))];
		break;
	case 3:
		step->itt = (uint8_t)roll(state, roll(state, 2) ? 256 : PDU_BHS_LEN);
		break;
	case 4:
		step->lun = (uint8_t)(roll(state, 8) ? roll(state, 4) : roll(state, 256));
		break;
	case 5:
		step->op = (uint8_t)(roll(state, 4) ? roll(state, 64) : roll(state, 256));
		break;
	case 6:
		step->flags ^= (uint8_t)(1u << roll(state, 8));
		break;
	case 7:
		change_body(step, state);
		break;
	default:
		change_number(step, state);
		break;
	}
}

/* ---- changes of a row ---- */

/* A step more at `at`, a new one or a copy of another. */
static size_t insert(struct talk_step *row, size_t n, size_t most, uint32_t *state)
{
	size_t at = roll(state, (uint32_t)n + 1);
	struct talk_step step;

	if (n >= most)
		return n;
	if (n && roll(state, 3) == 0)
		step = row[roll(state, (uint32_t)n)];
	else
		new_step(&step, state);
	memmove(row + at + 1, row + at, (n - at) * sizeof(*row));
	row[at] = step;
	return n + 1;
}

static size_t change_row(struct talk_step *row, size_t n, size_t most, uint32_t *state)
{
	size_t a, b;

	if (!n || roll(state, 3) == 0)
		return insert(row, n, most, state);
	a = roll(state, (uint32_t)n);
	b = roll(state, (uint32_t)n);
	switch (roll(state, 6)) {
	case 0:
		memmove(row + a, row + a + 1, (n - a - 1) * sizeof(*row));
		return n - 1;
	case 1: {
		struct talk_step step = row[a];

		row[a] = row[b];
		row[b] = step;
		return n;
	}
	case 2: /* the bytes of one step, as libFuzzer knows best */
		LLVMFuzzerMutate((uint8_t *)&row[a], sizeof(*row), sizeof(*row));
		return n;
	default:
		change_step(&row[a], state);
		return n;
	}
}

static size_t most_steps(size_t most)
{
	most /= sizeof(struct talk_step);
	return most < TALK_STEPS_MAX ? most : TALK_STEPS_MAX;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed)
{
	struct talk_step row[TALK_STEPS_MAX];
	uint32_t state = seed;
	size_t n = size / sizeof(row[0]);

	most = most_steps(most);
	n = n < most ? n : most;
	memcpy(row, data, n * sizeof(row[0]));
	for (unsigned i = roll(&state, CHANGES_MOST) + 1; i-- > 0;)
		n = change_row(row, n, most, &state);
	memcpy(data, row, n * sizeof(row[0]));
	return n * sizeof(row[0]);
}

/* The front of one and the back of the other. */
size_t LLVMFuzzerCustomCrossOver(const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size,
	uint8_t *out, size_t most, unsigned seed)
{
	const size_t step = sizeof(struct talk_step);
	uint32_t state = seed;
	size_t front = roll(&state, (uint32_t)(a_size / step) + 1);
	size_t skip = roll(&state, (uint32_t)(b_size / step) + 1);
	size_t back = b_size / step - skip;

	most = most_steps(most);
	front = front < most ? front : most;
	back = back < most - front ? back : most - front;
	memcpy(out, a, front * step);
	memcpy(out + front * step, b + skip * step, back * step);
	return (front + back) * step;
}
