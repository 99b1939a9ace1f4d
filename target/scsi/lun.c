/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Logical units, targets, and the map from LUN to unit. Whoever runs the server asks for them, so
 * memory that is not there ends the process.
 */
#include "target/scsi/lun.h"

#include "target/scsi/fence.h"
#include "target/scsi/record.h"
#include "target/scsi/reservation.h"
#include "target/scsi/unit.h"

#include "common/be.h"
#include "common/own.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* SPC-4 4.4.1: ASCII data fields are left-aligned and padded with spaces. */
static void set_padded(char *dst, size_t room, const char *src)
{
	size_t len = src ? strnlen(src, room) : 0;

	memset(dst, ' ', room);
	if (len)
		memcpy(dst, src, len);
}

static void set_serial(struct scsi_lun *lun, const char *serial)
{
	if (serial) {
		snprintf(lun->serial, sizeof lun->serial, "%s", serial);
		return;
	}
	for (unsigned i = 0; i < VOL_UUID_LEN; i++)
		snprintf(lun->serial + 2 * i, 3, "%02x", lun->info.uuid[i]);
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
		return (c | 0x20) - 'a' + 10;
	return -1;
}

/* SPC-4 7.8.6.6: NAA designators have 8 bytes, NAA 6 has 16. */
static bool naa_from_hex(struct scsi_lun *lun, const char *hex)
{
	size_t digits = strlen(hex);

	if (digits != 16 && digits != 32)
		return false;
	for (size_t i = 0; i < digits; i++) {
		int v = hex_digit(hex[i]);

		if (v < 0)
			return false;
		lun->naa[i / 2] = (uint8_t)(lun->naa[i / 2] << 4 | v);
	}
	lun->naa_len = (uint8_t)(digits / 2);
	return true;
}

/* SPC-4 7.8.6.6.4: NAA 3h, locally assigned; 60 bits of the UUID, which was made at random. */
void scsi_naa_from_uuid(const uint8_t *uuid, uint8_t *naa)
{
	for (unsigned i = 0; i < SCSI_NAA_LEN; i++)
		naa[i] = uuid[i] ^ uuid[i + 8];
	naa[0] = (uint8_t)(0x30 | (naa[0] & 0x0f));
}

static void set_geometry(struct scsi_lun *lun)
{
	lun->block_size = lun->info.block_size;
	own_assert(lun->block_size >= 512 && !(lun->block_size & (lun->block_size - 1)));
	lun->block_shift = (uint8_t)__builtin_ctz(lun->block_size);
	for (unsigned i = 0; i < SCSI_LOOPS_MAX; i++)
		lun->blocks[i] = lun->info.size >> lun->block_shift;
	lun->cap_blocks = LOOP_BUF_MAX >> lun->block_shift;
}

static void set_modes(struct scsi_lun *lun, const struct scsi_lun_conf *conf)
{
	bool cache = lun->info.caps & VOL_HAS_CACHE;

	lun->modes_may = MODE_D_SENSE | MODE_SWP | (cache ? MODE_WCE : 0);
	lun->modes_default = cache ? MODE_WCE : 0;
	lun->modes = lun->modes_saved = lun->modes_default;
	pthread_mutex_init(&lun->record_lock, NULL);
	if (conf->state_dir)
		scsi_record_open(lun, conf->with_dir, conf->state_dir);
}

void scsi_lun_reset(struct scsi_lun *lun)
{
	uint32_t saved = __atomic_load_n(&lun->modes_saved, __ATOMIC_RELAXED);

	__atomic_store_n(&lun->modes, saved, __ATOMIC_RELAXED);
}

/* What units of a volume have in common, SBC-3 4.11: the state of its medium. */
static void join_units(struct scsi_lun *lun)
{
	struct list *units = &lun->domain->luns;

	scsi_domain_lock(lun->domain);
	list_for_each (it, units) {
		struct scsi_lun *other = container_of(it, struct scsi_lun, node);

		if (other->vol == lun->vol)
			lun->sanitize |= __atomic_load_n(&other->sanitize, __ATOMIC_ACQUIRE);
	}
	list_push(units, &lun->node);
	scsi_domain_unlock(lun->domain);
}

