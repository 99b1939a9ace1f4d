#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A pool that moves from one box to another: kura pool import brings its volumes with their
identities, reservations that are to last, and what units have saved. And a reservation is on disk in
the pool before its initiator has an answer, whenever kurad dies."""

import os
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import inquiry  # noqa: E402
import kurad  # noqa: E402
import tapout  # noqa: E402
import tool  # noqa: E402
from guest import wait_for  # noqa: E402
from initiator import CONFLICT, GOOD, Initiator, Lost, read10, write10  # noqa: E402

TARGET = "iqn.2026-11.kura.test:moves"
EMPTY = kurad.config_text({"portals": [{"address": "127.0.0.1", "port": 0}], "loops": 2})
REGISTER, RESERVE, REGISTER_IGNORE, APTPL = 0, 1, 6, 1
EXCLUSIVE_RO = 6
SLOW = float(os.environ.get("KURA_TEST_SLOW", "1"))
tap = tapout.Tap()


def must(box, line):
    return tool.Tool(box).json(line)


def serve(box):
    must(box, f"share vm1 --to iqn.2026-11.kura.test:* --target {TARGET}")


def enter(box, isid):
    session = Initiator(box.portals[0], TARGET, isid)
    session.settle()
    return session


def leave(box, *sessions):
    """The sessions end, and the box has noticed: their target is in use by nobody."""
    for session in sessions:
        session.close()
    tap.check(wait_for(lambda: must(box, "session list")["sessions"] == []), "who left is gone")


def who(box):
    """What libiscsi is told of the unit: its serial number and its designators."""
    if not inquiry.have_library():
        return must(box, "volume show vm1")["uuid"]
    disk = inquiry.Disk(box.address, TARGET, 0)
    return disk.serial, disk.designators


def save_swp(session):
    """The control mode page with SWP, saved (SPC-4 6.9, 7.5.8): its status."""
    _, _, page = session.command(bytes((0x1A, 0x08, 0x0A, 0, 64, 0)), 64)
    page = bytearray(page)
    page[0] = page[2] = 0
    page[4] &= 0x7F  # PS
    page[8] |= 0x08
    return session.command(bytes((0x15, 0x11, 0, 0, len(page), 0)), write=bytes(page))[0]


def kept(pool, folder="reservations"):
    try:
        return sorted(os.listdir(os.path.join(pool, ".kura:with", folder)))
    except FileNotFoundError:
        return []


def fill(box, pool):
    """A volume with data, two registrations, a reservation and a saved mode page."""
    must(box, f"pool add p --kind dir --path {pool}")
    must(box, "volume create vm1 --size 8M")
    must(box, "volume create vm2 --size 8M")
    serve(box)
    a, b = enter(box, 1), enter(box, 2)
    a.command(write10(7, 1), write=b"k" * 512)
    tap.check(not kept(pool), "nothing is kept as long as nothing has to last")
    tap.check(a.reserve_out(REGISTER, 0, 0xA, flags=APTPL)[0] == GOOD
              and b.reserve_out(REGISTER, 0, 0xB, flags=APTPL)[0] == GOOD
              and a.reserve_out(RESERVE, 0xA, kind=EXCLUSIVE_RO)[0] == GOOD, "it is reserved")
    status = save_swp(a)
    tap.check(status == GOOD and len(kept(pool, "units")) == 1, "a mode page is saved", str(status))
    tap.check(len(kept(pool)) == 2 and not os.path.isdir(box.path("state/reservations")),
              "what has to last is in the pool, and nowhere else", str(kept(pool)))
    leave(box, a, b)


def found(box, name, identity, data):
    """The volume is on this box as it was on the other one."""
    tap.check(who(box) == identity, f"{name}: designators and serial number are the same")
    a, b, c = enter(box, 1), enter(box, 2), enter(box, 3)
    generation, keys = a.keys()
    tap.check((generation, keys) == (0, [0xA, 0xB]), f"{name}: both are registered; "
              "PRGENERATION counts from 0 again (SPC-4 6.15.2)", f"{generation} {keys}")
    tap.check(c.reservation() == (EXCLUSIVE_RO, 0xA), f"{name}: it is reserved",
              str(c.reservation()))
    tap.check(c.command(read10(7, 1), 512)[0] == CONFLICT, f"{name}: the reservation holds")
    status, _, got = a.command(read10(7, 1), 512)
    tap.check(status == GOOD and got == data, f"{name}: who has it reads what was written")
    tap.check(a.command(write10(0, 1), write=bytes(512))[1] == (7, 0x27, 0x02),
              f"{name}: the saved mode page holds (SWP)")
    for session in (a, b, c):
        session.close()


def test_move():
    with kurad.Kurad(EMPTY) as one, kurad.Kurad(EMPTY) as two:
        pool = one.path("pool")
        fill(one, pool)
        identity = who(one)
        uuid = must(one, "volume show vm1")["uuid"]
        one.process.send_signal(signal.SIGKILL)  # as by a power loss
        one.process.wait()
        moved = two.path("moved")
        os.rename(pool, moved)
        answer = must(two, f"pool import p --kind dir --path {moved}")
        tap.check(answer["volumes"] == 2, "both volumes come along", str(answer))
        answer = must(two, f"pool import p --kind dir --path {moved} --if-not-exists")
        tap.check(answer["volumes"] == 0 and not answer["changed"], "once more: nothing to do",
                  str(answer))
        tap.check(must(two, "volume show vm1")["uuid"] == uuid, "the UUID is the same")
        serve(two)
        found(two, "moved", identity, b"k" * 512)
        shown = must(two, "reservation show vm1")
        tap.check([r["key"] for r in shown["registrants"]] ==
                  ["0x000000000000000a", "0x000000000000000b"] and shown["aptpl"],
                  "reservation show says so", str(shown))
        one.process = None  # it was killed on purpose

        two.restart()
        found(two, "after a restart there", identity, b"k" * 512)
        must(two, f"target delete {TARGET} --force")
        must(two, "volume delete vm1 --yes")
        tap.check(not kept(moved) and not kept(moved, "units"),
                  "what was kept goes with the volume", str(kept(moved)))


def test_back():
    """There and back again: what the first box knew before does not count any more."""
    with kurad.Kurad(EMPTY) as one, kurad.Kurad(EMPTY) as two:
        pool = one.path("pool")
        fill(one, pool)
        must(one, f"target delete {TARGET}")
        must(one, "volume forget vm1"), must(one, "volume forget vm2")
        must(one, "pool remove p")
        must(two, f"pool import p --kind dir --path {pool}")
        serve(two)
        b = enter(two, 2)
        tap.check(b.reserve_out(3, 0xB)[0] == GOOD, "on the other box one clears it")
        leave(two, b)
        must(two, f"target delete {TARGET}")
        must(two, "volume forget vm1"), must(two, "volume forget vm2")
        must(two, "pool remove p")
        must(one, f"pool import p --kind dir --path {pool}")
        serve(one)
        a = enter(one, 1)
        tap.check(a.keys()[1] == [] and not a.reservation(), "back at the first it is clear")
        a.close()


def test_joins():
    """A file volume becomes one of a pool: what was kept in the state directory moves there."""
    volume = {"name": "vm1", "store": "file", "path": "@SCRATCH@/pool/vm1", "size": "8M"}
    pools = [{"name": "p", "kind": "dir", "path": "@SCRATCH@/pool"}]
    box = kurad.Kurad(kurad.one_target(TARGET, [volume]))
    os.mkdir(box.path("pool"))
    with box:
        a = enter(box, 1)
        tap.check(a.reserve_out(REGISTER, 0, 0xA, flags=APTPL)[0] == GOOD
                  and len(os.listdir(box.path("state/reservations"))) == 1,
                  "a volume without a pool: in the state directory")
        a.close()
        box.text = kurad.one_target(TARGET, [{"name": "vm1", "pool": "p"}], pools=pools)
        box.restart()
        a = enter(box, 1)
        tap.check(a.keys()[1] == [0xA], "in a pool it is registered as before", str(a.keys()))
        tap.check(len(kept(box.path("pool"))) == 1
                  and not os.listdir(box.path("state/reservations")), "and that moved there",
                  str(kept(box.path("pool"))))
        a.close()


# --- kurad dies while it saves ------------------------------------------------------------------


def die_at(point, keys):
    """kurad dies in the second registration; the next one finds `keys`. No answer was given."""
    volume = {"name": "vm1", "pool": "p"}
    pools = [{"name": "p", "kind": "dir", "path": "@SCRATCH@/pool"}]
    text = kurad.one_target(TARGET, [volume], pools=pools)
    box = kurad.Kurad(text, env={"KURA_FAULT": f"{point}:2"})
    os.mkdir(box.path("pool"))
    with open(box.path("pool/vm1"), "wb") as f:
        f.truncate(8 << 20)
    with box:
        a = enter(box, 1)
        tap.check(a.reserve_out(REGISTER, 0, 0xA, flags=APTPL)[0] == GOOD, f"{point}: the first")
        try:
            status = a.reserve_out(REGISTER_IGNORE, 0, 0xB, flags=APTPL)[0]
        except (Lost, OSError):
            status = None
        box.process.wait(20 * SLOW)
        tap.check(status is None, f"{point}: the second gets no answer", str(status))
        del box.env["KURA_FAULT"]
        box.start()
        a = enter(box, 1)
        tap.check(a.keys()[1] == keys, f"{point}: what is there then is whole", str(a.keys()))
        tap.check(a.reserve_out(REGISTER_IGNORE, 0, 0xC, flags=APTPL)[0] == GOOD,
                  f"{point}: and it goes on")
        tap.check(len(kept(box.path("pool"))) == 2, f"{point}: nothing else is left",
                  str(kept(box.path("pool"))))
        a.close()


def test_refused():
    """The step fails: the command does, and nothing has changed."""
    volume = {"name": "vm1", "pool": "p"}
    pools = [{"name": "p", "kind": "dir", "path": "@SCRATCH@/pool"}]
    box = kurad.Kurad(kurad.one_target(TARGET, [volume], pools=pools),
                      env={"KURA_FAULT": "reservation_written=fail:2"})
    os.mkdir(box.path("pool"))
    with open(box.path("pool/vm1"), "wb") as f:
        f.truncate(8 << 20)
    with box:
        a = enter(box, 1)
        a.reserve_out(REGISTER, 0, 0xA, flags=APTPL)
        status, sense = a.reserve_out(REGISTER_IGNORE, 0, 0xB, flags=APTPL)
        tap.check(sense == (4, 0x44, 0x00), "what cannot be saved is refused", f"{status} {sense}")
        tap.check(a.keys()[1] == [0xA], "and has not happened", str(a.keys()))
        a.close()


for test in (test_move, test_back, test_joins):
    test()
die_at("reservation_written", [0xA])
die_at("reservation_replaced", [0xB])
test_refused()
sys.exit(tap.done())
