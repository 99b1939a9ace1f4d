#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Tests the wire tests' own parts, without any target: codec, notation, matching, counters."""

import os
import socket
import sys
import threading

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "lib")]

import conv  # noqa: E402
import pdu  # noqa: E402
import peer  # noqa: E402
import tapout  # noqa: E402
from play import Player, ScenarioFailed  # noqa: E402

TAP = tapout.Tap()


def codec():
    """Vectors of RFC 3720 B.4 and headers written out by hand."""
    TAP.check(pdu.digest(bytes(32)) == bytes.fromhex("aa36918a"), "CRC32C of 32 zeros")
    TAP.check(pdu.digest(b"\xff" * 32) == bytes.fromhex("43aba862"), "CRC32C of 32 ones")
    TAP.check(pdu.digest(bytes(range(32))) == bytes.fromhex("4e79dd46"), "CRC32C ascending")
    header = pdu.build(pdu.BY_NAME["Command"], {
        "R": 1, "ITT": 7, "EDTL": 4096, "CmdSN": 3, "ExpStatSN": 9, "LUN": 1 << 48,
        "CDB": int.from_bytes(pdu.cdb("READ10", 16, 8), "big")})
    TAP.check(header == bytes.fromhex(
        "01c10000 00000000 0001000000000000 00000007 00001000 00000003 00000009"
        "28000000001000000800000000000000"), "a READ(10) command by hand", header.hex())
    login = pdu.build(pdu.BY_NAME["LoginRequest"], {"T": 1, "CSG": 1, "NSG": 3, "CID": 2,
                                                    "ISID": 0x00023D000001})
    TAP.check(login[:16].hex() == "438700000000000000023d0000010000" and login[20:22] == b"\0\2",
              "a Login Request by hand", login.hex())
    for shape in pdu.SHAPES:
        values = {n: (f.limit if n != "DSL" else 5) for n, f in shape.fields.items()}
        built = pdu.build(shape, values)
        TAP.check(pdu.parse(built) == values and not any(pdu.reserved(built)),
                  f"{shape.name} round trip")
    TAP.check(any(pdu.reserved(b"\x20\x80\x01" + bytes(45))), "a reserved bit is seen")
    TAP.check(pdu.text_items(b"A=1\0B=2\0") == ["A=1", "B=2"], "text items")
    TAP.check(pdu.sense_of(bytes([0, 18, 0x70, 0, 5] + [0] * 9 + [0x24, 0] + [0] * 4))
              == (5, 0x2400), "fixed sense")
    TAP.check(pdu.sense_of(bytes([0, 8, 0x72, 6, 0x29, 1, 0, 0, 0, 0])) == (6, 0x2901),
              "descriptor sense")
    TAP.check(pdu.pattern(8192, 1) != pdu.pattern(8192, 2)
              and pdu.pattern(100, 3) == pdu.pattern(200, 3)[:100], "pattern")
    TAP.check(peer.later(1, 0xFFFFFFFF) == 2 and peer.later(5, 6) == -1, "serial arithmetic")


def notation():
    for text, why in (("== a\n? x", "mark"), ("== a\n> NopOut\n  blah 1", "data line"),
                      ("> NopOut", "scenario"), ("== a\nrepeat 3\n> NopOut", "open block"),
                      ("== a\nend", "end of nothing"), ("== a\n  hex 00", "data of nothing")):
        try:
            conv.parse("x", text)
            TAP.not_ok(f"a mistake is found: {why}")
        except conv.BadConversation:
            TAP.ok(f"a mistake is found: {why}")
    read = conv.parse("x", "| a = 1;\n# c\n== one\nA> NopOut ITT=1\n  hex 00\nA< close\n")
    first = read.scenarios[0].statements[0]
    TAP.check(read.config == ["a = 1;"] and first.conn == "A" and first.parts[0][:2] ==
              ("hex", "00"), "a small file is read")


class Script(threading.Thread):
    """A target of a few lines: for every chunk it receives it sends the next answer."""

    def __init__(self, answers):
        super().__init__(daemon=True)
        self.answers = answers
        self.got = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = self.listener.getsockname()
        self.start()

    def run(self):
        sock, _ = self.listener.accept()
        for answer in self.answers:
            self.got.append(sock.recv(65536))
            sock.sendall(answer)
        sock.close()
        self.listener.close()


