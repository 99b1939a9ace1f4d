/* SPDX-License-Identifier: Apache-2.0 */
/* Line by line, with the block that is open; a file that is included goes on in the same block. */
#include "tools/blocks.h"

#include "common/file.h"
#include "common/own.h"

#include <ctype.h>
#include <errno.h>
#include <glob.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define FILES_MAX    128u
#define LONGEST_LINE 65536u
#define DEPTH_MAX    8u /* of blocks, and of includes */

struct reader {
	struct blocks *b;
	const char *file;              /* that is read; borrowed from b->files */
	unsigned line;                 /* its current one */
	unsigned path[DEPTH_MAX];      /* which item of which is open, from the root on */
	unsigned depth, outer, nested; /* open blocks; when the file began; includes around it */
};

static int read_one(struct reader *r, const char *path);

static __attribute__((format(printf, 2, 3))) int wrong(struct reader *r, const char *fmt, ...)
{
	char *out = r->b->why;
	size_t used = (size_t)snprintf(
		out, BLOCKS_WHY_LEN, r->line ? "%.200s:%u: " : "%.200s: ", r->file, r->line);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(out + used, BLOCKS_WHY_LEN - used, fmt, ap);
	va_end(ap);
	return -EINVAL;
}

/* ---- the tree ---- */

static struct blocks_node *open_block(struct reader *r)
{
	struct blocks_node *n = &r->b->root;

	for (unsigned i = 0; i < r->depth; i++)
		n = &n->items[r->path[i]];
	return n;
}

static int add(struct reader *r, const char *key, size_t key_len, const char *value, bool is_block)
{
	struct blocks_node *in = open_block(r);

	if (++r->b->node_count > BLOCKS_NODE_MAX)
		return wrong(r, "there are more than %u lines", BLOCKS_NODE_MAX);
	if (in->count == in->room) {
		in->room = in->room ? in->room * 2 : 16;
		in->items = reallocarray(in->items, in->room, sizeof *in->items);
		own_assert(in->items);
	}
	in->items[in->count++] = (struct blocks_node){
		.key = own_printf("%.*s", (int)key_len, key),
		.value = own_strdup(value),
		.file = r->file,
		.line = r->line,
		.is_block = is_block,
	};
	return 0;
}

static void node_fini(struct blocks_node *n)
{
	for (unsigned i = 0; i < n->count; i++)
		node_fini(&n->items[i]);
	free(n->items);
	free(n->key);
	if (n->value)
		explicit_bzero(n->value, strlen(n->value)); /* it may be a password */
	free(n->value);
}

void blocks_fini(struct blocks *b)
{
	node_fini(&b->root);
	for (unsigned i = 0; i < b->file_count; i++)
		free(b->files[i]);
	free(b->files);
}

const struct blocks_node *blocks_next(
	const struct blocks_node *in, const char *key, const struct blocks_node *after)
{
	for (unsigned i = after ? (unsigned)(after - in->items) + 1 : 0; i < in->count; i++) {
		if (!strcmp(in->items[i].key, key))
			return &in->items[i];
	}
	return NULL;
}

const char *blocks_value(const struct blocks_node *in, const char *key)
{
	const struct blocks_node *n = NULL;
	const char *value = NULL;

	while ((n = blocks_next(in, key, n)))
		value = n->value;
	return value;
}

/* ---- lines ---- */

/* Cuts blanks at both ends, in place. */
static char *trim(char *s)
{
	size_t len;

	while (isspace((unsigned char)*s))
		s++;
	len = strlen(s);
	while (len && isspace((unsigned char)s[len - 1]))
		s[--len] = '\0';
	return s;
}

/* The same, with quotation marks around the whole. */
static char *unquote(char *s)
{
	size_t len;

	s = trim(s);
	len = strlen(s);
	if (len >= 2 && (*s == '"' || *s == '\'') && s[len - 1] == *s) {
		s[len - 1] = '\0';
		s++;
	}
	return s;
}

/* Ends the line where a comment begins; "\#" is a character like any other. */
static void cut_comment(char *s)
{
	char *out = s;

	for (; *s && *s != '#'; s++) {
		if (s[0] == '\\' && s[1] == '#')
			s++;
		*out++ = *s;
	}
	*out = '\0';
}

/* What is a pattern may fit nothing; what is none has to be there. */
static int include(struct reader *r, const char *pattern)
{
	const char *slash = strrchr(r->file, '/');
	char *full own_free =
		*pattern == '/' || !slash
			? own_strdup(pattern)
			: own_printf("%.*s%s", (int)(slash - r->file) + 1, r->file, pattern);
	glob_t found = { 0 };
	int err = 0;

	if (r->nested >= DEPTH_MAX)
		return wrong(r, "includes are nested more than %u deep", DEPTH_MAX);
	if (glob(full, 0, NULL, &found) && !strpbrk(full, "*?["))
		err = wrong(r, "\"%.100s\" cannot be read", full);
	for (size_t i = 0; i < found.gl_pathc && !err; i++)
		err = read_one(r, found.gl_pathv[i]);
	globfree(&found);
	return err;
}

