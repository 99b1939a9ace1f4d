#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The benchmark behind ./dev bench: kurad, tgt, istgt and the floor on loopback, one generator,
rounds that take turns so that noise hits all alike, medians, and the bars of the project."""

import argparse
import collections
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

import servers

TOP = servers.TOP
RANGE = 256 << 20  # larger than any cache, small enough for /dev/shm

Workload = collections.namedtuple("Workload", "name title argv")
WORKLOADS = [
    Workload("4k-randread", "4 KiB random read, QD 32", "--block-size 4k --depth 32"),
    Workload("4k-randwrite", "4 KiB random write, QD 32",
             "--block-size 4k --depth 32 --read-percent 0"),
    Workload("4k-qd1", "4 KiB random read, QD 1", "--block-size 4k --depth 1"),
    Workload("64k-read", "64 KiB sequential read, QD 8",
             "--block-size 64k --depth 8 --sequential"),
    Workload("64k-write", "64 KiB sequential write, QD 8",
             "--block-size 64k --depth 8 --sequential --read-percent 0"),
    Workload("1m-read", "1 MiB sequential read, QD 4", "--block-size 1m --depth 4 --sequential"),
    Workload("1m-write", "1 MiB sequential write, QD 4",
             "--block-size 1m --depth 4 --sequential --read-percent 0"),
]
SUBJECTS = ["floor", "kurad-mem", "kurad-null", "kurad-file", "kurad-direct", "kurad-block",
            "tgt-null", "tgt-file", "istgt-file"]
SEQUENTIAL = ["64k-read", "64k-write", "1m-read", "1m-write"]
FIELDS = ("iops", "mb_s", "p50_us", "p99_us", "mean_us", "target_cpu_us_per_io",
          "generator_cpu_us_per_io", "ios_per_cpu_s", "mb_per_cpu_s")


def parse_args():
    p = argparse.ArgumentParser(prog="dev bench", description=__doc__)
    p.add_argument("--quick", action="store_true", help="one short round of each")
    p.add_argument("--rounds", type=int, help="rounds of each workload [5]")
    p.add_argument("--time", type=float, help="seconds per measurement [1]")
    p.add_argument("--only", default="", help="targets, by prefix: kurad,floor,tgt-null")
    p.add_argument("--workload", default="", help="workloads, by prefix: 4k,1m-read")
    p.add_argument("--json", metavar="FILE", help="write the figures to FILE (- for stdout)")
    p.add_argument("--kurad", default=os.environ.get("KURAD"), help="the daemon [build/gcc/kurad]")
    p.add_argument("--loops", type=int, default=1, help="loops of kurad, a core each [1]")
    p.add_argument("--set", metavar="KEY=VALUE", action="append", default=[],
                   help="a top-level key of kurad's configuration, as JSON: loops=1")
    p.add_argument("--range", default=str(RANGE),
                   help="how much of each disk is used, at most 256m [256m]")
    p.add_argument("--spin", action="store_true",
                   help="a generator that never sleeps: no target pays for waking it")
    p.add_argument("--list", action="store_true", help="list workloads and targets")
    args = p.parse_args()
    args.rounds = args.rounds or (1 if args.quick else 5)
    args.time = args.time or (0.5 if args.quick else 1.0)
    return args


def chosen(names, wanted):
    """The names that begin with one of the comma-separated prefixes; all without any."""
    prefixes = [w for w in wanted.split(",") if w]
    unknown = [w for w in prefixes if not any(n.startswith(w) for n in names)]
    if unknown:
        sys.exit("bench: nothing is called %s; there are: %s" % (unknown[0], ", ".join(names)))
    return [n for n in names if not prefixes or any(n.startswith(w) for w in prefixes)]


def cores_for(loops):
    """(cores of a target, cores of the generator); two empty sets where there are too few."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < loops + 1:
        print("# %d cores: target and generator are not pinned" % len(cores))
        return set(), set()
    return set(cores[:loops]), {cores[loops]}


def find_kurad(named):
    path = named or servers.kurad.binary()
    return os.path.abspath(path) if os.access(path, os.X_OK) else None


