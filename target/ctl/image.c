/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image.c: qcow2 and VMDK are the formats in which an image can name files. A qcow2 gets its data
 * file by an option. The description of a VMDK is text, and qemu-img gets another one, which has
 * what was understood of it and descriptors instead of names.
 */
#include "target/ctl/image.h"

#include "common/be.h"
#include "common/own.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define HEAD_MAX     (1u << 20) /* bytes in which an image says what it names */
#define NAME_MAX_LEN 511u       /* of a file in a VMDK */

/* What looks at an image. */
struct looking {
	struct image *im;
	const char *file; /* its path */
	int folder;       /* the directory it is in */
	char *head;       /* its first bytes, with a NUL behind */
	size_t len;
	char *why;
};

/* ---- files ---- */

/* A second process that opens it to write is noticed, where the filesystem and our rights allow
 * (a lease needs CAP_LEASE or the file's owner); else its times tell. -EBUSY: it is open so. */
static int lease(int fd, bool *leased)
{
	/* SIGIO, which the kernel would send, ends a process; this one does nothing. */
	if (fcntl(fd, F_SETSIG, SIGWINCH))
		return -errno;
	*leased = !fcntl(fd, F_SETLEASE, F_RDLCK);
	return !*leased && errno == EAGAIN ? -EBUSY : 0;
}

static int refuse(const struct looking *l, const char *name, int err)
{
	const char *what = err == -EBUSY    ? "is open for writing; import it when it is whole"
			   : err == -EISDIR ? "is no file"
			   : err == -ELOOP  ? "is a symbolic link; it takes the file itself"
					    : strerror(-err);

	if (l->im->count)
		snprintf(l->why, IMAGE_WHY_LEN,
			"%.200s: keeps its bytes in %.200s, which has to be a file in the same "
			"directory: it %s%s",
			l->file, name, *what == 'i' ? "" : "cannot be opened: ", what);
	else
		snprintf(l->why, IMAGE_WHY_LEN, "%.300s: %s", l->file, what);
	return err;
}

