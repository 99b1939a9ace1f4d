/* SPDX-License-Identifier: Apache-2.0 */
/* report.c: see report.h. Latencies are in microseconds, MB is 1,000,000 bytes. */
#include "tests/bench/report.h"

#include <inttypes.h>
#include <stdio.h>

/* The derived figures, once for both formats. */
struct figures {
	uint64_t ios;
	double iops, mb_s;
	double target_us, self_us; /* CPU microseconds per I/O */
	double mean, p50, p99, p999, max;
};

static double us(uint64_t ns)
{
	return (double)ns / 1000;
}

static void figures_of(struct figures *f, const struct opts *o, const struct result *r)
{
	double ios;

	f->ios = r->reads + r->writes;
	ios = f->ios ? (double)f->ios : 1;
	f->iops = r->seconds > 0 ? (double)f->ios / r->seconds : 0;
	f->mb_s = f->iops * (double)o->block_bytes / 1e6;
	f->target_us = us(r->target_cpu_ns) / ios;
	f->self_us = us(r->self_cpu_ns) / ios;
	f->mean = hist_mean(&r->latency) / 1000;
	f->p50 = us(hist_quantile(&r->latency, 0.5));
	f->p99 = us(hist_quantile(&r->latency, 0.99));
	f->p999 = us(hist_quantile(&r->latency, 0.999));
	f->max = us(r->latency.max);
}

static const char *yes_no(bool v)
{
	return v ? "yes" : "no";
}

static void print_text(const struct opts *o, const struct result *r, const struct figures *f)
{
	printf("%s, %" PRIu64 " bytes, %u %% reads, depth %u, sessions %u, %.2f s\n",
		o->sequential ? "sequential" : "random", o->block_bytes, o->read_pct, o->depth,
		o->sessions, r->seconds);
	printf("  %.0f IOPS, %.1f MB/s, %" PRIu64 " reads, %" PRIu64 " writes\n", f->iops, f->mb_s,
		r->reads, r->writes);
	printf("  latency us: mean %.1f, p50 %.1f, p99 %.1f, p99.9 %.1f, max %.1f\n", f->mean,
		f->p50, f->p99, f->p999, f->max);
	if (o->pid)
		printf("  target CPU %.3f us per I/O, %.1f %% of a core\n", f->target_us,
			us(r->target_cpu_ns) / r->seconds / 1e4);
	printf("  generator CPU %.3f us per I/O, %.1f %% of a core\n", f->self_us,
		r->seconds > 0 ? us(r->self_cpu_ns) / r->seconds / 1e4 : 0);
	printf("  negotiated: immediate %s, initial R2T %s, first burst %u, burst %u, segment %u, "
	       "digests %s/%s\n",
		yes_no(r->p.immediate), yes_no(r->p.initial_r2t), r->p.first_burst, r->p.max_burst,
		r->p.target_max_recv, yes_no(r->p.header_digest), yes_no(r->p.data_digest));
	if (o->verify)
		printf("  verified: %" PRIu64 " reads, every byte as written\n", r->checked);
}

static void print_json(const struct opts *o, const struct result *r, const struct figures *f)
{
	printf("{\"pattern\": \"%s\", \"block_bytes\": %" PRIu64 ", \"read_percent\": %u, "
	       "\"depth\": %u, \"sessions\": %u, \"seconds\": %.4f, ",
		o->sequential ? "sequential" : "random", o->block_bytes, o->read_pct, o->depth,
		o->sessions, r->seconds);
	printf("\"ios\": %" PRIu64 ", \"iops\": %.1f, \"mb_s\": %.2f, ", f->ios, f->iops, f->mb_s);
	printf("\"mean_us\": %.2f, \"p50_us\": %.2f, \"p99_us\": %.2f, \"p999_us\": %.2f, "
	       "\"max_us\": %.2f, ",
		f->mean, f->p50, f->p99, f->p999, f->max);
	printf("\"target_cpu_us_per_io\": %.4f, \"generator_cpu_us_per_io\": %.4f, "
	       "\"target_cpu_s\": %.6f, \"generator_cpu_s\": %.6f, ",
		f->target_us, f->self_us, (double)r->target_cpu_ns / 1e9,
		(double)r->self_cpu_ns / 1e9);
	printf("\"header_digest\": %d, \"data_digest\": %d, \"immediate\": %d, \"initial_r2t\": "
	       "%d, "
	       "\"first_burst\": %u, \"max_burst\": %u, \"target_max_recv\": %u, ",
		r->p.header_digest, r->p.data_digest, r->p.immediate, r->p.initial_r2t,
		r->p.first_burst, r->p.max_burst, r->p.target_max_recv);
	printf("\"verified\": %" PRIu64 ", \"complaints\": %u}\n", r->checked, r->complaints);
}

void report_print(const struct opts *o, const struct result *r)
{
	struct figures f;

	figures_of(&f, o, r);
	if (o->json)
		print_json(o, r, &f);
	else
		print_text(o, r, &f);
}
