/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TransportIDs of iSCSI initiator ports (SPC-4 7.6.4.6), as PERSISTENT RESERVE IN tells them and
 * PERSISTENT RESERVE OUT brings them.
 */
#include "target/scsi/reservation.h"

#include <ctype.h>
#include <string.h>

#define TRANSPORT_NODE 0x05 /* FORMAT CODE 00b, PROTOCOL IDENTIFIER 5h: the name of a node */
#define TRANSPORT_PORT 0x45 /* 01b: of a port, with its ISID */
#define TRANSPORT_MIN  20u  /* ADDITIONAL LENGTH at least */

static const char isid_mark[] = ",i,0x";

void res_transport_put(struct span_writer *w, const char *initiator)
{
	size_t len = strlen(initiator) + 1, padded = (len + 3) & ~(size_t)3;

	if (padded < TRANSPORT_MIN)
		padded = TRANSPORT_MIN;
	span_put8(w, strstr(initiator, isid_mark) ? TRANSPORT_PORT : TRANSPORT_NODE);
	span_put8(w, 0);
	span_put16(w, (uint16_t)padded);
	span_put(w, initiator, len);
	span_fill(w, 0, padded - len);
}

/* Twelve hexadecimal digits, or fewer (RFC 7143 4.2.7.1); gives them all of their leading zeroes.
 */
static bool isid_whole(char *isid, size_t room)
{
	size_t digits = strspn(isid, "0123456789abcdef");

	if (!digits || digits > 12 || isid[digits] || room < 13)
		return false;
	memmove(isid + 12 - digits, isid, digits + 1);
	memset(isid, '0', 12 - digits);
	return true;
}

static bool name_fits(char *name, bool port)
{
	char *isid = strstr(name, isid_mark);

	for (const unsigned char *c = (const unsigned char *)name; *c; c++)
		if (*c <= ' ' || *c == 0x7f) /* RFC 7143 4.2.7.2 */
			return false;
	if (!port)
		return *name && !isid;
	if (!isid || isid == name)
		return false;
	isid += sizeof isid_mark - 1;
	return isid_whole(isid, SCSI_INITIATOR_MAX - (size_t)(isid - name));
}

bool res_transport_take(struct span_reader *r, char name[SCSI_INITIATOR_MAX], bool *port)
{
	uint8_t kind = span_take8(r);
	const uint8_t *text;
	uint16_t len;
	size_t used;

	span_take8(r);
	len = span_take16(r);
	text = span_take(r, len);
	*port = kind == TRANSPORT_PORT;
	if (!text || (kind != TRANSPORT_PORT && kind != TRANSPORT_NODE))
		return false;
	used = strnlen((const char *)text, len); /* SPC-4 7.6.4.6: up to the first null */
	if (len < TRANSPORT_MIN || len % 4 || used == len || used >= SCSI_INITIATOR_MAX)
		return false;
	memset(name, 0, SCSI_INITIATOR_MAX);
	for (size_t i = 0; i < used; i++)
		name[i] = (char)tolower(text[i]);
	return name_fits(name, *port);
}
