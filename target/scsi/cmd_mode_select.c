/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MODE SELECT: the whole list is checked, then the bits change at once, are saved before GOOD when
 * SP asks for that, and are told to every other nexus.
 *
 * What can fail: the list (26/00 with a pointer to the field), and the record that outlives a
 * restart; then nothing is changed.
 */
#include "target/scsi/command.h"
#include "target/scsi/mode.h"
#include "target/scsi/record.h"
#include "target/scsi/tell.h"

#include "common/own.h"

#include <string.h>

#define SELECT_PF  0x10 /* byte 1 of the CDB, SPC-4 6.11 */
#define SELECT_SP  0x01
#define SELECT_MAX 1024u /* several times all pages */

/* A parameter list that is being read. */
struct select_list {
	struct scsi_task *task;
	uint8_t bytes[SELECT_MAX];
	uint32_t len, at;
	uint32_t bits, mask; /* found so far: these bits of these get a new value */
};

/* A change that is on its way to the record. */
struct select_save {
	struct loop_io lio;
	struct scsi_task *task;
	uint32_t bits, mask;
	uint32_t before; /* what was in force */
};

/* ---- in force ---- */

static void select_flushed(struct scsi_task *task)
{
	scsi_task_good(task);
}

/* Everybody knows. SBC-3 6.5.5: without WCE nothing may be left in the cache. */
static void select_told(struct scsi_task *task)
{
	bool off = (task->step[0] & ~task->step[1]) & MODE_WCE;

	if (!off) {
		scsi_task_good(task);
		return;
	}
	scsi_task_io(task, VOL_FLUSH, 0, 0);
	scsi_task_io_go(task, select_flushed);
}

/* SPC-4 6.11: MODE PARAMETERS CHANGED for all nexuses but the one that changed them. */
static void select_over(struct scsi_task *task, uint32_t before, uint32_t now)
{
	task->step[0] = before;
	task->step[1] = now;
	if (before == now)
		scsi_task_good(task);
	else
		scsi_tell_others(task, UA_MODE_CHANGED, select_told);
}

static int save_run(struct loop_io *lio)
{
	struct select_save *s = container_of(lio, struct select_save, lio);

	return scsi_record_modes(s->task->lun, s->bits, s->mask, &s->before);
}

static void save_done(struct loop_io *lio, int res)
{
	struct select_save *s = container_of(lio, struct select_save, lio);
	struct scsi_task *task = s->task;
	uint32_t before = s->before, now = (before & ~s->mask) | s->bits;

	free(s);
	if (!res) {
		select_over(task, before, now);
		return;
	}
	log_error("scsi: mode parameters cannot be saved", "path=%s error=\"%s\"",
		task->lun->record, strerror(-res));
	scsi_task_fail(task, SENSE_INTERNAL_FAILURE);
}

static void select_save(const struct select_list *list)
{
	struct select_save *s = calloc(1, sizeof *s);

	if (!s) {
		scsi_task_busy(list->task);
		return;
	}
	s->task = list->task;
	s->bits = list->bits;
	s->mask = list->mask;
	loop_io_call(list->task->nexus->loop, &s->lio, NULL, save_run, save_done);
}

