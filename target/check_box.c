/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel, limits of the process, and its network. */
#include "target/check.h"

#include "common/own.h"
#include "volume/pool.h"

#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SPARE_FILES 256u          /* descriptors besides those of connections */
#define GOOD_TCP    (1u << 20)    /* bytes of the largest TCP buffer */
#define WANT_TCP    "4194304"     /* what is advised instead */
#define LOOP_MEMORY (64ull << 20) /* see "memory" in config.h */

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
			"engine = \"auto\"; in kura.conf, then systemctl restart kurad",
			"the configuration asks for aio, which is slower than io_uring");
	else if (disabled > 0)
		check_add(c, CHECK_WARNING, "engine", NULL,
			"sysctl -w kernel.io_uring_disabled=0, then systemctl restart kurad",
			"io_uring is switched off (kernel.io_uring_disabled = %ld), so aio is "
			"used, which is slower",
			disabled);
	else
		check_add(c, CHECK_HINT, "engine", NULL,
			"allow the system calls of io_uring (seccomp, container), or take a newer "
			"kernel; then systemctl restart kurad",
			"io_uring cannot be used here, so aio is, which is slower");
}

/* Whether the kernel counts what this process locks (capabilities(7), CAP_IPC_LOCK). */
static bool lock_is_limited(void)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = { { 0 } };

	if (syscall(SYS_capget, &head, data))
		return true;
	return !(data[0].effective & 1u << CAP_IPC_LOCK);
}

static bool check_locked(
	struct check *c, const struct server *srv, const struct config *cfg, uint64_t memory)
{
	struct rlimit locked;

	if (!strcmp(server_engine(srv), "aio") || !lock_is_limited() ||
		getrlimit(RLIMIT_MEMLOCK, &locked) || locked.rlim_cur >= memory)
		return true;
	check_add(c, CHECK_WARNING, "limits", NULL,
		"LimitMEMLOCK=infinity in the unit of kurad (systemctl edit kurad), then "
		"systemctl restart kurad",
		"%llu KiB of memory may be locked, but io_uring has buffers of %llu KiB%s: the "
		"rest is pinned anew for each request",
		(unsigned long long)locked.rlim_cur >> 10, (unsigned long long)memory >> 10,
		cfg->memory ? " (memory)" : "");
	return false;
}

static bool check_memory(struct check *c, uint64_t memory)
{
	uint64_t has = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);

	if (memory <= has / 4 * 3)
		return true;
	check_add(c, CHECK_WARNING, "memory", NULL,
		"a smaller memory in kura.conf, then systemctl restart kurad",
		"buffers may take %llu MiB, but this box has %llu MiB",
		(unsigned long long)memory >> 20, (unsigned long long)has >> 20);
	return false;
}

static bool check_open_files(struct check *c, const struct config *cfg)
{
	unsigned want = cfg->max_connections + SPARE_FILES;
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) || files.rlim_cur >= want)
		return true;
	check_add(c, CHECK_WARNING, "limits", NULL,
		"LimitNOFILE=65536 in the unit of kurad (systemctl edit kurad), then systemctl "
		"restart kurad; or a smaller max_connections",
		"%llu files may be open, but max_connections = %u wants %u",
		(unsigned long long)files.rlim_cur, cfg->max_connections, want);
	return false;
}

static void check_limits(struct check *c, const struct server *srv, const struct config *cfg)
{
	uint64_t memory = cfg->memory ? cfg->memory : server_loops(srv) * LOOP_MEMORY;
	bool good = check_open_files(c, cfg);

	good &= check_locked(c, srv, cfg, memory);
	good &= check_memory(c, memory);
	if (good)
		check_add(c, CHECK_OK, "limits", NULL, "", "files and memory suffice");
}

/* ---- the network ---- */

/* Two or three numbers, the last of which bounds how much is on its way. */
static bool check_buffers(struct check *c, const char *key, const char *path, const char *first)
{
	long most = sysctl_last(path);
	char *remedy own_free = NULL;

	if (most < 0 || most >= (long)GOOD_TCP)
		return true;
	remedy = own_printf("sysctl -w %s=\"%s " WANT_TCP
			    "\", and the same line in /etc/sysctl.d/kura.conf",
		key, first);
	check_add(c, CHECK_HINT, "network", NULL, remedy,
		"%s allows %ld bytes: large requests wait for the network", key, most);
	return false;
}

static bool check_flag(struct check *c, const char *key, const char *path, const char *hurts)
{
	char *remedy own_free = NULL;

	if (sysctl_last(path) != 0)
		return true;
	remedy = own_printf("sysctl -w %s=1, and the same line in /etc/sysctl.d/kura.conf", key);
	check_add(c, CHECK_WARNING, "network", NULL, remedy, "%s is off: %s", key, hurts);
	return false;
}

#define IPV4 "/proc/sys/net/ipv4/"

static void check_tcp(struct check *c)
{
	bool good = true;

	if (sysctl_last(IPV4 "tcp_sack") < 0) {
		check_add(c, CHECK_OK, "network", NULL, "",
			"TCP settings are not looked at: /proc/sys is not visible to kurad");
		return;
	}
	good &= check_buffers(c, "net.ipv4.tcp_rmem", IPV4 "tcp_rmem", "4096 131072");
	good &= check_buffers(c, "net.ipv4.tcp_wmem", IPV4 "tcp_wmem", "4096 16384");
	good &= check_flag(c, "net.ipv4.tcp_window_scaling", IPV4 "tcp_window_scaling",
		"at most 64 KiB are on their way at a time");
	good &= check_flag(c, "net.ipv4.tcp_sack", IPV4 "tcp_sack",
		"one lost packet costs as much as all that follow it");
	if (good)
		check_add(c, CHECK_OK, "network", NULL, "", "TCP settings do not hurt");
}

/* A box with LVM may want pools of it. Who runs kurad without root does not. */
static void check_lvm(struct check *c)
{
	char why[POOL_WHY_LEN];

	if (geteuid() || (access("/sbin/lvm", X_OK) && access("/usr/sbin/lvm", X_OK)))
		return;
	if (pool_check_rights(why, sizeof why))
		check_add(c, CHECK_HINT, "lvm", NULL,
			"for these: install -D -m 644 /usr/share/kura/kurad-lvm.conf "
			"/etc/systemd/system/kurad.service.d/lvm.conf, systemctl daemon-reload, "
			"and "
			"restart kurad",
			"pools of kind lvm and lvm-thin cannot be added: this kurad may not use "
			"the device mapper");
	else
		check_add(c, CHECK_OK, "lvm", NULL, "", "kurad may use the device mapper");
}

void check_box(struct check *c, struct server *srv, const struct config *cfg)
{
	check_engine(c, srv, cfg);
	check_limits(c, srv, cfg);
	check_tcp(c);
	check_lvm(c);
}
