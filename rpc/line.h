/* SPDX-License-Identifier: Apache-2.0 */
/* line.h: what both ends of the control socket do with it. */
#ifndef KURA_RPC_LINE_H
#define KURA_RPC_LINE_H

#include <stdbool.h>
#include <stddef.h>

/* Sends all of it; false: the other end is gone, or does not read in the socket's time. Blocks. Any
 * thread. */
bool line_send(int fd, const char *text, size_t len);

#endif
