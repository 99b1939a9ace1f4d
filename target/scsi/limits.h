/* SPDX-License-Identifier: Apache-2.0 */
/*
 * limits.h: the limits that VPD page B0 tells and that commands hold initiators to.
 */
#ifndef KURA_TARGET_SCSI_LIMITS_H
#define KURA_TARGET_SCSI_LIMITS_H

#define LIMIT_UNMAP_DESCRIPTORS 256u       /* MAXIMUM UNMAP BLOCK DESCRIPTOR COUNT */
#define LIMIT_UNMAP_BLOCKS      (1u << 20) /* MAXIMUM UNMAP LBA COUNT, of all descriptors */
#define LIMIT_SAME_BLOCKS       0xffffu /* MAXIMUM WRITE SAME LENGTH: what the CDB of ten can say */
#define LIMIT_COMPARE_BLOCKS    128u    /* MAXIMUM COMPARE AND WRITE LENGTH */
#define LIMIT_PREFETCH          (8u << 20) /* bytes that PRE-FETCH reads */
#define LIMIT_TASK_SET          1024u      /* commands of one nexus in a unit's task set */
#define LIMIT_OPTIMAL_TRANSFER  (1u << 20) /* OPTIMAL TRANSFER LENGTH, bytes */

#endif
