#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Verbs of pools and volumes: from nothing to a LUN that other people's clients use, growing under
I/O, and each verb killed at each of its steps: what a restart finds is the old or the new state."""

import json
import os
import shutil
import subprocess
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import inquiry  # noqa: E402
import kurad  # noqa: E402
import tapout  # noqa: E402
import tool  # noqa: E402
from guest import wait_for  # noqa: E402
from initiator import GOOD, Initiator, read10, write10  # noqa: E402

HOST = "iqn.2026-11.kura.test:host"
SLOW = float(os.environ.get("KURA_TEST_SLOW", "1"))
MIB = 1 << 20
EMPTY = kurad.config_text({"portals": [{"address": "127.0.0.1", "port": 0}]})
POOLED = EMPTY + kurad.config_text({"pools": [{"name": "p", "kind": "dir",
                                               "path": "@SCRATCH@/pool"}]})
tap = tapout.Tap()
schema = tool.Tool()("help --schema").json()


class Box(kurad.Kurad):
    """A kurad with the tool for it; every answer is held against its schema."""

    def __init__(self, text=POOLED, **more):
        super().__init__(text, **more)
        os.makedirs(self.path("pool"))
        self.tool = tool.Tool(self)

    def ask(self, line):
        """(exit status, answer or sentence)"""
        verb = next(v for v in sorted(schema, key=len, reverse=True)
                    if line == v or line.startswith(v + " "))
        done = self.tool.run(*line.split(), "--json")
        if done.code:
            try:
                return done.code, json.loads(done.err)["message"]
            except (ValueError, KeyError):
                return done.code, done.err
        wrong = tool.fits(schema[verb]["result"], done.json())
        if wrong:
            raise AssertionError(f"{verb}: {wrong}\n{done.out}")
        return 0, done.json()

    def must(self, line):
        code, answer = self.ask(line)
        if code:
            raise AssertionError(f"kura {line}: exit {code}: {answer}\n{self.log_tail()}")
        return answer

    def done(self, name, line, **members):
        code, answer = self.ask(line)
        tap.check(code == 0 and all(answer.get(k) == v for k, v in members.items()), name,
                  f"exit {code}: {answer}")
        return answer

    def refused(self, name, code, text, line):
        got, answer = self.ask(line)
        tap.check(got == code and text in str(answer), name, f"exit {got}: {answer}")

    def state(self):
        """Everything that a verb may change: what is served, what is written, what is there."""
        volumes = [(v["volume"], v["size"], v["uuid"], v["mapped"])
                   for v in self.must("volume list --all")["volumes"]]
        with open(self.path("state/managed.conf"), encoding="utf-8") as f:
            written = f.read()
        return sorted(volumes), written, sorted(os.listdir(self.path("pool")))

    def is_wiping(self):
        """What is deleted is wiped behind the back of whoever starts kurad again."""
        return any(name.startswith(".kura:wipe:") for name in os.listdir(self.path("pool")))


def run(*args):
    done = subprocess.run(args, capture_output=True, encoding="latin-1",
                          timeout=60 * SLOW, check=False)
    return done.returncode == 0, done.stdout + done.stderr


def share(box, volume):
    """The URL of a volume that the host may use from now on."""
    target = box.must(f"share {volume} --to {HOST}")["target"]
    return target, f"iscsi://{box.address}/{target}/0"


# --- from nothing ---------------------------------------------------------------------------


def test_pools():
    with Box(EMPTY) as box:
        box.refused("no volume without a pool", 2, "kura pool add", "volume create a --size 1M")
        box.refused("a directory needs a path", 1, "path", "pool add q --kind dir")
        box.refused("a kind that is none", 2, "did you mean \"dir\"", "pool add q --kind dirr --path /x")
        box.refused("a folder that cannot be made", 1, "cannot be made",
                    f"pool add q --kind dir --path {box.path('a/b/c')}")
        tap.check(not box.must("pool list")["pools"], "nothing of it is left")
        path = box.path("new")
        box.done("a pool is added, its directory made", f"pool add q --kind dir --path {path}",
                 changed=True)
        box.done("again is fine if said so", f"pool add q --kind dir --path {path} --if-not-exists",
                 changed=False)
        box.refused("and is not else", 6, "there is one", f"pool add q --kind dir --path {path}")
        box.refused("nor by another name", 1, "pool \"q\"", f"pool add r --kind dir --path {path}")
        box.refused("nor in other words", 1, "pool \"q\"", f"pool add r --kind dir --path {path}/./")
        os.symlink(path, box.path("link"))
        box.refused("nor by a link", 1, "is pool q already",
                    f"pool add r --kind dir --path {box.path('link')}")
        os.unlink(box.path("link"))
        answer = box.done("show", "pool show q", kind="dir", path=path, state="ok")
        tap.check("make" in answer["can"] and answer["size"] > 0, "says what it can", str(answer))
        box.must("volume create a --size 1M")
        box.refused("a pool with volumes stays", 4, "\"a\"", "pool remove q")
        box.restart()
        tap.check([p["pool"] for p in box.must("pool list")["pools"]] == ["q"],
                  "it is there after a restart")
        box.must("volume forget a")
        box.done("without them it goes", "pool remove q", changed=True)
        box.refused("once", 3, "there is none", "pool remove q")
        box.done("unless that is fine", "pool remove q --if-exists", changed=False)
        answer = box.done("it comes back with its volumes",
                          f"pool import q --kind dir --path {path}", volumes=1)
        tap.check(box.must("volume show a")["pool"] == "q", "that can be used at once")


def test_create():
    with Box() as box:
        answer = box.done("a volume is made", "volume create a --size 8M", volume="a", pool="p",
                          size=8 * MIB)
        box.refused("once", 6, "there is one", "volume create a --size 8M")
        box.done("unless that is fine", "volume create a --size 8M --if-not-exists", changed=False)
        box.refused("a size that is none", 2, "size", "volume create b --size 8Q")
        box.refused("no whole blocks", 2, "block size", "volume create b --size 1000")
        box.refused("a pool that is none", 3, "there is none", "volume create b --size 1M --pool x")
        box.refused("thin and thick", 2, "only be one", "volume create b --size 1M --thin --thick")
        box.must("volume create thick --size 2M --thick")
        answer = box.must("volume show thick")
        tap.check(answer["allocated"] >= 2 * MIB and not answer["thin"], "thick has its space",
                  str(answer))
        box.must("volume create wide --size 4M --block-size 4096")
        target, _url = share(box, "a")
        shown = box.must("volume show a")
        tap.check(shown["mapped"] == [f"{target} LUN 0"] and not shown["users"], "show says where",
                  str(shown))
        told = inquiry.Disk(box.address, target, 0, HOST).naa
        tap.check(told == shown["naa"], "and what it is called", f"{shown['naa']} told as {told}")
        ok, text = run("qemu-img", "info", "--image-opts", "driver=iscsi,transport=tcp,"
                       f"portal={box.address},target={target},lun=0,initiator-name={HOST}")
        tap.check(ok and "8 MiB" in text, "QEMU sees its size", text)
        box.restart()
        again = box.must("volume show a")
        tap.check(again["uuid"] == shown["uuid"] and again["mapped"] == shown["mapped"],
                  "and all of it is there after a restart", str(again))


def test_delete():
    with Box() as box:
        box.must("volume create a --size 4M")
        target, _url = share(box, "a")
        host = Initiator(box.portals[0], target, isid=1, name=HOST)
        box.refused("a volume in use stays", 4, HOST, "volume delete a --yes")
        tap.check(box.must("volume show a")["users"] == [HOST], "show says who uses it")
        box.refused("and nothing goes that nobody has meant", 2, "Say --yes",
                    "volume delete a --force")
        code, text = tool.on_terminal(box.tool, "volume delete a --force", "n\n")
        tap.check(code == 1 and "volume delete a:" in text and "Nothing brings back" in text and
                  "Go on? [y/N]" in text and "nothing was done" in text, "on a terminal it asks", text)
        tap.check(box.must("volume show a")["users"] == [HOST], "no is no")
        box.refused("and is not renamed", 4, target, "volume rename a b")
        box.refused("nor made smaller", 4, target, "volume shrink a 1M --force")
        box.done("by force it goes", "volume delete a --yes --force --wipe", changed=True)
        tap.check(not os.listdir(box.path("pool")), "with its bytes",
                  str(os.listdir(box.path("pool"))))
        host.close()
        box.refused("once", 3, "there is none", "volume delete a --yes")
        box.done("unless that is fine", "volume delete a --yes --if-exists", changed=False)
        box.must("volume create a --size 4M")
        code, text = tool.on_terminal(box.tool, "volume delete a", "y\n")
        tap.check(code == 0 and not os.listdir(box.path("pool")), "yes is yes", text)
        box.must("volume create b --size 4M")
        uuid = box.must("volume show b")["uuid"]
        box.done("rename", "volume rename b c", volume="c")
        tap.check(box.must("volume show c")["uuid"] == uuid, "keeps its identity")
        box.refused("a size that loses bytes", 2, "--force", "volume shrink c 2M")
        box.done("shrink", "volume shrink c -2M --force", size=2 * MIB)
        box.refused("larger is not smaller", 2, "less", "volume shrink c 8M --force")
        box.done("forget", "volume forget c", changed=True)
        tap.check(not box.must("volume list")["volumes"], "is not served")
        box.refused("of a pool that is none", 3, "there is none", "volume list --pool nix")
        tap.check([v["volume"] for v in box.must("volume list --all")["volumes"]] == ["c"],
                  "but in its pool")
        box.done("adopt", "volume adopt c", changed=True)
        tap.check(box.must("volume show c")["uuid"] == uuid, "is the same again")
        with open(box.path("pool/found"), "wb") as f:
            f.truncate(MIB)
        box.done("a file is adopted", "volume adopt found", changed=True)


def test_human():
    text = POOLED + kurad.config_text({"volumes": [{"name": "h", "store": "mem", "size": "4M"}]})
    with Box(text) as box:
        for line in ("volume grow h 8M", "volume rename h i", "volume delete h --yes", "pool remove p"):
            box.refused(f"{line}: the file's", 1, box.config_path, line)


# --- growing under I/O ----------------------------------------------------------------------


class Writer(threading.Thread):
    """Writes the first MiB again and again until it is told to stop; counts, and notes errors."""

    def __init__(self, box, target):
        super().__init__()
        self.session = Initiator(box.portals[0], target, isid=9, name=HOST)
        self.count, self.wrong, self.told = 0, "", []
        self.ending = False

    def run(self):
        while not self.ending and not self.wrong:
            status, sense, _data = self.session.command(
                write10(self.count % 256 * 8, 8), write=bytes([self.count % 256]) * 4096)
            if status != GOOD:
                self.told.append(sense)
            self.count += status == GOOD
            if len(self.told) > 20:
                self.wrong = str(self.told)

    def stop(self):
        self.ending = True
        self.join()
        self.session.close()


def test_grow():
    with Box() as box:
        box.must("volume create a --size 8M")
        target, url = share(box, "a")
        writer = Writer(box, target)
        writer.start()
        box.done("a volume grows under I/O", "volume grow a +8M", size=16 * MIB)
        before = writer.count
        box.done("to what it has", "volume grow a 16M", changed=False)
        box.refused("less is not larger", 2, "more", "volume grow a 1M")
        box.refused("no size", 2, "is no size", "volume grow a +x")
        while writer.count < before + 50 and writer.is_alive() and not writer.wrong:
            pass
        writer.stop()
        tap.check(writer.count > before and writer.told.count((6, 0x2A, 0x09)) == 1
                  and len(writer.told) <= 2, "its writer is told once (2A/09) and goes on",
                  f"{writer.count} {writer.told}")
        ok, text = run("iscsi-readcapacity16", "-i", HOST, url)
        tap.check(ok and "16777216" in text.replace("\n", " "), "others see the size", text)
        box.restart()
        tap.check(box.must("volume show a")["size"] == 16 * MIB, "also after a restart")


# --- snapshots, clones ----------------------------------------------------------------------


class Rounds(threading.Thread):
    """Writes its 64 blocks of 4 KiB in order, round after round, each with the round's number: at
    any moment the first so many have one round, the others the one before."""

    def __init__(self, box, target, number):
        super().__init__()
        self.session = Initiator(box.portals[0], target, isid=20 + number, name=HOST)
        self.first = number * 64
        self.rounds, self.wrong = 0, ""
        self.ending = threading.Event()

    def run(self):
        self.session.settle()
        while not self.ending.is_set() and not self.wrong:
            self.rounds += 1
            for block in range(64):
                status, sense, _data = self.session.command(
                    write10((self.first + block) * 8, 8), write=bytes([self.rounds % 256]) * 4096)
                if status != GOOD:
                    self.wrong = f"{status} {sense}"

    def torn(self, image):
        """What of its blocks in an image is of no single moment; None: nothing."""
        blocks = [image[(self.first + i) * 4096:(self.first + i + 1) * 4096] for i in range(64)]
        seen = [b[0] for b in blocks]
        whole = all(b == bytes([b[0]]) * 4096 for b in blocks)
        last = seen[0]
        edge = next((i for i, n in enumerate(seen) if n != last), 64)
        ok = whole and all(n == (last - 1) % 256 for n in seen[edge:])
        return None if ok else str(seen)


def on_reflinks(box):
    """Has the pool of a box on an XFS of its own; what is missing for that, or nothing."""
    image = box.path("xfs")
    with open(image, "wb") as f:
        f.truncate(400 * MIB)
    mount = f"mount -t xfs -o loop {image} {box.path('pool')}"
    if os.geteuid() or not shutil.which("mkfs.xfs"):
        return "root and mkfs.xfs are needed"
    ok, text = run("mkfs.xfs", "-q", "-f", "-m", "reflink=1", image)
    ok = ok and run("unshare", "-m", "sh", "-c", mount)[0]
    box.wrap = ["unshare", "-m", "sh", "-c", mount + ' && exec "$@"', "sh"]
    return None if ok else "no loop device can be mounted: " + text


def test_snapshots():
    box = Box()
    missing = on_reflinks(box)
    if missing:
        box.cleanup()
        tap.skip("snapshots on a filesystem with reflinks", missing)
        return
    with box:
        box.must("volume create a --size 16M")
        target, url = share(box, "a")
        writers = [Rounds(box, target, i) for i in range(4)]
        for w in writers:
            w.start()
        held = []
        for i in range(10):
            held.append(box.must(f"volume snapshot a s{i}")["held_ns"])
            before = [w.rounds for w in writers]
            while any(w.rounds < n + 2 and w.is_alive() for w, n in zip(writers, before)):
                pass
        for w in writers:
            w.ending.set()
        for w in writers:
            w.join()
        tap.note(f"ten snapshots under four writers: writes were held for {max(held) // 1000} us "
                 f"at most, {sum(held) // len(held) // 1000} us on average")
        tap.check(not any(w.wrong for w in writers), "ten snapshots under I/O; it goes on",
                  str([w.wrong for w in writers]))
        images = []
        for i in range(10):
            box.must(f"volume export s{i} --file {box.path(f's{i}.raw')} --format raw")
            with open(box.path(f"s{i}.raw"), "rb") as f:
                images.append(f.read())
        torn = [w.torn(image) for image in images for w in writers]
        tap.check(not any(torn), "each is of one moment", str([t for t in torn if t]))
        tap.check(len(set(images)) == 10, "and they differ")
        box.refused("a snapshot has a name of its own", 6, "s0", "volume snapshot a s0")
        box.refused("which no volume has", 6, "there is one", "volume snapshot a a")
        shown = box.must("volume show a")
        tap.check(shown["snapshots"] == [f"s{i}" for i in range(10)], "show lists them", str(shown))
        box.done("a clone of one", "volume clone s3 c", volume="c")
        tap.check(same(box, "c", box.path("s3.raw")), "is served with its bytes")
        box.done("a clone of what is mapped", "volume clone a d", volume="d")
        box.refused("no way back while it is mapped", 4, target, "volume revert a s3")
        for w in writers:
            w.session.close()
        box.must(f"target delete {target} --force")
        box.done("without that", "volume revert a s3")
        tap.check(same(box, "a", box.path("s3.raw")), "it is what it was")
        box.refused("not to a snapshot of another", 2, "no snapshot of it", "volume revert c s3")
        box.done("a snapshot is served", "volume adopt s5", changed=True)
        tap.check(same(box, "s5", box.path("s5.raw")), "as it is")
        box.refused("and is not reverted to then", 4, "forget", "volume revert a s5")
        box.must("volume forget s5")
        box.done("deleted", "volume delete s5 --yes", changed=True)
        box.must(f"share a --to {HOST}")
        box.done("an image of what is mapped", f"volume export a --file {box.path('a.qcow2')}")
        tap.check(same(box, "a", box.path("a.qcow2")) and
                  not [v for v in box.must("volume list --all")["volumes"] if "export" in v["volume"]],
                  "is of a snapshot that is gone")


def same(box, volume, image):
    """Whether a volume has the bytes of an image, as an initiator reads them."""
    before = box.must(f"volume show {volume}")["mapped"]
    target = box.must(f"share {volume} --to {HOST}")["target"]
    reader = Initiator(box.portals[0], target, isid=77, name=HOST)
    reader.settle()
    raw = box.path("compare.raw")
    ok, _text = run("qemu-img", "convert", "-O", "raw", image, raw)
    with open(raw, "rb") as f:
        wanted = f.read()
    size = box.must(f"volume show {volume}")["size"]
    got = b"".join(reader.command(read10(lba, 256), read=256 * 512)[2]
                   for lba in range(0, size // 512, 256))
    reader.close()
    os.unlink(raw)
    if not before:
        box.must(f"target delete {target} --force")
    return ok and got == wanted


# --- images ---------------------------------------------------------------------------------


def make_image(box):
    """A disk of 8 MiB with something in it, as raw bytes and as QEMU's own format."""
    raw, qcow2 = box.path("disk.raw"), box.path("disk.qcow2")
    with open(raw, "wb") as f:
        f.truncate(8 * MIB)
        for at in (0, 12345, 3 * MIB, 8 * MIB - 5000):
            f.seek(at)
            f.write(os.urandom(5000))
    run("qemu-img", "convert", "-f", "raw", "-O", "qcow2", "-c", raw, qcow2)
    return raw, qcow2


