#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every verb that changes something, killed at every fault point that it passes: after a restart the
state is the old or the new one, what the tool said was honest, nothing is left over, and the verb can
be said again.

A first run with KURA_FAULT=log counts the points; then each has a kurad of its own, which begins
with a copy of the same state and dies there (KURA_FAULT=any:N)."""

import concurrent.futures
import difflib
import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import kurad  # noqa: E402
import tapout  # noqa: E402
import tool  # noqa: E402
from initiator import Initiator, Lost, write10  # noqa: E402

SLOW = float(os.environ.get("KURA_TEST_SLOW", "1"))
HOST = "iqn.2026-11.kura.test:host"
T = "iqn.2026-11.kura.test:t"
BASE = {"portals": [{"address": "127.0.0.1", "port": 0}], "loops": 1,
        "pools": [{"name": "p", "kind": "dir", "path": "@SCRATCH@/pool"}]}
WAIT = 20 * SLOW
UUID = re.compile(r"[0-9a-f]{8}(-?)[0-9a-f]{4}\1[0-9a-f]{4}\1[0-9a-f]{4}\1[0-9a-f]{12}")
# Answers to what is asked first, then goes on for a minute.
QEMU_IMG = """#!/bin/sh
if [ "$1" = info ]; then echo '{"format": "raw", "virtual-size": 1048576}'; exit; fi
echo $$ >"$OUT/pid.new" && mv "$OUT/pid.new" "$OUT/pid"
exec sleep 60
"""
tap = tapout.Tap()


class Case:
    """A verb in a situation: what is there before, the call, and what may be said the second time.

    again: exit statuses of the second call; options: what it has besides; lasts: whether a restart
    keeps what it did; before: what happens on the kurad that will die; files: made in the folder
    beforehand; third: a state besides old and new, and why it is fine."""

    def __init__(self, line, setup=(), again=(0,), options="", lasts=True, before=None, files=(),
                 needs=None, third=None, slow_images=False):
        self.line, self.setup, self.again, self.options = line, setup, again, options
        self.lasts, self.before, self.files, self.needs = lasts, before, files, needs
        self.third, self.slow_images = third, slow_images


VOLUME = ("volume create a --size 1M",)
FULL = VOLUME + (f"target create {T}",)
MAPPED = FULL + (f"lun add {T} a", f"target allow {T} --initiator {HOST}")
GROUP = (f"host create h --initiator {HOST}",)
SNAPPED = VOLUME + ("volume snapshot a s",)
FOREIGN = ("pool add q --kind dir --path @/q", "volume create x --size 1M --pool q",
           "volume forget x", "pool remove q")
OTHER = {**BASE, "targets": [{"name": T, "luns": [{"lun": 0, "volume": "a"}],
                              "initiators": [{"name": HOST}]}]}
THERE, GONE = (6,), (3,)


def enter(box):
    """A session of the host, number 1."""
    return [Initiator(box.portals[0], T, isid=1, name=HOST)]


def importing(box):
    """Job 1 is under way, and does not end by itself."""
    must(box, f"volume import slow --file {box.path('image')} --detach")
    wait_for(lambda: os.path.exists(box.path("out/pid")), "qemu-img is not started")
    return []


def drained(box):
    must(box, "drain --timeout 0")
    return []


def rewritten(box):
    """The file that kurad was started with says something else now."""
    box.text = kurad.config_text(OTHER)
    with open(box.config_path, "w", encoding="utf-8") as f:
        f.write(box.text.replace("@SCRATCH@", box.scratch))
    return []


def reserve(box):
    """A registration that outlives a loss of power (SPC-4 5.13.5.1)."""
    session = Initiator(box.portals[0], T, isid=1, name=HOST)
    session.settle()
    status, _sense = session.reserve_out(0, sark=0xA1, flags=1)
    if status:
        raise AssertionError(f"PERSISTENT RESERVE OUT: {status}")
    session.close()


CASES = {
    "trace tasks": [Case("trace tasks on", lasts=False)],
    "log level": [Case("log level debug", lasts=False)],
    "job cancel": [Case("job cancel 1", before=importing, files=("image",), lasts=False, again=GONE,
                        slow_images=True)],
    "target create": [Case(f"target create {T} --alias x", again=THERE),
                      Case(f"target create {T}", options="--if-not-exists")],
    "target delete": [Case(f"target delete {T}", FULL, again=GONE),
                      Case(f"target delete {T} --force", MAPPED, options="--if-exists")],
    "target allow": [Case(f"target allow {T} --initiator {HOST}", FULL)],
    "target deny": [Case(f"target deny {T} --initiator {HOST} --force", MAPPED)],
    "lun add": [Case(f"lun add {T} a", FULL, options="--if-not-exists"),
                Case(f"lun add {T} a --lun 3 --host h", FULL + GROUP, again=THERE)],
    "lun remove": [Case(f"lun remove {T} 0 --force", MAPPED, options="--if-exists", before=enter)],
    "host create": [Case(f"host create h --initiator {HOST}", options="--if-not-exists")],
    "host add-initiator": [Case(f"host add-initiator h {HOST}2", GROUP)],
    "host remove-initiator": [Case(f"host remove-initiator h {HOST}", (
        f"host create h --initiator {HOST} --initiator {HOST}2",))],
    "host delete": [Case("host delete h --force",
                         FULL + GROUP + (f"lun add {T} a --host h",), options="--if-exists")],
    "portal add": [Case("portal add 127.0.0.2 --port 0")],
    "portal remove": [Case("portal remove 127.0.0.2 --port 0", ("portal add 127.0.0.2 --port 0",),
                           options="--if-exists")],
    "pool add": [Case("pool add q --kind dir --path @/q", options="--if-not-exists")],
    "pool import": [Case("pool import q --kind dir --path @/q", FOREIGN, again=THERE)],
    "pool remove": [Case("pool remove q", FOREIGN[:3], options="--if-exists")],
    "volume create": [Case("volume create a --size 1M", options="--if-not-exists"),
                      Case("volume create a --size 1M --thick", again=THERE)],
    "volume grow": [Case("volume grow a 2M", MAPPED, before=enter),
                    Case("volume grow a 2M", ("volume create a --size 1M --thick",))],
    "volume limit": [Case("volume limit a --iops 100 --burst-ms 50", MAPPED, before=enter),
                     Case("volume limit a --none", VOLUME + ("volume limit a --iops 100",))],
    "volume shrink": [Case("volume shrink a 512K --force", VOLUME)],
    "volume rename": [Case("volume rename a b", VOLUME, again=GONE)],
    "volume delete": [Case("volume delete a --yes", VOLUME, again=GONE),
                      Case("volume delete a --wipe --yes", VOLUME, options="--if-exists"),
                      Case("volume delete a --force --yes", MAPPED, again=GONE)],
    "volume forget": [Case("volume forget a --force", MAPPED, again=GONE)],
    "volume adopt": [Case("volume adopt a", VOLUME + ("volume forget a",), again=THERE),
                     Case("volume adopt found", files=("pool/found",), again=THERE,
                          third="it has a record already, as after volume forget")],
    "volume snapshot": [Case("volume snapshot a s", MAPPED, again=THERE, needs="reflink")],
    "volume revert": [Case("volume revert a s", SNAPPED, needs="reflink")],
    "volume clone": [Case("volume clone a b", VOLUME, again=THERE),
                     Case("volume clone s b", SNAPPED, again=THERE, needs="reflink")],
    "volume import": [Case("volume import a --file @/image", files=("image",), again=THERE,
                           needs="qemu-img")],
    "volume export": [Case("volume export a --file @/out/a.raw --format raw", VOLUME,
                           again=THERE, needs="qemu-img"),
                      Case("volume export a --file @/out/a.raw --format raw --replace", MAPPED,
                           again=(0,), needs="reflink")],
    "share": [Case(f"share a --to {HOST}", VOLUME)],
    "apply": [Case("apply @/other.conf", VOLUME, lasts=False),
              Case("apply", VOLUME, before=rewritten)],
    "session close": [Case("session close 1 --force", MAPPED, lasts=False, before=enter, again=GONE)],
    "reservation clear": [Case("reservation clear a --yes", MAPPED + (reserve,))],
    "drain": [Case("drain --timeout 0", lasts=False)],
    "resume": [Case("resume", lasts=False, before=drained)],
}


# --- a kurad for one try --------------------------------------------------------------------


def wait_for(is_so, what):
    end = time.monotonic() + WAIT
    while not is_so():
        if time.monotonic() > end:
            raise AssertionError(what)
        time.sleep(0.005)


def must(box, line):
    done = tool.Tool(box).run(*line.split())
    if done.code:
        raise AssertionError(f"kura {line}: {done}\n{box.log_tail()}")


def new_box(case, like=None):
    """A kurad that has not begun, with the state of another one or none."""
    box = kurad.Kurad(kurad.config_text(BASE))
    for name in ("pool", "out"):
        os.makedirs(box.path(name))
    for name in case.files:
        with open(box.path(name), "wb") as f:
            f.write(b"image" * 1000 + bytes(2**20 - 5000))
    with open(box.path("other.conf"), "w", encoding="utf-8") as f:
        f.write(kurad.config_text(OTHER).replace("@SCRATCH@", box.scratch))
    if case.slow_images:
        os.makedirs(box.path("bin"))
        with open(box.path("bin/qemu-img"), "w", encoding="utf-8") as f:
            f.write(QEMU_IMG)
        os.chmod(box.path("bin/qemu-img"), 0o755)
        box.env.update(PATH=box.path("bin") + ":" + os.environ["PATH"], OUT=box.path("out"))
    if like:
        copy_state(like, box)
    return box


def copy_state(like, box):
    """Everything but what belongs to the process; the folder's name is in some of the files."""
    for name in ("state", "pool", "q"):
        if os.path.isdir(like.path(name)):
            shutil.rmtree(box.path(name), ignore_errors=True)
            shutil.copytree(like.path(name), box.path(name))
    managed = box.path("state/managed.conf")
    if os.path.exists(managed):
        with open(managed, encoding="utf-8") as f:
            text = f.read()
        with open(managed, "w", encoding="utf-8") as f:
            f.write(text.replace(like.scratch, box.scratch))


