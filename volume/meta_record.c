// SPDX-License-Identifier: Apache-2.0
/*
 * meta_record.c: building and parsing a record, byte for byte: what is parsed is built again and
 * compared, so that nothing but the drawn form is taken.
 */
#include "volume/meta_record.h"

#include "common/crc32c.h"
#include "common/file.h"
#include "common/own.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#define META_MAGIC    "kura-volume "
#define META_CRC      "crc32c "
#define META_FILE_MAX 65536                         /* what is longer is no record */
#define META_CRC_LEN  (sizeof META_CRC - 1 + 8 + 1) /* the last line */

/* ---- UUIDs ---- */

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool dash_before(unsigned byte)
{
	return byte == 4 || byte == 6 || byte == 8 || byte == 10;
}

int meta_uuid_parse(const char *text, uint8_t uuid[VOL_UUID_LEN])
{
	uint8_t out[VOL_UUID_LEN];

	for (unsigned i = 0; i < VOL_UUID_LEN; i++) {
		int high, low;

		if (dash_before(i) && *text++ != '-')
			return -EINVAL;
		high = hex_digit(text[0]);
		low = high < 0 ? -1 : hex_digit(text[1]);
		if (low < 0)
			return -EINVAL;
		out[i] = (uint8_t)(high << 4 | low);
		text += 2;
	}
	if (*text)
		return -EINVAL;
	memcpy(uuid, out, sizeof out);
	return 0;
}

void meta_uuid_format(const uint8_t uuid[VOL_UUID_LEN], char text[META_UUID_TEXT])
{
	static const char digits[] = "0123456789abcdef";

	for (unsigned i = 0; i < VOL_UUID_LEN; i++) {
		if (dash_before(i))
			*text++ = '-';
		*text++ = digits[uuid[i] >> 4];
		*text++ = digits[uuid[i] & 15];
	}
	*text = 0;
}

int meta_uuid_random(uint8_t uuid[VOL_UUID_LEN])
{
	if (getrandom(uuid, VOL_UUID_LEN, 0) != VOL_UUID_LEN)
		return -EIO;
	uuid[6] = (uint8_t)((uuid[6] & 0x0f) | 0x40); /* RFC 9562 5.4: version 4 */
	uuid[8] = (uint8_t)((uuid[8] & 0x3f) | 0x80); /* RFC 9562 4.1: variant */
	return 0;
}

/* ---- records ---- */

static bool record_plain(const struct meta_record *record)
{
	return !record->snapshot && !record->thick && !record->has_origin && !record->created;
}

size_t meta_record_build(const struct meta_record *record, char text[META_RECORD_MAX + 1])
{
	bool plain = record_plain(record);
	char id[META_UUID_TEXT], origin[META_UUID_TEXT] = "-";
	size_t n;

	meta_uuid_format(record->uuid, id);
	if (record->has_origin)
		meta_uuid_format(record->origin, origin);
	n = (size_t)snprintf(
		text, META_RECORD_MAX + 1, META_MAGIC "%d\nuuid %s\n", plain ? 1 : 2, id);
	if (!plain)
		n += (size_t)snprintf(text + n, META_RECORD_MAX + 1 - n,
			"kind %s\nspace %s\norigin %s\ncreated %lld\n",
			record->snapshot ? "snapshot" : "volume", record->thick ? "thick" : "thin",
			origin, (long long)record->created);
	n += (size_t)snprintf(
		text + n, META_RECORD_MAX + 1 - n, META_CRC "%08x\n", crc32c(text, n));
	return n;
}

/* Whether the last line is the checksum of all before it. */
static bool record_whole(const char *text, size_t len)
{
	char line[META_CRC_LEN + 1];
	size_t body;

	if (len < META_CRC_LEN)
		return false;
	body = len - META_CRC_LEN;
	snprintf(line, sizeof line, META_CRC "%08x\n", crc32c(text, body));
	return memcmp(line, text + body, META_CRC_LEN) == 0;
}

/* The value of the line that begins at *text with `key`, cut off there; or NULL. */
static const char *record_line(char **text, const char *key)
{
	size_t len = strlen(key);
	char *value = *text + len;
	char *end = strncmp(*text, key, len) ? NULL : strchr(value, '\n');

	if (!end)
		return NULL;
	*end = 0;
	*text = end + 1;
	return value;
}

static int record_fields(char *text, struct meta_record *record, bool plain)
{
	const char *uuid = record_line(&text, "uuid ");
	const char *kind = plain ? "volume" : record_line(&text, "kind ");
	const char *space = plain ? "thin" : record_line(&text, "space ");
	const char *origin = plain ? "-" : record_line(&text, "origin ");
	const char *created = plain ? "0" : record_line(&text, "created ");

	if (!uuid || !kind || !space || !origin || !created)
		return -EBADMSG;
	record->snapshot = !strcmp(kind, "snapshot");
	record->thick = !strcmp(space, "thick");
	record->has_origin = strcmp(origin, "-") != 0;
	record->created = strtoll(created, NULL, 10);
	if (record->has_origin && meta_uuid_parse(origin, record->origin))
		return -EBADMSG;
	return meta_uuid_parse(uuid, record->uuid) ? -EBADMSG : 0;
}

int meta_record_parse(const char *text, size_t len, struct meta_record *record)
{
	static const size_t magic = sizeof META_MAGIC - 1;
	char copy[META_RECORD_MAX + 1], again[META_RECORD_MAX + 1];
	struct meta_record found = { 0 };
	const char *p;

	if (memcmp(text, META_MAGIC, len < magic ? len : magic) != 0)
		return -EPROTO;
	if (!record_whole(text, len))
		return -EBADMSG;
	p = memchr(text, '\n', len);
	if ((size_t)(p - text) != magic + 1 || (text[magic] != '1' && text[magic] != '2'))
		return -EPROTONOSUPPORT;
	if (len > META_RECORD_MAX)
		return -EBADMSG;
	memcpy(copy, text, len);
	copy[len] = 0;
	if (record_fields(copy + magic + 2, &found, text[magic] == '1') ||
		meta_record_build(&found, again) != len || memcmp(again, text, len) != 0)
		return -EBADMSG;
	*record = found;
	return 0;
}

int meta_record_write(const char *path, const struct meta_record *record)
{
	char text[META_RECORD_MAX + 1];

	return file_replace(path, text, meta_record_build(record, text), 0600);
}

int meta_record_read(const char *path, struct meta_record *record)
{
	size_t len;
	int err;
	own_free char *text = file_read(path, META_FILE_MAX, &len, &err);

	if (!text)
		return err == -EFBIG ? -EPROTO : err;
	return meta_record_parse(text, len, record);
}
