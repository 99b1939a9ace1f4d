/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel, limits of the process, and modes of files. */
#include "target/check.h"

#include "common/own.h"

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define SPARE_FILES 256u       /* descriptors besides those of connections */
#define GOOD_TCP    (1u << 20) /* bytes of the largest TCP buffer */
#define GOOD_SECRET 12u        /* bytes; RFC 7143 9.2.1 */

/* The last number in a file of /proc/sys; -1: it is not there. */
static long sysctl_last(const char *path)
{
	FILE *f = fopen(path, "re");
	long value = -1, next;

	if (!f)
		return -1;
	while (fscanf(f, "%ld", &next) == 1)
		value = next;
	fclose(f);
	return value;
}

/* ---- the kernel ---- */

static void check_engine(struct check *c, const struct server *srv, const struct config *cfg)
{
	long disabled = sysctl_last("/proc/sys/kernel/io_uring_disabled");

	if (strcmp(server_engine(srv), "aio") != 0)
		check_add(c, CHECK_OK, "engine", NULL, "", "io_uring is used");
	else if (!strcmp(cfg->engine, "aio"))
		check_add(c, CHECK_HINT, "engine", NULL,
			"engine = \"auto\"; in kura.conf, then a restart",
			"the configuration asks for aio, which is slower than io_uring");
	else if (disabled > 0)
		check_add(c, CHECK_WARNING, "engine", NULL,
			"sysctl kernel.io_uring_disabled=0, then a restart",
			"io_uring is switched off (kernel.io_uring_disabled = %ld), so aio is "
			"used, which is slower",
			disabled);
	else
		check_add(c, CHECK_HINT, "engine", NULL,
			"allow the system calls of io_uring (seccomp, container), or take a newer "
			"kernel; then a restart",
			"io_uring cannot be used here, so aio is, which is slower");
}

static void check_limits(struct check *c, const struct config *cfg)
{
	struct rlimit files, locked;
	unsigned want = cfg->max_connections + SPARE_FILES;
	bool good = true;

	if (!getrlimit(RLIMIT_NOFILE, &files) && files.rlim_cur < want) {
		good = false;
		check_add(c, CHECK_WARNING, "limits", NULL,
			"LimitNOFILE= in the unit of kurad (systemctl edit kurad), or a smaller "
			"max_connections",
			"%llu files may be open, but max_connections = %u wants %u",
			(unsigned long long)files.rlim_cur, cfg->max_connections, want);
	}
	if (geteuid() && !getrlimit(RLIMIT_MEMLOCK, &locked) && locked.rlim_cur < cfg->memory) {
		good = false;
		check_add(c, CHECK_WARNING, "limits", NULL,
			"LimitMEMLOCK=infinity in the unit of kurad (systemctl edit kurad)",
			"%llu bytes of memory may be locked, but memory = %llu",
			(unsigned long long)locked.rlim_cur, (unsigned long long)cfg->memory);
	}
	if (good)
		check_add(c, CHECK_OK, "limits", NULL, "", "files and memory suffice");
}

static void check_tcp(struct check *c)
{
	static const struct {
		const char *path, *key;
	} sizes[] = {
		{ "/proc/sys/net/ipv4/tcp_rmem", "net.ipv4.tcp_rmem" },
		{ "/proc/sys/net/ipv4/tcp_wmem", "net.ipv4.tcp_wmem" },
	}, flags[] = {
		{ "/proc/sys/net/ipv4/tcp_window_scaling", "net.ipv4.tcp_window_scaling" },
		{ "/proc/sys/net/ipv4/tcp_sack", "net.ipv4.tcp_sack" },
	};
	bool good = true;

	for (unsigned i = 0; i < own_array_len(sizes); i++) {
		long most = sysctl_last(sizes[i].path);

		if (most < 0 || most >= (long)GOOD_TCP)
			continue;
		good = false;
		check_add(c, CHECK_HINT, "network", NULL, "set its last number to 4194304 or more",
			"%s allows %ld bytes: large requests wait for the network", sizes[i].key,
			most);
	}
	for (unsigned i = 0; i < own_array_len(flags); i++) {
		if (sysctl_last(flags[i].path) != 0)
			continue;
		good = false;
		check_add(c, CHECK_WARNING, "network", NULL, "set it to 1",
			"%s is off: throughput suffers", flags[i].key);
	}
	if (good)
		check_add(c, CHECK_OK, "network", NULL, "", "TCP settings do not hurt");
}

void check_box(struct check *c, struct server *srv, const struct config *cfg)
{
	check_engine(c, srv, cfg);
	check_limits(c, cfg);
	check_tcp(c);
}

/* ---- files ---- */

/* What nobody but the owner may do to a file: `mode` has these bits; false: somebody may. */
static bool check_mode(struct check *c, enum check_severity severity, const char *what,
	const char *path, mode_t mode, const char *remedy)
{
	struct stat st;

	if (!path || stat(path, &st) || !(st.st_mode & mode))
		return true;
	check_add(c, severity, what, path, remedy,
		mode & S_IRGRP ? "others may read it (mode %03o)"
			       : "others may write it (mode %03o)",
		(unsigned)st.st_mode & 0777);
	return false;
}

static bool check_secret(struct check *c, const char *user, const char *secret)
{
	if (!secret || strlen(secret) >= GOOD_SECRET)
		return true;
	check_add(c, CHECK_WARNING, "secret of", user ? user : "?",
		"take a random one of 16 bytes or more, on both sides",
		"it has %zu bytes and can be guessed from what goes over the network",
		strlen(secret));
	return false;
}

static bool check_auth(struct check *c, const struct cfg_auth *a)
{
	static const char *const remedy = "chmod 600, and take another secret";
	bool good = true;

	if (!a)
		return true;
	good &= check_mode(c, CHECK_ERROR, "secret", a->secret_file, 0077 & ~0033, remedy);
	good &= check_mode(c, CHECK_ERROR, "secret", a->mutual_secret_file, 0077 & ~0033, remedy);
	good &= check_secret(c, a->user, a->secret);
	good &= check_secret(c, a->mutual_user, a->mutual_secret);
	return good;
}

static bool check_initiators(
	struct check *c, const struct cfg_initiator *initiators, unsigned count)
{
	bool good = true;

	for (unsigned i = 0; i < count; i++)
		good &= check_auth(c, initiators[i].auth);
	return good;
}

static bool check_secrets(struct check *c, const struct config *cfg)
{
	bool good = check_auth(c, cfg->discovery_auth);

	for (unsigned i = 0; i < cfg->target_count; i++) {
		const struct cfg_target *t = &cfg->targets[i];

		good &= check_auth(c, t->auth);
		good &= check_initiators(c, t->initiators, t->initiator_count);
	}
	for (unsigned i = 0; i < cfg->host_count; i++) {
		good &= check_auth(c, cfg->hosts[i].auth);
		good &= check_initiators(
			c, cfg->hosts[i].initiators, cfg->hosts[i].initiator_count);
	}
	return good;
}

void check_files(struct check *c, const struct config *cfg, const char *state_dir)
{
	bool good = check_secrets(c, cfg);

	for (unsigned i = 0; i < cfg->file_count; i++)
		good &= check_mode(c, CHECK_ERROR, "configuration", cfg->files[i], 0022,
			"chmod go-w: who may write it decides what is served");
	good &= check_mode(c, CHECK_WARNING, "state", state_dir, 0022,
		"chmod 700: who may write there may take reservations away");
	if (good)
		check_add(c, CHECK_OK, "files", NULL, "", "secrets and configuration are private");
}
