/* SPDX-License-Identifier: Apache-2.0 */
/* sd_notify(3), sd_watchdog_enabled(3) and sd_listen_fds(3): the only place that knows libsystemd.
 */
#include "target/notify.h"

#include "kura_config.h"

#ifdef HAVE_SYSTEMD

#include <fcntl.h>
#include <sys/socket.h>
#include <systemd/sd-daemon.h>
#include <time.h>

void notify_ready(const char *status)
{
	sd_notifyf(0, "READY=1\nSTATUS=%s", status);
}

/* systemd.service(5), Type=notify-reload: the time tells it which reload this is. */
void notify_reloading(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%llu",
		(unsigned long long)now.tv_sec * 1000000 + (unsigned long long)now.tv_nsec / 1000);
}

void notify_stopping(unsigned seconds)
{
	sd_notifyf(0, "STOPPING=1\nSTATUS=Stopping\nEXTEND_TIMEOUT_USEC=%llu",
		(seconds + 5ull) * 1000000);
}

uint64_t notify_watchdog_usec(void)
{
	uint64_t usec = 0;

	return sd_watchdog_enabled(0, &usec) > 0 ? usec : 0;
}

void notify_alive(void)
{
	sd_notify(0, "WATCHDOG=1");
}

static int is_tcp_listener(int fd)
{
	return sd_is_socket(fd, AF_INET, SOCK_STREAM, 1) > 0 ||
	       sd_is_socket(fd, AF_INET6, SOCK_STREAM, 1) > 0;
}

unsigned notify_take_sockets(int *fds, unsigned max)
{
	int given = sd_listen_fds(1);
	unsigned count = 0;

	for (int fd = SD_LISTEN_FDS_START; fd < SD_LISTEN_FDS_START + given && count < max; fd++) {
		if (!is_tcp_listener(fd) || fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) < 0)
			continue;
		fds[count++] = fd;
	}
	return count;
}

#else

void notify_ready(const char *status)
{
	(void)status;
}

void notify_reloading(void)
{
}

void notify_stopping(unsigned seconds)
{
	(void)seconds;
}

uint64_t notify_watchdog_usec(void)
{
	return 0;
}

void notify_alive(void)
{
}

unsigned notify_take_sockets(int *fds, unsigned max)
{
	(void)fds, (void)max;
	return 0;
}

#endif
