/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool_dir_fs.h: what the filesystem under a pool of kind dir can, and where filesystems differ in
 * giving space.
 */
#ifndef KURA_VOLUME_POOL_DIR_FS_H
#define KURA_VOLUME_POOL_DIR_FS_H

#include <stdint.h>

/* Names of two files that pool_dir_probe may leave when it dies. */
#define POOL_DIR_TRY_A ".kura:temp:a"
#define POOL_DIR_TRY_B ".kura:temp:b"

/* enum pool_caps of a directory, found by trying. Blocks. */
uint32_t pool_dir_probe(int dir);

/* Gives the bytes [from, to) of a file their space, by fallocate(2) with `mode`. 0 or -errno:
 * better to say so than to seem thick. Blocks. */
int pool_dir_reserve(int fd, int mode, uint64_t from, uint64_t to);

/* The same for a file that ends at `from` and shall at `to`; whether its size has changed then
 * depends on the filesystem, also when it fails. Blocks. */
int pool_dir_take_room(int fd, uint64_t from, uint64_t to);

/* Undoes that: the file ends at `size`, and has no space behind it. Blocks. */
void pool_dir_give_back(int fd, uint64_t size);

#endif
