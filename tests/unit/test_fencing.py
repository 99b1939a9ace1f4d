#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Reservations of a real kurad: over kill -9, and a fenced host that keeps on writing."""

import os
import signal
import subprocess
import sys
import threading

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import kurad  # noqa: E402
import tapout  # noqa: E402
from initiator import CHECK, CONFLICT, GOOD, Initiator, Lost, read10, write10  # noqa: E402

TARGET = "iqn.2026-11.kura.test:fence"
SECOND = "iqn.2026-11.kura.test:fence2"
ROUNDS = int(os.environ.get("KURA_FENCE_ROUNDS", "40"))
REGISTER, RESERVE, PREEMPT_ABORT, REGISTER_IGNORE, REPLACE_LOST = 0, 1, 5, 6, 8
WRITE_EXCLUSIVE, WRITE_EXCLUSIVE_RO, EXCLUSIVE_RO = 1, 5, 6
BLOCKS = 48
DEPTH = 16
tap = tapout.Tap()


def config(loops=2, delay=""):
    volume = {"name": "disk", "store": "file", "path": "@SCRATCH@/disk.img", "size": "8M"}
    if delay:
        volume["layers"] = [{"kind": "delay", "options": delay}]
    luns = [{"lun": 0, "volume": "disk"}]
    everyone = [{"name": "*"}]
    targets = [{"name": name, "luns": luns, "initiators": everyone} for name in (TARGET, SECOND)]
    return kurad.config([volume], targets, loops=loops)


def log_in(daemon, isid, target=TARGET):
    session = Initiator(daemon.portals[0], target, isid)
    told = session.settle()
    return session, told


# --- over a crash -----------------------------------------------------------------------------


def crash(daemon):
    """kill -9 and a new life on the same state."""
    daemon.process.send_signal(signal.SIGKILL)
    daemon.process.wait()
    daemon.start()


def state_files(daemon):
    folder = os.path.join(daemon.path("state"), "reservations")
    return sorted(os.path.join(folder, n) for n in os.listdir(folder))


def test_crash(daemon):
    a, _ = log_in(daemon, 1)
    b, _ = log_in(daemon, 2, SECOND)
    tap.check(a.reserve_out(REGISTER, 0, 0xA, flags=1)[0] == GOOD
              and b.reserve_out(REGISTER, 0, 0xB, flags=1)[0] == GOOD
              and a.reserve_out(RESERVE, 0xA, kind=WRITE_EXCLUSIVE)[0] == GOOD,
              "registered by two targets of one volume, and reserved")
    crash(daemon)
    a, told = log_in(daemon, 1)
    b, _ = log_in(daemon, 2, SECOND)
    tap.check(told == [(0x29, 0x00)], "after kill -9 a session is told of a power on", str(told))
    tap.check(a.keys() == (0, [0xA, 0xB]), "both registrations are there", str(a.keys()))
    tap.check(b.reservation() == (WRITE_EXCLUSIVE, 0xA), "and the reservation")
    tap.check(b.command(write10(0, 1), write=bytes(512))[0] == CONFLICT
              and a.command(write10(0, 1), write=bytes(512))[0] == GOOD, "and it holds")
    tap.check(b.reserve_out(PREEMPT_ABORT, 0xB, 0xA, WRITE_EXCLUSIVE_RO)[0] == GOOD,
              "the other takes it over")
    crash(daemon)
    a, _ = log_in(daemon, 1)
    tap.check(a.keys() == (0, [0xB]) and a.reservation() == (WRITE_EXCLUSIVE_RO, 0xB),
              "which holds over kill -9 as well")
    tap.check(a.command(write10(0, 1), write=bytes(512))[0] == CONFLICT,
              "the fenced one stays fenced")


