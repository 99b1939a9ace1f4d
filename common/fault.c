// SPDX-License-Identifier: Apache-2.0
/*
 * fault.c: one armed point at most, and how often each was visited.
 */
#include "common/fault.h"

#include "common/log.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const fault_names[] = {
#define FAULT(name, help) #name,
#include "common/fault.def"
#undef FAULT
};

static int fault_armed = -1; /* enum fault_id, FAULT_COUNT: any; -1: none; atomic */
static bool fault_told;      /* each visit is a line of the log */
static bool fault_fails;
static unsigned fault_left; /* visits until it happens */
static unsigned fault_seen[FAULT_COUNT];

const char *fault_name(enum fault_id id)
{
	return fault_names[id];
}

unsigned fault_visits(enum fault_id id)
{
	return __atomic_load_n(&fault_seen[id], __ATOMIC_RELAXED);
}

int fault_point(enum fault_id id)
{
	int armed = __atomic_load_n(&fault_armed, __ATOMIC_RELAXED);

	__atomic_fetch_add(&fault_seen[id], 1, __ATOMIC_RELAXED);
	if (fault_told)
		log_info("fault point", "name=%s", fault_names[id]);
	if (((int)id != armed && armed != FAULT_COUNT) ||
		__atomic_sub_fetch(&fault_left, 1, __ATOMIC_RELAXED))
		return 0;
	__atomic_store_n(&fault_armed, -1, __ATOMIC_RELAXED);
	if (fault_fails)
		return -EIO;
	kill(getpid(), SIGKILL);
	for (;;)
		pause();
}

/* Which place a name of `len` bytes is; -1: none. */
static int fault_find(const char *text, size_t len)
{
	if (len == 3 && !strncmp(text, "any", 3))
		return FAULT_COUNT;
	for (int i = 0; i < FAULT_COUNT; i++) {
		if (strlen(fault_names[i]) == len && !strncmp(fault_names[i], text, len))
			return i;
	}
	return -1;
}

int fault_arm(const char *text)
{
	size_t len = text ? strcspn(text, "=:") : 0;
	const char *rest = text ? text + len : "";
	bool fails = !strncmp(rest, "=fail", 5);
	unsigned long nth = 1;

	fault_armed = -1;
	memset(fault_seen, 0, sizeof fault_seen);
	fault_told = text && !strcmp(text, "log");
	if (!text || fault_told)
		return 0;
	rest += fails ? 5 : 0;
	if (*rest == ':') {
		char *end;

		nth = strtoul(rest + 1, &end, 10);
		rest = end;
	}
	if (*rest || !nth || (fault_find(text, len) == FAULT_COUNT && fails))
		return -EINVAL;
	fault_fails = fails;
	fault_left = (unsigned)nth;
	fault_armed = fault_find(text, len);
	return fault_armed < 0 ? -EINVAL : 0;
}
