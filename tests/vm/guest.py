#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Linux's own initiator, in a QEMU machine under TCG, uses LUNs of kurad; prints TAP.

open-iscsi discovers, logs in and out, with digests and without; filesystems live through
restarts and deaths of kurad; sg3-utils and smartctl read every answer; a second machine fences
and is fenced.  What commands.def has no row for is skipped by name.
"""

import os
import re
import subprocess
import sys
import time

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "lib")]

import chap  # noqa: E402
import fence  # noqa: E402
import kurad  # noqa: E402
import linux  # noqa: E402
import scsitools  # noqa: E402
import tapout  # noqa: E402
from initiator import Initiator  # noqa: E402
from machine import Machine, MachineFailed  # noqa: E402

TARGET = "iqn.2026-11.kura.test:linux"
CACHE = os.environ.get("KURA_VM_CACHE") or os.path.join(kurad.ROOT, "build", "vm")
LUNS = 2
SIZE = 256 << 20
COMPLAINT = re.compile(r".*(?:I/O error|critical|EXT4-fs error|rejecting I/O|Unexpected|WARNING|"
                       r"BUG|unknown|offline).*")


class Scene:
    """kurad, one logged-in machine and the results."""

    def __init__(self, tap, daemon, guest):
        self.tap = tap
        self.daemon = daemon
        self.guest = guest
        self.initiator = Initiator(guest, TARGET, daemon.port)
        self.disks = {}

    def login(self):
        self.disks = self.initiator.login(LUNS)

    def uuid(self, volume):
        return re.search(rf"volume open volume={volume} .*uuid=(\w+)", self.daemon.log())[1]

    def kill_daemon(self):
        """As a crash would; a supervisor waits for some time before it starts another."""
        self.daemon.process.kill()
        self.daemon.process.wait()
        time.sleep(0.3)

    def used(self):
        return os.stat(self.daemon.path("disk.img")).st_blocks * 512


# --- sessions and filesystems -----------------------------------------------------------------


def first_login(scene):
    text = scene.initiator.discover()
    scene.tap.check(TARGET in text, "discovery names the target", text)
    scene.initiator.new_node()
    scene.login()
    name = scene.disks[0].rsplit("/", 1)[1]
    text = scene.guest.must(f"cd /sys/block/{name}; cat size device/vendor device/model "
                            "queue/physical_block_size queue/write_cache queue/fua")
    want = [str(SIZE // 512), "KURA", "VOLUME", "4096", "write back", "1"]
    scene.tap.check([w.strip() for w in text.splitlines()] == want,
                    "size, names, block size, write cache and FUA of the disk", text)
    uuid = scene.uuid("disk")
    text = scene.guest.must(f"sg_vpd -p sn {scene.disks[0]}; "
                            f"cat /sys/block/{name}/device/wwid")
    scene.tap.check(text.count(uuid) == 2, "its serial number is the volume's identity", text)


def _fill(folder, files, kib):
    return (f"mkdir {folder}; i=0; while [ $i -lt {files} ]; do "
            f"dd if=/dev/urandom of={folder}/f$i bs=1k count={kib} conv=fsync 2>/dev/null || "
            f"exit 1; i=$((i + 1)); done; cd {folder} && sha256sum f* >SUMS && sync")


def _mount(scene):
    scene.guest.must(f"mount -t ext4 {scene.disks[0]} /mnt")


def _verify(scene, *folders):
    scene.guest.must("sync; echo 3 >/proc/sys/vm/drop_caches")
    for folder in folders:
        scene.guest.must(f"cd /mnt/{folder} && sha256sum -c -s SUMS")


def _relogin(scene, digests):
    scene.guest.must("umount /mnt")
    scene.initiator.logout()
    scene.initiator.digests(digests)
    scene.login()
    _mount(scene)


def filesystem(scene):
    scene.guest.must(f"mkfs.ext4 -q -F {scene.disks[0]}")
    _mount(scene)
    scene.guest.must(_fill("/mnt/plain", 16, 512))
    _relogin(scene, "on")
    said = "digests=crc32c/crc32c" in scene.daemon.log().lower()
    scene.tap.check(said, "a login with both digests", scene.daemon.log_tail())
    _verify(scene, "plain")
    scene.guest.must(_fill("/mnt/digests", 16, 512))
    _relogin(scene, "off")
    _verify(scene, "plain", "digests")
    scene.tap.ok("files are whole over logins with and without digests")


def restarts(scene):
    """kurad stops, and then dies, under a guest that goes on writing."""
    for kind, folder in (("stops", "stop"), ("dies", "death")):
        begin = time.monotonic()
        scene.guest.must(f"({_fill('/mnt/' + folder, 40, 256)}; echo $? >/tmp/{folder}) "
                         f">/tmp/{folder}.said 2>&1 & while [ ! -e /mnt/{folder}/f3 ]; do "
                         "usleep 20000; done")
        if kind == "stops":
            scene.daemon.end()
        else:
            scene.kill_daemon()
        scene.daemon.start()
        wait = f"while [ ! -e /tmp/{folder} ]; do usleep 100000; done; cat /tmp/{folder}*"
        text = scene.guest.must(wait)
        _verify(scene, "plain", folder)
        scene.tap.check(text.strip() == "0", f"kurad {kind} under writes, and they go on", text)
        scene.tap.note(f"over in {time.monotonic() - begin:.1f} s")
    scene.guest.must("umount /mnt")
    status, text = scene.guest.run(f"e2fsck -fn {scene.disks[0]}")
    scene.tap.check(status == 0, "e2fsck finds nothing to mend", text)


def space(scene):
    _mount(scene)
    scene.guest.must("dd if=/dev/zero of=/mnt/zeros bs=1M count=64 conv=fsync 2>/dev/null")
    full = scene.used()
    scene.guest.must("rm /mnt/zeros && sync && fstrim /mnt && umount /mnt")
    trimmed = scene.used()
    scene.tap.check(full - trimmed > 60 << 20, "fstrim gives space back", f"{full} {trimmed}")
    scene.guest.must(f"blkdiscard {scene.disks[0]}")
    scene.tap.check(scene.used() < 1 << 20, "blkdiscard gives everything back",
                    f"{trimmed} {scene.used()}")


def kernel(scene, guest, name):
    """Whether a guest's kernel said something bad since the last look."""
    text = guest.must("dmesg -c")
    found = [m[0] for m in COMPLAINT.finditer(text)]
    scene.tap.check(not found, f"no complaint of the kernel: {name}", "\n".join(found[:10]))


