#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a unit of a real kurad keeps over kill -9 and over a stop: saved mode parameters, and that a
sanitize operation did not end."""

import os
import signal
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import kurad  # noqa: E402
import tapout  # noqa: E402
from initiator import CHECK, GOOD, Initiator, write10  # noqa: E402

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


def main():
    volume = {"name": "disk", "store": "file", "path": "@SCRATCH@/disk.img", "size": "256M",
              "thin": True}
    targets = [{"name": TARGET, "luns": [{"lun": 0, "volume": "disk"}],
                "initiators": [{"name": "*"}]}]
    with kurad.Kurad(kurad.config([volume], targets, loops=2)) as daemon:
        test_modes(daemon)
        test_sanitize(daemon, crash, "kill -9")
        test_sanitize(daemon, lambda d: d.restart(), "a stop")
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