/* Of the image's directory, not through a link; it must be a file. 0, or after refuse. */
static int add_file(const struct looking *l, const char *name, const char *shown)
{
	struct image *im = l->im;
	struct image_file f = { .leased = false };
	own_fd int fd =
		openat(l->folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	int err = fd < 0 || fstat(fd, &f.was) ? -errno : 0;

	if (!err && !S_ISREG(f.was.st_mode))
		err = -EISDIR;
	if (!err)
		err = lease(fd, &f.leased);
	if (err)
		return refuse(l, shown, err);
	own_assert(im->count < IMAGE_FILES_MAX);
	im->files[im->count] = f;
	im->fds[im->count++] = fd;
	fd = -1;
	return 0;
}

/* A file that the image names: alone, or by a path of the same directory. */
static int add_named(const struct looking *l, const char *name)
{
	const char *slash = strrchr(name, '/');
	own_free char *folder = NULL;
	struct stat own, its;

	if (l->im->count == IMAGE_FILES_MAX) {
		snprintf(l->why, IMAGE_WHY_LEN,
			"%.300s: is of more than %u files; make one of it with qemu-img convert",
			l->file, IMAGE_FILES_MAX);
		return -EMFILE;
	}
	if (!slash)
		return add_file(l, name, name);
	folder = own_printf("%.*s/", (int)(slash - name), name);
	if (fstat(l->folder, &own) || fstatat(l->folder, folder, &its, 0) ||
		own.st_dev != its.st_dev || own.st_ino != its.st_ino) {
		snprintf(l->why, IMAGE_WHY_LEN,
			"%.200s: keeps its bytes in %.200s; bring that into the same directory",
			l->file, name);
		return -EXDEV;
	}
	return add_file(l, slash + 1, name);
}

static int wrong(const struct looking *l, const char *what)
{
	snprintf(l->why, IMAGE_WHY_LEN, "%.300s: %s", l->file, what);
	return -EINVAL;
}

/* ---- qcow2 ---- */

#define QCOW_MAGIC     0x514649fbu /* "QFI", and a byte that is no letter */
#define QCOW_DATA_FILE 0x44415441u
#define QCOW_EXTERNAL  4u /* incompatible feature: the bytes are in another file */

static bool is_qcow2(const struct looking *l)
{
	return l->len >= 104 && be32_load(l->head) == QCOW_MAGIC && be32_load(l->head + 4) >= 2;
}

static int look_qcow2(const struct looking *l)
{
	if (be32_load(l->head + 4) < 3 || !(be64_load(l->head + 72) & QCOW_EXTERNAL))
		return 0;
	for (size_t at = be32_load(l->head + 100), len; at + 8 < l->len;
		at += 8 + (len + 7) / 8 * 8) {
		uint32_t type = be32_load(l->head + at);
		char name[1024];

		len = be32_load(l->head + at + 4);
		if (!type || len > l->len - at - 8)
			break;
		if (type != QCOW_DATA_FILE)
			continue;
		if (len >= sizeof name)
			break;
		snprintf(name, sizeof name, "%.*s", (int)len, l->head + at + 8);
		l->im->data = true;
		return add_named(l, name);
	}
	return wrong(l, "keeps its bytes in another file and does not say in which");
}

/* ---- VMDK ---- */

/* A sparse VMDK without a size is a description too, at a place of its own; nobody writes that. */
static bool hides_a_description(int fd)
{
	unsigned char head[20];
	static const unsigned char none[8];

	return pread(fd, head, sizeof head, 0) == (ssize_t)sizeof head &&
	       !memcmp(head, "KDMV", 4) && !memcmp(head + 12, none, sizeof none);
}

static bool is_sparse_vmdk(const struct looking *l)
{
	return l->len >= 4 && (!memcmp(l->head, "KDMV", 4) || !memcmp(l->head, "COWD", 4));
}

/* "version=" follows remarks and empty lines, as qemu-img looks at it. */
static bool is_description(const struct looking *l)
{
	const char *p = l->head;

	for (;;) {
		if (*p == '#')
			p += strcspn(p, "\n");
		else if (*p != ' ' && *p != '\r' && *p != '\n')
			break;
		p += *p != '\0';
	}
	return !strncmp(p, "version=", 8);
}

struct extent {
	char access[16], type[16], name[NAME_MAX_LEN + 1];
	int64_t sectors, off;
	int words; /* of these that the line has */
};

static int add_extent(const struct looking *l, const struct extent *e, FILE *out)
{
	bool flat = !strcmp(e->type, "FLAT"), plain = flat || !strcmp(e->type, "VMFS");
	bool sparse = !strcmp(e->type, "SPARSE") || !strcmp(e->type, "VMFSSPARSE") ||
		      !strcmp(e->type, "SESPARSE");
	char offset[32] = "";
	int err, fd;

	if ((!plain && !sparse) || strcmp(e->access, "RW") != 0 || e->words < 4 || e->sectors < 0)
		return wrong(l, "has an extent that only VMware knows; make one file of it there");
	if (flat && (e->words != 5 || e->off < 0))
		return wrong(l, "has an extent without a place");
	err = add_named(l, e->name);
	if (err)
		return err;
	fd = l->im->fds[l->im->count - 1];
	if (sparse && hides_a_description(fd))
		return wrong(l, "has an extent without a size");
	if (flat)
		snprintf(offset, sizeof offset, " %" PRId64, e->off);
	fprintf(out, "RW %" PRId64 " %s \"/proc/self/fd/%d\"%s\n", e->sectors, e->type, fd, offset);
	return 0;
}

static bool is_word(const char *s)
{
	return *s && strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") == strlen(s);
}

/* One line of a description. What means nothing to qemu-img is left out. */
static int take_line(const struct looking *l, const char *line, FILE *out)
{
	struct extent e = { .off = -1 };
	char kind[40];

	if (!strncmp(line, "parentFileNameHint", 18))
		return wrong(l, "is only what has changed since its parent; make one image of both "
				"with qemu-img convert");
	if (sscanf(line, "createType=\"%39[^\"]\"", kind) == 1) {
		if (!is_word(kind))
			return wrong(l, "is of a kind that is none");
		fprintf(out, "createType=\"%s\"\n", kind);
		return 0;
	}
	e.words = sscanf(line, "%15s %" SCNd64 " %15s \"%511[^\n\r\"]\" %" SCNd64, e.access,
		&e.sectors, e.type, e.name, &e.off);
	return e.words >= 3 ? add_extent(l, &e, out) : 0;
}

static int take_description(const struct looking *l, FILE *out)
{
	own_free char *text = own_strdup(l->head);
	char *rest = text;
	int err = 0;

	fputs("# Disk DescriptorFile\nversion=1\nCID=fffffffe\nparentCID=ffffffff\n", out);
	for (char *line; !err && (line = strsep(&rest, "\r\n"));)
		err = take_line(l, line, out);
	return err;
}

/* Into a file that nobody else can get at. */
static int keep_description(struct image *im, const char *text, size_t len)
{
	own_fd int fd = memfd_create("description", MFD_CLOEXEC);

	if (fd < 0 || write(fd, text, len) != (ssize_t)len)
		return -errno;
	im->fds[im->count] = fd;
	im->told = true;
	fd = -1;
	return 0;
}

static int look_description(const struct looking *l)
{
	own_free char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);
	int err;

	own_assert(out);
	err = take_description(l, out);
	own_assert(!fclose(out));
	if (err)
		return err;
	err = keep_description(l->im, text, len);
	return err ? wrong(l, strerror(-err)) : 0;
}

