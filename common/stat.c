// SPDX-License-Identifier: Apache-2.0
/*
 * stat.c: the chain of counter blocks. Blocks are pushed with one compare-and-swap and never
 * removed: what a thread counted outlives it.
 */
#include "common/stat.h"

#include "common/own.h"

__thread struct stat_block *stat_mine;

static struct stat_block *stat_all;

struct stat_block *stat_join(void)
{
	struct stat_block *b = own_calloc(1, sizeof *b);

	b->next = __atomic_load_n(&stat_all, __ATOMIC_RELAXED);
	while (!__atomic_compare_exchange_n(
		&stat_all, &b->next, b, 0, __ATOMIC_RELEASE, __ATOMIC_RELAXED))
		;
	stat_mine = b;
	return b;
}

uint64_t stat_sum(enum stat_id id)
{
	uint64_t sum = 0;

	for (struct stat_block *b = __atomic_load_n(&stat_all, __ATOMIC_ACQUIRE); b; b = b->next)
		sum += __atomic_load_n(&b->count[id], __ATOMIC_RELAXED);
	return sum;
}

void stat_loop(unsigned index)
{
	struct stat_block *b = stat_mine ? stat_mine : stat_join();

	__atomic_store_n(&b->loop, index + 1, __ATOMIC_RELAXED);
}

uint64_t stat_of_loop(enum stat_id id, unsigned index)
{
	uint64_t sum = 0;

	for (struct stat_block *b = __atomic_load_n(&stat_all, __ATOMIC_ACQUIRE); b; b = b->next)
		if (__atomic_load_n(&b->loop, __ATOMIC_RELAXED) == index + 1)
			sum += __atomic_load_n(&b->count[id], __ATOMIC_RELAXED);
	return sum;
}

const char *stat_help(enum stat_id id)
{
	static const char *const helps[] = {
#define STAT(name, help) help,
#include "common/stat.def"
#undef STAT
	};

	return helps[id];
}

const char *stat_name(enum stat_id id)
{
	static const char *const names[] = {
#define STAT(name, help) #name,
#include "common/stat.def"
#undef STAT
	};

	return names[id];
}
