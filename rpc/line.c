/* SPDX-License-Identifier: Apache-2.0 */
/* Sending until nothing is left. */
#include "rpc/line.h"

#include <errno.h>
#include <sys/socket.h>

bool line_send(int fd, const char *text, size_t len)
{
	while (len) {
		ssize_t n = send(fd, text, len, MSG_NOSIGNAL);

		if (n < 0 && errno != EINTR)
			return false;
		text += n > 0 ? n : 0;
		len -= n > 0 ? (size_t)n : 0;
	}
	return true;
}
