#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs Debian's iscsi-test-cu, and the other foreign clients, against kurad; prints TAP.

    tests/conform/run.py [--jobs N] [--only WORD] [--list] [--suite cu|clients] [--kind KIND]

Every test of iscsi-test-cu is a process of its own on a fresh kurad with a time-out.  A test that
may not pass yet stands in expected.txt with its reason and is reported as a skip; one that stands
there and passes is a failure, so that the list gets shorter.  CUnit counts a skipped test as
passed, hence the output is read for [SKIPPED].  A reason that begins with "in part:" names the
commands that the test leaves out; the rest of it must pass.

All tests run on the usual LUN.  Those that pass there run on LUNs of other kinds too (by default
4096-byte blocks), where one that does not apply says so and is not counted again.
"""

import argparse
import concurrent.futures
import os
import re
import subprocess
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "lib")]

import clients  # noqa: E402
import clients_auth  # noqa: E402
import clients_isns  # noqa: E402
import clients_libvirt  # noqa: E402
import kurad  # noqa: E402
import tapout  # noqa: E402

TARGET = "iqn.2026-11.kura.test:conform"
TEST_SECONDS = 60 * float(os.environ.get("KURA_TEST_SLOW", "1"))
# It sleeps for a minute between two looks whether the operation is over, and answers no ping then.
LONG = ("ALL.Sanitize.Reset",)
FAMILY = "ALL."
IN_PART = "in part:"

# What the LUN is like for a test: the first row whose beginning fits adds to the usual volume.
USUAL = {"name": "disk", "store": "file", "path": "@SCRATCH@/disk.img", "size": "512M",
         "thin": True, "physical_block_size": 4096}
VARIANTS = [
    ("ALL.NoMedia.", {"removable": True}),
    ("ALL.StartStopUnit.", {"removable": True}),
    ("ALL.PreventAllow.", {"removable": True}),
    ("ALL.ReadOnly.", {"readonly": True}),
    # a cryptographic erase needs a key that can be destroyed
    ("ALL.Sanitize.", {"layers": [{"kind": "crypt", "options": "key=@SCRATCH@/disk.key"}]}),
    # its second half takes a physical block for a logical one, and finds them the same here
    ("ALL.GetLBAStatus.UnmapSingle", {"physical_block_size": 512}),
    # it writes 256 blocks atomically whatever the most is, which is a physical block on a disk
    ("ALL.WriteAtomic16.Simple", {"store": "mem"}),
]
# Further kinds of LUN.
KINDS = {
    "4k": {"block_size": 4096},
    "direct": {"cache": "direct"},
    "memory": {"store": "mem"},
    "thick": {"thin": False},
}
TWO_PATHS = ("ALL.MultipathIO.",)
# They drop a connection, come again as another initiator port, and take the end of the first one
# for seen. One loop sees both in order; another loop may be late on a busy machine, and no login
# waits for a loop that is not its own.
IN_ORDER = ("ALL.PreventAllow.ITNexusLoss", "ALL.Reserve6.ITNexusLoss")


def all_tests():
    """The names of all tests, FAMILY.SUITE.TEST."""
    out = subprocess.run(["iscsi-test-cu", "--list"], stdout=subprocess.PIPE, text=True,
                         check=True, timeout=30).stdout
    return [n for n in out.split() if n.startswith(FAMILY) and n.count(".") == 2]


def expectations():
    """expected.txt: test name to the reason why it does not pass yet."""
    reasons = {}
    with open(os.path.join(HERE, "expected.txt"), encoding="utf-8") as f:
        for line in f:
            line = line.strip()
            if line and not line.startswith("#"):
                name, _, reason = line.partition(" ")
                reasons[name] = reason.strip()
    return reasons


def volume_for(name, kind=None):
    volume = {**USUAL, **KINDS.get(kind, {})}
    for start, more in VARIANTS:
        if name.startswith(start):
            volume.update(more)
    if volume.get("readonly"):
        volume.update({"store": "mem"})
    if volume["store"] == "mem":
        volume.pop("path")
        volume.pop("cache", None)
    volume["physical_block_size"] = max(volume["physical_block_size"],
                                        volume.get("block_size", 512))
    return volume


def config_for(name, kind=None):
    portals = [{"address": "127.0.0.1", "port": 0}]
    if name.startswith(TWO_PATHS):
        portals.append({"address": "127.0.0.2", "port": 0})
    more = {"ping_seconds": 0} if name in LONG else {}
    if name in IN_ORDER:
        more["loops"] = 1
    return kurad.one_target(TARGET, [volume_for(name, kind)], portals=portals, **more)


def make_key(path):
    """A key of the crypt layer."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    os.write(fd, os.urandom(64))
    os.close(fd)


# --- one test of iscsi-test-cu ----------------------------------------------------------------


def own_part(output):
    """What the test itself printed, without the probing before it and the cleaning up behind."""
    output = output[max(output.find("\nSuite: "), 0):]
    end = re.search(r"(^|\.\.\.)(passed|FAILED)\b", output, re.M)
    return output[:end.start()] if end else output


