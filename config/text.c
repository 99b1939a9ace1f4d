/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Joining the configuration's files into one text.
 *
 * The scanner knows just enough of the grammar to tell strings and comments from the rest. What can
 * fail: a file that cannot be read or is too large, a NUL byte, an include that leads elsewhere.
 */
#include "config/text.h"

#include "common/own.h"
#include "config/config.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static int join(struct cfg_text *t, const char *data, size_t len, unsigned file, unsigned depth);

static __attribute__((format(printf, 4, 5))) int fail(
	struct cfg_text *t, int err, unsigned line, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(t->fault, sizeof t->fault, fmt, ap);
	va_end(ap);
	t->fault_line = line;
	return err;
}

/* Frees bytes that may have secrets among them. */
static void wipe(char *data, size_t len)
{
	if (data)
		explicit_bzero(data, len);
	free(data);
}

static void put(struct cfg_text *t, const char *p, size_t len)
{
	if (t->len + len + 1 > t->room) {
		char *old = t->data;

		t->room = (t->len + len + 1) * 2;
		t->data = own_calloc(1, t->room);
		memcpy(t->data, old ? old : "", t->len);
		wipe(old, t->len);
	}
	memcpy(t->data + t->len, p, len);
	t->len += len;
	t->data[t->len] = '\0';
	for (size_t i = 0; i < len; i++)
		t->line += p[i] == '\n';
}

/* From here on, lines come from line `from` of `file`. */
static void begin_run(struct cfg_text *t, unsigned file, unsigned from)
{
	t->runs = reallocarray(t->runs, t->run_count + 1, sizeof *t->runs);
	own_assert(t->runs);
	t->runs[t->run_count++] = (struct cfg_run){ .line = t->line, .file = file, .from = from };
}

static unsigned add_file(struct cfg_text *t, const char *name)
{
	t->files = reallocarray(t->files, t->file_count + 1, sizeof *t->files);
	own_assert(t->files);
	t->files[t->file_count] = own_strdup(name);
	t->shared = reallocarray(t->shared, t->file_count + 1, sizeof *t->shared);
	own_assert(t->shared);
	t->shared[t->file_count] = 0;
	return t->file_count++;
}

/* Reads all of `file`, whose name is `path`; *data is owned by the caller in any case. */
static int slurp(struct cfg_text *t, unsigned file, bool regular, char **data, size_t *len)
{
	const char *path = t->files[file];
	own_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | (regular ? O_NONBLOCK : 0));
	size_t room = t->max - t->len + 1;
	struct stat st;
	ssize_t n;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (S_ISDIR(st.st_mode))
		return -EISDIR;
	if (regular && !S_ISREG(st.st_mode))
		return -ENOEXEC; /* told as: not a plain file */
	t->shared[file] = st.st_mode & 077;
	*data = own_calloc(1, room);
	while (*len < room && (n = read(fd, *data + *len, room - *len)) != 0) {
		if (n < 0 && errno != EINTR)
			return -errno;
		*len += n < 0 ? 0 : (size_t)n;
	}
	return *len < room ? 0 : -EFBIG;
}

/* An include names a file by a relative path that stays below the directory. */
static bool stays_inside(const char *name)
{
	const char *p = name;

	if (*p == '/' || !*p)
		return false;
	while ((p = strstr(p, ".."))) {
		if ((p == name || p[-1] == '/') && (!p[2] || p[2] == '/'))
			return false;
		p += 2;
	}
	return true;
}

static int include(struct cfg_text *t, const char *name, unsigned depth)
{
	own_free char *path = NULL;
	unsigned line = t->line, file;
	char *data = NULL;
	size_t len = 0;
	int err;

	if (!t->dir)
		return fail(t, -EINVAL, line, "@include is not possible here; write it out");
	if (!stays_inside(name))
		return fail(t, -EINVAL, line,
			"@include \"%.100s\" leads out of the directory of the main "
			"file; name a file in it or below it",
			name);
	if (depth == CFG_INCLUDE_DEPTH)
		return fail(t, -ELOOP, line,
			"@include \"%.100s\" is nested more than %d deep; does a file "
			"include itself?",
			name, CFG_INCLUDE_DEPTH);
	path = own_printf("%s/%s", t->dir, name);
	file = add_file(t, path);
	err = slurp(t, file, true, &data, &len);
	if (err)
		fail(t, err, line, "@include: cannot read %.200s: %s", path,
			err == -ENOEXEC ? "not a plain file" : strerror(-err));
	else
		err = join(t, data, len, file, depth + 1);
	wipe(data, len);
	return err;
}

