/* SPDX-License-Identifier: Apache-2.0 */
/*
 * file.h: small files that are there whole or not at all, whatever ends the process or the power.
 *
 * A file is written beside its place, synced, renamed, and the rename is synced. Everything here
 * blocks: set-up, slow lane or control thread, never a loop. Errors are negative errno.
 */
#ifndef KURA_COMMON_FILE_H
#define KURA_COMMON_FILE_H

#include <stddef.h>
#include <sys/types.h>

/* Writes `len` bytes to `path` as they are, whatever was there, and syncs them; not the name. */
int file_write(const char *path, const void *data, size_t len, mode_t mode);

/* Replaces `path` by `len` bytes, through PATH.tmp; afterwards it holds what it held before or all
 * of them, and on 0 this lasts. */
int file_replace(const char *path, const void *data, size_t len, mode_t mode);

/* Removes what a file_replace that was cut short has left in a folder: every name that ends in
 * .tmp. Only for folders where nothing else is called so. */
void file_sweep(const char *folder);

/* Makes what happened to names in the folder of `path` last. */
int file_sync_folder(const char *path);

/* Makes a folder of mode 0700, lasting, unless it is there; the one above must be. */
int file_make_folder(const char *path);

/* Reads all of a file that must have at most `max` bytes, and closes it with a NUL. Returns owned,
 * or NULL with *err (-EFBIG: there is more). Waits for no pipe. */
char *file_read(const char *path, size_t max, size_t *len, int *err);

#endif
