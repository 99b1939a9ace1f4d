/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kurad: options, configuration, server, and the signals that end it.
 *
 * Exit status: 0 it ended as asked (or --check found no mistake), 1 it failed, 2 it was called the
 * wrong way.
 */
#include "common/fault.h"
#include "common/log.h"
#include "common/own.h"
#include "common/trace.h"
#include "config/config.h"
#include "kura_config.h"
#include "target/run.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };
#define ERRORS_MAX 100

struct options {
	const char *config;
	bool check;
	struct run_opts run;
};

static const char usage[] =
	"kurad [--config FILE] [--state DIR] [--control SOCKET] [--check]\n"
	"\n"
	"Serves block volumes over iSCSI, in the foreground; see kurad(8) and kura.conf(5).\n"
	"\n"
	"  -c, --config FILE     the configuration (/etc/kura/kura.conf)\n"
	"  -s, --state DIR       what must outlive a restart (/var/lib/kura)\n"
	"  -C, --control SOCKET  where the admin tool asks (/run/kura/control)\n"
	"  -t, --check           read the configuration, print every mistake, open nothing\n"
	"  -V, --version         print the version\n"
	"  -h, --help            print this\n";

static const struct option long_options[] = {
	{ "config", required_argument, NULL, 'c' },
	{ "state", required_argument, NULL, 's' },
	{ "control", required_argument, NULL, 'C' },
	{ "check", no_argument, NULL, 't' },
	{ "version", no_argument, NULL, 'V' },
	{ "help", no_argument, NULL, 'h' },
	{ 0 },
};

/* -1: go on; else the exit status. */
static int parse_options(int argc, char **argv, struct options *o)
{
	int c;

	while ((c = getopt_long(argc, argv, "c:s:C:tVh", long_options, NULL)) != -1) {
		switch (c) {
		case 'c':
			o->config = optarg;
			break;
		case 's':
			o->run.state_dir = optarg;
			break;
		case 'C':
			o->run.control = optarg;
			o->run.control_must = true;
			break;
		case 't':
			o->check = true;
			break;
		case 'V':
			puts("kurad " PACKAGE_VERSION);
			return EXIT_OK;
		case 'h':
			fputs(usage, stdout);
			return EXIT_OK;
		default:
			fputs("kurad: try --help\n", stderr);
			return EXIT_USAGE;
		}
	}
	if (optind == argc)
		return -1;
	fprintf(stderr, "kurad: \"%s\" is not an option; try --help\n", argv[optind]);
	return EXIT_USAGE;
}

/* The configuration with what verbs made, or NULL with every mistake on standard error. Returns
 * owned. */
static struct config *read_config(const char *path, const char *state_dir)
{
	struct cfg_error *errors own_free = own_calloc(ERRORS_MAX, sizeof *errors);
	char *managed own_free = own_printf("%s/managed.conf", state_dir);
	unsigned count = 0;
	struct config *cfg = cfg_read_both(path, managed, errors, ERRORS_MAX, &count);

	for (unsigned i = 0; i < count && i < ERRORS_MAX; i++)
		fprintf(stderr, "%s\n", errors[i].text);
	if (count)
		fprintf(stderr, "kurad: %u mistake%s in %s\n", count, count == 1 ? "" : "s", path);
	for (unsigned i = 0; cfg && i < cfg->warning_count; i++)
		fprintf(stderr, "%s (warning)\n", cfg->warnings[i].text);
	return cfg;
}

int main(int argc, char **argv)
{
	struct options o = {
		.config = "/etc/kura/kura.conf",
		.run.state_dir = "/var/lib/kura",
		.run.control = "/run/kura/control",
	};
	int status = parse_options(argc, argv, &o);
	struct config *cfg;

	if (status >= 0)
		return status;
	if (fault_arm(getenv("KURA_FAULT"))) {
		fprintf(stderr, "kurad: KURA_FAULT names no place of common/fault.def\n");
		return EXIT_USAGE;
	}
	cfg = read_config(o.config, o.run.state_dir);
	if (!cfg)
		return EXIT_FAILED;
	log_set_level(log_level_named(cfg->log_level));
	if (o.check) {
		cfg_free(cfg);
		return EXIT_OK;
	}
	o.run.config = o.config;
	log_to_journal(LOG_JOURNAL);
	trace_on_crash();
	return run_server(cfg, &o.run) ? EXIT_FAILED : EXIT_OK;
}
