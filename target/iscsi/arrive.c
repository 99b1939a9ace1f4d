// SPDX-License-Identifier: Apache-2.0
#include "target/iscsi/arrive.h"

#include "common/log.h"
#include "common/stat.h"
#include "target/iscsi/access.h"
#include "target/iscsi/conn.h"

#include <string.h>
#include <sys/random.h>

static struct log_limit refused_log; /* of the one thread that accepts */

void arrive_init(struct arrive *a)
{
	memset(a, 0, sizeof *a);
	if (getrandom(&a->seed, sizeof a->seed, GRND_NONBLOCK) < 0)
		a->seed = 1;
}

/* A host is an IPv4 address, or the network of an IPv6 host, which can choose the rest of its
 * address as it likes (RFC 4291 2.5.4). */
static unsigned place_of(const struct arrive *a, const uint8_t address[GUARD_ADDRESS_BYTES])
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff }; /* RFC 4291 2.5.5.2 */
	unsigned len = memcmp(address, mapped, sizeof mapped) ? 8 : GUARD_ADDRESS_BYTES;
	uint32_t hash = a->seed;

	for (unsigned i = 0; i < len; i++)
		hash = (hash ^ address[i]) * 0x9e3779b1u;
	return (hash >> 16) % ARRIVE_PLACES;
}

static void refused(const char *peer, enum stat_id counter, const char *why)
{
	stat_add(counter, 1);
	if (log_limit_ok(&refused_log))
		log_warn("conn: refused", "peer=%s why=\"%s\"", peer, why);
}

int arrive_take(struct arrive *a, const struct iscsi_opts *opts, int fd)
{
	uint8_t address[GUARD_ADDRESS_BYTES];
	char peer[CONN_ADDRESS_MAX];
	unsigned place;

	conn_peer_name(peer, fd);
	access_address(peer, address);
	place = place_of(a, address);
	if (opts->max_logins && __atomic_load_n(&a->total, __ATOMIC_RELAXED) >= opts->max_logins) {
		refused(peer, STAT_iscsi_limit_logins,
			"max_logins connections are not logged in yet");
		return -1;
	}
	if (opts->max_logins_per_address && __atomic_load_n(&a->from[place], __ATOMIC_RELAXED) >=
						    opts->max_logins_per_address) {
		refused(peer, STAT_iscsi_limit_address,
			"max_logins_per_address connections of this address are not logged in yet");
		return -1;
	}
	__atomic_add_fetch(&a->total, 1, __ATOMIC_RELAXED);
	__atomic_add_fetch(&a->from[place], 1, __ATOMIC_RELAXED);
	return (int)place;
}

void arrive_leave(struct arrive *a, int place)
{
	__atomic_sub_fetch(&a->total, 1, __ATOMIC_RELAXED);
	__atomic_sub_fetch(&a->from[place], 1, __ATOMIC_RELAXED);
}
