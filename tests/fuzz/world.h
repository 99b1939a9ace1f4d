/* SPDX-License-Identifier: Apache-2.0 */
/*
 * world.h: a small target on a simulated loop for the harnesses: one volume in memory, one logical
 * unit, one target that everybody may use. It is made once and lives as long as the process.
 */
#ifndef KURA_TESTS_FUZZ_WORLD_H
#define KURA_TESTS_FUZZ_WORLD_H

#include "tests/fuzz/fuzz.h"

#include "target/iscsi/iscsi.h"
#include "target/loop/loop_sim.h"

#define WORLD_TARGET "iqn.2026-11.kura.test:fuzz"
#define WORLD_BYTES  (2u << 20)

struct world {
	struct loop *loop;
	struct scsi_domain *domain;
	struct vol *vol;
	struct scsi_lun *lun;
	struct scsi_target *target;
	struct iscsi_server *srv;
};

/* The world, made at the first call; borrowed. */
struct world *world_get(void);

#endif
