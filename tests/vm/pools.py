#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Pools of every kind in a QEMU machine under TCG, with real LVM, dm-thin, XFS and btrfs; prints
TAP.

The contract test (tests/store/test_pool) runs over each kind, and the test that ends verbs between
their steps; then kurad itself, in the machine, serves volumes of a thin pool to the machine's own
initiator, and another kurad, with no more rights than its unit gives it, takes the pool over with
its reservations; then the verbs of kura from the first pool to the last (pools_story.py), a thin pool
that fills up (pools_thin.py), and a device with bad days (pools_bad.py). Names of parts run only
these: pools.py contract faults serve story thin bad
"""

import os
import re
import shutil
import sys
import time

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "lib")]

import kurad  # noqa: E402
import linux  # noqa: E402
import pools_bad  # noqa: E402
import pools_story  # noqa: E402
import pools_thin  # noqa: E402
import tapout  # noqa: E402
from machine import Machine, MachineFailed  # noqa: E402

CACHE = os.environ.get("KURA_VM_CACHE") or os.path.join(kurad.ROOT, "build", "vm")
TREE = os.path.dirname(os.path.abspath(kurad.binary()))
SECONDS = 280 * float(os.environ.get("KURA_TEST_SLOW", "1"))
OURS = [os.path.join(TREE, name) for name in
        ("kurad", "kura", "tests/store/test_pool", "tests/store/test_pool_faults",
         "tests/store/poolctl")]
KIT = linux.Kit(
    "pools",
    linux.TOOLS + ["lvm2", "dmsetup", "thin-provisioning-tools", "xfsprogs", "btrfs-progs",
                   "nfs-kernel-server", "nfs-common"],
    linux.MODULES + ["virtio_blk", "dm_mod", "dm_thin_pool", "dm_snapshot", "dm_flakey", "xfs", "btrfs",
                     "nfsd", "nfsv4"],
    linux.OF_THE_HOST + ["fio", "qemu-img", "resize2fs"] + OURS
    + [shutil.which("setpriv") or "setpriv"], [])
DISKS = 1 << 30, 512 << 20, 512 << 20, 32 << 20
# Nothing runs udev there: LVM makes its nodes itself. The disks are its only devices.
LVM_CONF = """devices { obtain_device_list_from_udev = 0 multipath_component_detection = 0
  md_component_detection = 0 use_devicesfile = 0 scan_lvs = 0
  global_filter = [ "a|^/dev/vd.*|", "r|.*|" ] }
activation { udev_sync = 0 udev_rules = 0 verify_udev_operations = 1 monitoring = 0
  reserved_memory = 0 reserved_stack = 0 }
global { use_lvmpolld = 0 }
backup { backup = 0 archive = 0 }"""
LVM = ("lvs vgs pvcreate vgcreate vgchange lvcreate lvremove lvextend lvreduce lvrename lvchange "
       "lvconvert lvmconfig")
KINDS = {
    "lvm": "KURA_POOL_KIND=lvm KURA_POOL_VG=vg KURA_POOL_OTHER=tp",
    "lvm-thin": "KURA_POOL_KIND=lvm-thin KURA_POOL_VG=vg KURA_POOL_THIN=tp",
    "dir on XFS": "KURA_POOL_BASE=/x",
    "dir on btrfs": "KURA_POOL_BASE=/b",
    "dir on NFS 4.2 of XFS": "KURA_POOL_BASE=/n",
    "dir on NFS 4.1": "KURA_POOL_BASE=/o",
    "dir on tmpfs": "KURA_POOL_BASE=/tmp",
}
TARGET = "iqn.2026-11.kura.test:pool"
CONF = f"""portals = ( {{ address = "127.0.0.1"; port = 3260; }} );
pools = ( {{ name = "thin"; kind = "lvm-thin"; vg = "vg"; thin_pool = "tp"; }} );
volumes = ( {{ name = "vm1"; pool = "thin"; }}, {{ name = "vm2"; pool = "thin"; }} );
targets = ( {{ name = "{TARGET}"; initiators = ( {{ name = "*"; }} );
  luns = ( {{ lun = 0; volume = "vm1"; }}, {{ lun = 1; volume = "vm2"; }} ); }} );
