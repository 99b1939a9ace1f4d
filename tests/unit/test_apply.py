#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A running kurad follows a changed configuration: the file is edited, SIGHUP sent, and sessions
look at what has become of them."""

import copy
import hashlib
import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import kurad  # noqa: E402
import tapout  # noqa: E402
import tool  # noqa: E402
from guest import wait_for  # noqa: E402
from initiator import CHECK, GOOD, Initiator, Lost, read10, write10  # noqa: E402

TARGET = "iqn.2026-11.kura.test:apply"
OTHER = "iqn.2026-11.kura.test:apply2"
HOST = "iqn.2026-11.kura.test:host"
GUEST = "iqn.2026-11.kura.test:guest"
ROUNDS = int(os.environ.get("KURA_APPLY_ROUNDS", "200"))
FOLLOWED, REFUSED = "configuration followed", "configuration not followed"
tap = tapout.Tap()


def volume(name, size="8M", **more):
    return dict({"name": name, "store": "file", "path": f"@SCRATCH@/{name}.img", "size": size},
                **more)


def lun(number, name, **more):
    return dict({"lun": number, "volume": name}, **more)


def target(name, luns, names=(HOST, GUEST), **more):
    return dict({"name": name, "luns": luns, "initiators": [{"name": n} for n in names]}, **more)


def settings(volumes, targets, **more):
    return dict({"portals": [{"address": "127.0.0.1", "port": 0}], "loops": 2,
                 "volumes": volumes, "targets": targets}, **more)


def usual(**more):
    """Two volumes; LUN 0 of TARGET is the first, LUN 0 of OTHER the second."""
    return settings([volume("one"), volume("two")],
                    [target(TARGET, [lun(0, "one")]), target(OTHER, [lun(0, "two")])], **more)


class Box(kurad.Kurad):
    """A kurad whose settings can be changed."""

    def __init__(self, start=None):
        self.now = start or usual()
        super().__init__(kurad.config_text(self.now))

    def write(self, text):
        with open(self.config_path, "w", encoding="utf-8") as f:
            f.write(text.replace("@SCRATCH@", self.scratch))

    def hup(self):
        """Sends SIGHUP and waits for what it comes to: the log lines since then."""
        begin = len(self.log())
        self.process.send_signal(signal.SIGHUP)
        end = time.monotonic() + 60
        while time.monotonic() < end:
            said = self.log()[begin:]
            if FOLLOWED in said or REFUSED in said:
                return said
            time.sleep(0.005)
        raise kurad.KuradFailed("no answer to SIGHUP\n" + self.log_tail())

    def apply(self, **more):
        """Changes top-level settings and has them followed: the log lines."""
        self.now = dict(self.now, **more)
        self.write(kurad.config_text(self.now))
        return self.hup()

    def log_in(self, isid=1, name=HOST, target=TARGET, keys=(), portal=0):
        session = Initiator(self.portals[portal], target, isid, name, keys)
        session.settle()
        return session


def lost(session, seconds=30):
    """Whether the session ends; what came before that is thrown away."""
    session.sock.settimeout(seconds)
    try:
        while True:
            session.receive()
    except Lost as error:
        return "timed out" not in str(error)


def refused(box, **more):
    """Why a login is refused, or None."""
    try:
        box.log_in(**more).close()
    except Lost as error:
        return str(error)
    return None


def capacity(session, number=0):
    data = session.command(struct.pack(">B8xB", 0x25, 0), read=8, lun=number)[2]
    return struct.unpack(">I", data[:4])[0] + 1


def ready(session, number=0):
    return session.command(bytes(6), lun=number)[:2]


class Traffic:
    """Writes and reads back on LUN 0 of a session of its own until it is stopped."""

    def __init__(self, box, isid=0x77, **more):
        self.session = box.log_in(isid, **more)
        self.wrong, self.count = None, 0
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def once(self):
        """A block there and back; a unit attention is passed over."""
        block = struct.pack(">I", self.count) * 128
        place = self.count % 1024
        for cdb, out in ((write10(place, 1), block), (read10(place, 1), b"")):
            status, sense, data = self.session.command(cdb, 0 if out else 512, out)
            while status == CHECK and sense[0] == 6:
                status, sense, data = self.session.command(cdb, 0 if out else 512, out)
            if status != GOOD or (not out and data != block):
                self.wrong = f"status {status:#x} sense {sense} at {self.count}"
        self.count += 1

    def run(self):
        try:
            while not self.over.is_set() and not self.wrong:
                self.once()
        except (Lost, OSError) as error:
            self.wrong = str(error)

    def stop(self):
        """None, or what went wrong."""
        self.over.set()
        self.thread.join()
        self.session.close()
        return self.wrong


# --- LUNs --------------------------------------------------------------------------------------


def test_lun_comes():
    with Box() as box:
        traffic = Traffic(box)
        a = box.log_in(1)
        old = ready(a, 5)
        said = box.apply(volumes=box.now["volumes"] + [volume("new", "16M")],
                         targets=[target(TARGET, [lun(0, "one"), lun(5, "new")]),
                                  box.now["targets"][1]])
        tap.check(old[1] == (5, 0x25, 0) and FOLLOWED in said, "a volume and a LUN come", said)
        tap.check(ready(a, 0)[1] == (6, 0x3F, 0x0E) and ready(a, 0)[0] == GOOD,
                  "LUN 0 tells REPORTED LUNS DATA HAS CHANGED, once")
        tap.check(ready(a, 5)[1] == (6, 0x29, 0) and ready(a, 5)[0] == GOOD,
                  "the new one begins with POWER ON")
        tap.check(capacity(a, 5) == 16 << 11, "and has its size")
        tap.check("step=open_volume state=done" in said and "step=add_lun state=done" in said,
                  "each step has its line", said)
        wrong = traffic.stop()
        tap.check(not wrong and traffic.count > 0, "I/O of the other LUN has gone on", wrong or "")
        a.close()


def test_lun_goes():
    start = usual()
    start["targets"][0]["luns"].append(lun(1, "two"))
    with Box(start) as box:
        traffic = Traffic(box)
        a = box.log_in(1)
        ready(a, 1)
        itt = a.start(write10(0, 16), write=bytes(8192), immediate=False, lun=1)
        r2t = a.receive()
        said = box.apply(targets=usual()["targets"])
        tap.check(r2t.opcode == 0x31 and FOLLOWED in said and "step=remove_lun state=done" in said
                  and HOST in said, "a LUN in use goes at SIGHUP, and who used it is told", said)
        status, sense, _ = a.finish(itt)
        tap.check(status == CHECK and sense == (5, 0x25, 0),
                  "a write that waits for its data is told", f"{status} {sense}")
        a.data_out(itt, r2t, bytes(8192))
        tap.check(ready(a, 1)[1] == (5, 0x25, 0), "the LUN is not there any more")
        tap.check(ready(a, 0)[1] == (6, 0x3F, 0x0E), "LUN 0 tells that the list has changed")
        wrong = traffic.stop()
        tap.check(not wrong and traffic.count > 0, "I/O of the other LUN has gone on", wrong or "")
        said = box.apply(volumes=[volume("one")], targets=[target(TARGET, [lun(0, "one")])])
        tap.check("volume closed" in said and FOLLOWED in said, "a volume is closed", said)
        tap.check(ready(a, 0)[0] == GOOD, "and the session is there still")
        a.close()


def test_readonly():
    with Box() as box:
        a = box.log_in(1)
        block = bytes(512)
        before = a.command(write10(0, 1), write=block)[0]
        said = box.apply(targets=[target(TARGET, [lun(0, "one", readonly=True)]),
                                  box.now["targets"][1]])
        tap.check(before == GOOD and "becomes read-only" in said, "a LUN becomes read-only", said)
        tap.check(ready(a)[1] == (6, 0x2A, 0x01), "MODE PARAMETERS CHANGED is told")
        status, sense, _ = a.command(write10(0, 1), write=block)
        tap.check(sense == (7, 0x27, 0), "writes are refused", f"{status} {sense}")
        mode = a.command(struct.pack(">6B", 0x1A, 8, 0x3F, 0, 255, 0), read=255)[2]
        tap.check(mode[2] & 0x80, "MODE SENSE says so")
        box.apply(targets=usual()["targets"])
        a.settle()
        tap.check(a.command(write10(0, 1), write=block)[0] == GOOD, "and it can be written again")
        a.close()


def test_other_volume():
    with Box() as box:
        a, b = box.log_in(1), box.log_in(2, target=OTHER)
        mark = b"\x5a" * 512
        b.command(write10(0, 1), write=mark)
        b.close()
        said = box.apply(targets=[target(TARGET, [lun(0, "two")]), box.now["targets"][1]])
        told = a.settle()
        data = a.command(read10(0, 1), read=512)[2]
        tap.check(FOLLOWED in said and "step=change_lun" in said and (0x29, 0) in told
                  and data == mark, "a LUN becomes another volume", said)
        a.close()


# --- volumes -----------------------------------------------------------------------------------


def test_sizes():
    with Box() as box:
        traffic = Traffic(box)
        a = box.log_in(1)
        said = box.apply(volumes=[volume("one", "12M"), volume("two")])
        tap.check("step=grow_volume state=done" in said and ready(a)[1] == (6, 0x2A, 0x09)
                  and capacity(a) == 12 << 11, "a volume grows: CAPACITY DATA HAS CHANGED", said)
        tap.check(a.command(write10((12 << 11) - 1, 1), write=bytes(512))[0] == GOOD,
                  "the last block can be written")
        said = box.apply(volumes=[volume("one", "4M"), volume("two")])
        tap.check(REFUSED in said and "step=shrink_volume state=refused" in said
                  and capacity(a) == 12 << 11, "a reload makes no volume smaller", said)
        wrong = traffic.stop()
        tap.check(not wrong, "I/O has gone on", wrong or "")
        a.close()


def test_reopen():
    with Box() as box:
        a = box.log_in(1)
        changed = [volume("one", cache="direct"), volume("two")]
        said = box.apply(volumes=changed)
        tap.check(REFUSED in said and "step=reopen_volume state=refused" in said and HOST in said
                  and ready(a)[0] == GOOD, "a volume in use is not opened again", said)
        a.close()
        wait_for(lambda: not tool.Tool(box).json("session list")["sessions"])
        said = box.apply(volumes=changed)
        tap.check("step=reopen_volume state=done" in said, "one that nobody uses is", said)
        b = box.log_in(2)
        tap.check(capacity(b) == 8 << 11, "and its LUN is there again")
        b.close()
        said = box.apply(volumes=[volume("one", store="block", path="/nowhere/at/all"),
                                  volume("two")])
        b = box.log_in(3)
        tap.check(REFUSED in said and capacity(b) == 8 << 11,
                  "when it cannot be opened as it is wanted, it is as it was", said)
        b.close()


def test_cannot_open():
    with Box() as box:
        a = box.log_in(1)
        said = box.apply(volumes=box.now["volumes"] + [volume("bad", path="/nowhere/at/all.img")],
                         targets=[target(TARGET, [lun(0, "one"), lun(1, "two")])])
        tap.check(REFUSED in said and "/nowhere/at/all.img" in said,
                  "a volume that cannot be opened ends the whole change", said)
        tap.check(ready(a)[0] == GOOD and ready(a, 1)[1] == (5, 0x25, 0),
                  "the session has not noticed anything")
        b = box.log_in(2, target=OTHER)
        tap.check(ready(b)[0] == GOOD, "the target that was to go is there")
        a.close()
        b.close()


# --- targets and who may use them --------------------------------------------------------------


def test_target_goes():
    with Box() as box:
        traffic = Traffic(box)
        a = box.log_in(1, target=OTHER)
        begin = len(box.log())
        box.now["targets"] = box.now["targets"][:1]
        box.write(kurad.config_text(box.now))
        box.process.send_signal(signal.SIGHUP)
        pdu = a.receive()
        tap.check(pdu.opcode == 0x32 and pdu.header[36] == 1,
                  "a logout is asked for when a target goes (RFC 7143 11.9.1)", f"{pdu.opcode:#x}")
        tap.check(lost(a), "then the session ends")
        while FOLLOWED not in box.log()[begin:]:
            time.sleep(0.01)
        tap.check(refused(box, target=OTHER) == "login refused: 0203", "it is not found any more")
        wrong = traffic.stop()
        tap.check(not wrong and traffic.count > 0, "sessions of the other one stay", wrong or "")
        box.apply(targets=usual()["targets"])
        b = box.log_in(3, target=OTHER)
        tap.check(ready(b)[0] == GOOD, "and it can come again")
        b.close()


def test_polite_logout():
    """An initiator that logs out when it is asked to is not waited for."""
    with Box() as box:
        a = box.log_in(1, target=OTHER)
        box.now["targets"] = box.now["targets"][:1]
        box.write(kurad.config_text(box.now))
        box.process.send_signal(signal.SIGHUP)
        a.receive()
        a.send(struct.pack(">BB14xIH2xII16x", 0x46, 0x80, 0x99, 1, a.cmd_sn, a.exp_stat_sn))
        answer = a.receive()
        tap.check(answer.opcode == 0x26 and lost(a), "an initiator may log out when it is asked")


def test_initiator_goes():
    with Box() as box:
        a, b = box.log_in(1), box.log_in(2, name=GUEST)
        said = box.apply(targets=[target(TARGET, [lun(0, "one")], (HOST,)),
                                  box.now["targets"][1]])
        tap.check("step=end_sessions state=done" in said and f"users={GUEST}" in said,
                  "an initiator may not come any more", said)
        tap.check(lost(b), "its session ends")
        tap.check(refused(box, name=GUEST) == "login refused: 0202", "it is refused from now on")
        tap.check(ready(a)[0] == GOOD, "the other one stays")
        a.close()


def test_sighup_beside_verbs():
    """A verb and SIGHUP each begin with what is served: neither takes back what the other did."""
    with Box() as box:
        kura, done = tool.Tool(box), threading.Event()
        names = [f"{OTHER}.{i}" for i in range(40)]

        def poke():
            while not done.is_set():
                box.process.send_signal(signal.SIGHUP)
                time.sleep(0.002)

        thread = threading.Thread(target=poke, daemon=True)
        thread.start()
        codes = [kura.run("target", "create", name).code for name in names]
        done.set()
        thread.join()
        box.hup()
        served = {t["target"] for t in kura.json("target list")["targets"]}
        tap.check(codes == [0] * len(names) and served >= set(names),
                  "verbs beside SIGHUP: all that was done is there",
                  f"{codes} {sorted(set(names) - served)}")


def test_alias():
    with Box() as box:
        a = box.log_in(1)
        said = box.apply(targets=[target(TARGET, [lun(0, "one")], alias="A disk"),
                                  box.now["targets"][1]])
        tap.check("has another alias" in said and "end_sessions" not in said
                  and ready(a)[0] == GOOD, "another alias ends no session", said)
        a.close()


def test_hosts():
    """A host moves from the target's LUNs to those of its group: its session ends."""
    with Box() as box:
        a, b = box.log_in(1), box.log_in(2, name=GUEST)
        access = [{"host": "guests", "luns": [lun(0, "two")]}]
        said = box.apply(hosts=[{"name": "guests", "initiators": [{"name": GUEST}]}],
                         targets=[target(TARGET, [lun(0, "one")], (HOST,), access=access),
                                  box.now["targets"][1]])
        tap.check(lost(b) and "have other LUNs" in said, "whose LUNs are others has to come again",
                  said)
        tap.check(ready(a)[0] == GOOD, "the others stay")
        b = box.log_in(3, name=GUEST)
        access[0]["luns"].append(lun(1, "one"))
        box.apply(targets=[target(TARGET, [lun(0, "one")], (HOST,), access=access),
                           box.now["targets"][1]])
        tap.check(b.settle() and ready(b, 1)[1] == (6, 0x29, 0) and ready(a, 1)[1] == (5, 0x25, 0),
                  "a LUN of a group comes for the group alone")
        a.close()
        b.close()