def settings_of(args):
    """The top-level keys of kurad's configuration."""
    settings = {"loops": args.loops}
    for text in args.set:
        key, _, value = text.partition("=")
        settings[key] = json.loads(value)
    return settings


def machine_seconds():
    """(CPU seconds that the machine has spent on anything, CPU seconds that its host took away)."""
    with open("/proc/stat") as f:
        fields = [int(n) / os.sysconf("SC_CLK_TCK") for n in f.readline().split()[1:]]
    return sum(fields[:3]) + sum(fields[5:7]), fields[7]


class Bench:
    """The servers of one run, and the figures that came out."""

    def __init__(self, args, scratch):
        self.args = args
        self.scratch = scratch
        self.target_cores, self.generator_cores = cores_for(args.loops)
        self.subjects = {}
        self.servers = []
        self.disks = None
        self.samples = collections.defaultdict(list)
        self.failures = {}
        self.noise = []  # (cores used by others, cores taken by the host), per measurement
        self.generator = servers.find_generator(scratch)

    def start(self):
        wanted = chosen(SUBJECTS, self.args.only)
        disk = os.path.join(self.scratch, "disk.img")
        fill_file(disk, RANGE)
        if "kurad-block" in wanted or "kurad-direct" in wanted:
            self.disks = servers.Disks(self.scratch, RANGE)
        cores, scratch = self.target_cores, self.scratch
        floor = os.path.join(os.path.dirname(TOP), "shared", "floor", "floor.c")
        for server in (
                servers.Floor(scratch, cores, floor),
                servers.Kurad(scratch, cores, find_kurad(self.args.kurad), disk, RANGE,
                              self.disks, **settings_of(self.args)),
                servers.Tgt(scratch, cores, disk),
                servers.Istgt(scratch, cores, disk)):
            if any(name in wanted for name in server.luns):
                self.start_one(server, wanted)
        return bool(self.subjects)

    def start_one(self, server, wanted):
        self.servers.append(server)
        try:
            server.start()
        except servers.Unavailable as why:
            print("# %s is left out: %s" % (type(server).__name__.lower(), why))
            return
        for name, (target, lun) in server.luns.items():
            if name in wanted:
                self.subjects[name] = (server, target, lun)
        for name in ("kurad-mem", "kurad-direct", "kurad-block"):
            if name in self.subjects and isinstance(server, servers.Kurad):
                self.generate(name, "--fill --time 0 --block-size 1m --depth 4")

    def stop(self):
        for server in self.servers:
            try:
                server.stop()
            except servers.kurad.KuradFailed as why:
                self.failures["kurad"] = str(why)
                print("# %s" % why)
        if self.disks:
            self.disks.end()

    def generate(self, subject, argv):
        """Runs the generator; returns its figures, or None with the reason in `failures`."""
        server, target, lun = self.subjects[subject]
        command = [self.generator, "--portal", "127.0.0.1:%d" % server.port, "--target", target,
                   "--lun", str(lun), "--pid", str(server.pid), "--range", self.args.range, "--json",
                   *argv.split()]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=60 + 2 * self.args.time,
                              preexec_fn=servers.pinned(self.generator_cores))
        if done.returncode == 0:
            return derive(json.loads(done.stdout))
        self.failures[subject] = done.stderr.strip()
        print("# %s: %s" % (subject, self.failures[subject].replace("\n", "\n#   ")))
        return None

    def measure(self, workload, subject):
        argv = "%s --time %g --sessions %d" % (workload.argv, self.args.time, self.args.loops)
        if self.args.spin:
            argv += " --spin"
        began, (busy, stolen) = time.monotonic(), machine_seconds()
        got = self.generate(subject, argv)
        if got is None and not subject.startswith("kurad"):
            got = self.generate(subject, argv)  # istgt drops a busy connection now and then
        if got is None:
            return
        self.samples[workload.name, subject].append(got)
        spent, (busy_now, stolen_now) = time.monotonic() - began, machine_seconds()
        ours = (got["target_cpu_s"] + got["generator_cpu_s"]) / got["seconds"]
        self.noise.append((max(0.0, (busy_now - busy) / spent - ours),
                           (stolen_now - stolen) / spent))

    def run(self, workload):
        for _ in range(self.args.rounds):
            for subject in self.subjects:
                self.measure(workload, subject)

    def values(self, workload, subject, field):
        """The figure of each round, in order."""
        return [s[field] for s in self.samples.get((workload, subject), [])]

    def medians(self, workload, subject):
        if not self.samples.get((workload, subject)):
            return None
        return {f: statistics.median(self.values(workload, subject, f)) for f in FIELDS}


