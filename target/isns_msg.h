/* SPDX-License-Identifier: Apache-2.0 */
/*
 * isns_msg.h: the three messages of iSNSP (RFC 4171) that a target needs, built, and their answers
 * read: register, query, deregister.
 *
 * Pure functions over bytes. A registration is cut into messages of a size that every server takes
 * and can answer in one: open-iSNS has 8 KiB for an answer, which repeats what it was told.
 */
#ifndef KURA_TARGET_ISNS_MSG_H
#define KURA_TARGET_ISNS_MSG_H

#include "target/isns_list.h"

#include <stddef.h>

#define ISNS_MSG_MAX    4096 /* bytes of a message of ours, with its header */
#define ISNS_HEAD_BYTES 12

/* RFC 4171 4.1.3; an answer has the top bit set */
enum isns_function {
	ISNS_DEV_ATTR_REG = 0x0001,
	ISNS_DEV_ATTR_QRY = 0x0002,
	ISNS_DEV_DEREG = 0x0004,
	ISNS_ANSWER = 0x8000,
};

/* Who speaks, about whom. */
struct isns_who {
	const char *source; /* iSCSI name of a registered target, borrowed */
	const char *entity; /* borrowed */
};

/* The header of a PDU that came in. */
struct isns_head {
	uint16_t function;
	uint16_t length; /* of what follows */
	uint16_t transaction;
	uint16_t sequence; /* 0.. within a message */
	bool last;         /* PDU of its message */
};

/* What the server said. */
struct isns_reply {
	uint32_t status;         /* RFC 4171 5.4; 0: done */
	bool found;              /* it named an entity */
	uint32_t period_seconds; /* after which it forgets one that is silent; 0: not said */
};

/* How many objects a registration of `list` names. */
unsigned isns_msg_objects(const struct isns_list *list);

/*
 * Builds one message of the registration of `list` in `out` (ISNS_MSG_MAX): from object *next on,
 * as many as go in, *next is then the first that did not. The first message (*next 0) takes the
 * place of everything that the server had of this entity, and says for how long it may be silent.
 * The bytes. All is borrowed; any thread.
 */
size_t isns_msg_register(uint8_t *out, const struct isns_list *list, const char *source,
	uint32_t period_seconds, uint16_t transaction, unsigned *next);

/* Builds the question whether the server knows the entity; as above. */
size_t isns_msg_query(uint8_t *out, const struct isns_who *who, uint16_t transaction);

/* Builds the deregistration of the entity with all that it has; as above. */
size_t isns_msg_deregister(uint8_t *out, const struct isns_who *who, uint16_t transaction);

/* Reads the header of a PDU; 0, or -EPROTO: it is none of iSNSP. Any thread. */
int isns_msg_head(const uint8_t raw[ISNS_HEAD_BYTES], struct isns_head *head);

/* Reads the payload of a whole answer; 0, or -EPROTO: it cannot be read. Any thread. */
int isns_msg_answer(const void *payload, size_t len, struct isns_reply *reply);

/* A status in words; static. */
const char *isns_msg_status(uint32_t status);

#endif
