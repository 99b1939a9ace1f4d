#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Images that name other files, as the real qemu-img makes them: what lies beside is imported with
them, and no name leads elsewhere; nor does what is exchanged or written while qemu-img reads."""

import fcntl
import os
import shutil
import socket
import struct
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import kurad  # noqa: E402
import tapout  # noqa: E402
import tool  # noqa: E402

SLOW = float(os.environ.get("KURA_TEST_SLOW", "1"))
MIB = 1 << 20
TEXT = kurad.config_text({"portals": [{"address": "127.0.0.1", "port": 0}],
                          "pools": [{"name": "p", "kind": "dir", "path": "@SCRATCH@/pool"}]})
# Looks as the real one does, but waits before it converts until it may.
HELD = """#!/bin/sh
if [ "$1" = convert ]; then
	: >"$SCRATCH/begun"
	until [ -e "$SCRATCH/go" ]; do sleep 0.05; done
fi
exec REAL "$@"
"""
tap = tapout.Tap()


def run(*args, cwd=None):
    done = subprocess.run(args, capture_output=True, text=True, cwd=cwd, timeout=60 * SLOW,
                          check=False)
    if done.returncode:
        raise RuntimeError(f"{args}: {done.stdout}{done.stderr}")
    return done.stdout


class Box(kurad.Kurad):
    """A kurad with a pool, and a directory with images."""

    def __init__(self, **more):
        super().__init__(TEXT, **more)
        for name in ("pool", "in", "out"):
            os.makedirs(self.path(name))
        self.disk = os.urandom(MIB) + bytes(2 * MIB) + os.urandom(MIB)
        self.write("out/disk", self.disk)
        self.count = 0

    def write(self, name, data):
        with open(self.path(name), "wb") as f:
            f.write(data)
        return self.path(name)

    def image(self, name, *options):
        """Made by qemu-img in the directory, of the disk."""
        run("qemu-img", "convert", "-f", "raw", *options, "../out/disk", name, cwd=self.path("in"))
        return self.path("in/" + name)

    def edited(self, name, old, new):
        with open(self.path("in/" + name), "rb") as f:
            data = f.read()
        if old not in data:
            raise RuntimeError(f"{name} has no {old}")
        return self.write("in/" + name, data.replace(old, new))

    def load(self, *args):
        self.count += 1
        return tool.Tool(self).run("volume", "import", f"v{self.count}", "--file", *args)

    def taken(self, name, *args):
        done = self.load(*args)
        got = b""
        if not done.code:
            with open(self.path(f"pool/v{self.count}"), "rb") as f:
                got = f.read()
        tap.check(not done.code and got == self.disk, name, str(done))

    def refused(self, name, text, *args):
        done = self.load(*args)
        notes = self.path("state/doing")
        left = [n for n in os.listdir(self.path("pool")) if n.startswith(f"v{self.count}")]
        left += os.listdir(notes) if os.path.exists(notes) else []
        tap.check(done.code == 1 and text in done.err and not left, name, f"{done}\nleft: {left}")


def flat(box, name="m"):
    return box.image(f"{name}.vmdk", "-O", "vmdk", "-o", "subformat=monolithicFlat")


def with_data(box, name, data):
    """A qcow2 whose bytes are in another file, which it calls `data`."""
    return box.image(name, "-O", "qcow2", "-o", f"data_file={data}")


def test_vmdk():
    with Box() as box:
        box.taken("a VMDK with its bytes beside it", flat(box))
        box.taken("the same, as it is said to be", box.path("in/m.vmdk"), "--format", "vmdk")
        for form in ("twoGbMaxExtentSparse", "twoGbMaxExtentFlat", "monolithicSparse",
                     "streamOptimized"):
            box.taken(form, box.image(form + ".vmdk", "-O", "vmdk", "-o", "subformat=" + form))
        beside = b'"m-flat.vmdk"'
        box.edited("m.vmdk", beside, f'"{box.path("in/m-flat.vmdk")}"'.encode())
        box.taken("by its whole path", box.path("in/m.vmdk"))
        box.edited("m.vmdk", box.path("in/m-flat.vmdk").encode(), b"./m-flat.vmdk")
        box.taken("or one from where it is", box.path("in/m.vmdk"))
        shutil.copy(box.path("out/disk"), box.path("out/secret"))
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(box.path("nbd"))
            server.listen()
            server.setblocking(False)
            for other, why in ((box.path("out/secret"), "same directory"),
                               ("../out/secret", "same directory"),
                               ("nbd:unix:" + box.path("nbd"), "same directory"),
                               ("nbd:unix:nbd", "No such file"), ("none", "No such file"),
                               ("json:{\\'driver\\':\\'null-co\\'}", "No such file"),
                               ("/proc/self/fd/3", "same directory"), (".", "is no file"),
                               ("/", "same directory")):
                flat(box, "o")
                box.edited("o.vmdk", b'"o-flat.vmdk"', f'"{other}"'.encode())
                box.refused("an extent of " + other.replace(box.scratch, ""), why,
                            box.path("in/o.vmdk"))
            try:
                server.accept()
                tap.check(False, "and nobody was asked for one")
            except BlockingIOError:
                tap.check(True, "and nobody was asked for one")


def test_vmdk_hidden():
    """What qemu-img would follow, and nobody writes."""
    with Box() as box:
        flat(box)
        box.edited("m.vmdk", b"# The Disk", b'parentFileNameHint="m.vmdk"\n# The Disk')
        box.refused("a description with a parent", "only what has changed", box.path("in/m.vmdk"))
        text = b'# Disk DescriptorFile\nversion=1\nCID=1\nparentCID=ffffffff\ncreateType=' \
               b'"monolithicFlat"\nRW 8192 FLAT "/etc/passwd" 0\n'
        hidden = b"KDMV" + struct.pack("<IIQQQQ", 1, 3, 0, 128, 1, 1) + bytes(512 - 44) + text
        box.write("in/hidden.vmdk", hidden + bytes(65536))
        box.refused("a description at a place of its own", "has no size",
                    box.path("in/hidden.vmdk"))
        box.write("in/parts.vmdk", text.replace(b'FLAT "/etc/passwd" 0', b'SPARSE "hidden.vmdk"'))
        box.refused("or in an extent", "without a size", box.path("in/parts.vmdk"))
        box.write("in/parts.vmdk", text.replace(b'FLAT "/etc/passwd" 0', b"ZERO"))
        box.refused("an extent that would be left out", "only VMware knows",
                    box.path("in/parts.vmdk"))
        box.write("in/parts.vmdk", text + b'RW 1 FLAT "parts.vmdk" 0\n' * 500)
        box.refused("a part elsewhere", "same directory", box.path("in/parts.vmdk"))
        box.write("in/parts.vmdk", text.replace(b"/etc/passwd", b"parts.vmdk") +
                  b'RW 1 FLAT "parts.vmdk" 0\n' * 500)
        box.refused("too many parts", "more than 400 files", box.path("in/parts.vmdk"))


def test_qcow2():
    with Box() as box:
        box.taken("a qcow2 with its bytes beside it", with_data(box, "d.qcow2", "d.raw"))
        box.taken("which has to be said in no way", box.path("in/d.qcow2"), "--format", "qcow2")
        box.taken("by its whole path", with_data(box, "e.qcow2", box.path("in/e.raw")))
        box.refused("in another directory", "same directory",
                    with_data(box, "f.qcow2", box.path("out/f.raw")))
        box.edited("d.qcow2", b"d.raw\0", b"nbd:x\0")
        box.refused("by a name of qemu's own", "nbd:x", box.path("in/d.qcow2"))
        box.image("base.qcow2", "-O", "qcow2")
        run("qemu-img", "create", "-f", "qcow2", "-b", "base.qcow2", "-F", "qcow2", "over.qcow2",
            cwd=box.path("in"))
        box.refused("one with a backing file, also beside it", "only what has changed since",
                    box.path("in/over.qcow2"))


def test_links():
    with Box() as box:
        box.write("out/secret", bytes(MIB))
        flat(box)
        with_data(box, "d.qcow2", "d.raw")
        for image, data in (("m.vmdk", "m-flat.vmdk"), ("d.qcow2", "d.raw")):
            os.unlink(box.path("in/" + data))
            os.symlink("../out/secret", box.path("in/" + data))
            box.refused(f"{image}: a link beside it", "symbolic link", box.path("in/" + image))
        os.symlink("../out/secret", box.path("in/link.raw"))
        box.refused("an image that is a link", "symbolic link", box.path("in/link.raw"))
        os.mkfifo(box.path("in/fifo"))
        box.refused("a pipe", "is no file", box.path("in/fifo"))
        os.symlink("in", box.path("way"))
        box.taken("a link on the way to its directory is as good as any",
                  box.image("q.qcow2", "-O", "qcow2").replace("/in/", "/way/"))


# ---- meanwhile


def can_lease(path):
    with open(path, "rb") as f:
        try:
            fcntl.fcntl(f, fcntl.F_SETLEASE, fcntl.F_RDLCK)
            return True
        except OSError:
            return False


def test_written_before():
    with Box() as box:
        image = box.image("q.qcow2", "-O", "qcow2")
        if not can_lease(image):
            tap.skip("an image that is open for writing", "no leases on this filesystem")
            return
        with open(image, "r+b"):
            box.refused("an image that is open for writing", "import it when it is whole", image)
        box.taken("and is not any more", image)


def appears(path):
    end = time.monotonic() + 60 * SLOW
    while not os.path.exists(path):
        if time.monotonic() > end:
            raise RuntimeError(f"{path} does not appear")
        time.sleep(0.02)


def overwrite(path):
    """As somebody who does not wait; where the kernel lets nobody write meanwhile, it tells."""
    try:
        fd = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
    except BlockingIOError:
        return
    os.pwrite(fd, b"x", 8)
    os.close(fd)


def exchange(path):
    os.rename(path, path + ".old")
    os.symlink("/etc/passwd", path)


def test_meanwhile():
    """qemu-img has looked, and has not begun to convert."""
    for what, act, refused in (("image", overwrite, True), ("part", overwrite, True),
                               ("image", exchange, False), ("part", exchange, False)):
        folder = kurad.scratch_folder()
        with open(os.path.join(folder, "qemu-img"), "w", encoding="utf-8") as f:
            f.write(HELD.replace("REAL", shutil.which("qemu-img")).replace("$SCRATCH", folder))
        os.chmod(os.path.join(folder, "qemu-img"), 0o755)
        try:
            with Box(env={"PATH": folder + ":" + os.environ["PATH"]}) as box:
                image = flat(box)
                asked = subprocess.Popen(
                    [tool.binary(), "--socket", box.path("control"), "volume", "import", "v",
                     "--file", image], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                    stderr=subprocess.PIPE, text=True)
                appears(os.path.join(folder, "begun"))
                act(image if what == "image" else box.path("in/m-flat.vmdk"))
                open(os.path.join(folder, "go"), "wb").close()
                said = asked.communicate(timeout=60 * SLOW)[1]
                got = None
                if os.path.exists(box.path("pool/v")):
                    with open(box.path("pool/v"), "rb") as f:
                        got = f.read()
                tap.check(asked.returncode == 1 and "written to meanwhile" in said and got is None
                          if refused else not asked.returncode and got == box.disk,
                          f"{act.__name__} the {what} meanwhile: " +
                          ("refused" if refused else "what was there is read"), said)
        finally:
            shutil.rmtree(folder)


if not shutil.which("qemu-img"):
    tap.skip("images that name files", "qemu-img is not here")
    sys.exit(tap.done())
for test in (test_vmdk, test_vmdk_hidden, test_qcow2, test_links, test_written_before,
             test_meanwhile):
    test()
sys.exit(tap.done())