def test_images():
    with Box() as box:
        raw, qcow2 = make_image(box)
        box.done("a qcow2 is imported", f"volume import a --file {qcow2}", size=8 * MIB)
        tap.check(same(box, "a", raw), "and served with its bytes")
        shown = box.must("volume show a")
        tap.check(shown["allocated"] < 4 * MIB, "what is zero takes no space", str(shown))
        share(box, "a")
        box.refused("one that is written is not exported", 4, "--force",
                    f"volume export a --file {box.path('no.qcow2')}")
        tap.check(not os.path.exists(box.path("no.qcow2")), "nothing is left of that")
        box.must(f"target delete {box.must('volume show a')['mapped'][0].split()[0]}")
        for kind in ("raw", "qcow2", "vhd", "vhdx", "vmdk"):
            image = box.path("out." + kind)
            box.done(f"exported as {kind}", f"volume export a --file {image} --format {kind}")
            name = "vpc" if kind == "vhd" else kind
            ok, text = run("qemu-img", "compare", "-f", "raw", "-F", name, raw, image)
            tap.check(ok, "compares equal", text)
            box.done(f"imported from {kind}", f"volume import i{kind} --file {image} --format {kind}")
            there = "driver=raw,file.driver=file,file.locking=off,file.filename="
            ok, text = run("qemu-img", "compare", "--image-opts", there + raw,
                           there + box.path(f"pool/i{kind}"))
            tap.check(ok, "compares equal", text)
        box.refused("a file that is there", 6, "--replace", f"volume export a --file {raw}")
        box.refused("a file that is not", 3, "No such file", "volume import x --file /nowhere/x")
        box.refused("a name that is taken", 6, "there is one", f"volume import a --file {qcow2}")
        with open(box.path("junk"), "wb") as f:
            f.write(b"KDMV" + b"x" * 100)
        box.refused("what is no image", 1, "junk", f"volume import x --file {box.path('junk')} --format qcow2")
        over = box.path("over.qcow2")
        run("qemu-img", "create", "-f", "qcow2", "-b", "/etc/hostname", "-F", "raw", over)
        box.refused("an image that names another file", 1, "changed since",
                    f"volume import x --file {over}")
        tap.check(sorted(os.listdir(box.path("pool"))) == sorted(
            [n + e for n in ("a", "iraw", "iqcow2", "ivhd", "ivhdx", "ivmdk") for e in ("", ".kura")])
                  and not os.listdir(box.path("state/doing")), "nothing is left of these",
                  str(os.listdir(box.path("pool"))))
        box.done("a copy", "volume clone a b", volume="b", size=8 * MIB)
        tap.check(same(box, "b", raw), "has its bytes")
        share(box, "a")
        box.refused("not of what is written", 4, "lun remove", "volume clone a c")
        box.refused("no snapshots on this filesystem", 1, "snapshot", "volume snapshot a s")


