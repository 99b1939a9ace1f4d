// SPDX-License-Identifier: Apache-2.0
/*
 * store_mem.c: memory of the process as a volume. Addresses are reserved for the size and for
 * growth; pages get memory when they are written first, and a bit in a map then, so that reading
 * what was never written costs no memory and holes can be told.
 *
 * Loops share the memory without locks: two requests that touch the same page at the same time are
 * two commands that overlap, whose order is nobody's promise. What can fail: addresses run out when
 * it is opened or resized.
 */
#include "volume/vol_store.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#ifdef __SSE2__
#include <immintrin.h>
#endif
#include <unistd.h>

#define MEM_PAGE_BITS 12
#define MEM_PAGE      (1ull << MEM_PAGE_BITS)
#define MEM_ROOM_MIN  (1ull << 40)  /* addresses to grow into; they cost nothing */
#define MEM_AT_ONCE   (1u << 20)    /* more bytes than this are not trimmed or zeroed on the loop */
#define MEM_LOOK_MAX  (64ull << 30) /* bytes that one EXTENTS looks at */

struct mem_part {
	struct vol_part part; /* head */
	uint8_t *data;        /* the volume, `room` bytes of addresses */
	uint64_t *written;    /* a bit per page: it has memory, and it may be other than zero */
	uint64_t room;        /* bytes reserved */
	uint64_t size;        /* bytes usable, rounded up to pages; under the guard's resize lock */
};

static struct mem_part *mem_part(const struct vol_chan *chan)
{
	return container_of(chan->part, struct mem_part, part);
}

/* ---- the map ---- */

static bool page_written(const struct mem_part *m, uint64_t page)
{
	return __atomic_load_n(&m->written[page >> 6], __ATOMIC_ACQUIRE) >> (page & 63) & 1;
}

static void page_mark(struct mem_part *m, uint64_t page)
{
	if (!page_written(m, page))
		__atomic_or_fetch(&m->written[page >> 6], 1ull << (page & 63), __ATOMIC_RELEASE);
}

static void page_clear(struct mem_part *m, uint64_t page)
{
	__atomic_and_fetch(&m->written[page >> 6], ~(1ull << (page & 63)), __ATOMIC_RELAXED);
}

/* The first page of page..end-1 whose state is not `state`; or end. Whole words where they agree.
 */
static uint64_t page_run(const struct mem_part *m, uint64_t page, uint64_t end, bool state)
{
	const uint64_t same = state ? ~0ull : 0;

	while (page < end) {
		if (!(page & 63) && end - page >= 64 &&
			__atomic_load_n(&m->written[page >> 6], __ATOMIC_RELAXED) == same)
			page += 64;
		else if (page_written(m, page) == state)
			page++;
		else
			break;
	}
	return page;
}

static void mark_range(struct mem_part *m, uint64_t off, uint64_t len)
{
	for (uint64_t page = off >> MEM_PAGE_BITS; page <= (off + len - 1) >> MEM_PAGE_BITS; page++)
		page_mark(m, page);
}

/* ---- reads and writes ---- */

static void read_piece(const struct mem_part *m, uint64_t off, uint8_t *to, uint64_t len)
{
	while (len) {
		uint64_t page = off >> MEM_PAGE_BITS, end = (off + len - 1) / MEM_PAGE + 1;
		bool state = page_written(m, page);
		uint64_t n = (page_run(m, page + 1, end, state) << MEM_PAGE_BITS) - off;

		n = n < len ? n : len;
		if (state)
			memcpy(to, m->data + off, n);
		else
			memset(to, 0, n);
		off += n;
		to += n;
		len -= n;
	}
}

static void mem_read(const struct mem_part *m, const struct vol_io *io)
{
	uint64_t off = io->off;

	for (unsigned i = 0; i < io->iovcnt; i++) {
		read_piece(m, off, io->iov[i].iov_base, io->iov[i].iov_len);
		off += io->iov[i].iov_len;
	}
}

#ifdef __SSE2__
/*
 * Copies past the caches. What is written to a disk is not what is read next, and a plain copy
 * first fetches every line that it overwrites: twice the time for pages that are not in the cache.
 */
