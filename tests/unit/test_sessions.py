#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Sessions seen and ended by verbs: what list and show tell, who is asked to log out, and what
becomes of one that does not listen."""

import ctypes
import os
import signal
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import kurad  # noqa: E402
import tapout  # noqa: E402
import tool  # noqa: E402
from guest import ASK_LOGOUT, DROP_SESSION, Guest, wait_for  # noqa: E402
from initiator import Initiator, read10, write10  # noqa: E402

TARGET = "iqn.2026-11.kura.test:sessions"
HOST = "iqn.2026-11.kura.test:host"
VOLUMES = [{"name": "a", "store": "mem", "size": "8M"}]
SLOW = float(os.environ.get("KURA_TEST_SLOW", "1"))
tap = tapout.Tap()
ask = tool.ask


def sessions(kura, *args):
    return ask(kura, "session list", *args)[1]["sessions"]


def test_look():
    with kurad.Kurad(kurad.one_target(TARGET, VOLUMES, loops=2)) as k:
        kura = tool.Tool(k)
        tap.check(sessions(kura) == [], "nobody is there")
        one = Initiator(k.portals[0], TARGET, 1)
        two = Initiator(k.portals[0], TARGET, 2, HOST + "2", (("HeaderDigest", "None"),))
        found = sessions(kura)
        tap.check(sorted(s["initiator"] for s in found) == [HOST, HOST + "2"] and
                  {s["loop"] for s in found} == {0, 1}, "both are listed, with their loops",
                  str(found))
        tap.check(all(s["target"] == TARGET and s["connections"] == 1 and s["state"] == "open" and
                      s["commands"] == 0 for s in found), "with what they are", str(found))
        port = one.sock.getsockname()[1]
        mine = sessions(kura, "--initiator", HOST.upper())
        tap.check([s["address"] for s in mine] == [f"127.0.0.1:{port}"], "one initiator's alone",
                  str(mine))
        tap.check(sessions(kura, "--target", TARGET + "2") == [], "those of another target")
        code, show = ask(kura, "session show", str(mine[0]["session"]))
        tap.check(code == 0 and show["isid"] == "00023d000001" and show["portal_group"] == 1 and
                  "chap_user" not in show, "show", str(show))
        conn = show["connections"][0]
        tap.check(conn["address"] == f"127.0.0.1:{port}" and conn["portal"] == k.address and
                  conn["digests"] == "none", "and its connection", str(show))
        before = show["exp_cmd_sn"]
        one.settle()
        one.command(bytes(6))
        one.command(write10(0, 2), write=bytes(1024))
        one.command(read10(0, 1), read=512)
        after = ask(kura, "session show", str(mine[0]["session"]))[1]
        tap.check(after["read_bytes"] == 512 and after["written_bytes"] == 1024 and
                  after["done"] - show["done"] == after["exp_cmd_sn"] - before,
                  "what it has done", f"{show} {after}")
        tap.check(before < after["exp_cmd_sn"] == one.cmd_sn <= after["max_cmd_sn"],
                  "its window moves with its commands", f"{show} {after}")
        tap.check(kura(f"session show {mine[0]['session']}").out.count("Connections:\n") == 1,
                  "for people", kura(f"session show {mine[0]['session']}").out)
        code, text = ask(kura, "session show", "65535")
        tap.check(code == 3 and "kura session list" in text, "one that is not there", text)
        two.close()
        tap.check(wait_for(lambda: len(sessions(kura)) == 1), "one that has gone is not listed")
        one.close()


def test_chap():
    secret = "eleven-and-more"
    config = kurad.one_target(TARGET, VOLUMES).replace(
        'initiators = (', 'auth = { user = "prover"; secret = "%s"; };\ninitiators = (' % secret)
    with kurad.Kurad(config) as k:
        kura = tool.Tool(k)
        url = f"iscsi://prover%{secret}@{k.address}/{TARGET}/0"
        with subprocess.Popen(["iscsi-perf", "-i", HOST, "-r", url], stdout=subprocess.DEVNULL,
                              stderr=subprocess.PIPE, text=True,
                              preexec_fn=kurad.die_with_parent) as perf:
            there = wait_for(lambda: sessions(kura))
            found = sessions(kura)
            if tap.check(there and len(found) == 1, "a session that had to prove itself",
                         k.log_tail()):
                show = ask(kura, "session show", str(found[0]["session"]))[1]
                tap.check(show["chap_user"] == "prover", "who it has proved to be", str(show))
            perf.terminate()
            perf.wait(20 * SLOW)


def test_close():
    with kurad.Kurad(kurad.one_target(TARGET, VOLUMES, loops=2)) as k:
        kura = tool.Tool(k)
        polite, rude = Guest(k, TARGET, 1), Guest(k, TARGET, 2, polite=False, name=HOST + "2")
        number = {s["initiator"]: str(s["session"]) for s in sessions(kura)}
        code, answer = ask(kura, "session close", number[HOST])
        tap.check(code == 0 and answer["how"] == "logged out" and answer["changed"],
                  "who listens logs out", str(answer))
        tap.check(wait_for(lambda: polite.lost) and polite.events == [ASK_LOGOUT] and
                  polite.logged_out, "having been asked once", str(polite.events))
        tap.check([s["initiator"] for s in sessions(kura)] == [HOST + "2"], "the other one stays")
        code, answer = ask(kura, "session close", number[HOST + "2"], "--timeout", "1")
        tap.check(code == 0 and answer["how"] == "ended", "who does not is ended", str(answer))
        tap.check(wait_for(lambda: rude.lost) and rude.events == [ASK_LOGOUT, DROP_SESSION],
                  "and told", str(rude.events))
        tap.check(sessions(kura) == [], "nobody is left")
        code, text = ask(kura, "session close", number[HOST])
        tap.check(code == 3, "not twice", text)
        code, answer = ask(kura, "session close", number[HOST], "--if-exists")
        tap.check(code == 0 and answer["changed"] is False, "unless that is fine", str(answer))
        again = Guest(k, TARGET, 1)
        code, answer = ask(kura, "session close", str(sessions(kura)[0]["session"]), "--force")
        tap.check(code == 0 and answer["how"] == "ended" and wait_for(lambda: again.lost) and
                  again.events == [DROP_SESSION], "--force does not ask", str(again.events))
        tap.check("control: change" in k.log() and 'verb="session close"' in k.log(),
                  "the log says who did it")


def test_meanwhile():
    """While one session has time to log out, other changes go on, and it can still be ended."""
    with kurad.Kurad(kurad.one_target(TARGET, VOLUMES, loops=2)) as k:
        kura = tool.Tool(k)
        rude, other = Guest(k, TARGET, 1, polite=False), Guest(k, TARGET, 2, name=HOST + "2")
        number = {s["initiator"]: str(s["session"]) for s in sessions(kura)}
        slow = tool.Later(kura, "session close", number[HOST], "--timeout", "60")
        tap.check(wait_for(lambda: rude.events == [ASK_LOGOUT]), "one is asked to log out")
        code, answer = ask(kura, "target create", TARGET + "2")
        tap.check(code == 0 and answer["changed"] and slow.is_alive(), "a target is made meanwhile",
                  str(answer))
        code, answer = ask(kura, "session close", number[HOST + "2"])
        tap.check(code == 0 and answer["how"] == "logged out" and slow.is_alive() and
                  wait_for(lambda: other.lost), "another one is asked, and goes", str(answer))
        code, answer = ask(kura, "session close", number[HOST], "--force")
        tap.check(code == 0 and answer["how"] == "ended" and wait_for(lambda: rude.lost) and
                  rude.events == [ASK_LOGOUT, DROP_SESSION], "the first is ended after all",
                  f"{answer} {rude.events}")
        code, answer = slow.wait() or (1, "nothing")
        tap.check(code == 0 and sessions(kura) == [], "which the first one sees", str(answer))


def test_open_commands():
    """A session whose command waits at a slow volume is ended in bounded time."""
    slow = [{"name": "a", "store": "mem", "size": "8M",
             "layers": [{"kind": "delay", "options": "ms=4000 op=read"}]}]
    with kurad.Kurad(kurad.one_target(TARGET, slow)) as k:
        kura = tool.Tool(k)
        i = Initiator(k.portals[0], TARGET, 1)
        i.settle()
        i.start(bytes((0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0)), read=512)
        tap.check(wait_for(lambda: [s["commands"] for s in sessions(kura)] == [1]),
                  "a command that is open is counted", str(sessions(kura)))
        code, answer = ask(kura, "session close", str(sessions(kura)[0]["session"]), "--force")
        tap.check(code == 0 and sessions(kura) == [], "and does not keep the session", str(answer))
        i.close()


def frozen(tid):
    """Stops one thread of another process; a function that lets it go on, or None."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long] * 4
    if libc.ptrace(0x4206, tid, 0, 0) or libc.ptrace(0x4207, tid, 0, 0):  # SEIZE, INTERRUPT
        return None
    os.waitpid(tid, 0x40000000)  # __WALL
    return lambda: libc.ptrace(17, tid, 0, 0)  # DETACH


