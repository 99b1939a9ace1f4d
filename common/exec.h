/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exec.h: runs a tool and takes what it says, without a shell.
 *
 * For jobs that other programs do better (LVM's, qemu-img's). Blocks until the tool has ended, so
 * it is for the control thread, jobs and set-up, never for a loop.
 */
#ifndef KURA_COMMON_EXEC_H
#define KURA_COMMON_EXEC_H

#include <stdbool.h>
#include <stddef.h>

#define EXEC_SAID_MAX (32u << 20) /* what a tool may say */

/*
 * Runs argv[0], found in PATH, with argv (NULL at its end) in locale C, standard input empty, no
 * signal blocked or caught. *out and *err are what it wrote, each owned, with a NUL behind; NULL:
 * not wanted. Returns its exit status 0..255, 128 + n when signal n ended it, or a negative errno
 * (-ENOENT: there is no such program; -EOVERFLOW: it went well, and said more than EXEC_SAID_MAX,
 * of which the front is in *out; complaints beyond are dropped); *out and *err are set in every
 * case.
 */
int exec_run(const char *const *argv, char **out, char **err);

/* Who hears a tool while it runs. */
struct exec_watch {
	/* What it has just written, `len` bytes without a NUL; 0: it has been silent for a while.
	 * False: it is to be ended. On the calling thread. */
	bool (*said)(void *arg, const char *piece, size_t len);
	void *arg;
	/* Descriptors that it gets as well, by their own numbers; all others are closed. */
	const int *keep;
	unsigned keep_count;
};

/* The same, with what it writes told at once; -ECANCELED when it was ended as asked. */
int exec_watch(const char *const *argv, const struct exec_watch *watch, char **err);

#endif
