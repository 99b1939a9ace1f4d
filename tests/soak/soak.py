#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Many sessions that do nothing, and many logins one after another: what they cost, what they leave.

    tests/soak/soak.py                    1000 sessions idle for 10 s; 200 logins a second for 60 s
    tests/soak/soak.py --short            200 sessions for 2 s; 100 logins a second for 6 s
    tests/soak/soak.py --sessions N --idle S --rate N --seconds S

Prints TAP, with the figures as comments. Nothing is asserted about speed: a machine that is busy
reaches a lower rate and says so. Asserted is what must hold on any machine: sessions and logins
leave no descriptor, no session and no memory behind, and an idle daemon does not spin.
"""

import argparse
import os
import resource
import struct
import sys
import time

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "lib"))

import kurad  # noqa: E402
import tapout  # noqa: E402
from initiator import Initiator, Lost  # noqa: E402
from tool import Asker  # noqa: E402

TARGET = "iqn.2026-11.kura.test:soak"
IDLE_MOST = 0.2  # of one processor: far above any noise, far below a loop that spins
FLAT_MOST_KIB = 4096  # growth of the memory of a daemon that has been warm for a third of the time
GONE_SECONDS = 20.0
TICKS = os.sysconf("SC_CLK_TCK")


class Watcher:
    """What can be seen of a kurad from outside."""

    def __init__(self, daemon):
        self.daemon = daemon
        self.proc = f"/proc/{daemon.process.pid}"

    def rss_kib(self):
        with open(self.proc + "/status", encoding="ascii") as f:
            return int(next(line for line in f if line.startswith("VmRSS:")).split()[1])

    def descriptors(self):
        return len(os.listdir(self.proc + "/fd"))

    def connections(self):
        asker = Asker(self.daemon.path("control"))
        try:
            return asker.call("status")["result"]["connections"]
        finally:
            asker.close()

    def settled(self, descriptors):
        """Waits until no connection and no descriptor is left; how many of both there still are."""
        end = time.monotonic() + GONE_SECONDS
        while True:
            left = self.connections(), max(0, self.descriptors() - descriptors)
            if left == (0, 0) or time.monotonic() > end:
                return left
            time.sleep(0.05)


def log_out(session):
    """A logout that goes well, and the end of the connection."""
    session.send(struct.pack(">BB14xIHHII16x", 0x46, 0x80, 0x7FFFFFFF, 0, 0, session.cmd_sn,
                             session.exp_stat_sn))
    answer = session.receive()
    if answer.opcode != 0x26 or answer.header[2]:
        raise Lost(f"logout: {answer.header.hex(' ')}")
    session.close()


def config(sessions):
    return kurad.one_target(TARGET, [{"name": "d", "store": "mem", "size": "8M"}],
                            max_connections=sessions + 64, max_sessions=sessions + 64,
                            ping_seconds=600)


def idle(tap, watch, options):
    """Sessions that say nothing: memory, descriptors, processor time."""
    descriptors, empty = watch.descriptors(), watch.rss_kib()
    address = watch.daemon.portals[0]
    log_out(Initiator(address, TARGET, isid=1))
    watch.settled(descriptors)
    warm = watch.rss_kib()
    crowd = [Initiator(address, TARGET, isid=i + 2) for i in range(options.sessions)]
    full, full_descriptors = watch.rss_kib(), watch.descriptors()
    time.sleep(0.5)
    before = watch.daemon.cpu_ticks()
    time.sleep(options.idle)
    used = watch.daemon.cpu_ticks() - before
    tap.note(f"memory: {empty} KiB at the start, {warm} KiB after one login, {full} KiB with "
             f"{options.sessions} sessions: {(full - warm) * 1024 // options.sessions} bytes each")
    tap.note(f"descriptors: {descriptors}, then {full_descriptors}")
    tap.note(f"idle: {used} ticks of {TICKS} a second in {options.idle} s, "
             f"{100 * used / TICKS / options.idle:.2f} % of a processor")
    tap.check(watch.connections() == options.sessions, f"{options.sessions} sessions are there",
              f"{watch.connections()} connections")
    tap.check(used <= IDLE_MOST * TICKS * options.idle + 2, "idle sessions cost no time",
              f"{used} ticks in {options.idle} s")
    answers = [s.command(bytes(6))[0] for s in crowd[::50]]
    tap.check(all(a in (0, 2) for a in answers), "and are still served", repr(answers))
    for session in crowd[::2]:
        log_out(session)
    for session in crowd[1::2]:
        session.close()
    left = watch.settled(descriptors)
    tap.check(left == (0, 0), "half logged out, half hung up: nothing is left",
              "{} connections, {} descriptors".format(*left))
    tap.note(f"memory afterwards: {watch.rss_kib()} KiB")


def logins(tap, watch, options):
    """Connect, log in, log out, at a steady pace; the memory by the second."""
    descriptors = watch.descriptors()
    address = watch.daemon.portals[0]
    begin = time.monotonic()
    memory, done, late = [], 0, 0
    while True:
        due = begin + done / options.rate
        now = time.monotonic()
        if now >= begin + options.seconds:
            break
        if now < due:
            time.sleep(due - now)
        elif now > due + 0.1:
            late += 1
        log_out(Initiator(address, TARGET, isid=1 + done % 1000))
        done += 1
        if now - begin >= len(memory):
            memory.append(watch.rss_kib())
    passed = time.monotonic() - begin
    third = memory[len(memory) // 3:]
    tap.note(f"logins: {done} in {passed:.1f} s, {done / passed:.0f} a second "
             f"({options.rate} wanted, {late} begun late)")
    tap.note(f"memory by the second, KiB: {' '.join(map(str, memory))}")
    tap.check(max(third) - third[0] <= FLAT_MOST_KIB, "memory is flat when it is warm",
              f"from {third[0]} to {max(third)} KiB")
    left = watch.settled(descriptors)
    tap.check(left == (0, 0), "no session and no descriptor is left",
              "{} connections, {} descriptors".format(*left))


def room_for(sockets):
    """Raises our own limit of descriptors, which kurad inherits; False: the limit is lower."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < sockets + 128:
        return False
    resource.setrlimit(resource.RLIMIT_NOFILE, (sockets + 128, hard))
    return True


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--sessions", type=int)
    parser.add_argument("--idle", type=float)
    parser.add_argument("--rate", type=int)
    parser.add_argument("--seconds", type=float)
    options = parser.parse_args()
    usual = (200, 2, 100, 6) if options.short else (1000, 10, 200, 60)
    for name, value in zip(("sessions", "idle", "rate", "seconds"), usual):
        if getattr(options, name) is None:
            setattr(options, name, value)
    tap = tapout.Tap()
    if not room_for(options.sessions):
        tap.skip(f"{options.sessions} sessions", "the limit of open files is lower (ulimit -Hn)")
        return tap.done()
    with kurad.Kurad(config(options.sessions)) as daemon:
        watch = Watcher(daemon)
        idle(tap, watch, options)
        logins(tap, watch, options)
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