class Chap(Initiator):
    """Logs in with a secret (RFC 1994, MD5)."""

    def __init__(self, address, isid, secret):
        self.secret = secret
        super().__init__(address, TARGET, isid, HOST)

    def _exchange(self, flags, text):
        self.send(struct.pack(">BBBB4x6sHIHHII16x", 0x43, flags, 0, 0,
                              bytes((0, 2, 0x3D)) + self.isid.to_bytes(3, "big"),
                              0, 0, 1, 0, self.cmd_sn, 0),
                  b"".join(f"{k}={v}\0".encode() for k, v in text))
        answer = self.receive()
        if answer.header[36]:
            raise Lost(f"login refused: {answer.header[36]:02x}{answer.header[37]:02x}")
        pairs = [p.split("=", 1) for p in answer.data.decode().split("\0") if p]
        return dict(pairs)

    def _login(self, target, keys):
        self._exchange(0x00, (("InitiatorName", self.name), ("TargetName", target),
                              ("SessionType", "Normal"), ("AuthMethod", "CHAP")))
        ask = self._exchange(0x00, (("CHAP_A", "5"),))
        challenge = bytes.fromhex(ask["CHAP_C"][2:])
        digest = hashlib.md5(bytes((int(ask["CHAP_I"]),)) + self.secret.encode() + challenge,
                             usedforsecurity=False).hexdigest()
        self._exchange(0x81, (("CHAP_N", "u"), ("CHAP_R", "0x" + digest)))
        self._exchange(0x87, (("InitialR2T", "No"),))


