#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A pool passes its low-water mark: one line in the log, a unit attention for every initiator, and
what kura and Prometheus show of it. The pool is a directory in a mount of its own."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import kurad  # noqa: E402
import tapout  # noqa: E402
import tool  # noqa: E402
from initiator import CHECK, GOOD, Initiator  # noqa: E402

TARGET = "iqn.2026-11.kura.test:level"
MIB = 1 << 20
SHORT = (6, 0x38, 0x07)
SLOW = float(os.environ.get("KURA_TEST_SLOW", "1"))
LOG_SENSE = bytes([0x4D, 0, 0x40 | 0x0C, 0, 0, 0, 0, 0, 255, 0])
tap = tapout.Tap()


def config(mark):
    pools = [{"name": name, "kind": "dir", "path": f"@SCRATCH@/{name}", "low_water": mark}
             for name in ("p", "q")]
    volumes = [{"name": "v", "pool": "p"}, {"name": "fixed", "pool": "p", "thin": False},
               {"name": "w", "pool": "q"}]
    return kurad.one_target(TARGET, volumes, pools=pools, loops=2)


def within(ask, seconds=60):
    """The first answer that is something, or the last one."""
    end = time.monotonic() + seconds * SLOW
    answer = ask()
    while not answer and time.monotonic() < end:
        time.sleep(0.05)
        answer = ask()
    return answer


def lines(k, text):
    return [line for line in k.log().splitlines() if text in line]


def fill(k, megabytes):
    with open(f"/proc/{k.process.pid}/root{k.path('p')}/ballast", "wb") as f:
        f.write(bytes(megabytes * MIB))


def metric(kura, name, pool):
    found = re.search(rf'^kura_{name}{{pool="{pool}"}} (\S+)$', kura("metrics").out, re.M)
    return float(found[1]) if found else None


def ready(host, luns=3):
    """What TEST UNIT READY says by LUN."""
    return [host.command(bytes(6), lun=lun)[:2] for lun in range(luns)]


def provisioning(host, lun=0):
    """LOG SENSE, page 0Ch: {parameter code: (count of resources, scope)}."""
    status, _, data = host.command(LOG_SENSE, read=255, lun=lun)
    found, at = {}, 4
    while status == GOOD and at < len(data):
        code, length = int.from_bytes(data[at:at + 2], "big"), data[at + 3]
        found[code] = (int.from_bytes(data[at + 4:at + 8], "big"), data[at + 8] & 3)
        at += 4 + length
    return found


def check_before(k, kura, host):
    within(lambda: metric(kura, "pool_used_ratio", "q") is not None)
    one = kura.json("pool show p")
    tap.check(one["low_water"] == 70 and not one["low"] and one["used_percent"] < 70,
              "kura pool show has the mark, and what is used", str(one))
    tap.check(metric(kura, "pool_low", "p") == 0 and metric(kura, "pool_size_bytes", "p") == 16 * MIB
              and metric(kura, "pool_metadata_size_bytes", "p") is None, "so do the metrics",
              kura("metrics").out[-3000:])
    tap.check(ready(host) == [(GOOD, None)] * 3 and not lines(k, "room is short"),
              "nobody is warned", k.log_tail())


def watch_units(k, kura, hosts):
    """What each LUN says to each initiator."""
    fill(k, 12)
    first = within(lambda: [a for a in [hosts[0].command(bytes(6))[:2]] if a[0] == CHECK])
    tap.check(first == [(CHECK, SHORT)], "38/07: the soft threshold is reached", str(first))
    second = within(lambda: [a for a in [hosts[1].command(bytes(6))[:2]] if a[0] == CHECK])
    tap.check(second == [(CHECK, SHORT)], "the other initiator, on another loop, too", str(second))
    for host in hosts:
        tap.check(ready(host) == [(GOOD, None)] * 3,
                  "once; not at LUNs that are not thin, or in another pool")
    count, scope = provisioning(hosts[0]).get(1, (0, 0))
    free = kura.json("pool show p")["free"] // 512
    tap.check(0 < count == free and scope == 2,
              "LOG SENSE says what the pool has left, and that others share it",
              f"{count} {scope} {free}")