# --- all of it --------------------------------------------------------------------------------


def play(tap, image, daemon, folder):
    guests = [Machine(image, "one", folder)]
    try:
        guests[0].ready()
        guests[0].must("dmesg -c")
        scene = Scene(tap, daemon, guests[0])
        scene.initiator.start()
        first_login(scene)
        filesystem(scene)
        kernel(scene, guests[0], "filesystems")
        chap.play(scene)
        restarts(scene)
        space(scene)
        guests[0].must("dmesg -c")
        scsitools.play(scene)
        kernel(scene, guests[0], "the tools")
        if scsitools.has_row(0x5F):
            guests.append(Machine(image, "two", folder))
            fence.play(scene, guests[1])
        else:
            tap.skip("two machines fence each other", "no persistent reservations")
    finally:
        for guest in guests:
            guest.end()


def config():
    volumes = [{"name": "disk", "store": "file", "path": "@SCRATCH@/disk.img",
                "size": str(SIZE), "physical_block_size": 4096},
               {"name": "other", "store": "file", "path": "@SCRATCH@/other.img",
                "size": str(64 << 20)}]
    plain = {"name": TARGET, "initiators": [{"name": "*"}],
             "luns": [{"lun": i, "volume": v["name"]} for i, v in enumerate(volumes)]}
    return kurad.config(volumes + [chap.volume()], [plain, chap.target()])


def one_kurad(tap, image, folder):
    with kurad.Kurad(config()) as daemon:
        # the port that was found is kept over restarts
        daemon.text = daemon.text.replace("port = 0;", f"port = {daemon.port};")
        try:
            play(tap, image, daemon, folder)
        except MachineFailed as error:
            tap.not_ok("the machine does what it is asked",
                       f"{error}\n--- kurad:\n{daemon.log_tail()}")
        if not daemon.alive():
            tap.not_ok("kurad is alive at the end", daemon.log_tail())
            daemon.start()


def main():
    tap = tapout.Tap()
    begin = time.monotonic()
    try:
        image = linux.image(os.path.join(CACHE, "linux"))
    except (linux.NoMachine, OSError, subprocess.TimeoutExpired) as error:
        tap.not_ok("Debian's kernel and tools can be had", str(error))
        return tap.done()
    tap.note(f"machine made in {time.monotonic() - begin:.1f} s")
    folder = kurad.scratch_folder("kura-vm")
    try:
        one_kurad(tap, image, folder)
    except kurad.KuradFailed as error:
        tap.not_ok("kurad starts, stays and stops well", str(error))
    finally:
        for name in os.listdir(folder):
            os.unlink(os.path.join(folder, name))
        os.rmdir(folder)
    tap.note(f"{time.monotonic() - begin:.1f} s")
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
