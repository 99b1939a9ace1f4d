/* SPDX-License-Identifier: Apache-2.0 */
/* metrics_text.h: everything that is counted as text that Prometheus reads (format 0.0.4). */
#ifndef KURA_TARGET_METRICS_TEXT_H
#define KURA_TARGET_METRICS_TEXT_H

#include "target/server.h"

#include <stddef.h>

/* The text, *len bytes and an end. Returns owned; NULL: no memory. Any thread that may wait for a
 * lock. */
char *metrics_text(struct server *srv, size_t *len);

#endif
