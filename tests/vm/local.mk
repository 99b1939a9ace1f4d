# SPDX-License-Identifier: Apache-2.0
# Run by `./dev vm`; it needs a kurad, QEMU and Debian's cloud kernel.
EXTRA_DIST += \
	tests/vm/guest-init.sh \
	tests/vm/initrd.py \
	tests/vm/run.sh \
	tests/vm/vm.py
