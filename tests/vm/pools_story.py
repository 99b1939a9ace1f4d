# SPDX-License-Identifier: Apache-2.0
"""The life of volumes of LVM by the verbs of kura: made, shared, formatted by open-iscsi of the same
machine, grown under fio, snapshotted under writes, cloned; a thin pool that becomes full, is
extended, and gets its extents back; and what guests write on volumes stays theirs."""

import json
import os
import re
import shlex
import time

import kurad
from machine import COMMAND_SECONDS, MachineFailed

MIB = 1 << 20
PORT = 3261
SOCKET = "/run/story.sock"
STATE = "/var/lib/kura-story"
LOG = "/tmp/story.log"
CONF = f'portals = ( {{ address = "127.0.0.1"; port = {PORT}; }} );'
POOLS = {"thick": "--kind lvm --vg vg", "thin": "--kind lvm-thin --vg vg --thin-pool st"}
THIN_MIB = 96
# Waits until a command succeeds.
UNTIL = "i=0; while ! {0} && [ $i -lt {1} ]; do usleep 100000; i=$((i + 1)); done; {0}"
VERIFY = ("fio --name=v --filename=/mnt/v --direct=1 --ioengine=libaio --iodepth=8 --rw=randwrite "
          "--bsrange=4k-32k --size=24M --rate=,4M --verify=crc32c --do_verify=1 --verify_fatal=1 "
          "--randseed=7 --output-format=terse --terse-version=3")
# Each latency with its time, in a log: which of them are of a snapshot is seen afterwards.
RANDOM = ("fio --name=r --filename={0} --direct=1 --ioengine=libaio --iodepth=32 --rw=randwrite "
          "--bs=4k --size=16M --time_based --runtime=60 --write_lat_log=/tmp/lat "
          "--log_unix_epoch=1 --output=/tmp/fio.random")
# The longest in ms in front of the snapshot ("alone"), and while it was made.
LONGEST = ("awk -F', *' -v a={0} -v b={1} '{{ t = int($1 / 1000); v = $2 / 1000000; "
           "if (t < a) {{ if (v > alone) alone = v }} else if (t <= b && v > made) made = v; n++ }} "
           "END {{ print n, alone, made }}' /tmp/lat_lat.1.log")


class Box:
    """kurad in the machine, and its verbs."""

    def __init__(self, tap, guest):
        self.tap = tap
        self.guest = guest
        self.begin = time.monotonic()

    def start(self):
        self.guest.surely(
            f"/kura/kurad -c /etc/story.conf -s {STATE} -C {SOCKET} >>{LOG} 2>&1 & "
            "usleep 100000; " + UNTIL.format(f"/kura/kura -S {SOCKET} status >/dev/null 2>&1", 200)
            + f" || {{ tail -5 {LOG}; false; }}")

    def stop(self):
        self.guest.surely(f"p=$(pidof kurad); kill $p; i=0; while [ -d /proc/$p ] && "
                          "[ $i -lt 200 ]; do usleep 100000; i=$((i + 1)); done; ! [ -d /proc/$p ]")

    def verb(self, words):
        """(exit status, what was said)."""
        return self.guest.kura(f"/kura/kura -S {SOCKET} -y {words}")

    def ask(self, words):
        """The answer of a verb that has to succeed."""
        status, text = self.verb(f"--json {words} 2>/tmp/why; s=$?; [ $s = 0 ] || cat /tmp/why; "
                                 "exit $s")
        if status:
            raise MachineFailed(f"kura {words}: {status}\n{text}" + self.log())
        return json.loads(text)

    def log(self):
        return self.guest.must(f"tail -15 {LOG}")

    def said(self, text):
        """Whether the log has it, in a while."""
        return not self.guest.run(UNTIL.format(f"grep -q {shlex.quote(text)} {LOG}", 50))[0]

    def check(self, fine, name, text=""):
        return self.tap.check(fine, name, f"{text}\n" + ("" if fine else self.log()))

    def refused(self, words, text, name):
        status, said = self.verb(words)
        self.check(status != 0 and text in said, name, f"{status} {said}")

    def note(self, text):
        self.tap.note(f"{time.monotonic() - self.begin:.0f} s: {text}")


