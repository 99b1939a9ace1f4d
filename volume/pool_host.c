// SPDX-License-Identifier: Apache-2.0
/*
 * pool_host.c: what LVM on this box would do to what guests write on their disks: whether it scans
 * the devices of a pool for volume groups, by its own settings (lvmconfig).
 */
#include "common/exec.h"
#include "common/own.h"
#include "volume/pool_kind.h"

#include <errno.h>
#include <linux/capability.h>
#include <regex.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

struct host_lvm {
	char *text; /* what lvmconfig says, owned */
	bool scan_lvs, devices_file;
};

/* The value of a setting that is in force: lvmconfig writes a comment where it has none. */
static const char *setting(const char *text, const char *key)
{
	size_t len = strlen(key);

	for (const char *line = text; line && *line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (!strncmp(line, key, len) && line[len] == '=')
			return line + len + 1;
	}
	return NULL;
}

static bool setting_on(const char *text, const char *key)
{
	const char *value = setting(text, key);

	return value && *value == '1';
}

/* One pattern of a filter, "a|...|" or "r|...|", over one path: 'a', 'r' or 0. lvm.conf(5) */
static char pattern_says(const char *pattern, size_t len, const char *path)
{
	own_free char *text = len > 3 ? strndup(pattern + 2, len - 3) : NULL;
	regex_t regex;
	bool fits;

	if (!text || regcomp(&regex, text, REG_EXTENDED | REG_NOSUB))
		return 0;
	fits = regexec(&regex, path, 0, NULL, 0) == 0;
	regfree(&regex);
	return fits ? *pattern : 0;
}

/* What the first pattern of a filter that fits this name says: 'a', 'r', or 0 when none fits. */
static char filter_says(const char *filter, const char *path)
{
	const char *end = filter ? strchr(filter, '\n') : NULL;

	while (filter && (filter = strchr(filter, '"')) && (!end || filter < end)) {
		const char *close = strchr(filter + 1, '"');
		char says;

		if (!close)
			break;
		says = pattern_says(filter + 1, (size_t)(close - filter - 1), path);
		if (says)
			return says;
		filter = close + 1;
	}
	return 0;
}

/* A device is used when any of its names is accepted, or none of them is rejected: names that no
 * pattern fits decide nothing. lvm.conf(5), global_filter */
static bool filtered(const struct host_lvm *host, const char *const *paths, unsigned count)
{
	const char *filter = setting(host->text, "global_filter");
	bool rejected = false;

	for (unsigned i = 0; i < count; i++) {
		char says = filter_says(filter, paths[i]);

		if (says == 'a')
			return false;
		rejected = rejected || says == 'r';
	}
	return rejected;
}

/* LVM keeps to a list of devices when it is told to and when there is one. */
static bool has_devices_file(const char *text)
{
	const char *name = setting(text, "devicesfile");
	size_t len = name && *name == '"' ? strcspn(name + 1, "\"\n") : 0;
	own_free char *path = own_printf("/etc/lvm/devices/%.*s", (int)len, len ? name + 1 : "");

	return setting_on(text, "use_devicesfile") && len && !access(path, F_OK);
}

static int host_ask(const struct pool *pool, struct host_lvm *host, const struct pool_why *why)
{
	static const char *const argv[] = { "lvmconfig", "--type", "full", "devices/scan_lvs",
		"devices/use_devicesfile", "devices/devicesfile", "devices/global_filter", NULL };
	own_free char *said = NULL;
	int status = exec_run(argv, &host->text, &said);

	host->scan_lvs = setting_on(host->text, "scan_lvs");
	host->devices_file = has_devices_file(host->text);
	if (!status)
		return 0;
	return pool_refuse(why, status < 0 ? status : -EIO,
		"pool %s: lvmconfig does not tell the settings of LVM on this box%s%s; see that "
		"devices/scan_lvs is 0 there",
		pool->conf.name, *said ? ": " : "", said);
}

/* device-mapper's names have a hyphen between group and volume, and two for each one in them. */
static char *mapper_name(const char *vg)
{
	char *name = own_calloc(1, 2 * strlen(vg) + 1), *to = name;

	for (; *vg; vg++) {
		*to++ = *vg;
		if (*vg == '-')
			*to++ = '-';
	}
	return name;
}

#define NO_ALL "; no \"a|.*|\" may follow: it accepts the device by another of its names"

int pool_host_lvs(struct pool *pool, const struct pool_why *why)
{
	const char *vg = pool->conf.vg;
	own_free char *group = mapper_name(vg);
	own_free char *plain = own_printf("/dev/%s/volume", vg);
	own_free char *mapper = own_printf("/dev/mapper/%s-volume", group);
	own_free char *by_id = own_printf("/dev/disk/by-id/dm-name-%s-volume", group);
	const char *const paths[] = { plain, mapper, by_id, "/dev/dm-0" };
	struct host_lvm host = { 0 };
	int err = host_ask(pool, &host, why);

	if (!err && host.scan_lvs && !host.devices_file &&
		!filtered(&host, paths, own_array_len(paths)))
		err = pool_refuse(why, 1,
			"LVM on this box looks into logical volumes (devices/scan_lvs = 1), and "
			"would take volume groups that guests make on volumes of %s for its own; "
			"set scan_lvs = 0 in the section devices of /etc/lvm/lvm.conf, or begin "
			"global_filter there with \"r|^/dev/%s/|\", "
			"\"r|^/dev/mapper/%s-|\"" NO_ALL,
			vg, vg, group);
	free(host.text);
	return err;
}

int pool_host_disk(struct pool *pool, const struct pool_why *why)
{
	const char *const paths[] = { pool->conf.path, "/dev/disk/by-path/another-name" };
	struct host_lvm host = { 0 };
	int err = host_ask(pool, &host, why);

	if (err == -ENOENT)
		err = 0; /* no LVM, no danger */
	else if (!err && !host.devices_file && !filtered(&host, paths, own_array_len(paths)))
		err = pool_refuse(why, 1,
			"LVM on this box looks at %s, and would take a volume group that a guest "
			"makes there for its own; begin global_filter in the section devices of "
			"/etc/lvm/lvm.conf with \"r|^%s$|\"" NO_ALL,
			pool->conf.path, pool->conf.path);
	free(host.text);
	return err;
}

/* ---- what the process may ---- */

/* ioctls of the device mapper ask for it, LVM's tools ask for root. */
static bool may_administer(void)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = { { 0 } };

	return geteuid() == 0 && syscall(SYS_capget, &head, data) == 0 &&
	       (data[0].effective & (1u << CAP_SYS_ADMIN));
}

int pool_check_rights(char *text, size_t len)
{
	const struct pool_why why = { text, len };

	if (may_administer())
		return 0;
	return pool_refuse(&why, -EPERM,
		"kurad may not use the device mapper: it is not root, or its unit leaves it no "
		"CAP_SYS_ADMIN; install -D -m 644 /usr/share/kura/kurad-lvm.conf "
		"/etc/systemd/system/kurad.service.d/lvm.conf, then systemctl daemon-reload, and "
		"restart kurad");
}