def test_stuck():
    """A loop that does not answer: verbs say so, in bounded time, and work again afterwards."""
    with kurad.Kurad(kurad.one_target(TARGET, VOLUMES, loops=2)) as k:
        kura = tool.Tool(k)
        guests = [Initiator(k.portals[0], TARGET, n) for n in (1, 2)]
        folder = f"/proc/{k.process.pid}/task"
        loops = []
        for tid in sorted(os.listdir(folder), key=int):
            with open(f"{folder}/{tid}/comm", encoding="ascii") as f:
                loops += [int(tid)] if f.read().startswith("kura-loop") else []
        thaw = frozen(loops[1]) if len(loops) == 2 else None
        if not thaw:
            tap.skip("a loop that is stuck", "one thread cannot be stopped here")
            return
        try:
            code, text = ask(kura, "session list")
            tap.check(code == 8 and "loop 1 does not answer" in text, "a stuck loop is named", text)
            code, text = ask(kura, "session close", "1", "--force")
            tap.check(code == 8, "and nothing waits for it", text)
        finally:
            thaw()
        tap.check(len(sessions(kura)) == 2, "afterwards all is well", k.log_tail())
        for guest in guests:
            guest.close()


signal.alarm(int(120 * SLOW))
for test in (test_look, test_chap, test_close, test_meanwhile, test_open_commands, test_stuck):
    test()
sys.exit(tap.done())
