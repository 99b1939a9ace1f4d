#!/bin/busybox sh
# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# The only process of the test machine. Phase 1 makes a filesystem on every disk and fills it,
# phase 2 checks what phase 1 left. Lines that begin with KURA are for the test outside.
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
mkdir -p /mnt /run
while read -r module; do
	insmod "/modules/$module" || echo "KURA FAIL insmod $module"
done </modules/order
phase=$(sed -n 's/.*kura_phase=\([0-9]\).*/\1/p' /proc/cmdline)

fail() {
	echo "KURA FAIL phase $phase $*"
	poweroff -f
}

fill() { # how many files, largest KiB
	i=0
	while [ $i -lt "$1" ]; do
		dd if=/dev/urandom of=/mnt/file$i bs=1k count=$((1 + i * $2 / $1)) 2>/dev/null ||
			return 1
		i=$((i + 1))
	done
}

phase1() { # disk
	mkfs.ext4 -q -F "$1" || fail "mkfs $1"
	mount -t ext4 -o discard "$1" /mnt || fail "mount $1"
	fill 40 1024 || fail "write on $1"
	(cd /mnt && sha256sum file* >SUMS) || fail "sums on $1"
	sync
	mkdir /mnt/gone
	dd if=/dev/zero of=/mnt/gone/zeros bs=1M count=16 2>/dev/null || fail "zeros on $1"
	sync
	rm -r /mnt/gone
	sync
	fstrim /mnt || fail "fstrim $1"
	echo 3 >/proc/sys/vm/drop_caches
	(cd /mnt && sha256sum -c -s SUMS) || fail "read back on $1"
	umount /mnt || fail "umount $1"
}

phase2() { # disk
	mount -t ext4 "$1" /mnt || fail "mount $1"
	(cd /mnt && sha256sum -c -s SUMS) || fail "files of phase 1 on $1"
	[ "$(find /mnt -name 'file*' | wc -l)" = 40 ] || fail "number of files on $1"
	mv /mnt/file7 /mnt/moved || fail "rename on $1"
	sync
	umount /mnt || fail "umount $1"
}

for disk in vda sda; do
	wait=0
	while [ ! -b /dev/$disk ] && [ $wait -lt 50 ]; do
		usleep 100000
		wait=$((wait + 1))
	done
	[ -b /dev/$disk ] || fail "no disk $disk"
	echo "KURA DISK $disk sectors=$(cat /sys/block/$disk/size)" \
		"physical=$(cat /sys/block/$disk/queue/physical_block_size)" \
		"discard=$(cat /sys/block/$disk/queue/discard_max_bytes)" \
		"cache=$(cat /sys/block/$disk/queue/write_cache)" \
		"fua=$(cat /sys/block/$disk/queue/fua)"
	"phase$phase" "/dev/$disk"
done
echo "KURA DONE phase $phase"
poweroff -f
