/* SPDX-License-Identifier: Apache-2.0 */
/*
 * States of a reservation: copies, registrants, kept unit attentions, and what a nexus must pass.
 * Memory that is not there is told to the caller, because a peer's wish is behind it.
 */
#include "target/scsi/reservation.h"

#include "common/own.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- names ---- */

void res_nexus_name(struct res_nexus *name, const struct scsi_nexus *nexus)
{
	memset(name, 0, sizeof *name);
	snprintf(name->initiator, sizeof name->initiator, "%s", nexus->initiator);
	snprintf(name->target, sizeof name->target, "%s", nexus->target->port_name);
	for (char *c = name->initiator; *c; c++) /* RFC 7143 4.2.7.1: names are in lower case */
		*c = (char)tolower((unsigned char)*c);
	name->rel_port = nexus->target->rel_port;
}

bool res_nexus_same(const struct res_nexus *a, const struct res_nexus *b)
{
	return !strcmp(a->initiator, b->initiator) && !strcmp(a->target, b->target);
}

/* ---- memory ---- */

static struct res_state *state_room(unsigned registrants)
{
	struct res_state *s = calloc(1, sizeof *s);

	if (!s)
		return NULL;
	s->reg = calloc(registrants + 1, sizeof *s->reg);
	s->note = calloc(RES_NOTES_MAX, sizeof(struct res_note *));
	if (s->reg && s->note)
		return s;
	res_state_free(s, NULL);
	return NULL;
}

struct res_state *res_state_new(void)
{
	return state_room(0);
}

struct res_state *res_state_copy(const struct res_state *old, unsigned more)
{
	struct res_state *s = state_room(old->count + more);

	if (!s)
		return NULL;
	s->generation = old->generation;
	s->aptpl = old->aptpl;
	s->lost = old->lost;
	s->type = old->type;
	s->spc2 = old->spc2;
	s->spc2_who = old->spc2_who;
	s->count = old->count;
	for (unsigned i = 0; i < old->count; i++)
		s->reg[i] = old->reg[i];
	for (unsigned i = 0; i < old->note_count; i++)
		if (!__atomic_load_n(&old->note[i]->given, __ATOMIC_ACQUIRE))
			s->note[s->note_count++] = old->note[i];
	return s;
}

static bool state_has_note(const struct res_state *s, const struct res_note *note)
{
	for (unsigned i = 0; s && i < s->note_count; i++)
		if (s->note[i] == note)
			return true;
	return false;
}

void res_state_free(struct res_state *dead, const struct res_state *alive)
{
	if (!dead)
		return;
	for (unsigned i = 0; i < dead->note_count; i++)
		if (!state_has_note(alive, dead->note[i]))
			free(dead->note[i]);
	free(dead->note);
	free(dead->reg);
	free(dead);
}

/* ---- registrants ---- */

struct res_registrant *res_state_add(struct res_state *s, const struct res_nexus *who, uint64_t key)
{
	struct res_registrant *reg = &s->reg[s->count++];

	*reg = (struct res_registrant){ .who = *who, .key = key };
	return reg;
}

void res_state_remove(struct res_state *s, struct res_registrant *reg)
{
	size_t at = (size_t)(reg - s->reg);

	own_assert(at < s->count);
	s->count--;
	memmove(reg, reg + 1, (s->count - at) * sizeof *reg);
}

struct res_registrant *res_state_find(const struct res_state *s, const struct res_nexus *who)
{
	for (unsigned i = 0; i < s->count; i++)
		if (res_nexus_same(&s->reg[i].who, who))
			return &s->reg[i];
	return NULL;
}

bool res_state_holds(const struct res_state *s, const struct res_registrant *reg)
{
	return s->type && (res_type_all(s->type) || reg->holds); /* SPC-4 5.13.10 */
}

/* ---- notes ---- */

/* Takes the oldest out; whoever had it before still has. */
static void drop_oldest(struct res_state *s)
{
	s->note_count--;
	memmove(&s->note[0], &s->note[1], s->note_count * sizeof(struct res_note *));
}

bool res_state_note(struct res_state *s, const struct res_nexus *who, uint16_t code)
{
	struct res_note *note;

	for (unsigned i = 0; i < s->note_count; i++)
		if (s->note[i]->code == code && res_nexus_same(&s->note[i]->who, who))
			return true;
	note = calloc(1, sizeof *note);
	if (!note)
		return false;
	note->who = *who;
	note->code = code;
	if (s->note_count == RES_NOTES_MAX)
		drop_oldest(s);
	s->note[s->note_count++] = note;
	return true;
}

/* ---- what a nexus must pass ---- */

bool res_type_valid(uint8_t type)
{
	return type < 16 && ((1u << type) & 0x1ea); /* SPC-4 6.15.3.4 */
}

static uint8_t type_needs(uint8_t type)
{
	switch (type) {
	case RES_WRITE_EXCLUSIVE:
	case RES_WRITE_EXCLUSIVE_RO:
	case RES_WRITE_EXCLUSIVE_AR:
		return PASS_WRITE_EXCLUSIVE;
	case RES_EXCLUSIVE_ACCESS:
	case RES_EXCLUSIVE_ACCESS_RO:
	case RES_EXCLUSIVE_ACCESS_AR:
		return PASS_EXCLUSIVE_ACCESS;
	default:
		return 0;
	}
}

/* SPC-4 table 65: the columns of it, for this nexus */
uint8_t res_state_needs(
	const struct res_state *s, const struct scsi_nexus *nexus, const struct res_nexus *name)
{
	const struct res_registrant *reg = s->type ? res_state_find(s, name) : NULL;
	bool free_of_it = reg && (reg->holds || res_type_registrants(s->type));
	uint8_t needs = free_of_it ? 0 : type_needs(s->type);

	if (s->spc2 && s->spc2 != nexus)
		needs |= PASS_SPC2;
	if (s->lost)
		needs |= PASS_LOST;
	return needs;
}
