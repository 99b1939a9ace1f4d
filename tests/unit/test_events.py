#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The trace of a running kurad: what happened, on demand, as it comes, and when it crashes."""

import os
import re
import signal
import subprocess
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import initiator  # noqa: E402
import kurad  # noqa: E402
import tapout  # noqa: E402
import tool  # noqa: E402

TARGET = "iqn.2026-11.kura.test:traced"
HOST = "iqn.2026-11.kura.test:host"
VOLUME = {"name": "m", "store": "mem", "size": "8M"}
SLOW = float(os.environ.get("KURA_TEST_SLOW", "1"))
tap = tapout.Tap()


def config():
    return kurad.one_target(TARGET, [VOLUME], initiator=HOST)


def login(k):
    host = initiator.Initiator((k.host, k.port), TARGET, 1, HOST)
    host.settle()
    return host


def names(kura, *more):
    return [e["event"] for e in kura.json("trace " + " ".join(more))["events"]]


def test_trace():
    with kurad.Kurad(config()) as k:
        kura = tool.Tool(k)
        host = login(k)
        try:
            initiator.Initiator((k.host, k.port), TARGET, 1, "iqn.2026-11.kura.test:nobody")
        except initiator.Lost:
            pass
        host.reserve_out(0, sark=0x6b)
        host.command(initiator.read10(0x7fffffff, 8), read=4096)
        events = kura.json("trace")["events"]
        seen = [e["event"] for e in events]
        tap.check({"connection_begins", "logged_in", "nexus_open", "login_refused", "task_failed",
                   "reservation_changed"} <= set(seen), "what happened is there", str(seen))
        tap.check([e["ns"] for e in events] == sorted(e["ns"] for e in events), "oldest first")
        refused = [e for e in events if e["event"] == "login_refused"]
        tap.check(refused and re.fullmatch(r"conn=\d+ status=51[45]", refused[0]["values"]),
                  "with its values", str(refused))
        failed = [e["values"] for e in events if e["event"] == "task_failed"]
        tap.check(failed and failed[-1].endswith(f"status_sense={0x0205}"), "and its sense key",
                  str(failed))
        tap.check("task_begin" not in seen, "commands are not traced")
        tap.check(kura.json("trace tasks on") == {"tasks": "on"}, "until somebody wants them")
        after = events[-1]["ns"]
        host.command(initiator.read10(0, 8), read=4096)
        tap.check(names(kura, "--after", str(after)).count("task_end") == 1, "now they are")
        kura.json("trace tasks off")
        last = kura.json("trace --lines 1")["events"]
        host.command(initiator.read10(0, 8), read=4096)
        tap.check(len(last) == 1 and not names(kura, "--after", str(last[0]["ns"])),
                  "and not any more")
        wrong = tool.fits(kura("help --schema").json()["trace"]["result"], kura.json("trace"))
        tap.check(not wrong, "trace answers by its schema", wrong)
        follow(k, kura)
        host.close()


def follow(k, kura):
    """What comes while the tool follows."""
    wanted = names(kura).count("logged_in") + 1
    lines = []
    with subprocess.Popen([tool.binary(), *kura.options, "trace", "--follow"], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE) as watch:
        bound = threading.Timer(20 * SLOW, watch.terminate)
        bound.start()
        head = watch.stdout.readline()
        login(k).close()
        while sum("logged_in" in l for l in lines) < wanted:
            lines.append(watch.stdout.readline())
            if not lines[-1]:
                break
        bound.cancel()
        watch.terminate()
    tap.check(head.split()[:2] == ["TIME", "LOOP"] and lines[-1] and "TIME" not in "".join(lines),
              "what comes is followed", head + "".join(lines))


def test_crash():
    for number in (signal.SIGABRT, signal.SIGSEGV):
        k = kurad.Kurad(config())
        k.start()
        try:
            login(k).close()
            k.process.send_signal(number)
            code = k.process.wait(20 * SLOW)
            k.process = None
            log = k.log()
            tap.check(code != 0 and f"has crashed; its last events follow signal={int(number)}" in log
                      and re.search(r"error trace: logged_in loop=\d+ ns_before=\d+ conn=1$", log,
                                    re.M), f"the last events of a crash by {number.name}",
                      f"{code}\n{k.log_tail()}")
        finally:
            k.cleanup()


test_trace()
test_crash()
sys.exit(tap.done())