class Disk:
    """A volume that is shared, as the machine's own open-iscsi has it."""

    def __init__(self, box, volume, more=""):
        self.guest = box.guest
        self.target = box.ask(f"share {volume} --to iqn.2026-11.kura.test:pools {more}")["target"]
        self.node = f"iscsiadm -m node -T {self.target} -p 127.0.0.1:{PORT}"
        self.path = None
        self.guest.must(f"{self.node} -o new")
        self.login()

    def login(self):
        self.guest.must(f"{self.node} --login")
        end = time.monotonic() + COMMAND_SECONDS
        while time.monotonic() < end:
            text = self.guest.must("iscsiadm -m session -P 3")
            part = text.partition(f"Target: {self.target} ")[2].partition("Target: ")[0]
            found = re.search(r"Attached scsi disk (sd\w+)\s+State: running", part)
            if found and not self.guest.run(f"[ -b /dev/{found[1]} ]")[0]:
                self.path = "/dev/" + found[1]
                return self
            time.sleep(0.1)
        raise MachineFailed(f"no disk of {self.target}\n{text}")

    def logout(self):
        self.guest.must(f"{self.node} --logout")

    def size(self):
        return int(self.guest.must(f"cat /sys/block/{self.path[5:]}/size")) * 512


# --- made, shared, grown ----------------------------------------------------------------------


def _first(box):
    """Pools and volumes out of an empty configuration."""
    guest = box.guest
    guest.must(f"mkdir -p {STATE}; echo {shlex.quote(CONF)} >/etc/story.conf; "
               "pidof iscsid >/dev/null || iscsid")
    guest.surely(f"lvcreate -y --type thin-pool -L {THIN_MIB}m -n st vg")
    box.start()
    for pool, words in POOLS.items():
        box.ask(f"pool add {pool} {words}")
        can = box.ask(f"pool show {pool}")["can"]
        box.check("snapshot" in can and ("thin" in can) == (pool == "thin"),
                  f"pool {pool} is added, and says what it can", f"{can}")
    made = [box.ask(f"volume create {pool}1 --size 64M --pool {pool}") for pool in POOLS]
    listed = {v["volume"]: v for v in box.ask("volume list")["volumes"]}
    box.check(all(listed[v["volume"]]["size"] == v["size"] == 64 * MIB for v in made),
              "a volume is made in each", f"{listed}")
    tags = guest.surely("lvs --noheadings -o lv_tags vg/thick1 vg/thin1")
    box.check(all(v["uuid"] in tags for v in listed.values()),
              "their identities are tags of the logical volumes", tags + str(listed))


def _grow(box, disk):
    """Twice as large while fio writes what it verifies."""
    guest = box.guest
    guest.must(f"mkfs.ext4 -q {disk.path} && mount -t ext4 {disk.path} /mnt && dmesg -c >/dev/null")
    guest.must(f"({VERIFY} >/tmp/fio 2>&1; echo $? >/tmp/fio.status) & "
               + UNTIL.format("[ -s /mnt/v ]", 600))
    box.ask("volume grow thin1 +64M")
    text = guest.must(UNTIL.format("{ dmesg | grep -q 'Capacity data has changed'; }", 100)
                      + "; dmesg")
    guest.must(f"echo 1 >/sys/block/{disk.path[5:]}/device/rescan")
    going = guest.run("[ -e /tmp/fio.status ]")[0] != 0
    box.check(going and "Capacity data has changed" in text and disk.size() == 128 * MIB,
              "a volume grows under fio, and the initiator is told (2A/09)",
              f"{going} {disk.size()} {text}")
    guest.must(f"resize2fs {disk.path}")
    text = guest.must(UNTIL.format("[ -e /tmp/fio.status ]", 1800) + "; cat /tmp/fio; df -k /mnt",
                      3 * COMMAND_SECONDS)
    last = re.search(r"^3;fio.*$", text, re.MULTILINE)
    blocks = int(text.split()[-5])
    box.check(last and last[0].split(";")[4] == "0", "fio has verified all of it", text)
    box.check(blocks * 1024 > 100 * MIB, "the filesystem has the new room", text)


