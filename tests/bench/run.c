/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run.c: see run.h. The threads send and receive; the main thread only opens the sessions, moves
 * everyone from phase to phase, and reads the clocks.
 */
#include "tests/bench/run.h"

#include "common/be.h"
#include "tests/bench/load.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

bool load_wants(const struct opts *o, enum phase phase)
{
	switch (phase) {
	case PHASE_FILL:
		return o->fill || o->verify;
	case PHASE_RUN:
		return o->seconds > 0;
	default:
		return o->verify;
	}
}

/* CPU time of a process, its ended threads included; 0 when it cannot be read. */
static uint64_t cpu_ns(clockid_t clock)
{
	struct timespec t;

	if (clock_gettime(clock, &t))
		return 0;
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Sleeps, but not through a failure. */
static void sleep_until(struct load *load, uint64_t until_ns)
{
	uint64_t now_ns;

	while ((now_ns = sess_now_ns()) < until_ns && !atomic_load(&load->failed)) {
		uint64_t left = until_ns - now_ns;
		struct timespec t = { 0, (long)(left < 100000000 ? left : 100000000) };

		nanosleep(&t, NULL);
	}
}

static void measure(struct load *load, struct result *r)
{
	clockid_t target = CLOCK_PROCESS_CPUTIME_ID;
	uint64_t began_ns = sess_now_ns() + (uint64_t)(load->o->warmup * 1e9);

	if (load->o->pid)
		clock_getcpuclockid((pid_t)load->o->pid, &target);
	sleep_until(load, began_ns);
	r->target_cpu_ns = cpu_ns(target);
	r->self_cpu_ns = cpu_ns(CLOCK_PROCESS_CPUTIME_ID);
	began_ns = sess_now_ns();
	atomic_store(&load->counting, true);
	sleep_until(load, began_ns + (uint64_t)(load->o->seconds * 1e9));
	atomic_store(&load->counting, false);
	r->seconds = (double)(sess_now_ns() - began_ns) / 1e9;
	r->target_cpu_ns = load->o->pid ? cpu_ns(target) - r->target_cpu_ns : 0;
	r->self_cpu_ns = cpu_ns(CLOCK_PROCESS_CPUTIME_ID) - r->self_cpu_ns;
	atomic_store(&load->stop, true);
}

static int range_set(struct load *load, struct sess *s, uint64_t blocks)
{
	const struct opts *o = load->o;
	uint64_t bytes = blocks * load->block_bytes;

	if (o->block_bytes % load->block_bytes)
		return sess_fail(
			s, "--block-size is no multiple of the disk's %u bytes", load->block_bytes);
	if (o->range_bytes > bytes)
		return sess_fail(
			s, "--range is more than the disk's %llu bytes", (unsigned long long)bytes);
	load->chunks = (o->range_bytes ? o->range_bytes : bytes) / o->block_bytes;
	if (load->chunks < o->sessions)
		return sess_fail(s, "the range is too small for %u sessions", o->sessions);
	return 0;
}

static int lane_open(struct load *load, unsigned int i)
{
	struct lane *l = &load->lanes[i];
	uint64_t blocks;
	int err = sess_open(&l->s, load->o, i);

	if (!err)
		err = login_run(&l->s);
	if (!err)
		err = disk_probe(&l->s, &blocks, &load->block_bytes);
	if (!err)
		err = range_set(load, &l->s, blocks);
	if (err)
		return err;
	l->home = load->chunks * i / load->o->sessions;
	l->home_count = load->chunks * (i + 1) / load->o->sessions - l->home;
	l->rng = (load->o->seed + i) * 0x9e3779b97f4a7c15ULL | 1;
	if (load->o->verify) {
		l->bufs = malloc(load->o->depth * load->o->block_bytes);
		if (!l->bufs)
			return sess_fail(&l->s, "out of memory");
	}
	return 0;
}

static int load_prepare(struct load *load)
{
	const struct opts *o = load->o;
	uint64_t rng = o->seed | 1;

	load->data = malloc(o->block_bytes);
	if (o->verify) {
		load->gen = calloc(load->chunks, sizeof *load->gen);
		load->busy = calloc(load->chunks, 1);
	}
	if (!load->data || (o->verify && (!load->gen || !load->busy)))
		return sess_fail(&load->lanes[0].s, "out of memory");
	for (uint64_t at = 0; at < o->block_bytes; at += 8)
		be64_store(load->data + at, load_random(&rng));
	pthread_barrier_init(&load->gate, NULL, o->threads + 1);
	for (unsigned int i = 0; i < o->threads; i++) {
		struct worker *w = &load->workers[i];
		unsigned int from = o->sessions * i / o->threads;

		w->load = load;
		w->lanes = load->lanes + from;
		w->nlanes = o->sessions * (i + 1) / o->threads - from;
		w->poll = calloc(w->nlanes, sizeof *w->poll);
		for (unsigned int k = 0; k < w->nlanes; k++)
			w->lanes[k].w = w;
		if (!w->poll || pthread_create(&w->thread, NULL, worker_main, w))
			return perror("kura-bench"), exit(1), -ENOMEM;
	}
	return 0;
}

static void load_phases(struct load *load, struct result *r)
{
	for (enum phase phase = PHASE_FILL; phase < PHASES; phase++) {
		if (!load_wants(load->o, phase))
			continue;
		pthread_barrier_wait(&load->gate);
		if (phase == PHASE_RUN)
			measure(load, r);
		pthread_barrier_wait(&load->gate);
	}
}

static void load_collect(struct load *load, struct result *r)
{
	for (unsigned int i = 0; i < load->o->threads; i++) {
		struct worker *w = &load->workers[i];

		pthread_join(w->thread, NULL);
		r->reads += w->reads;
		r->writes += w->writes;
		r->checked += w->checked;
		hist_merge(&r->latency, &w->latency);
		free(w->poll);
	}
	r->p = load->lanes[0].s.p;
}

/* Logs out what works and says what did not. */
static int load_end(struct load *load, unsigned int opened, struct result *r)
{
	int err = 0;

	for (unsigned int i = 0; i < opened; i++) {
		struct sess *s = &load->lanes[i].s;

		if (!s->why[0] && !atomic_load(&load->failed))
			login_out(s);
		if (s->why[0]) {
			fprintf(stderr, "kura-bench: session %u: %s\n", i, s->why);
			err = -EPROTO;
		}
		if (s->complaints)
			fprintf(stderr, "kura-bench: session %u: %u breaches, the first: %s\n", i,
				s->complaints, s->complaint);
		r->complaints += s->complaints;
		sess_close(s);
		free(load->lanes[i].bufs);
	}
	if (load->o->verify && r->complaints)
		err = -EPROTO;
	return err;
}

int run_load(const struct opts *o, struct result *r)
{
	struct load load = { .o = o };
	unsigned int opened = 0;
	int err = 0;

	load.lanes = calloc(o->sessions, sizeof *load.lanes);
	load.workers = calloc(o->threads, sizeof *load.workers);
	if (!load.lanes || !load.workers)
		return perror("kura-bench"), -ENOMEM;
	while (!err && opened < o->sessions)
		err = lane_open(&load, opened++);
	if (!err)
		err = load_prepare(&load);
	if (!err) {
		load_phases(&load, r);
		load_collect(&load, r);
	}
	if (load_end(&load, opened, r))
		err = -EPROTO;
	free(load.lanes);
	free(load.workers);
	free(load.gen);
	free(load.busy);
	free(load.data);
	return err;
}
