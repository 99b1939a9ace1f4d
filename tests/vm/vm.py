#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A QEMU machine under TCG keeps filesystems on LUNs of kurad; prints TAP.

QEMU's own iSCSI driver is the initiator: LUN 0 as a virtio disk, LUN 1 handed through to the
guest's SCSI layer command by command (scsi-block).  The guest makes a filesystem on each, fills,
trims and checks it; kurad is restarted; a second boot reads everything again; e2fsck looks at
the backing files at the end.
"""

import os
import re
import subprocess
import sys
import time

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "lib")]

import initrd  # noqa: E402
import kurad  # noqa: E402
import machine  # noqa: E402
import tapout  # noqa: E402

TARGET = "iqn.2026-11.kura.test:vm"
CACHE = os.environ.get("KURA_VM_CACHE") or os.path.join(kurad.ROOT, "build", "vm")
BOOT_SECONDS = 120 * float(os.environ.get("KURA_TEST_SLOW", "1"))
SIZE = 192 << 20


def command(image, archive, phase, urls):
    """QEMU's command line."""
    return [
        "qemu-system-x86_64", "-accel", os.environ.get("KURA_VM_ACCEL", "tcg"),
        "-cpu", machine.CPU,
        "-m", "512", "-nodefaults", "-no-reboot", "-display", "none", "-serial", "stdio",
        "-kernel", image, "-initrd", archive,
        "-append", f"{machine.APPEND} kura_phase={phase}",
        "-drive", f"file={urls[0]},format=raw,if=none,id=d0,cache=none,discard=unmap",
        "-device", "virtio-blk-pci,drive=d0",
        "-device", "virtio-scsi-pci,id=scsi",
        "-drive", f"file={urls[1]},format=raw,if=none,id=d1,cache=none",
        "-device", "scsi-block,drive=d1,bus=scsi.0",
    ]


def boot(image, archive, phase, urls):
    """One life of the machine; what it said on its console."""
    try:
        done = subprocess.run(
            command(image, archive, phase, urls), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
            timeout=BOOT_SECONDS, preexec_fn=kurad.die_with_parent)
        return done.stdout
    except subprocess.TimeoutExpired as late:
        text = (late.stdout or b"").decode("utf-8", "replace")
        return text + f"\n(no end after {BOOT_SECONDS} s)"


def judge(tap, phase, console):
    """The guest's own lines, and no complaint of its kernel about the disks."""
    tail = "\n".join(console.splitlines()[-40:])
    tap.check(f"KURA DONE phase {phase}" in console and "KURA FAIL" not in console,
              f"phase {phase} in the machine", tail)
    errors = re.findall(r".*(?:I/O error|critical|EXT4-fs error|rejecting I/O|reset).*", console)
    tap.check(not errors, f"phase {phase}: the guest's kernel has no complaint",
              "\n".join(errors[:10]))


def geometry(tap, console):
    """What the guest's SCSI layer made of our INQUIRY, VPD and mode pages."""
    line = next((l for l in console.splitlines() if "KURA DISK sda" in l), "")
    words = dict(w.split("=", 1) for w in line.split() if "=" in w)
    tap.check(words.get("sectors") == str(SIZE // 512) and words.get("physical") == "4096"
              and int(words.get("discard", "0")) > 0 and words.get("fua") == "1"
              and "write back" in line,
              "the guest sees size, physical blocks, discard, write cache and FUA", line)


def fsck(tap, daemon, name):
    done = subprocess.run(["/sbin/e2fsck", "-fn", daemon.path(name)], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False, timeout=60)
    tap.check(done.returncode == 0, f"e2fsck finds {name} clean", done.stdout)


def play(tap, image, archive):
    volumes = [{"name": f"v{i}", "store": "file", "path": f"@SCRATCH@/v{i}.img",
                "size": str(SIZE), "physical_block_size": 4096} for i in range(2)]
    with kurad.Kurad(kurad.one_target(TARGET, volumes)) as daemon:
        for phase in (1, 2):
            if phase == 2:
                daemon.restart()
            begin = time.monotonic()
            console = boot(image, archive, phase, [daemon.url(TARGET, i) for i in range(2)])
            tap.note(f"phase {phase}: {time.monotonic() - begin:.1f} s")
            judge(tap, phase, console)
            if phase == 1:
                geometry(tap, console)
                used = sum(os.stat(daemon.path(f"v{i}.img")).st_blocks * 512 for i in range(2))
                tap.check(used < SIZE, "what the guest trimmed is given back", f"{used} bytes")
        daemon.end()
        for i in range(2):
            fsck(tap, daemon, f"v{i}.img")
        daemon.start()


def main():
    tap = tapout.Tap()
    try:
        image, modules = initrd.kernel(CACHE)
    except (initrd.NoKernel, OSError, subprocess.TimeoutExpired) as error:
        tap.not_ok("Debian's cloud kernel can be had", str(error))
        return tap.done()
    folder = kurad.scratch_folder("kura-vm")
    archive = os.path.join(folder, "initrd")
    try:
        with open(archive, "wb") as f:
            f.write(initrd.initramfs(modules))
        play(tap, image, archive)
    except kurad.KuradFailed as error:
        tap.not_ok("kurad starts, stays and stops well", str(error))
    finally:
        os.unlink(archive)
        os.rmdir(folder)
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
