/* SPDX-License-Identifier: Apache-2.0 */
/*
 * span.h: a bounded reader and a bounded writer over bytes.
 *
 * Both have a sticky overrun flag, so a sequence of reads or writes is checked once at its end. A
 * read beyond the end gives zero; a write beyond the end is counted in `want` and dropped, which is
 * how SCSI wants data cut at the allocation length (SPC-4 4.2.5.6).
 */
#ifndef KURA_COMMON_SPAN_H
#define KURA_COMMON_SPAN_H

#include "common/be.h"

#include <stdbool.h>
#include <stddef.h>

struct span_reader {
	const uint8_t *p;   /* next byte */
	const uint8_t *end; /* one past the last byte */
	bool overrun;       /* a read went beyond the end */
};

struct span_writer {
	uint8_t *p;  /* start of the room */
	size_t room; /* bytes that may be stored */
	size_t want; /* bytes that were offered so far, stored or not */
};

/* Starts reading `len` bytes at `p`, which stay borrowed while the reader is used. */
static inline struct span_reader span_reader(const void *p, size_t len)
{
	return (struct span_reader){ .p = p, .end = (const uint8_t *)p + len };
}

/* Bytes left to read. */
static inline size_t span_left(const struct span_reader *r)
{
	return (size_t)(r->end - r->p);
}

/* Takes `len` bytes: a pointer borrowed from the source, or NULL and overrun. */
static inline const uint8_t *span_take(struct span_reader *r, size_t len)
{
	const uint8_t *p = r->p;

	if (r->overrun || span_left(r) < len) {
		r->overrun = true;
		return NULL;
	}
	r->p += len;
	return p;
}

/* Takes one byte, or 0 and overrun. */
static inline uint8_t span_take8(struct span_reader *r)
{
	const uint8_t *p = span_take(r, 1);

	return p ? *p : 0;
}

/* Takes 16 bits big-endian, or 0 and overrun. */
static inline uint16_t span_take16(struct span_reader *r)
{
	const uint8_t *p = span_take(r, 2);

	return p ? be16_load(p) : 0;
}

/* Takes 32 bits big-endian, or 0 and overrun. */
static inline uint32_t span_take32(struct span_reader *r)
{
	const uint8_t *p = span_take(r, 4);

	return p ? be32_load(p) : 0;
}

/* Takes 64 bits big-endian, or 0 and overrun. */
static inline uint64_t span_take64(struct span_reader *r)
{
	const uint8_t *p = span_take(r, 8);

	return p ? be64_load(p) : 0;
}

/* Starts writing into `room` bytes at `p`, which stay borrowed while the writer is used. */
static inline struct span_writer span_writer(void *p, size_t room)
{
	return (struct span_writer){ .p = p, .room = room };
}

/* Appends `len` bytes from `src`; what does not fit is counted and dropped. */
static inline void span_put(struct span_writer *w, const void *src, size_t len)
{
	if (w->want < w->room) {
		size_t fit = w->room - w->want;

		memcpy(w->p + w->want, src, len < fit ? len : fit);
	}
	w->want += len;
}

/* Appends `len` bytes of value `byte`. */
static inline void span_fill(struct span_writer *w, uint8_t byte, size_t len)
{
	if (w->want < w->room) {
		size_t fit = w->room - w->want;

		memset(w->p + w->want, byte, len < fit ? len : fit);
	}
	w->want += len;
}

/* Appends one byte. */
static inline void span_put8(struct span_writer *w, uint8_t v)
{
	span_put(w, &v, 1);
}

/* Appends 16 bits big-endian. */
static inline void span_put16(struct span_writer *w, uint16_t v)
{
	uint8_t b[2];

	be16_store(b, v);
	span_put(w, b, sizeof b);
}

/* Appends 24 bits big-endian. */
static inline void span_put24(struct span_writer *w, uint32_t v)
{
	uint8_t b[3];

	be24_store(b, v);
	span_put(w, b, sizeof b);
}

/* Appends 32 bits big-endian. */
static inline void span_put32(struct span_writer *w, uint32_t v)
{
	uint8_t b[4];

	be32_store(b, v);
	span_put(w, b, sizeof b);
}

/* Appends 64 bits big-endian. */
static inline void span_put64(struct span_writer *w, uint64_t v)
{
	uint8_t b[8];

	be64_store(b, v);
	span_put(w, b, sizeof b);
}

/* Whether something was dropped. */
static inline bool span_cut(const struct span_writer *w)
{
	return w->want > w->room;
}

/* Bytes really stored. */
static inline size_t span_stored(const struct span_writer *w)
{
	return w->want < w->room ? w->want : w->room;
}

/* Overwrites 16 bits at `at`, for a length field that is known only later; ignored beyond the room.
 */
static inline void span_patch16(struct span_writer *w, size_t at, uint16_t v)
{
	uint8_t b[2];

	be16_store(b, v);
	for (size_t i = 0; i < sizeof b; i++)
		if (at + i < w->room)
			w->p[at + i] = b[i];
}

/* Overwrites 32 bits at `at`; ignored beyond the room. */
static inline void span_patch32(struct span_writer *w, size_t at, uint32_t v)
{
	uint8_t b[4];

	be32_store(b, v);
	for (size_t i = 0; i < sizeof b; i++)
		if (at + i < w->room)
			w->p[at + i] = b[i];
}

#endif
