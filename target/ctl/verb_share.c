/* SPDX-License-Identifier: Apache-2.0 */
/* From a volume to something that a host can use, and what to do on the host. */
#include "target/ctl/verbs.h"

#include "common/own.h"
#include "target/ctl/edit.h"

#include <ctype.h>
#include <ifaddrs.h>
#include <netdb.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* ---- names ---- */

/* "iqn.2026-11.local.box:volume", the prefix as configured or from the name of this box. */
static char *target_name(const struct config *cfg, const char *volume)
{
	char host[65] = "", *out;

	if (cfg->target_prefix)
		out = own_printf("%s:%s", cfg->target_prefix, volume);
	else if (gethostname(host, sizeof host - 1) || !*host)
		out = own_printf("iqn.2026-11.local.kura:%s", volume);
	else
		out = own_printf(
			"iqn.2026-11.local.%.*s:%s", (int)strcspn(host, "."), host, volume);
	for (char *p = out; *p; p++)
		*p = *p == '_' ? '-' : (char)tolower((unsigned char)*p);
	return out;
}

/* ---- addresses ---- */

/* An address of this box that other hosts may reach, IPv4 before IPv6; loopback when there is none.
 * Returns owned. */
static char *own_address(void)
{
	struct ifaddrs *all = NULL;
	char text[NI_MAXHOST] = "", best[NI_MAXHOST] = "";

	if (getifaddrs(&all))
		return own_strdup("127.0.0.1");
	for (struct ifaddrs *i = all; i; i = i->ifa_next) {
		int family = i->ifa_addr ? i->ifa_addr->sa_family : AF_UNSPEC;
		socklen_t len = family == AF_INET ? sizeof(struct sockaddr_in)
						  : sizeof(struct sockaddr_in6);

		if ((family != AF_INET && family != AF_INET6) || (i->ifa_flags & IFF_LOOPBACK) ||
			getnameinfo(i->ifa_addr, len, text, sizeof text, NULL, 0, NI_NUMERICHOST) ||
			strchr(text, '%'))
			continue;
		if (!*best || (family == AF_INET && strchr(best, ':')))
			strcpy(best, text);
	}
	freeifaddrs(all);
	return own_strdup(*best ? best : "127.0.0.1");
}

/* "address:port" as initiators know it. Returns owned. */
static char *portal_name(const struct cfg_portal *p, const char *given)
{
	const char *address = given ? given : p->address;
	char *found own_free = NULL;

	if (given && *given == '[') /* as URLs have it */
		address = found = own_printf("%.*s", (int)strcspn(given + 1, "]"), given + 1);

	if (p->advertise && !given)
		return own_strdup(p->advertise);
	if (!given &&
		(!strcmp(address, "*") || !strcmp(address, "0.0.0.0") || !strcmp(address, "::")))
		address = found = own_address();
	return own_printf(strchr(address, ':') ? "[%s]:%u" : "%s:%u", address, p->port);
}

/* Whether a target is reached by the portal's group. */
static bool reaches(const struct cfg_target *t, const struct cfg_portal *p)
{
	char tag[8];
	size_t n = (size_t)snprintf(tag, sizeof tag, "%u", p->group);

	for (const char *g = t->portal_groups; g && *g; g += strspn(g, " ")) {
		if (strcspn(g, " ") == n && !strncmp(g, tag, n))
			return true;
		g += strcspn(g, " ");
	}
	return !t->portal_groups;
}

/* ---- share ---- */

static bool let_in(struct ctl_call *call, struct config *cfg, struct cfg_target *t)
{
	for (unsigned i = 0; i < ctl_count(call, "to"); i++) {
		if (ctl_add_initiator(call, cfg, CFG_OBJECT_target, t, ctl_item(call, "to", i)) < 0)
			return false;
	}
	for (unsigned i = 0; i < ctl_count(call, "host"); i++) {
		if (!ctl_access(call, cfg, t, ctl_item(call, "host", i)))
			return false;
	}
	return true;
}

static const struct cfg_lun *lun_of(const struct cfg_target *t, const char *volume)
{
	for (unsigned i = 0; i < t->lun_count; i++) {
		if (!strcmp(t->luns[i].volume, volume))
			return &t->luns[i];
	}
	return NULL;
}

/* Whether a target that is there is the one that is meant; false after ctl_fail. A name that was
 * made of the volume's may be that of another volume's target: "a_b" and "a-b" make the same, and
 * who is let in would see both. */
