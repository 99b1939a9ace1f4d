# SPDX-License-Identifier: Apache-2.0
"""Foreign clients other than iscsi-test-cu: libiscsi's tools and QEMU's iSCSI driver.

One kurad with LUNs of several kinds serves all of them; each function below is one TAP result.
"""

import os
import random
import re
import socket
import subprocess

import kurad

TARGET = "iqn.2026-11.kura.test:clients"
CLOSED = "iqn.2026-11.kura.test:closed"
SECONDS = 60 * float(os.environ.get("KURA_TEST_SLOW", "1"))
SIZE = 128 << 20
DISK, SECOND, BLOCKS_4K, READONLY, MEMORY = range(5)


class ClientFailed(Exception):
    """A client ended badly or said something else than it should."""


def have_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as s:
            s.bind(("::1", 0))
        return True
    except OSError:
        return False


def settings():
    """The volumes by LUN, and a target that nobody but a friend may use."""
    file = {"store": "file", "size": "128M"}
    volumes = [
        {"name": "disk", "path": "@SCRATCH@/disk.img", **file},
        {"name": "second", "path": "@SCRATCH@/second.img", **file},
        {"name": "fourk", "path": "@SCRATCH@/fourk.img", "block_size": 4096, **file},
        {"name": "fixed", "store": "mem", "size": "16M", "readonly": True},
        {"name": "memory", "store": "mem", "size": "64M"},
    ]
    luns = [{"lun": i, "volume": v["name"]} for i, v in enumerate(volumes)]
    targets = [
        {"name": TARGET, "luns": luns, "initiators": [{"name": "*"}]},
        {"name": CLOSED, "luns": [], "initiators": [{"name": "iqn.2026-11.kura.test:friend"}]},
    ]
    portals = [{"address": "127.0.0.1", "port": 0}]
    if have_ipv6():
        portals.append({"address": "::1", "port": 0})
    return kurad.config(volumes, targets, portals)


def run_client(*command, expect=0):
    """Runs it bounded in time; gives what it said on both outputs."""
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, errors="replace",
                              timeout=SECONDS, preexec_fn=kurad.die_with_parent)
    except subprocess.TimeoutExpired:
        raise ClientFailed(" ".join(command) + f": no end after {SECONDS} s") from None
    if (done.returncode != 0) != (expect != 0):
        raise ClientFailed(" ".join(command) + f": status {done.returncode}\n{done.stdout}")
    return done.stdout


def must_say(output, *patterns):
    for pattern in patterns:
        if not re.search(pattern, output):
            raise ClientFailed(f"nothing like {pattern} in:\n{output}")


def image(daemon, name, size, seed, formats="raw"):
    """A file with random stretches and holes; as raw, or turned into qcow2."""
    rng = random.Random(seed)
    path = daemon.path(name)
    with open(path, "wb") as f:
        f.truncate(size)
        for _ in range(24):
            length = rng.randrange(512, 1 << 19)
            f.seek(rng.randrange(0, size - length))
            f.write(rng.randbytes(length))
    if formats == "qcow2":
        run_client("qemu-img", "convert", "-f", "raw", "-O", "qcow2", path, path + ".qcow2")
        return path + ".qcow2"
    return path


def options(daemon, lun, **more):
    """The LUN as QEMU's --image-opts, where options have a place."""
    words = {"driver": "raw", "file.driver": "iscsi", "file.transport": "tcp",
             "file.portal": daemon.address, "file.target": TARGET, "file.lun": lun}
    words.update({"file." + k.replace("_", "-"): v for k, v in more.items()})
    return ",".join(f"{k}={v}" for k, v in words.items())


# --- libiscsi's tools -------------------------------------------------------------------------


def iscsi_ls(daemon):
    """iscsi-ls -s shows the target with all of its LUNs, and no other target"""
    out = run_client("iscsi-ls", "-s", f"iscsi://{daemon.address}")
    must_say(out, re.escape(TARGET), r"Lun:0\s+Type:DIRECT_ACCESS \(Size:1\d\dM\)",
             r"Lun:4\s+Type:DIRECT_ACCESS")
    if CLOSED in out:
        raise ClientFailed("shows a target that this initiator may not use:\n" + out)


def iscsi_ls_friend(daemon):
    """iscsi-ls of an initiator on the list shows its target too"""
    out = run_client("iscsi-ls", "-i", "iqn.2026-11.kura.test:friend", f"iscsi://{daemon.address}")
    must_say(out, re.escape(TARGET), re.escape(CLOSED))


def iscsi_inq(daemon):
    """iscsi-inq reads the standard data"""
    must_say(run_client("iscsi-inq", daemon.url(TARGET)), "DIRECT_ACCESS", "Vendor: *KURA",
             "Product: *VOLUME", "Removable:0")


