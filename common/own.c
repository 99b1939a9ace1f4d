// SPDX-License-Identifier: Apache-2.0
/*
 * own.c: what happens when a promise is broken, and allocation for set-up.
 */
#include "common/own.h"

#include "common/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void own_broken(const char *what, const char *file, int line)
{
	log_error("promise broken", "what=\"%s\" at=%s:%d", what, file, line);
	abort();
}

static void *own_checked(void *p)
{
	if (!p)
		own_broken("memory for set-up", __FILE__, __LINE__);
	return p;
}

void *own_calloc(size_t n, size_t size)
{
	return own_checked(calloc(n ? n : 1, size ? size : 1));
}

char *own_strdup(const char *s)
{
	return s ? own_checked(strdup(s)) : NULL;
}

char *own_printf(const char *fmt, ...)
{
	va_list ap;
	char *s = NULL;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&s, fmt, ap);
	va_end(ap);
	if (n < 0)
		own_broken("memory for set-up", __FILE__, __LINE__);
	return s;
}
