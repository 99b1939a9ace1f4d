#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""drain and resume: nobody comes in, everybody goes, what was written is flushed, and all of it can
be seen from outside."""

import os
import signal
import socket
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import kurad  # noqa: E402
import tapout  # noqa: E402
import tool  # noqa: E402
from guest import ASK_LOGOUT, DROP_SESSION, Guest, wait_for  # noqa: E402
from initiator import GOOD, Initiator, Lost, read10, write10  # noqa: E402

TARGET = "iqn.2026-11.kura.test:drain"
SLOW = float(os.environ.get("KURA_TEST_SLOW", "1"))
tap = tapout.Tap()
ask = tool.ask


def login(k, isid):
    """None, or why it was refused."""
    try:
        Initiator(k.portals[0], TARGET, isid).close()
    except Lost as lost:
        return str(lost)
    return None


def test_drain():
    volumes = [{"name": "a", "store": "mem", "size": "8M"}]
    with kurad.Kurad(kurad.one_target(TARGET, volumes, loops=2)) as k:
        kura = tool.Tool(k)
        polite, rude = Guest(k, TARGET, 1), Guest(k, TARGET, 2, polite=False)
        tap.check(ask(kura, "status")[1]["state"] == "serving", "it serves")
        code, answer = ask(kura, "drain", "--timeout", "1")
        tap.check(code == 0 and answer == {"state": "drained", "sessions": 2, "ended": True,
                                           "changed": True}, "drained", str(answer))
        tap.check(wait_for(lambda: polite.lost and rude.lost) and polite.logged_out and
                  polite.events == [ASK_LOGOUT] and rude.events == [ASK_LOGOUT, DROP_SESSION],
                  "everybody was asked, who did not go was ended", f"{polite.events} {rude.events}")
        tap.check(ask(kura, "session list")[1]["sessions"] == [], "nobody is there")
        tap.check(login(k, 3) == "login refused: 0301", "nobody may come in", str(login(k, 3)))
        tap.check(k.log().count("nobody may log in until kura resume") == 1, "one line says so")
        tap.check("State: drained" in kura("status").out, "status does", kura("status").out)
        code, answer = ask(kura, "drain")
        tap.check(code == 0 and not answer["changed"], "again: nothing to do", str(answer))
        os.kill(k.process.pid, signal.SIGHUP)
        tap.check(wait_for(lambda: "configuration followed" in k.log()) and login(k, 3),
                  "a reload does not open it")
        code, answer = ask(kura, "resume")
        tap.check(code == 0 and answer == {"state": "serving", "changed": True}, "resume",
                  str(answer))
        tap.check(login(k, 3) is None, "who comes is let in")
        tap.check(ask(kura, "resume")[1]["changed"] is False, "again: nothing to do")
        ask(kura, "drain")
        k.restart()
        tap.check(login(k, 3) is None, "a restart serves")


def test_io():
    """Commands at a slow volume end before the drain does; a flush that fails is told."""
    volumes = [{"name": "slow", "store": "mem", "size": "8M",
                "layers": [{"kind": "delay", "options": "ms=4000 op=write"}]}]
    with kurad.Kurad(kurad.one_target(TARGET, volumes)) as k:
        kura = tool.Tool(k)
        i = Initiator(k.portals[0], TARGET, 1)
        i.settle()
        i.start(write10(0, 1), write=b"kura" * 128)
        tap.check(wait_for(lambda: [s["commands"] for s in ask(kura, "session list")[1]["sessions"]]
                           == [1]), "a write is under way")
        code, answer = ask(kura, "drain", "--timeout", "0")
        tap.check(code == 0 and answer["ended"], "its session is ended", str(answer))
        i.close()
        ask(kura, "resume")
        i = Initiator(k.portals[0], TARGET, 1)
        i.settle()
        status, _, data = i.command(read10(0, 1), read=512)
        tap.check(status == GOOD and data in (bytes(512), b"kura" * 128), "it was whole or not at all")
        i.close()
    volumes = [{"name": "bad", "store": "file", "path": "@SCRATCH@/bad", "size": "1M",
                "layers": [{"kind": "error", "options": "op=flush count=1"}]}]
    with kurad.Kurad(kurad.one_target(TARGET, volumes)) as k:
        kura = tool.Tool(k)
        code, text = ask(kura, "drain")
        tap.check(code == 1 and "1 volumes could not be flushed" in text, "a flush that fails", text)
        tap.check(ask(kura, "status")[1]["state"] == "draining" and login(k, 1), "is not drained")
        tap.check(ask(kura, "drain")[1]["state"] == "drained", "until one succeeds")


def test_meanwhile():
    """While somebody has time to log out, other changes go on, and resume ends the wait."""
    volumes = [{"name": "a", "store": "mem", "size": "8M"}]
    other = "iqn.2026-11.kura.test:other"
    with kurad.Kurad(kurad.one_target(TARGET, volumes, loops=2)) as k:
        kura = tool.Tool(k)
        rude = Guest(k, TARGET, 1, polite=False)
        drain = tool.Later(kura, "drain", "--timeout", "600")
        tap.check(wait_for(lambda: rude.events == [ASK_LOGOUT]) and
                  ask(kura, "status")[1]["state"] == "draining", "somebody is asked to log out")
        code, answer = ask(kura, "target create", other)
        tap.check(code == 0 and answer["changed"] and drain.is_alive(), "a target is made meanwhile",
                  str(answer))
        with open(k.path("kura.conf"), encoding="utf-8") as f:
            wanted = f.read()
        with open(k.path("other.conf"), "w", encoding="utf-8") as f:
            f.write(wanted + "\nqueue_depth = 64;\n")
        code, answer = ask(kura, "apply", k.path("other.conf"))
        tap.check(code == 0 and drain.is_alive() and rude.events == [ASK_LOGOUT],
                  "a file is followed meanwhile", str(answer))
        code, answer = ask(kura, "resume")
        tap.check(code == 0 and answer["changed"], "it is ended", str(answer))
        code, text = drain.wait() or (0, "nothing")
        tap.check(code == 1 and "kura resume" in text, "it says so", text)
        tap.check(login(k, 2) is None and not rude.lost and rude.events == [ASK_LOGOUT],
                  "who was there stays, who comes is let in", str(rude.events))
        drain = tool.Later(kura, "drain", "--timeout", "600")
        tap.check(wait_for(lambda: ask(kura, "status")[1]["state"] == "draining"), "once more")
        code, answer = ask(kura, "drain", "--timeout", "0")
        tap.check(code == 0 and answer["ended"] and wait_for(lambda: rude.lost) and
                  rude.events[-1] == DROP_SESSION,
                  "another drain may be in a hurry", f"{answer} {rude.events}")
        code, answer = drain.wait() or (1, "nothing")
        tap.check(code == 0 and answer["state"] == "drained", "then both are done", str(answer))
        ask(kura, "resume")
        rude = Guest(k, TARGET, 1, polite=False)
        drain = tool.Later(kura, "drain", "--timeout", "600")
        tap.check(wait_for(lambda: rude.events == [ASK_LOGOUT]), "a stop meanwhile")
    tap.check(drain.wait() is not None, "does not wait for the drain")


def test_notify():
    folder = kurad.scratch_folder()
    path = os.path.join(folder, "notify")
    heard = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(path)
        sock.setblocking(False)

        def listen():
            try:
                while True:
                    heard.append(sock.recv(4096).decode())
            except BlockingIOError:
                return "".join(heard)

        volumes = [{"name": "a", "store": "mem", "size": "8M"}]
        with kurad.Kurad(kurad.one_target(TARGET, volumes), env={"NOTIFY_SOCKET": path}) as k:
            kura = tool.Tool(k)
            if wait_for(lambda: "STATUS=Serving" in listen(), 5):
                ask(kura, "drain")
                tap.check(wait_for(lambda: "STATUS=Drained: no logins until kura resume" in listen()),
                          "the service manager is told", listen())
                heard.clear()
                ask(kura, "resume")
                tap.check(wait_for(lambda: "STATUS=Serving" in listen()), "both ways", listen())
            else:
                tap.skip("the service manager is told", "built without libsystemd")
    os.unlink(path)
    os.rmdir(folder)


signal.alarm(int(120 * SLOW))
for test in (test_drain, test_io, test_meanwhile, test_notify):
    test()
sys.exit(tap.done())
