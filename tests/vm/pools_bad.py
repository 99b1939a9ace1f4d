# SPDX-License-Identifier: Apache-2.0
"""A device below a volume has a bad day, by device-mapper: every request fails, only writes fail, none
comes back. open-iscsi of the same machine is told what the standards say, another volume of the same
session never notices, the log has one line of each, and it all goes on without a restart."""

from pools_story import LOG, PORT, STATE, UNTIL, Box

TARGET = "iqn.2026-11.kura.test:bad"
SECTORS = (32 << 20) // 512
CONF = f"""portals = ( {{ address = "127.0.0.1"; port = {PORT}; }} );
volumes = ( {{ name = "bad"; store = "block"; path = "/dev/mapper/bad"; }},
  {{ name = "well"; store = "file"; path = "/tmp/well.img"; size = "16M"; }} );
targets = ( {{ name = "{TARGET}"; initiators = ( {{ name = "*"; }} );
  luns = ( {{ lun = 0; volume = "bad"; }}, {{ lun = 1; volume = "well"; }} ); }} );
"""
LINEAR = f"0 {SECTORS} linear /dev/vg/raw 0"
BROKEN = f"0 {SECTORS} error"
NO_WRITES = f"0 {SECTORS} flakey /dev/vg/raw 0 0 3600 1 error_writes"
NODE = f"iscsiadm -m node -T {TARGET} -p 127.0.0.1:{PORT}"
# The kernel gives up a command, and each step of its error handling, soon.
PATIENCE = {"abort_timeout": 3, "lu_reset_timeout": 3, "tgt_reset_timeout": 3}
READ, WRITE = "sg_raw -r 4096 {} 28 00 00 00 00 00 00 00 08 00", \
    "sg_raw -s 4096 -i /dev/zero {} 2a 00 00 00 00 00 00 00 08 00"


class Bad(Box):
    """kurad with a volume on a device that can be changed under it, and one that is well."""

    def begin_with(self):
        guest = self.guest
        for line in CONF.splitlines():
            guest.must(f"echo '{line}' >>/etc/bad.conf")
        guest.must(f"mv /etc/bad.conf /etc/story.conf; mkdir -p {STATE}; : >{LOG}; "
                   "pidof iscsid >/dev/null || iscsid")
        guest.surely("lvcreate -y -Zn -Wn -L 32m -n raw vg")
        guest.surely(f"dmsetup create bad --table '{LINEAR}'")
        self.start()
        guest.must(f"{NODE} -o new")
        for name, value in PATIENCE.items():
            guest.must(f"{NODE} -o update -n node.session.err_timeo.{name} -v {value}")
        guest.must(f"{NODE} --login")
        guest.must(UNTIL.format("[ -b /dev/sdb ]", 100))

    def becomes(self, table):
        """The device has another table; what is under way is given back by it first."""
        self.guest.surely(f"dmsetup suspend --nolockfs bad && dmsetup load bad --table '{table}' && "
                          "dmsetup resume bad")

    def sense(self, command, disk="/dev/sda"):
        """What a command ended with, in sg3_utils' words."""
        status, text = self.guest.run(command.format(disk))
        return f"{status} {text}"

    def fine(self, command, disk="/dev/sda"):
        return self.guest.run(command.format(disk))[0] == 0

    def well(self, name):
        """The other volume takes what is written and gives it back."""
        status, text = self.guest.run(
            "dd if=/dev/urandom of=/tmp/some bs=64k count=4 2>/dev/null; "
            "dd if=/tmp/some of=/dev/sdb bs=64k oflag=direct 2>/dev/null && "
            "dd if=/dev/sdb of=/tmp/back bs=64k count=4 iflag=direct 2>/dev/null && "
            "cmp /tmp/some /tmp/back")
        self.check(status == 0, name, text)

    def lines(self, text):
        return self.guest.must(f"grep -c '{text}' {LOG}; true").strip()


def _error(box):
    """Every request fails."""
    box.becomes(BROKEN)
    text = box.sense(READ)
    box.check("Medium Error" in text and "Unrecovered read error" in text,
              "a device that cannot read: MEDIUM ERROR, 11/00", text)
    text = box.sense(WRITE)
    box.check("Medium Error" in text and "Write error" in text,
              "one that cannot write: MEDIUM ERROR, 0C/00", text)
    box.sense(READ)
    box.well("the other volume never noticed")
    box.check(box.lines("medium error volume=bad") == "1", "the log says it once")
    box.becomes(LINEAR)
    box.check(box.fine(READ) and box.fine(WRITE), "the device is well again, and so is the volume")


def _flakey(box):
    """Only writes fail."""
    box.becomes(NO_WRITES)
    text = box.sense(WRITE)
    box.check("Medium Error" in text and "Write error" in text and box.fine(READ),
              "a device that takes no writes can be read", text)
    box.becomes(LINEAR)
    box.check(box.fine(WRITE), "and written when it is well again")


def _hang(box):
    """No request comes back, until it does."""
    guest = box.guest
    guest.surely("dmsetup suspend --noflush --nolockfs bad")
    guest.must("dd if=/dev/urandom of=/tmp/late bs=4k count=1 2>/dev/null; rm -f /tmp/late.status; "
               "(dd if=/tmp/late of=/dev/sda bs=4k oflag=direct 2>/dev/null; "
               "echo $? >/tmp/late.status) &")
    box.well("a device hangs: the other volume goes on")
    box.check(box.ask("status")["sessions"] == 1, "and kurad answers")
    guest.surely("dmsetup resume bad")
    guest.must(UNTIL.format("[ -s /tmp/late.status ]", 100))
    text = guest.must("cat /tmp/late.status")
    box.check(text.strip() == "0" and box.fine("cmp -n 4096 /tmp/late {}"),
              "it answers again: the write was only late", text)


def _give_up(box):
    """Linux gives up: abort, resets, and a new session of the same initiator port."""
    guest = box.guest
    before = int(box.lines("session established"))
    guest.must("echo 2 >/sys/block/sda/device/timeout")
    guest.surely("dmsetup suspend --noflush --nolockfs bad")
    guest.must("rm -f /tmp/late.status; (dd if=/dev/zero of=/dev/sda bs=4k count=1 oflag=direct "
               "2>/dev/null; echo $? >/tmp/late.status) &")
    guest.must(UNTIL.format(f"[ $(grep -c 'session established' {LOG}) -gt {before} ]", 600))
    box.check(box.lines("volumes keep its requests") != "0",
              "the initiator port logs in again, although the device keeps its write")
    guest.must(UNTIL.format("[ -s /tmp/late.status ]", 600))
    guest.must("for d in sda sdb; do echo running >/sys/block/$d/device/state; done")
    box.well("the other volume is open to it")
    text = box.sense(READ)
    box.check("Not Ready" in text, "the one with the old write is not ready", text)
    guest.surely("dmsetup resume bad")
    guest.must(UNTIL.format(READ.format("/dev/sda") + " >/dev/null 2>&1", 100))
    box.check(box.fine(WRITE), "until that has come back")


def play(tap, guest):
    box = Bad(tap, guest)
    box.begin_with()
    for part in (_error, _flakey, _hang, _give_up):
        part(box)
        box.note(part.__name__)
    guest.must(f"{NODE} --logout")
    box.stop()
    # the rings of a process that has ended hold its files a moment longer
    guest.surely(UNTIL.format("dmsetup remove bad 2>/dev/null", 50) + "; lvremove -y vg/raw")
