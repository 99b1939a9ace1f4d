# SPDX-License-Identifier: Apache-2.0
"""A thin pool that fills up: past its low-water mark the log says so once, and open-iscsi of the same
machine is told; by policy it is extended from its volume group, data and metadata, until there is no
room left, which is told once."""

import re
import shlex

from pools_story import LOG, PORT, STATE, UNTIL, Box, Disk

MIB = 1 << 20
POOL = '{{ name = "low"; kind = "lvm-thin"; vg = "vg"; thin_pool = "low"; low_water = 80;{0} }}'
CONF = f'portals = ( {{{{ address = "127.0.0.1"; port = {PORT}; }}}} ); pools = ( {POOL} );'
SHORT, EXTENDED, STUCK = "pool: room is short", "pool: extended", "pool: cannot be extended"


class Thin(Box):
    """A box with a thin pool of 64 MiB."""

    def begin_with(self):
        self.marks("")
        self.guest.must(f"mkdir -p {STATE}; : >{LOG}; pidof iscsid >/dev/null || iscsid")
        self.guest.surely("lvcreate -y --type thin-pool -L 64m --poolmetadatasize 4m -n low vg")
        self.start()
        self.ask("volume create filled --size 256M --pool low")
        return Disk(self, "filled")

    def marks(self, more):
        self.guest.must(f"echo {shlex.quote(CONF.format(more))} >/etc/story.conf")

    def other_marks(self, more):
        self.marks(more)
        text = self.verb("apply")
        self.check(text[0] == 0 and "other marks" in text[1], "other marks hold at once", f"{text}")

    def lines(self, text):
        found = self.guest.must(f"grep {shlex.quote(text)} {LOG}; true")
        return [line for line in found.splitlines() if text in line]

    def has(self, field):
        """Bytes, as LVM says."""
        return int(float(self.guest.surely(f"lvs --noheadings --nosuffix --units b -o {field} vg/low")))

    def settled(self):
        """kurad has looked at the pool twice more, which near a mark takes it a second each."""
        self.guest.must("sleep 3")


def _write(box, disk, at, count):
    box.guest.must(f"dd if=/dev/urandom of={disk.path} bs=1M seek={at} count={count} oflag=direct "
                   "conv=notrunc 2>&1")


def _left(guest):
    """Blocks of 512 bytes that device-mapper says the pool has left."""
    status = guest.surely("dmsetup status vg-low-tpool").split()
    chunk = int(guest.surely("dmsetup table vg-low-tpool").split()[5])
    used, size = (int(n) for n in status[5].split("/"))
    return (size - used) * chunk, used * chunk


def _short(box, disk):
    guest = box.guest
    shown = box.ask("pool show low")
    box.check(not shown["low"] and shown["low_water"] == 80 and shown["used_percent"] < 10
              and shown["meta_used_percent"] < 80, "a thin pool has room", f"{shown}")
    guest.must("dmesg -c >/dev/null")
    _write(box, disk, 0, 54)
    box.check(box.said(SHORT), "past the low-water mark kurad says that room is short")
    text = guest.must(UNTIL.format("{ dd if=" + disk.path + " of=/dev/null bs=4k count=1 iflag=direct "
                                   "2>/dev/null; dmesg | grep -q 'soft threshold'; }", 100)
                      + "; dmesg")
    box.settled()
    box.check(text.count("soft threshold") == 1, "the initiator is told: 38/07", text)
    lines = box.lines(SHORT)
    box.check(len(lines) == 1 and "pool=low of=data" in lines[0] and "mark=80%" in lines[0]
              and "lvextend" in lines[0], "by one line: which pool, how full, what to do", f"{lines}")
    text = guest.must(f"sg_logs -p 0xc {disk.path}")
    found = [int(n) for n in re.findall(r"[Rr]esource count: *(\d+)", text)]
    box.check(found == list(_left(guest)), "LOG SENSE tells what the pool has left, and what is used",
              f"{found} {_left(guest)} {text}")
    shown = box.ask("pool show low")
    text = guest.must("/kura/kura -S /run/story.sock metrics | grep '^kura_pool'")
    box.check(shown["low"] and 'kura_pool_low{pool="low"} 1' in text
              and re.search(r'kura_pool_used_ratio{pool="low"} 0\.8[45]', text)
              and re.search(r'kura_pool_metadata_used_ratio{pool="low"} 0\.1', text),
              "pool show and the metrics have it", f"{shown} {text}")
    text = box.verb("check")[1]
    box.check(re.search(r"8[0-9] percent of its room", text), "so has kura check", text)


def _extended(box):
    box.other_marks(' extend_at = 60; extend_by = "32M";')
    box.check(box.said(EXTENDED), "a policy is given: the pool is extended")
    box.settled()
    box.check(box.has("lv_size") == 96 * MIB, "by one step, as lvs sees it", f"{box.has('lv_size')}")
    lines = box.lines(EXTENDED)
    box.check(len(lines) == 1 and "before=67108864" in lines[0] and "bytes=100663296" in lines[0],
              "which is one line", f"{lines}")
    box.check(len(box.lines("not short any more")) == 1 and not box.ask("pool show low")["low"],
              "and room is not short any more")


def _no_room(box, disk):
    """The group has 16 MiB left, which are less than a step."""
    guest = box.guest
    free = int(float(guest.surely("vgs --noheadings --nosuffix --units m -o vg_free vg")))
    guest.surely(f"lvcreate -y -an -Zn -L {free - 16}m -n ballast vg")
    _write(box, disk, 54, 30)
    box.check(box.said(STUCK), "the volume group has no room left: kurad says so")
    box.check(box.has("lv_size") == 112 * MIB, "after it has given what it had",
              f"{box.has('lv_size')}")
    _write(box, disk, 84, 10)
    guest.must(UNTIL.format(f"[ $(grep -c '{SHORT}' {LOG}) -ge 2 ]", 100))
    box.settled()
    lines = box.lines(STUCK)
    box.check(len(lines) == 1 and "volume group vg has no room" in lines[0], "once, and what to do",
              f"{lines}")
    box.check(len(box.lines(SHORT)) == 2, "and then that room is short again, by one line",
              f"{box.lines(SHORT)}")
    guest.surely("lvremove -y vg/ballast")


def _metadata(box):
    """Data may not grow; metadata is past its mark: devices that LVM does not know of take it."""
    before = box.has("lv_metadata_size")
    box.guest.surely("i=1000; while [ $i -lt 1220 ]; do dmsetup message vg-low-tpool 0 "
                     "\"create_thin $i\" || break; i=$((i + 1)); done")
    box.other_marks(' extend_at = 25; extend_max = "64M";')
    box.check(box.said("of=metadata"), "metadata past the mark is extended")
    box.settled()
    after = box.has("lv_metadata_size")
    box.check(after == before + 4 * MIB and box.has("lv_size") == 112 * MIB,
              "as lvs sees it; data is not, beyond extend_max", f"{before} {after}")


def play(tap, guest):
    box = Thin(tap, guest)
    disk = box.begin_with()
    _short(box, disk)
    _extended(box)
    _no_room(box, disk)
    _metadata(box)
    disk.logout()
    box.ask("volume delete filled --yes --force")
    box.stop()
    guest.surely("lvremove -y vg/low")
    box.note("levels")