struct scsi_lun *scsi_lun_new(struct scsi_domain *domain, const struct scsi_lun_conf *conf)
{
	struct scsi_lun *lun = own_calloc(1, sizeof *lun);

	lun->domain = domain;
	lun->vol = conf->vol;
	lun->fences = scsi_fences_get(domain, conf->vol);
	lun->res = scsi_res_get(domain, conf);
	lun->info = vol_info(conf->vol);
	set_geometry(lun);
	lun->removable = conf->removable;
	lun->thin = conf->thin && (lun->info.caps & VOL_CAN_TRIM);
	set_padded(lun->vendor, sizeof lun->vendor, conf->vendor);
	set_padded(lun->product, sizeof lun->product, conf->product);
	set_padded(lun->revision, sizeof lun->revision, conf->revision);
	set_serial(lun, conf->serial);
	if (!conf->naa || !naa_from_hex(lun, conf->naa)) {
		lun->naa_len = SCSI_NAA_LEN;
		scsi_naa_from_uuid(lun->info.uuid, lun->naa);
	}
	set_modes(lun, conf);
	scsi_orwrite_reset(lun);
	join_units(lun);
	return lun;
}

void scsi_lun_free(struct scsi_lun *lun)
{
	if (!lun)
		return;
	for (unsigned i = 0; i < SCSI_LOOPS_MAX; i++)
		own_assert(!lun->chan[i]);
	scsi_domain_lock(lun->domain);
	list_del(&lun->node);
	scsi_domain_unlock(lun->domain);
	pthread_mutex_destroy(&lun->record_lock);
	free(lun->record);
	scsi_res_put(lun->res);
	scsi_fences_put(lun->fences);
	free(lun);
}

void scsi_lun_get(struct scsi_lun *lun)
{
	__atomic_add_fetch(&lun->users, 1, __ATOMIC_RELAXED);
}

void scsi_lun_put(struct scsi_lun *lun)
{
	own_assert(__atomic_fetch_sub(&lun->users, 1, __ATOMIC_RELEASE));
}

bool scsi_lun_idle(const struct scsi_lun *lun)
{
	return !__atomic_load_n(&lun->users, __ATOMIC_ACQUIRE);
}

int scsi_lun_open(struct scsi_lun *lun, struct loop *loop)
{
	struct scsi_member *m = scsi_member_of(lun->domain, loop);
	int err = 0;

	own_assert(!lun->chan[m->index]);
	lun->chan[m->index] = vol_chan_open(lun->vol, loop, &err);
	return lun->chan[m->index] ? 0 : err;
}

void scsi_lun_close(struct scsi_lun *lun, struct loop *loop)
{
	struct scsi_member *m = scsi_member_of(lun->domain, loop);
	struct vol_chan *chan = own_take(lun->chan[m->index]);

	if (chan)
		vol_chan_close(chan);
}

struct vol_chan *scsi_lun_chan(const struct scsi_lun *lun, struct loop *loop)
{
	return lun->chan[scsi_member_of(lun->domain, loop)->index];
}

struct vol *scsi_lun_vol(const struct scsi_lun *lun)
{
	return lun->vol;
}

/* ---- targets and their maps ---- */

struct scsi_target *scsi_target_new(
	struct scsi_domain *domain, const char *iqn, uint16_t tpgt, uint16_t rel_port)
{
	struct scsi_target *target = own_calloc(1, sizeof *target);

	target->domain = domain;
	target->iqn = own_strdup(iqn);
	target->port_name = own_printf("%s,t,0x%04x", iqn, tpgt); /* RFC 7143 4.2.7.1 */
	target->tpgt = tpgt;
	target->rel_port = rel_port;
	target->map = own_calloc(1, sizeof *target->map);
	target->map->refs = 1;
	scsi_domain_lock(domain);
	list_push(&domain->targets, &target->node);
	scsi_domain_unlock(domain);
	return target;
}