"""


class PoolMachine(Machine):
    """A machine with disks of its own."""

    def _command(self, image, fd):
        command = super()._command(image, fd)
        command[command.index("-m") + 1] = "1024"
        for i, size in enumerate(DISKS):
            path = f"{self.console}.{i}"
            with open(path, "wb") as disk:
                disk.truncate(size)
            command += ["-drive", f"file={path},if=none,id=d{i},format=raw,cache=unsafe",
                        "-device", f"virtio-blk-pci,drive=d{i}"]
        return command

    def prepare(self):
        self.must("mkdir -p /etc/lvm /run/lvm /var/lib/kura")
        for line in LVM_CONF.splitlines():
            self.must(f"echo '{line}' >>/etc/lvm/lvm.conf")
        self.must(f"cd /sbin; for n in {LVM}; do ln -sf $(command -v lvm) $n; done; "
                  "pdata=$(command -v pdata_tools); for n in thin_check thin_repair thin_dump; do "
                  "[ -x /usr/sbin/$n ] || ln -s $pdata /usr/sbin/$n; done")
        self.must("export DM_DISABLE_UDEV=1; vgcreate vg /dev/vda && "
                  "lvcreate -y --type thin-pool -L 64m -n tp vg")
        self.must("mkdir /x /b; mkfs.xfs -q -m reflink=1 /dev/vdb && mount -t xfs /dev/vdb /x")
        self.must("mkfs.btrfs -q /dev/vdc && mount -t btrfs /dev/vdc /b")

        self.must("mkdir -p /n /o /x/nfs /b/nfs /var/lib/nfs/v4recovery /run/rpc_pipefs && "
                  "mount -t nfsd nfsd /proc/fs/nfsd && echo 10 >/proc/fs/nfsd/nfsv4gracetime && "
                  "(echo '/x/nfs *(rw,fsid=1,no_root_squash,insecure,no_subtree_check)'; "
                  "echo '/b/nfs *(rw,fsid=2,no_root_squash,insecure,no_subtree_check)') >/etc/exports "
                  "&& touch /var/lib/nfs/etab /var/lib/nfs/rmtab && exportfs -a && "
                  "rpc.mountd -N 3 && echo 'nfs 2049/tcp' >>/etc/services && "
                  "rpc.nfsd -N 3 -H 127.0.0.1 2")
        self.must("mount -t nfs4 -o vers=4.2,nodev 127.0.0.1:/x/nfs /n && "
                  "mount -t nfs4 -o vers=4.1,nodev 127.0.0.1:/b/nfs /o", SECONDS)

    def kura(self, command, seconds=SECONDS):
        """(status, text) of a command with the environment of LVM without udev."""
        return self.run("export DM_DISABLE_UDEV=1; " + command, seconds)

    def surely(self, command):
        return self.must("export DM_DISABLE_UDEV=1; " + command, SECONDS)


# --- the contract -----------------------------------------------------------------------------


def contract(tap, guest):
    for name, environment in KINDS.items():
        begin = time.monotonic()
        status, text = guest.kura(f"{environment} /kura/test_pool")
        tap.check(status == 0, f"the contract of pools: {name}", text[-3000:])
        tap.note(f"{len(re.findall('  OK ', text))} tests, {time.monotonic() - begin:.0f} s")


def faults(tap, guest):
    for name, environment in KINDS.items():
        begin = time.monotonic()
        # slow ones: each death, and not each failure too, which other directories have had
        brief = "KURA_POOL_BRIEF=1 " if name.startswith("lvm") or "4.1" in name else ""
        status, text = guest.kura(f"{brief}{environment} /kura/test_pool_faults")
        tap.check(status == 0, f"verbs that die between their steps: {name}", text[-3000:])
        tap.note(f"{len(re.findall('  OK ', text))} verbs, {time.monotonic() - begin:.0f} s")


# --- kurad on a thin pool ---------------------------------------------------------------------


def _ctl(guest, words):
    return guest.surely(f"{KINDS['lvm-thin']} /kura/poolctl {words}")


def _start(guest):
    _ctl(guest, f"create vm1 {64 << 20}")
    _ctl(guest, f"create vm2 {64 << 20}")
    for line in CONF.splitlines():
        guest.must(f"echo '{line}' >>/etc/kura.conf")
    guest.surely("/kura/kurad -c /etc/kura.conf -s /var/lib/kura -C /run/kurad.sock "
                 ">/tmp/kurad.log 2>&1 & i=0; while ! grep -q ready /tmp/kurad.log && "
                 "[ $i -lt 100 ]; do usleep 200000; i=$((i + 1)); done; tail -5 /tmp/kurad.log")
    guest.must("iscsid")
    node = f"iscsiadm -m node -T {TARGET} -p 127.0.0.1:3260"
    guest.must(f"{node} -o new && {node} --login")
    guest.must("i=0; while [ ! -b /dev/sdb ] && [ $i -lt 100 ]; do usleep 100000; "
               "i=$((i + 1)); done; [ -b /dev/sdb ]")


# The drop-in of the unit leaves CAP_SYS_ADMIN; CAP_MKNOD because nothing runs udev here.
RIGHTS = "/kura/setpriv --bounding-set=-all,+sys_admin,+mknod"
TOOL = "/kura/kura --socket /run/kurad2.sock"


def _identity(guest):
    return guest.must("sg_inq -p 0x83 -H /dev/sda; sg_inq -p 0x80 -H /dev/sda")


def _move(tap, guest):
    """kill -9, as a box dies; another kurad with a state directory of its own has the pool then."""
    guest.must("sg_persist -o -G --param-sark=0xabc --param-aptpl /dev/sda && "
               "sg_persist -o -R --param-rk=0xabc --prout-type=5 /dev/sda")
    tags, before = guest.surely("lvs --noheadings -o lv_tags vg/vm1"), _identity(guest)
    tap.check("kura.kept.00=kura-reservations&1#" in tags, "a reservation is in the LV's tags", tags)
    guest.must("iscsiadm -m node --logout && kill -9 $(pidof kurad) && rm -f /run/kurad.sock")
    guest.must("echo 'portals = ( { address = \"127.0.0.1\"; port = 3260; } );' >/etc/kura2.conf && "
               "chmod 600 /etc/kura2.conf && mkdir /var/lib/kura2")
    guest.surely(f"{RIGHTS} /kura/kurad -c /etc/kura2.conf -s /var/lib/kura2 -C /run/kurad2.sock "
                 ">/tmp/kurad2.log 2>&1 & i=0; while ! grep -q ready /tmp/kurad2.log && "
                 "[ $i -lt 100 ]; do usleep 200000; i=$((i + 1)); done")
    text = guest.surely(f"({TOOL} pool import thin --kind lvm-thin --vg vg --thin-pool tp && "
                        f"{TOOL} share vm1 --to '*' --target {TARGET}) 2>&1 || "
                        "{ tail -20 /tmp/kurad2.log; false; }")
    guest.must(f"iscsiadm -m node -T {TARGET} -p 127.0.0.1:3260 --login && i=0; while "
               "[ ! -b /dev/sda ] && [ $i -lt 100 ]; do usleep 100000; i=$((i + 1)); done")
    tap.check(_identity(guest) == before, "on another box a volume is who it was", text)
    text = guest.must("sg_persist -i -k /dev/sda; sg_persist -i -r /dev/sda")
    tap.check("PR generation=0x0, 1 registered" in text and "Key=0xabc" in text
              and "Write Exclusive, registrants only" in text,
              "its reservation came along; PRGENERATION is 0", text)
    status, text = guest.kura("dd if=/dev/zero of=/dev/sda bs=4k count=1 oflag=direct")
    tap.check(status != 0, "and holds: this session is another nexus, which may not write", text)
    status, text = guest.kura("sg_persist -o -I --param-sark=0xdef --param-aptpl /dev/sda && "
                              "sg_persist -o -C --param-rk=0xdef /dev/sda && "
                              f"{TOOL} volume create vm3 --size 64M && "
                              f"{TOOL} volume snapshot vm1 s3 && {TOOL} volume delete vm3 --yes && "
                              f"lvs --noheadings -o lv_tags vg/vm1")
    tap.check(status == 0 and "#registrants&0#" in text,
              "CAP_SYS_ADMIN is enough to make, snapshot and delete", text)


def _nfs(tap, guest):
    """A volume of a pool on NFS, and a snapshot of it, for the machine's own initiator."""
    guest.surely(f"({TOOL} pool add n --kind dir --path /n/pool && "
                 f"{TOOL} volume create net --pool n --size 32M && {TOOL} lun add {TARGET} net) 2>&1")
    text = guest.must("iscsiadm -m session --rescan >/dev/null; i=0; while [ ! -b /dev/sdb ] && "
                      "[ $i -lt 100 ]; do usleep 100000; i=$((i + 1)); done; "
                      "dd if=/dev/urandom of=/tmp/n bs=1M count=8 2>/dev/null; "
                      "dd if=/tmp/n of=/dev/sdb bs=256k oflag=direct 2>&1")
    status, more = guest.kura(f"{TOOL} volume snapshot net was && echo 3 >/proc/sys/vm/drop_caches; "
                              "cmp -n 8388608 /tmp/n /dev/sdb && cmp -n 8388608 /tmp/n /n/pool/was "
                              f"&& blkdiscard /dev/sdb && {TOOL} volume show net")
    tap.check(status == 0, "a volume on NFS 4.2 is served, snapshotted and trimmed", text + more)


