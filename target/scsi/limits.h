/* SPDX-License-Identifier: Apache-2.0 */
/*
 * limits.h: the limits that VPD page B0 tells and that commands hold initiators to.
 */
#ifndef KURA_TARGET_SCSI_LIMITS_H
#define KURA_TARGET_SCSI_LIMITS_H

#include "target/scsi/unit.h"

#define LIMIT_UNMAP_DESCRIPTORS 256u         /* MAXIMUM UNMAP BLOCK DESCRIPTOR COUNT */
#define LIMIT_ZERO_BYTES        (4ull << 30) /* one UNMAP or WRITE SAME, all together */
#define LIMIT_OPTIMAL_TRANSFER  (1u << 20)   /* OPTIMAL TRANSFER LENGTH, bytes */

/* MAXIMUM UNMAP LBA COUNT and MAXIMUM WRITE SAME LENGTH of a unit, SBC-3 6.6.4. */
static inline uint32_t limit_zero_blocks(const struct scsi_lun *lun)
{
	return (uint32_t)(LIMIT_ZERO_BYTES >> lun->block_shift);
}

#endif
