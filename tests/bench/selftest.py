#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Data integrity under load, as TAP: kura-bench with --verify against kurad on a mem and a file
LUN, with and without digests, on one and on three sessions, and over the shapes that a write can
take. Nothing here depends on speed."""

import os
import shutil
import subprocess
import sys

import servers
from servers import kurad
from tapout import Tap

SIZE = 16 << 20
TARGET = servers.NAME + ":selftest"
LUNS = ("mem", "file")
SECONDS = "0.25"

LOADS = [
    ("512 B random, QD 64", "--block-size 512 --depth 64 --range 1m"),
    ("4 KiB random, QD 32", "--block-size 4k --depth 32"),
    ("4 KiB random, QD 1", "--block-size 4k --depth 1 --range 1m"),
    ("64 KiB sequential, QD 8", "--block-size 64k --depth 8 --sequential"),
    ("1 MiB sequential, QD 4", "--block-size 1m --depth 4 --sequential --cdb16"),
]
DIGESTS = [("no digests", ""), ("digests", "--header-digest --data-digest")]
SESSIONS = [("1 session", "--sessions 1"), ("3 sessions", "--sessions 3")]

# How a write's data may travel, and how a read's may be cut.
SHAPES = [
    ("R2T only", "--immediate no --initial-r2t yes"),
    ("immediate, then R2T", "--immediate yes --initial-r2t yes"),
    ("unsolicited without immediate", "--immediate no --initial-r2t no"),
    ("bursts of 512", "--max-burst 512 --first-burst 512 --initial-r2t no"),
    ("one R2T at a time", "--max-r2t 1 --max-burst 16k --first-burst 4k"),
    ("odd lengths", "--max-recv 4099 --max-burst 10007 --first-burst 1029 --initial-r2t no "
                    "--header-digest --data-digest"),
    ("two threads", "--sessions 4 --threads 2"),
]


def volumes(scratch):
    return [{"name": "mem", "store": "mem", "size": str(SIZE)},
            {"name": "file", "store": "file", "path": os.path.join(scratch, "disk.img"),
             "size": str(SIZE)},
            {"name": "null", "store": "null", "size": str(SIZE)}]


def generate(generator, server, lun, argv):
    """Runs the generator with --verify; returns (exit status, what it said)."""
    command = [generator, "--portal", server.address, "--target", TARGET, "--lun", str(lun),
               "--verify", "--read-percent", "50", "--time", SECONDS, "--warmup", "0.02",
               *argv.split()]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=60)
        return done.returncode, done.stderr
    except subprocess.TimeoutExpired:
        return -1, "not done after 60 s"


def check_loads(tap, generator, server):
    for name, lun, argv in cases():
        status, said = generate(generator, server, lun, argv)
        tap.check(status == 0, name, said)
        if not server.alive():
            return
    status, said = generate(generator, server, len(LUNS), "--range 1m")
    tap.check(status == 1 and "wrong data" in said, "a LUN that keeps nothing is found out", said)


def cases():
    for lun, store in enumerate(LUNS):
        for load, argv in LOADS:
            for digest, digest_argv in DIGESTS:
                for session, session_argv in SESSIONS:
                    yield ("%s: %s, %s, %s" % (store, load, digest, session), lun,
                           " ".join((argv, digest_argv, session_argv)))
        for shape, argv in SHAPES:
            yield ("%s: 64 KiB, %s" % (store, shape), lun,
                   "--block-size 64k --depth 8 --range 4m " + argv)


def main():
    tap = Tap()
    if not kurad.have_binary():
        tap.skip("data under load", "there is no kurad yet")
        return tap.done()
    scratch = kurad.scratch_folder("kura-selftest")
    try:
        generator = servers.find_generator(scratch)
        with kurad.Kurad(kurad.one_target(TARGET, volumes(scratch))) as server:
            check_loads(tap, generator, server)
        tap.ok("kurad stops cleanly after the load")
    except kurad.KuradFailed as why:
        tap.not_ok("kurad stops cleanly after the load", str(why))
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