def nop_in(stat_sn=5, data=b"", **more):
    values = {"ITT": 1, "StatSN": stat_sn, "ExpCmdSN": 1, "MaxCmdSN": 9, "DSL": len(data), **more}
    return pdu.padded(pdu.build(pdu.BY_NAME["NopIn"], values) + data)


def plays(name, answers, text, fails=None):
    """The scenario against the script: comes true, or fails with these words."""
    script = Script(answers)
    scenario = conv.parse("x", "== x\n" + text).scenarios[0]
    player = Player(script.address)
    try:
        player.play(scenario)
        TAP.check(fails is None, name, "came true, but must not")
    except ScenarioFailed as error:
        TAP.check(fails is not None and fails in str(error), name, str(error))
    script.join(2)
    return script


def matching():
    ping = "> NopOut I=1 ITT=1\n"
    plays("a good answer", [nop_in()], ping + "< NopIn ITT=1\n< close")
    plays("a wrong field", [nop_in()], ping + "< NopIn ITT=2", "ITT is 1")
    plays("a field that nobody named", [nop_in(LUN=1 << 48)], ping + "< NopIn ITT=1", "LUN is")
    plays("a free field", [nop_in(LUN=1 << 48)], ping + "< NopIn ITT=1 LUN=*")
    plays("data that nobody named", [nop_in(data=b"x")], ping + "< NopIn ITT=1", "1 bytes of data")
    plays("data as named", [nop_in(data=b"abc")], ping + "< NopIn ITT=1\n  str abc")
    plays("padding", [nop_in(data=b"abc")[:-1] + b"!"], ping + "< NopIn ITT=1\n  str abc",
          "padding")
    plays("StatSN must go on by one", [nop_in(5), nop_in(7)],
          (ping + "< NopIn ITT=1\n") * 2, "StatSN is 7, must be 6")
    plays("ExpCmdSN may not run ahead", [nop_in(ExpCmdSN=2)], ping + "< NopIn ITT=1",
          "was not sent yet")
    plays("a captured value", [nop_in(TTT=77), b""],
          ping + "< NopIn ITT=1 TTT=$t\n> NopOut I=1 TTT=$t+1\n< close")
    plays("one PDU too many", [nop_in() + nop_in(6)], ping + "< NopIn ITT=1", "one PDU too many")
    plays("silence", [b"", b""], ping + "< nothing 50\n" + ping + "< close")
    plays("no silence", [nop_in()], ping + "< nothing 500", "silent")
    plays("close in the middle", [nop_in()[:20]], ping + "< NopIn ITT=1", "with 20 bytes")
    plays("text keys as a set", [pdu.padded(pdu.build(pdu.BY_NAME["TextResponse"], {
        "ITT": 1, "StatSN": 1, "ExpCmdSN": 2, "MaxCmdSN": 9, "DSL": 8}) + b"A=1\0B=2\0")],
        "> TextRequest ITT=1\n  text x=y\n< TextResponse ITT=1\n  text B=2\n  text A=1")
    script = plays("digests are sent", [b""],
                   "digests header data\n> NopOut ITT=1\n  hex 0102\n< close")
    sent = script.got[0]
    TAP.check(sent[48:52] == pdu.digest(sent[:48]) and sent[56:60] == pdu.digest(sent[52:56])
              and len(sent) == 60, "and they are right", sent.hex())
    script = plays("wrong digest, cut", [b""],
                   "digests header\n> NopOut ITT=1 hdigest=bad cut=50\n< close")
    TAP.check(len(script.got[0]) == 50 and script.got[0][48:] != pdu.digest(sent[:48])[:2],
              "are wrong and cut")


def files():
    """Every conversation in the folder can be read."""
    for name in sorted(os.listdir(HERE)):
        if not name.endswith(".conv"):
            continue
        try:
            read = conv.read(os.path.join(HERE, name))
            TAP.check(read.scenarios, f"{name} can be read")
        except conv.BadConversation as error:
            TAP.not_ok(f"{name} can be read", str(error))


codec()
notation()
matching()
files()
sys.exit(TAP.done())
