#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How fast a volume may be used, changed while it is: by kura volume limit, by kura apply and by
SIGHUP. Requests that wait go by what holds now, sessions stay, and a restart keeps it."""

import json
import os
import signal
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import kurad  # noqa: E402
import tapout  # noqa: E402
import tool  # noqa: E402
from initiator import GOOD, Initiator, read10, write10  # noqa: E402

TARGET = "iqn.2026-11.kura.test:limit"
HUMAN = {"name": "human", "store": "mem", "size": "8M", "limit": {"write_iops": 50}}
REQUESTS = 40
tap = tapout.Tap()
schema = tool.Tool()("help --schema").json()


def settings(human):
    return {"portals": [{"address": "127.0.0.1", "port": 0}], "loops": 2,
            "pools": [{"name": "p", "kind": "dir", "path": "@SCRATCH@/pool"}],
            "volumes": [human],
            "targets": [{"name": TARGET, "luns": [{"lun": 0, "volume": "human"}],
                         "initiators": [{"name": "*"}]}]}


class Box(kurad.Kurad):
    """A kurad with a volume of its own in a pool, and one that the human's file names."""

    def __init__(self):
        super().__init__(kurad.config_text(settings(HUMAN)))
        os.makedirs(self.path("pool"))
        self.kura = tool.Tool(self)

    def limit(self, line):
        done = self.kura.run("volume", "limit", *line.split(), "--json")
        if done.code:
            try:
                return done.code, json.loads(done.err)["message"]
            except ValueError:
                return done.code, done.err
        wrong = tool.fits(schema["volume limit"]["result"], done.json())
        tap.check(not wrong, f"{line}: as the schema says", str(wrong))
        return 0, done.json()

    def waiting(self, volume):
        """How many requests wait; more than none within a time, or 0."""
        for _ in range(1000):
            n = self.limit(volume)[1]["waiting"]
            if n:
                return n
            time.sleep(0.01)
        return 0

    def edit(self, human):
        with open(self.config_path, "w", encoding="utf-8") as f:
            f.write(kurad.config_text(settings(human)).replace("@SCRATCH@", self.scratch))

    def sessions(self):
        found = self.kura.json("session list")["sessions"]
        return sorted((s["session"], s["initiator"]) for s in found)