# --- snapshots --------------------------------------------------------------------------------


def _files(guest):
    """Files whose sums are known, and a writer that goes on."""
    guest.must("rm -f /mnt/v; mkdir /mnt/d && cd /mnt/d && for i in 1 2 3 4; do dd if=/dev/urandom "
               "of=f$i bs=1M count=1 2>/dev/null; done && sha256sum f* >SUMS && sync; "
               "rm -f /tmp/enough; (while [ ! -e /tmp/enough ]; do dd if=/dev/zero of=/mnt/busy "
               "bs=64k count=32 conv=fsync 2>/dev/null; done; touch /tmp/over) >/dev/null 2>&1 &")


def _clone(box):
    """A clone of a snapshot that was taken under writes, mounted as another LUN."""
    guest = box.guest
    _files(guest)
    box.ask("volume snapshot thin1 thin1-s")
    guest.must("touch /tmp/enough; " + UNTIL.format("[ -e /tmp/over ]", 200))
    made = box.ask("volume clone thin1-s copy")
    box.check(made["size"] == 128 * MIB, "a snapshot is cloned", f"{made}")
    disk = Disk(box, "copy")
    status, text = guest.run(f"mkdir -p /c && mount -t ext4 {disk.path} /c && cd /c/d && "
                             f"sha256sum -c SUMS && cd / && umount /c && e2fsck -fn {disk.path}")
    box.check(status == 0, "the clone mounts, has the files, and fsck finds it clean", text)
    disk.logout()


TRACE = ("mkdir -p /trace; [ -d /trace/events ] || mount -t tracefs trace /trace; cd /trace && "
         "echo dm_suspend dm_resume >set_ftrace_filter && echo function >current_tracer && "
         "echo >trace")


def _suspended(text):
    """The longest time in ms in which LVM had a device suspended, by the kernel's trace."""
    longest, depth, begin = 0.0, 0, 0.0
    for when, what in re.findall(r"lvcreate-\d+ .* ([\d.]+): dm_(suspend|resume) ", text):
        if what == "suspend" and depth == 0:
            begin = float(when)
        depth += 1 if what == "suspend" else -1
        if depth == 0:
            longest = max(longest, float(when) - begin)
    return longest * 1000


def _stall(box, disk, volume):
    """The longest write around a snapshot at queue depth 32. An emulated processor runs the
    commands of LVM besides, and so that is the worst that there is; how long the kernel held
    writes back is what a snapshot itself costs."""
    guest = box.guest
    guest.must(TRACE)
    guest.must(f"rm -f /tmp/lat_*; ({RANDOM.format(disk.path)} >/dev/null 2>&1) & sleep 8")
    begin = int(guest.must("date +%s"))
    box.ask(f"volume snapshot {volume} stall")
    end = int(guest.must("date +%s; sleep 2; kill -INT $(pidof fio); true"))
    guest.must(UNTIL.format('[ -z "$(pidof fio)" ]', 300))
    held = _suspended(guest.must("cat /trace/trace; echo nop >/trace/current_tracer"))
    count, alone, made = guest.must(LONGEST.format(begin, end)).split()
    box.check(int(count) > 100 and float(made) > 0 and held > 0,
              f"{volume}: writes go on around a snapshot", f"{count} {alone} {made} {held}")
    box.note(f"{volume}: a snapshot held writes for {held:.0f} ms; the longest write was "
             f"{float(made):.0f} ms while it was made, {float(alone):.0f} ms before, of {count}")
    box.ask("volume delete stall --yes")


# --- full, and room again ---------------------------------------------------------------------


def _used(guest):
    return float(guest.surely("lvs --noheadings -o data_percent vg/st").strip())


