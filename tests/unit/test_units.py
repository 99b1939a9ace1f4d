#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a unit of a real kurad keeps over kill -9 and over a stop: saved mode parameters, and that a
sanitize operation did not end; and what is left of a key that was destroyed: nothing."""

import os
import re
import signal
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import kurad  # noqa: E402
import tapout  # noqa: E402
from initiator import CHECK, GOOD, Initiator, read10, write10  # noqa: E402

TARGET = "iqn.2026-11.kura.test:units"
SLOW = float(os.environ.get("KURA_TEST_SLOW", "1"))
RUNNING, FAILED = (2, 0x04, 0x1B), (3, 0x31, 0x03)
PROTECTED = (7, 0x27, 0x02)
READY = bytes(6)
tap = tapout.Tap()


def log_in(daemon, isid=1):
    session = Initiator(daemon.portals[0], TARGET, isid)
    session.settle()
    return session


def crash(daemon):
    """kill -9 and a new life on the same state."""
    daemon.process.send_signal(signal.SIGKILL)
    daemon.process.wait()
    daemon.start()


def control_page(session, control=0):
    cdb = bytes([0x1A, 0x08, control << 6 | 0x0A, 0, 255, 0])
    return session.command(cdb, read=255)[2][4:16]


def protect(session, on, save):
    """MODE SELECT(6) of the control page with SWP."""
    page = bytearray(control_page(session))
    page[0] &= 0x3F
    page[4] = 0x08 if on else 0
    cdb = bytes([0x15, 0x10 | save, 0, 0, 16, 0])
    return session.command(cdb, write=bytes(4) + bytes(page))[0]


def protected(session):
    status, sense, _ = session.command(write10(0, 1), write=bytes(512))
    return status == CHECK and sense == PROTECTED


def test_modes(daemon):
    a, b = log_in(daemon, 1), log_in(daemon, 2)
    tap.check(protect(a, True, save=1) == GOOD and protected(a), "write protection is saved")
    told = b.settle()
    tap.check(told == [(0x2A, 0x01)], "the other session is told once", str(told))
    crash(daemon)
    a = log_in(daemon)
    tap.check(protected(a), "it holds after kill -9")
    tap.check(protect(a, False, save=0) == GOOD and not protected(a), "taken off, not saved")
    tap.check(control_page(a, 3)[4] == 0x08, "the saved value is still the old one")
    daemon.restart()
    a = log_in(daemon)
    tap.check(protected(a), "so it is back after a restart")
    tap.check(protect(a, False, save=1) == GOOD and not protected(a), "taken off for good")
    daemon.restart()
    tap.check(not protected(log_in(daemon)), "and it stays off")


def overwrite(session):
    """SANITIZE, OVERWRITE with zeros, IMMED."""
    return session.command(bytes([0x48, 0x81, 0, 0, 0, 0, 0, 0, 8, 0]),
                           write=bytes([1, 0, 0, 4, 0, 0, 0, 0]))[0]


def erase(session):
    """SANITIZE, BLOCK ERASE, and waits for the end."""
    status = session.command(bytes([0x48, 0x82, 0, 0, 0, 0, 0, 0, 0, 0]))[0]
    end = time.monotonic() + 30 * SLOW
    while status == GOOD and session.command(READY)[0] != GOOD:
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return status == GOOD


def test_sanitize(daemon, end, what):
    a = log_in(daemon)
    tap.check(overwrite(a) == GOOD and a.command(READY)[1] == RUNNING, "a sanitize begins")
    a.close()
    end(daemon)
    a = log_in(daemon)
    told = a.command(READY)[1]
    tap.check(told == FAILED, f"after {what} it has failed", str(told))
    tap.check(erase(a), "another one helps")
    end(daemon)
    tap.check(log_in(daemon).command(READY)[0] == GOOD, f"and {what} later, too")


def key_read(daemon):
    with open(daemon.path("disk.key"), "rb") as f:
        return f.read()


def mappings(pid):
    """(begin, end, whether a core dump has it) of the memory that the process may write."""
    begin = end = 0
    mode = ""
    with open(f"/proc/{pid}/smaps", encoding="ascii", errors="replace") as f:
        for line in f:
            head = re.match(r"([0-9a-f]+)-([0-9a-f]+) (\S+) ", line)
            if head:
                begin, end, mode = int(head[1], 16), int(head[2], 16), head[3]
            elif line.startswith("VmFlags:") and mode[1] == "w" and end - begin < 1 << 30:
                yield begin, end, " dd" not in line


def key_places(daemon, key):
    """How often a piece of the key is in the process: (where a core dump has it, elsewhere)."""
    pid, found = daemon.process.pid, [0, 0]
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as mem:
        for begin, end, dumped in mappings(pid):
            try:
                mem.seek(begin)
                memory = mem.read(end - begin)
            except OSError:
                continue
            found[0 if dumped else 1] += sum(memory.count(key[i:i + 16])
                                             for i in range(0, 64, 16))
    return tuple(found)


def crypto_erase(session, flags=0):
    """SANITIZE, CRYPTOGRAPHIC ERASE."""
    return session.command(bytes([0x48, 0x03 | flags, 0, 0, 0, 0, 0, 0, 0, 0]))[0]


def test_key(daemon):
    data = os.urandom(512)
    a = log_in(daemon)
    old = key_read(daemon)
    tap.check(a.command(write10(0, 1), write=data)[0] == GOOD and
              a.command(read10(0, 1), read=512)[2] == data, "an encrypted volume reads back")
    crash(daemon)
    a = log_in(daemon)
    tap.check(a.command(read10(0, 1), read=512)[2] == data, "after kill -9, too")
    dumped, hidden = key_places(daemon, old)
    tap.check(dumped == 0 and hidden >= 4, "the key is only where no core dump has it",
              f"{dumped} {hidden}")
    tap.check(crypto_erase(a) == GOOD, "a cryptographic erase")
    new = key_read(daemon)
    tap.check(new != old and len(new) == 64, "there is another key")
    tap.check(key_places(daemon, old) == (0, 0), "nothing of the old one is in memory",
              str(key_places(daemon, old)))
    status, _, found = a.command(read10(0, 1), read=512)
    tap.check(status == GOOD and found not in (data, bytes(512)), "what was written is lost")
    tap.check(a.command(read10(9, 1), read=512)[2] == bytes(512), "what was not is still zero")
    a.command(write10(0, 1), write=data)
    crash(daemon)
    a = log_in(daemon)
    tap.check(a.command(read10(0, 1), read=512)[2] == data, "the new key holds after kill -9")
    tap.check(old not in daemon.log().encode("utf-8", "surrogateescape") and
              old.hex() not in daemon.log() and new.hex() not in daemon.log(),
              "the log knows no key")


def test_key_killed(daemon, times):
    """kill -9 on the way: done, or failed until another one ends well; never half a key."""
    for n in range(times):
        a = log_in(daemon)
        crypto_erase(a, flags=0x80)
        time.sleep(0.0007 * n)
        crash(daemon)
        a = log_in(daemon)
        told = a.command(READY)[1]
        tap.check(told in (FAILED, None) and len(key_read(daemon)) == 64,
                  f"killed {n}: the unit is whole or says that it failed", str(told))
        tap.check(crypto_erase(a) == GOOD and a.command(READY)[0] == GOOD,
                  f"killed {n}: another one helps")


def keyed(volume):
    """The same with the crypt layer."""
    return {**volume, "layers": [{"kind": "crypt", "options": "key=@SCRATCH@/disk.key"}]}


def main():
    volume = {"name": "disk", "store": "file", "path": "@SCRATCH@/disk.img", "size": "256M",
              "thin": True}
    targets = [{"name": TARGET, "luns": [{"lun": 0, "volume": "disk"}],
                "initiators": [{"name": "*"}]}]
    # stop_seconds: sessions of ours are still there at a stop, and log out for nobody
    with kurad.Kurad(kurad.config([volume], targets, loops=2, stop_seconds=1)) as daemon:
        test_modes(daemon)
        test_sanitize(daemon, crash, "kill -9")
        test_sanitize(daemon, lambda d: d.restart(), "a stop")
    daemon = kurad.Kurad(kurad.config([keyed(volume)], targets, loops=2, stop_seconds=1))
    with open(os.open(daemon.path("disk.key"), os.O_WRONLY | os.O_CREAT, 0o600), "wb") as f:
        f.write(os.urandom(64))
    with daemon:
        test_key(daemon)
        test_key_killed(daemon, 6)
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