/*
 * When the line at `p` is an @include: its length without the newline, and the name in `name`
 * (owned by the caller). Else 0.
 */
static size_t include_line(const char *p, const char *end, char **name)
{
	const char *eol = memchr(p, '\n', (size_t)(end - p));
	const char *q = p, *open, *shut;

	if (!eol)
		eol = end;
	while (q < eol && (*q == ' ' || *q == '\t'))
		q++;
	if (eol - q < 10 || memcmp(q, "@include", 8) || (q[8] != ' ' && q[8] != '\t'))
		return 0;
	open = memchr(q, '"', (size_t)(eol - q));
	shut = open ? memchr(open + 1, '"', (size_t)(eol - open - 1)) : NULL;
	if (!shut || strspn(q + 8, " \t") != (size_t)(open - q - 8))
		return 0;
	for (q = shut + 1; q < eol; q++) {
		if (!isspace((unsigned char)*q))
			return 0;
	}
	*name = own_printf("%.*s", (int)(shut - open - 1), open + 1);
	return (size_t)(eol - p);
}

static bool is_name_char(char c)
{
	return isalnum((unsigned char)c) || c == '_' || c == '-' || c == '*';
}

/* A name or number at `p`: written, a large integer with its suffix. Its length. */
static size_t put_token(struct cfg_text *t, const char *p, const char *end)
{
	size_t digits = 0, len = 0;

	while (p + digits < end && isdigit((unsigned char)p[digits]))
		digits++;
	while (p + len < end && (is_name_char(p[len]) || (digits && p[len] == '.')))
		len++;
	put(t, p, len);
	if (digits == len && digits >= 10)
		put(t, "L", 1);
	return len;
}

/* Two bytes at `p`, bounded. */
static bool starts(const char *p, const char *end, const char *two)
{
	return end - p >= 2 && p[0] == two[0] && p[1] == two[1];
}

/* One step of plain text: a token, or a byte that may begin a string or a comment. */
static size_t step_plain(struct cfg_text *t, const char *p, const char *end)
{
	if (isdigit((unsigned char)*p) || isalpha((unsigned char)*p) || *p == '*')
		return put_token(t, p, end);
	if (*p == '"')
		t->lex = CFG_LEX_STRING;
	else if (*p == '#' || starts(p, end, "//"))
		t->lex = CFG_LEX_LINE_COMMENT;
	else if (starts(p, end, "/*"))
		t->lex = CFG_LEX_BLOCK_COMMENT;
	t->opened = t->line;
	size_t n = t->lex == CFG_LEX_BLOCK_COMMENT ? 2 : 1;
	put(t, p, n);
	return n;
}

/* One step of the scanner; the number of bytes that it took. */
static size_t step(struct cfg_text *t, const char *p, const char *end)
{
	size_t n = 1;

	switch (t->lex) {
	case CFG_LEX_PLAIN:
		return step_plain(t, p, end);
	case CFG_LEX_STRING:
		if (*p == '"')
			t->lex = CFG_LEX_PLAIN;
		else if (*p == '\\' && (starts(p, end, "\\\"") || starts(p, end, "\\\\")))
			n = 2;
		break;
	case CFG_LEX_LINE_COMMENT:
		if (*p == '\n')
			t->lex = CFG_LEX_PLAIN;
		break;
	case CFG_LEX_BLOCK_COMMENT:
		if (starts(p, end, "*/")) {
			t->lex = CFG_LEX_PLAIN;
			n = 2;
		}
		break;
	}
	put(t, p, n);
	return n;
}

static int join(struct cfg_text *t, const char *data, size_t len, unsigned file, unsigned depth)
{
	const char *p = data, *end = data + len;
	unsigned start = t->line, from = 1; /* lines: of the joined text, of the file */

	begin_run(t, file, from);
	if (memchr(data, '\0', len))
		return fail(t, -EINVAL, t->line, "has a NUL byte; is this a text file?");
	while (p < end) {
		own_free char *name = NULL;
		size_t n = 0;

		if (t->lex == CFG_LEX_PLAIN && (p == data || p[-1] == '\n'))
			n = include_line(p, end, &name);
		if (n) {
			unsigned here = from + (t->line - start);
			int err = include(t, name, depth);

			if (err)
				return err;
			p += n;
			put(t, "\n", 1);
			p += p < end;
			start = t->line;
			from = here + 1;
			begin_run(t, file, from);
		} else {
			p += step(t, p, end);
		}
		if (t->len > t->max)
			return fail(t, -EFBIG, t->line, "is larger than %zu bytes", t->max);
	}
	return 0;
}