def _full(box):
    """A writer that waits when there is no space, as hypervisors let a guest wait."""
    guest = box.guest
    box.ask("volume create big --size 256M --pool thin")
    disk = Disk(box, "big")
    guest.must(f"dd if=/dev/urandom of=/tmp/r bs=1M count={THIN_MIB - 16} 2>/dev/null; dmesg -c >/dev/null; "
               "rm -f /tmp/paused /tmp/finished")
    guest.must("(i=0; while [ $i -lt 80 ]; do until dd if=/tmp/r of=" + disk.path + " bs=1M "
               "skip=$i seek=$i count=1 oflag=direct conv=notrunc 2>/tmp/paused.why; do "
               "cat /tmp/paused.why >>/tmp/paused; usleep 300000; done; i=$((i + 1)); done; "
               "touch /tmp/finished) >/dev/null 2>&1 &")
    text = guest.must(UNTIL.format("[ -s /tmp/paused ]", 600) + "; cat /tmp/paused; dmesg",
                      2 * COMMAND_SECONDS)
    box.check("No space left" in text and "Space allocation failed write protect" in text,
              "a full thin pool: writes fail by DATA PROTECT, 27/07, and the writer waits", text)
    box.check(box.said("pool: full"), "kurad says so")
    state = box.ask("pool show thin")["state"]
    box.check(state == "full", "and so does pool show", state)
    text = guest.must(f"dd if={disk.path} of=/dev/null bs=1M count=8 iflag=direct 2>&1")
    box.check("8+0 records out" in text, "reads go on", text)
    guest.surely("lvextend -L 192m vg/st")
    guest.must(UNTIL.format("[ -e /tmp/finished ]", 900), 2 * COMMAND_SECONDS)
    status, text = guest.run("echo 3 >/proc/sys/vm/drop_caches; cmp -n 83886080 /tmp/r "
                             + disk.path)
    box.check(status == 0, "after it was extended the writer finishes, and all is there", text)
    box.check(box.said("room again"), "kurad says that there is room again")
    return disk


def _discard(box, disk):
    guest = box.guest
    before = _used(guest)
    guest.must(f"blkdiscard {disk.path}; rm -r /mnt/d /mnt/busy; sync; fstrim /mnt; sync")
    after = _used(guest)
    box.check(after < before - 30, "discard and fstrim give the extents back",
              f"{before}% {after}%")
    box.note(f"data of the thin pool: {before}%, then {after}%")
    disk.logout()
    box.refused("volume delete big --yes", "mapped", "a volume that is mapped is not deleted")
    box.ask("volume delete big --yes --force")


# --- volumes of guests ------------------------------------------------------------------------

FILTER = 'r|^/dev/vg/|", "r|^/dev/mapper/vg-|'
GUEST_LVM = "--config 'devices { global_filter=[ \"a|^/dev/sd|\", \"r|.*|\" ] }'"
LOOKS = "looks into logical volumes"


def _shipped():
    """The patterns of contrib/lvm/kura.conf, for the group "vg"."""
    with open(os.path.join(kurad.ROOT, "contrib", "lvm", "kura.conf"), encoding="ascii") as f:
        found = re.search(r"^\tglobal_filter = (\[.*\])$", f.read(), re.MULTILINE)
    return found[1].replace("vg0", "vg")


def _settings(guest, scan, patterns):
    """LVM's settings on the box."""
    guest.must(f"sed -i -e 's/scan_lvs = ./scan_lvs = {scan}/' -e "
               f"'s#global_filter = .*#global_filter = {patterns} }}#' /etc/lvm/lvm.conf")


def _findings(box):
    status, text = box.verb("check")
    return status, text


