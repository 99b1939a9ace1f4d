#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The Debian package: it builds, lintian finds no error, it can be installed in a clean Debian by
# debootstrap, works there and in a machine that boots it, and leaves when it is purged. As root;
# prints TAP. With the word "cluster" two such machines form a Pacemaker cluster as well, which takes
# minutes and wants a machine that is not busy.
set -u
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d -t kura-package-test.XXXXXXXX)
root=$work/root
count=0
failed=0

attach() {
	mount -t proc proc "$root/proc" && mount --bind /dev "$root/dev"
}

detach() {
	local place
	for place in proc dev; do
		! mountpoint -q "$root/$place" || umount "$root/$place"
	done
}

cleanup() {
	detach
	rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 1' INT TERM

result() { # status name: one line of TAP, with what was said when it failed
	count=$((count + 1))
	if [ "$1" = 0 ]; then
		echo "ok $count - $2"
	else
		failed=$((failed + 1))
		echo "not ok $count - $2"
		tail -25 "$work/log" | sed 's/^/# /'
	fi
}

try() { # name command...
	local name=$1
	shift
	"$@" >"$work/log" 2>&1
	result $? "$name"
}

inside() {
	timeout 300 chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 \
		DEBIAN_FRONTEND=noninteractive "$@"
}

# Where this machine takes its packages from.
mirror() {
	cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null |
		awk '$1 == "deb" { for (i = 2; i <= NF; i++) if ($i ~ /^https?:/) { print $i; exit } }
		     $1 == "URIs:" { print $2; exit }'
}

bootstrap() {
	local url
	url=$(mirror)
	[ -n "$url" ] || { echo "no mirror in the sources of apt"; return 1; }
	# shellcheck disable=SC1091 # every Debian has it
	debootstrap --variant=minbase --include=ca-certificates \
		"$(. /etc/os-release && echo "$VERSION_CODENAME")" "$root" "$url" || return 1
	cp -L /etc/resolv.conf "$root/etc/" 2>/dev/null
	cp -r /etc/apt/apt.conf.d/. "$root/etc/apt/apt.conf.d/"
	cp -r /etc/apt/sources.list* "$root/etc/apt/"
	printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
	chmod +x "$root/usr/sbin/policy-rc.d"
	attach
}

install_it() {
	cp "$work"/kura_*.deb "$root/tmp/" && inside apt-get update -q &&
		inside sh -c 'apt-get install -q -y --no-install-recommends /tmp/kura_*.deb'
}

has_everything() { # whatever an administrator or another program looks for, in its place
	local path missing=0
	for path in usr/bin/kura usr/sbin/kurad etc/kura/kura.conf \
		lib/systemd/system/kurad.service lib/systemd/system/kurad.socket \
		usr/lib/sysusers.d/kura.conf \
		usr/share/man/man8/kura.8.gz usr/share/man/man8/kurad.8.gz \
		usr/share/man/man5/kura.conf.5.gz usr/share/man/man7/kura-scsi.7.gz \
		usr/share/bash-completion/completions/kura usr/share/zsh/vendor-completions/_kura \
		usr/share/fish/vendor_completions.d/kura.fish \
		usr/lib/ocf/resource.d/kura/kura-target usr/lib/ocf/resource.d/kura/kura-lun \
		usr/lib/ocf/resource.d/kura/kura-pool usr/lib/ocf/lib/kura/kura-ocf.sh \
		usr/share/kura/grafana/kura.json usr/share/kura/lvm/kura.conf \
		usr/share/kura/kurad-lvm.conf usr/share/doc/kura/docs/guide-first-lun.md; do
		[ -s "$work/files/$path" ] || { echo "missing: $path"; missing=1; }
	done
	return $missing
}

serves() { # kurad of the package, asked by its tool, makes something that lasts
	# shellcheck disable=SC2016 # the inner shell expands
	inside sh -c '
		sed -i "1i portals = ( { address = \"127.0.0.1\"; port = 0; } );" /etc/kura/kura.conf
		mkdir -p -m 700 /var/lib/kura
		kurad --control /run/kura.control --state /var/lib/kura --config /etc/kura/kura.conf &
		pid=$! answered=1
		for i in 1 2 3 4 5 6 7 8 9 10; do
			kura --socket /run/kura.control status && answered=0 && break
			sleep 1
		done
		kura --socket /run/kura.control target create iqn.2026-11.kura.test:kept || answered=1
		kill "$pid" && wait "$pid" && exit $answered'
}

boots() { # script root: the TAP of machines with that disk is continued here
	local line ended=1
	while IFS= read -r line; do
		case $line in
		"ok "* | "not ok "*)
			count=$((count + 1))
			case $line in not*) failed=$((failed + 1)) ;; esac
			echo "${line%%ok *}ok $count - ${line#*ok * - }"
			;;
		1..*) ended=0 ;;
		*) echo "$line" ;;
		esac
	done < <(python3 -B "$here/../vm/$1" "$2" 2>"$work/log")
	[ $ended = 0 ] || result 1 "the machine's test ends"
}

