#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A QEMU machine with filesystems on LUNs of kurad: see vm.py beside this file.
exec python3 -B "$(dirname "$0")/vm.py" "$@"
