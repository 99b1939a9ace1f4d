# SPDX-License-Identifier: Apache-2.0
"""What a test machine with Linux's own initiator boots: Debian's whole kernel, and an initramfs
with open-iscsi, sg3-utils and smartctl, and what else a kit names.

The packages are fetched by apt-get and unpacked into a cache folder; nothing is installed.
"""

import collections
import fcntl
import glob
import lzma
import os
import re
import subprocess

import initrd

KERNEL = "linux-image-amd64"
TOOLS = ["open-iscsi", "sg3-utils", "lsscsi", "smartmontools"]
MODULES = ["virtio_pci", "virtio_net", "virtio_console", "iscsi_tcp", "sd_mod", "sg",
           "scsi_dh_alua", "ext4", "crc32c_generic"]
OF_THE_HOST = ["mkfs.ext4", "e2fsck", "blkdiscard", "fstrim"]
# What a machine is made of: packages, modules of the kernel, programs of this machine (those by
# path go to /kura), what programs load by name (paths below the packages' root, with wildcards),
# and who puts more into the archive.
Kit = collections.namedtuple("Kit", "name tools modules of_the_host loaded more", defaults=[None])
PLAIN = Kit("plain", TOOLS, MODULES, OF_THE_HOST, [])
LIBRARY_FOLDERS = ["usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu", "lib"]
XZ_MAGIC = b"\xfd7zXZ\0"


class NoMachine(Exception):
    """The packages of the test machine could not be had."""


# --- packages ---------------------------------------------------------------------------------


def _say(*command, cwd=None):
    try:
        return initrd.say(*command, cwd=cwd)
    except initrd.NoKernel as error:
        raise NoMachine(str(error)) from None


def _depends(package):
    return re.findall(r"^\s*\|?Depends: ([a-z0-9][\w.+-]*)$", _say("apt-cache", "depends", package),
                      re.MULTILINE)


def _wanted(kit):
    """The kernel that the metapackage stands for, the tools, and the libraries they name."""
    kernels = [p for p in _depends(KERNEL) if p.startswith("linux-image-")]
    wanted = set(kernels[:1] + kit.tools)
    for tool in kit.tools:
        wanted.update(p for p in _depends(tool) if p.startswith("lib"))
    wanted.add("libopeniscsiusr")
    return sorted(wanted)


def _download(folder, packages):
    os.makedirs(folder, exist_ok=True)
    have = {os.path.basename(p).split("_")[0] for p in glob.glob(os.path.join(folder, "*.deb"))}
    missing = [p for p in packages if p not in have]
    if missing:
        _say("apt-get", "download", *missing, cwd=folder)


def _fetch(cache, kit):
    """Downloads and unpacks; the mark is made last, so that half a cache is none."""
    folder = os.path.join(cache, "debs")
    try:
        _download(folder, _wanted(kit))
    except NoMachine:
        _say("apt-get", "update", "-q")
        _download(folder, _wanted(kit))
    root = os.path.join(cache, "root")
    for package in sorted(glob.glob(os.path.join(folder, "*.deb"))):
        _say("dpkg-deb", "-x", package, root)
    with open(os.path.join(cache, "complete-" + kit.name), "w", encoding="ascii") as f:
        f.write(" ".join(kit.tools))


def _unpack_kernel(image, out):
    """The ELF file inside a bzImage: QEMU starts it at once, with no unpacking under TCG."""
    with open(image, "rb") as f:
        data = f.read()
    at = data.find(XZ_MAGIC)
    if at < 0:
        return image
    with open(out, "wb") as f:
        f.write(lzma.LZMADecompressor().decompress(data[at:]))
    return out


# --- the initramfs ----------------------------------------------------------------------------