def look(box):
    """Everything that a verb may change, as it is seen from outside: {what: how it is}."""
    asker = tool.Asker(box.path("control"))
    ask = {name: asker.call(name.replace(" ", "."), **more)["result"] for name, more in
           (("export", {}), ("volume list", {"all": True}), ("reservation list", {}),
            ("target list", {}), ("status", {}))}
    asker.close()
    seen = {"config": ask["export"]["config"], "state": ask["status"]["state"],
            "reservations": str(ask["reservation list"]["reservations"])}
    for v in ask["volume list"]["volumes"]:
        seen["volume " + v["volume"]] = str({k: v.get(k) for k in (
            "size", "uuid", "mapped", "thin", "snapshot", "origin", "pool")})
    for t in ask["target list"]["targets"]:
        seen["host sees " + t["target"]] = sees(box, t["target"])
    for folder in ("pool", "q", "out", "state"):
        seen.update(files(box, folder))
    return {k: v.replace(box.scratch, "@") for k, v in seen.items()}


def sees(box, target):
    """The LUNs of a target, each with its identifiers (SPC-4 7.8.6), as the host finds them."""
    try:
        session = Initiator(box.portals[0], target, isid=77, name=HOST)
    except Lost as error:
        return str(error)
    session.settle()
    _, _, data = session.command(bytes((0xA0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0)), read=1024)
    luns = [data[i + 1] for i in range(8, 8 + int.from_bytes(data[:4], "big"), 8)]
    found = []
    for lun in luns:
        _, _, page = session.command(bytes((0x12, 1, 0x83, 1, 0, 0)), read=256, lun=lun)
        _, _, size = session.command(bytes((0x25,)) + bytes(9), read=8, lun=lun)
        naa = re.search(rb"\x01[\x03\x13]\x00\x10(.{16})", page, re.S)
        found.append(f"{lun}: {naa[1].hex() if naa else page.hex()} {size.hex()}")
    session.close()
    return "\n".join(found)


