// SPDX-License-Identifier: Apache-2.0
/*
 * layer_crypt.c: what lies below is ciphertext: AES-256-XTS (IEEE 1619), a logical block is a data
 * unit and its number the tweak. There is no header and nothing is moved, so everything that the
 * store can do is still there, but for lending its memory.
 *
 * A block that is all zero below reads as zeroes. The ciphertext of a block is all zero for one of
 * its 2^4096 contents (of 512 bytes; more of larger blocks), another one with each key and each
 * block, so what is zero below was never written, trimmed or zeroed: TRIM, ZERO and EXTENTS pass,
 * and mean above what they mean below.
 *
 * A read is decrypted where it lies. A write is encrypted into buffers of the loop's pool, in
 * pieces. What can fail: no buffer is free (-ENOMEM, busy), and the key file.
 *
 * Options: key=/path (needed).
 */
#include "volume/crypt_key.h"
#include "volume/options.h"

#include "common/crypto.h"
#include "common/log.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#define CRYPT_PIECE     (1u << 20) /* bytes of a write at once; longer ones go in pieces */
#define CRYPT_BLOCK_MAX 4096u
#define CRYPT_SLAB      4096u /* bytes of a buffer that holds jobs */

struct crypt_part {
	struct vol_part part; /* head */
	char *path;           /* as configured, owned; NULL: not given */
	struct crypt_key key; /* under the lock */
	uint32_t block;       /* bytes of a logical block */
	bool rekeying;        /* no request may use the key now; atomic */
	pthread_mutex_t lock; /* guards the list and the key */
	struct list chans;    /* of crypt_chan.node */
};

struct crypt_chan {
	struct vol_chan chan;           /* head */
	struct list node;               /* in the part's list */
	struct crypto_xts *encrypt;     /* of this channel alone */
	struct crypto_xts *decrypt;     /* the same */
	unsigned busy;                  /* requests that use the key; written by the loop, atomic */
	struct crypt_job *jobs;         /* free ones */
	struct crypt_slab *slabs;       /* where they lie */
	uint8_t block[CRYPT_BLOCK_MAX]; /* a block that lies in several pieces */
};

/* What is kept of a request that goes down changed. */
struct crypt_job {
	struct crypt_job *next;     /* while free */
	struct loop_buf *room;      /* WRITE: the ciphertext; READ: the pieces as they were */
	struct iovec one;           /* WRITE: the piece that is below */
	uint64_t off, len;          /* of the request */
	uint64_t over;              /* WRITE: bytes that are over */
	struct iovec *iov;          /* of the request */
	unsigned iovcnt;            /* of the request */
	const struct loop_buf *buf; /* of the request */
	struct crypt_place {
		const struct iovec *iov;
		size_t skip;
	} at; /* WRITE: where the next bytes are */
};

/* A buffer full of jobs begins with this. */
struct crypt_slab {
	struct crypt_slab *next;
	struct loop_buf *buf; /* itself */
};

static struct crypt_part *crypt_part(struct vol_part *part)
{
	return container_of(part, struct crypt_part, part);
}

static struct crypt_chan *crypt_chan(struct vol_chan *chan)
{
	return container_of(chan, struct crypt_chan, chan);
}

static uint32_t block_of(const struct crypt_chan *c)
{
	return crypt_part(c->chan.part)->block;
}

/* ---- options ---- */

static int take_key(struct vol_part *part, const char *value)
{
	struct crypt_part *p = crypt_part(part);

	free(p->path);
	p->path = own_strdup(value);
	return 0;
}

static const struct options_key crypt_keys[] = {
	{ "key", take_key, "key=/PATH" },
};

static int crypt_open_key(struct crypt_part *p, struct vol_setup *setup)
{
	char why[400] = "";
	int err = crypt_key_open(&p->key, p->path, setup->conf->readonly, why, sizeof why);
	struct crypto_xts *probe;

	if (err)
		return vol_refuse(setup, err, "volume %s: %s", setup->conf->name, why);
	probe = crypto_xts_new(p->key.bytes, true);
	crypto_xts_free(probe);
	if (!probe)
		return vol_refuse(setup, -ENOTSUP,
			"volume %s: libcrypto of this machine has no AES-256-XTS",
			setup->conf->name);
	return 0;
}

