#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The trace of a running kurad: what happened, on demand, as it comes, and when it crashes."""

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time

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


class Journal:
    """A journal of our own: what comes to its socket, as dictionaries."""

    def __init__(self, path):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.bind(path)
        self.entries = []
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        while True:
            text = self.sock.recv(1 << 16).decode()
            self.entries.append(dict(line.split("=", 1) for line in text.splitlines()))

    def wait(self, message, **fields):
        """The first entry of this message with these fields; {}: there is none in time."""
        end = time.monotonic() + 20 * SLOW
        while time.monotonic() < end:
            for entry in list(self.entries):
                if entry["MESSAGE"].startswith(message) and \
                        all(entry.get("KURA_" + k.upper()) == v for k, v in fields.items()):
                    return entry
            time.sleep(0.02)
        return {}


INSIDE = """mount -t tmpfs none /run && mkdir -p /run/systemd/journal &&
touch /run/systemd/journal/socket && mount --bind $0 /run/systemd/journal/socket && exec "$@" """


def test_journal():
    """kurad as a service: standard error is the journal, whose own socket gets each line."""
    probe = subprocess.run(["unshare", "-m", "true"], check=False, capture_output=True)
    if probe.returncode:
        tap.skip("what goes to the journal", "no mount namespaces here")
        return
    k = kurad.Kurad(config())
    journal = Journal(k.path("journal"))
    with open(k.log_path, "wb") as log:
        st = os.fstat(log.fileno())
    k.env["JOURNAL_STREAM"] = f"{st.st_dev}:{st.st_ino}"
    k.wrap = ["unshare", "-m", "--propagation", "private", "sh", "-c", INSIDE, k.path("journal")]
    k.spawn()
    try:
        address = journal.wait("portal listening").get("KURA_ADDRESS", ":0")
        k.portals = [(address.split(":")[0], int(address.split(":")[1]))]
        tap.check(journal.wait("kurad ready").get("PRIORITY") == "6", "it is ready",
                  str(journal.entries) + k.log_tail())
        tap.check(journal.wait("volume open", volume="m", store="mem") and
                  journal.wait("target offered", target=TARGET), "volumes and targets are fields")
        host = login(k)
        try:
            initiator.Initiator((k.host, k.port), TARGET, 1, "iqn.2026-11.kura.test:nobody")
        except initiator.Lost:
            pass
        entry = journal.wait("login: session established", initiator=HOST, target=TARGET)
        tap.check(entry.get("KURA_PEER", "").startswith("127.0.0.1:") and
                  entry["SYSLOG_IDENTIFIER"] == "kurad", "who comes, and to what", str(entry))
        entry = journal.wait("login: refused", initiator="iqn.2026-11.kura.test:nobody")
        tap.check(entry.get("KURA_TARGET") == TARGET and entry["PRIORITY"] in "456",
                  "who may not", str(entry))
        kura = tool.Tool(k)
        kura("target delete iqn.2026-11.kura.test:none")
        entry = journal.wait("control: change", result="refused")
        tap.check(entry.get("KURA_WHY", "").count(" ") > 2 and
                  entry.get("KURA_VERB") == "target delete", "sentences are whole", str(entry))
        kura("log level debug")
        host.close()
        tap.check(journal.wait("conn: state").get("PRIORITY") == "7", "debug, once it is wanted")
        k.process.send_signal(signal.SIGABRT)
        k.process.wait(20 * SLOW)
        tap.check(re.search(r"^<3>kurad has crashed; .*\n(.*\n)*<3>trace: logged_in ", k.log(),
                            re.M), "the last events are errors to the journal", k.log_tail())
    finally:
        k.cleanup()


test_trace()
test_crash()
test_journal()
sys.exit(tap.done())
