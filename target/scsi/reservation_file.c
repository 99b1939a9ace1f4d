/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reservations that outlive a power loss, as text with a checksum in its last line; drawn in
 * docs/disk-format.md. The file is written whole beside the old one and takes its place in one
 * step, so that a cut at any byte leaves the old one or the new one.
 *
 * What can fail: the disk. Then the old file is what counts, and the caller refuses the command.
 */
#include "target/scsi/reservation.h"

#include "common/crc32c.h"
#include "common/fault.h"
#include "common/file.h"
#include "common/log.h"
#include "common/own.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_MAGIC    "kura-reservations "
#define FILE_VERSION  1
#define FILE_CRC      "crc32c "
#define FILE_CRC_LEN  (sizeof FILE_CRC - 1 + 8 + 1) /* the last line */
#define FILE_MAX      (1u << 20)
#define NAME_MAX_TEXT (3 * SCSI_INITIATOR_MAX)

char *res_file_path(const char *state_dir, const uint8_t uuid[VOL_UUID_LEN])
{
	char hex[2 * VOL_UUID_LEN + 1];

	for (unsigned i = 0; i < VOL_UUID_LEN; i++)
		snprintf(hex + 2 * i, 3, "%02x", uuid[i]);
	return own_printf("%s/reservations/%.8s-%.4s-%.4s-%.4s-%s", state_dir, hex, hex + 8,
		hex + 12, hex + 16, hex + 20);
}

/* ---- text ---- */

/* Names have no spaces (RFC 7143 4.2.7.1); should one have, it is written as %20. */
static void put_name(FILE *f, const char *name)
{
	for (const unsigned char *c = (const unsigned char *)name; *c; c++) {
		if (*c <= ' ' || *c == '%' || *c == 0x7f)
			fprintf(f, "%%%02x", *c);
		else
			fputc(*c, f);
	}
}

static void put_registrant(FILE *f, const struct res_registrant *reg)
{
	fprintf(f, "registrant %016" PRIx64 " %s %u ", reg->key, reg->holds ? "holder" : "-",
		reg->who.rel_port);
	put_name(f, reg->who.initiator);
	fputc(' ', f);
	put_name(f, reg->who.target);
	fputc('\n', f);
}

static void put_body(FILE *f, const struct res_state *s, const uint8_t *uuid, uint64_t serial)
{
	fprintf(f, FILE_MAGIC "%d\nvolume ", FILE_VERSION);
	for (unsigned i = 0; i < VOL_UUID_LEN; i++)
		fprintf(f, "%02x", uuid[i]);
	fprintf(f, "\nserial %" PRIu64 "\naptpl %d\ntype %u\nregistrants %u\n", serial, s->aptpl,
		s->aptpl ? s->type : 0, s->aptpl ? s->count : 0);
	for (unsigned i = 0; i < s->count && s->aptpl; i++)
		put_registrant(f, &s->reg[i]);
}

char *res_file_build(const struct res_state *s, const uint8_t uuid[VOL_UUID_LEN], uint64_t serial)
{
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);

	if (!f)
		return NULL;
	put_body(f, s, uuid, serial);
	if (fflush(f) == 0)
		fprintf(f, FILE_CRC "%08x\n", crc32c(text, len));
	if (fclose(f) == 0)
		return text;
	free(text);
	return NULL;
}

/* Whether the last line is the checksum of all before it. */
static bool text_whole(const char *text, size_t len)
{
	char line[FILE_CRC_LEN + 1];
	size_t body;

	if (len < FILE_CRC_LEN)
		return false;
	body = len - FILE_CRC_LEN;
	snprintf(line, sizeof line, FILE_CRC "%08x\n", crc32c(text, body));
	return !memcmp(line, text + body, FILE_CRC_LEN);
}

/* As put_name wrote it: % has two digits behind it. */
static bool take_name(char *dst, const char *src)
{
	static const char digits[] = "0123456789abcdef";
	size_t n = 0;

	for (; *src; src++) {
		char c = *src;

		if (c == '%') {
			const char *high = src[1] ? strchr(digits, src[1]) : NULL;
			const char *low = high && src[2] ? strchr(digits, src[2]) : NULL;

			if (!low || (high == digits && low == digits))
				return false;
			c = (char)((high - digits) * 16 + (low - digits));
			src += 2;
		}
		if (n + 1 == SCSI_INITIATOR_MAX)
			return false;
		dst[n++] = c;
	}
	dst[n] = '\0';
	return n;
}

static bool take_registrant(struct res_state *s, const char **p)
{
	char holder[8], initiator[NAME_MAX_TEXT + 1], target[NAME_MAX_TEXT + 1];
	struct res_nexus who = { 0 };
	uint64_t key;
	int used = 0;

	if (sscanf(*p, "registrant %" SCNx64 " %7s %" SCNu16 " %720s %720s\n%n", &key, holder,
		    &who.rel_port, initiator, target, &used) != 5 ||
		!used)
		return false;
	if (!take_name(who.initiator, initiator) || !take_name(who.target, target))
		return false;
	*p += used;
	res_state_add(s, &who, key)->holds = !strcmp(holder, "holder");
	return true;
}