def files(box, folder):
    """What lies there: of volumes the bytes, of others the name; a pool's folder may be new."""
    top = box.path(folder)
    seen = {folder + "/": "there"} if os.path.isdir(top) else {}
    for where, _dirs, names in os.walk(top):
        for name in names:
            path = os.path.join(where, name)
            if where.endswith("/reservations") and name.endswith(".old"):
                continue  # the record before the last, see docs/disk-format.md
            text = "there"
            if folder != "state" and not name.endswith(".kura") and ".kura:" not in path:
                with open(path, "rb") as f:
                    text = hashlib.sha256(f.read()).hexdigest()[:16]
            seen[os.path.relpath(path, box.scratch)] = text
    return seen


def norm(state, known):
    """A state with new identities made equal: those that were not there before the verb."""
    def one(text):
        def name(match):
            key = match[0].replace("-", "")
            return key if key in known else "(new identity)"
        text = UUID.sub(name, text)
        return re.sub(r"\b6[0-9a-f]{31}\b",
                      lambda m: m[0] if m[0] in known else "(new identity)", text)
    return {one(k): one(v) for k, v in state.items()}


def identities(state):
    text = "\n".join(f"{k} {v}" for k, v in state.items())
    return {m[0].replace("-", "") for m in UUID.finditer(text)} | set(
        re.findall(r"\b6[0-9a-f]{31}\b", text))