static void write_piece(uint8_t *to, const uint8_t *from, size_t len)
{
	size_t head = -(uintptr_t)to & (sizeof(__m128i) - 1);

	head = head < len ? head : len;
	memcpy(to, from, head);
	to += head;
	from += head;
	len -= head;
	for (; len >= 64; to += 64, from += 64, len -= 64) {
		const __m128i *src = (const void *)from;
		__m128i *dst = (void *)to;
		__m128i a = _mm_loadu_si128(src), b = _mm_loadu_si128(src + 1);
		__m128i c = _mm_loadu_si128(src + 2), d = _mm_loadu_si128(src + 3);

		_mm_stream_si128(dst, a);
		_mm_stream_si128(dst + 1, b);
		_mm_stream_si128(dst + 2, c);
		_mm_stream_si128(dst + 3, d);
	}
	memcpy(to, from, len);
}

/* Before anyone is told that the bytes are there. */
static void write_settle(void)
{
	_mm_sfence();
}
#else
static void write_piece(uint8_t *to, const uint8_t *from, size_t len)
{
	memcpy(to, from, len);
}

static void write_settle(void)
{
}
#endif

static void mem_write(struct mem_part *m, const struct vol_io *io)
{
	uint8_t *to = m->data + io->off;

	for (unsigned i = 0; i < io->iovcnt; i++) {
		write_piece(to, io->iov[i].iov_base, io->iov[i].iov_len);
		to += io->iov[i].iov_len;
	}
	write_settle();
	mark_range(m, io->off, io->len);
}

/* ---- TRIM, ZERO, EXTENTS ---- */

/* Part of a page: zeroed where it has memory. */
static void zero_edge(struct mem_part *m, uint64_t off, uint64_t len)
{
	if (len && page_written(m, off >> MEM_PAGE_BITS))
		memset(m->data + off, 0, len);
}

static void mem_trim(struct mem_part *m, uint64_t off, uint64_t len)
{
	uint64_t end = off + len;
	uint64_t first = (off + MEM_PAGE - 1) & ~(MEM_PAGE - 1), last = end & ~(MEM_PAGE - 1);

	if (first > last) {
		zero_edge(m, off, len);
		return;
	}
	zero_edge(m, off, first - off);
	zero_edge(m, last, end - last);
	for (uint64_t page = first >> MEM_PAGE_BITS; page < last >> MEM_PAGE_BITS;) {
		uint64_t hole = page_run(m, page, last >> MEM_PAGE_BITS, false);
		uint64_t run = page_run(m, hole, last >> MEM_PAGE_BITS, true);

		for (page = hole; page < run; page++)
			page_clear(m, page);
		if (run > hole)
			madvise(m->data + hole * MEM_PAGE, (run - hole) * MEM_PAGE, MADV_DONTNEED);
	}
}

static int mem_give_back(struct loop_io *lio)
{
	struct vol_io *io = vol_io_of(lio);
	struct mem_part *m = (void *)(uintptr_t)io->scratch[0];

	if (io->op == VOL_TRIM || (io->flags & VOL_MAY_TRIM)) {
		mem_trim(m, io->off, io->len);
	} else {
		memset(m->data + io->off, 0, io->len);
		mark_range(m, io->off, io->len);
	}
	return 0;
}

static void mem_clear(struct vol_chan *chan, struct vol_io *io)
{
	io->scratch[0] = (uintptr_t)mem_part(chan);
	if (io->len > MEM_AT_ONCE)
		vol_io_call(chan, io, NULL, mem_give_back);
	else
		vol_io_finish(chan, io, mem_give_back(&io->lio));
}

static void mem_extents(const struct mem_part *m, struct vol_io *io)
{
	uint64_t pos = io->off, end = io->off + (io->len < MEM_LOOK_MAX ? io->len : MEM_LOOK_MAX);

	while (pos < end && io->extent_count < io->extent_max) {
		uint64_t page = pos >> MEM_PAGE_BITS;
		bool state = page_written(m, page);
		uint64_t to = page_run(m, page + 1, (end - 1) / MEM_PAGE + 1, state) * MEM_PAGE;

		to = to < end ? to : end;
		io->extents[io->extent_count++] = (struct vol_extent){
			.off = pos, .len = to - pos, .mapped = state, .zero = !state
		};
		pos = to;
	}
}

