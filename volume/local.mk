# SPDX-License-Identifier: Apache-2.0
noinst_LIBRARIES += volume/libvolume.a
volume_libvolume_a_SOURCES = volume/volume.h volume/vol_store.h volume/vol_guts.h \
	volume/stores.def volume/layers.def volume/volume.c volume/counts.h volume/counts.c volume/vol_open.c volume/vol_emulate.c \
	volume/store_fd.h volume/store_fd.c volume/store_file.c volume/store_block.c \
	volume/store_mem.c volume/store_null.c volume/options.h volume/options.c \
	volume/layer_error.c volume/layer_delay.c volume/layer_stats.h volume/layer_stats.c volume/layer_limit.h volume/layer_limit.c volume/trouble.h volume/trouble.c volume/holder.h volume/holder.c \
	volume/crypt_key.h volume/crypt_key.c volume/layer_crypt.c \
	volume/meta.h volume/meta.c volume/meta_record.h volume/meta_record.c volume/pool.h volume/pools.def volume/pool_kind.h volume/pool_claim.h volume/pool_claim.c volume/pool.c \
	volume/pool_verbs.c volume/pool_copy.c volume/pool_dir_fs.h volume/pool_dir_fs.c volume/pool_dir.c volume/pool_block.c volume/pool_watch.c volume/pool_policy.h volume/pool_policy.c volume/pool_host.c volume/pool_dm.h volume/pool_dm.c \
	volume/pool_lvm.h volume/pool_lvm_run.c volume/pool_lvm_kept.c volume/pool_lvm.c
