#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The package in a Debian that runs: systemd starts kurad in its sandbox, people of its groups ask
it, volumes lie in /srv/kura and, with the drop-in, in LVM beside a real udev; prints TAP.

systemd.py FOLDER: a root with the package installed, which becomes the machine's disk.
"""

import json
import os
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "lib")]

import debian  # noqa: E402

SECONDS = 120 * float(os.environ.get("KURA_TEST_SLOW", "1"))
DISKS = 256 << 20, 32 << 20  # of the volume group, and a volume of its own
HOST = "iqn.2026-11.kura.test:host"
TARGET = "iqn.2026-11.kura.test:disk"


def conform(test, lun=0):
    """One test of libiscsi's."""
    return (f"iscsi-test-cu -i {HOST} -t ALL.{test} --dataloss "
            f"iscsi://127.0.0.1/{TARGET}/{lun} | tee /dev/stderr | grep -q 'tests  *1  *1  *1  *0'")


class Box:
    """The machine, and what is asked of it."""

    def __init__(self, tap, machine):
        self.tap, self.machine = tap, machine

    def run(self, command):
        return self.machine.run(command, SECONDS)

    def does(self, command, name, *words):
        """One check: the command succeeds, and says these words."""
        status, text = self.run(command)
        self.tap.check(status == 0 and all(w in text for w in words), name, f"{command}\n{text}")
        return text

    def refuses(self, command, name, *words):
        status, text = self.run(command)
        self.tap.check(status != 0 and all(w in text for w in words), name, f"{command}\n{text}")

    def json(self, command):
        status, text = self.run(command + " --json")
        return json.loads(text) if status == 0 else {}


# --- parts ------------------------------------------------------------------------------------


def service(box):
    box.does("systemctl start default.target && systemctl is-active kurad",
             "kurad was started with the machine")
    box.tap.check(box.json("kura status").get("engine") == "uring",
                  "io_uring is within its sandbox", box.machine.said())
    box.does("! journalctl -u kurad -p warning -o cat | grep .", "and the journal has no warning")
    box.does("journalctl -u kurad -o json | grep '\"KURA_ENGINE\":\"uring\"'", "but its fields")


def people(box):
    box.machine.must("useradd -m -G kura alice; useradd -m -G kura-monitor bob; useradd -m carol")
    box.does("runuser -u alice -- kura pool add disks --kind dir --path /srv/kura/disks && "
             "runuser -u alice -- kura volume create disk --size 64M",
             "who is of the group kura makes volumes, in a place that was not there")
    box.does("runuser -u bob -- kura volume list", "who is of kura-monitor looks", "disk")
    box.refuses("runuser -u bob -- kura volume delete disk --yes", "and changes nothing",
                "may only look")
    box.refuses("runuser -u carol -- kura volume list", "anybody else is told whom to ask",
                "kura-monitor")


def places(box):
    """What the sandbox keeps kurad from, it says, and how to allow it."""
    box.machine.must("mkdir -m 700 /data && qemu-img create -q -f qcow2 /tmp/image.qcow2 16M && "
                     "qemu-io -c 'write -P 7 1M 1M' /tmp/image.qcow2 && cp /tmp/image.qcow2 ~")
    box.refuses("kura pool add data --kind dir --path /data", "a place that it may not write",
                "Read-only file system", "ReadWritePaths=")
    box.does("kura volume import one --file /tmp/image.qcow2 && "
             "kura volume import two --file ~/image.qcow2",
             "qemu-img is within the sandbox; images come from /tmp and root's home")
    box.refuses("kura volume export one --file /tmp/back.qcow2",
                "nothing is exported to where nobody would find it", "Read-only file system")
    box.does("kura volume export one --file /srv/kura/back.qcow2 && "
             "qemu-img compare /tmp/image.qcow2 /srv/kura/back.qcow2", "but to where it may write",
             "identical")


def disk(box):
    box.does(f"kura share disk --to {HOST} --target {TARGET}", "a volume is shared")
    for test in ("Write16.Simple", "CompareAndWrite.Simple", "ProutReserve.Simple"):
        box.does(conform(test), f"libiscsi, {test}")