def _hands_off(box, disk):
    """A volume group that a guest makes on its disk is nothing to the box."""
    guest = box.guest
    guest.must("cp /etc/lvm/lvm.conf /tmp/lvm.conf")
    guest.surely(f"pvcreate {GUEST_LVM} {disk.path} && vgcreate {GUEST_LVM} theirs {disk.path} && "
                 f"lvcreate {GUEST_LVM} -y -l 4 -n root theirs && vgchange {GUEST_LVM} -an theirs")
    disk.logout()
    box.ask("volume forget thick1 --force")  # nobody has it open any more: LVM could
    text = _findings(box)[1]
    box.check(LOOKS not in text, "with scan_lvs = 0 kura check has nothing to say", text)
    text = guest.surely("vgs; vgchange -ay; lvs")
    box.check("theirs" not in text, "and LVM of the box does not see a guest's group", text)
    _settings(guest, 1, _shipped())
    text = guest.surely("vgs; vgchange -ay; lvs")
    box.check("theirs" not in text and LOOKS not in _findings(box)[1],
              "nor with scan_lvs = 1 and the filter that kura ships", text)
    for patterns in ('[ "a|.*|" ]', _shipped().replace(" ]", ', "a|.*|" ]')):
        _settings(guest, 1, patterns)
        status, text = _findings(box)
        seen = guest.surely("vgs")
        box.check("theirs" in seen and LOOKS in text,
                  f"LVM sees it with {patterns}, and kura check knows", seen + text)
    box.check(status != 0 and LOOKS in text and FILTER in text and "scan_lvs = 0" in text,
              "and kura check says what to do", f"{status} {text}")
    guest.must(f": >{LOG}")
    box.stop()
    box.start()
    box.check(box.said("pool: this box may look into its volumes") and box.said("scan_lvs = 0"),
              "so does the log of the next start")
    guest.must("cp /tmp/lvm.conf /etc/lvm/lvm.conf")
    box.ask("volume adopt thick1 --pool thick")


# --- the other verbs --------------------------------------------------------------------------


def _bytes(guest, volume):
    return guest.surely(f"lvchange -ay -K vg/{volume}; dd if=/dev/vg/{volume} bs=1M count=1 "
                        "iflag=direct 2>/dev/null | sha256sum").split()[0]


def _has_snapshots(box, volume):
    """A snapshot of classic LVM goes with its origin, and keeps it as large as it is."""
    box.refused(f"volume grow {volume} +8M", "delete its snapshots first",
                "thick: a volume with snapshots does not grow")
    box.refused(f"volume delete {volume} --yes --force", "delete these first",
                "thick: a volume with snapshots is not deleted")
    names = [v["volume"] for v in box.ask("volume list")["volumes"]]
    box.check(volume in names, "thick: and stays as it was", f"{names}")
    box.refused(f"volume snapshot {volume} snapshot1", "are reserved. Please choose a different LV",
                "thick: names that LVM keeps for itself are refused")


def _verbs(box, pool):
    """The short ones, on a volume that nobody uses."""
    guest = box.guest
    volume = f"{pool}2"
    box.ask(f"volume create {volume} --size 16M --pool {pool}")
    uuid = box.ask(f"volume show {volume}")["uuid"]
    guest.surely(f"dd if=/dev/urandom of=/dev/vg/{volume} bs=1M count=2 oflag=direct")
    first = _bytes(guest, volume)
    box.ask(f"volume snapshot {volume} back")
    guest.surely(f"dd if=/dev/zero of=/dev/vg/{volume} bs=1M count=2 oflag=direct")
    if pool == "thick":
        _has_snapshots(box, volume)
    box.ask(f"volume revert {volume} back")
    box.check(_bytes(guest, volume) == first, f"{pool}: a volume is reverted to its snapshot")
    box.ask(f"volume clone {volume} {pool}3")
    box.check(_bytes(guest, f"{pool}3") == first, f"{pool}: and cloned")
    box.ask(f"volume rename {volume} {pool}4")
    box.ask(f"volume forget {pool}4")
    box.ask(f"volume adopt {pool}4 --pool {pool}")
    shown = box.ask(f"volume show {pool}4")
    box.check(shown["uuid"] == uuid and _bytes(guest, f"{pool}4") == first,
              f"{pool}: renamed, forgotten and adopted it is what it was", f"{shown}")
    box.ask(f"volume shrink {pool}4 8M --force")
    box.ask(f"volume export {pool}4 --file /tmp/{pool}.img --format raw --replace")
    text = guest.must(f"ls -l /tmp/{pool}.img; dd if=/tmp/{pool}.img bs=1M count=1 2>/dev/null | "
                      f"sha256sum; rm /tmp/{pool}.img")
    box.check(first in text and str(8 * MIB) in text, f"{pool}: shrunk and exported", text)
    for words in (f"{pool}4 --wipe", f"{pool}3"):
        box.ask(f"volume delete {words} --yes")
    left = guest.surely("lvs --noheadings -o lv_name vg")
    box.check(not re.search(rf"{pool}[234]\b", left), f"{pool}: deleted they are gone", left)