static int crypt_open(struct vol_part *part, struct vol_setup *setup)
{
	struct crypt_part *p = crypt_part(part);
	int err;

	p->key.fd = -1;
	p->block = setup->info->block_size;
	pthread_mutex_init(&p->lock, NULL);
	list_init(&p->chans);
	err = options_parse(setup, part, crypt_keys, own_array_len(crypt_keys));
	if (err)
		return err;
	if (!p->path)
		return vol_refuse(setup, -EINVAL,
			"volume %s: layer \"crypt\" needs key=/PATH, a file of 64 random bytes",
			setup->conf->name);
	err = crypt_open_key(p, setup);
	if (err)
		return err;
	setup->info->caps &= ~(uint32_t)VOL_CAN_LEND;
	if (!setup->conf->readonly && crypt_key_replaceable(&p->key))
		setup->info->caps |= VOL_CAN_REKEY;
	return 0;
}

static void crypt_close(struct vol_part *part)
{
	struct crypt_part *p = crypt_part(part);

	crypt_key_close(&p->key);
	free(p->path);
	pthread_mutex_destroy(&p->lock);
}

/* ---- the key is in use, or it is being replaced ---- */

/* Both sides say first and look then, so never do both go on. */
static bool crypt_enter(struct crypt_chan *c)
{
	__atomic_store_n(&c->busy, c->busy + 1, __ATOMIC_SEQ_CST);
	if (!__atomic_load_n(&crypt_part(c->chan.part)->rekeying, __ATOMIC_SEQ_CST))
		return true;
	__atomic_store_n(&c->busy, c->busy - 1, __ATOMIC_RELEASE);
	return false;
}

static void crypt_leave(struct crypt_chan *c)
{
	__atomic_store_n(&c->busy, c->busy - 1, __ATOMIC_RELEASE);
}

static bool is_busy(const struct crypt_part *p)
{
	list_for_each (it, &p->chans) {
		const struct crypt_chan *c = container_of(it, struct crypt_chan, node);

		if (__atomic_load_n(&c->busy, __ATOMIC_SEQ_CST))
			return true;
	}
	return false;
}

static int crypt_rekey(struct vol_part *part)
{
	struct crypt_part *p = crypt_part(part);
	int err = -EBUSY;

	pthread_mutex_lock(&p->lock);
	__atomic_store_n(&p->rekeying, true, __ATOMIC_SEQ_CST);
	if (!is_busy(p)) {
		err = crypt_key_replace(&p->key);
		list_for_each (it, &p->chans) {
			struct crypt_chan *c = container_of(it, struct crypt_chan, node);

			crypto_xts_rekey(c->encrypt, p->key.bytes);
			crypto_xts_rekey(c->decrypt, p->key.bytes);
		}
	}
	__atomic_store_n(&p->rekeying, false, __ATOMIC_SEQ_CST);
	pthread_mutex_unlock(&p->lock);
	if (err && err != -EBUSY)
		log_error("volume: the key cannot be replaced", "volume=%s key=%s error=\"%s\"",
			part->vol_name, p->key.path, strerror(-err));
	return err;
}

/* ---- jobs ---- */

static void job_put(struct crypt_chan *c, struct crypt_job *job)
{
	job->next = c->jobs;
	c->jobs = job;
}

static bool jobs_grow(struct crypt_chan *c)
{
	struct loop_buf *buf = loop_buf_get(c->chan.loop, CRYPT_SLAB);
	struct crypt_slab *slab;
	struct crypt_job *job;

	if (!buf)
		return false;
	slab = (void *)buf->data;
	slab->buf = buf;
	slab->next = c->slabs;
	c->slabs = slab;
	job = (void *)(slab + 1);
	for (size_t i = 0; i < (CRYPT_SLAB - sizeof *slab) / sizeof *job; i++)
		job_put(c, job + i);
	return true;
}

/* A job with `len` bytes of room that knows the request; NULL: busy. */
static struct crypt_job *job_get(struct crypt_chan *c, const struct vol_io *io, uint64_t len)
{
	struct crypt_job *job;

	if (!c->jobs && !jobs_grow(c))
		return NULL;
	job = c->jobs;
	job->room = loop_buf_get(c->chan.loop, (uint32_t)len);
	if (!job->room)
		return NULL;
	c->jobs = job->next;
	job->off = io->off;
	job->len = io->len;
	job->iov = io->iov;
	job->iovcnt = io->iovcnt;
	job->buf = io->buf;
	job->over = 0;
	job->at = (struct crypt_place){ .iov = io->iov };
	return job;
}

