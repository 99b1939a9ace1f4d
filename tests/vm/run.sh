#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# QEMU machines with filesystems on LUNs of kurad: with QEMU's own initiator (vm.py) and with
# Linux's (guest.py), what that negotiates and how it lives with two ways (paths.py), pools of
# volumes with LVM (pools.py), and targets that move here from the kernel's (lio.py). Names of parts
# run only these: run.sh guest
here=$(dirname "$0")
[ $# != 0 ] || set -- vm guest paths pools lio
status=0
for part in "$@"; do
	python3 -B "$here/$part.py" || status=1
done
exit $status
