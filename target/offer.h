/* SPDX-License-Identifier: Apache-2.0 */
/*
 * offer.h: who may see what: the configuration's targets, initiators and secrets as the iSCSI room
 * takes them.
 */
#ifndef KURA_TARGET_OFFER_H
#define KURA_TARGET_OFFER_H

#include "config/config.h"
#include "target/iscsi/iscsi.h"
#include "target/storage.h"

/* Fills in an empty catalogue: every target of `cfg` for whom it lists. Of the ports in `storage`
 * (borrowed as long as the catalogue is used) those that are not there yet stay out. */
void offer_all(struct iscsi_catalogue *cat, const struct config *cfg, struct storage *storage);

/* Limits and times, as the iSCSI room takes them. */
struct iscsi_opts offer_opts(const struct config *cfg);

#endif