def differ(one, other):
    """How two states differ; "" when they do not."""
    lines = [[f"{k}: {v}" for k, v in sorted(s.items())] for s in (one, other)]
    return "\n".join(l for l in difflib.unified_diff(*lines, lineterm="", n=0))


# --- tries ----------------------------------------------------------------------------------


def points(box):
    return re.findall(r"fault point.*name=(\w+)", box.log())


def run(box, case, options=""):
    """The verb, by the tool."""
    line = f"{case.line} {options}".replace("@", box.scratch)
    return tool.Tool(box).run(*line.split())


class Try:
    """One situation of a verb: the states before and after it, and a kurad for each point."""

    def __init__(self, verb, case):
        self.verb, self.case = verb, case
        self.wrong = []
        self.old = self.new = None
        self.names, self.first = [], 0
        self.known = set()
        self.origin = None

    def prepare(self):
        """Makes the state before, and finds the one behind and which points are passed."""
        case = self.case
        self.origin = box = new_box(case)
        box.start()
        for step in case.setup:
            if callable(step):
                step(box)
            else:
                must(box, step.replace("@", box.scratch))
        box.restart()
        old = look(box)
        self.known = identities(old)
        self.old = norm(old, self.known)
        box.end()
        self.count()

    def count(self):
        box = new_box(self.case, self.origin)
        try:
            box.env["KURA_FAULT"] = "log"
            box.start()
            held = self.case.before(box) if self.case.before else []
            self.first = len(points(box))
            done = run(box, self.case)
            if done.code:
                raise AssertionError(f"{self.case.line}: {done}")
            # answered, and no job goes on
            wait_for(lambda: "verb_answered" in points(box)[self.first:], "no verb_answered")
            for session in held:
                session.close()
            box.end()
            self.names = points(box)[self.first:]
            if os.path.exists(box.path("out/pid")):
                self.wrong.append(left_running(box))
            box.start()
            self.new = norm(look(box), self.known)
            box.end()
            self.wrong = [w for w in self.wrong if w]
            if not self.case.lasts and self.new != self.old:
                self.wrong.append("it was not to outlive a restart:\n" + differ(self.old, self.new))
        finally:
            box.cleanup()

    def at(self, n):
        """Kills it at its nth point; what is wrong then, or nothing."""
        box = new_box(self.case, self.origin)
        try:
            box.env["KURA_FAULT"] = f"any:{self.first + n}"
            box.start()
            held = self.case.before(box) if self.case.before else []
            done = run(box, self.case)
            try:
                box.process.wait(WAIT)
            except subprocess.TimeoutExpired:
                return "it did not die there"
            box.process = None
            for session in held:
                session.close()
            return self.after(box, done)
        finally:
            box.cleanup()

    def after(self, box, done):
        said = "" if done.code in (0, 5) else f"exit {done.code}\n"
        # what kurad had said before it died was an answer
        if done.code == 5 and "may or may not" not in done.err and "no kurad answers" not in done.err:
            said += f"does not say that it may or may not be done: {done.err}\n"
        if os.path.exists(box.path("out/pid")):
            said += left_running(box)
        box.env["KURA_FAULT"] = "log"
        box.start()
        state = norm(look(box), self.known)
        if state not in (self.old, self.new) and not self.is_third(state):
            said += (f"neither old:\n{differ(self.old, state)}\n"
                     f"nor new:\n{differ(self.new, state)}\n")
        if done.code == 0 and self.case.lasts and state != self.new:
            said += "the tool said that it is done\n"
        said += self.again(box)
        box.end()
        return said

    def is_third(self, state):
        """Old, but for a record of what was a mere file before."""
        if not self.case.third:
            return False
        extra = {k for k in state if k not in self.old}
        return extra <= {"pool/found.kura", "volume found"} and all(
            state[k] == v for k, v in self.old.items())

    def again(self, box):
        if not self.case.lasts:
            return ""
        done = run(box, self.case, self.case.options)
        if done.code and done.code not in self.case.again:
            return f"said again: {done}\n"
        state = norm(look(box), self.known)
        return "" if state == self.new else f"said again:\n{differ(self.new, state)}\n"


