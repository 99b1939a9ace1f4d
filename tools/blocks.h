/* SPDX-License-Identifier: Apache-2.0 */
/*
 * blocks.h: files of lines "name value" and of blocks "<name value> ... </name>", as tgt has them:
 * the grammar of Apache's, with its includes, as a tree.
 */
#ifndef KURA_TOOLS_BLOCKS_H
#define KURA_TOOLS_BLOCKS_H

#include <stdbool.h>

#define BLOCKS_FILE_MAX (1u << 20) /* bytes of a file */
#define BLOCKS_NODE_MAX 100000u    /* lines and blocks of all files together */
#define BLOCKS_WHY_LEN  512

struct blocks_node {
	char *key, *value; /* value "" when there is none */
	const char *file;  /* where it stands; borrowed from the tree */
	unsigned line;
	bool is_block;
	struct blocks_node *items; /* of a block, in their order; owned */
	unsigned count, room;
};

struct blocks {
	struct blocks_node root; /* its items are those of the top level */
	char **files;            /* names of all that were read; owned */
	unsigned file_count;
	unsigned node_count;
	char why[BLOCKS_WHY_LEN]; /* what is wrong: "file:line: ..." */
};

/* Reads `path` with what it includes. 0, or -EINVAL with `why`. Fini in both cases. */
int blocks_read(struct blocks *b, const char *path);

/* Frees everything in it. */
void blocks_fini(struct blocks *b);

/* The next item called `key` behind `after` (NULL: the first), or NULL. Borrowed. */
const struct blocks_node *blocks_next(
	const struct blocks_node *in, const char *key, const struct blocks_node *after);

/* The value of the last item called `key`, borrowed; NULL: there is none. */
const char *blocks_value(const struct blocks_node *in, const char *key);

#endif