/* Joins a main file. What is left open at its end is a mistake that can be told well here, and
 * one on which libconfig 1.5 loses memory. */
static int join_all(struct cfg_text *t, const char *data, size_t len, unsigned file)
{
	int err = join(t, data, len, file, 0);

	if (!err && t->lex == CFG_LEX_STRING)
		return fail(t, -EINVAL, t->opened, "a text is never closed; is a \" missing?");
	if (!err && t->lex == CFG_LEX_BLOCK_COMMENT)
		return fail(t, -EINVAL, t->opened, "a comment is never closed; is a */ missing?");
	return err;
}

int cfg_text_read(struct cfg_text *t, const char *path)
{
	const char *slash = strrchr(path, '/');
	char *data = NULL;
	size_t len = 0;
	int err;

	*t = (struct cfg_text){ .line = 1, .max = CFG_TEXT_MAX };
	put(t, "", 0);
	add_file(t, path);
	t->dir = slash ? own_printf("%.*s", (int)(slash - path), path) : own_strdup(".");
	err = slurp(t, 0, false, &data, &len);
	if (err)
		fail(t, err, 0, "cannot be read: %s", strerror(-err));
	else
		err = join_all(t, data, len, 0);
	wipe(data, len);
	return err;
}

int cfg_text_append(struct cfg_text *t, const char *path)
{
	char *dir own_free = own_take(t->dir); /* nothing is included from here on */
	(void)dir;
	char *data = NULL;
	unsigned file;
	size_t len = 0;
	int err;

	put(t, "\n", 1);
	t->max = t->len + 2 * CFG_MANAGED_MAX; /* what was written is read, whatever it takes */
	file = add_file(t, path);
	err = slurp(t, file, true, &data, &len);
	if (err == -ENOENT) {
		err = 0;
	} else if (err) {
		fail(t, err, 0, "%s: cannot be read: %s", path,
			err == -ENOEXEC ? "not a plain file" : strerror(-err));
	} else {
		t->second = t->line;
		t->second_at = t->len;
		t->lex = CFG_LEX_PLAIN;
		err = join_all(t, data, len, file);
	}
	wipe(data, len);
	return err;
}

int cfg_text_take(struct cfg_text *t, const char *data, size_t len, const char *name)
{
	*t = (struct cfg_text){ .line = 1, .max = CFG_TEXT_MAX };
	put(t, "", 0);
	add_file(t, name);
	if (len > CFG_TEXT_MAX)
		return fail(t, -EFBIG, 0, "is larger than %u bytes", CFG_TEXT_MAX);
	return join_all(t, data, len, 0);
}

void cfg_text_fini(struct cfg_text *t)
{
	for (unsigned i = 0; i < t->file_count; i++)
		free(t->files[i]);
	free(t->files);
	free(t->shared);
	free(t->runs);
	wipe(t->data, t->len);
	free(t->dir);
	*t = (struct cfg_text){ 0 };
}

const char *cfg_text_where(const struct cfg_text *t, unsigned line, unsigned *line_there)
{
	const struct cfg_run *run = NULL;

	for (unsigned i = 0; i < t->run_count && t->runs[i].line <= line; i++)
		run = &t->runs[i];
	if (!run) {
		*line_there = line;
		return t->files[0];
	}
	*line_there = run->from + (line - run->line);
	return t->files[run->file];
}

bool cfg_text_is_private(const struct cfg_text *t, unsigned line)
{
	unsigned there;
	const char *file = cfg_text_where(t, line, &there);

	for (unsigned i = 0; i < t->file_count; i++) {
		if (t->files[i] == file)
			return !t->shared[i];
	}
	return false;
}

const char *cfg_text_line(const struct cfg_text *t, unsigned line, size_t *len)
{
	const char *p = t->data, *end;

	for (unsigned i = 1; i < line && p; i++) {
		p = strchr(p, '\n');
		p = p ? p + 1 : NULL;
	}
	if (!p) {
		*len = 0;
		return "";
	}
	p += strspn(p, " \t");
	end = p + strcspn(p, "\r\n");
	while (end > p && isspace((unsigned char)end[-1]))
		end--;
	*len = (size_t)(end - p);
	return p;
}