def left_running(box):
    """A child of a kurad that was killed does not go on."""
    with open(box.path("out/pid"), encoding="ascii") as f:
        pid = f.read().strip()
    os.unlink(box.path("out/pid"))
    try:
        wait_for(lambda: not os.path.exists(f"/proc/{pid}") or state_of(pid) in "ZX",
                 "qemu-img goes on")
    except AssertionError as error:
        return f"{error}\n"
    return ""


def state_of(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as f:
            return f.read().rsplit(") ", 1)[1][0]
    except OSError:
        return "X"


def try_case(verb, case, pool):
    """Starts with the preparation; the points follow on other threads."""
    t = Try(verb, case)
    try:
        t.prepare()
    except (AssertionError, kurad.KuradFailed) as error:
        t.wrong.append(f"preparation: {error}")
        return t, []
    return t, [pool.submit(t.at, n + 1) for n in range(len(t.names))]


def finish(t, tries):
    for name, one in zip(t.names, tries):
        try:
            said = one.result()
        except (AssertionError, kurad.KuradFailed, OSError) as error:
            said = f"{type(error).__name__}: {error}"
        if said:
            t.wrong.append(f"--- {name} ---\n{said}")
    if t.origin:
        t.origin.cleanup()
    tap.check(not t.wrong and len(t.names) >= 2,
              f"{t.case.line.replace('@', '.')}: killed at {len(t.names)} points", "\n".join(t.wrong))


def missing(case, there):
    return case.needs if case.needs and case.needs not in there else None


def run_cases(wanted, there):
    with concurrent.futures.ThreadPoolExecutor(max_workers=3 * os.cpu_count()) as pool:
        tries = [pool.submit(try_case, verb, case, pool) for verb, case in wanted
                 if not missing(case, there)]
        for one in tries:
            finish(*one.result())
    for _verb, case in wanted:
        if missing(case, there):
            tap.skip(case.line, f"needs {case.needs}")


# --- what was wrong once --------------------------------------------------------------------


def box_of(case=Case(""), **env):
    box = new_box(case)
    box.env.update(env)
    return box.start()


def die(box):
    """It died, or is killed."""
    if box.process.poll() is None:
        box.process.kill()
    box.process.wait(WAIT)
    box.process = None
    box.env.pop("KURA_FAULT", None)


def listed(box):
    return sorted(v["volume"] for v in tool.Tool(box).json("volume list --all")["volumes"])


def test_made_over_forgotten():
    """A volume of that name lay in the pool, forgotten: what the next start took for remains of a
    half made one was a good one, and it was deleted."""
    box = box_of(Case("", files=("image",)))
    try:
        for line in VOLUME + ("volume forget a", "volume create b --size 1M"):
            must(box, line)
        box.end()
        box.env["KURA_FAULT"] = "verb_noted"
        box.start()
        for line in ("volume create a --size 1M", "volume clone b a",
                     f"volume import a --file {box.path('image')}"):
            done = tool.Tool(box)(line)
            tap.check(done.code == 6 and "adopt" in done.err and box.alive(),
                      f"{line.split(' /')[0]}: over a forgotten volume is refused", str(done))
            if not box.alive():
                break
        die(box)
        box.start()
        tap.check(listed(box) == ["a", "b"], "which is still there", str(listed(box)))
        box.end()
    finally:
        box.cleanup()


def test_note_called_tmp():
    """The note of a volume called so was taken for a half written one, and left."""
    box = box_of(KURA_FAULT="pool_committed")
    try:
        tool.Tool(box)("volume create a.tmp --size 1M")
        die(box)
        box.start()
        left = os.listdir(box.path("pool")) + os.listdir(box.path("state/doing"))
        tap.check(not left, "a volume called a.tmp leaves nothing half made", str(left))
        box.end()
    finally:
        box.cleanup()


def test_images_end_with_kurad():
    """qemu-img went on writing into what the next kurad had already taken away."""
    for line in ("volume import b --file @/image", "volume export a --file @/out/b"):
        box = box_of(Case("", files=("image",), slow_images=True))
        try:
            must(box, VOLUME[0])
            before = look(box)
            must(box, (line + " --detach").replace("@", box.scratch))
            wait_for(lambda: os.path.exists(box.path("out/pid")), "qemu-img is not started")
            jobs = tool.Tool(box).json("job list")["jobs"]
            tap.check([j["state"] for j in jobs] == ["running"], "a job is under way", str(jobs))
            die(box)
            said = left_running(box)
            tap.check(not said, f"{line.split(' --')[0]}: ends with kurad", said)
            box.start()
            after = look(box)
            tap.check(before == after, "and is undone", differ(before, after))
            jobs = tool.Tool(box).json("job list")["jobs"]
            tap.check(jobs == [], "the jobs of a kurad end with it", str(jobs))
            box.end()
        finally:
            box.cleanup()


def test_export_keeps_a_snapshot():
    """Of somebody else, who had called it as the one that an export makes for itself."""
    box = box_of()
    try:
        for line in MAPPED + ("volume snapshot a a.export",):
            must(box, line)
        done = tool.Tool(box)(f"volume export a --file {box.path('out/x')}")
        tap.check(done.code == 6 and listed(box) == ["a", "a.export"],
                  "an export does not take another snapshot for its own", f"{done} {listed(box)}")
        box.end()
    finally:
        box.cleanup()


def test_hup_beside_a_job():
    """A job held a volume still when SIGHUP came, and what the file said then was not followed."""
    box = box_of()
    slow = {"name": "v", "pool": "p", "layers": [{"kind": "delay", "options": "ms=2000 op=write"}]}
    target = {"name": T, "luns": [{"lun": 0, "volume": "v"}], "initiators": [{"name": "*"}]}
    try:
        for line in ("volume create v --size 1M --pool p", "volume forget v"):
            must(box, line)
        box.end()
        box.text = kurad.config_text(dict(BASE, volumes=[slow], targets=[target]))
        box.start()
        host = Initiator(box.portals[0], T, isid=1, name=HOST)
        host.settle()
        host.start(write10(0, 8), write=bytes(4096))
        asked = tool.Later(tool.Tool(box), "volume export", "v", "--file", box.path("out/v"))
        wait_for(lambda: any(j["state"] == "running" for j in tool.Tool(box).json("job list")["jobs"]),
                   "no job")
        with open(box.config_path, "a", encoding="utf-8") as f:
            f.write("\nping_seconds = 7;\n")
        box.process.send_signal(signal.SIGHUP)
        wait_for(lambda: "configuration followed" in box.log() or "not followed" in box.log(),
                   "SIGHUP is not answered")
        tap.check("not followed" not in box.log(), "SIGHUP waits for a job that holds a volume still",
                  box.log_tail())
        asked.wait()
        host.close()
        box.end()
    finally:
        box.cleanup()


# --- everything that there is ---------------------------------------------------------------


def test_rows():
    """A verb that changes something has a row here."""
    schema = tool.Tool()("help --schema").json()
    kinds = {v["verb"]: v["class"] for v in verbs()}
    changes = {v for v, kind in kinds.items() if kind != "look"}
    tap.check(changes and changes == set(CASES), "every verb that changes something has its row",
              f"without: {sorted(changes - set(CASES))}; no verbs: {sorted(set(CASES) - changes)}")
    tap.check(set(kinds) == set(schema), "the tool and kurad know the same verbs")


def verbs():
    box = kurad.Kurad(kurad.config_text({"portals": BASE["portals"]}))
    with box:
        return tool.Tool(box).json("verbs")["verbs"]


def on_reflinks(names):
    """The cases that need reflinks, by another run of this program where its scratch folders lie on an
    XFS of its own; what it printed, or why it could not run."""
    if os.geteuid() or not shutil.which("mkfs.xfs"):
        return None, "root and mkfs.xfs are needed"
    folder = kurad.scratch_folder()
    image, mount = os.path.join(folder, "xfs"), os.path.join(folder, "on")
    os.makedirs(mount)
    try:
        with open(image, "wb") as f:
            f.truncate(400 * 2**20)
        made = subprocess.run(["mkfs.xfs", "-q", "-f", "-m", "reflink=1", image],
                              capture_output=True, text=True, check=False)
        enter_it = ["unshare", "-m", "sh", "-c",
                    f"mount -t xfs -o loop {image} {mount} && exec \"$@\"", "sh"]
        probe = subprocess.run([*enter_it, "true"], capture_output=True, text=True, check=False)
        if made.returncode or probe.returncode:
            return None, "no loop device can be mounted: " + made.stderr + probe.stderr
        inner = subprocess.run([*enter_it, sys.executable, os.path.abspath(__file__), "--reflink",
                                *names], env=dict(os.environ, TMPDIR=mount), check=False,
                               capture_output=True, text=True, timeout=600 * SLOW)
        return inner, ""
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def all_cases(names):
    return [(verb, case) for verb, cases in CASES.items() for case in cases
            if not names or verb in names]


def main():
    names = [a for a in sys.argv[1:] if a != "--reflink"]
    wanted = all_cases(names)
    reflink = [w for w in wanted if w[1].needs == "reflink"]
    there = {"reflink"} | ({"qemu-img"} if shutil.which("qemu-img") else set())
    if "--reflink" in sys.argv:
        run_cases(reflink, there)
        if not names:
            test_export_keeps_a_snapshot()
            test_hup_beside_a_job()
        return tap.done()
    if not names:
        for test in (test_rows, test_made_over_forgotten, test_note_called_tmp,
                     test_images_end_with_kurad):
            test()
    run_cases([w for w in wanted if w[1].needs != "reflink"], there)
    if reflink:
        inner, why = on_reflinks(names)
        if inner is None:
            tap.skip("snapshots on a filesystem with reflinks", why)
        else:
            tap.check(inner.returncode == 0, "on an XFS with reflinks: "
                      + ", ".join(w[1].line for w in reflink), inner.stdout + inner.stderr)
    return tap.done()


sys.exit(main())
