// SPDX-License-Identifier: Apache-2.0
#include "common/secret.h"

#include "common/own.h"

#include <string.h>
#include <sys/mman.h>

void *secret_room(void)
{
	void *page = mmap(
		NULL, SECRET_MAX + 1, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	own_assert(page != MAP_FAILED);
	(void)madvise(page, SECRET_MAX + 1, MADV_DONTDUMP); /* a kernel without it dumps it */
	return page;
}

char *secret_new(const char *bytes, size_t len)
{
	own_assert(len <= SECRET_MAX);
	return memcpy(secret_room(), bytes, len);
}

char *secret_dup(const char *secret)
{
	return secret ? secret_new(secret, strlen(secret)) : NULL;
}

void secret_free(void *secret)
{
	if (!secret)
		return;
	explicit_bzero(secret, SECRET_MAX + 1);
	munmap(secret, SECRET_MAX + 1);
}