/* ---- the image ---- */

static int read_head(struct looking *l)
{
	ssize_t n;

	l->head = own_calloc(1, HEAD_MAX + 1);
	while ((n = pread(l->im->fds[0], l->head + l->len, HEAD_MAX - l->len, (off_t)l->len)) > 0)
		l->len += (size_t)n;
	return n < 0 ? wrong(l, strerror(errno)) : 0;
}

static bool may_be(const char *format, const char *which)
{
	return !format || !strcmp(format, which);
}

static int look_inside(struct looking *l, const char *format)
{
	int err = read_head(l);

	if (err)
		return err;
	snprintf(l->im->format, sizeof l->im->format, "%s", format ? format : "");
	if (may_be(format, "qcow2") && is_qcow2(l)) {
		strcpy(l->im->format, "qcow2");
		return look_qcow2(l);
	}
	if (!may_be(format, "vmdk"))
		return 0;
	if (is_sparse_vmdk(l) || is_description(l))
		strcpy(l->im->format, "vmdk");
	else if (!format)
		return 0;
	if (is_sparse_vmdk(l))
		return hides_a_description(l->im->fds[0]) ? wrong(l, "has no size") : 0;
	return look_description(l);
}

int image_open(struct image *im, const char *file, const char *format, char why[IMAGE_WHY_LEN])
{
	const char *slash = strrchr(file, '/');
	own_free char *folder =
		slash ? own_printf("%.*s/", (int)(slash - file), file) : own_strdup(".");
	own_fd int at = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct looking l = { im, file, at, NULL, 0, why };
	int err;

	*im = (struct image){ .fds = own_calloc(IMAGE_FILES_MAX + 1, sizeof *im->fds),
		.files = own_calloc(IMAGE_FILES_MAX, sizeof *im->files) };
	if (at < 0)
		return refuse(&l, file, -errno);
	err = add_file(&l, slash ? slash + 1 : file, file);
	if (!err)
		err = look_inside(&l, format);
	free(l.head);
	return err;
}

void image_close(struct image *im)
{
	for (unsigned i = 0; i < image_fd_count(im); i++)
		close(im->fds[i]);
	free(im->fds);
	free(im->files);
	*im = (struct image){ .fds = NULL };
}

unsigned image_fd_count(const struct image *im)
{
	return im->count + im->told;
}

char *image_source(const struct image *im)
{
	own_free char *driver = *im->format ? own_printf("\"driver\":\"%s\",", im->format) : NULL;
	own_free char *data = im->data ? own_printf(",\"data-file\":{\"driver\":\"file\","
						    "\"filename\":\"/proc/self/fd/%d\"}",
						 im->fds[1])
				       : NULL;

	/* also when it should name a parent by the time when it is read */
	return own_printf("json:{%s\"backing\":null,"
			  "\"file\":{\"driver\":\"file\",\"filename\":\"/proc/self/fd/%d\"}%s}",
		driver ? driver : "", im->fds[im->told ? im->count : 0], data ? data : "");
}

static bool is_same(int fd, const struct image_file *f)
{
	const struct stat *was = &f->was;
	struct stat st;

	if (f->leased)
		return fcntl(fd, F_GETLEASE) == F_RDLCK;
	return !fstat(fd, &st) && st.st_size == was->st_size &&
	       st.st_ctim.tv_sec == was->st_ctim.tv_sec &&
	       st.st_ctim.tv_nsec == was->st_ctim.tv_nsec;
}

bool image_is_same(const struct image *im)
{
	for (unsigned i = 0; i < im->count; i++) {
		if (!is_same(im->fds[i], &im->files[i]))
			return false;
	}
	return true;
}
