/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run.h: the life of the process between reading the configuration and its end: start, signals, a
 * bounded clean stop.
 */
#ifndef KURA_TARGET_RUN_H
#define KURA_TARGET_RUN_H

#include "config/config.h"

struct run_opts {
	const char *config;    /* the file, read again at SIGHUP */
	const char *state_dir; /* what must outlive a restart */
	const char *control;   /* path of the control socket */
	bool control_must;     /* somebody asked for this very path: no start without it */
};

/*
 * Serves `cfg` (takes, in any case) until SIGTERM or SIGINT, and follows the file at SIGHUP; then
 * stops cleanly in at most stop_seconds; a second signal ends the process at once. 0, or -errno
 * after the reason was logged. On the main thread, before there are others.
 */
int run_server(struct config *cfg, const struct run_opts *opts);

#endif
