/* SPDX-License-Identifier: Apache-2.0 */
/* The table of jobs under one lock; a job's thread takes it only to tell how far it is. */
#include "target/ctl/job.h"

#include "common/deadline.h"
#include "common/fault.h"
#include "common/list.h"
#include "common/log.h"
#include "common/own.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum job_state { JOB_RUNNING, JOB_DONE, JOB_FAILED, JOB_CANCELLED };

struct ctl_job {
	struct list node;
	struct ctl_jobs *jobs;
	unsigned number;
	pthread_t thread;
	struct jval *params; /* owned */
	struct ctl_call call;
	enum job_state state;
	bool cancel; /* somebody wants it to end */
	uint64_t done_bytes, total_bytes;
	time_t began;
};

struct ctl_jobs {
	pthread_mutex_t lock;
	pthread_cond_t ended; /* a job has */
	struct list all;      /* ctl_job.node, oldest first */
	unsigned count, last; /* jobs in it, and the last number given */
};

static time_t now_seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec;
}

struct ctl_jobs *ctl_jobs_new(void)
{
	struct ctl_jobs *jobs = own_calloc(1, sizeof *jobs);
	pthread_condattr_t attr;

	pthread_mutex_init(&jobs->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&jobs->ended, &attr);
	pthread_condattr_destroy(&attr);
	list_init(&jobs->all);
	return jobs;
}

/* Off the list, and ended. */
static void job_free(struct ctl_job *job)
{
	pthread_join(job->thread, NULL);
	jval_free(job->params);
	jval_free(job->call.result);
	jval_free(job->call.detail);
	free(job);
}

void ctl_jobs_free(struct ctl_jobs *jobs)
{
	pthread_mutex_lock(&jobs->lock);
	list_for_each (node, &jobs->all)
		container_of(node, struct ctl_job, node)->cancel = true;
	pthread_mutex_unlock(&jobs->lock);
	while (!list_empty(&jobs->all)) {
		struct ctl_job *job = container_of(jobs->all.next, struct ctl_job, node);

		list_del(&job->node);
		job_free(job);
	}
	pthread_cond_destroy(&jobs->ended);
	pthread_mutex_destroy(&jobs->lock);
	free(jobs);
}

bool ctl_job_told(struct ctl_job *job, uint64_t done_bytes, uint64_t total_bytes)
{
	bool go_on;

	if (!job)
		return true;
	pthread_mutex_lock(&job->jobs->lock);
	job->done_bytes = done_bytes;
	job->total_bytes = total_bytes;
	go_on = !job->cancel;
	pthread_mutex_unlock(&job->jobs->lock);
	return go_on;
}

static void *job_run(void *arg)
{
	struct ctl_job *job = arg;
	struct ctl_call *call = &job->call;

	pthread_setname_np(pthread_self(), "kura-job");
	ctl_verb_runs[call->verb->id](call);
	(void)fault_point(FAULT_job_done);
	pthread_mutex_lock(&job->jobs->lock);
	job->state = call->exit == RPC_DONE ? JOB_DONE : job->cancel ? JOB_CANCELLED : JOB_FAILED;
	pthread_cond_broadcast(&job->jobs->ended);
	pthread_mutex_unlock(&job->jobs->lock);
	if (call->exit == RPC_DONE)
		log_info("job done", "job=%u verb=\"%s\"", job->number, call->verb->words);
	else
		log_warn("job failed", "job=%u verb=\"%s\" why=\"%s\"", job->number,
			call->verb->words, call->why);
	return NULL;
}

/* Makes room in a full table; false: everything in it runs. Locked. */
static bool drop_oldest(struct ctl_jobs *jobs)
{
	if (jobs->count < CTL_JOBS_MAX)
		return true;
	list_for_each (node, &jobs->all) {
		struct ctl_job *job = container_of(node, struct ctl_job, node);

		if (job->state == JOB_RUNNING)
			continue;
		list_del(&job->node);
		jobs->count--;
		job_free(job);
		return true;
	}
	return false;
}