# --- jobs that are cancelled ------------------------------------------------------------------


def slow_qemu_img(folder):
    """A qemu-img in `folder` that is the real one, but converts 1 MiB in a minute."""
    path = os.path.join(folder, "qemu-img")
    with open(path, "w", encoding="utf-8") as f:
        f.write("#!/bin/sh\n[ \"$1\" = convert ] && shift && set -- convert -r 17K \"$@\"\n"
                f"exec {shutil.which('qemu-img')} \"$@\"\n")
    os.chmod(path, 0o755)


def cancelled(box, method, **params):
    """Begins a job and cancels it at once; what is known of it when it has ended."""
    asker = tool.Asker(box.path("control"))
    job = asker.call(method, **params)["result"]["job"]
    asker.call("job cancel", job=job)
    asker.close()
    while True:
        shown = box.must(f"job show {job}")
        if shown["state"] != "running":
            return shown


def test_cancel():
    bin_folder = kurad.scratch_folder()
    slow_qemu_img(bin_folder)
    with Box(env={"PATH": bin_folder + ":" + os.environ["PATH"]}) as box:
        with open(box.path("disk"), "wb") as f:
            f.write(os.urandom(4 * MIB))
        box.must("volume create big --size 192M --thick")
        with open(box.path("pool/big"), "r+b") as f:
            for _ in range(192):
                f.write(os.urandom(MIB))
        before = box.state()
        shown = cancelled(box, "volume import", volume="new", file=box.path("disk"), format="raw")
        tap.check(shown["state"] == "cancelled" and shown["why"], "an import is cancelled",
                  str(shown))
        tap.check(box.state() == before and not os.listdir(box.path("state/doing")),
                  "nothing is left of it", str(box.state()))
        shown = cancelled(box, "volume export", volume="big", file=box.path("out.qcow2"))
        tap.check(shown["state"] == "cancelled", "an export is cancelled", str(shown))
        tap.check(not [n for n in os.listdir(box.scratch) if n.startswith("out.qcow2")] and
                  box.state() == before and not os.listdir(box.path("state/doing")),
                  "nothing is left of it", str(os.listdir(box.scratch)))
        for _ in range(5):  # the copy may be quicker than who cancels it
            shown = cancelled(box, "volume clone", source="big", volume="new")
            if shown["state"] != "done":
                break
            box.must("volume delete new --yes")
        tap.check(shown["state"] == "cancelled", "a clone is cancelled", str(shown))
        tap.check(box.state() == before and not os.listdir(box.path("state/doing")),
                  "nothing is left of it", str(box.state()))
        code, answer = box.ask(f"job cancel {shown['job']}")
        tap.check(code == 0 and answer["state"] == "cancelled", "a job that has ended stays so",
                  str(answer))
        box.done("the same name is free", "volume create new --size 1M")
        waited(box)
    shutil.rmtree(bin_folder)


