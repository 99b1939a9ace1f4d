#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a real kurad makes of a full filesystem, a file cut short, a quota, a device that fails,
goes away or hangs: what initiators are told, that other volumes do not notice, that the log says it
once, and that all goes on without a restart."""

import os
import resource
import struct
import subprocess
import sys
import threading
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import kurad  # noqa: E402
import tapout  # noqa: E402
from initiator import CHECK, GOOD, SLOW, Initiator, Lost, read10, write10  # noqa: E402
from tool import Tool  # noqa: E402

TARGET = "iqn.2026-11.kura.test:bad"
INSIDE = "KURA_BAD_DAYS_INSIDE"
MIB = 1 << 20
PIECE = 32 << 10  # goes as immediate data
BLOCKS = PIECE // 512
ABORT_TASK, LUN_RESET = 1, 5
COMPLETE, REJECTED = 0, 255
READ_ERROR, WRITE_ERROR = (3, 0x11, 0x00), (3, 0x0C, 0x00)
NO_ROOM, PROTECTED = (7, 0x27, 0x07), (7, 0x27, 0x00)
tap = tapout.Tap()


def volume(name, layers=(), **more):
    made = {"name": name, "store": "file", "path": f"@SCRATCH@/{name}.img", "size": "8M"}
    made.update(more)
    if layers:
        made["layers"] = [{"kind": kind, "options": options} for kind, options in layers]
    return made


def config(*volumes):
    return kurad.one_target(TARGET, list(volumes), loops=2)


def log_in(daemon, isid, luns):
    session = Initiator(daemon.portals[0], TARGET, isid)
    for lun in range(luns):
        well(session, Initiator.command, bytes(6), 0, b"", lun)
    return session


def write(session, piece, stamp, lun=0):
    return session.command(write10(piece * BLOCKS, BLOCKS), write=bytes([stamp]) * PIECE, lun=lun)[:2]


def read(session, piece, lun=0):
    return session.command(read10(piece * BLOCKS, BLOCKS), read=PIECE, lun=lun)


def holds(session, piece, stamp, lun=0):
    return read(session, piece, lun) == (GOOD, None, bytes([stamp]) * PIECE)


def well(session, what, *args):
    """The same, behind the unit attentions that there are."""
    for _ in range(8):
        answer = what(session, *args)
        if answer[0] != CHECK or answer[1][0] != 6:
            break
    return answer


def said(daemon, text):
    return sum(text in line for line in daemon.log().splitlines())


def manage(session, function, tag=0xFFFFFFFF, lun=0):
    """Sends a task management request and does not wait; its tag."""
    session.itt += 1
    session.send(struct.pack(">BB6xQIIIIII8x", 0x42, 0x80 | function, lun << 48, session.itt, tag,
                             session.cmd_sn, session.exp_stat_sn, session.cmd_sn, 0))
    return session.itt


def managed(session, itt):
    while True:
        pdu = session.receive()
        if pdu.opcode == 0x22 and pdu.itt == itt:
            return pdu.header[2]


def logged_out(session):
    """The response to the request to end the session."""
    session.itt += 1
    session.send(struct.pack(">BB14xI4xII16x", 0x46, 0x80, session.itt, session.cmd_sn,
                             session.exp_stat_sn))
    while True:
        pdu = session.receive()
        if pdu.opcode == 0x26:
            return pdu.header[2]


# --- what a file lives on ---------------------------------------------------------------------


def test_full(daemon):
    a = log_in(daemon, 1, 2)
    wrote, failures = 0, 0
    while wrote < 128 and write(a, wrote, wrote + 1)[0] == GOOD:
        wrote += 1
    for _ in range(20):
        failures += well(a, write, 255, 0x77) == (CHECK, NO_ROOM)
    tap.check(8 <= wrote < 80 and failures == 20,
              "full: SPACE ALLOCATION FAILED WRITE PROTECT, each time", f"{wrote} {failures}")
    tap.check(all(holds(a, i, i + 1) for i in range(wrote)), "what is there can be read")
    tap.check(write(a, 0, 1) == (GOOD, None), "and written over")
    tap.check(write(a, 3, 9, lun=1)[0] == GOOD and holds(a, 3, 9, lun=1),
              "the other volume goes on")
    tap.check(said(daemon, "volume: writes fail, no room volume=disk") == 1,
              "the log says it once", daemon.log_tail())
    subprocess.run(["mount", "-o", "remount,size=32M", daemon.path("small")], check=True)
    told = [well(a, write, i, i % 200) for i in range(256)]
    tap.check(all(t == (GOOD, None) for t in told), "with room, writes go on", str(set(told)))
    tap.check(all(holds(a, i, i % 200) for i in range(256)), "and everything is there")
    a.close()


def flush(session, lun):
    return session.command(bytes((0x35,)) + bytes(9), lun=lun)[:2]


def test_cut_short(daemon):
    a = log_in(daemon, 2, 2)
    path = daemon.path("other.img")
    write(a, 1, 0x11, lun=1)
    write(a, 200, 0x30, lun=1)
    os.truncate(path, 4 * MIB)
    told = {read(a, piece, lun=1)[:2] for piece in range(130, 256, 9)}
    tap.check(told == {(CHECK, READ_ERROR)}, "cut short: UNRECOVERED READ ERROR behind the end",
              str(told))
    tap.check(holds(a, 1, 0x11, lun=1), "what is left can be read")
    tap.check({write(a, piece, 0x12, lun=1) for piece in (130, 200, 255)} == {(CHECK, WRITE_ERROR)}
              and os.path.getsize(path) == 4 * MIB,
              "and no write behind it makes the file longer, so that what is lost would read as zeroes")
    tap.check(write(a, 1, 0x11, lun=1) == (GOOD, None) and flush(a, 1) == (CHECK, WRITE_ERROR),
              "before it writes go on, and no flush says that all is well")
    tap.check(said(daemon, "medium error volume=other") == 1, "the log says it once")
    os.truncate(path, 8 * MIB)
    tap.check(flush(a, 1) == (GOOD, None), "as long as it was, a flush is good")
    tap.check(read(a, 200, lun=1)[0] == GOOD and write(a, 200, 0x31, lun=1)[0] == GOOD
              and holds(a, 200, 0x31, lun=1), "and it works again")
    os.truncate(path, 4 * MIB)
    tap.check(write(a, 150, 0x32, lun=1)[0] == GOOD and flush(a, 1) == (CHECK, WRITE_ERROR)
              and read(a, 200, lun=1)[:2] == (CHECK, READ_ERROR)
              and write(a, 200, 0x33, lun=1) == (CHECK, WRITE_ERROR),
              "a write that nobody could know to be behind a cut is found by the next flush")
    os.truncate(path, 8 * MIB)
    tap.check(flush(a, 1) == (GOOD, None), "repaired the same way")
    a.close()


def test_quota(daemon):
    a = log_in(daemon, 3, 2)
    limit = (3 * MIB, resource.RLIM_INFINITY)
    resource.prlimit(daemon.process.pid, resource.RLIMIT_FSIZE, limit)
    told = [well(a, write, piece, 5, 1) for piece in (100, 101, 102)]
    tap.check(told == [(CHECK, NO_ROOM)] * 3, "behind a limit of file sizes: the same as full",
              str(told))
    tap.check(daemon.alive(), "and kurad lives")
    tap.check(well(a, write, 1, 6, 1) == (GOOD, None), "before the limit writes go on")
    resource.prlimit(daemon.process.pid, resource.RLIMIT_FSIZE,
                     (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    tap.check(write(a, 100, 7, lun=1) == (GOOD, None) and holds(a, 100, 7, lun=1),
              "without it behind it, too")
    a.close()


def test_in_use(daemon):
    """Another kurad is told who has the file."""
    second = kurad.Kurad(config(volume("disk", path=daemon.path("other.img"), size="8M")))
    try:
        second.start()
        tap.not_ok("a file that is served is not opened twice")
    except kurad.KuradFailed:
        log = second.log()
        tap.check("in use" in log and str(daemon.process.pid) in log,
                  "a file that is served is not opened twice, and its owner is named", log)
    finally:
        second.process = None
        second.cleanup()


def test_read_only_below(folder):
    """A filesystem that cannot be written: refused, or read-only by configuration."""
    image = os.path.join(folder, "disk.img")
    with open(image, "wb") as f:
        f.truncate(8 * MIB)
    subprocess.run(["mount", "-o", "remount,ro", folder], check=True)
    refused = kurad.Kurad(config(volume("disk", path=image)))
    try:
        refused.start()
        tap.not_ok("it is not opened for writing")
    except kurad.KuradFailed:
        tap.check("readonly = true" in refused.log(), "read-only filesystem: refused, with advice",
                  refused.log())
    finally:
        refused.process = None
        refused.cleanup()
    served = volume("disk", path=image, readonly=True, uuid="11111111-2222-4333-8444-555555555555")
    with kurad.Kurad(config(served)) as daemon:
        a = log_in(daemon, 1, 1)
        tap.check(read(a, 0)[0] == GOOD and write(a, 0, 1) == (CHECK, PROTECTED),
                  "readonly = true: reads, and WRITE PROTECTED", str(write(a, 0, 1)))
        a.close()


# --- what a device does -----------------------------------------------------------------------


FAILURES = (  # errno, of which operation, what is told, a word of the log's line
    ("EIO", "read", READ_ERROR, "medium error"),
    ("EIO", "write", WRITE_ERROR, "medium error"),
    ("ENODEV", "any", (2, 0x04, 0x12), "its device is gone"),
    ("EROFS", "write", PROTECTED, "read-only below"),
    ("ENOSPC", "write", NO_ROOM, "no room"),
    ("ETIMEDOUT", "any", (0xB, 0x2E, 0x02), "no answer in time"),
)


def test_failures():
    volumes = [volume(f"v{i}", [("error", f"op={op} errno={name} count=3")])
               for i, (name, op, _, _) in enumerate(FAILURES)]
    with kurad.Kurad(config(*volumes, volume("well"))) as daemon:
        a = log_in(daemon, 1, len(volumes) + 1)
        for lun, (name, op, sense, word) in enumerate(FAILURES):
            doing = [well(a, write, 0, 1, lun) if op != "read" else read(a, 0, lun)[:2]
                     for _ in range(3)]
            tap.check(doing == [(CHECK, sense)] * 3, f"{name} of {op}: {sense}", str(doing))
            tap.check(said(daemon, f"{word} volume=v{lun} ") == 1, "told once")
            tap.check(well(a, write, 0, 2, lun)[0] == GOOD and holds(a, 0, 2, lun),
                      "and it goes on by itself")
        tap.check(write(a, 5, 5, len(volumes))[0] == GOOD, "the other volume never noticed")
        a.close()


def test_hang():
    """Requests that the device does not answer."""
    hangs = volume("hangs", [("delay", "ms=600000 op=read")])
    slow = volume("slow", limit={"iops": 1, "burst_ms": 20})
    daemon = kurad.Kurad(config(hangs, volume("well"), slow)).start()
    try:
        a, b = log_in(daemon, 1, 3), log_in(daemon, 2, 3)
        stuck = a.start(read10(0, 8), read=4096)
        waits = [a.start(write10(i, 1), write=bytes(512), lun=2) for i in range(20)]
        began = time.monotonic()
        tap.check(managed(a, manage(a, ABORT_TASK, waits[-1], lun=2)) == COMPLETE
                  and managed(a, manage(a, LUN_RESET, lun=2)) == COMPLETE,
                  "what waits for its turn by a limit is aborted at once")
        tap.note(f"took {time.monotonic() - began:.3f} s, where 20 writes wait at 1 a second")
        abort = manage(a, ABORT_TASK, stuck)
        reset = manage(b, LUN_RESET)
        tap.check(write(b, 1, 1, lun=1)[0] == GOOD and holds(b, 1, 1, lun=1),
                  "the other volume goes on while an abort waits")
        tap.check(well(b, write, 2, 3)[0] == GOOD, "and so does this one, where its device answers")
        tap.check(managed(a, abort) == REJECTED, "the abort of a read that hangs is answered")
        tap.check(managed(b, reset) == REJECTED, "and the reset of its unit")
        tap.note(f"after {time.monotonic() - began:.1f} s")
        a.close()
        b.close()
        c = log_in(daemon, 3, 3)
        tap.check(write(c, 1, 4, lun=1)[0] == GOOD and write(c, 1, 4)[0] == GOOD,
                  "others come in and work while it hangs")
        c.close()
    finally:
        daemon.terminate()
        code = daemon.process.wait(60)
        tap.check(code == 1, "it stops, and says by its status that something was left", str(code))
        daemon.process = None
        daemon.cleanup()


def not_ready(answer):
    return answer[:2] == (CHECK, (2, 0x04, 0x07))


def comes_again(daemon, isid, luns):
    """The same initiator port once more, with its commands and without the attentions."""
    session = Initiator(daemon.portals[0], TARGET, isid)
    for lun in range(luns):
        while session.command(bytes(6), lun=lun)[1] not in (None, (2, 0x04, 0x07)):
            pass
    return session


def test_comes_again():
    """An initiator port whose requests a device keeps logs in again."""
    hangs = volume("hangs", [("delay", "ms=600000 op=write")])
    reads = volume("reads", [("delay", "ms=600000 op=read")])
    daemon = kurad.Kurad(config(hangs, volume("well"), reads)).start()
    try:
        a, other = log_in(daemon, 1, 3), log_in(daemon, 9, 3)
        a.start(write10(0, BLOCKS), write=bytes(PIECE))
        a.command(bytes(6))  # behind it, so that the volume has it
        again = comes_again(daemon, 1, 3)
        tap.ok("the same port logs in again while a write hangs")
        tap.check(not_ready(again.command(bytes(6))) and not_ready(read(again, 9))
                  and not_ready(write(again, 9, 1)),
                  "NOT READY, 04/07, of what an old write can still reach")
        tap.check(well(again, write, 1, 7, 1)[0] == GOOD and holds(again, 1, 7, 1),
                  "the other volume is open to it")
        tap.check(not_ready(well(other, read, 9)) and write(other, 2, 8, 1)[0] == GOOD,
                  "the same by another port of that host")
        foreign = Initiator(daemon.portals[0], TARGET, 1, "iqn.2026-11.kura.test:other")
        tap.check(well(foreign, read, 9)[0] == GOOD, "another host is not concerned")
        tap.check(said(daemon, "a session is over, volumes keep its requests") == 1,
                  "the log says it once", daemon.log_tail())
        again.start(read10(0, BLOCKS), read=PIECE, lun=2)
        third = comes_again(daemon, 1, 3)
        tap.check(well(third, write, 0, 5, 2)[0] == GOOD and not_ready(read(third, 9)),
                  "a read that hangs holds up nobody, the write still does")
        third.start(read10(0, BLOCKS), read=PIECE, lun=2)
        tap.check(logged_out(third) == 0, "a logout with a read that hangs is answered")
    finally:
        daemon.terminate()
        code = daemon.process.wait(60)
        tap.check(code == 1, "it stops, and says that something was left", str(code))
        daemon.process = None
        daemon.cleanup()


def test_comes_back():
    """The old write comes to its end: the volume is there again."""
    slow = volume("slow", [("delay", "ms=4000 op=write")])
    with kurad.Kurad(config(slow, volume("well"))) as daemon:
        a = log_in(daemon, 1, 2)
        a.start(write10(0, BLOCKS), write=b"\x11" * PIECE)
        a.command(bytes(6))
        again = comes_again(daemon, 1, 2)
        answers = [read(again, 0)]
        while not_ready(answers[-1]):
            time.sleep(0.05)
            answers.append(read(again, 0))
        tap.check(answers[-1] == (GOOD, None, b"\x11" * PIECE),
                  "once it is over the port reads what it wrote", str(answers[-1][:2]))
        tap.note(f"NOT READY {len(answers) - 1} times")
        tap.check(write(again, 0, 0x22)[0] == GOOD and holds(again, 0, 0x22), "and writes")
        again.close()


def test_waits_in_vain():
    """A session that does not end, with a sanitize operation that hangs: who wants its place and
    does not get it leaves nothing."""
    hangs = volume("hangs", [("delay", "ms=600000 op=write")])
    daemon = kurad.Kurad(kurad.one_target(TARGET, [hangs], loops=2, login_seconds=1)).start()
    try:
        kura = Tool(daemon)
        a = log_in(daemon, 1, 1)
        a.start(bytes([0x48, 0x01, 0, 0, 0, 0, 0, 0, 8, 0]), write=bytes([1, 0, 0, 4, 0, 0, 0, 0]))
        while a.command(bytes(6))[1] != (2, 0x04, 0x1B):  # SANITIZE IN PROGRESS
            pass
        time.sleep(0.5 * SLOW)  # until its first write is at the volume
        for _ in range(3):
            try:
                Initiator(daemon.portals[0], TARGET, 1)
                tap.check(False, "the port is taken")
            except Lost:
                pass
        end = time.monotonic() + 10
        seen = kura.json("status")
        while (seen["sessions"], seen["connections"]) != (1, 1) and time.monotonic() < end:
            time.sleep(0.05)
            seen = kura.json("status")
        tap.check((seen["sessions"], seen["connections"]) == (1, 1),
                  "of those who waited for a session that hangs nothing is left", str(seen))
    finally:
        daemon.terminate()
        daemon.process.wait(60)
        daemon.process = None
        daemon.cleanup()


def test_rate():
    """No more than the limit says, by the clock that began before the first request."""
    with kurad.Kurad(config(volume("disk", limit={"iops": 400, "burst_ms": 100}))) as daemon:
        a = log_in(daemon, 1, 1)
        began, done = time.monotonic(), 0
        out = [a.start(read10(i, 1), read=512) for i in range(16)]
        while done < 800:
            if a.finish(out.pop(0))[0] != GOOD:
                break
            done += 1
            out.append(a.start(read10(done % 64, 1), read=512))
        elapsed = time.monotonic() - began
        tap.check(done == 800 and done <= 400 * (elapsed + 0.1) + 1, "a rate that is limited is not exceeded",
                  f"{done} in {elapsed}")
        tap.note(f"{done / elapsed:.0f} a second where 400 are allowed")
        for itt in out:
            a.finish(itt)
        a.close()


class Reader(threading.Thread):
    """Reads with so many commands under way until told to stop."""

    def __init__(self, session, depth):
        super().__init__(daemon=True)
        self.session, self.depth, self.done, self.stop = session, depth, 0, False

    def run(self):
        out = [self.session.start(read10(i, 1), read=512) for i in range(self.depth)]
        while out:
            self.done += self.session.finish(out.pop(0))[0] == GOOD
            if not self.stop:
                out.append(self.session.start(read10(self.done % 64, 1), read=512))


def test_share():
    """Two sessions, each on a loop of its own, one of which wants all that there is."""
    with kurad.Kurad(config(volume("disk", limit={"iops": 400}))) as daemon:
        greedy, modest = (Reader(log_in(daemon, 1 + i, 1), 32 - 31 * i) for i in range(2))
        greedy.start()
        modest.start()
        while greedy.done + modest.done < 800 and greedy.is_alive() and modest.is_alive():
            time.sleep(0.02)
        greedy.stop = modest.stop = True
        greedy.join()
        modest.join()
        tap.check(modest.done * 5 > greedy.done, "one that asks for much does not starve another",
                  f"{greedy.done} {modest.done}")
        tap.note(f"32 at once got {greedy.done}, one after the other {modest.done}")
        greedy.session.close()
        modest.session.close()


# --- a place of one's own -----------------------------------------------------------------------


def mounted(folder, size):
    os.mkdir(folder)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "kura-test", folder], check=True)
    return folder


def main():
    small = volume("disk", path="@SCRATCH@/small/disk.img")
    daemon = kurad.Kurad(config(small, volume("other")))
    mounted(daemon.path("small"), "2M")
    try:
        daemon.start()
        test_full(daemon)
        test_cut_short(daemon)
        test_quota(daemon)
        test_in_use(daemon)
        daemon.end()
    finally:
        subprocess.run(["umount", "-l", daemon.path("small")], check=False)
        daemon.cleanup()
    folder = kurad.scratch_folder()
    place = mounted(os.path.join(folder, "ro"), "16M")
    try:
        test_read_only_below(place)
    finally:
        subprocess.run(["umount", "-l", place], check=False)
        os.rmdir(place)
        os.rmdir(folder)
    test_failures()
    test_hang()
    test_comes_again()
    test_comes_back()
    test_waits_in_vain()
    test_rate()
    test_share()
    return tap.done()


def enter():
    """Runs again where mounts are seen by nobody else."""
    probe = subprocess.run(["unshare", "-m", "mount", "-t", "tmpfs", "none", "/mnt"], check=False,
                           capture_output=True)
    if probe.returncode:
        print("1..0 # SKIP no mount namespace of one's own: be root")
        return 0
    os.environ[INSIDE] = "1"
    os.execvp("unshare", ["unshare", "-m", "--propagation", "private", sys.executable, __file__])
    return 1


if __name__ == "__main__":
    if not kurad.have_binary():
        print("1..0 # SKIP no kurad")
        sys.exit(0)
    sys.exit(main() if os.environ.get(INSIDE) else enter())
