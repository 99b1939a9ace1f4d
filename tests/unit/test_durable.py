#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a loss of power would find: strace follows kurad while verbs make, share, rename and delete a
volume. A file is synced before it gets its name, and when a verb is answered every file and every
directory that it has changed is on disk."""

import os
import re
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import kurad  # noqa: E402
import tapout  # noqa: E402
import tool  # noqa: E402

BASE = {"portals": [{"address": "127.0.0.1", "port": 0}], "loops": 1,
        "pools": [{"name": "p", "kind": "dir", "path": "@SCRATCH@/pool"}]}
CALLS = ("openat,write,pwrite64,ftruncate,fallocate,fsync,fdatasync,rename,renameat,renameat2,link,"
         "linkat,mkdir,mkdirat,rmdir,unlink,unlinkat,sendto,sendmsg")
LINES = ("volume create a --size 1M", "volume create thick --size 1M --thick",
         "share a --to iqn.2026-11.kura.test:host", "target create iqn.2026-11.kura.test:t",
         "volume grow thick 2M", "volume rename thick b", "volume clone b c", "volume delete b --yes",
         "volume forget c", "volume adopt c", "pool add q --kind dir --path @/q", "pool remove q")
CALL = re.compile(r"^(\w+)\((.*)\)\s+= (-?\d+)")
UNDER_WAY = re.compile(r'state\\":\\"running|result\\":\{\\"job\\":\d+\}')  # that a job is not done
NAMED = re.compile(r'(?:(?:\d+|AT_FDCWD)<([^>]*)>, )?"([^"]*)"')
tap = tapout.Tap()


def calls(path):
    """(name, arguments) of each call that succeeded, in the order of their ends."""
    begun = {}
    with open(path, encoding="latin-1") as f:
        for line in f:
            pid, _, text = line.rstrip("\n").partition(" ")
            text = text.strip()
            if text.endswith("<unfinished ...>"):
                begun[pid] = text[:-len("<unfinished ...>")]
                continue
            again = re.match(r"<\.\.\. \w+ resumed>(.*)", text)
            if again:
                text = begun.pop(pid, "") + again[1]
            found = CALL.match(text)
            if found and int(found[3]) >= 0:
                yield found[1], found[2]


class Disk:
    """What would be lost at this moment, of what lies below a folder."""

    def __init__(self, top):
        self.top = top
        self.files, self.folders = set(), set()
        self.wrong = []
        self.syncs = self.names = self.answers = 0

    def ours(self, path):
        return path.startswith((self.top + "/state", self.top + "/pool", self.top + "/q"))

    def touch(self, path):
        if self.ours(path):
            self.folders.add(os.path.dirname(path))

    def call(self, name, args):
        paths = [os.path.join(folder or "", entry) for folder, entry in NAMED.findall(args)]
        fd = re.match(r"\d+<([^>]*)>", args)
        on = fd[1] if fd else ""
        if name in ("fsync", "fdatasync"):
            self.files.discard(on)
            self.folders.discard(on)
            self.syncs += self.ours(on)
        elif "/#" in on:
            pass  # a file without a name is a question, too
        elif name in ("write", "pwrite64", "ftruncate", "fallocate"):
            if self.ours(on) and "PUNCH_HOLE" not in args:  # behind the end: a question
                self.files.add(on)
        elif name.startswith("rename"):
            self.renamed(*paths)
        elif name == "openat" and "O_CREAT" in args:
            self.touch(paths[0])
        elif name in ("unlink", "unlinkat", "rmdir"):
            self.files.discard(paths[0])
            self.touch(paths[0])
        elif name in ("mkdir", "mkdirat", "link", "linkat"):
            self.touch(paths[-1])

    def renamed(self, old, new):
        self.names += self.ours(new)
        if old in self.files:
            self.wrong.append(f"{old} is called {os.path.basename(new)} before it is synced")
        self.touch(old)
        self.touch(new)

    def answered(self):
        self.answers += 1
        if self.files or self.folders:
            self.wrong.append(f"answered, and not on disk: {sorted(self.files | self.folders)}")


def judge(box, begin, line):
    """What is wrong with the calls from the mark on."""
    disk = Disk(box.scratch)
    for i, (name, args) in enumerate(calls(box.path("calls"))):
        if i < begin:
            continue
        if name in ("sendto", "sendmsg") and "jsonrpc" in args and "result" in args and \
                not UNDER_WAY.search(args):
            disk.answered()
        disk.call(name, args)
    wrong = [w.replace(box.scratch, "") for w in disk.wrong]
    tap.check(not wrong and disk.syncs and disk.answers, f"{line}: {disk.syncs} times synced, "
              f"{disk.names} names given", "\n".join(wrong))


def main():
    if not shutil.which("strace") or subprocess.run(
            ["strace", "-o", "/dev/null", "true"], capture_output=True, check=False).returncode:
        tap.skip("what is on disk when", "strace is not here, or may not trace")
        return tap.done()
    box = kurad.Kurad(kurad.config_text(BASE))
    # -D: kurad stays our child
    box.wrap = ["strace", "-D", "-f", "-y", "-s", "300", "-o", box.path("calls"), "-e",
                "trace=" + CALLS]
    box.env["ASAN_OPTIONS"] = "detect_leaks=0"  # LeakSanitizer is a tracer, too
    os.makedirs(box.path("pool"))
    with box:
        for line in LINES:
            begin = sum(1 for _ in calls(box.path("calls")))
            done = tool.Tool(box).run(*line.replace("@", box.scratch).split())
            if done.code:
                tap.not_ok(line, str(done))
            judge(box, begin, line)
    return tap.done()


sys.exit(main())
