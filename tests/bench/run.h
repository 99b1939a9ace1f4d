/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run.h: the load itself: sessions spread over threads, each with its own part of the disk, through
 * up to three phases: fill, measured run, and (when checking) a sweep that reads everything once
 * more, each part through another session than the one that wrote it.
 */
#ifndef KURA_TESTS_BENCH_RUN_H
#define KURA_TESTS_BENCH_RUN_H

#include "tests/bench/hist.h"
#include "tests/bench/opts.h"
#include "tests/bench/sess.h"

struct result {
	double seconds;          /* measured */
	uint64_t reads, writes;  /* completed in that time */
	uint64_t checked;        /* reads whose data was checked, in all phases */
	uint64_t target_cpu_ns;  /* CPU time of the target's process in that time */
	uint64_t self_cpu_ns;    /* CPU time of the generator in that time */
	unsigned int complaints; /* breaches of the protocol that did not stop the run */
	struct params p;         /* what the first session negotiated */
	struct hist latency;     /* nanoseconds */
};

/* Runs the load that `o` describes, into `r`. Returns 0, or a negative errno after a line on
 * stderr about the first thing that went wrong. */
int run_load(const struct opts *o, struct result *r);

#endif
