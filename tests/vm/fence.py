# SPDX-License-Identifier: Apache-2.0
"""Two machines share a disk and fence each other as fence_scsi does: keys are registered, a
reservation of type 5 (write exclusive, registrants only) is held, the victim is preempted."""

import re

from initiator import Initiator

KEYS = {"one": "0xa0001", "two": "0xa0002"}
CONFLICT = 24  # the exit status by which sg3-utils tell a reservation conflict
WRITE = "dd if=/dev/urandom of={} bs=4096 seek=1000 count=4 oflag=direct 2>&1"


class Node:
    """One member of the cluster."""

    def __init__(self, guest, disk):
        self.guest = guest
        self.disk = disk
        self.key = KEYS[guest.name]

    def persist(self, what):
        return self.guest.run(f"sg_persist -n {what} -d {self.disk}")

    def keys(self):
        return re.findall(r"^\s+(0x[0-9a-f]+)$", self.persist("-i -k")[1], re.MULTILINE)

    def register(self, more=""):
        return self.persist(f"-o -I -S {self.key} {more}")[0] == 0

    def writes(self):
        return self.guest.run(WRITE.format(self.disk))

    def calm(self):
        """Takes what is waiting for this nexus to be told."""
        self.guest.run(f"sg_turs -n 3 {self.disk}")


def _join(scene, guest):
    initiator = Initiator(guest, scene.initiator.target, scene.daemon.port).start()
    initiator.new_node()
    return initiator, initiator.login(len(scene.disks))


def _unfence(tap, one, two):
    tap.check(one.register() and two.register(), "both register")
    tap.check(one.persist(f"-o -R -K {one.key} -T 5")[0] == 0, "one reserves")
    tap.check(sorted(one.keys()) == sorted(KEYS.values()) == sorted(two.keys()),
              "both see both keys", f"{one.keys()} {two.keys()}")
    text = two.persist("-i -r")[1]
    tap.check(one.key in text and "Write Exclusive, registrants only" in text,
              "the other sees the reservation", text)
    tap.check(one.writes()[0] == 0 and two.writes()[0] == 0, "both write")


def _fence(tap, one, two):
    """Fences two while it writes; everything that changes the disk is refused to it."""
    two.guest.must(f"(while {WRITE.format(two.disk)}; do :; done >/tmp/loop 2>&1; "
                   "echo over >/tmp/over) & sleep 0.3")
    status, text = one.persist(f"-o -A -K {one.key} -S {two.key} -T 5")
    tap.check(status == 0, "one preempts and aborts the other", text)
    status, text = two.guest.run("i=0; while [ ! -e /tmp/over ] && [ $i -lt 100 ]; do "
                                 "usleep 100000; i=$((i + 1)); done; cat /tmp/over")
    tap.check(status == 0, "its writes end", text)
    two.calm()
    status, text = two.writes()
    tap.check(status != 0, "it writes no more", text)
    status, text = two.guest.run("dmesg | tail -20")
    tap.check("reservation conflict" in text, "its kernel knows why", text)
    tap.check(two.keys() == [one.key], "its key is gone", f"{two.keys()}")
    _refused(tap, two)
    tap.check(two.guest.run(f"dd if={two.disk} of=/dev/null bs=4096 count=4 iflag=direct")[0] == 0,
              "it may read")
    tap.check(one.writes()[0] == 0, "the one that holds writes on")


def _refused(tap, node):
    for command in ("sg_unmap --force --lba=8 --num=8", "sg_write_same --16 --lba=8 --num=8",
                    "sg_write_same --16 --unmap --lba=8 --num=8", "sg_sync",
                    "sg_compare_and_write --in=/dev/zero --lba=0 --num=1"):
        status, text = node.guest.run(f"{command} {node.disk}")
        tap.check(status == CONFLICT, f"refused to a fenced machine: {command}",
                  f"exit status {status}\n{text}")


def _again(tap, one, two):
    tap.check(two.register(), "the fenced machine registers again")
    status, text = two.writes()
    tap.check(status == 0, "and writes again", text)
    text = one.persist("-i -s")[1]
    tap.check("iqn.2026-11.kura.test:two" in text and "iqn.2026-11.kura.test:one" in text,
              "READ FULL STATUS names both by their initiator names", text)


def _lasting(scene, initiator, one, two):
    """A registration is the initiator port's, and the port is the name with the ISID: Linux takes
    another ISID for each new login, and the same again when it recovers a session."""
    initiator.logout()
    two.disk = initiator.login(len(scene.disks))[0]
    scene.tap.check(two.writes()[0] != 0, "a login with another ISID is another nexus")
    scene.tap.check(two.register() and two.writes()[0] == 0, "it registers and writes")
    scene.tap.check(one.register("-Z"), "one registers to last (APTPL)")
    scene.kill_daemon()
    scene.daemon.start()
    for node in (one, two):
        node.guest.run(f"dd if={node.disk} of=/dev/null bs=4096 count=1 iflag=direct", 60)
        node.calm()
    text = two.persist("-i -r")[1]
    scene.tap.check(set(one.keys()) == set(KEYS.values()) and one.key in text,
                    "keys and reservation outlive a kurad that was killed",
                    f"{one.keys()}\n{text}\n{scene.daemon.log_tail(12)}")
    scene.tap.check(one.writes()[0] == 0 and two.writes()[0] == 0, "and both write on")


def _access(scene, one, two):
    """One port group goes to another state and back; the kernel of the other machine hears it."""
    state = f"cat /sys/block/{one.disk.rsplit('/', 1)[1]}/device/access_state"
    for option, name in (("--active", "active/non-optimized"), ("--standby", "standby"),
                         ("--optimized", "active/optimized")):
        two.calm()
        done, said = two.guest.run(f"sg_stpg {option} {two.disk}")
        one.calm()  # as multipathd's checker: the kernel asks again when it is told
        text = one.guest.run(f"sleep 0.5; {state}")[1]
        scene.tap.check(done == 0 and text.strip() == name,
                        f"sg_stpg {option} here, {name} there", said + text)


def _away(tap, one, two):
    status, text = two.persist(f"-o -C -K {two.key}")
    tap.check(status == 0 and not one.keys(), "CLEAR takes everything away", text)
    one.calm()
    two.calm()
    tap.check(one.writes()[0] == 0 and two.writes()[0] == 0, "and anybody writes")


def play(scene, guest):
    """scene.guest is the first machine; guest is the second, just started."""
    initiator, disks = _join(scene, guest.ready())
    one, two = Node(scene.guest, scene.disks[0]), Node(guest, disks[0])
    _unfence(scene.tap, one, two)
    _fence(scene.tap, one, two)
    _again(scene.tap, one, two)
    _lasting(scene, initiator, one, two)
    _access(scene, one, two)
    _away(scene.tap, one, two)