static void mem_submit(struct vol_chan *chan, struct vol_io *io)
{
	switch (io->op) {
	case VOL_READ:
		if (io->flags & VOL_LEND)
			io->iov->iov_base = mem_part(chan)->data + io->off;
		else
			mem_read(mem_part(chan), io);
		break;
	case VOL_WRITE:
		mem_write(mem_part(chan), io);
		break;
	case VOL_TRIM:
	case VOL_ZERO:
		mem_clear(chan, io);
		return;
	case VOL_EXTENTS:
		mem_extents(mem_part(chan), io);
		break;
	case VOL_FLUSH:
		break;
	}
	vol_io_finish(chan, io, 0);
}

/* ---- opening and size ---- */

static uint64_t pages_up(uint64_t size)
{
	return (size + MEM_PAGE - 1) & ~(MEM_PAGE - 1);
}

static uint64_t map_bytes(uint64_t room)
{
	return pages_up((room / MEM_PAGE + 63) / 64 * sizeof(uint64_t));
}

static void *reserve(uint64_t len, int prot)
{
	void *p = mmap(NULL, len, prot, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

static bool mem_map(struct mem_part *m, uint64_t room)
{
	m->room = room;
	m->data = reserve(room, PROT_NONE);
	if (m->data)
		m->written = reserve(map_bytes(room), PROT_READ | PROT_WRITE);
	if (m->written)
		return true;
	if (m->data)
		munmap(m->data, room);
	m->data = NULL;
	return false;
}

/* Whether huge pages are wanted: they make far reads and writes a quarter cheaper, and a sparse
 * volume larger than it looks, so only where all of it would fit well. */
static bool mem_huge(uint64_t size)
{
	uint64_t ram = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);

	return size <= ram / 4;
}

/* Makes the addresses up to `size` usable. */
static int mem_grow(struct mem_part *m, uint64_t size)
{
	size = pages_up(size);
	if (size > m->room)
		return -ENOSPC;
	if (size <= m->size)
		return 0;
	if (mprotect(m->data + m->size, size - m->size, PROT_READ | PROT_WRITE))
		return -ENOSPC;
	madvise(m->data, size, mem_huge(size) ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
	m->size = size;
	return 0;
}

static int mem_open(struct vol_part *part, struct vol_setup *setup)
{
	struct mem_part *m = container_of(part, struct mem_part, part);
	struct vol_info *info = setup->info;
	uint64_t size = setup->conf->size,
		 room = pages_up(size < MEM_ROOM_MIN ? MEM_ROOM_MIN : size);

	if (!size)
		return 0; /* refused by whoever looks at the size */
	if (!mem_map(m, room) && !mem_map(m, pages_up(size)))
		return vol_refuse(setup, -ENOMEM,
			"volume %s: no addresses for %llu bytes of memory; give a smaller size",
			setup->conf->name, (unsigned long long)size);
	if (mem_grow(m, size))
		return vol_refuse(setup, -ENOMEM,
			"volume %s: %llu bytes are more memory than this system promises "
			"(vm.overcommit_memory); give a smaller size",
			setup->conf->name, (unsigned long long)size);
	madvise(m->data, m->room, MADV_DONTDUMP);
	info->size = size;
	info->physical_block_size = MEM_PAGE;
	info->trim_granularity = MEM_PAGE;
	info->caps = VOL_CAN_TRIM | VOL_CAN_ZERO | VOL_CAN_EXTENTS | VOL_CAN_FUA |
		     VOL_ZERO_AFTER_TRIM | VOL_VOLATILE | VOL_CAN_LEND;
	return 0;
}

static void mem_close(struct vol_part *part)
{
	struct mem_part *m = container_of(part, struct mem_part, part);

	if (!m->data)
		return;
	munmap(m->written, map_bytes(m->room));
	munmap(m->data, m->room);
}

/* What is cut off is given back: it reads as zero if the volume grows again. */
static int mem_resize(struct vol_part *part, uint64_t size, uint64_t *now)
{
	struct mem_part *m = container_of(part, struct mem_part, part);
	int err;

	if (!size) {
		*now = part->info->size;
		return 0;
	}
	err = mem_grow(m, size);
	if (err)
		return err;
	if (size < m->size)
		mem_trim(m, size, m->size - size);
	*now = size;
	return 0;
}

const struct vol_part_ops store_mem_ops = {
	.kind = "mem",
	.part_size = sizeof(struct mem_part),
	.chan_size = sizeof(struct vol_chan),
	.open = mem_open,
	.close = mem_close,
	.submit = mem_submit,
	.resize = mem_resize,
};