def test_secret():
    def with_secret(secret):
        return [target(TARGET, [lun(0, "one")], auth={"user": "u", "secret": secret}),
                usual()["targets"][1]]

    start = usual()
    start["targets"] = with_secret("first-secret-1234")
    with Box(start) as box:
        a = Chap(box.portals[0], 1, "first-secret-1234")
        a.settle()
        said = box.apply(targets=with_secret("second-secret-123"))
        tap.check("has another auth" in said and ready(a)[0] == GOOD,
                  "another secret: who is there stays", said)
        try:
            Chap(box.portals[0], 2, "first-secret-1234")
            tap.not_ok("the old secret is refused")
        except Lost as error:
            tap.check("0201" in str(error), "the old secret is refused", str(error))
        b = Chap(box.portals[0], 3, "second-secret-123")
        b.settle()
        tap.check(ready(b)[0] == GOOD, "the new one is taken")
        tap.check("second-secret" not in box.log(), "and no log line has it")
        a.close()
        b.close()


# --- portals -----------------------------------------------------------------------------------


def listens(address):
    try:
        socket.create_connection(address, timeout=5).close()
    except OSError:
        return False
    return True


def test_portals():
    with Box() as box:
        traffic = Traffic(box)
        first = box.portals[0]
        said = box.apply(portals=[{"address": "127.0.0.1", "port": 0},
                                  {"address": "127.0.0.2", "port": 0, "group": 2}])
        more = kurad.PORTAL.search(said)
        tap.check(more and more[1] == "127.0.0.2", "a portal comes", said)
        second = (more[1], int(more[2]))
        box.portals.append(second)
        a = box.log_in(1, portal=1)
        tap.check(ready(a)[0] == GOOD and listens(first), "one can log in by it, and by the first")
        said = box.apply(portals=[{"address": "127.0.0.2", "port": 0, "group": 2}])
        tap.check("portal closed" in said and not listens(first) and listens(second),
                  "the first one goes", said)
        tap.check(ready(a)[0] == GOOD, "the session by the other portal stays")
        traffic.stop()
        a.close()


