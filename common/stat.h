/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stat.h: counters that cost one add to memory which no other thread writes.
 *
 * Each thread counts in a block of its own; a reader sums the blocks. Rows are in stat.def.
 */
#ifndef KURA_COMMON_STAT_H
#define KURA_COMMON_STAT_H

#include <stdint.h>

enum stat_id {
#define STAT(name, help) STAT_##name,
#include "common/stat.def"
#undef STAT
	STAT_COUNT
};

struct stat_block {
	uint64_t count[STAT_COUNT]; /* written by one thread, read by any */
	struct stat_block *next;    /* all blocks, newest first */
	unsigned loop;              /* number of the loop that counts here, from 1; 0: none */
};

extern __thread struct stat_block *stat_mine;

/* Gives the calling thread its block (kept for the life of the process); called once by a miss. */
struct stat_block *stat_join(void);

/* Adds `n` to a counter of the calling thread. */
static inline void stat_add(enum stat_id id, uint64_t n)
{
	struct stat_block *b = stat_mine ? stat_mine : stat_join();

	__atomic_store_n(&b->count[id], b->count[id] + n, __ATOMIC_RELAXED);
}

/* The calling thread counts for loop number `index` from now on. */
void stat_loop(unsigned index);

/* What was counted for one loop. Any thread. */
uint64_t stat_of_loop(enum stat_id id, unsigned index);

/* The help of a row of stat.def; static. */
const char *stat_help(enum stat_id id);

/* The sum over all threads; may lag by what is being counted now. Any thread. */
uint64_t stat_sum(enum stat_id id);

/* The name of a counter, as in stat.def; static. */
const char *stat_name(enum stat_id id);

#endif