static int close_block(struct reader *r, char *name)
{
	const struct blocks_node *open = r->depth ? open_block(r) : NULL;

	name = trim(name);
	if (r->depth == r->outer)
		return wrong(r, "</%.60s> ends nothing; no block is open", name);
	if (strcmp(open->key, name) != 0)
		return wrong(r, "</%.60s> ends nothing; <%.60s> of line %u is open", name,
			open->key, open->line);
	r->depth--;
	return 0;
}

/* "<name value>", "</name>", "<name value/>" */
static int take_tag(struct reader *r, char *line)
{
	size_t len = strlen(line), key;
	bool empty;

	if (line[len - 1] != '>')
		return wrong(r, "the tag has no end; write > behind it");
	line[len - 1] = '\0';
	line++;
	if (*line == '/')
		return close_block(r, line + 1);
	empty = len > 3 && line[len - 3] == '/' && isspace((unsigned char)line[len - 4]);
	if (empty)
		line[len - 3] = '\0';
	line = trim(line);
	key = strcspn(line, " \t");
	if (!key)
		return wrong(r, "the tag has no name");
	if (r->depth == DEPTH_MAX)
		return wrong(r, "blocks are nested more than %u deep", DEPTH_MAX);
	if (add(r, line, key, unquote(line + key), true))
		return -EINVAL;
	if (!empty) {
		r->path[r->depth] = open_block(r)->count - 1;
		r->depth++;
	}
	return 0;
}

static int take_line(struct reader *r, char *line)
{
	size_t key, gap;
	char *value;

	cut_comment(line);
	line = trim(line);
	if (!*line)
		return 0;
	if (!strncasecmp(line, "<<include", 9) && isspace((unsigned char)line[9])) {
		line[strcspn(line, ">")] = '\0';
		return include(r, unquote(line + 9));
	}
	if (*line == '<')
		return take_tag(r, line);
	key = strcspn(line, " \t=");
	gap = strspn(line + key, " \t");
	value = line + key + gap;
	if (*value == '=')
		value++;
	value = unquote(value);
	if (!key)
		return wrong(r, "there is no name before the \"=\"");
	if (key == 7 && !strncasecmp(line, "include", key))
		return include(r, value);
	if (!strncmp(value, "<<", 2))
		return wrong(r, "a value over several lines is not read; write it in one");
	return add(r, line, key, value, false);
}

/* The line at *at with those that it goes on in, as one; *at moves on. Returns owned, NULL when it
 * is too long. */
static char *next_line(char **at, unsigned *lines)
{
	char *out = own_strdup("");

	for (*lines = 0; **at;) {
		size_t n = strcspn(*at, "\n"), keep = n;
		char *old = out;

		while (keep && isspace((unsigned char)(*at)[keep - 1]))
			keep--;
		bool more = keep && (*at)[keep - 1] == '\\';

		out = own_printf("%s%.*s", old, (int)(more ? keep - 1 : n), *at);
		free(old);
		*at += n + ((*at)[n] == '\n');
		++*lines;
		if (strlen(out) > LONGEST_LINE) {
			free(own_take(out));
			return NULL;
		}
		if (!more)
			break;
	}
	return out;
}

/* Whether a line belongs to a comment that begins with one of its own. */
static bool in_comment(const char *line, bool *open)
{
	size_t len = strlen(line);
	bool was = *open;

	while (len && isspace((unsigned char)line[len - 1]))
		len--;
	line += strspn(line, " \t");
	*open = was || !strncmp(line, "/*", 2);
	was = *open;
	if (*open && len >= 2 && memmem(line, strlen(line), "*/", 2))
		*open = false;
	return was;
}

static int take_lines(struct reader *r, char *text)
{
	bool comment = false;
	unsigned lines, at = 1;
	int err = 0;

	while (*text && !err) {
		char *line own_free = next_line(&text, &lines);

		r->line = at;
		at += lines;
		if (!line)
			return wrong(r, "the line has more than %u characters", LONGEST_LINE);
		if (!in_comment(line, &comment))
			err = take_line(r, line);
		explicit_bzero(line, strlen(line));
	}
	if (!err && comment)
		return wrong(r, "a comment has no end");
	if (!err && r->depth > r->outer) {
		r->line = open_block(r)->line;
		return wrong(r, "<%.60s> has no end; write </%.60s> behind it", open_block(r)->key,
			open_block(r)->key);
	}
	return err;
}

static int read_one(struct reader *r, const char *path)
{
	struct reader inner = *r;
	struct blocks *b = r->b;
	char *text;
	size_t len = 0;
	int err = 0;

	if (b->file_count == FILES_MAX)
		return wrong(r, "more than %u files are included", FILES_MAX);
	b->files = reallocarray(b->files, b->file_count + 1, sizeof *b->files);
	own_assert(b->files);
	inner.file = b->files[b->file_count++] = own_strdup(path);
	inner.line = 0;
	inner.outer = inner.depth;
	inner.nested++;
	text = file_read(path, BLOCKS_FILE_MAX, &len, &err);
	if (!text)
		return wrong(&inner, "cannot be read: %s", strerror(-err));
	if (strlen(text) != len)
		err = wrong(&inner, "is no text file: it has a byte of zero");
	else
		err = take_lines(&inner, text);
	explicit_bzero(text, len);
	free(text);
	return err;
}

int blocks_read(struct blocks *b, const char *path)
{
	struct reader r = { .b = b, .file = path };

	*b = (struct blocks){ 0 };
	return read_one(&r, path);
}
