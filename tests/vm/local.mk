# SPDX-License-Identifier: Apache-2.0
# Run by `./dev vm`; it needs a kurad, QEMU and two of Debian's kernels, cloud and whole.
EXTRA_DIST += \
	tests/vm/changes.py \
	tests/vm/chap.py \
	tests/vm/cluster.py \
	tests/vm/debian.py \
	tests/vm/fence.py \
	tests/vm/forward.py \
	tests/vm/guest-init.sh \
	tests/vm/guest.py \
	tests/vm/initiator.py \
	tests/vm/initrd.py \
	tests/vm/linux-init.sh \
	tests/vm/linux.py \
	tests/vm/lio.py \
	tests/vm/machine.py \
	tests/vm/multipath.py \
	tests/vm/paths.py \
	tests/vm/pools.py \
	tests/vm/pools_bad.py \
	tests/vm/pools_story.py \
	tests/vm/pools_thin.py \
	tests/vm/run.sh \
	tests/vm/scsitools.py \
	tests/vm/sessions.py \
	tests/vm/systemd.py \
	tests/vm/vm.py