def test_torn(daemon):
    current, old = state_files(daemon)
    os.truncate(current, 30)
    crash(daemon)
    a, _ = log_in(daemon, 1)
    tap.check(a.keys() == (0, [0xA, 0xB]), "a torn file: the one before it", str(a.keys()))
    tap.check("reservations cannot be read" in daemon.log()
              and "latest change is missing" in daemon.log(), "and the log says so")
    os.truncate(current, 30)
    os.truncate(old, 0)
    crash(daemon)
    a = Initiator(daemon.portals[0], TARGET, 1)
    status, sense, _ = a.command(bytes(6))
    status, sense, _ = a.command(bytes(6))
    tap.check((status, sense) == (CHECK, (7, 0x44, 0x01)),
              "both torn: PERSISTENT RESERVATION INFORMATION LOST, never no reservation",
              f"{status} {sense}")
    tap.check(a.command(write10(0, 1), write=bytes(512))[1] == (7, 0x44, 0x01), "no write")
    tap.check(a.reserve_out(REPLACE_LOST, 0, 0xC, WRITE_EXCLUSIVE, 1)[0] == GOOD
              and a.command(write10(0, 1), write=bytes(512))[0] == GOOD, "until it is replaced")
    crash(daemon)
    a, _ = log_in(daemon, 1)
    tap.check(a.keys() == (0, [0xC]), "which lasts", str(a.keys()))


def test_unwritable(daemon):
    """A folder that cannot be written: the command is refused and nothing has changed."""
    folder = os.path.dirname(state_files(daemon)[0])
    a, _ = log_in(daemon, 1)
    os.rename(folder, folder + ".away")
    with open(folder, "w", encoding="ascii"):
        pass
    status, sense = a.reserve_out(REGISTER_IGNORE, 0, 0xD, flags=1)
    tap.check(status == CHECK and sense == (4, 0x44, 0x00), "what cannot be saved is refused",
              f"{status} {sense}")
    tap.check(a.keys()[1] == [0xC], "and has not happened", str(a.keys()))
    os.unlink(folder)
    os.rename(folder + ".away", folder)
    tap.check(a.reserve_out(REGISTER_IGNORE, 0, 0xD, flags=1)[0] == GOOD
              and a.keys()[1] == [0xD], "later it can be")


# --- a host that is fenced while it writes ------------------------------------------------------


class Writer(threading.Thread):
    """Writes its stamp over and over with DEPTH commands in flight until it is fenced."""

    def __init__(self, session, stamp):
        super().__init__(daemon=True)
        self.session, self.stamp = session, bytes([stamp]) * 512
        self.written = 0
        self.running = threading.Event()
        self.conflict = False

    def start_one(self):
        self.session.start(write10(self.written % BLOCKS, 1), write=self.stamp)
        self.written += 1

    def run(self):
        for _ in range(DEPTH):
            self.start_one()
        try:
            while not self.conflict:
                self.step()
        except Lost:
            pass

    def step(self):
        pdu = self.session.receive()
        if pdu.opcode != 0x21:
            return
        if self.written > 3 * DEPTH:
            self.running.set()
        self.conflict = pdu.status == CONFLICT
        if not self.conflict:
            self.start_one()


def all_blocks(session):
    return session.command(read10(0, BLOCKS), read=BLOCKS * 512)[2]


def fence_round(daemon, number):
    """One host fences the other in full flight; None, or what went wrong."""
    victim, _ = log_in(daemon, 2)
    host, _ = log_in(daemon, 1, SECOND if number % 2 else TARGET)
    if victim.reserve_out(REGISTER_IGNORE, 0, 0xB)[0] != GOOD or \
            host.reserve_out(REGISTER_IGNORE, 0, 0xA)[0] != GOOD or \
            victim.reserve_out(RESERVE, 0xB, kind=EXCLUSIVE_RO)[0] != GOOD:
        return "not reserved"
    writer = Writer(victim, 0x55)
    writer.start()
    if not writer.running.wait(20):
        return "the writer does not get on"
    status, sense = host.reserve_out(PREEMPT_ABORT, 0xA, 0xB, EXCLUSIVE_RO)
    mine = bytes([number % 80 + 1]) * (BLOCKS * 512)
    if status != GOOD or host.command(write10(0, BLOCKS), write=mine)[0] != GOOD:
        return f"PREEMPT AND ABORT: {status} {sense}"
    for _ in range(20):
        found = all_blocks(host)
        if found != mine:
            landed = [i for i in range(BLOCKS) if found[i * 512] == 0x55]
            return f"a write of the fenced host landed at {landed}"
    victim_end(writer)
    status = host.reserve_out(3, 0xA)[0]  # CLEAR
    victim.close()
    host.close()
    return None if writer.conflict and status == GOOD else "the writer met no conflict"


