/* SPDX-License-Identifier: Apache-2.0 */
/* What verbs ask of their call. */
#include "target/ctl/call.h"

#include "common/own.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

const char *ctl_text(const struct ctl_call *call, const char *name)
{
	return jval_text(jval_get(call->params, name));
}

uint64_t ctl_number(const struct ctl_call *call, const char *name, uint64_t absent)
{
	const struct jval *v = jval_get(call->params, name);

	return v ? (uint64_t)jval_number(v) : absent;
}

bool ctl_flag(const struct ctl_call *call, const char *name)
{
	return jval_flag(jval_get(call->params, name));
}

unsigned ctl_count(const struct ctl_call *call, const char *name)
{
	return jval_count(jval_get(call->params, name));
}

const char *ctl_item(const struct ctl_call *call, const char *name, unsigned i)
{
	return jval_text(jval_item(jval_get(call->params, name), i));
}

void ctl_fail(struct ctl_call *call, enum rpc_exit exit, const char *fmt, ...)
{
	va_list ap;

	call->exit = exit;
	va_start(ap, fmt);
	vsnprintf(call->why, sizeof call->why, fmt, ap);
	va_end(ap);
}

enum rpc_exit ctl_exit_of(int err)
{
	switch (-err) {
	case 0:
		return RPC_DONE;
	case ENOENT:
		return RPC_NOT_FOUND;
	case EEXIST:
		return RPC_EXISTS;
	case EBUSY:
		return RPC_IN_USE;
	case EAGAIN:
		return RPC_BUSY;
	case EINVAL:
		return RPC_USAGE;
	case EACCES:
	case EPERM:
		return RPC_DENIED;
	default:
		return RPC_REFUSED;
	}
}

struct jval *ctl_detail(struct ctl_call *call)
{
	if (!call->detail)
		call->detail = jval_object();
	return call->detail;
}

struct jval *ctl_list(struct ctl_call *call)
{
	own_assert(call->verb->shape == RPC_LIST);
	if (!jval_get(call->result, call->verb->key))
		jval_set(call->result, call->verb->key, jval_list());
	return jval_member(call->result, call->verb->key);
}

bool ctl_pause(struct guests_wait *wait, unsigned ms)
{
	struct ctl_call *call = container_of(wait, struct ctl_call, wait);
	const struct timespec pause = { .tv_nsec = ms * 1000000l };

	pthread_mutex_unlock(call->change);
	nanosleep(&pause, NULL);
	pthread_mutex_lock(call->change);
	return !__atomic_load_n(call->ending, __ATOMIC_ACQUIRE);
}

void ctl_change_begin(struct ctl_call *call)
{
	own_assert(call->job);
	pthread_mutex_lock(call->change);
}

void ctl_change_end(struct ctl_call *call)
{
	pthread_mutex_unlock(call->change);
}