def life(box):
    """Reload, kill, watchdog, stop."""
    box.does("systemctl reload kurad", "systemctl reload, of what has not changed")
    box.machine.must("cp /etc/kura/kura.conf ~ && echo 'loops = ' >>/etc/kura/kura.conf")
    box.refuses("systemctl reload kurad", "it fails when the file has a mistake")
    box.does("journalctl -u kurad -o cat -n 20", "and the journal says where", "kura.conf:")
    box.machine.must("cp ~/kura.conf /etc/kura/")
    box.does("systemctl kill -s KILL kurad; for i in 1 2 3 4 5 6 7 8 9 10; do sleep 1; "
             "kura lun list && break; done",
             "killed, it is there again with what it had", TARGET)
    box.does("kura reservation list", "with its reservations")
    box.does("a=$(systemctl show kurad -P WatchdogTimestampMonotonic); sleep 16; "
             "b=$(systemctl show kurad -P WatchdogTimestampMonotonic); echo $a $b; [ $b -gt $a ]",
             "it tells the watchdog that it lives")


def lvm(box):
    """A real udev makes the nodes, and LVM waits for it."""
    box.machine.must("vgcreate vg /dev/vdb && lvcreate -y --type thin-pool -L 64m -n tp vg", SECONDS)
    box.refuses("kura pool add vg --kind lvm --vg vg", "LVM needs the drop-in, and kurad says which",
                "kurad-lvm.conf")
    box.does("kura check", "so does kura check", "kurad-lvm.conf")
    box.machine.must("install -D -m 644 /usr/share/kura/kurad-lvm.conf "
                     "/etc/systemd/system/kurad.service.d/lvm.conf && systemctl daemon-reload && "
                     "systemctl restart kurad", SECONDS)
    box.does("kura pool add vg --kind lvm --vg vg && "
             "kura pool add thin --kind lvm-thin --vg vg --thin-pool tp", "with it there are pools")
    box.does("kura volume create a --pool vg --size 16M && kura volume snapshot a a1 && "
             "kura volume create b --pool thin --size 64M && kura volume snapshot b b1 && "
             "kura volume clone b1 c && kura volume grow b 96M", "volumes, snapshots, a clone, growth")
    box.does("lvs --noheadings -o lv_name,lv_size,origin vg", "which LVM shows", "96.00m", "b1")
    box.does("test -b /dev/vg/a && test -b /dev/vg/b", "and udev has named")
    box.does(f"kura lun add {TARGET} b --lun 1 && {conform('Write16.Simple', 1)}",
             "and libiscsi uses")
    box.does("kura volume delete a1 --yes && lvcreate -y -s -l 2 -n theirs vg/a",
             "somebody takes a snapshot without kura")
    box.refuses("kura volume delete a --yes", "which is not lost with its volume", "1 snapshots")
    box.refuses("kura volume adopt tp --pool vg", "and a thin pool is no volume", "another type")
    box.does(f"lvremove -y vg/theirs; kura lun remove {TARGET} 1 && "
             "for v in c b1 b a; do kura volume delete $v --yes || "
             "exit 1; done; [ $(lvs --noheadings vg | wc -l) = 1 ]", "deleted, they are gone")


def block(box):
    box.does("kura pool add whole --kind block --path /dev/vdc && kura pool list",
             "a disk is a pool of one volume", "whole")


def end(box):
    box.does("systemctl stop kurad && systemctl show kurad -P Result", "it stops well", "success")
    box.does("systemctl start kurad && kura volume list", "and starts again", "disk")


def play(tap, root, folder):
    images = [os.path.join(folder, name) for name in ("root", "lvm", "block")]
    debian.disk(root, images[0], 1 << 30)
    for path, size in zip(images[1:], DISKS):
        with open(path, "wb") as f:
            f.truncate(size)
    machine = debian.Debian(debian.image(), "systemd", folder,
                            images)
    try:
        machine.ready()
        for part in (service, people, places, disk, life, lvm, block, end):
            part(Box(tap, machine))
    finally:
        machine.end()


sys.exit(debian.drive("kura-systemd", play))