def victim_end(writer):
    """Its answers were dropped with its commands: one more, and it sees that it is fenced."""
    writer.join(0.05)
    if writer.is_alive():
        writer.start_one()
        writer.start_one()
        writer.join(10)


def test_stress(name, **more):
    with kurad.Kurad(config(**more)) as daemon:
        for number in range(ROUNDS):
            wrong = fence_round(daemon, number)
            if wrong:
                tap.not_ok(name, f"round {number}: {wrong}")
                return
    tap.ok(name)


def test_late_data(daemon):
    """Data of a write that was admitted before comes after the answer: it goes nowhere."""
    host, _ = log_in(daemon, 1)
    victim, _ = log_in(daemon, 2)
    host.reserve_out(REGISTER_IGNORE, 0, 0xA)
    victim.reserve_out(REGISTER_IGNORE, 0, 0xB)
    host.command(write10(0, 1), write=bytes([1]) * 512)
    itt = victim.start(write10(0, 1), write=bytes([0x55]) * 512, immediate=False)
    r2t = victim.receive()
    if not tap.check(r2t.opcode == 0x31, "a write waits for its data"):
        return
    tap.check(host.reserve_out(PREEMPT_ABORT, 0xA, 0xB, WRITE_EXCLUSIVE)[0] == GOOD,
              "PREEMPT AND ABORT does not wait for it")
    victim.data_out(itt, r2t, bytes([0x55]) * 512)
    tap.check(victim.settle() == [(0x2A, 0x05)], "the fenced one is told, once")
    tap.check(host.command(read10(0, 1), read=512)[2] == bytes([1]) * 512,
              "late data goes nowhere")
    victim.close()
    host.reserve_out(3, 0xA)


def test_all_ports(daemon):
    """ALL_TG_PT: one command registers a host at every target that has the volume."""
    here, _ = log_in(daemon, 7)
    there, _ = log_in(daemon, 7, SECOND)
    tap.check(here.reserve_out(REGISTER, 0, 0x7, flags=4)[0] == GOOD
              and here.keys()[1] == [7, 7], "registered at each port", str(here.keys()))
    tap.check(there.reserve_out(RESERVE, 0x7, kind=WRITE_EXCLUSIVE_RO)[0] == GOOD,
              "the other port reserves")
    tap.check(here.reserve_out(REGISTER, 0x7, 0, flags=4)[0] == GOOD
              and here.keys()[1] == [] and here.reservation() is None,
              "gone from all ports, and the reservation with it", str(here.keys()))
    here.close()
    there.close()


def main():
    with kurad.Kurad(config()) as daemon:
        test_crash(daemon)
        test_torn(daemon)
        test_unwritable(daemon)
    with kurad.Kurad(config()) as daemon:
        test_late_data(daemon)
        test_all_ports(daemon)
    test_stress(f"{ROUNDS} hosts fenced in full flight, nothing lands afterwards")
    test_stress("the same on a slow disk", delay="ms=3")
    return tap.done()


if __name__ == "__main__":
    if not kurad.have_binary():
        subprocess.run(["echo", "1..0 # SKIP no kurad"], check=False)
        sys.exit(0)
    sys.exit(main())