def test_portal_of_ours():
    start = usual(portals=[{"address": "*", "port": 0}])
    with Box(start) as box:
        port = box.portals[0][1]
        said = box.apply(portals=[{"address": "127.0.0.1", "port": port}])
        tap.check(REFUSED in said and "needs a restart" in said and listens(("127.0.0.1", port)),
                  "a portal within one of every address is for a restart", said)


def test_portal_in_use():
    with Box() as box, socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        said = box.apply(portals=[{"address": "127.0.0.1", "port": 0},
                                  {"address": "127.0.0.1", "port": taken.getsockname()[1]}],
                         volumes=box.now["volumes"] + [volume("new")])
        tap.check(REFUSED in said and "cannot listen" in said and "volume=new" not in said,
                  "a portal that cannot be had ends the whole change", said)


# --- the file ----------------------------------------------------------------------------------


def test_broken():
    with Box() as box:
        a = box.log_in(1)
        text = kurad.config_text(box.now)
        box.write(text.replace("loops = 2;", 'loops = 2;\nlog_level = "loud";\nqueue_depht = 1;'))
        said = box.hup()
        lines = re.findall(r"kura\.conf:\d+", said)
        tap.check(REFUSED in said and "loud" in said and "queue_depht" in said and len(lines) >= 2,
                  "every mistake of a broken file is told, with its line", said)
        tap.check(ready(a)[0] == GOOD, "nothing has changed")
        a.close()