void scsi_target_hide(struct scsi_target *target)
{
	scsi_domain_lock(target->domain);
	list_del(&target->node);
	scsi_domain_unlock(target->domain);
}

void scsi_target_free(struct scsi_target *target)
{
	if (!target)
		return;
	own_assert(!scsi_target_users(target));
	scsi_target_hide(target);
	scsi_map_put(target->map);
	free(target->port_name);
	free(target->iqn);
	free(target);
}

struct scsi_target *scsi_target_get(struct scsi_target *target)
{
	__atomic_add_fetch(&target->users, 1, __ATOMIC_RELAXED);
	return target;
}

void scsi_target_put(struct scsi_target *target)
{
	own_assert(__atomic_fetch_sub(&target->users, 1, __ATOMIC_RELEASE));
}

unsigned scsi_target_users(const struct scsi_target *target)
{
	return __atomic_load_n(&target->users, __ATOMIC_ACQUIRE);
}

const char *scsi_target_iqn(const struct scsi_target *target)
{
	return target->iqn;
}

static void map_index(struct scsi_map *map)
{
	memset(map->slot, 0, sizeof map->slot);
	for (unsigned i = 0; i < map->count && map->entry[i].number < 256; i++)
		map->slot[map->entry[i].number] = (uint16_t)(i + 1);
}

bool scsi_entry_readonly(const struct scsi_map_entry *entry)
{
	return entry->readonly || entry->lun->info.readonly;
}

int scsi_map_add(struct scsi_map *map, uint16_t number, struct scsi_lun *lun, bool readonly)
{
	unsigned at = 0;

	if (number > SCSI_LUN_NUMBER_MAX)
		return -EINVAL;
	if (scsi_map_place(map, number) >= 0)
		return -EEXIST;
	if (map->count == SCSI_LUNS_MAX)
		return -ENOSPC;
	while (at < map->count && map->entry[at].number < number)
		at++;
	memmove(&map->entry[at + 1], &map->entry[at], (map->count - at) * sizeof *map->entry);
	map->entry[at] = (struct scsi_map_entry){ number, readonly, lun };
	map->count++;
	map_index(map);
	return 0;
}

int scsi_map_remove(struct scsi_map *map, uint16_t number)
{
	int at = scsi_map_place(map, number);

	if (at < 0)
		return -ENOENT;
	map->count--;
	memmove(&map->entry[at], &map->entry[at + 1],
		(map->count - (unsigned)at) * sizeof *map->entry);
	map_index(map);
	return 0;
}

int scsi_target_map(
	struct scsi_target *target, uint16_t number, struct scsi_lun *lun, bool readonly)
{
	return scsi_map_add(target->map, number, lun, readonly);
}

void scsi_map_get(const struct scsi_map *map)
{
	__atomic_add_fetch(&((struct scsi_map *)map)->refs, 1, __ATOMIC_RELAXED);
}

void scsi_map_put(const struct scsi_map *map)
{
	if (__atomic_sub_fetch(&((struct scsi_map *)map)->refs, 1, __ATOMIC_ACQ_REL) == 0)
		free((struct scsi_map *)map);
}

int scsi_map_place(const struct scsi_map *map, uint16_t number)
{
	unsigned low = 0, high = map->count;

	if (number < 256)
		return map->slot[number] - 1;
	while (low < high) {
		unsigned mid = (low + high) / 2;

		if (map->entry[mid].number == number)
			return (int)mid;
		if (map->entry[mid].number < number)
			low = mid + 1;
		else
			high = mid;
	}
	return -1;
}

bool scsi_map_has(const struct scsi_map *map, const struct scsi_lun *lun)
{
	for (unsigned i = 0; i < map->count; i++)
		if (map->entry[i].lun == lun)
			return true;
	return false;
}
