/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log.h: one line per event on standard error, a message and key=value fields.
 *
 * A line is "level message key=value ...", with the "<N>" prefix of sd-daemon(3) instead of the
 * level when standard error is the journal. Lines are written whole, from any thread.
 */
#ifndef KURA_COMMON_LOG_H
#define KURA_COMMON_LOG_H

#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

#define LOG_JOURNAL "/run/systemd/journal/socket"

/* Lines go to the journal's socket `path` from now on, with their fields as fields (KURA_PEER=...),
 * when standard error is the journal; else nothing changes. Once, before there are threads. */
void log_to_journal(const char *path);

/* A budget for lines that a peer can cause: `burst` lines, then one a second. Zero is a full one.
 */
struct log_limit {
	uint64_t last_ms;    /* when the budget was last filled */
	uint32_t spent;      /* lines used of the burst */
	uint32_t suppressed; /* lines dropped since the last one that was written */
};

/* Drops lines above `level`; default LOG_LEVEL_INFO. Any thread. */
void log_set_level(enum log_level level);

/* The level of this name, "error", "warn", "info" or "debug"; what is none is "debug". */
enum log_level log_level_named(const char *name);

/* The level that is written now. */
enum log_level log_level_get(void);

/* Its name; static. */
const char *log_level_name(enum log_level level);

/* Whether a line of this level would be written; for fields that cost something to make. */
bool log_wants(enum log_level level);

/*
 * Writes one line: `msg` is fixed text of the form "room: what happened", `fmt` the fields (NULL:
 * none). Bytes that are not printable ASCII are written as \xNN, so that a peer cannot forge lines.
 */
void log_write(enum log_level level, const char *msg, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Whether `limit` has room for one more line now; counts it. One thread per limit. */
bool log_limit_ok(struct log_limit *limit);

#define log_error(msg, ...) log_write(LOG_LEVEL_ERROR, msg, __VA_ARGS__)
#define log_warn(msg, ...)  log_write(LOG_LEVEL_WARN, msg, __VA_ARGS__)
#define log_info(msg, ...)  log_write(LOG_LEVEL_INFO, msg, __VA_ARGS__)
#define log_debug(msg, ...)                                                                        \
	do {                                                                                       \
		if (log_wants(LOG_LEVEL_DEBUG))                                                    \
			log_write(LOG_LEVEL_DEBUG, msg, __VA_ARGS__);                              \
	} while (0)

#endif
