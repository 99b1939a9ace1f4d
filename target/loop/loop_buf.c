// SPDX-License-Identifier: Apache-2.0
/*
 * loop_buf.c: receive buffers and data buffers. Both come from one mapping each, are handed out
 * last in, first out, so that the caches still know them, and cost memory only once they were used.
 *
 * Data buffers are halves of halves of chunks of LOOP_BUF_MAX. A freed buffer stays in the list of
 * its size; only when a larger one is wanted and none is there are neighbours joined again.
 */
#include "common/own.h"
#include "common/stat.h"
#include "target/loop/loop_engine.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#define CHUNK_PAGES (LOOP_BUF_MAX / LOOP_PAGE)

/* ---- receive buffers ---- */

int loop_rx_init(struct loop *loop, unsigned count, uint32_t size)
{
	struct loop_rx *rx = &loop->rx;

	list_init(&rx->free);
	rx->count = count ? count : LOOP_RX_BUFS;
	rx->size = size ? size : LOOP_RX_BUF_SIZE;
	rx->arena = mmap(NULL, (size_t)rx->count * rx->size, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (rx->arena == MAP_FAILED) {
		rx->arena = NULL;
		return -ENOMEM;
	}
	rx->bufs = own_calloc(rx->count, sizeof *rx->bufs);
	for (uint32_t i = 0; i < rx->count; i++) {
		rx->bufs[i].loop = loop;
		rx->bufs[i].data = rx->arena + (size_t)i * rx->size;
		rx->bufs[i].id = i;
		list_push(&rx->free, &rx->bufs[i].node);
	}
	rx->free_count = rx->count;
	return 0;
}

void loop_rx_fini(struct loop *loop)
{
	struct loop_rx *rx = &loop->rx;

	if (!rx->arena)
		return;
	munmap(rx->arena, (size_t)rx->count * rx->size);
	free(rx->bufs);
}

struct loop_rxbuf *loop_rxbuf_new(struct loop *loop)
{
	struct list *it = list_pop(&loop->rx.free);
	struct loop_rxbuf *b;

	if (!it)
		return NULL;
	loop->rx.free_count--;
	b = container_of(it, struct loop_rxbuf, node);
	b->refs = 1;
	return b;
}

void loop_rxbuf_put(struct loop_rxbuf *b)
{
	struct loop_rx *rx = &b->loop->rx;

	own_assert(b->refs > 0);
	if (--b->refs)
		return;
	list_push_front(&rx->free, &b->node);
	rx->free_count++;
}

bool loop_rxbuf_scarce(const struct loop *loop)
{
	const struct loop_rx *rx = &loop->rx;

	return rx->free_count + rx->lent < rx->count / 4 + 1;
}

/* ---- data buffers ---- */

int loop_data_init(struct loop *loop, uint64_t max)
{
	struct loop_data *d = &loop->data;
	uintptr_t at;

	for (unsigned i = 0; i < LOOP_BUF_CLASSES; i++)
		list_init(&d->free[i]);
	d->max = max ? max : LOOP_DATA_MAX;
	d->chunks = (unsigned)((d->max + LOOP_BUF_MAX - 1) / LOOP_BUF_MAX);
	d->map_len = (size_t)(d->chunks + 1) * LOOP_BUF_MAX;
	d->map = mmap(NULL, d->map_len, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (d->map == MAP_FAILED) {
		d->map = NULL;
		return -ENOMEM;
	}
	at = ((uintptr_t)d->map + LOOP_BUF_MAX - 1) & ~(uintptr_t)(LOOP_BUF_MAX - 1);
	d->arena = (uint8_t *)d->map + (at - (uintptr_t)d->map);
	madvise(d->arena, (size_t)d->chunks * LOOP_BUF_MAX, MADV_HUGEPAGE);
	d->bufs = own_calloc((size_t)d->chunks * CHUNK_PAGES, sizeof *d->bufs);
	d->chunk_index = own_calloc(d->chunks, sizeof *d->chunk_index);
	for (unsigned i = 0; i < d->chunks; i++)
		d->chunk_index[i] = -1;
	return 0;
}

void loop_data_fini(struct loop *loop)
{
	struct loop_data *d = &loop->data;

	if (!d->map)
		return;
	own_assert(d->out == 0);
	munmap(d->map, d->map_len);
	free(d->bufs);
	free(d->chunk_index);
}

/* The size class whose buffers hold `len` bytes. */
static unsigned data_class(uint32_t len)
{
	return len <= LOOP_PAGE ? 0 : 32u - (unsigned)__builtin_clz((len - 1) / LOOP_PAGE);
}

static void data_chunk_register(struct loop *loop, unsigned chunk)
{
	struct loop_data *d = &loop->data;
	int index = loop->ops->chunk_register(
		loop, chunk, d->arena + (size_t)chunk * LOOP_BUF_MAX, LOOP_BUF_MAX);

	/* a limit on locked memory: what is registered stays, the rest goes without */
	if (index < 0)
		d->registering = false;
	else
		d->chunk_index[chunk] = index;
}

void loop_data_register(struct loop *loop)
{
	struct loop_data *d = &loop->data;

	if (d->registering || !loop->ops->chunk_register)
		return;
	d->registering = true;
	for (unsigned i = 0; i < d->chunks_used && d->registering; i++)
		if (d->chunk_index[i] < 0)
			data_chunk_register(loop, i);
}

/* The block of class `class` that begins at page `page`, into its free list. */
static void data_free_push(struct loop_data *d, size_t page, unsigned class)
{
	struct loop_buf *b = &d->bufs[page];

	b->data = d->arena + page * LOOP_PAGE;
	b->size = LOOP_PAGE << class;
	list_push_front(&d->free[class], &b->node);
}

/* Takes a free block of `class`, from a larger one if need be. */
static struct loop_buf *data_take(struct loop_data *d, unsigned class)
{
	unsigned from = class;
	struct loop_buf *b;

	while (from < LOOP_BUF_CLASSES && list_empty(&d->free[from]))
		from++;
	if (from == LOOP_BUF_CLASSES)
		return NULL;
	b = container_of(list_pop(&d->free[from]), struct loop_buf, node);
	while (from > class) {
		from--;
		data_free_push(d, (size_t)(b - d->bufs) + ((size_t)1 << from), from);
	}
	b->size = LOOP_PAGE << class;
	return b;
}

/* Joins free neighbours, from small to large. */
static void data_join(struct loop_data *d)
{
	for (unsigned class = 0; class + 1 < LOOP_BUF_CLASSES; class ++) {
		struct list todo, *it;

		list_init(&todo);
		list_splice(&todo, &d->free[class]);
		while ((it = list_pop(&todo))) {
			struct loop_buf *b = container_of(it, struct loop_buf, node);
			size_t page = (size_t)(b - d->bufs), other = page ^ ((size_t)1 << class);
			struct loop_buf *n = &d->bufs[other];

			if (n->size == b->size && !list_empty(&n->node)) {
				list_del(&n->node);
				n->size = b->size = 0;
				data_free_push(d, page < other ? page : other, class + 1);
			} else {
				list_push(&d->free[class], &b->node);
			}
		}
	}
}

/* A chunk that was not used yet; false when there is none. */
static bool data_grow(struct loop *loop)
{
	struct loop_data *d = &loop->data;
	unsigned chunk = d->chunks_used;

	if (chunk == d->chunks)
		return false;
	d->chunks_used++;
	for (size_t i = 0; i < CHUNK_PAGES; i++)
		list_init(&d->bufs[chunk * CHUNK_PAGES + i].node);
	if (d->registering)
		data_chunk_register(loop, chunk);
	data_free_push(d, (size_t)chunk * CHUNK_PAGES, LOOP_BUF_CLASSES - 1);
	return true;
}

struct loop_buf *loop_buf_get(struct loop *loop, uint32_t len)
{
	struct loop_data *d = &loop->data;
	unsigned class = data_class(len);
	struct loop_buf *b;

	own_assert(len > 0 && len <= LOOP_BUF_MAX);
	if (d->out + (LOOP_PAGE << class) > d->max)
		return NULL;
	b = data_take(d, class);
	if (!b && data_grow(loop))
		b = data_take(d, class);
	if (!b) {
		data_join(d);
		b = data_take(d, class);
	}
	if (!b)
		return NULL;
	b->index = d->chunk_index[(size_t)(b - d->bufs) / CHUNK_PAGES];
	d->out += b->size;
	return b;
}

void loop_buf_put(struct loop *loop, struct loop_buf *buf)
{
	struct loop_data *d = &loop->data;

	own_assert(list_empty(&buf->node) && d->out >= buf->size);
	d->out -= buf->size;
	list_push_front(&d->free[data_class(buf->size)], &buf->node);
	if (d->relief && d->out * 2 <= d->max)
		loop_turn_end(loop, own_take(d->relief));
}

uint64_t loop_data_out(const struct loop *loop)
{
	return loop->data.out;
}

uint64_t loop_data_most(const struct loop *loop)
{
	return loop->data.max;
}

void loop_data_relief(struct loop *loop, struct loop_hook *hook)
{
	own_assert(!loop->data.relief || loop->data.relief == hook);
	loop->data.relief = hook;
}