def test_options():
    with Box() as box:
        said = box.apply(queue_depth=7, loops=1, log_level="debug")
        tap.check("step=change_option state=restart" in said and "loops changes with" in said,
                  "what needs a restart is said to", said)
        a = box.log_in(1)
        a.command(bytes(6))
        tap.check("conn: state" in box.log(), "another log level holds")
        said = box.apply(queue_depth=7)
        tap.check(said.count("state=restart") == 1 and "queue_depth" not in said,
                  "and only that is left to do", said)
        said = box.apply(loops=2, log_level="info", queue_depth=9)
        tap.check("state=restart" not in said and FOLLOWED in said, "options change live", said)
        a.close()


def test_nothing():
    with Box() as box:
        said = box.hup()
        tap.check("steps=0" in said, "the same file again is nothing to do", said)


# --- many times --------------------------------------------------------------------------------


def footprint(box):
    """Descriptors and resident KiB."""
    pid = box.process.pid
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        rss = int(re.search(r"VmRSS:\s+(\d+)", f.read())[1])
    return len(os.listdir(f"/proc/{pid}/fd")), rss


def is_sanitized():
    """Whether the memory of kurad is a sanitizer's, which finds leaks by itself."""
    with open(kurad.binary(), "rb") as f:
        text = f.read()
    return b"__asan_init" in text or b"__tsan_init" in text


