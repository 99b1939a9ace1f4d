# SPDX-License-Identifier: Apache-2.0
"""open-iscsi in a test machine: node records, logins, and which disk is which LUN."""

import re
import shlex
import time

import machine

DIGESTS = {"off": "None", "on": "CRC32C"}


class Initiator:
    """iscsid of one machine, and its way to one target."""

    def __init__(self, guest, target, port):
        self.guest = guest
        self.target = target
        self.portal = f"{machine.HOST}:{port}"

    def start(self):
        self.guest.must("sed -i 's/replacement_timeout = .*/replacement_timeout = 60/' "
                        "/etc/iscsi/iscsid.conf && iscsid")
        return self

    def discover(self):
        """What discovery prints. Through QEMU's network kurad is reached at 127.0.0.1, and so it
        tells that address; the node records are made by hand therefore."""
        text = self.guest.must(f"iscsiadm -m discovery -t st -p {self.portal}")
        self.guest.must("iscsiadm -m node -o delete")
        return text

    def node(self, what):
        """iscsiadm on this target's record."""
        return self.guest.must(f"iscsiadm -m node -T {self.target} -p {self.portal} {what}")

    def new_node(self):
        self.node("-o new")

    def update(self, settings):
        """Changes the record; iscsiadm takes one setting at a time."""
        for name, value in settings.items():
            self.node(f"-o update -n '{name}' -v {shlex.quote(value)}")

    def digests(self, setting):
        self.update({f"node.conn[0].iscsi.{name}": DIGESTS[setting]
                     for name in ("HeaderDigest", "DataDigest")})

    def login(self, luns):
        """Logs in; the paths of the disks by LUN, once as many as asked for are there."""
        self.node("--login")
        end = time.monotonic() + 20
        while time.monotonic() < end:
            disks = self.disks()
            if len(disks) == luns:
                return disks
            time.sleep(0.1)
        raise machine.MachineFailed(f"{luns} disks were to appear, got {disks}\n"
                                    + self.guest.must("dmesg | tail -30"))

    def logout(self):
        self.node("--logout")

    def disks(self):
        """{LUN: /dev/sdX} of the disks that can be opened."""
        text = self.guest.must("for d in /sys/block/sd*; do [ -b /dev/${d##*/} ] && "
                               "echo ${d##*/} $(readlink $d/device); done; true")
        found = re.findall(r"^(sd\w+) \S*:(\d+)$", text, re.MULTILINE)
        return {int(lun): "/dev/" + name for name, lun in found}

    def disks_of(self, lun, count):
        """The paths of all disks with this number, of every session, once there are so many."""
        end = time.monotonic() + 20
        while True:
            text = self.guest.must("for d in /sys/block/sd*; do [ -b /dev/${d##*/} ] && "
                                   "echo ${d##*/} $(readlink $d/device); done; true")
            found = ["/dev/" + d for d in
                     re.findall(rf"^(sd\w+) \S*:{lun}$", text, re.MULTILINE)]
            if len(found) >= count or time.monotonic() > end:
                return found
            time.sleep(0.1)

    def generic(self, disk):
        """The sg node of a disk."""
        return "/dev/" + self.guest.must(
            f"ls /sys/block/{disk.rsplit('/', 1)[1]}/device/scsi_generic").strip()
