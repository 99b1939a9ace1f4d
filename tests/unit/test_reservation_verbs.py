#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Reservations seen and cleared by verbs, while initiators hold them, and over a restart; and the
question that the tool asks before."""

import os
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import kurad  # noqa: E402
import tapout  # noqa: E402
import tool  # noqa: E402
from initiator import CHECK, CONFLICT, GOOD, Initiator, write10  # noqa: E402

TARGET = "iqn.2026-11.kura.test:reserved"
HOST = "iqn.2026-11.kura.test:host"
VOLUMES = [{"name": "data", "store": "mem", "size": "8M",
            "uuid": "6b757261-0000-4000-8000-000000000001"},
           {"name": "other", "store": "mem", "size": "8M"}]
REGISTER, RESERVE, APTPL = 0, 1, 1
EXCLUSIVE, WRITERS_ALL = 3, 7
PREEMPTED = (0x2A, 0x03)
SLOW = float(os.environ.get("KURA_TEST_SLOW", "1"))
tap = tapout.Tap()
ask = tool.ask


def test_show_and_clear():
    with kurad.Kurad(kurad.one_target(TARGET, VOLUMES, loops=2)) as k:
        kura = tool.Tool(k)
        a, b = Initiator(k.portals[0], TARGET, 1), Initiator(k.portals[0], TARGET, 2, HOST + "2")
        a.settle(), b.settle()
        tap.check(ask(kura, "reservation list")[1]["reservations"] == [], "nothing is reserved")
        answer = ask(kura, "reservation show", "data")[1]
        tap.check(answer["type"] == "none" and answer["registrants"] == [], "show says so",
                  str(answer))
        a.reserve_out(REGISTER, 0, 0xAAAA), b.reserve_out(REGISTER, 0, 0xBBBB)
        a.reserve_out(RESERVE, 0xAAAA, kind=EXCLUSIVE)
        found = ask(kura, "reservation list")[1]["reservations"]
        tap.check([(r["volume"], r["type"], r["holder"], r["registrants"], r["aptpl"])
                   for r in found] == [("data", "exclusive access", HOST, 2, False)],
                  "a reservation is listed", str(found))
        answer = ask(kura, "reservation show", "data")[1]
        tap.check([(r["key"], r["initiator"], r["isid"], r["holds"])
                   for r in answer["registrants"]] ==
                  [("0x000000000000aaaa", HOST, "00023d000001", True),
                   ("0x000000000000bbbb", HOST + "2", "00023d000002", False)] and
                  answer["registrants"][0]["target_port"].startswith(TARGET + ",t,") and
                  answer["generation"] == a.keys()[0], "with its registrants", str(answer))
        tap.check(b.command(write10(0, 1), write=bytes(512))[0] == CONFLICT, "it holds")

        code, text = ask(kura, "reservation clear", "data")
        tap.check(code == 2 and "--yes" in text, "clear wants to be meant", text)
        code, text = tool.on_terminal(kura, "reservation clear data", "n\n")
        tap.check(code == 1 and "Go on? [y/N]" in text and "nothing was done" in text,
                  "and asks on a terminal", text)
        tap.check(b.command(write10(0, 1), write=bytes(512))[0] == CONFLICT, "no is no")
        code, text = tool.on_terminal(kura, "reservation clear data", "y\n")
        tap.check(code == 0, "yes is yes", text)
        tap.check(a.settle() == [PREEMPTED], "the holder is told")
        tap.check(a.keys() == (answer["generation"] + 1, []) and not a.reservation(),
                  "every registration is gone")
        tap.check(b.settle() == [PREEMPTED], "who was registered is told")
        tap.check(b.command(write10(0, 1), write=bytes(512))[0] == GOOD, "and may write")
        code, answer = ask(kura, "reservation clear", "data", "--yes")
        tap.check(code == 0 and answer["changed"] is False, "there is nothing more", str(answer))
        code, text = ask(kura, "reservation clear", "dat", "--yes")
        tap.check(code == 3 and 'did you mean "data"?' in text, "a name that is near", text)
        tap.check('action="reservation clear"' in k.log() and "by=administrator" in k.log(),
                  "the log says what happened to whom")
        a.close(), b.close()


def test_unit_attention():
    """Each registrant is told once, with the code of CLEAR."""
    with kurad.Kurad(kurad.one_target(TARGET, VOLUMES)) as k:
        kura = tool.Tool(k)
        a = Initiator(k.portals[0], TARGET, 1)
        a.settle()
        a.reserve_out(REGISTER, 0, 1)
        a.reserve_out(RESERVE, 1, kind=WRITERS_ALL)
        answer = ask(kura, "reservation show", "data")[1]
        tap.check(answer["holder"] == "all" and answer["type"].endswith("all registrants"),
                  "of all registrants", str(answer))
        ask(kura, "reservation clear", "data", "--yes")
        status, sense, _ = a.command(bytes(6))
        tap.check(status == CHECK and sense == (6, *PREEMPTED), "the holder is told", str(sense))
        tap.check(a.command(bytes(6))[0] == GOOD, "once")
        a.close()


def test_spc2():
    with kurad.Kurad(kurad.one_target(TARGET, VOLUMES, loops=2)) as k:
        kura = tool.Tool(k)
        a, b = Initiator(k.portals[0], TARGET, 1), Initiator(k.portals[0], TARGET, 2, HOST + "2")
        a.settle(), b.settle()
        a.command(bytes((0x16, 0, 0, 0, 0, 0)))
        answer = ask(kura, "reservation show", "data")[1]
        tap.check(answer["type"] == "SPC-2 RESERVE" and answer["holder"] == HOST,
                  "RESERVE is shown with who has it", str(answer))
        tap.check(b.command(bytes(6))[0] == CONFLICT, "it holds")
        tap.check(ask(kura, "reservation clear", "data", "--yes")[1]["changed"] is True, "cleared")
        tap.check(b.command(bytes(6))[0] == GOOD, "it does not any more")
        a.close(), b.close()


def test_restart():
    config = kurad.one_target(TARGET, VOLUMES)
    with kurad.Kurad(config) as k:
        kura = tool.Tool(k)
        a = Initiator(k.portals[0], TARGET, 1)
        a.settle()
        a.reserve_out(REGISTER, 0, 5, flags=APTPL)
        a.reserve_out(RESERVE, 5, kind=EXCLUSIVE)
        a.close()
        k.restart()
        answer = ask(kura, "reservation show", "data")[1]
        tap.check(answer["aptpl"] and answer["holder"] == HOST and
                  answer["registrants"][0]["holds"], "one that outlives a restart", str(answer))
        tap.check(ask(kura, "reservation clear", "data", "--yes")[0] == 0, "is cleared")
        k.process.kill()  # no chance to write anything more
        k.process.wait()
        k.start()
        answer = ask(kura, "reservation show", "data")[1]
        tap.check(answer["registrants"] == [] and answer["type"] == "none",
                  "and does not come back after kill -9", str(answer))


signal.alarm(int(120 * SLOW))
for test in (test_show_and_clear, test_unit_attention, test_spc2, test_restart):
    test()
sys.exit(tap.done())