def best(samples, field):
    """The least of the rounds: what noise added least to."""
    return min(s[field] for s in samples) if samples else None


def derive(got):
    """Adds what is said per second of the target's CPU."""
    cpu = got["target_cpu_s"] or float("inf")
    got["ios_per_cpu_s"] = got["ios"] / cpu
    got["mb_per_cpu_s"] = got["mb_s"] * got["seconds"] / cpu
    return got


def quotient(over, under):
    """The median of the rounds' quotients: each round is compared with itself, because noise that
    lasts longer than a round is in both."""
    if not over or not under:
        return None
    if len(over) != len(under):
        return statistics.median(over) / statistics.median(under)
    return statistics.median(a / b for a, b in zip(over, under))


def fill_file(path, size):
    """Real bytes, so that reading them costs what reading costs."""
    piece = os.urandom(1 << 20)
    with open(path, "wb") as f:
        for _ in range(size // len(piece)):
            f.write(piece)


# ---- what is printed

COLUMNS = "%-12s %9s %8s %8s %8s %8s %7s %9s %8s %8s %7s"


def cpu_ratio(bench, workload, over, under):
    field = "target_cpu_us_per_io"
    q = quotient(bench.values(workload, over, field), bench.values(workload, under, field))
    return "%.2f" % q if q else "-"


def print_workload(bench, workload):
    print("\n%s" % workload.title)
    print(COLUMNS % ("target", "IOPS", "MB/s", "p50 us", "p99 us", "CPU/IO", "best", "IO/CPU-s",
                     "x floor", "x kurad", "gen/IO"))
    for subject in bench.subjects:
        m = bench.medians(workload.name, subject)
        if m is None:
            print("%-12s failed" % subject)
            continue
        print(COLUMNS % (
            subject, "%.0f" % m["iops"], "%.1f" % m["mb_s"], "%.1f" % m["p50_us"],
            "%.1f" % m["p99_us"], "%.2f" % m["target_cpu_us_per_io"],
            "%.2f" % best(bench.samples[workload.name, subject], "target_cpu_us_per_io"),
            "%.0f" % m["ios_per_cpu_s"], cpu_ratio(bench, workload.name, subject, "floor"),
            cpu_ratio(bench, workload.name, subject, twin_of(subject)),
            "%.2f" % m["generator_cpu_us_per_io"]))
    sys.stdout.flush()


def twin_of(subject):
    """The volume of kurad that a target is compared with."""
    return {"floor": "kurad-mem", "tgt-null": "kurad-null", "tgt-file": "kurad-file",
            "istgt-file": "kurad-file"}.get(subject, "kurad-mem")


class Bars:
    """The bars of the project, as (text, figure, limit, met)."""

    def __init__(self, bench):
        self.bench = bench
        self.rows = []

    def at_most(self, text, value, limit, unit=""):
        self.add(text, value, "at most %g%s" % (limit, unit), unit, lambda v: v <= limit)

    def at_least(self, text, value, limit):
        self.add(text, value, "at least %g" % limit, "", lambda v: v >= limit)

    def add(self, text, value, limit, unit, good):
        self.rows.append({"bar": "%s, %s" % (text, limit), "value": value, "unit": unit,
                          "met": None if value is None else good(value)})

    def over(self, workload, field, a, b):
        """The figure of `a` over that of `b`, None when either is missing."""
        return quotient(self.bench.values(workload, a, field),
                        self.bench.values(workload, b, field))

    def collect(self):
        cpu = "target_cpu_us_per_io"
        for w in ("4k-randread", "4k-randwrite"):
            self.at_most(w + ": CPU per I/O, kurad-mem over floor",
                         self.over(w, cpu, "kurad-mem", "floor"), 1.7)
            self.at_least(w + ": I/O per CPU second, kurad-mem over tgt-null",
                          self.over(w, "ios_per_cpu_s", "kurad-mem", "tgt-null"), 4)
            file = self.bench.medians(w, "kurad-file")
            self.at_most(w + ": CPU per I/O, kurad-file", file and file[cpu], 4, " us")
            self.at_most(w + ": CPU per I/O, kurad-block over kurad-direct",
                         self.over(w, cpu, "kurad-block", "kurad-direct"), 1.1)
        for w in SEQUENTIAL:
            for ours, theirs in (("kurad-file", "tgt-file"), ("kurad-null", "tgt-null")):
                self.at_least("%s: MB per CPU second, %s over %s" % (w, ours, theirs),
                              self.over(w, "mb_per_cpu_s", ours, theirs), 2)
        for ours, theirs in (("kurad-file", "tgt-file"), ("kurad-file", "istgt-file"),
                             ("kurad-null", "tgt-null")):
            self.at_most("4k-qd1: p50 latency, %s over %s" % (ours, theirs),
                         self.over("4k-qd1", "p50_us", ours, theirs), 1)
        return self.rows


def print_bars(rows):
    print("\nBars")
    for row in rows:
        if row["met"] is not None:
            print("  %-12s  %s: %.2f%s" % ("met" if row["met"] else "NOT met", row["bar"],
                                           row["value"], row["unit"]))
    missing = sum(row["met"] is None for row in rows)
    if missing:
        print("  %d of %d are not measured in this run" % (missing, len(rows)))


def write_json(bench, workloads, rows, path):
    figures = {w.name: {s: bench.medians(w.name, s) for s in bench.subjects} for w in workloads}
    text = json.dumps({"figures": figures, "bars": rows, "failures": bench.failures,
                       "rounds": bench.args.rounds, "seconds": bench.args.time,
                       "loops": bench.args.loops}, indent=1)
    if path == "-":
        print(text)
        return
    with open(path, "w") as f:
        f.write(text + "\n")


def scratch_folder():
    base = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    return tempfile.mkdtemp(prefix="kura-bench-", dir=base)


def on_signal(number, _frame):
    raise KeyboardInterrupt("signal %d" % number)


def run_all(bench, workloads):
    if not bench.start():
        sys.exit("bench: no target to measure")
    print("# %s, %d x %g s each, medians; CPU in microseconds of the target's process per I/O" % (
        ", ".join(bench.subjects), bench.args.rounds, bench.args.time))
    for workload in workloads:
        bench.run(workload)
        print_workload(bench, workload)
    rows = Bars(bench).collect()
    print_bars(rows)
    if bench.noise:
        print("# meanwhile other programs used %.2f cores and the host took %.2f (medians)" %
              tuple(map(statistics.median, zip(*bench.noise))))
    if bench.args.json:
        write_json(bench, workloads, rows, bench.args.json)


def main():
    args = parse_args()
    if args.list:
        print("\n".join([w.name for w in WORKLOADS] + SUBJECTS))
        return 0
    names = chosen([w.name for w in WORKLOADS], args.workload)
    workloads = [w for w in WORKLOADS if w.name in names]
    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGALRM, on_signal)
    signal.alarm(int(120 + len(workloads) * len(SUBJECTS) * args.rounds * (args.time + 5)))
    scratch = scratch_folder()
    bench = None
    try:
        bench = Bench(args, scratch)
        run_all(bench, workloads)
    except KeyboardInterrupt as why:
        print("\nbench: stopped (%s)" % (why or "Ctrl-C"))
        return 130
    finally:
        signal.alarm(0)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)  # the clean-up is bounded and not to be cut short
        if bench:
            bench.stop()
        shutil.rmtree(scratch, ignore_errors=True)
    return 1 if any(name.startswith("kurad") for name in bench.failures) else 0


if __name__ == "__main__":
    sys.exit(main())