class Archive(initrd.Cpio):
    """A cpio archive that takes programs along with their libraries, each once."""

    def __init__(self, root):
        super().__init__()
        self.root = root
        self.taken = set()
        places = ":".join(os.path.join(root, p) for p in LIBRARY_FOLDERS)
        self.env = dict(os.environ, LD_LIBRARY_PATH=places)

    def _inside(self, path):
        """Where a file of the cache or of this machine stands in the guest."""
        if path.startswith(self.root + "/"):
            path = path[len(self.root):]
        return path.lstrip("/")

    def program(self, path, name=None):
        """A program of the cache or of this machine, where it stands there or under a name."""
        name = name or self._inside(path)
        if name in self.taken:
            return
        self.taken.add(name)
        self.file(name, path)
        done = subprocess.run(["ldd", path], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, env=self.env, timeout=30, check=False)
        if "not found" in done.stdout:
            raise NoMachine(f"{path} lacks libraries:\n{done.stdout}")
        for library in re.findall(r"(/\S+) \(0x", done.stdout):
            name = self._inside(library)
            if name not in self.taken:
                self.taken.add(name)
                self.file(name, library)


def _programs(root):
    """The tools out of the packages, scripts and what runs these left out."""
    for folder in ("sbin", "usr/sbin", "usr/bin"):
        for path in sorted(glob.glob(os.path.join(root, folder, "*"))):
            if os.path.islink(path) or not os.path.isfile(path) or "/python" in path:
                continue
            with open(path, "rb") as f:
                if f.read(4) == b"\x7fELF":
                    yield path


def _of_the_host(name):
    for folder in ("/usr/sbin/", "/sbin/", "/usr/bin/"):
        if os.path.exists(folder + name):
            return folder + name
    raise NoMachine(f"{name} is not on this machine")


def _initramfs(root, kit):
    archive = Archive(root)
    for name in ("bin", "dev", "proc", "sys", "mnt", "tmp", "run", "etc/iscsi", "var/lib/iscsi"):
        archive.folder(name)
    archive.file("init", os.path.join(initrd.HERE, "linux-init.sh"))
    archive.file("bin/busybox", "/bin/busybox")
    archive.file("etc/mke2fs.conf", "/etc/mke2fs.conf", 0o644)
    archive.file("etc/iscsi/iscsid.conf", os.path.join(root, "etc/iscsi/iscsid.conf"), 0o600)
    archive.text("etc/passwd", "root:x:0:0:root:/:/bin/sh\n")
    archive.text("etc/group", "root:x:0:\n")
    for path in _programs(root):
        archive.program(path)
    for pattern in kit.loaded:
        for path in sorted(glob.glob(os.path.join(root, pattern))):
            archive.program(path)
    for name in kit.of_the_host:
        if os.path.isabs(name):
            archive.program(name, "kura/" + os.path.basename(name))
        else:
            archive.program(_of_the_host(name))
    if kit.more:
        kit.more(archive)
    folder = glob.glob(os.path.join(root, "lib/modules/*"))[0]
    order = initrd.module_order(folder, kit.modules)
    for path in order:
        archive.file("modules/" + os.path.basename(path), path, 0o644)
    archive.text("modules/order", "".join(os.path.basename(p) + "\n" for p in order))
    return archive.bytes()


def _newer(path, *sources):
    return os.path.exists(path) and all(
        os.path.getmtime(path) >= os.path.getmtime(s) for s in sources)


def _is_complete(cache, kit):
    try:
        with open(os.path.join(cache, "complete-" + kit.name), encoding="ascii") as f:
            return f.read() == " ".join(kit.tools)
    except FileNotFoundError:
        return False


def _made(cache, kit):
    if not _is_complete(cache, kit):
        _fetch(cache, kit)
    root = os.path.join(cache, "root")
    kernel = os.path.join(cache, "vmlinux")
    if not os.path.exists(kernel):
        kernel = _unpack_kernel(sorted(glob.glob(os.path.join(root, "boot/vmlinuz-*")))[-1], kernel)
    archive = os.path.join(cache, "initramfs-" + kit.name)
    if not _newer(archive, *glob.glob(os.path.join(initrd.HERE, "*.py")),
                  os.path.join(initrd.HERE, "linux-init.sh"),
                  *filter(os.path.isabs, kit.of_the_host)):
        with open(archive + ".new", "wb") as f:
            f.write(_initramfs(root, kit))
        os.rename(archive + ".new", archive)
    return kernel, archive


def image(cache, kit=PLAIN):
    """(kernel, initramfs) of a kit, made in the cache folder when they are not there yet; machines
    of several kits may be made at the same time."""
    os.makedirs(cache, exist_ok=True)
    with open(os.path.join(cache, "lock"), "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return _made(cache, kit)