def waited(box):
    """A job that nobody stayed with is taken up again, and waiting ends as it does."""
    box.refused("a job that is none", 3, "none of that number", "job wait 999")
    begun = box.tool.run("volume", "clone", "big", "copy", "--detach", "--json").json()["job"]
    answer = box.done("wait for a clone", f"job wait {begun}", state="done", exit=0)
    tap.check(answer["result"]["volume"] == "copy" and box.must("volume show copy")["size"],
              "with what it has made", str(answer))
    begun = box.tool.run("volume", "import", "late", "--file", box.path("disk"), "--format", "raw",
                         "--detach", "--json").json()["job"]
    waiter = subprocess.Popen([tool.binary(), *box.tool.options, "job", "wait", str(begun)],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    box.must(f"job cancel {begun}")
    said = waiter.communicate(timeout=60 * SLOW)[0]
    tap.check(waiter.returncode == 1 and "ended as asked" in said, "one that is cancelled is told so", said)


# --- kill -9 at each step -------------------------------------------------------------------

# verb: what is there before, and at which points it can be killed
STEPS = {
    "volume create new --size 4M": ("pool_made", "pool_committed", "verb_noted", "verb_pool_done",
                                    "verb_written", "verb_followed"),
    "volume delete old --yes": ("verb_noted", "verb_written", "verb_followed", "pool_unlisted",
                          "pool_hidden", "pool_erased"),
    "volume delete old --yes --wipe": ("verb_followed", "pool_unlisted", "pool_wiped"),
    "volume rename old new": ("verb_noted", "pool_move_begun", "pool_moved", "pool_move_done",
                              "verb_pool_done", "verb_written", "verb_followed"),
    "volume grow old 8M": ("pool_resized",),
    "volume shrink old 1M --force": ("pool_resized",),
    "volume clone old new": ("verb_noted", "pool_made", "pool_copied", "pool_committed",
                             "verb_pool_done", "verb_written", "verb_followed"),
    "volume import new --file @/disk --format raw": (
        "verb_noted", "pool_made", "pool_committed", "verb_pool_done", "verb_written",
        "verb_followed"),
    "volume forget old": ("verb_written", "verb_followed"),
}


def one_step(line, point):
    """What a restart finds after a kill at a point: old, new, or what else there is."""
    box = Box()
    try:
        box.start()
        box.must("volume create old --size 4M")
        with open(box.path("disk"), "wb") as f:
            f.write(b"disk" * 4096)
        line = line.replace("@", box.scratch)
        old = box.state()
        box.end()
        box.env["KURA_FAULT"] = point
        box.start()
        box.ask(line)
        box.process.wait(20 * SLOW)
        box.process = None
        del box.env["KURA_FAULT"]
        box.start()
        wait_for(lambda: not box.is_wiping())
        after = box.state()
        left = os.listdir(box.path("state/doing")) if os.path.isdir(box.path("state/doing")) else []
        box.ask(line)  # says no, or does it now
        new = box.state()
        box.end()
        same = [norm(s) for s in (old, after, new)]
        if left:
            return f"notes are left: {left}"
        return "" if same[1] in (same[0], same[2]) else f"{same[1]}\nis neither {same[0]}\nnor {same[2]}"
    finally:
        box.cleanup()


def norm(state):
    """A state without what is different each time: identities that are made new."""
    volumes, written, files = state
    return ([(name, size, mapped) for name, size, _uuid, mapped in volumes],
            [line.strip() for line in written.splitlines() if "=" in line], files)


def test_kill():
    for line, points in STEPS.items():
        wrong = []
        for point in points:
            try:
                said = one_step(line, point)
            except subprocess.TimeoutExpired:
                said = "it was not killed there"
            if said:
                wrong.append(f"{point}: {said}")
        tap.check(not wrong, f"{line.split(' --')[0]}: killed at {len(points)} steps, old or new",
                  "\n".join(wrong))


def test_fail():
    for point in ("verb_noted", "verb_pool_done", "verb_written"):
        with Box(env={"KURA_FAULT": point + "=fail"}) as box:
            code, _answer = box.ask("volume create new --size 4M")
            tap.check(code == 1 and not box.must("volume list --all")["volumes"]
                      and not os.listdir(box.path("pool"))
                      and not os.listdir(box.path("state/doing")),
                      f"create, when {point} fails: nothing is left")
            box.done("and it can be said again", "volume create new --size 4M", changed=True)


def main():
    if not shutil.which("qemu-img") or not shutil.which("iscsi-inq"):
        tap.skip("verbs of volumes", "qemu-img and libiscsi's tools are not here")
        return tap.done()
    for test in (test_pools, test_create, test_delete, test_human, test_grow, test_snapshots, test_images, test_cancel,
                 test_kill, test_fail):
        test()
    return tap.done()


sys.exit(main())