struct res_header {
	char volume[2 * VOL_UUID_LEN + 1];
	uint64_t serial;
	unsigned version, aptpl, type, count;
};

static bool take_header(struct res_header *h, const char **p)
{
	int used = 0;

	if (sscanf(*p,
		    FILE_MAGIC "%u\nvolume %32s\nserial %" SCNu64 "\naptpl %u\ntype %u\n"
			       "registrants %u\n%n",
		    &h->version, h->volume, &h->serial, &h->aptpl, &h->type, &h->count, &used) != 6)
		return false;
	*p += used;
	return used && h->version == FILE_VERSION && h->count <= RES_REGISTRANTS_MAX &&
	       h->aptpl <= 1 && (!h->type || res_type_valid((uint8_t)h->type));
}

static bool of_volume(const struct res_header *h, const uint8_t uuid[VOL_UUID_LEN])
{
	char hex[2 * VOL_UUID_LEN + 1];

	for (unsigned i = 0; i < VOL_UUID_LEN; i++)
		snprintf(hex + 2 * i, 3, "%02x", uuid[i]);
	return !strcmp(hex, h->volume);
}

struct res_state *res_file_parse(
	const char *text, size_t len, const uint8_t uuid[VOL_UUID_LEN], uint64_t *serial)
{
	const struct res_state empty = { 0 };
	struct res_header h = { .version = 0 };
	struct res_state *s;
	const char *p = text;
	bool good = true;

	if (!text_whole(text, len) || !take_header(&h, &p) || !of_volume(&h, uuid))
		return NULL;
	s = res_state_copy(&empty, h.count);
	if (!s)
		return NULL;
	s->aptpl = h.aptpl;
	s->type = (uint8_t)h.type;
	*serial = h.serial;
	for (unsigned i = 0; i < h.count && good; i++)
		good = take_registrant(s, &p);
	if (good && p == text + len - FILE_CRC_LEN)
		return s;
	res_state_free(s, NULL);
	return NULL;
}

/* ---- writing ---- */

/* PATH stays in place all the time: PATH.old is a second name of it until PATH is replaced. */
static int replace(const char *path, const char *beside, const char *old)
{
	int err;

	if ((unlink(old) && errno != ENOENT) || (link(path, old) && errno != ENOENT))
		return -errno;
	if (rename(beside, path))
		return -errno;
	err = file_sync_folder(path);
	if (err && rename(old, path) && errno == ENOENT)
		unlink(path); /* it was the first, and is not promised */
	return err;
}

int res_file_save(const char *path, const char *text)
{
	own_free char *dir = strndup(path, (size_t)(strrchr(path, '/') - path));
	own_free char *beside = own_printf("%s.new", path);
	own_free char *old = own_printf("%s.old", path);
	int err = dir ? file_make_folder(dir) : -ENOMEM;

	if (!err)
		err = file_write(beside, text, strlen(text), 0600);
	if (!err)
		err = fault_point(FAULT_reservation_written);
	if (!err)
		err = replace(path, beside, old);
	(void)fault_point(FAULT_reservation_replaced);
	return err;
}

/* ---- reading ---- */

/* -ENOENT: there is none; another one: it is there, but cannot be read or is not whole. */
static int load_one(
	const char *path, const uint8_t uuid[VOL_UUID_LEN], uint64_t *serial, struct res_state **s)
{
	size_t len;
	int err;
	own_free char *text = file_read(path, FILE_MAX, &len, &err);

	if (err == -ENOENT)
		return err;
	*s = text ? res_file_parse(text, len, uuid, serial) : NULL;
	if (*s)
		return 0;
	log_error("reservations cannot be read", "path=%s why=\"%s\"", path,
		err ? strerror(-err) : "it is cut, altered, of another volume or of a later kura");
	return err ? err : -EBADMSG;
}

struct res_state *res_file_load(
	const char *path, const uint8_t uuid[VOL_UUID_LEN], uint64_t *serial, int *err)
{
	own_free char *old = own_printf("%s.old", path);
	own_free char *beside = own_printf("%s.new", path);
	struct res_state *s = NULL;
	int first = load_one(path, uuid, serial, &s), second;

	(void)unlink(beside); /* one that was being written counts for nothing */

	*err = 0;
	if (!first)
		return s;
	second = load_one(old, uuid, serial, &s);
	if (!second) {
		log_error("reservations are taken from the file before the last: the latest change "
			  "is missing",
			"path=%s", old);
		return s;
	}
	if (first != -ENOENT || second != -ENOENT)
		*err = -EBADMSG;
	return NULL;
}
