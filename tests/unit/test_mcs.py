#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Two connections of one session, each driven by a thread, one of them cut again and again.

Commands get their CmdSN under a lock and are sent without it, so they arrive out of order over
the connections, and a number is often missing when its connection is cut. Each block that is
written says who wrote it when; whoever reads it must find the last write that was answered, or
one that was under way when its connection was cut, and from then on always the same.
"""

import os
import random
import struct
import sys
import threading
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import kurad  # noqa: E402
import tapout  # noqa: E402
from initiator import CHECK, GOOD, LOGIN_KEYS, SLOW, Initiator, Lost  # noqa: E402
from initiator import read10, sense_of, write10  # noqa: E402
from tool import Asker  # noqa: E402

TARGET = "iqn.2026-11.kura.test:mcs"
CUTS = int(os.environ.get("KURA_MCS_CUTS", "40"))
SEED = int(os.environ.get("KURA_MCS_SEED", str(int(time.time()) & 0xffff)))
BLOCKS = 64  # of each thread's part
DEPTH = 8
SECONDS = 60  # at most
LOOPS = 3
CLEARED = (6, 0x47, 0x7F)
tap = tapout.Tap()


class Session:
    """What the connections of a session share."""

    def __init__(self, address):
        self.address = address
        self.lock = threading.Lock()
        self.away = threading.Lock()  # held by whoever has cut its connection: one stays
        self.cmd_sn, self.exp_cmd_sn = 1, 1
        self.tsih = 0
        self.deadline = time.monotonic() + SECONDS * SLOW
        self.itt = 0

    def numbered(self):
        with self.lock:
            self.itt += 1
            self.cmd_sn += 1
            return self.itt, self.cmd_sn - 1

    def acknowledge(self, exp_cmd_sn):
        with self.lock:
            self.exp_cmd_sn = max(self.exp_cmd_sn, exp_cmd_sn)


class Member(Initiator):
    """One connection of a session."""

    def __init__(self, session, cid):
        self.session, self.cid = session, cid
        self.numbers = []
        self.answers = {}  # by task tag: what came before it was waited for
        super().__init__(session.address, TARGET, isid=7)

    def _login(self, target, keys):
        pairs = dict((("InitiatorName", self.name), ("TargetName", target)))
        if not self.session.tsih:
            pairs.update(dict(LOGIN_KEYS), MaxConnections="2")
        text = b"".join(f"{k}={v}\0".encode() for k, v in pairs.items())
        with self.session.lock:
            cmd_sn = self.session.cmd_sn
        self.send(struct.pack(">BBBB4x6sHIHHII16x", 0x43, 0x87, 0, 0,
                              bytes((0x00, 0x02, 0x3D)) + self.isid.to_bytes(3, "big"),
                              self.session.tsih, 0, self.cid, 0, cmd_sn, 0), text)
        answer = self.receive()
        if answer.opcode != 0x23 or answer.header[36] or answer.header[1] & 0x83 != 0x83:
            raise AssertionError(
                f"login refused: {answer.header[36]:02x}{answer.header[37]:02x}")
        self.session.tsih = int.from_bytes(answer.header[14:16], "big")

    def receive(self):
        if time.monotonic() > self.session.deadline:
            raise AssertionError("no end in sight")
        pdu = super().receive()
        self.session.acknowledge(struct.unpack_from(">I", pdu.header, 28)[0])
        return pdu

    def start(self, cdb, read=0, write=b"", immediate=True, lun=0):
        itt, cmd_sn = self.session.numbered()
        self.numbers.append(cmd_sn)
        flags = 0x81 | (0x40 if read else 0) | (0x20 if write else 0)
        self.send(struct.pack(">BB6xQIIII16s", 0x01, flags, lun << 48, itt, read or len(write),
                              cmd_sn, self.exp_stat_sn, cdb), write if immediate else b"")
        return itt

    def finish(self, itt):
        while itt not in self.answers:
            pdu = self.receive()
            if pdu.opcode == 0x25:
                self.read_data[pdu.itt] = self.read_data.get(pdu.itt, b"") + pdu.data
            if pdu.opcode == 0x21 or (pdu.opcode == 0x25 and pdu.header[1] & 0x01):
                self.answers[pdu.itt] = (pdu.status, sense_of(pdu),
                                         self.read_data.pop(pdu.itt, b""))
        return self.answers.pop(itt)

    def fill(self, numbers):
        """The numbers of an earlier connection that may never have come (RFC 7143 7.2.1)."""
        for cmd_sn in numbers:
            if cmd_sn >= self.session.exp_cmd_sn:
                with self.session.lock:
                    self.session.itt += 1
                    itt = self.session.itt
                self.send(struct.pack(">BB14xIIII16x", 0x00, 0x80, itt, 0xFFFFFFFF, cmd_sn,
                                      self.exp_stat_sn))


def stamp(who, count):
    return struct.pack(">4sIQ", b"kura", who, count) * 32


class Worker(threading.Thread):
    """Writes and reads its part of the disk by its connection, which it cuts now and then."""

    def __init__(self, session, who, cuts):
        super().__init__()
        self.session, self.who, self.cuts = session, who, cuts
        self.random = random.Random(f"{SEED} {who}")
        self.member = Member(session, who)
        self.truth = {}   # block: what is there for certain
        self.maybe = {}   # block: what else may be there
        self.count = self.reads = self.cleared = 0
        self.error = None

    def lba(self, block):
        return self.who * BLOCKS + block

    # --- one command, or several at once -------------------------------------------------------

    def finish(self, itt):
        """True when it was done; False: cleared with others, and to be sent again."""
        status, sense, data = self.member.finish(itt)
        if status == CHECK and sense == CLEARED:
            self.cleared += 1
            return False, b""
        if status != GOOD:
            raise AssertionError(f"status {status} sense {sense}")
        return True, data

    def one(self, cdb, read=0):
        done, data = False, b""
        while not done:
            done, data = self.finish(self.member.start(cdb, read=read))
        return data

    def check(self, block, data):
        """What was read, against what may be there; from now on it is the truth."""
        allowed = {self.truth.get(block, bytes(512))} | self.maybe.pop(block, set())
        if data not in allowed:
            raise AssertionError(f"block {block}: read {data[:16]!r}, "
                                 f"expected {[a[:16] for a in allowed]}")
        self.truth[block] = data
        self.reads += 1

    def turn(self, cut):
        """Some writes and reads at once; `cut`: the connection does not survive it."""
        blocks = self.random.sample(range(BLOCKS), DEPTH)
        writes, going = {}, []
        for block in blocks[:DEPTH // 2]:
            self.count += 1
            writes[block] = stamp(self.who, self.count)
            self.maybe.setdefault(block, set()).add(writes[block])
            going.append((block, self.member.start(write10(self.lba(block), 1),
                                                   write=writes[block])))
        if cut:
            if self.random.random() < 0.5:
                time.sleep(self.random.random() * 0.01)
            raise Lost("on purpose")
        for block in blocks[DEPTH // 2:]:
            going.append((block, self.member.start(read10(self.lba(block), 1), read=512)))
        for block, itt in going:
            done, data = self.finish(itt)
            if block in writes and done:
                self.truth[block] = writes[block]
                self.maybe.pop(block, None)
            elif block not in writes and done:
                self.check(block, data)

    # --- the connection ------------------------------------------------------------------------

    def cut(self):
        """The connection goes, another one takes its place, its numbers are filled in."""
        how = self.random.choice(("close", "reset", "half", "keep"))
        old = self.member
        if how == "reset":
            old.sock.setsockopt(1, 13, struct.pack("ii", 1, 0))  # SO_LINGER: RST
        if how == "half":
            old.sock.shutdown(1)
        elif how != "keep":
            old.sock.close()
        self.member = Member(self.session, self.who)
        self.member.fill(old.numbers)
        if how in ("keep", "half"):
            old.sock.close()
        # what was under way is over: each block has one truth from now on
        for block in list(self.maybe):
            self.check(block, self.one(read10(self.lba(block), 1), read=512))

    def run(self):
        try:
            self.work()
        except (Lost, AssertionError, OSError) as error:
            self.error = f"connection {self.who}: {type(error).__name__}: {error}"

    def work(self):
        while self.cuts:
            for _ in range(self.random.randrange(6)):
                self.turn(False)
            with self.session.away:
                self.cuts -= 1
                try:
                    self.turn(True)
                except Lost:
                    self.cut()
        for block in range(BLOCKS):
            self.check(block, self.one(read10(self.lba(block), 1), read=512))


def where(daemon):
    """How many connections each loop has."""
    asker = Asker(daemon.path("control"))
    answer = asker.call("status")
    asker.close()
    return sorted(loop["connections"] for loop in answer["result"]["loops"])


def play(daemon):
    session = Session(daemon.portals[0])
    workers = [Worker(session, 1, CUTS // 2)]
    workers[0].member.settle()
    workers.append(Worker(session, 2, CUTS // 2))
    crowd = [Initiator(daemon.portals[0], TARGET, isid=100 + i) for i in range(LOOPS - 1)]
    got = where(daemon)
    tap.check(got == [1, 1, 2], "both are on one loop, and others go to the other loops", f"{got}")
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    wrong = [w.error for w in workers if w.error]
    tap.check(not wrong, f"{CUTS} cuts: every block is what it must be",
              "\n".join(wrong) + f"\nKURA_MCS_SEED={SEED}")
    tap.check(sum(w.reads for w in workers) > 2 * BLOCKS, "reads were compared")
    tap.note(f"seed {SEED}: {sum(w.count for w in workers)} writes, "
             f"{sum(w.reads for w in workers)} reads, {sum(w.cleared for w in workers)} cleared")
    for one in crowd:
        one.close()
    end = time.monotonic() + 10 * SLOW
    while sum(where(daemon)) != 2 and time.monotonic() < end:
        time.sleep(0.05)
    got = where(daemon)
    tap.check(sum(got) == 2, "no connection is left behind", f"{got}")


def main():
    if not kurad.have_binary():
        print("1..0 # SKIP no kurad")
        return 0
    volume = {"name": "disk", "store": "mem", "size": "8M",
              "layers": [{"kind": "delay", "options": "ms=2"}]}
    text = kurad.one_target(TARGET, [volume], loops=LOOPS, max_connections_per_session=2)
    try:
        with kurad.Kurad(text) as daemon:
            play(daemon)
    except kurad.KuradFailed as error:
        tap.not_ok("kurad stays and stops well", str(error))
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