def control(box, method):
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(20)
        s.connect(box.path("control"))
        s.sendall(json.dumps({"jsonrpc": "2.0", "id": 1, "method": method}).encode() + b"\n")
        answer = b""
        while not answer.endswith(b"\n"):
            part = s.recv(65536)
            if not part:
                break
            answer += part
    return json.loads(answer)["result"]


class Crowd:
    """Logs in and out all the time, and asks for the status; a refusal would be an error."""

    def __init__(self, box):
        self.box, self.wrong, self.count = box, None, 0
        self.over = threading.Event()
        self.threads = [threading.Thread(target=self.run, args=(n,)) for n in range(2)]
        for t in self.threads:
            t.start()

    def run(self, number):
        try:
            while not self.over.is_set():
                s = self.box.log_in(100 + number)
                s.close()
                self.count += 1
                if not number:
                    control(self.box, "status")
        except (Lost, OSError, KeyError) as error:
            self.wrong = repr(error)

    def stop(self):
        self.over.set()
        for t in self.threads:
            t.join()
        return self.wrong


def test_many():
    odd = usual()
    even = settings([volume("one"), volume("two"), volume("three")],
                    [target(TARGET, [lun(0, "one"), lun(1, "three")], alias="x"),
                     target(OTHER, [lun(0, "two", readonly=True)]),
                     target(TARGET + "3", [lun(0, "three")])],
                    portals=[{"address": "127.0.0.1", "port": 0},
                             {"address": "127.0.0.3", "port": 0, "group": 9}])
    with Box(copy.deepcopy(odd)) as box:
        traffic, crowd = Traffic(box), Crowd(box)
        bad, early = "", None
        for i in range(ROUNDS):
            said = box.apply(**(even if i % 2 == 0 else odd))
            if FOLLOWED not in said or "state=failed" in said:
                bad = said
            if i == ROUNDS // 4 | 1:
                early = footprint(box)
        wrong, refused_logins = traffic.stop(), crowd.stop()
        wait_for(lambda: footprint(box)[0] <= early[0])
        late = footprint(box)
        tap.check(not bad, f"{ROUNDS} changes in a row", bad)
        tap.check(not wrong and traffic.count > 0, f"I/O goes on, {traffic.count} times there "
                  "and back", wrong or "")
        tap.check(not refused_logins and crowd.count > 0, f"and so do logins, {crowd.count}",
                  refused_logins or "")
        tap.check(late[0] <= early[0] and (is_sanitized() or late[1] <= early[1] + 2048),
                  f"no descriptor and no memory is left: {early} then {late}")
        names = [v["name"] for v in control(box, "status")["volumes"]]
        tap.check(names == ["one", "two"], "status says what is served", str(names))


