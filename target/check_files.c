/* SPDX-License-Identifier: Apache-2.0 */
/* Files: who may read or write them, whether they last, and whether they say what is served. */
#include "target/check.h"

#include "common/own.h"
#include "config/object.h"
#include "target/ctl/ctl.h"

#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#define GOOD_SECRET 12u /* bytes; RFC 7143 9.2.1 */

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

static void check_private(struct check *c, const struct config *cfg, const char *state_dir)
{
	bool good = check_secrets(c, cfg);
	char *remedy own_free = own_printf("chmod 700 %s: who may write there may take "
					   "reservations away",
		state_dir);

	for (unsigned i = 0; i < cfg->file_count; i++) {
		char *chmod own_free = own_printf(
			"chmod go-w %s: who may write it decides what is served", cfg->files[i]);

		good &= check_mode(c, CHECK_ERROR, "configuration", cfg->files[i], 0022, chmod);
	}
	good &= check_mode(c, CHECK_WARNING, "state", state_dir, 0022, remedy);
	if (good)
		check_add(c, CHECK_OK, "files", NULL, "", "secrets and configuration are private");
}

/* ---- what lasts ---- */

bool check_in_memory(const char *path)
{
	struct statfs fs;

	return !statfs(path, &fs) && (fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC);
}

static void check_state_lasts(struct check *c, const char *state_dir)
{
	if (!check_in_memory(state_dir))
		return;
	if (!strncmp(state_dir, "/run/", 5))
		check_add(c, CHECK_HINT, "state", state_dir,
			"see that something makes it again, as the agents of a cluster do",
			"it is below /run: what verbs made is gone with the next boot");
	else
		check_add(c, CHECK_WARNING, "state", state_dir,
			"give kurad a --state on a disk (systemctl edit kurad), and move it there",
			"it is in memory: what verbs made, identities and reservations are lost "
			"with the next boot");
}

/* ---- what the next start would make of the configuration ---- */

static char *whole_text(const struct config *cfg)
{
	return cfg_write(cfg, CFG_WRITE_SECRETS);
}

static void wipe(char **text)
{
	if (*text)
		explicit_bzero(*text, strlen(*text));
	own_free_ptr(text);
}

static void tell_mistakes(struct check *c, const char *file, const char *first, unsigned count)
{
	char *remedy own_free =
		own_printf("put it right: kurad --check --config %s prints all mistakes", file);

	check_add(c, CHECK_ERROR, "configuration", file, remedy,
		"kurad would not start again, %u mistake%s: %s", count, count == 1 ? "" : "s",
		first);
}

/* Files are read as a start reads them: objects of kura.conf and of what verbs made that are in
 * each other's way are found here as well. */
void check_next_start(struct check *c, const struct server *srv, const struct config *cfg)
{
	const char *file = server_config_file(srv);
	struct cfg_error errors[1];
	char *now own_cleanup(wipe) = NULL;
	char *then own_cleanup(wipe) = NULL;
	struct config *next;
	unsigned count = 0;

	if (!cfg->managed)
		return;
	next = cfg_read_both(file, cfg->managed, errors, 1, &count);
	if (!next) {
		tell_mistakes(c, file, errors[0].text, count);
		return;
	}
	now = whole_text(cfg);
	then = whole_text(next);
	if (strcmp(now, then) != 0)
		check_add(c, CHECK_WARNING, "configuration", file,
			"kura apply --dry-run says what would be done; kura apply does it",
			"it was changed, or another file was applied: what is served does not "
			"follow it");
	else
		check_add(c, CHECK_OK, "configuration", file, "", "the next start serves the same");
	cfg_free(next);
}

/* ---- the control socket ---- */

static bool check_folder(struct check *c, const char *socket, bool groups)
{
	char *folder own_free = own_strdup(socket);
	char *slash = strrchr(folder, '/'), *remedy own_free = NULL;
	struct stat st;

	if (!slash || slash == folder)
		return true;
	*slash = '\0';
	if (stat(folder, &st))
		return true;
	remedy = own_printf("chmod 755 %s", folder);
	if (st.st_mode & 0022 && !(st.st_mode & S_ISVTX)) {
		check_add(c, CHECK_ERROR, "control socket", socket, remedy,
			"others may write in its folder (mode %03o), and put a socket of theirs "
			"in its place",
			(unsigned)st.st_mode & 0777);
		return false;
	}
	if (!groups || st.st_mode & 0001)
		return true;
	check_add(c, CHECK_WARNING, "control socket", socket, remedy,
		"the mode of its folder (%03o) keeps the groups " CTL_GROUP
		" and " CTL_MONITOR_GROUP " out",
		(unsigned)st.st_mode & 0777);
	return false;
}

static void check_control(struct check *c, const char *socket)
{
	gid_t gid;
	bool groups = ctl_group(CTL_GROUP, &gid) || ctl_group(CTL_MONITOR_GROUP, &gid), good;
	struct stat st;

	if (!socket || stat(socket, &st))
		return;
	good = check_folder(c, socket, groups);
	if (groups && (st.st_mode & 0666) != 0666) {
		char *remedy own_free = own_printf(
			"chmod 666 %s: who asks is looked at then; or systemctl restart kurad",
			socket);

		check_add(c, CHECK_WARNING, "control socket", socket, remedy,
			"its mode (%03o) keeps the groups " CTL_GROUP " and " CTL_MONITOR_GROUP
			" out",
			(unsigned)st.st_mode & 0777);
	} else if (good) {
		check_add(c, CHECK_OK, "control socket", socket, "",
			groups ? "those who may ask kurad can"
			       : "root alone may ask kurad: there is no group " CTL_GROUP);
	}
}

void check_files(
	struct check *c, const struct config *cfg, const char *state_dir, const char *control)
{
	check_private(c, cfg, state_dir);
	check_state_lasts(c, state_dir);
	check_control(c, control);
}