static void select_change(const struct select_list *list)
{
	uint32_t *modes = &list->task->lun->modes;
	uint32_t old = __atomic_load_n(modes, __ATOMIC_RELAXED);
	uint32_t now;

	do {
		now = (old & ~list->mask) | list->bits;
	} while (!__atomic_compare_exchange_n(
		modes, &old, now, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
	select_over(list->task, old, now);
}

/* ---- the list ---- */

static bool list_wrong(struct select_list *list, uint32_t byte, int bit)
{
	scsi_task_fail_list(list->task, byte, bit);
	return false;
}

static bool list_short(struct select_list *list)
{
	scsi_task_fail(list->task, SENSE_PARAMETER_LIST_LENGTH); /* SPC-4 6.11: it is cut off */
	return false;
}

/* The one byte in which two pages differ first, PS left out. */
static unsigned first_difference(const uint8_t *a, const uint8_t *b, unsigned len)
{
	for (unsigned i = 0; i < len; i++)
		if ((a[i] ^ b[i]) & (i ? 0xff : 0x7f))
			return i;
	return len;
}

/* What the page wants; false: it would change what cannot be changed. */
static bool read_page(struct select_list *list, const struct mode_page *row)
{
	const struct scsi_lun *lun = list->task->lun;
	const uint8_t *given = list->bytes + list->at;
	uint8_t zero[MODE_PAGE_MAX], one[MODE_PAGE_MAX];
	uint32_t mask = mode_page_bits(row, lun), bits = 0;
	uint32_t fixed = __atomic_load_n(&lun->modes, __ATOMIC_RELAXED) & ~mask;
	unsigned wrong;

	mode_page_build(row, lun, fixed, zero);
	for (uint32_t bit = 1; bit && bit <= mask; bit <<= 1) {
		unsigned at;

		if (!(mask & bit))
			continue;
		mode_page_build(row, lun, fixed | bit, one);
		at = first_difference(zero, one, row->len);
		if ((given[at] ^ zero[at]) & (zero[at] ^ one[at]))
			bits |= bit;
	}
	mode_page_build(row, lun, fixed | bits, one);
	wrong = first_difference(given, one, row->len);
	if (wrong < row->len) /* SPC-4 6.11: not changeable */
		return list_wrong(list, list->at + wrong,
			31 - __builtin_clz((unsigned)(given[wrong] ^ one[wrong])));
	list->bits = (list->bits & ~mask) | bits;
	list->mask |= mask;
	return true;
}

static const struct mode_page *find_page(const struct select_list *list)
{
	const uint8_t *p = list->bytes + list->at;
	unsigned count;
	const struct mode_page *rows = mode_page_table(&count);

	for (unsigned i = 0; i < count; i++) {
		bool sub = p[0] & 0x40; /* SPF */

		if (rows[i].page == (p[0] & 0x3f) && rows[i].subpage == (sub ? p[1] : 0) &&
			sub == (rows[i].subpage != 0))
			return &rows[i];
	}
	return NULL;
}

static bool read_pages(struct select_list *list)
{
	while (list->at < list->len) {
		const struct mode_page *row;
		const uint8_t *p = list->bytes + list->at;
		uint32_t left = list->len - list->at;

		if (left < 2 || ((p[0] & 0x40) && left < 4))
			return list_short(list);
		row = find_page(list);
		if (!row)
			return list_wrong(list, list->at, 5);
		if (row->subpage ? be16_load(p + 2) != row->len - 4u : p[1] != row->len - 2u)
			return list_wrong(list, list->at + (row->subpage ? 2 : 1), 7);
		if (left < row->len)
			return list_short(list);
		if (!read_page(list, row))
			return false;
		list->at += row->len;
	}
	return true;
}

/* SBC-3 6.5.2: the descriptor may say what is so already, or nothing. */
static bool read_descriptor(struct select_list *list, unsigned len)
{
	const struct scsi_lun *lun = list->task->lun;
	const uint8_t *p = list->bytes + list->at;
	uint64_t blocks = len == 16 ? be64_load(p) : be32_load(p);
	uint32_t size = len == 16 ? be32_load(p + 12) : be32_load(p + 4) & 0xffffff;
	uint64_t most = len == 16 ? UINT64_MAX : UINT32_MAX;

	if (blocks && blocks != most && blocks != scsi_task_capacity(list->task))
		return list_wrong(list, list->at, 7);
	if (size != lun->block_size)
		return list_wrong(list, list->at + (len == 16 ? 12 : 5), 7);
	list->at += len;
	return true;
}

/* SPC-4 7.5.5: MODE DATA LENGTH is reserved, WP and DPOFUA are not looked at. */
static bool read_header(struct select_list *list)
{
	bool ten = list->task->cmd->len == 10;
	const uint8_t *p = list->bytes;
	unsigned header = ten ? 8 : 4, len;

	if (list->len < header)
		return list_short(list);
	if (p[ten ? 2 : 1]) /* MEDIUM TYPE, SBC-3 6.5.1 */
		return list_wrong(list, ten ? 2 : 1, 7);
	len = ten ? be16_load(p + 6) : p[3];
	if (len && len != (ten && (p[4] & 0x01) ? 16u : 8u))
		return list_wrong(list, ten ? 6 : 3, 7);
	list->at = header;
	if (list->len < header + len)
		return list_short(list);
	return !len || read_descriptor(list, len);
}

static void select_list(struct scsi_task *task)
{
	struct select_list list = { .task = task, .len = task->out_len };
	bool there = scsi_task_copy_out(task, 0, list.bytes, task->out_len);

	own_assert(there);
	if (!read_header(&list) || !read_pages(&list))
		return;
	if (task->cdb[1] & SELECT_SP)
		select_save(&list);
	else
		select_change(&list);
}

/* SPC-4 6.11 and 6.12 */
void scsi_cmd_mode_select(struct scsi_task *task)
{
	uint32_t len = task->cmd->len == 10 ? be16_load(task->cdb + 7) : task->cdb[4];

	task->want_out = len;
	if (!(task->cdb[1] & SELECT_PF)) {
		scsi_task_fail_field(task, 1, 4);
		return;
	}
	if ((task->cdb[1] & SELECT_SP) && !mode_can_save(task->lun)) {
		scsi_task_fail_field(task, 1, 0);
		return;
	}
	if (len == 0) { /* SPC-4 6.11: not an error */
		scsi_task_good(task);
		return;
	}
	if (len > SELECT_MAX || len > task->out_room)
		scsi_task_fail(task, SENSE_PARAMETER_LIST_LENGTH);
	else
		scsi_task_want(task, len, select_list);
}
