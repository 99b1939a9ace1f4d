/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image.h: an image that is imported, and the files in which it keeps its bytes. They are opened
 * once, here, and qemu-img gets descriptors only, so that no name leads it anywhere: not one in the
 * image, whose maker need not be trusted, and not one that is exchanged meanwhile.
 *
 * An image may name regular files of its own directory, and no links. Everything here blocks.
 */
#ifndef KURA_TARGET_CTL_IMAGE_H
#define KURA_TARGET_CTL_IMAGE_H

#include <stdbool.h>
#include <sys/stat.h>

#define IMAGE_WHY_LEN   640u
#define IMAGE_FILES_MAX 400u /* each is two descriptors of qemu-img's, which has 1024 */

/* One file, as it was when it was opened. */
struct image_file {
	struct stat was;
	bool leased; /* the kernel says whether somebody opens it to write */
};

struct image {
	int *fds;                 /* of the files, the image first; then of `told`, if any; owned */
	struct image_file *files; /* owned */
	unsigned count;           /* of files */
	bool told;                /* a VMDK's description in our words, with our descriptors */
	bool data;                /* a qcow2 with its bytes in the second file */
	char format[16];          /* as qemu-img calls it; "": not known yet */
};

/*
 * Opens `file`, which is of `format` (qemu-img's word; NULL: not known), and what it names. 0, or
 * -errno with a sentence in `why`; -ENOENT: there is no such file. To be ended with image_close in
 * every case.
 */
int image_open(struct image *im, const char *file, const char *format, char why[IMAGE_WHY_LEN]);

/* Closes everything. */
void image_close(struct image *im);

/* How many descriptors of im->fds a tool needs, by their own numbers. */
unsigned image_fd_count(const struct image *im);

/* What qemu-img is told to read; it takes no other file for it. Returns owned. */
char *image_source(const struct image *im);

/* Whether everything is still what was opened. False: nothing that was read of it counts. */
bool image_is_same(const struct image *im);

#endif