def test_clients():
    """Other people's clients see the change."""
    missing = [p for p in ("iscsi-ls", "iscsi-inq") if subprocess.run(
        ["which", p], stdout=subprocess.DEVNULL, check=False).returncode]
    if missing:
        tap.skip("iscsi-ls and iscsi-inq see a new target", "not here")
        return
    start = usual()
    for t in start["targets"]:
        t["initiators"] = [{"name": "*"}]
    with Box(start) as box:
        new = target(TARGET + "9", [lun(4, "two", product="NEWCOMER")], ("*",))
        box.apply(targets=start["targets"] + [new])
        seen = subprocess.run(["iscsi-ls", f"iscsi://{box.address}"], capture_output=True,
                              text=True, timeout=30, check=False).stdout
        inquiry = subprocess.run(["iscsi-inq", box.url(TARGET + "9", 4)], capture_output=True,
                                 text=True, timeout=30, check=False).stdout
        tap.check(TARGET + "9" in seen and "NEWCOMER" in inquiry,
                  "iscsi-ls and iscsi-inq see a new target", seen + inquiry)


TESTS = (test_lun_comes, test_lun_goes, test_readonly, test_other_volume, test_sizes, test_reopen,
         test_cannot_open, test_target_goes, test_polite_logout, test_initiator_goes, test_alias,
         test_sighup_beside_verbs, test_hosts, test_secret, test_portals, test_portal_of_ours,
         test_portal_in_use, test_broken, test_options,
         test_nothing, test_clients, test_many)


def main():
    if not kurad.have_binary():
        tap.skip("kurad follows its configuration", kurad.binary() + " is not built")
        return tap.done()
    only = sys.argv[1:]
    for test in TESTS:
        if only and test.__name__ not in only:
            continue
        try:
            test()
        except (kurad.KuradFailed, Lost, OSError, KeyError, struct.error) as error:
            tap.not_ok(test.__name__, repr(error))
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
