#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Four sessions on two loops of a real kurad at work on the same blocks: a counter that all of them
raise by COMPARE AND WRITE, bits that each sets by ORWRITE, and stamps that one writes plainly while
the others answer them.  Nothing that was answered GOOD may be lost."""

import os
import socket
import struct
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import kurad  # noqa: E402
import tapout  # noqa: E402

TARGET = "iqn.2026-11.kura.test:atomic"
SLOW = float(os.environ.get("KURA_TEST_SLOW", "1"))
SESSIONS = 4
ROUNDS = 200
STAMPS = 4  # in each of them
BLOCK = 512
COUNTER, BITS, STAMP = 10, 20, 30
GOOD, CHECK_CONDITION = 0, 2
UNIT_ATTENTION, MISCOMPARE = 0x6, 0xE
READ16, WRITE16, COMPARE, ORWRITE = 0x88, 0x8A, 0x89, 0x8B
tap = tapout.Tap()


class Wrong(Exception):
    """kurad did something that it must not."""


class Session:
    """An initiator with one command at a time, its data immediate."""

    def __init__(self, address, number):
        self.sock = socket.create_connection(address, timeout=20 * SLOW)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.cmd_sn, self.stat_sn = 1, 0
        keys = (f"InitiatorName=iqn.2026-11.kura.test:i{number}", f"TargetName={TARGET}",
                "SessionType=Normal", "HeaderDigest=None", "DataDigest=None",
                "InitialR2T=No", "ImmediateData=Yes")
        text = "".join(k + "\0" for k in keys).encode()
        isid = bytes([0x80, 0, 0, 0, 0, number])
        self.send(0x43, 0x87, isid + struct.pack(">HIHHII", 0, 7, 1, 0, 1, 0), text)
        header, _ = self.receive()
        if header[36] or not header[1] & 0x80:
            raise Wrong("login refused")

    def send(self, opcode, flags, middle, data=b""):
        head = struct.pack(">BBHB", opcode, flags, 0, 0) + len(data).to_bytes(3, "big") + middle
        self.sock.sendall(head.ljust(48, b"\0") + data + b"\0" * (-len(data) % 4))

    def exactly(self, size):
        got = b""
        while len(got) < size:
            piece = self.sock.recv(size - len(got))
            if not piece:
                raise Wrong("the connection was closed")
            got += piece
        return got

    def receive(self):
        header = self.exactly(48)
        size = int.from_bytes(header[5:8], "big")
        data = self.exactly(size + -size % 4)[:size]
        return header, data

    def once(self, cdb, out, want):
        """(status, sense key, data) of one command."""
        flags = 0xA0 if out else 0xC0 if want else 0x80
        middle = bytes(8) + struct.pack(">IIII", self.cmd_sn, len(out) or want, self.cmd_sn,
                                        self.stat_sn) + cdb
        self.send(0x01, flags, middle, out)
        self.cmd_sn += 1
        got = b""
        while True:
            header, data = self.receive()
            opcode = header[0] & 0x3F
            if opcode == 0x25:
                got += data
                if not header[1] & 1:
                    continue
            elif opcode != 0x21:
                raise Wrong(f"opcode {opcode:02x}")
            self.stat_sn = int.from_bytes(header[24:28], "big") + 1
            key = data[4] & 0xF if opcode == 0x21 and len(data) > 4 else 0
            return header[3], key, got

    def command(self, opcode, lba, blocks, out=b"", want=0):
        cdb = struct.pack(">BBQIBB", opcode, 0, lba, blocks, 0, 0)
        while True:
            status, key, data = self.once(cdb, out, want)
            if status == CHECK_CONDITION and key == UNIT_ATTENTION:
                continue
            return status, key, data

    def good(self, *args, **more):
        status, key, data = self.command(*args, **more)
        if status != GOOD:
            raise Wrong(f"status {status:02x} key {key:x}")
        return data

    def read(self, lba):
        return self.good(READ16, lba, 1, want=BLOCK)

    def compare(self, lba, was, shall):
        """Whether the block was as it should be, and so is what it shall be now."""
        status, key, _ = self.command(COMPARE, lba, 1, was + shall)
        if status == GOOD:
            return True
        if status != CHECK_CONDITION or key != MISCOMPARE:
            raise Wrong(f"COMPARE AND WRITE: status {status:02x} key {key:x}")
        return False


def number(block, at=0):
    return int.from_bytes(block[at:at + 8], "big")


def raise_counter(session):
    while True:
        was = session.read(COUNTER)
        if session.compare(COUNTER, was, struct.pack(">Q", number(was) + 1) + was[8:]):
            return


def set_bit(session, who, turn):
    block = bytearray(BLOCK)
    block[128 * who + turn // 8] = 1 << turn % 8
    session.good(ORWRITE, BITS, 1, bytes(block))


def stamp(session, turn):
    """The only plain writer: its last stamp stands, whatever the others answer."""
    session.good(WRITE16, STAMP, 2, struct.pack(">Q", turn + 1).ljust(2 * BLOCK, b"\0"))
    found = number(session.read(STAMP))
    if found != turn + 1:
        raise Wrong(f"stamp {turn + 1} was written, {found} is there")


def answer(session):
    was = session.read(STAMP)
    session.compare(STAMP, was, was[:8] + was[:8] + was[16:])


def work(address, who, failures):
    try:
        session = Session(address, who + 1)
        for turn in range(ROUNDS):
            raise_counter(session)
            set_bit(session, who, turn)
            for again in range(STAMPS):
                if who == 0:
                    stamp(session, turn * STAMPS + again)
                else:
                    answer(session)
            session.good(WRITE16, COUNTER - 1 - who, 1, bytes([turn & 255]) * BLOCK)
    except (Wrong, OSError) as error:
        failures.append(f"session {who}: {error}")


def check(session):
    """What must be there in the end; the list of what is wrong."""
    wrong = []
    if number(session.read(COUNTER)) != SESSIONS * ROUNDS:
        wrong.append(f"the counter is {number(session.read(COUNTER))}, not {SESSIONS * ROUNDS}")
    bits = session.read(BITS)
    for who in range(SESSIONS):
        have = int.from_bytes(bits[128 * who:128 * (who + 1)], "little")
        if have != (1 << ROUNDS) - 1:
            wrong.append(f"bits of session {who} are missing")
        if session.read(COUNTER - 1 - who) != bytes([(ROUNDS - 1) & 255]) * BLOCK:
            wrong.append(f"the block of session {who} is another one's")
    if number(session.read(STAMP)) != ROUNDS * STAMPS:
        wrong.append("the last stamp is lost")
    return wrong


def contest(name, volume, loops):
    with kurad.Kurad(kurad.one_target(TARGET, [volume], loops=loops)) as k:
        failures = []
        address = (k.host, k.port)
        threads = [threading.Thread(target=work, args=(address, who, failures))
                   for who in range(SESSIONS)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        failures += check(Session(address, SESSIONS + 1)) if not failures else []
        if failures:
            tap.not_ok(name, "\n".join(failures))
        else:
            tap.ok(name)


def main():
    memory = {"name": "m", "store": "mem", "size": "8M"}
    disk = {"name": "d", "store": "file", "path": "@SCRATCH@/disk.img", "size": "8M"}
    direct = dict(disk, cache="direct")
    for name, volume, loops in (("memory, two loops", memory, 2), ("a file, two loops", disk, 2),
                                ("a file past the page cache, two loops", direct, 2),
                                ("a file, one loop", disk, 1)):
        try:
            contest(name, volume, loops)
        except kurad.KuradFailed as error:
            tap.not_ok(name, str(error))
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
