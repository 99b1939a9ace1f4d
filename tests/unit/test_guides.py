#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The guides as they are written: their commands of kura run, those of the hosts are what kura connect
prints, and QEMU's BIOS boots from the first disk.

A block "sh run" of docs/guide-*.md is run line by line; one "... connect=KIND" is compared.
"""

import os
import re
import select
import shutil
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import kurad  # noqa: E402
import tapout  # noqa: E402
import tool  # noqa: E402

DOCS = os.path.join(kurad.ROOT, "docs")
FIRST = "guide-first-lun.md"
HOSTS = ("guide-kvm.md", "guide-xen.md", "guide-esxi.md", "guide-windows.md")
TARGET = "iqn.2026-11.com.example:vm1"
POOL = "/srv/kura/disks"  # of the guide; here it lies in the scratch folder
TOLD = "192.0.2.7:3260"
BLOCK = re.compile(r"^```\w+ (\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
tap = tapout.Tap()


def blocks(guide, kind):
    """The texts of the blocks of a kind: "run", "image", "back", or "connect" as (what for, text)."""
    with open(os.path.join(DOCS, guide), encoding="utf-8") as f:
        found = BLOCK.findall(f.read())
    if kind != "connect":
        return [text for info, text in found if info == kind]
    return [(info.split("=")[1], text) for info, text in found if info.startswith(kind + "=")]


class Box:
    """A kurad and a shell in which kura is its tool."""

    def __init__(self, portal):
        self.k = kurad.Kurad(kurad.config_text({"portals": [portal]}))
        self.env = dict(os.environ, PATH=self.k.path("bin") + ":" + os.environ["PATH"])

    def __enter__(self):
        self.k.__enter__()
        os.mkdir(self.k.path("bin"))
        with open(self.k.path("bin/kura"), "w", encoding="utf-8") as f:
            f.write(f"#!/bin/sh\nexec '{tool.binary()}' --socket '{self.k.path('control')}' \"$@\"\n")
        os.chmod(self.k.path("bin/kura"), 0o755)
        return self

    def __exit__(self, *how):
        return self.k.__exit__(*how)

    def run(self, line):
        line = line.replace(POOL, self.k.path("pool"))
        return tool.Done(subprocess.run(["sh", "-c", line], capture_output=True, text=True,
                                        env=self.env, stdin=subprocess.DEVNULL, check=False,
                                        timeout=60 * tool.SLOW))

    def follow(self, guide, text):
        for line in text.splitlines():
            done = self.run(line)
            tap.check(done.code == 0 and not done.err, f"{guide}: {line}"[:100], str(done))


def told():
    return {"address": "127.0.0.1", "port": 0, "advertise": TOLD}


def test_first():
    with Box(told()) as box:
        runs = blocks(FIRST, "run")
        tap.check(runs[0].count("\n") == 3, "three commands make a disk", runs[0])
        for text in runs:
            box.follow(FIRST, text)
        tap.check(not tool.Tool(box.k).json("volume list")["volumes"], "and nothing is left of it")


def test_hosts():
    kinds = set()
    for guide in (FIRST,) + HOSTS:
        with Box(told()) as box:
            box.follow(FIRST, blocks(FIRST, "run")[0])
            for kind, text in blocks(guide, "connect"):
                said = tool.Tool(box.k).json(f"connect {TARGET} --for {kind}")["commands"]
                tap.check(said == text, f"{guide} has what kura connect --for {kind} says", said)
                kinds.add(kind)
            for text in blocks(guide, "run") if guide in HOSTS else ():
                box.follow(guide, text)
    text = tool.Tool()("help connect").out
    known = re.search(r"what runs on the host \(([a-z -]+)\)", text)
    tap.check(known and kinds == set(known[1].split()), "each kind of host is in a guide",
              f"{kinds}\n{text}")


# ---- the boot

MARK = b"booted from kura\r\n"
# 16-bit code that the BIOS loads to 7C00h: it writes the text behind it to the first serial port.
SECTOR = bytes.fromhex("fc31c08ed8be167c" "ac84c07406" "baf803eeebf5" "f4ebfd") + MARK


def booted(command):
    """Whether the machine says the mark before it is ended."""
    machine = subprocess.Popen(
        command.split() + ["-accel", "tcg", "-m", "64", "-display", "none", "-serial", "stdio",
                           "-nodefaults", "-no-reboot"],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        preexec_fn=kurad.die_with_parent)
    said, end = b"", time.monotonic() + 60 * tool.SLOW
    try:
        while MARK.strip() not in said and time.monotonic() < end:
            if select.select([machine.stdout], [], [], 1)[0]:
                more = os.read(machine.stdout.fileno(), 4096)
                if not more:
                    break
                said += more
    finally:
        machine.kill()
        machine.wait()
        machine.stdout.close()
    return MARK.strip() in said, said.decode(errors="replace")


def test_boot():
    missing = [p for p in ("qemu-system-x86_64", "qemu-img") if not shutil.which(p)]
    if missing:
        tap.skip("QEMU boots from it", f"no {missing[0]} here")
        return
    with Box({"address": "127.0.0.1", "port": kurad.free_port()}) as box:
        box.follow(FIRST, blocks(FIRST, "run")[0])
        with open(box.k.path("boot.img"), "wb") as f:
            f.write(SECTOR.ljust(510, b"\0") + b"\x55\xaa")
            f.truncate(1 << 20)
        done = box.run(f"qemu-img convert -n -f raw -O raw {box.k.path('boot.img')} "
                       f"{box.k.url(TARGET)}")
        tap.check(done.code == 0, "an image goes on the disk", str(done))
        command = box.run(blocks(FIRST, "run")[1].strip()).out.strip()
        good, said = booted(command)
        tap.check(good, "QEMU boots from it by the command that kura connect prints",
                  command + "\n" + said)


def test_image():
    """A qcow2 made by qemu-img is imported, boots from the LUN, and comes back the same."""
    missing = [p for p in ("qemu-system-x86_64", "qemu-img") if not shutil.which(p)]
    if missing:
        tap.skip("QEMU boots from an image", f"no {missing[0]} here")
        return
    with Box({"address": "127.0.0.1", "port": kurad.free_port()}) as box:
        image, back = box.k.path("debian-12.qcow2"), box.k.path("vm1.qcow2")
        with open(box.k.path("boot.img"), "wb") as f:
            f.write(SECTOR.ljust(510, b"\0") + b"\x55\xaa")
            f.seek(20 << 20)
            f.write(os.urandom(1 << 20))
            f.truncate(32 << 20)
        box.run(f"qemu-img convert -c -f raw -O qcow2 {box.k.path('boot.img')} {image}")
        three, = blocks(FIRST, "image")
        tap.check(three.count("\n") == 3, "three commands make a disk that boots", three)
        box.follow(FIRST, three.replace("/srv/kura/debian-12.qcow2", image))
        good, said = booted(box.run(blocks(FIRST, "run")[1].strip()).out.strip())
        tap.check(good, "QEMU boots from the image on the LUN", said)
        text, = blocks(FIRST, "back")
        box.follow(FIRST, text.replace("/srv/kura/vm1.qcow2", back))
        done = box.run(f"qemu-img info {back} && qemu-img compare -f qcow2 -F qcow2 {image} {back}")
        tap.check(done.code == 0 and "file format: qcow2" in done.out and "identical" in done.out,
                  "what is exported again compares equal", str(done))


for test in (test_first, test_hosts, test_boot, test_image):
    test()
sys.exit(tap.done())
