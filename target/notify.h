/* SPDX-License-Identifier: Apache-2.0 */
/*
 * notify.h: what is between us and a service manager: readiness, status, watchdog, and sockets that
 * were opened for us.
 *
 * Without libsystemd, or when nobody asked, everything here does nothing. Any thread.
 */
#ifndef KURA_TARGET_NOTIFY_H
#define KURA_TARGET_NOTIFY_H

#include <stdint.h>

/* Ready to serve; `status` is a line for people. */
void notify_ready(const char *status);

/* The configuration is being read again; notify_ready ends that. */
void notify_reloading(void);

/* A clean stop has begun that may take so many seconds. */
void notify_stopping(unsigned seconds);

/* How often the watchdog wants to hear of us, in microseconds; 0: it does not. */
uint64_t notify_watchdog_usec(void);

/* We are alive. */
void notify_alive(void);

/*
 * Takes the listening TCP sockets that were handed over: at most `max`, made non-blocking, owned by
 * the caller. Others are left alone. Their number. Once, before threads are made.
 */
unsigned notify_take_sockets(int *fds, unsigned max);

#endif
