/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report.h: what the generator prints at the end.
 */
#ifndef KURA_TESTS_BENCH_REPORT_H
#define KURA_TESTS_BENCH_REPORT_H

#include "tests/bench/opts.h"
#include "tests/bench/run.h"

/* Prints a result on stdout, as text or as one JSON object; both are borrowed. */
void report_print(const struct opts *o, const struct result *r);

#endif
