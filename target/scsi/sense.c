/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sense data in its two formats. Nothing here fails; what does not fit the fixed format is left
 * out with VALID 0, as the standard wants.
 */
#include "target/scsi/sense.h"

#include "common/be.h"

#define SENSE_THIRD_MAX 28 /* bytes of sense data that are handed on */

static const struct {
	uint8_t key, asc, ascq;
} sense_rows[] = {
#define SENSE(name, key, asc, ascq) { SENSE_KEY_##key, asc, ascq },
#include "target/scsi/sense.def"
#undef SENSE
};

struct scsi_cause sense_cause(enum scsi_sense sense)
{
	return (struct scsi_cause){
		.key = sense_rows[sense].key,
		.asc = sense_rows[sense].asc,
		.ascq = sense_rows[sense].ascq,
	};
}

struct scsi_cause sense_attention(uint16_t code)
{
	return (struct scsi_cause){
		.key = SENSE_KEY_UNIT_ATTENTION,
		.asc = (uint8_t)(code >> 8),
		.ascq = (uint8_t)code,
	};
}

/* SPC-4 4.5.2.4.2: SKSV, C/D, BPV and the pointers. */
static void build_pointer(uint8_t *p, const struct scsi_cause *cause)
{
	p[0] = 0x80;
	be16_store(p + 1, cause->byte);
	if (cause->pointer == POINTER_PROGRESS) /* SPC-4 4.5.2.4.4 */
		return;
	if (cause->pointer == POINTER_CDB)
		p[0] |= 0x40;
	if (cause->bit >= 0)
		p[0] |= (uint8_t)(0x08 | cause->bit);
}

/* SPC-4 5.17.7.4: COMMAND-SPECIFIC INFORMATION has the place of what the copy source and the copy
 * destination said (status and sense data), and the number of the segment. */
static uint8_t build_fixed_copy(uint8_t *dst, const struct scsi_cause *cause)
{
	if (cause->segment_valid)
		be16_store(dst + 10, cause->segment);
	if (cause->in_segment)
		dst[15] |= 0x20; /* SPC-4 4.5.2.4.5: SD */
	if (!cause->third_valid || cause->third_len > SENSE_THIRD_MAX)
		return 18;
	dst[cause->third_dest ? 9 : 8] = 18;
	dst[18] = cause->third_status;
	memcpy(dst + 19, cause->third, cause->third_len);
	dst[7] = (uint8_t)(19 + cause->third_len - 8);
	return (uint8_t)(19 + cause->third_len);
}

/* SPC-4 4.5.2.3: COMMAND-SPECIFIC INFORMATION; SPC-4 4.5.2.7: forwarded sense data. */
static uint8_t *build_descriptor_copy(uint8_t *p, const struct scsi_cause *cause)
{
	if (cause->segment_valid) {
		p[0] = 0x01;
		p[1] = 0x0a;
		be16_store(p + 6, cause->segment);
		p += 12;
	}
	if (!cause->third_valid || cause->third_len > SENSE_THIRD_MAX)
		return p;
	p[0] = 0x0c;
	p[1] = (uint8_t)(2 + cause->third_len);
	p[2] = cause->third_dest ? 0x02 : 0x01;
	p[3] = cause->third_status;
	memcpy(p + 4, cause->third, cause->third_len);
	return p + 4 + cause->third_len;
}

/* SPC-4 4.5.3 */
static uint8_t build_fixed(uint8_t *dst, const struct scsi_cause *cause)
{
	memset(dst, 0, 18);
	dst[0] = 0x70; /* current, fixed */
	dst[2] = cause->key;
	/* SPC-4 4.5.3: what needs more than four bytes is not told */
	if (cause->info_valid && cause->info <= UINT32_MAX) {
		dst[0] |= 0x80;
		be32_store(dst + 3, (uint32_t)cause->info);
	}
	dst[7] = 18 - 8;
	dst[12] = cause->asc;
	dst[13] = cause->ascq;
	if (cause->pointer != POINTER_NONE)
		build_pointer(dst + 15, cause);
	return build_fixed_copy(dst, cause);
}

/* SPC-4 4.5.2 */
static uint8_t build_descriptor(uint8_t *dst, const struct scsi_cause *cause)
{
	uint8_t *p = dst + 8;

	memset(dst, 0, 64);
	dst[0] = 0x72; /* current, descriptor */
	dst[1] = cause->key;
	dst[2] = cause->asc;
	dst[3] = cause->ascq;
	if (cause->info_valid) { /* SPC-4 4.5.2.2 */
		p[0] = 0x00;
		p[1] = 0x0a;
		p[2] = 0x80;
		be64_store(p + 4, cause->info);
		p += 12;
	}
	if (cause->pointer != POINTER_NONE) { /* SPC-4 4.5.2.4 */
		p[0] = 0x02;
		p[1] = 0x06;
		build_pointer(p + 4, cause);
		if (cause->in_segment)
			p[4] |= 0x20; /* SPC-4 4.5.2.4.5: SD */
		p += 8;
	}
	p = build_descriptor_copy(p, cause);
	dst[7] = (uint8_t)(p - dst - 8);
	return (uint8_t)(p - dst);
}

uint8_t sense_build(uint8_t *dst, bool descriptor, const struct scsi_cause *cause)
{
	return descriptor ? build_descriptor(dst, cause) : build_fixed(dst, cause);
}