static bool is_meant(struct ctl_call *call, const struct config *cfg, const struct cfg_target *t)
{
	const char *volume = ctl_text(call, "volume");
	bool readonly = cfg_volume_named(cfg, volume)->readonly;
	const struct cfg_lun *lun = lun_of(t, volume);

	if (!lun && t->lun_count && !ctl_text(call, "target")) {
		ctl_fail(call, RPC_EXISTS,
			"target \"%s\": is there already, with the volume \"%s\"; name it by "
			"--target when \"%s\" is to be there as well, or another one",
			t->name, t->luns[0].volume, volume);
		return false;
	}
	if (lun && !lun->readonly && !readonly && ctl_flag(call, "readonly")) {
		ctl_fail(call, RPC_EXISTS,
			"volume \"%s\": is LUN %u of %s, and may be written there; lun remove "
			"first, "
			"or share it by another --target",
			volume, lun->lun, t->name);
		return false;
	}
	return true;
}

/* The target that the volume is shared by, made when it is not there; NULL after ctl_fail. */
static struct cfg_target *target_for(struct ctl_call *call, struct config *cfg, const char *name)
{
	struct cfg_target t = { .where = cfg_managed_where(cfg) };
	struct cfg_target *there = cfg_target_named(cfg, name);

	if (there)
		return is_meant(call, cfg, there) &&
				       ctl_may_change(call, cfg, &there->where, "target", name)
			       ? there
			       : NULL;
	cfg_set_defaults(CFG_OBJECT_target, &t);
	t.name = own_strdup(name);
	return cfg_list_add(CFG_OBJECT_config, cfg, "targets", &t);
}

/* The number that the volume has in the target, mapped when it is not; negative after ctl_fail. */
static int number_in(struct ctl_call *call, struct config *cfg, struct cfg_target *t)
{
	const char *volume = ctl_text(call, "volume");
	const struct cfg_lun *there = lun_of(t, volume);
	uint16_t number = 0;

	if (there)
		return there->lun;
	for (unsigned i = 0; i < t->lun_count; i++) {
		if (t->luns[i].lun != number)
			continue;
		number++;
		i = UINT32_MAX; /* from the front: they need not be in order */
	}
	return ctl_map(call, cfg, CFG_OBJECT_target, t, number, volume) ? number : -1;
}

static void answer_share(struct ctl_call *call, const char *name, int number)
{
	struct config *cfg = ctl_config_seen(call);
	struct cfg_target *t = ctl_find_target(call, cfg, name);
	struct jval *portals = jval_list();

	for (unsigned i = 0; t && i < cfg->portal_count; i++) {
		char *portal own_free = portal_name(&cfg->portals[i], NULL);

		if (reaches(t, &cfg->portals[i]))
			jval_append(portals, jval_new_text(portal));
	}
	cfg_free(cfg);
	jval_set_text(call->result, "target", name);
	jval_set_number(call->result, "lun", (uint64_t)number);
	jval_set_text(call->result, "volume", ctl_text(call, "volume"));
	jval_set(call->result, "portals", portals);
}

void verb_share(struct ctl_call *call)
{
	const char *volume = ctl_text(call, "volume"), *given = ctl_text(call, "target");
	struct config *cfg = ctl_config(call);
	char *made own_free = given ? NULL : target_name(cfg, volume);
	char *name own_free = ctl_iscsi_name(call, given ? given : made);
	struct cfg_target *t = NULL;
	int number = -1;

	if (name && !ctl_count(call, "to") && !ctl_count(call, "host"))
		ctl_fail(call, RPC_USAGE, "share with whom? --to INITIATOR or --host GROUP");
	else if (name && ctl_find_volume(call, cfg, volume))
		t = target_for(call, cfg, name);
	if (t && let_in(call, cfg, t))
		number = number_in(call, cfg, t);
	if (number < 0)
		cfg_free(cfg);
	else if (ctl_commit(call, cfg, false))
		answer_share(call, name, number);
}

/* ---- connect ---- */

/* What stands in the texts below: %T target, %P address:port, %A address, %N port, %L first LUN, %D
 * the target as part of a device name. */
static const struct {
	const char *kind, *text;
} recipes[] = {
	{ "linux", "iscsiadm -m discovery -t sendtargets -p %P\n"
		   "iscsiadm -m node -T %T -p %P --login\n"
		   "ls -l /dev/disk/by-path/*-iscsi-%T-lun-%L\n" },
	{ "qemu", "qemu-system-x86_64 -drive "
		  "file=iscsi://%P/%T/%L,format=raw,if=virtio,cache=none\n" },
	{ "libvirt", "virsh pool-define-as kura iscsi-direct --source-host %A --source-dev %T "
		     "--source-initiator iqn.2026-11.example:this-host\n"
		     "virsh pool-start kura\n"
		     "virsh vol-list kura\n" },
	{ "xen", "iscsiadm -m discovery -t sendtargets -p %P\n"
		 "iscsiadm -m node -T %T -p %P --login\n"
		 "# in the guest's configuration:\n"
		 "# disk = [ 'phy:/dev/disk/by-path/ip-%P-iscsi-%T-lun-%L,xvda,w' ]\n" },
	{ "xcp-ng", "xe sr-probe type=lvmoiscsi device-config:target=%A device-config:port=%N "
		    "device-config:targetIQN=%T\n"
		    "# with the SCSIid that it prints:\n"
		    "xe sr-create name-label=kura shared=true type=lvmoiscsi "
		    "device-config:target=%A device-config:port=%N device-config:targetIQN=%T "
		    "device-config:SCSIid=SCSIID\n" },
	{ "esxi", "esxcli iscsi software set --enabled=true\n"
		  "esxcli iscsi adapter list\n"
		  "# with the adapter that it prints:\n"
		  "esxcli iscsi adapter discovery statictarget add --adapter=vmhba64 --address=%P "
		  "--name=%T\n"
		  "esxcli storage core adapter rescan --adapter=vmhba64\n" },
	{ "proxmox", "pvesm scan iscsi %P\n"
		     "pvesm add iscsi kura --portal %P --target %T --content images\n"
		     "pvesm list kura\n" },
	{ "windows", "Start-Service MSiSCSI\n"
		     "Set-Service MSiSCSI -StartupType Automatic\n"
		     "New-IscsiTargetPortal -TargetPortalAddress %A -TargetPortalPortNumber %N\n"
		     "Connect-IscsiTarget -NodeAddress %T -IsPersistent $true\n"
		     "Get-Disk | Where-Object BusType -eq iSCSI\n" },
};

