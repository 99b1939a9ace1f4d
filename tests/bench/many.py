#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The figures behind ./dev bench --many: a kurad with 1,000 volumes, targets and LUNs, and how long
the tool takes there for what an administrator asks often, by the clock and in CPU time."""

import argparse
import json
import os
import resource
import statistics
import sys
import time

from servers import NAME, kurad

import tool

FILE_BYTES = 1 << 20
BARS = {"list": 100, "change": 50, "start": 2000}  # milliseconds
ROW = "%-34s %9s %9s %9s %9s %9s %9s  %s"


def parse_args():
    p = argparse.ArgumentParser(prog="dev bench --many", description=__doc__)
    p.add_argument("--count", type=int, default=1000, help="volumes, targets and LUNs [1000]")
    p.add_argument("--rounds", type=int, default=9, help="rounds of each figure [9]")
    p.add_argument("--folder", metavar="DIR",
                   help="where state and volumes lie [in memory: the store costs nothing]")
    p.add_argument("--json", metavar="FILE", help="write the figures to FILE as well")
    args = p.parse_args()
    if args.folder:
        os.environ["TMPDIR"] = args.folder
    return args


def volume(k, i):
    return {"name": "v%d" % i, "store": "file", "path": k.path("images/v%d" % i)}


def target(i):
    return {"name": "%s:t%d" % (NAME, i), "initiators": [{"name": "*"}],
            "luns": [{"lun": 0, "volume": "v%d" % i}]}


def furnish(k, count):
    """The images, and a managed file as verbs would have left it."""
    os.makedirs(k.path("images"))
    os.makedirs(k.path("state"))
    for i in range(count + 1):
        with open(k.path("images/v%d" % i), "wb") as f:
            f.truncate(FILE_BYTES)
    text = kurad.config_text({"volumes": [volume(k, i) for i in range(count + 1)],
                              "targets": [target(i) for i in range(count)]})
    with open(k.path("state/managed.conf"), "w") as f:
        f.write(text)


def cpu_seconds(pid):
    """What all threads of a process have used so far, to the nanosecond."""
    return time.clock_gettime((~pid << 3) | 2)


def tool_seconds():
    """The CPU time of every call of the tool that has ended."""
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


def sync_seconds(folder, text):
    """What the store itself takes to keep a file of that length: written, synced and renamed."""
    path = os.path.join(folder, "probe")
    began = time.monotonic()
    with open(path + ".new", "wb") as f:
        f.write(text)
        f.flush()
        os.fsync(f.fileno())
    os.rename(path + ".new", path)
    held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    os.fsync(held)
    os.close(held)
    return time.monotonic() - began


class Figures:
    """Rounds of each figure, in milliseconds: by the clock, kurad's CPU, the store's own time."""

    def __init__(self, k):
        self.k = k
        self.tool = tool.Tool(k)
        self.rows = {}

    def add(self, what, bar, **seconds):
        row = self.rows.setdefault(what, {"bar_ms": bar, "wall": [], "cpu": [], "tool": [],
                                          "store": []})
        for name in ("wall", "cpu", "tool", "store"):
            row[name].append(seconds.get(name, 0.0) * 1000)

    def store(self):
        """The store's time for the managed file as it is now."""
        with open(self.k.path("state/managed.conf"), "rb") as f:
            text = f.read()
        return sync_seconds(self.k.path("state"), text)

    def verb(self, what, bar, writes, *args):
        store = self.store() if writes else 0.0
        cpu, in_tool = cpu_seconds(self.k.process.pid), tool_seconds()
        began = time.monotonic()
        done = self.tool.run(*args)
        spent = time.monotonic() - began
        if done.code:
            sys.exit("bench: kura %s: %s" % (" ".join(args), done))
        self.add(what, bar, wall=spent, store=store, tool=tool_seconds() - in_tool,
                 cpu=cpu_seconds(self.k.process.pid) - cpu)

    def start(self, what, bar=None):
        began = time.monotonic()
        self.k.start()
        self.add(what, bar, wall=time.monotonic() - began,
                 cpu=cpu_seconds(self.k.process.pid))

    def round(self, count):
        last = "v%d" % count
        iqn = "%s:t%d" % (NAME, count // 2)
        for args in (("volume", "list"), ("target", "list"), ("lun", "list")):
            self.verb(" ".join(args), BARS["list"], False, *args)
        self.verb("volume list --json", BARS["list"], False, "volume", "list", "--json")
        self.verb("lun add", BARS["change"], True, "lun", "add", iqn, last)
        self.verb("lun remove", BARS["change"], True, "lun", "remove", iqn, "1")
        self.verb("target create", BARS["change"], True, "target", "create", NAME + ":new")
        self.verb("target delete", BARS["change"], True, "target", "delete", NAME + ":new")
        self.verb("apply of what is served", None, False, "apply")

    def restart(self):
        self.k.end()
        self.start("restart to serving", BARS["start"])


def print_rows(rows):
    print(ROW % ("", "median ms", "best ms", "store ms", "beyond", "kurad", "tool", "bar"))
    for what, row in rows.items():
        beyond = [max(0.0, w - s) for w, s in zip(row["wall"], row["store"])]
        middle, bar = statistics.median(beyond), row["bar_ms"]
        print(ROW % (what, *("%.1f" % v for v in (
            statistics.median(row["wall"]), min(row["wall"]), statistics.median(row["store"]),
            middle, min(row["cpu"]), min(row["tool"]))),
            "" if bar is None else
            "under %d: %s" % (bar, "met" if middle < bar else "NOT met")))


def main():
    args = parse_args()
    if not kurad.have_binary():
        sys.exit("bench: %s: build it, or name it in KURAD" % kurad.binary())
    k = kurad.Kurad(kurad.config_text({"portals": [{"address": "127.0.0.1", "port": 0}]}))
    figures = Figures(k)
    try:
        furnish(k, args.count)
        figures.start("first start, identities written")
        for _ in range(args.rounds):
            figures.round(args.count)
        for _ in range(min(3, args.rounds)):
            figures.restart()
        print("# %d volumes, targets and LUNs in %s, %d rounds; with the tool's start; CPU of kurad "
              "and tool in ms, the best" % (args.count, k.scratch, args.rounds))
        print_rows(figures.rows)
    finally:
        k.stop()
    if args.json:
        with open(args.json, "w") as f:
            json.dump(figures.rows, f, indent=1)


if __name__ == "__main__":
    main()