/* The request is again what it was. */
static void job_end(struct crypt_chan *c, struct crypt_job *job, struct vol_io *io)
{
	io->off = job->off;
	io->len = job->len;
	io->iov = job->iov;
	io->iovcnt = job->iovcnt;
	io->buf = job->buf;
	loop_buf_put(c->chan.loop, own_take(job->room));
	job_put(c, job);
}

/* ---- blocks in pieces ---- */

/* The next `len` bytes where they lie in one piece, or NULL. */
static uint8_t *place_take(struct crypt_place *at, uint32_t len)
{
	uint8_t *p;

	while (at->skip == at->iov->iov_len)
		*at = (struct crypt_place){ .iov = at->iov + 1 };
	if (at->iov->iov_len - at->skip < len)
		return NULL;
	p = (uint8_t *)at->iov->iov_base + at->skip;
	at->skip += len;
	return p;
}

/* Copies the next `len` bytes from the pieces, or to them, and is behind them. */
static void place_copy(struct crypt_place *at, uint8_t *data, uint32_t len, bool from_pieces)
{
	while (len) {
		uint64_t left = at->iov->iov_len - at->skip;
		uint32_t n = left < len ? (uint32_t)left : len;
		uint8_t *piece = (uint8_t *)at->iov->iov_base + at->skip;

		if (from_pieces)
			memcpy(data, piece, n);
		else
			memcpy(piece, data, n);
		data += n;
		len -= n;
		at->skip += n;
		if (len)
			*at = (struct crypt_place){ .iov = at->iov + 1 };
	}
}

static bool is_zero(const uint8_t *p, uint32_t len)
{
	uint64_t head;

	memcpy(&head, p, sizeof head);
	return head == 0 && !memcmp(p, p + sizeof head, len - sizeof head);
}

static void unit_decrypt(struct crypt_chan *c, uint64_t number, uint8_t *p)
{
	uint32_t block = block_of(c);

	if (!is_zero(p, block))
		crypto_xts_unit(c->decrypt, number, p, p, block);
}

static void pieces_decrypt(
	struct crypt_chan *c, const struct iovec *iov, uint64_t off, uint64_t len)
{
	struct crypt_place at = { .iov = iov };
	uint32_t block = block_of(c);

	for (uint64_t n = off / block; n < (off + len) / block; n++) {
		struct crypt_place begin = at;
		uint8_t *p = place_take(&at, block);

		if (p) {
			unit_decrypt(c, n, p);
			continue;
		}
		place_copy(&at, c->block, block, true);
		unit_decrypt(c, n, c->block);
		place_copy(&begin, c->block, block, false);
	}
}

static void pieces_encrypt(
	struct crypt_chan *c, struct crypt_place *at, uint8_t *to, uint64_t off, uint64_t len)
{
	uint32_t block = block_of(c);

	for (uint64_t n = off / block; n < (off + len) / block; n++, to += block) {
		const uint8_t *p = place_take(at, block);

		if (!p) {
			place_copy(at, to, block, true);
			p = to;
		}
		crypto_xts_unit(c->encrypt, n, p, to, block);
	}
}

/* ---- requests ---- */

/* frame.scratch: of READ in one piece where it lies; of all others the job */
enum { CRYPT_PLACE, CRYPT_JOB };

static void read_done(struct vol_io *io, int res)
{
	const struct vol_frame *frame = vol_io_frame(io);
	struct crypt_job *job = (void *)(uintptr_t)frame->scratch[CRYPT_JOB];
	struct iovec one = { (void *)(uintptr_t)frame->scratch[CRYPT_PLACE], io->len };
	struct crypt_chan *c = crypt_chan(frame->chan);

	if (job)
		job_end(c, job, io);
	if (!res)
		pieces_decrypt(c, job ? io->iov : &one, io->off, io->len);
	crypt_leave(c);
	vol_io_done(io, res);
}

/* Whoever is below may change the pieces, but we must find them again: several go down as a copy.
 */
