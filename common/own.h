/* SPDX-License-Identifier: Apache-2.0 */
/*
 * own.h: ownership made visible: scope cleanup, taking, magic numbers, and our own promises.
 *
 * own_assert stays in release builds: it guards what this program promises itself, never what a
 * peer, a disk or a person says.
 */
#ifndef KURA_COMMON_OWN_H
#define KURA_COMMON_OWN_H

#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

/* A variable that is passed to `fn(&var)` when its scope ends. */
#define own_cleanup(fn) __attribute__((cleanup(fn)))
#define own_free        own_cleanup(own_free_ptr)
#define own_fd          own_cleanup(own_close_fd)

/* The value of an owning variable, which is left empty: hands ownership on. */
#define own_take(ptr)                                                                              \
	({                                                                                         \
		__typeof__(ptr) own_taken_ = (ptr);                                                \
		(ptr) = NULL;                                                                      \
		own_taken_;                                                                        \
	})

/* The same for a descriptor. */
static inline int own_take_fd(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

/* Frees the allocation that `*(void **)p` owns. */
static inline void own_free_ptr(void *p)
{
	free(*(void **)p);
}

/* Closes `*fd` unless it is negative. */
static inline void own_close_fd(const int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

/* Says which promise was broken and aborts; never returns. Any thread. */
_Noreturn void own_broken(const char *what, const char *file, int line);

#define own_assert(cond)                                                                           \
	do {                                                                                       \
		if (__builtin_expect(!(cond), 0))                                                  \
			own_broken(#cond, __FILE__, __LINE__);                                     \
	} while (0)

/* Zeroed memory for `n` things of `size`, or the process ends: for set-up, never for a peer's wish.
 */
void *own_calloc(size_t n, size_t size) __attribute__((malloc, returns_nonnull));

/* A copy of `s`, or the process ends; `s` NULL gives NULL. Returns owned. */
char *own_strdup(const char *s);

/* The owned string of printf's arguments, or the process ends. */
char *own_printf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#define own_array_len(a) (sizeof(a) / sizeof *(a))

#endif
