// SPDX-License-Identifier: Apache-2.0
/*
 * log.c: lines are made in a buffer on the stack and leave in one write(2), so lines of several
 * threads do not mix. A line that is too long is cut, never split.
 */
#include "common/log.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define LOG_LINE_MAX  2048
#define LOG_BURST_MAX 20
#define LOG_REFILL_MS 1000

static atomic_int log_level_now = LOG_LEVEL_INFO;

static const char *const level_names[] = { "error", "warn", "info", "debug" };

enum log_level log_level_named(const char *name)
{
	unsigned level = 0;

	while (level < LOG_LEVEL_DEBUG && strcmp(level_names[level], name) != 0)
		level++;
	return (enum log_level)level;
}

const char *log_level_name(enum log_level level)
{
	return level_names[level];
}

enum log_level log_level_get(void)
{
	return (enum log_level)atomic_load_explicit(&log_level_now, memory_order_relaxed);
}

void log_set_level(enum log_level level)
{
	atomic_store_explicit(&log_level_now, (int)level, memory_order_relaxed);
}

bool log_wants(enum log_level level)
{
	return (int)level <= atomic_load_explicit(&log_level_now, memory_order_relaxed);
}

/* Standard error is the journal when systemd says so (sd-daemon(3), JOURNAL_STREAM). */
static const char *log_prefix(enum log_level level)
{
	static const char *const plain[] = { "error ", "warn  ", "info  ", "debug " };
	static const char *const journal[] = { "<3>", "<4>", "<6>", "<7>" };

	return getenv("JOURNAL_STREAM") ? journal[level] : plain[level];
}

/* Copies `src`, making what is not printable visible; returns the new end. */
static size_t log_escape(char *dst, size_t at, size_t room, const char *src)
{
	static const char hex[] = "0123456789abcdef";

	for (; *src && at + 5 < room; src++) {
		unsigned char c = (unsigned char)*src;

		if (c >= 0x20 && c < 0x7f) {
			dst[at++] = (char)c;
			continue;
		}
		dst[at++] = '\\';
		dst[at++] = 'x';
		dst[at++] = hex[c >> 4];
		dst[at++] = hex[c & 15];
	}
	return at;
}

/* ---- the journal's own protocol: systemd.journal-fields(7) ---- */

static int journal_fd = -1;

/* Whether standard error is what JOURNAL_STREAM names, "device:inode". */
static bool stderr_is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	char here[64];
	struct stat st;

	if (!stream || fstat(STDERR_FILENO, &st))
		return false;
	snprintf(here, sizeof here, "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
	return !strcmp(stream, here);
}

void log_to_journal(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd;

	if (strlen(path) >= sizeof a.sun_path || !stderr_is_journal())
		return;
	strcpy(a.sun_path, path);
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && !connect(fd, (const struct sockaddr *)&a, sizeof a))
		journal_fd = fd;
	else if (fd >= 0)
		close(fd);
}

#define KEY_BYTES "abcdefghijklmnopqrstuvwxyz0123456789_"

/* The length of a value that ends with a quotation mark; as a sentence may have some inside, it is
 * the one behind which the line ends or another key begins. */
static size_t quoted_len(const char *value)
{
	const char *end = value;

	while ((end = strchr(end, '"')) && end[1] &&
		(end[1] != ' ' || end[2 + strspn(end + 2, KEY_BYTES)] != '='))
		end++;
	return end ? (size_t)(end - value) : strlen(value);
}

/* Appends "KURA_PEER=value" for each "peer=value" or "peer=\"value\"" of a line's fields. */
static size_t journal_fields(char *out, size_t at, size_t room, const char *fields)
{
	while (*fields) {
		size_t key = strspn(fields, KEY_BYTES);
		const char *value = fields + key + 1;
		bool quoted = key && fields[key] == '=' && *value == '"';
		size_t len;

		if (!key || fields[key] != '=') {
			fields += strcspn(fields, " ");
			fields += strspn(fields, " ");
			continue;
		}
		value += quoted;
		len = quoted ? quoted_len(value) : strcspn(value, " ");
		if (at + key + len + 8 > room)
			return at;
		at += (size_t)sprintf(out + at, "KURA_");
		for (size_t i = 0; i < key; i++)
			out[at++] = (char)toupper((unsigned char)fields[i]);
		at += (size_t)sprintf(out + at, "=%.*s\n", (int)len, value);
		fields = value + len + (quoted && value[len]);
		fields += strspn(fields, " ");
	}
	return at;
}

/* The line without its prefix and end; `fields` its part that has them. False: it was not taken,
 * and a loop does not wait for that. */
static bool journal_send(enum log_level level, const char *line, size_t len, const char *fields)
{
	char out[3 * LOG_LINE_MAX];
	size_t at = (size_t)snprintf(out, sizeof out,
		"PRIORITY=%c\nSYSLOG_IDENTIFIER=kurad\nMESSAGE=%.*s\n", "3467"[level], (int)len,
		line);

	at = journal_fields(out, at, sizeof out, fields);
	return send(journal_fd, out, at, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)at;
}

void log_write(enum log_level level, const char *msg, const char *fmt, ...)
{
	char fields[LOG_LINE_MAX], line[LOG_LINE_MAX + 64];
	size_t at, prefix, begin;
	ssize_t n;

	if (!log_wants(level))
		return;
	prefix = strlen(log_prefix(level));
	at = (size_t)snprintf(line, sizeof line, "%s%s", log_prefix(level), msg);
	if (at >= sizeof line)
		at = sizeof line - 2;
	begin = at;
	if (fmt && *fmt) {
		va_list ap;

		va_start(ap, fmt);
		vsnprintf(fields, sizeof fields, fmt, ap);
		va_end(ap);
		line[at++] = ' ';
		at = log_escape(line, at, sizeof line, fields);
	}
	line[at] = '\0';
	if (journal_fd >= 0 &&
		journal_send(level, line + prefix, at - prefix, line + begin + (at > begin)))
		return;
	line[at++] = '\n';
	n = write(STDERR_FILENO, line, at);
	(void)n; /* nobody is left to tell */
}

bool log_limit_ok(struct log_limit *limit)
{
	struct timespec ts;
	uint64_t now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &ts);
	now = (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
	if (now - limit->last_ms >= LOG_REFILL_MS) {
		uint64_t back = (now - limit->last_ms) / LOG_REFILL_MS;

		limit->spent = back >= limit->spent ? 0 : limit->spent - (uint32_t)back;
		limit->last_ms = now;
	}
	if (limit->spent >= LOG_BURST_MAX) {
		limit->suppressed++;
		return false;
	}
	limit->spent++;
	limit->suppressed = 0;
	return true;
}
