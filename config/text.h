/* SPDX-License-Identifier: Apache-2.0 */
/*
 * text.h: the configuration as one text, with everything that it includes, before it is parsed.
 *
 * libconfig cuts large integers without a word and ends the process when an included file cannot be
 * read. So files are joined here: an @include is replaced by what it names, which must lie in the
 * directory of the main file; large integers get the suffix that makes them 64 bits wide; and each
 * line of the result remembers where it came from.
 */
#ifndef KURA_CONFIG_TEXT_H
#define KURA_CONFIG_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#define CFG_TEXT_MAX      (4u << 20) /* bytes of the main file and what it includes */
#define CFG_INCLUDE_DEPTH 8

struct cfg_run {
	unsigned line; /* first line of the joined text, 1.. */
	unsigned file; /* index into files */
	unsigned from; /* the line there */
};

enum cfg_lex { CFG_LEX_PLAIN, CFG_LEX_STRING, CFG_LEX_LINE_COMMENT, CFG_LEX_BLOCK_COMMENT };

struct cfg_text {
	char *data;           /* the joined text, ended by a NUL */
	size_t len, room;     /* bytes used, bytes allocated */
	size_t max;           /* bytes that may be used */
	unsigned line;        /* the line that is being written, 1.. */
	enum cfg_lex lex;     /* what the next byte belongs to */
	unsigned opened;      /* line in which the open text or comment began */
	struct cfg_run *runs; /* in the order of lines */
	unsigned run_count;
	char **files;     /* names as opened; [0] is the main file */
	unsigned *shared; /* of each file: the bits of its mode that let others read or write it */
	unsigned file_count;
	unsigned second;  /* line at which the file of cfg_text_append begins; 0: there is none */
	size_t second_at; /* and its place in data */
	char *dir;        /* where includes lie; NULL: they are refused */
	char fault[400];  /* what went wrong */
	unsigned fault_line; /* and where, in lines of the joined text; 0: the file as a whole */
};

/* Reads `path` and what it includes. 0, or -errno with fault set. Fini in both cases. */
int cfg_text_read(struct cfg_text *t, const char *path);

/* Adds another main file behind it, which may include nothing; one that is not there adds nothing.
 * 0, or -errno with fault set. */
int cfg_text_append(struct cfg_text *t, const char *path);

/* Takes over `len` bytes that call themselves `name`; includes are refused. As above. */
int cfg_text_take(struct cfg_text *t, const char *data, size_t len, const char *name);

/* Frees everything in it. */
void cfg_text_fini(struct cfg_text *t);

/* The file (borrowed from `t`) and the line in it of a line of the joined text. */
const char *cfg_text_where(const struct cfg_text *t, unsigned line, unsigned *line_there);

/* Whether the file of a line of the joined text is its owner's alone. */
bool cfg_text_is_private(const struct cfg_text *t, unsigned line);

/* The bytes of a line of the joined text without blanks around it; borrowed. */
const char *cfg_text_line(const struct cfg_text *t, unsigned line, size_t *len);

#endif
