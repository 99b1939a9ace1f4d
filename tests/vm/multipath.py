# SPDX-License-Identifier: Apache-2.0
"""Two ways to one LUN under multipathd: one is cut while fio writes and verifies, comes back, and
then the other is cut."""

import re
import time

import forward
import machine
from initiator import Initiator

TARGET = "iqn.2026-11.kura.test:ways"
SIZE = 48 << 20
CONFIG = r"""defaults {
	user_friendly_names yes
	find_multipaths no
	polling_interval 1
	max_polling_interval 2
	path_checker tur
	checker_timeout 5
	path_grouping_policy multibus
	path_selector "round-robin 0"
	prio alua
	failback immediate
	no_path_retry 60
	fast_io_fail_tmo 2
	dev_loss_tmo 600
	skip_kpartx yes
}
"""
FIO = ("fio --name=v --filename={disk} --direct=1 --ioengine=libaio --iodepth=8 --rw=randwrite "
       "--bsrange=4k-32k --size=16M --rate=,2M --verify=crc32c --do_verify=1 --verify_fatal=1 "
       "--verify_async=1 --randseed={seed} --output-format=terse --terse-version=3")


def settings():
    volume = {"name": "ways", "store": "file", "path": "@SCRATCH@/ways.img", "size": SIZE}
    target = {"name": TARGET, "luns": [{"lun": 0, "volume": "ways"}],
              "initiators": [{"name": "*"}]}
    return [volume], [target]


class Paths:
    """multipathd of one machine and the ways to its disk."""

    def __init__(self, scene):
        self.scene = scene
        self.begin = time.monotonic()
        self.guest = scene.guest
        self.ways = [forward.Way(portal) for portal in scene.daemon.portals]
        self.initiators = [Initiator(scene.guest, TARGET, w.port) for w in self.ways]
        self.disk = None

    def prepare(self):
        """udevd, which multipathd asks about disks, and multipathd's configuration."""
        self.guest.must("mkdir -p /lib/systemd /etc/udev /etc/multipath && "
                        "ln -s /bin/udevadm /lib/systemd/systemd-udevd && "
                        "/lib/systemd/systemd-udevd --daemon && udevadm control --ping")
        self.guest.must("echo '" + CONFIG.replace("\n", "~") + "' | tr '~' '\\n' "
                        ">/etc/multipath.conf")

    def login(self):
        for initiator in self.initiators:
            initiator.new_node()
            initiator.update({"node.session.timeo.replacement_timeout": "2"})
            initiator.node("--login")
        return self.initiators[0].disks_of(0, 2)

    def start(self):
        self.guest.must("udevadm settle --timeout=30; multipathd")
        self.until(lambda: self.states().count("active") == 2, "two active paths")
        self.disk = "/dev/" + self.guest.must("ls /sys/block | grep ^dm-").split()[0]

    def note(self, what):
        self.scene.tap.note(f"{time.monotonic() - self.begin:.1f} s: {what}")

    def show(self, what):
        return self.guest.run(f"multipathd show {what}")[1]

    def states(self):
        """The kernel's states of the paths."""
        return self.show("paths raw format '%t'").split()

    def until(self, true, what):
        end = time.monotonic() + machine.COMMAND_SECONDS
        while not true():
            if time.monotonic() > end:
                raise machine.MachineFailed(
                    f"never: {what}\n{self.show('topology')}\n{self.show('paths')}\n"
                    + self.guest.run("dmesg | tail -20")[1] + self.scene.daemon.log_tail(10))
            time.sleep(0.3)

    def end(self):
        for way in self.ways:
            way.cut()


def _under_fio(paths, cut, seed):
    """Cuts a way while fio is in the middle. Whether it was, and what fio said in the end."""
    guest = paths.guest
    sectors = f"cat /sys/block/{paths.disk[5:]}/stat"
    before = int(guest.must(sectors).split()[6])
    guest.must(f"({FIO.format(disk=paths.disk, seed=seed)} >/tmp/fio 2>&1; "
               "echo $? >/tmp/fio.status) &")
    paths.until(lambda: int(guest.must(sectors).split()[6]) > before + 4096, "fio writes")
    paths.ways[cut].cut()
    paths.until(lambda: sorted(paths.states()) == ["active", "failed"], "one path fails")
    going = guest.run("[ -e /tmp/fio.status ]")[0] != 0
    text = guest.must("while [ ! -e /tmp/fio.status ]; do usleep 200000; done; "
                      "cat /tmp/fio; rm /tmp/fio.status", 3 * machine.COMMAND_SECONDS)
    return going, text


def lose_and_find(scene, paths):
    tap = scene.tap
    for cut, seed in ((0, 11), (1, 12)):
        name = ("first", "second")[cut]
        going, text = _under_fio(paths, cut, seed)
        paths.note(f"fio without the {name} portal is over")
        last = text.strip().splitlines()[-1].split(";")
        tap.check(going, f"the {name} portal goes away in the middle of fio", text)
        tap.check(len(last) > 5 and last[4] == "0", f"fio verifies without the {name} portal", text)
        paths.ways[cut].open()
        paths.until(lambda: paths.states() == ["active"] * 2, "the path is back")
        tap.ok(f"the path by the {name} portal comes back")
        paths.note("it is back")
    text = scene.guest.must("dmesg -c")
    bad = [line for line in text.splitlines() if "error" in line and "dm-" in line]
    tap.check(not bad, "the kernel saw no error of the multipath device", "\n".join(bad))


def play(scene):
    paths = Paths(scene)
    try:
        paths.prepare()
        disks = paths.login()
        scene.tap.check(len(disks) == 2, "a disk by each of two portals", f"{disks}")
        paths.note("two disks")
        paths.start()
        paths.note("one device of them")
        text = paths.show("topology")
        scene.tap.check("KURA" in text and "hwhandler='1 alua'" in text,
                        "multipathd makes one device of them", text)
        groups = scene.guest.must(" ; ".join(f"sg_vpd -p di {d}" for d in disks))
        ports = set(re.findall(r"Relative target port: (\w+)", groups))
        scene.tap.check(len(ports) == 2, "they are two target ports", groups)
        lose_and_find(scene, paths)
        scene.guest.must("multipathd shutdown; sleep 1; multipath -F || dmsetup remove_all")
        for initiator in paths.initiators:
            initiator.logout()
        scene.tap.check(not scene.guest.run("ls /sys/block | grep ^dm-")[1].strip() and
                        not paths.initiators[0].disks(), "everything goes away in order")
    finally:
        paths.end()
