# SPDX-License-Identifier: Apache-2.0
"""A machine that boots a whole Debian from a folder: its systemd, its udev, its LVM.

What a test asks of it is done by a service of its own, as an administrator's shell would do it.
"""

import os
import shutil
import subprocess
import sys

import kurad
import linux
import tapout
from machine import Machine, MachineFailed

CACHE = os.environ.get("KURA_VM_CACHE") or os.path.join(kurad.ROOT, "build", "vm")

KIT = linux.Kit("debian", linux.TOOLS,
                ["virtio_pci", "virtio_blk", "virtio_console", "ext4", "crc32c_generic",
                 "dm_mod", "dm_thin_pool", "dm_snapshot"], [], [])
AGENT = """#!/bin/sh
# Runs every line that comes over the virtio port as a command.
exec 3<>"$(echo /dev/vport*p1)"
echo "KURA READY" >&3
while read -r line <&3; do
	status=0
	sh -c "$line" >/run/kura-test.said 2>&1 </dev/null 3>&- || status=$?
	cat /run/kura-test.said >&3
	printf '\\nKURA STATUS %d\\n' $status >&3
done
"""
UNIT = """[Service]
ExecStart=/usr/local/sbin/kura-test
Environment=HOME=/root
[Install]
WantedBy=multi-user.target
"""


WANTED = "etc/systemd/system/multi-user.target.wants/kura-test.service"


def _put(path, text, mode):
    with open(path, "w", encoding="ascii") as f:
        f.write(text)
    os.chmod(path, mode)


def disk(root, path, size):
    """Makes the image of a disk with all that is below `root`, and the tests' own service."""
    agent, unit, wanted = (os.path.join(root, p) for p in (
        "usr/local/sbin/kura-test", "etc/systemd/system/kura-test.service", WANTED))
    _put(agent, AGENT, 0o755)
    _put(unit, UNIT, 0o644)
    os.symlink("../kura-test.service", wanted)
    with open(path, "wb") as image:
        image.truncate(size)
    try:
        subprocess.run(["/sbin/mkfs.ext4", "-q", "-d", root, path], check=True, timeout=300)
    finally:
        for made in (agent, unit, wanted):
            os.unlink(made)


class Debian(Machine):
    """One that boots the first of its disks, images by path."""

    def __init__(self, image, name, folder, disks):
        self.disks = disks
        super().__init__(image, name, folder)

    def _command(self, image, fd):
        command = super()._command(image, fd)
        command[command.index("-append") + 1] += " kura_root=/dev/vda"
        for i, path in enumerate(self.disks):
            command += ["-drive", f"file={path},if=none,id=d{i},format=raw,cache=unsafe",
                        "-device", f"virtio-blk-pci,drive=d{i}"]
        return command


def image(kit=KIT):
    """(kernel, initramfs) that begins such a machine."""
    return linux.image(os.path.join(CACHE, "linux"), kit)


def drive(name, play):
    """A test program: play(tap, root, folder), where the command line names the root and the folder
    is there for so long. The exit status."""
    tap = tapout.Tap()
    folder = kurad.scratch_folder(name)
    try:
        play(tap, sys.argv[1], folder)
    except (MachineFailed, linux.NoMachine, OSError, subprocess.SubprocessError) as error:
        tap.not_ok("the machines boot, and live to the end", str(error))
    finally:
        shutil.rmtree(folder)
    return tap.done()
