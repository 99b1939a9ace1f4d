#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A QEMU machine with open-iscsi and multipath-tools on kurad: sessions.py, changes.py, then
multipath.py, or those of them that are named; prints TAP."""

import os
import subprocess
import sys
import time

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "lib")]

import changes  # noqa: E402
import kurad  # noqa: E402
import linux  # noqa: E402
import multipath  # noqa: E402
import sessions  # noqa: E402
import tapout  # noqa: E402
from initiator import Initiator  # noqa: E402
from machine import Machine, MachineFailed  # noqa: E402

CACHE = os.environ.get("KURA_VM_CACHE") or os.path.join(kurad.ROOT, "build", "vm")
PARTS = [sessions, changes, multipath]
KIT = linux.Kit("paths", linux.TOOLS + ["multipath-tools", "dmsetup", "udev"],
                linux.MODULES + ["dm_mod", "dm_multipath", "dm_round_robin", "dm_service_time"],
                linux.OF_THE_HOST + ["fio"],
                ["lib/multipath/libcheck*.so", "lib/multipath/libprio*.so", "bin/udevadm",
                 "lib/udev/scsi_id", "lib/udev/rules.d/*"])


class Scene:
    """kurad, one machine, the results."""

    def __init__(self, tap, daemon, guest):
        self.tap = tap
        self.daemon = daemon
        self.guest = guest


def config():
    volumes, targets, more = sessions.settings()
    paths = multipath.settings()
    portals = [{"address": f"127.0.0.{g}", "port": 0, "group": g} for g in (1, 2)]
    return kurad.config(volumes + paths[0], targets + paths[1], portals, **more)


def play(tap, daemon, image, folder):
    guest = Machine(image, "one", folder)
    try:
        scene = Scene(tap, daemon, guest.ready())
        Initiator(guest, sessions.OPEN, daemon.port).start()
        for part in PARTS:
            if len(sys.argv) > 1 and part.__name__ not in sys.argv[1:]:
                continue
            begin = time.monotonic()
            part.play(scene)
            tap.note(f"{part.__name__}: {time.monotonic() - begin:.1f} s")
    except MachineFailed as error:
        tap.not_ok("the machine does what it is asked", f"{error}\n{daemon.log_tail()}")
    finally:
        guest.end()


def main():
    tap = tapout.Tap()
    try:
        image = linux.image(os.path.join(CACHE, "linux"), KIT)
    except (linux.NoMachine, OSError, subprocess.TimeoutExpired) as error:
        tap.not_ok("Debian's kernel and tools can be had", str(error))
        return tap.done()
    folder = kurad.scratch_folder("kura-vm")
    try:
        with kurad.Kurad(config()) as daemon:
            play(tap, daemon, image, folder)
    except kurad.KuradFailed as error:
        tap.not_ok("kurad starts, stays and stops well", str(error))
    finally:
        for name in os.listdir(folder):
            os.unlink(os.path.join(folder, name))
        os.rmdir(folder)
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