def iscsi_inq_vpd(daemon):
    """iscsi-inq reads the VPD pages"""
    url = daemon.url(TARGET)
    pages = run_client("iscsi-inq", "-e", "1", "-c", "0", url)
    found = re.findall(r"Page:0x([0-9a-fA-F]{2})", pages)
    have = {int(p, 16) for p in found}
    wanted = {0x00, 0x80, 0x83, 0xB0, 0xB1, 0xB2}
    if not wanted <= have:
        raise ClientFailed(f"pages {sorted(wanted - have)} are missing in:\n{pages}")
    for page in sorted(wanted):  # of others the tool cannot read all
        run_client("iscsi-inq", "-e", "1", "-c", str(page), url)


def iscsi_readcapacity16(daemon):
    """iscsi-readcapacity16 reads the size, of 512 and of 4096-byte blocks"""
    for lun, block in ((DISK, 512), (BLOCKS_4K, 4096)):
        url = daemon.url(TARGET, lun)
        must_say(run_client("iscsi-readcapacity16", "-s", url), rf"^{SIZE}\s*$")
        must_say(run_client("iscsi-readcapacity16", url), f"BYTES:{block}",
                 f"ADDRESS:{SIZE // block - 1}")


def iscsi_swp(daemon):
    """iscsi-swp reads the software write protect bit, sets it, and it protects"""
    url = daemon.url(TARGET, MEMORY)
    must_say(run_client("iscsi-swp", url), "SWP:0")
    run_client("iscsi-swp", "--swp=on", url)
    must_say(run_client("iscsi-swp", url), "SWP:1")
    run_client("qemu-io", "-f", "raw", "-c", "write 0 4k", url, expect=1)
    run_client("iscsi-swp", "--swp=off", url)
    out = run_client("qemu-io", "-f", "raw", "-c", "write 0 4k", url)
    if "failed" in out:
        raise ClientFailed(out)


def iscsi_perf(daemon):
    """iscsi-perf reads at random for a second"""
    out = run_client("iscsi-perf", "-r", "-b", "8", "-m", "32", "-t", "1", daemon.url(TARGET))
    must_say(out, r"iops average\s+[1-9]|iops\s+[1-9]")


def refused(daemon):
    """an initiator that is not on the list is refused, with one line that says why"""
    run_client("iscsi-inq", daemon.url(CLOSED), expect=1)
    must_say(daemon.log(), rf"refused.*{re.escape(CLOSED)}")


# --- QEMU -------------------------------------------------------------------------------------


def write_read(daemon, source, form, lun, target):
    """The image to the LUN, compared there, and back into a file that is compared too."""
    back = daemon.path("back.raw")
    run_client("qemu-img", "convert", "-n", "-f", form, "-O", "raw", source, target)
    run_client("qemu-img", "compare", "-f", form, "-F", "raw", source, daemon.url(TARGET, lun))
    run_client("qemu-img", "convert", "-f", "raw", "-O", "raw", daemon.url(TARGET, lun), back)
    run_client("qemu-img", "compare", "-f", form, "-F", "raw", source, back)
    os.unlink(back)
    os.unlink(source)


def qemu_info(daemon):
    """qemu-img info"""
    must_say(run_client("qemu-img", "info", daemon.url(TARGET)), rf"\({SIZE} bytes\)")


def qemu_raw(daemon):
    """qemu-img writes a raw image, compares it, reads it back"""
    write_read(daemon, image(daemon, "a.raw", SIZE, 1), "raw", DISK, daemon.url(TARGET))


def qemu_qcow2(daemon):
    """qemu-img writes a qcow2 image, compares it, reads it back"""
    source = image(daemon, "b.raw", SIZE, 2, "qcow2")
    write_read(daemon, source, "qcow2", SECOND, daemon.url(TARGET, SECOND))


def qemu_4k(daemon):
    """qemu-img on a LUN of 4096-byte blocks"""
    write_read(daemon, image(daemon, "c.raw", SIZE, 3), "raw", BLOCKS_4K,
               daemon.url(TARGET, BLOCKS_4K))


def qemu_memory(daemon):
    """qemu-img on a LUN in memory"""
    write_read(daemon, image(daemon, "d.raw", 64 << 20, 4), "raw", MEMORY,
               daemon.url(TARGET, MEMORY))


def qemu_qcow2_inside(daemon):
    """qemu-img makes a qcow2 image on the LUN, fills it, checks it"""
    url = daemon.url(TARGET, SECOND)
    source = image(daemon, "e.raw", 64 << 20, 5)
    run_client("qemu-img", "create", "-f", "qcow2", url, "64M")
    run_client("qemu-img", "convert", "-n", "-f", "raw", "-O", "qcow2", source, url)
    run_client("qemu-img", "check", "-f", "qcow2", url)
    run_client("qemu-img", "compare", "-f", "raw", "-F", "qcow2", source, url)
    os.unlink(source)


def qemu_digest(daemon):
    """qemu-img with header digests"""
    source = image(daemon, "f.raw", SIZE, 6)
    opts = options(daemon, DISK, header_digest="crc32c")
    run_client("qemu-img", "convert", "-n", "-f", "raw", "--target-image-opts", source, opts)
    run_client("qemu-img", "compare", "--image-opts", "driver=raw,file.filename=" + source, opts)
    os.unlink(source)