unsigned ctl_job_start(struct ctl_jobs *jobs, const struct ctl_call *call)
{
	struct ctl_job *job = own_calloc(1, sizeof *job);
	unsigned number = 0;

	job->jobs = jobs;
	job->call = *call;
	job->call.job = job;
	job->call.result = jval_object();
	job->params = call->params ? jval_copy(call->params) : NULL;
	job->call.params = job->params;
	job->began = now_seconds();
	pthread_mutex_lock(&jobs->lock);
	job->number = jobs->last + 1;
	if (drop_oldest(jobs) && !pthread_create(&job->thread, NULL, job_run, job)) {
		number = jobs->last = job->number;
		jobs->count++;
		list_push(&jobs->all, &job->node);
	}
	pthread_mutex_unlock(&jobs->lock);
	if (number)
		return number;
	jval_free(job->call.result);
	jval_free(job->params);
	free(job);
	return 0;
}

static void describe(const struct ctl_job *job, struct jval *out)
{
	static const char *const states[] = { "running", "done", "failed", "cancelled" };
	const struct rpc_arg *first = rpc_arg_next(job->call.verb->id, NULL);
	const char *object = first ? jval_text(jval_get(job->params, first->name)) : NULL;

	jval_set_number(out, "job", job->number);
	jval_set_text(out, "verb", job->call.verb->words);
	jval_set_text(out, "object", object ? object : "");
	jval_set_text(out, "state", states[job->state]);
	jval_set_number(out, "done_bytes",
		job->state == JOB_DONE && job->total_bytes ? job->total_bytes : job->done_bytes);
	if (job->total_bytes)
		jval_set_number(out, "total_bytes", job->total_bytes);
	jval_set_number(out, "age_seconds", (uint64_t)(now_seconds() - job->began));
	if (job->state == JOB_RUNNING)
		return;
	jval_set_number(out, "exit", job->call.exit);
	if (job->state == JOB_DONE)
		jval_set_copy(out, "result", job->call.result);
	else
		jval_set_text(out, "why", job->call.why);
}

void ctl_jobs_list(struct ctl_jobs *jobs, struct jval *list)
{
	pthread_mutex_lock(&jobs->lock);
	list_for_each (node, &jobs->all) {
		struct jval *one = jval_object();

		describe(container_of(node, struct ctl_job, node), one);
		jval_append(list, one);
	}
	pthread_mutex_unlock(&jobs->lock);
}

/* Locked. */
static struct ctl_job *find(struct ctl_jobs *jobs, unsigned number)
{
	list_for_each (node, &jobs->all) {
		struct ctl_job *job = container_of(node, struct ctl_job, node);

		if (job->number == number)
			return job;
	}
	return NULL;
}

bool ctl_job_show(struct ctl_jobs *jobs, unsigned number, struct jval *out)
{
	struct ctl_job *job;

	pthread_mutex_lock(&jobs->lock);
	job = find(jobs, number);
	if (job)
		describe(job, out);
	pthread_mutex_unlock(&jobs->lock);
	return job;
}

bool ctl_job_wait(struct ctl_jobs *jobs, unsigned number, struct jval *out)
{
	struct timespec until = deadline_after(1000);
	struct ctl_job *job;
	int err = 0;

	pthread_mutex_lock(&jobs->lock);
	while ((job = find(jobs, number)) && job->state == JOB_RUNNING && !err)
		err = pthread_cond_timedwait(&jobs->ended, &jobs->lock, &until);
	if (job)
		describe(job, out);
	pthread_mutex_unlock(&jobs->lock);
	return job;
}

bool ctl_job_cancel(struct ctl_jobs *jobs, unsigned number)
{
	struct ctl_job *job;

	pthread_mutex_lock(&jobs->lock);
	job = find(jobs, number);
	if (job && job->state == JOB_RUNNING)
		job->cancel = true;
	pthread_mutex_unlock(&jobs->lock);
	return job;
}