struct filling {
	const char *target;
	char *portal;  /* "address:port"; owned */
	char *address; /* without the port; owned */
	const char *port;
	unsigned lun;
};

static void put(FILE *f, char what, const struct filling *in)
{
	switch (what) {
	case 'T':
		fputs(in->target, f);
		break;
	case 'P':
		fputs(in->portal, f);
		break;
	case 'A':
		fputs(in->address, f);
		break;
	case 'N':
		fputs(in->port, f);
		break;
	case 'L':
		fprintf(f, "%u", in->lun);
		break;
	default:
		own_assert(!"a recipe has a mark that nobody fills in");
	}
}

static char *fill_in(const char *text, const struct filling *in)
{
	char *out = NULL;
	size_t len;
	FILE *f = open_memstream(&out, &len);

	own_assert(f);
	for (; *text; text++) {
		if (*text == '%')
			put(f, *++text, in);
		else
			fputc(*text, f);
	}
	own_assert(!fclose(f));
	return out;
}

static const char *recipe(const char *kind)
{
	for (unsigned i = 0; i < own_array_len(recipes); i++) {
		if (!strcmp(recipes[i].kind, kind))
			return recipes[i].text;
	}
	own_assert(!"a word of verbs.def has no recipe");
	return "";
}

static const struct cfg_portal *portal_for(const struct config *cfg, const struct cfg_target *t)
{
	for (unsigned i = 0; i < cfg->portal_count; i++) {
		if (reaches(t, &cfg->portals[i]))
			return &cfg->portals[i];
	}
	return NULL;
}

static void answer_connect(
	struct ctl_call *call, const struct cfg_target *t, const struct cfg_portal *p)
{
	struct filling in = {
		.target = t->name,
		.portal = portal_name(p, ctl_text(call, "address")),
		.lun = t->lun_count ? t->luns[0].lun : 0,
	};
	char *colon = strrchr(in.portal, ':');
	char *text own_free = NULL;

	in.port = colon ? colon + 1 : "3260";
	in.address = own_printf("%.*s", (int)(colon ? colon - in.portal : 0), in.portal);
	text = fill_in(recipe(ctl_text(call, "for")), &in);
	if (t->auth) {
		char *before own_free = text;

		text = own_printf(
			"# the target asks for CHAP: tell the host that it is \"%s\", and "
			"the secret\n%s",
			t->auth->user, before);
	}
	jval_set_text(call->result, "target", t->name);
	jval_set_text(call->result, "for", ctl_text(call, "for"));
	jval_set_text(call->result, "commands", text);
	free(in.portal);
	free(in.address);
}

/* Whether a port stands behind the address that was given. */
static bool has_port(const char *address)
{
	const char *colon = address ? strchr(address, ':') : NULL;

	return colon && (*address == '[' ? strstr(address, "]:") != NULL : !strchr(colon + 1, ':'));
}

void verb_connect(struct ctl_call *call)
{
	const char *address = ctl_text(call, "address");
	struct config *cfg;
	const struct cfg_target *t;
	const struct cfg_portal *p;

	if (has_port(address)) {
		ctl_fail(call, RPC_USAGE,
			"address: \"%s\" has a port, which the portal says; leave it "
			"out",
			address);
		return;
	}
	cfg = ctl_config_seen(call);
	t = ctl_find_target(call, cfg, ctl_text(call, "target"));
	p = t ? portal_for(cfg, t) : NULL;

	if (p)
		answer_connect(call, t, p);
	else if (t)
		ctl_fail(call, RPC_REFUSED,
			"target \"%s\": no portal reaches it; kura portal add, with one of the "
			"groups %s",
			t->name, t->portal_groups);
	cfg_free(cfg);
}
