// SPDX-License-Identifier: Apache-2.0
#include "common/secret.h"

#include "common/own.h"

#include <string.h>
#include <sys/mman.h>

char *secret_new(const char *bytes, size_t len)
{
	char *page = mmap(
		NULL, SECRET_MAX + 1, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	own_assert(page != MAP_FAILED && len <= SECRET_MAX);
	(void)madvise(page, SECRET_MAX + 1, MADV_DONTDUMP); /* a kernel without it dumps it */
	memcpy(page, bytes, len);
	return page;
}

char *secret_dup(const char *secret)
{
	return secret ? secret_new(secret, strlen(secret)) : NULL;
}

void secret_free(char *secret)
{
	if (!secret)
		return;
	explicit_bzero(secret, SECRET_MAX + 1);
	munmap(secret, SECRET_MAX + 1);
}
