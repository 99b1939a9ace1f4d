#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Turns the golden conversations of tests/wire into inputs of fuzz_talk.

    tests/fuzz/talk_seeds.py FOLDER

Each scenario becomes one input: what its initiator sends, as steps (talk_conn.h). What the target says
is left out, because fuzz_talk finds out by itself. A line that has no step is passed over.
"""

import hashlib
import os
import re
import struct
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
WIRE = os.path.join(os.path.dirname(HERE), "wire")
sys.path.insert(0, WIRE)

import conv  # noqa: E402
import pdu  # noqa: E402
from play import Player  # noqa: E402

# enum talk_kind
LOGIN, LOGIN_PDU, COMMAND, DATA, TMF, NOP, TEXT, LOGOUT, OTHER, WINDOW, CHUNK, TIME, CLOSE, RAW = \
    range(14)
WRONG = {"itt": 0x02, "hdigest": 0x04, "ddigest": 0x08, "length": 0x20, "ahs": 0x40}
STEPS_MOST, KEYS_MOST, LENGTH_MOST = 64, 16, 0xFFFF


def dictionary():
    """The keys of talk_keys.def and their numbers."""
    with open(os.path.join(HERE, "talk_keys.def"), encoding="utf-8") as f:
        return {text: n for n, text in reversed(list(enumerate(
            re.findall(r'^KEY\("(.*)"\)$', f.read(), re.M), 1)))}


KEYS = dictionary()


def number(text, otherwise=0):
    """A plain number; what is captured or computed counts as `otherwise`."""
    try:
        return int(text, 0)
    except ValueError:
        return otherwise


def keys_of(texts):
    """The numbers of the nearest keys of the dictionary."""
    found = []
    for text in texts:
        name = text.split("=")[0] + "="
        near = [n for key, n in KEYS.items() if key == text] or \
            [n for key, n in KEYS.items() if key.startswith(name)]
        found += near[:1]
    return bytes(found[:KEYS_MOST])


def step(kind, conn, *, wrong=0, itt=0, lun=0, op=0, flags=0, length=0, off=0, edtl=0, body=b""):
    return struct.pack(">8BHHI16s", kind, conn, wrong, 0, itt, lun & 0xFF, op & 0xFF, flags & 0xFF,
                       min(length, LENGTH_MOST), off & 0xFFFF, edtl & 0xFFFFFFFF, body)


class Writer:
    """The steps of one scenario."""

    def __init__(self):
        self.conns = []
        self.steps = []
        self.player = Player(("127.0.0.1", 0))

    def conn(self, name):
        if name not in self.conns:
            self.conns.append(name)
        return self.conns.index(name) % 4

    # --- directives -------------------------------------------------------------------------

    def login(self, conn, words):
        flags = 0x10 if "HeaderDigest=CRC32C" in words else 0
        flags |= 0x20 if "DataDigest=CRC32C" in words else 0
        keys = [w for w in words if "=" in w and w[0].isupper() and "Digest=" not in w]
        self.steps.append(step(LOGIN, self.conn(conn), op=2 if "discovery" in words else 0,
                               flags=flags, body=keys_of(keys)))

    def directive(self, statement):
        words, conn = statement.words, self.conn(statement.conn)
        if words[0] == "login":
            self.login(statement.conn, words[1:])
        elif words[0] == "offer":
            self.login("", words[1:words.index("->")])
        elif words[0] == "ready":
            self.steps.append(step(COMMAND, conn, flags=0x81))
        elif words[0] == "ping":
            self.steps.append(step(NOP, conn))
        elif words[0] == "logout":
            self.steps.append(step(LOGOUT, conn))
        elif words[0] == "close":
            self.steps.append(step(CLOSE, conn, op=1))
        elif words[0] == "half-close":
            self.steps.append(step(CLOSE, conn))
        elif words[0] == "sleep":
            self.steps.append(step(TIME, conn, length=number(words[1])))
        elif words[0] == "repeat":
            for _ in range(min(number(words[1]), 4)):
                self.run(statement.body)
        elif words[0] == "batch":
            first = len(self.steps)
            self.run(statement.body)
            for i in range(first, len(self.steps) - 1):
                self.steps[i] = self.steps[i][:1] + bytes([self.steps[i][1] | 0x80]) \
                    + self.steps[i][2:]

    # --- PDUs -------------------------------------------------------------------------------

    def length(self, parts):
        """How many bytes of data, without making them."""
        total = 0
        for kind, rest, _ in parts:
            words = rest.split()
            if kind in ("zero", "fill", "pattern"):
                total += number(words[0])
            elif kind == "hex":
                total += len(words)
            elif kind == "str":
                total += len(rest)
        return total

    def cdb(self, text):
        try:
            return self.player.value("CDB", text, "").to_bytes(16, "big")
        except Exception:  # noqa: BLE001 a value that only a conversation has
            return bytes(16)

    def wrongs(self, fields, parts):
        wrong = sum(WRONG[k] for k in ("hdigest", "ddigest") if fields.get(k) == "bad")
        wrong |= WRONG["length"] if "DSL" in fields else 0
        return wrong | (WRONG["ahs"] if any(p[0] == "ahs" for p in parts) else 0)

    def send(self, statement):
        words, conn, parts = statement.words, self.conn(statement.conn), statement.parts
        fields = dict(w.partition("=")[::2] for w in words[1:])
        if words[0] == "raw":
            self.steps.append(step(RAW, conn, op=16, body=b"\x43" * 16))
            return
        shape = pdu.BY_NAME[words[0]]
        values = {k: number(v) for k, v in fields.items()
                  if k in shape.fields and shape.fields[k].size == 1 and k != "CDB"}
        values = {k: v & shape.fields[k].limit for k, v in values.items()}
        header = pdu.build(shape, {k: v for k, v in values.items() if k not in ("AHS",)})
        made = getattr(self, "send_" + words[0], None)
        common = {"wrong": self.wrongs(fields, parts), "lun": number(fields.get("LUN", "0"))}
        if made:
            made(conn, fields, parts, header, common)
        else:
            self.steps.append(step(OTHER, conn, op=header[0], flags=header[1],
                                   body=header[20:36], **common))

    def send_Command(self, conn, fields, parts, header, common):
        flags = header[1] | (0x08 if header[0] & 0x40 else 0)
        self.steps.append(step(COMMAND, conn, flags=flags, op=4, length=self.length(parts),
                               edtl=number(fields.get("EDTL", "0")),
                               body=self.cdb(fields.get("CDB", "TUR()")), **common))

    def send_DataOut(self, conn, fields, parts, header, common):
        op = 0 if "TTT" in fields else 0x01
        op |= 0x04 if header[1] & 0x80 else 0x02
        self.steps.append(step(DATA, conn, op=op, length=self.length(parts), **common))

    def send_TaskRequest(self, conn, _fields, _parts, header, common):
        self.steps.append(step(TMF, conn, op=header[1] & 0x7F, flags=not header[0] & 0x40,
                               **common))

    def send_NopOut(self, conn, fields, parts, header, common):
        self.steps.append(step(NOP, conn, op="TTT" in fields, flags=not header[0] & 0x40,
                               length=self.length(parts), **common))

    def send_TextRequest(self, conn, fields, parts, header, common):
        flags = (not header[1] & 0x80) | (2 if header[1] & 0x40 else 0) \
            | (4 if header[0] & 0x40 else 0)
        self.steps.append(step(TEXT, conn, op="TTT" in fields, flags=flags,
                               body=keys_of(r for k, r, _ in parts if k == "text"), **common))

    def send_LogoutRequest(self, conn, fields, _parts, header, common):
        self.steps.append(step(LOGOUT, conn, op=header[1] & 0x7F, flags=not header[0] & 0x40,
                               off=number(fields.get("CID", "0")), **common))

    def send_LoginRequest(self, conn, _fields, parts, header, common):
        texts = [r for k, r, _ in parts if k == "text"]
        if any(t == "AuthMethod=CHAP" for t in texts):  # what follows is done by the login itself
            self.steps.append(step(LOGIN, conn, op=1, flags=0x40))
        named = ("InitiatorName=iqn", "TargetName=")  # said by the first request in any case
        self.steps.append(step(LOGIN_PDU, conn, flags=header[1],
                               body=keys_of(t for t in texts if not t.startswith(named)), **common))

    def run(self, statements):
        for statement in statements:
            if statement.kind == ">":
                self.send(statement)
            elif statement.kind == ":":
                self.directive(statement)


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: talk_seeds.py FOLDER")
    os.makedirs(sys.argv[1], exist_ok=True)
    for name in sorted(os.listdir(WIRE)):
        if not name.endswith(".conv"):
            continue
        for scenario in conv.read(os.path.join(WIRE, name)).scenarios:
            writer = Writer()
            writer.run(scenario.statements)
            data = b"".join(writer.steps[:STEPS_MOST])
            stem = name[:-len(".conv")] + "-" + hashlib.sha256(data).hexdigest()[:8]
            if data:
                with open(os.path.join(sys.argv[1], stem), "wb") as f:
                    f.write(data)


if __name__ == "__main__":
    main()