def _foreign(box):
    """A logical volume that somebody else has made."""
    make = {"thick": "-L 8m", "thin": "-V 8m --thinpool st"}
    for pool, how in make.items():
        box.guest.surely(f"lvcreate -y -Wy {how} -n {pool}-old vg" if pool == "thick" else
                         f"lvcreate -y {how} -n {pool}-old vg")
        other = "thin" if pool == "thick" else "thick"
        box.refused(f"volume adopt {pool}-old --pool {other}", "adopt it by the pool",
                    f"{pool}: a logical volume of another pool is not adopted")
        box.ask(f"volume adopt {pool}-old --pool {pool}")
        uuid = box.ask(f"volume show {pool}-old")["uuid"]
        tags = box.guest.surely(f"lvs --noheadings -o lv_tags vg/{pool}-old")
        box.check(uuid in tags, f"{pool}: one of somebody else is adopted", tags)
        box.ask(f"volume delete {pool}-old --yes")


def _block(box):
    """A pool that is one disk, which LVM would look at."""
    box.ask("pool add disk --kind block --path /dev/vdd")
    made = box.ask("volume adopt disk --pool disk")
    box.check(made["volume"] == "disk", "a disk is a volume", f"{made}")
    disk = Disk(box, "disk")
    status, text = box.guest.run(
        f"dd if=/dev/urandom of=/tmp/r bs=1M count=2 2>/dev/null; dd if=/tmp/r of={disk.path} "
        f"bs=1M oflag=direct 2>/dev/null; cmp -n 2097152 /tmp/r {disk.path}")
    box.check(status == 0, "it is served", text)
    text = _findings(box)[1]
    box.check("LVM on this box looks at /dev/vdd" in text, "kura check says that LVM looks at it",
              text)
    disk.logout()
    box.refused("volume delete disk --yes --force", "cannot delete", "a disk is not deleted")
    box.ask("volume forget disk --force")
    box.ask("pool remove disk")


def _images(box):
    """A volume that is mapped goes out as an image and comes back into the other pool."""
    box.ask("volume export copy --file /tmp/copy.qcow2")
    box.ask("volume import back --file /tmp/copy.qcow2 --pool thick")
    status, text = box.guest.kura("cmp /dev/vg/copy /dev/vg/back && rm /tmp/copy.qcow2")
    left = box.guest.surely("lvs --noheadings -o lv_name vg")
    box.check(status == 0 and "export" not in left,
              "a volume is exported, imported into the other pool, and equal", text + left)


def _end(box):
    for volume in box.ask("volume list")["volumes"]:
        box.ask(f"volume delete {volume['volume']} --yes --force")
    for pool in POOLS:
        rest = box.ask(f"volume list --all --pool {pool}")["volumes"]
        for volume in rest:
            box.ask(f"volume delete {volume['volume']} --yes --pool {pool}")
        box.ask(f"pool remove {pool}")
    left = box.guest.surely("lvs --noheadings -o lv_name,pool_lv vg")
    box.check(not re.search(r"thick|thin|copy|big| st$", left),
              "in the end there is nothing of all this in the group", left)
    box.stop()
    box.guest.surely("lvremove -y vg/st")


def play(tap, guest):
    box = Box(tap, guest)
    _first(box)
    box.note("pools and volumes")
    thin = Disk(box, "thin1")
    _grow(box, thin)
    box.note("grown")
    _clone(box)
    box.note("cloned")
    big = _full(box)
    box.note("full, and room again")
    _discard(box, big)
    guest.must("umount /mnt")
    _stall(box, thin, "thin1")
    thin.logout()
    thick = Disk(box, "thick1")
    _stall(box, thick, "thick1")
    _hands_off(box, thick)
    box.note("hands off")
    for pool in POOLS:
        _verbs(box, pool)
    _foreign(box)
    _images(box)
    box.note("verbs")
    _block(box)
    _end(box)
    box.note("over")