static bool crypt_read(struct crypt_chan *c, struct vol_io *io)
{
	struct crypt_job *job = NULL;
	struct vol_frame *frame;

	if (io->iovcnt > 1) {
		uint32_t len = io->iovcnt * (uint32_t)sizeof *io->iov;

		job = job_get(c, io, len);
		if (!job)
			return false;
		memcpy(job->room->data, io->iov, len);
		io->iov = (void *)job->room->data;
	}
	frame = vol_io_push(&c->chan, io, read_done);
	frame->scratch[CRYPT_PLACE] = (uintptr_t)io->iov->iov_base;
	frame->scratch[CRYPT_JOB] = (uintptr_t)job;
	vol_io_down(&c->chan, io);
	return true;
}

static void write_done(struct vol_io *io, int res);

static void write_piece(struct crypt_chan *c, struct vol_io *io, struct crypt_job *job)
{
	uint64_t left = job->len - job->over;

	io->off = job->off + job->over;
	io->len = left < CRYPT_PIECE ? left : CRYPT_PIECE;
	pieces_encrypt(c, &job->at, job->room->data, io->off, io->len);
	job->one = (struct iovec){ .iov_base = job->room->data, .iov_len = io->len };
	io->iov = &job->one;
	io->iovcnt = 1;
	io->buf = job->room;
	vol_io_push(&c->chan, io, write_done)->scratch[CRYPT_JOB] = (uintptr_t)job;
	vol_io_down(&c->chan, io);
}

static void write_done(struct vol_io *io, int res)
{
	const struct vol_frame *frame = vol_io_frame(io);
	struct crypt_job *job = (void *)(uintptr_t)frame->scratch[CRYPT_JOB];
	struct crypt_chan *c = crypt_chan(frame->chan);

	job->over += io->len;
	if (!res && job->over < job->len) {
		write_piece(c, io, job);
		return;
	}
	job_end(c, job, io);
	crypt_leave(c);
	vol_io_done(io, res);
}

static bool crypt_write(struct crypt_chan *c, struct vol_io *io)
{
	struct crypt_job *job = job_get(c, io, io->len < CRYPT_PIECE ? io->len : CRYPT_PIECE);

	if (job)
		write_piece(c, io, job);
	return job;
}

static void crypt_submit(struct vol_chan *chan, struct vol_io *io)
{
	struct crypt_chan *c = crypt_chan(chan);

	if (io->op != VOL_READ && io->op != VOL_WRITE) {
		vol_io_down(chan, io);
		return;
	}
	own_assert(!(io->flags & VOL_LEND));
	if (!crypt_enter(c)) {
		vol_io_finish(chan, io, -ENOMEM);
		return;
	}
	if (io->op == VOL_READ ? crypt_read(c, io) : crypt_write(c, io))
		return;
	crypt_leave(c);
	vol_io_finish(chan, io, -ENOMEM);
}

/* ---- channels ---- */

static void chan_keys_free(struct crypt_chan *c)
{
	crypto_xts_free(own_take(c->encrypt));
	crypto_xts_free(own_take(c->decrypt));
}

static int crypt_chan_open(struct vol_chan *chan)
{
	struct crypt_part *p = crypt_part(chan->part);
	struct crypt_chan *c = crypt_chan(chan);
	bool good;

	pthread_mutex_lock(&p->lock);
	c->encrypt = crypto_xts_new(p->key.bytes, true);
	c->decrypt = crypto_xts_new(p->key.bytes, false);
	good = c->encrypt && c->decrypt;
	if (good)
		list_push(&p->chans, &c->node);
	pthread_mutex_unlock(&p->lock);
	if (!good)
		chan_keys_free(c);
	return good ? 0 : -ENOMEM;
}

static void crypt_chan_close(struct vol_chan *chan)
{
	struct crypt_part *p = crypt_part(chan->part);
	struct crypt_chan *c = crypt_chan(chan);

	own_assert(!c->busy);
	pthread_mutex_lock(&p->lock);
	list_del(&c->node);
	pthread_mutex_unlock(&p->lock);
	while (c->slabs) {
		struct loop_buf *buf = c->slabs->buf;

		c->slabs = c->slabs->next;
		loop_buf_put(chan->loop, buf);
	}
	chan_keys_free(c);
}

const struct vol_part_ops layer_crypt_ops = {
	.kind = "crypt",
	.part_size = sizeof(struct crypt_part),
	.chan_size = sizeof(struct crypt_chan),
	.open = crypt_open,
	.close = crypt_close,
	.chan_open = crypt_chan_open,
	.chan_close = crypt_chan_close,
	.submit = crypt_submit,
	.rekey = crypt_rekey,
};
