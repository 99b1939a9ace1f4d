# SPDX-License-Identifier: Apache-2.0
"""The test machine's kernel and its initramfs, made without touching the system.

The kernel is Debian's cloud kernel, unpacked into a cache folder; the initramfs holds busybox,
mke2fs with its libraries, the few modules that are not built in, and guest-init.sh.
"""

import glob
import os
import re
import subprocess

META = "linux-image-cloud-amd64"
MODULES = ["virtio_pci", "virtio_blk", "virtio_scsi", "sd_mod", "ext4", "crc32c_generic"]
HERE = os.path.dirname(os.path.abspath(__file__))


class NoKernel(Exception):
    """The kernel package could not be had."""


def say(*command, cwd=None):
    done = subprocess.run(command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, timeout=300, check=False)
    if done.returncode:
        raise NoKernel(" ".join(command) + ":\n" + done.stdout)
    return done.stdout


def _package():
    """The package that the metapackage stands for at present."""
    out = say("apt-cache", "depends", META)
    found = re.search(r"Depends: (linux-image-\S+)", out)
    if not found:
        raise NoKernel(f"{META} depends on no kernel:\n{out}")
    return found[1]


def _unpacked(cache):
    kernels = sorted(glob.glob(os.path.join(cache, "root/boot/vmlinuz-*")))
    return kernels[-1] if kernels else None


def kernel(cache):
    """(vmlinuz, folder of its modules), fetched into the cache when it is not there yet."""
    os.makedirs(cache, exist_ok=True)
    image = _unpacked(cache)
    if image is None:
        try:
            say("apt-get", "download", _package(), cwd=cache)
        except NoKernel:
            say("apt-get", "update", "-q")
            say("apt-get", "download", _package(), cwd=cache)
        package = sorted(glob.glob(os.path.join(cache, "linux-image-*.deb")))[-1]
        say("dpkg-deb", "-x", package, os.path.join(cache, "root"))
        image = _unpacked(cache)
    version = os.path.basename(image)[len("vmlinuz-"):]
    return image, os.path.join(cache, "root/lib/modules", version)


# --- modules: what they need comes first ------------------------------------------------------


def _module_files(folder):
    files = {}
    for base, _, names in os.walk(folder):
        for name in names:
            if name.endswith(".ko"):
                files[name[:-3].replace("-", "_")] = os.path.join(base, name)
    return files


def _needs(path):
    with open(path, "rb") as f:
        found = re.search(rb"\0depends=([^\0]*)\0", f.read())
    return [n.replace("-", "_") for n in found[1].decode().split(",") if n] if found else []


def _soft_needs(name):
    # virtio_pci loads these by name and not by symbol in some versions
    return ["virtio_pci_modern_dev", "virtio_pci_legacy_dev"] if name == "virtio_pci" else []


def module_order(folder, names=tuple(MODULES)):
    """Paths of the named modules that are not built in, in the order in which they load."""
    files = _module_files(folder)
    order = []

    def add(name):
        if name not in files or files[name] in order:
            return
        for need in _needs(files[name]) + _soft_needs(name):
            add(need)
        if files[name] not in order:
            order.append(files[name])

    for name in names:
        add(name)
    return order


# --- the archive (cpio, "newc") ---------------------------------------------------------------


class Cpio:
    """Collects files; bytes() is the archive."""

    def __init__(self):
        self.out = bytearray()
        self.inode = 0
        self.folders = set()

    def _entry(self, name, mode, data):
        self.inode += 1
        raw = name.encode() + b"\0"
        fields = (self.inode, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(raw), 0)
        self.out += b"070701" + b"".join(b"%08x" % f for f in fields) + raw
        self.out += bytes(-len(self.out) % 4)
        self.out += data
        self.out += bytes(-len(self.out) % 4)

    def folder(self, name):
        if not name or name in self.folders:
            return
        self.folder(os.path.dirname(name))
        self.folders.add(name)
        self._entry(name, 0o040755, b"")

    def file(self, name, source, mode=0o755):
        self.folder(os.path.dirname(name))
        with open(source, "rb") as f:
            self._entry(name, 0o100000 | mode, f.read())

    def text(self, name, text):
        self.folder(os.path.dirname(name))
        self._entry(name, 0o100644, text.encode())

    def bytes(self):
        self._entry("TRAILER!!!", 0, b"")
        return bytes(self.out)


def _with_libraries(cpio, program, name):
    cpio.file(name, program)
    for path in re.findall(r"(/\S+) \(0x", say("ldd", program)):
        if path[1:] not in cpio.folders:
            cpio.folders.add(path[1:])
            cpio.file(path[1:], path)


def initramfs(modules_folder):
    """The archive's bytes."""
    cpio = Cpio()
    for name in ("bin", "dev", "proc", "sys", "mnt", "run", "etc"):
        cpio.folder(name)
    cpio.file("init", os.path.join(HERE, "guest-init.sh"))
    cpio.file("bin/busybox", "/bin/busybox")
    _with_libraries(cpio, "/sbin/mkfs.ext4", "bin/mkfs.ext4")
    cpio.file("etc/mke2fs.conf", "/etc/mke2fs.conf", 0o644)
    order = module_order(modules_folder)
    for path in order:
        cpio.file("modules/" + os.path.basename(path), path, 0o644)
    cpio.text("modules/order", "".join(os.path.basename(p) + "\n" for p in order))
    return cpio.bytes()
