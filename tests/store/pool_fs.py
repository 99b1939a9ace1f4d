#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Pools of directories on ext4, XFS with reflinks and btrfs; prints TAP.

Each filesystem is an image on a loop device, mounted in a mount namespace that ends with the test;
the contract test and the one that ends every verb at every step run in it. It needs root, loop
devices and the filesystems' tools; what is not here is skipped by name.
"""

import os
import shutil
import subprocess
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "lib"))

import kurad  # noqa: E402
import tapout  # noqa: E402

FILESYSTEMS = {
    "ext4": ["mkfs.ext4", "-q", "-F"],
    "xfs": ["mkfs.xfs", "-q", "-f", "-m", "reflink=1"],
    "btrfs": ["mkfs.btrfs", "-q", "-f"],
}
TESTS = ["test_pool", "test_pool_faults"]
SIZE = 400 << 20
SECONDS = 120 * float(os.environ.get("KURA_TEST_SLOW", "1"))


def say(*command, env=None):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          errors="replace", timeout=SECONDS, env=env, check=False)
    return done.returncode, done.stdout


def why_not(folder):
    """What is missing for all of them, or nothing."""
    if os.geteuid() != 0:
        return "root is needed to mount"
    image = os.path.join(folder, "try")
    with open(image, "wb") as f:
        f.truncate(32 << 20)
    script = f"mkfs.ext4 -q -F {image} && mount -t ext4 -o loop {image} {folder}/m"
    status, text = say("unshare", "-m", "sh", "-c", script)
    os.unlink(image)
    return f"no mount of a loop device here: {text.strip()[-100:]}" if status else None


def one(tap, folder, tree, name):
    image = os.path.join(folder, name)
    with open(image, "wb") as f:
        f.truncate(SIZE)
    status, text = say(*FILESYSTEMS[name], image)
    if status:
        tap.not_ok(f"a filesystem {name} can be made", text)
        return
    for test in TESTS:
        script = (f"mount -t {name} -o loop {image} {folder}/m && "
                  f"KURA_POOL_BASE={folder}/m exec {tree}/tests/store/{test}")
        status, text = say("unshare", "-m", "sh", "-c", script,
                           env=dict(os.environ, CMOCKA_MESSAGE_OUTPUT="STDOUT"))
        tap.check(status == 0, f"{test} on {name}", text[-3000:])
    os.unlink(image)


def main():
    tap = tapout.Tap()
    tree = os.path.dirname(os.path.abspath(kurad.binary()))
    folder = kurad.scratch_folder("kura-pool")
    os.mkdir(os.path.join(folder, "m"))
    try:
        reason = why_not(folder)
        for name, make in FILESYSTEMS.items():
            missing = reason or (None if shutil.which(make[0]) else f"{make[0]} is not here")
            if missing:
                tap.skip(f"pools on {name}", missing)
            else:
                one(tap, folder, tree, name)
    finally:
        shutil.rmtree(folder)
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