def start_many(session):
    """Reads and writes, all at once."""
    out = [session.start(read10(i, 1), read=512) for i in range(REQUESTS // 2)]
    return out + [session.start(write10(i, 1), write=bytes(512)) for i in range(REQUESTS // 2)]


def finish(session, out):
    """Whether all of them end well, in whichever order."""
    left = set(out)
    while left:
        pdu = session.receive()
        if pdu.opcode == 0x21 or (pdu.opcode == 0x25 and pdu.header[1] & 0x01):
            if pdu.status != GOOD:
                return False
            left.discard(pdu.itt)
    return True


def test_words(box):
    box.kura.json("volume create a --size 8M")
    code, answer = box.limit("a")
    tap.check(code == 0 and answer["limited"] is False and "iops" not in answer
              and answer["waiting"] == 0, "without a word it says what is", str(answer))
    for line, code, words in (
            ("b --iops 5", 3, 'volume "b"'),
            ("a --burst-ms 100", 2, "say how much as well"),
            ("a --burst-ms 5", 2, "20"),
            ("a --iops fast", 2, "iops"),
            ("a --write-bytes 1T", 2, "out of range"),
            ("human --iops 5", 1, box.config_path),
            ("human --none", 1, box.config_path)):
        got, answer = box.limit(line)
        tap.check(got == code and words in str(answer), f"{line}: refused", f"{got}: {answer}")
    code, answer = box.limit("human")
    tap.check((code, answer["limited"], answer["write_iops"]) == (0, True, 50),
              "what the human's file says can be looked at", str(answer))


def test_kept(box):
    code, answer = box.limit("a --iops 500 --write-bytes 8M")
    tap.check((code, answer["changed"], answer["iops"], answer["write_bytes"], answer["burst_ms"])
              == (0, True, 500, 8 << 20, 100), "limited", str(answer))
    code, answer = box.limit("a --iops 500")
    tap.check((code, answer["changed"]) == (0, False), "it was so", str(answer))
    code, answer = box.limit("a --read-iops 100 --iops 0 --burst-ms 1000")
    tap.check((code, answer["changed"], answer.get("iops"), answer["read_iops"],
               answer["write_bytes"], answer["burst_ms"]) == (0, True, None, 100, 8 << 20, 1000),
              "0 ends one, and what is not named stays", str(answer))
    code, answer = box.limit("a --none --bytes 1G")
    tap.check((code, answer["bytes"], answer.get("read_iops"), answer["burst_ms"])
              == (0, 1 << 30, None, 100), "none ends what is not named", str(answer))
    tap.check(box.kura.json("volume show a")["limit"] == f"bytes={1 << 30}", "show says so")
    box.restart()
    code, answer = box.limit("a")
    tap.check((code, answer["limited"], answer.get("bytes")) == (0, True, 1 << 30),
              "a restart keeps it", str(answer))
    text = box.kura.run("volume", "limit", "a").out
    tap.check(text == "Volume: a\nLimited: yes\nBytes: 1G\nBurst ms: 100\nWaiting: 0\n",
              "for people", text)
    code, answer = box.limit("a --none")
    tap.check((code, answer["limited"], answer["changed"]) == (0, False, True), "ended")
    tap.check("limit" not in box.kura.json("volume show a"), "show says nothing of it any more")


def test_live(box):
    """Requests that would take a minute go on when the limit ends."""
    shared = box.kura.json("share a --to *")["target"]
    session = Initiator(box.portals[0], shared, 1)
    session.settle()
    tap.check(finish(session, start_many(session)), "without a limit")
    before = box.sessions()
    tap.check(box.limit("a --iops 1 --burst-ms 20")[0] == 0, "the first limit, while it is used")
    out = start_many(session)
    tap.check(box.waiting("a") > 0, "requests wait")
    tap.check(box.limit("a --iops 2")[0] == 0 and box.waiting("a") > 0, "so do they at another rate")
    tap.check(box.limit("a --none")[0] == 0 and finish(session, out),
              "they go on when it is ended, and none has failed")
    tap.check(box.sessions() == before, "the sessions stay")
    session.close()


def test_followed(box):
    """The human's file, by SIGHUP and by kura apply."""
    session = Initiator(box.portals[0], TARGET, 2)
    session.settle()
    before = box.sessions()
    box.edit(dict(HUMAN, limit={"iops": 1, "burst_ms": 20}))
    begin = len(box.log())
    box.process.send_signal(signal.SIGHUP)
    for _ in range(3000):
        if "configuration followed" in box.log()[begin:]:
            break
        time.sleep(0.01)
    said = box.log()[begin:]
    tap.check("gets another limit" in said and "volume limited" in said, "SIGHUP", said)
    out = start_many(session)
    tap.check(box.waiting("human") > 0, "requests wait")
    human = {k: v for k, v in HUMAN.items() if k != "limit"}
    box.edit(human)
    steps = box.kura.json("apply --dry-run " + box.config_path)["steps"]
    tap.check([(s["step"], s["state"]) for s in steps] == [("limit_volume", "planned")],
              "a dry run", str(steps))
    tap.check(box.waiting("human") > 0, "changes nothing")
    steps = box.kura.json("apply " + box.config_path)["steps"]
    tap.check([(s["step"], s["state"]) for s in steps] == [("limit_volume", "done")],
              "apply: one step", str(steps))
    tap.check(finish(session, out), "those that waited go on")
    tap.check(box.sessions() == before, "the sessions stay")
    box.edit(dict(human, limit={"iops": 5, "burst_ms": 5}))
    done = box.kura.run("apply", box.config_path)
    tap.check(done.code != 0 and "burst_ms" in done.err, "a value that is none is refused", done.err)
    session.close()


with Box() as the_box:
    for test in (test_words, test_kept, test_live, test_followed):
        test(the_box)
sys.exit(tap.done())