clusters() { # with what else the guide wants on a node
	try "so do Pacemaker and its agents" inside apt-get install -q -y --no-install-recommends \
		pacemaker corosync crmsh resource-agents iproute2 iputils-arping kmod procps psmisc \
		python3-minimal
	detach
	cp -a "$root" "$work/node" # a root of their own: this one is looked at again
	boots cluster.py "$work/node"
	rm -rf "$work/node"
	attach
}

upgrade() { # to the same with a higher number
	dpkg-deb -R "$work"/kura_*.deb "$work/next" &&
		sed -i 's/^Version: .*/&.1/' "$work/next/DEBIAN/control" &&
		dpkg-deb --root-owner-group -b "$work/next" "$root/tmp/next.deb" &&
		inside apt-get install -q -y --no-install-recommends /tmp/next.deb
}

keeps() { # what was changed by hand, and what verbs made
	grep -q '^portals' "$root/etc/kura/kura.conf" &&
		grep -q kura.test:kept "$root/var/lib/kura/managed.conf" && inside kurad --check
}

purge() { # with a key where the manual has one
	mkdir "$root/var/lib/kura/keys" && echo key >"$root/var/lib/kura/keys/vm1.key" &&
		inside dpkg --purge kura
}

has_nothing_left() {
	find "$root" -xdev \( -name '*kura*' -o -path '*kura/*' \) ! -path "$root/tmp/*" \
		! -path "$root/var/cache/*" ! -path "$root/var/lib/kura" \
		! -path "$root/var/lib/kura/keys*" | tee "$work/left"
	[ ! -s "$work/left" ] && [ -s "$root/var/lib/kura/keys/vm1.key" ]
}

try "the package builds" "$here/../../packaging/build.sh" "$work"
try "lintian finds no error" lintian --allow-root --fail-on error "$work"/kura_*.deb
try "systemd gives the unit at most 3.0" systemd-analyze security --offline=true --threshold=30 \
	"$here/../../contrib/systemd/kurad.service"
mkdir -p "$work/unit/kurad.service.d"
cp "$here/../../contrib/systemd/kurad.service" "$work/unit/"
cp "$here/../../contrib/systemd/kurad-lvm.conf" "$work/unit/kurad.service.d/lvm.conf"
try "and with the drop-in for LVM" systemd-analyze security --offline=true --threshold=30 \
	"$work/unit/kurad.service"
try "and unpacks" dpkg-deb -x "$work"/kura_*_*.deb "$work/files"
try "with everything that there is" has_everything
try "a clean Debian" bootstrap
try "the package installs" install_it
try "its groups are there" inside getent group kura kura-monitor
try "so do systemd, udev, LVM and clients" inside apt-get install -q -y --no-install-recommends \
	systemd-sysv udev lvm2 thin-provisioning-tools qemu-utils libiscsi-bin
detach
boots systemd.py "$root"
attach
[ "${1:-}" != cluster ] || clusters
try "its configuration has no mistake" inside kurad --check
# shellcheck disable=SC2016 # the inner shell expands
try "and is its owner's alone" inside sh -c '[ "$(stat -c %a /etc/kura/kura.conf)" = 600 ]'
try "kurad serves, kura asks" serves
try "an upgrade" upgrade
try "changes nothing of what was made" keeps
try "it leaves when it is purged" purge
try "with everything but a key" has_nothing_left
echo "1..$count"
[ "$failed" = 0 ]