def rearm(k, hosts):
    """Below the mark it is armed again; the next time, however soon, is told as the first."""
    fill(k, 1)
    tap.check(within(lambda: lines(k, "room is not short any more")), "below the mark: told once",
              k.log_tail())
    fill(k, 13)
    tap.check(within(lambda: len(lines(k, "room is short")) == 2), "beyond it again: one more line",
              k.log_tail())
    tap.check(len(lines(k, "not short any more")) == 1, "and no more than that")
    for host in hosts:
        again = within(lambda h=host: [a for a in [h.command(bytes(6))[:2]] if a[0] == CHECK])
        tap.check(again == [(CHECK, SHORT)], "and 38/07, within a minute of the first", str(again))


def another_mark(k, kura):
    """Marks change while the pool is open."""
    conf = k.path("kura.conf")
    with open(conf, encoding="utf-8") as f:
        text = f.read()
    with open(conf, "w", encoding="utf-8") as f:
        f.write(text.replace("low_water = 70", "low_water = 95"))
    done = kura("apply")
    tap.check(done.code == 0 and "other marks" in done.out, "kura apply takes another mark", str(done))
    tap.check(within(lambda: len(lines(k, "not short any more")) == 2), "which holds at once",
              k.log_tail())
    tap.check(kura.json("pool show p")["low_water"] == 95, "and is shown")


def make(k):
    for name in ("p", "q"):
        os.mkdir(k.path(name))
    k.wrap = ["unshare", "-m", "--propagation", "private", "sh", "-c",
              f"for d in p q; do mount -t tmpfs -o size=16M none {k.scratch}/$d && "
              f"for v in v fixed w; do truncate -s 32M {k.scratch}/$d/$v; done; done; exec \"$@\"",
              "sh"]


def play():
    k = kurad.Kurad(config(70))
    make(k)
    with k:
        kura = tool.Tool(k)
        hosts = [Initiator(k.portals[0], TARGET, i) for i in (1, 2)]
        for host in hosts:
            for lun in range(3):
                while host.command(bytes(6), lun=lun)[0] != GOOD:
                    pass
        check_before(k, kura, hosts[0])
        watch_units(k, kura, hosts)
        tap.check(len(lines(k, "room is short")) == 1, "one line in the log", k.log_tail())
        line = (lines(k, "room is short") or [""])[0]
        tap.check("pool=p" in line and "mark=70%" in line and re.search(r"used=(7[5-9]|8\d)%", line)
                  and "do=" in line, "which pool, how full, and what to do", line)
        shown(kura)
        rearm(k, hosts)
        another_mark(k, kura)
        for host in hosts:
            host.close()


def shown(kura):
    tap.check(metric(kura, "pool_low", "p") == 1 and metric(kura, "pool_low", "q") == 0,
              "the metrics show which pool it is")
    tap.check(kura.json("pool show p")["low"] and not kura.json("pool show q")["low"],
              "so does kura pool show")
    stats = kura.json("stats")
    tap.check(stats["counters"]["pool_low_water"] == 1 and
              {p["pool"]: p["low"] for p in stats["pools"]} == {"p": True, "q": False},
              "and kura stats", str(stats.get("pools")))
    wrong = [tool.fits(kura("help --schema").json()[verb]["result"], kura.json(line))
             for verb, line in (("pool show", "pool show p"), ("pool list", "pool list"),
                                ("stats", "stats"))]
    tap.check(not any(wrong), "they answer by their schemas", str(wrong))
    if shutil.which("promtool"):
        done = subprocess.run(["promtool", "check", "metrics"], input=kura("metrics").out, text=True,
                              capture_output=True, check=False)
        tap.check(done.returncode == 0 and not done.stdout + done.stderr, "promtool finds nothing",
                  done.stdout + done.stderr)
    else:
        tap.skip("promtool finds nothing", "promtool is not here")


def main():
    probe = subprocess.run(["unshare", "-m", "true"], check=False, capture_output=True)
    signal.alarm(int(240 * SLOW))
    if probe.returncode:
        tap.skip("a pool that fills up", "no mount namespaces here")
    else:
        play()
    return tap.done()


sys.exit(main())