def verdict(output, code):
    """('pass' | 'skip' | 'fail', why) of what iscsi-test-cu printed."""
    ran = re.search(r"^\s*tests\s+(\d+)\s+(\d+)\s+(\d+)\s+(\d+)", output, re.M)
    if not ran:
        return "fail", f"no summary, exit status {code}"
    total, _, passed, failed = map(int, ran.groups())
    if total != 1:
        return "fail", f"{total} tests were run instead of one"
    if failed or passed != 1 or code:
        wrong = re.findall(r"\[FAILED\].*|^\s+\d+\. .*", output, re.M)
        return "fail", "\n".join(dict.fromkeys(w.strip() for w in wrong[:8])) or f"status {code}"
    own = own_part(output)
    skipped = re.findall(r"\[SKIPPED\](.*)", own)
    if not re.search(r"Test: .*\.\.\.\s*\S", own):
        return "skip", "it passed without a word"
    if skipped:
        return "skip", "\n".join(dict.fromkeys(line.strip() for line in skipped))
    return "pass", ""


def run_cu(name, urls):
    """The test on the target at these URLs."""
    command = ["iscsi-test-cu", "-d", "-S", "-V", "-t", name, *urls]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, errors="replace",
                              timeout=TEST_SECONDS * (2 if name in LONG else 1),
                              preexec_fn=kurad.die_with_parent)
    except subprocess.TimeoutExpired as late:
        text = (late.stdout or b"").decode("utf-8", "replace")
        return "fail", f"no end after {TEST_SECONDS} s\n" + "\n".join(text.splitlines()[-4:])
    return verdict(done.stdout, done.returncode)


def run_one(name, kind=None):
    """A test on a kurad of its own."""
    try:
        daemon = kurad.Kurad(config_for(name, kind))
        make_key(daemon.path("disk.key"))
        with daemon:
            urls = []
            for host, port in daemon.portals:
                urls.append(f"iscsi://{host}:{port}/{TARGET}/0")
            return run_cu(name, urls)
    except kurad.KuradFailed as error:
        return "crash", str(error)


def judge_part(result, why, reason):
    """A test that leaves out parts: it must pass, and leave out only what its reason names."""
    if result == "pass":
        return "whole", why
    allowed = re.split(r"[,\s]+", reason[len(IN_PART):].strip())
    if result == "skip" and all(any(w in line for w in allowed) for line in why.splitlines()):
        return "pass", ""
    return result, why


def report(tap, name, result, why, reasons):
    """How the result of a test counts, given what was expected of it."""
    short = name[len(FAMILY):]
    reason = reasons.get(name)
    if reason is not None and reason.startswith(IN_PART):
        result, why = judge_part(result, why, reason)
        reason = None if result != "whole" else reason
    if result == "crash":
        tap.not_ok(short, why)
    elif result in ("pass", "whole") and reason is not None:
        tap.not_ok(short, "it passes: take it off the list in tests/conform/expected.txt")
    elif result == "pass":
        tap.ok(short)
    elif reason is not None:
        tap.skip(short, reason)
    else:
        tap.not_ok(short, f"{result}: {why}")


class Race:
    """Runs tests, several at a time, from the moment that it is told of them; those of LONG, which
    sleep most of the time, beside the others."""

    def __init__(self, options):
        self.options = options
        self.workers = concurrent.futures.ThreadPoolExecutor(options.jobs)
        self.sleepers = concurrent.futures.ThreadPoolExecutor()
        self.kinds = []
        self.reasons = expectations()
        self.names = all_tests()

    def begin(self, kind=None):
        """Every test on the usual LUN, or on one of another kind those that pass on the usual."""
        names = [n for n in self.names if not self.options.only or self.options.only in n]
        if kind:
            names = [n for n in names if self.reasons.get(n, IN_PART).startswith(IN_PART)]
        names.sort(key=lambda name: name in LONG)  # reported last, so that nobody waits for them
        outcomes = []
        for name in names:
            pool = self.sleepers if name in LONG else self.workers
            if self.options.url:
                outcomes.append((name, pool.submit(run_cu, name, self.options.url)))
            else:
                outcomes.append((name, pool.submit(run_one, name, kind)))
        self.kinds.append((kind, outcomes))

    def report(self, tap):
        for gone in sorted(set(self.reasons) - set(self.names)):
            tap.not_ok(f"expected.txt names {gone}", "there is no such test")
        for kind, outcomes in self.kinds:
            for name, outcome in outcomes:
                if kind:
                    report_kind(tap, f"{kind}: {name[len(FAMILY):]}", *outcome.result())
                else:
                    report(tap, name, *outcome.result(), self.reasons)


def report_kind(tap, short, result, why):
    if result == "pass":
        tap.ok(short)
    elif result == "skip":
        tap.note(f"{short} does not apply: {why.splitlines()[0]}")
    else:
        tap.not_ok(short, why)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--jobs", type=int, default=2, help="tests at the same time (2)")
    parser.add_argument("--only", help="only tests whose name holds this word")
    parser.add_argument("--url", action="append", help="a LUN of a target that runs already")
    parser.add_argument("--list", action="store_true", help="print the names and stop")
    parser.add_argument("--suite", choices=["cu", "clients"], help="only this half")
    parser.add_argument("--kind", choices=sorted(KINDS), help="only this further kind of LUN")
    options = parser.parse_args()
    if options.list:
        print("\n".join(all_tests()))
        return 0
    tap = tapout.Tap()
    race = Race(options)
    if options.kind:
        race.begin(options.kind)
    elif options.suite != "clients":
        race.begin()
        if not options.url:
            race.begin("4k")
    if options.suite != "cu" and not options.url and not options.kind:
        clients.run(tap, options.only)
        clients_auth.run(tap, options.only)
        clients_isns.run(tap, options.only)
        clients_libvirt.run(tap, options.only)
    race.report(tap)
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