def qemu_io(daemon):
    """qemu-io: writes, FUA, zeros, discard, flush, and what is read after each"""
    url = daemon.url(TARGET)
    out = run_client(
        "qemu-io", "-f", "raw", "-c", "write -P 0xa5 0 1M", "-c", "read -P 0xa5 0 1M",
        "-c", "write -f -P 0x5a 4k 4k", "-c", "read -P 0x5a 4k 4k", "-c", "read -P 0xa5 8k 4k",
        "-c", "write -z 64k 64k", "-c", "read -P 0 64k 64k", "-c", "write -z -u 128k 64k",
        "-c", "read -P 0 128k 64k", "-c", "discard 256k 256k", "-c", "read -P 0 256k 256k",
        "-c", "read -P 0xa5 512k 512k", "-c", "aio_write -P 0x11 1M 1M",
        "-c", "aio_read -P 0xa5 512k 4k", "-c", "aio_flush", "-c", "flush",
        "-c", "read -P 0x11 1M 1M", url)
    if re.search(r"verification failed|error|failed", out, re.I):
        raise ClientFailed(out)


def qemu_readonly(daemon):
    """a read-only LUN is read, and not written"""
    url = daemon.url(TARGET, READONLY)
    run_client("qemu-io", "-r", "-f", "raw", "-c", "read -P 0 0 1M", url)
    out = run_client("qemu-io", "-f", "raw", "-c", "write 0 4k", url, expect=1)
    must_say(out, "(?i)read.only|protect|permi")


def qemu_ipv6(daemon):
    """qemu-img over IPv6"""
    host, port = daemon.portals[1]
    url = f"iscsi://[{host}]:{port}/{TARGET}/{MEMORY}"
    source = image(daemon, "g.raw", 64 << 20, 7)
    run_client("qemu-img", "convert", "-n", "-f", "raw", "-O", "raw", source, url)
    run_client("qemu-img", "compare", "-f", "raw", "-F", "raw", source, url)
    must_say(run_client("iscsi-ls", f"iscsi://[{host}]:{port}"), re.escape(f"[::1]:{port},1"))
    os.unlink(source)


def two_at_once(daemon):
    """two clients write and compare different LUNs at the same time"""
    running = []
    for lun, seed in ((DISK, 8), (SECOND, 9)):
        source = image(daemon, f"h{lun}.raw", SIZE, seed)
        line = ('qemu-img convert -n -f raw -O raw "$0" "$1" && '
                'qemu-img compare -f raw -F raw "$0" "$1"')
        running.append(subprocess.Popen(
            ["sh", "-c", line, source, daemon.url(TARGET, lun)], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            preexec_fn=kurad.die_with_parent))
    for process in running:
        try:
            out, _ = process.communicate(timeout=SECONDS)
        finally:
            process.kill()
        if process.returncode:
            raise ClientFailed(out)


def restart(daemon):
    """what was written is there after a restart, under the same identity"""
    url = daemon.url(TARGET)
    before = run_client("iscsi-inq", "-e", "1", "-c", str(0x83), url)
    run_client("qemu-io", "-f", "raw", "-c", "write -P 0x77 3M 1M", url)
    daemon.restart()
    url = daemon.url(TARGET)
    out = run_client("qemu-io", "-f", "raw", "-c", "read -P 0x77 3M 1M", url)
    if "failed" in out:
        raise ClientFailed(out)
    after = run_client("iscsi-inq", "-e", "1", "-c", str(0x83), url)
    if before != after:
        raise ClientFailed(f"VPD page 83 was\n{before}\nand is\n{after}")


ALL = [iscsi_ls, iscsi_ls_friend, iscsi_inq, iscsi_inq_vpd, iscsi_readcapacity16, iscsi_swp,
       iscsi_perf, refused, qemu_info, qemu_raw, qemu_qcow2, qemu_4k, qemu_memory,
       qemu_qcow2_inside, qemu_digest, qemu_io, qemu_readonly, qemu_ipv6, two_at_once, restart]


def run_each(tap, daemon, only):
    for test in ALL:
        name = "client: " + test.__doc__.strip()
        if only and only not in name and only not in test.__name__:
            continue
        if test is qemu_ipv6 and not have_ipv6():
            tap.skip(name, "this machine has no IPv6")
            continue
        try:
            test(daemon)
            tap.ok(name)
        except ClientFailed as error:
            tap.not_ok(name, str(error))
        if not daemon.alive():
            raise kurad.KuradFailed("kurad is gone\n" + daemon.log_tail())


def run(tap, only=None):
    """All of them, on one kurad."""
    if only and not any(only in t.__name__ or only in t.__doc__ for t in ALL):
        return
    try:
        with kurad.Kurad(settings()) as daemon:
            run_each(tap, daemon, only)
    except kurad.KuradFailed as error:
        tap.not_ok("client: kurad starts, stays and stops well", str(error))
