/* SPDX-License-Identifier: Apache-2.0 */
/*
 * holder.h: who has a file open, for the sentence that says why it cannot be had. Locks of open
 * file descriptions do not tell, so the kernel's list of open files is looked through.
 */
#ifndef KURA_VOLUME_HOLDER_H
#define KURA_VOLUME_HOLDER_H

#include <stddef.h>

/* Writes "process 123 (qemu-system-x86)" of some other process that has the file behind `fd` open;
 * "" when none can be seen. Blocks. */
void holder_name(int fd, char *text, size_t len);

#endif
