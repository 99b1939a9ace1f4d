#!/bin/busybox sh
# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# The first process of a test machine with Linux's own initiator. It runs every line that comes
# over the virtio port as a command, and sends back what was said and the exit status.
export PATH=/bin:/sbin:/usr/bin:/usr/sbin
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
mount -t tmpfs tmp /tmp
mount -t tmpfs run /run
mkdir -p /run/lock/iscsi /var/lib/iscsi /mnt
while read -r module; do
	insmod "/modules/$module" || echo "KURA FAIL insmod $module"
done </modules/order
root=$(sed -n 's/.*kura_root=\([a-z/]*\).*/\1/p' /proc/cmdline)
if [ -n "$root" ]; then # a whole Debian goes on
	mount -t ext4 "$root" /mnt && exec switch_root /mnt /sbin/init
fi
hostname "$(sed -n 's/.*kura_name=\([a-z0-9]*\).*/\1/p' /proc/cmdline)"
echo "InitiatorName=iqn.2026-11.kura.test:$(hostname)" >/etc/iscsi/initiatorname.iscsi
ip link set lo up
ip addr add 10.0.2.15/24 dev eth0
ip link set eth0 up

wait=0
while [ ! -c "$(echo /dev/vport*p1)" ] && [ $wait -lt 50 ]; do
	usleep 100000
	wait=$((wait + 1))
done
exec 3<>"$(echo /dev/vport*p1)"
echo "KURA READY" >&3
while read -r line <&3; do
	status=0
	sh -c "$line" >/tmp/.said 2>&1 </dev/null 3>&- || status=$?
	cat /tmp/.said >&3
	printf '\nKURA STATUS %d\n' $status >&3
done
poweroff -f