def serve(tap, guest):
    _start(guest)
    _move(tap, guest)
    _nfs(tap, guest)
    text = guest.surely("kill $(pidof kurad) || true; iscsiadm -m node --logout 2>&1; "
                        "tail -3 /tmp/kurad2.log; true")
    tap.note(text.strip().splitlines()[-1] if text.strip() else "")


PARTS = {"contract": contract, "faults": faults, "serve": serve, "story": pools_story.play,
         "thin": pools_thin.play, "bad": pools_bad.play}


def play(tap, folder, parts):
    begin = time.monotonic()
    try:
        image = linux.image(os.path.join(CACHE, "linux"), KIT)
    except (linux.NoMachine, OSError) as error:
        tap.not_ok("Debian's kernel and tools can be had", str(error))
        return
    guest = PoolMachine(image, "pools", folder)
    try:
        guest.ready().prepare()
        tap.note(f"machine up in {time.monotonic() - begin:.1f} s")
        for part in parts:
            PARTS[part](tap, guest)
    except MachineFailed as error:
        tap.not_ok("the machine does what it is asked", str(error))
    finally:
        guest.end()
    tap.note(f"{time.monotonic() - begin:.1f} s")


def main():
    tap = tapout.Tap()
    folder = kurad.scratch_folder("kura-vm")
    try:
        play(tap, folder, sys.argv[1:] or PARTS)
    finally:
        for name in os.listdir(folder):
            os.unlink(os.path.join(folder, name))
        os.rmdir(folder)
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
