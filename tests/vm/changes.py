# SPDX-License-Identifier: Apache-2.0
"""Everything that an administrator changes while guests work: volumes grow, LUNs, portals, hosts and
targets come and go, the file is edited and followed, limits and log levels change, all of it under
fio with verify, and no session notices that is not meant."""

import time

import kurad
import machine
import tool
from initiator import Initiator

TARGET = "iqn.2026-11.kura.test:changes"
OTHER = "iqn.2026-11.kura.test:changes2"
EDITED = "iqn.2026-11.kura.test:changes3"
EDITED_VOLUME = '{ name = "edited"; store = "mem"; size = "8M"; }'
EDITED_TARGET = (f'{{ name = "{EDITED}"; luns = ( {{ lun = 0; volume = "edited"; }} ); '
                 'initiators = ( { name = "*"; } ); }')
GUEST = "iqn.2026-11.kura.test:one"
SOMEBODY = "iqn.2026-11.kura.test:somebody"
MIB = 1 << 20
# Again and again, for as long as changes are made; each job verifies what it wrote.
FIO = ("fio --direct=1 --ioengine=libaio --iodepth=8 --rw=randwrite --bsrange=4k-32k --size=4M "
       "--verify=crc32c --do_verify=1 --verify_fatal=1 --randrepeat=0 --output-format=terse "
       "--terse-version=3 --name=a --filename={0} --name=b --filename={1}")


class Story:
    """One kurad, one guest with fio on two disks, and the changes."""

    def __init__(self, scene):
        self.tap, self.daemon, self.guest = scene.tap, scene.daemon, scene.guest
        self.kura = tool.Tool(scene.daemon)
        self.port = kurad.free_port()
        self.initiator = Initiator(scene.guest, TARGET, self.port)
        with open(scene.daemon.config_path, encoding="utf-8") as f:
            self.file = f.read()
        self.disks, self.session = {}, None

    # --- kurad ------------------------------------------------------------------------------

    def do(self, line):
        """A verb that has to succeed."""
        return self.kura.json(line)

    def step(self, line, what=None):
        """The same as a result, with the sessions looked at."""
        code, answer = tool.ask(self.kura, *self.split(line))
        self.tap.check(code == 0 and self.stays(), what or f"kura {line}", f"{code} {answer}")
        return answer

    def refused(self, line, text):
        code, answer = tool.ask(self.kura, *self.split(line))
        self.tap.check(code == 4 and text in str(answer) and self.stays(),
                       f"kura {line}: refused, and who uses it is said", f"{code} {answer}")

    @staticmethod
    def split(line):
        words = line.split()
        count = 2 if " ".join(words[:2]) in tool.schema() else 1
        return (" ".join(words[:count]), *words[count:])

    def sessions(self):
        found = self.do("session list")["sessions"]
        return [(s["session"], s["initiator"]) for s in found if s.get("target") == TARGET]

    def stays(self):
        """Whether the session is the one that it was."""
        return self.sessions() == self.session

    def logouts(self):
        """Logout Requests that kurad has had."""
        return sum(e["event"] == "logout" for e in self.do("trace")["events"])

    def edit(self, more):
        """The human's file, with one more volume and target and other options; or as it was."""
        text = self.file
        if more:
            text = text.replace("volumes = ( ", "volumes = ( " + EDITED_VOLUME + ", ", 1)
            text = text.replace("targets = ( ", "targets = ( " + EDITED_TARGET + ", ", 1)
            text += kurad.config_text(more)
        with open(self.daemon.config_path, "w", encoding="utf-8") as f:
            f.write(text)

    # --- the guest --------------------------------------------------------------------------

    def begin(self):
        self.do(f"pool add changes --kind dir --path {self.daemon.path('changes')}")
        for name in ("a", "b"):
            self.do(f"volume create c{name} --pool changes --size {32 if name == 'a' else 16}M")
        self.do(f"portal add 127.0.0.1 --port {self.port} --group 7")
        self.do(f"target create {TARGET}")
        self.do(f"target allow {TARGET} --initiator {GUEST}")
        for name in ("a", "b"):
            self.do(f"lun add {TARGET} c{name}")
        self.initiator.new_node()
        self.disks = self.initiator.login(2)
        self.session = self.sessions()
        self.guest.must("dmesg -c >/dev/null; rm -f /tmp/stop /tmp/over; (while [ ! -e /tmp/stop ]; do "
                        f"{FIO.format(self.disks[0], self.disks[1])} >/tmp/fio 2>&1 || break; "
                        "echo round >>/tmp/rounds; done; "
                        "cp /tmp/fio /tmp/over) &")

    def rounds(self):
        return self.guest.run("cat /tmp/rounds")[1].count("round")

    def working(self, after):
        """Waits until fio has ended another round; False: it has failed."""
        end = time.monotonic() + 2 * machine.COMMAND_SECONDS
        while self.rounds() <= after:
            if time.monotonic() > end or not self.guest.run("[ -e /tmp/over ]")[0]:
                return False
            time.sleep(0.3)
        return True

    def sees(self, what, command, want):
        """Waits until a command in the guest prints what it shall."""
        end = time.monotonic() + 20
        while True:
            text = self.guest.run(command)[1].strip()
            if text == want or time.monotonic() > end:
                self.tap.check(text == want, what, text + "\n" + self.guest.run("dmesg | tail")[1])
                return
            time.sleep(0.2)

    def finish(self):
        self.guest.must("touch /tmp/stop; while [ ! -e /tmp/over ]; do usleep 200000; done",
                        2 * machine.COMMAND_SECONDS)
        text = self.guest.must("cat /tmp/over")
        lines = [line.split(";") for line in text.splitlines() if line.startswith("3;")]
        self.tap.check(len(lines) == 2 and all(line[4] == "0" for line in lines),
                       "fio has verified every byte that it wrote", text)
        self.tap.note(f"{self.rounds()} rounds of fio")
        text = self.guest.must("dmesg -c")
        bad = [line for line in text.splitlines() if "error" in line.lower()]
        self.tap.check(not bad, "the kernel of the guest saw no error", "\n".join(bad))
        self.tap.check(self.stays(), "the session is the one that it was")


# --- the changes --------------------------------------------------------------------------------


def grow(story):
    story.step("volume grow ca +16M")
    disk = story.disks[0][5:]
    story.guest.must(f"echo 1 >/sys/block/{disk}/device/rescan")
    story.sees("the guest sees the size", f"cat /sys/block/{disk}/size", str(48 * MIB // 512))


def luns(story):
    story.step("volume create cc --pool changes --size 8M")
    story.step(f"lun add {TARGET} cc --lun 9")
    scan = "for h in /sys/class/scsi_host/host*; do echo '- - -' >$h/scan; done; "
    find = "ls -d /sys/class/scsi_device/*:9 2>/dev/null | wc -l"
    story.sees("a LUN that comes is found", scan + find, "1")
    story.refused(f"lun remove {TARGET} 9", GUEST)
    story.refused("volume delete cc --yes", GUEST)
    story.step(f"lun remove {TARGET} 9 --force")
    path = "$(ls -d /sys/class/scsi_device/*:9/device | head -1)"
    text = story.guest.run(f"sg_turs -v /dev/$(ls {path}/scsi_generic)")[1]
    story.tap.check("Logical unit not supported" in text, "one that goes is told so", text)
    story.guest.must(f"echo 1 >{path}/delete")
    story.step("volume delete cc --yes")


def portals(story):
    """Also the one by which the session came."""
    other = kurad.free_port()
    story.step(f"portal add 127.0.0.1 --port {other} --group 8")
    story.step(f"portal remove 127.0.0.1 --port {other}")
    story.step(f"portal remove 127.0.0.1 --port {story.port}", "the portal that it came in by goes")
    text = story.guest.run(f"iscsiadm -m discovery -t st -p {machine.HOST}:{story.port}")[0]
    story.tap.check(text != 0 and story.stays(), "nobody comes in there any more")
    story.step(f"portal add 127.0.0.1 --port {story.port} --group 7", "and it is back")


def hosts(story):
    story.step("host create changers")
    story.step(f"host add-initiator changers {SOMEBODY}")
    story.step(f"target create {OTHER}")
    story.step(f"target allow {OTHER} --host changers")
    story.step(f"target allow {TARGET} --initiator {SOMEBODY}")
    story.step(f"target deny {TARGET} --initiator {SOMEBODY}")
    story.step(f"target deny {OTHER} --host changers")
    story.step(f"host remove-initiator changers {SOMEBODY}")
    story.step("host delete changers")
    story.step(f"target delete {OTHER}")


def limits(story):
    story.step("volume limit ca --write-iops 200 --burst-ms 50")
    story.step("volume limit cb --bytes 8M")
    story.tap.check(story.working(story.rounds()), "fio goes on under limits")
    story.step("volume limit ca --iops 20")
    rounds = story.rounds()
    story.step("volume limit ca --none")
    story.step("volume limit cb --none")
    story.tap.check(story.working(rounds), "fio goes on after limits came and went")


def looking(story):
    story.step("log level debug")
    story.step("trace tasks on")
    for line in ("trace", "stats", "metrics", "session list", "reservation list", "volume list",
                 "export"):
        story.step(line)
    done = story.kura("top --count 2 --interval 1")
    story.tap.check(done.code == 0 and TARGET in done.out, "kura top", str(done))
    story.step("trace tasks off")
    story.step("log level info")


def file(story):
    """The human's file: followed by apply and by SIGHUP, back and forth."""
    path = story.daemon.config_path
    story.tap.check(not story.step(f"apply {path}")["steps"], "nothing has changed")
    story.edit({"max_tasks": 30000, "log_level": "warn"})
    steps = story.step(f"apply --dry-run {path}")["steps"]
    story.tap.check({"open_volume", "add_target", "change_option"} <= {s["step"] for s in steps}
                    and all(s["state"] in ("planned", "restart") for s in steps),
                    "the steps of a dry run", str(steps))
    names = {t["target"] for t in story.do("target list")["targets"]}
    story.tap.check(EDITED not in names, "which changes nothing")
    story.step(f"apply {path}")
    names = {t["target"] for t in story.do("target list")["targets"]}
    story.tap.check(EDITED in names, "the file is followed")
    story.edit(None)
    story.daemon.process.send_signal(1)
    end = time.monotonic() + 20
    while EDITED in {t["target"] for t in story.do("target list")["targets"]}:
        if time.monotonic() > end:
            break
        time.sleep(0.1)
    names = {t["target"] for t in story.do("target list")["targets"]}
    story.tap.check(EDITED not in names and story.stays(), "and SIGHUP takes it back")


def drop(story):
    """A change that is meant to end the session does so, and tells it first."""
    story.refused(f"target deny {TARGET} --initiator {GUEST}", GUEST)
    before = story.logouts()
    others = [s for s in story.do("session list")["sessions"] if s.get("target") != TARGET]
    done = story.kura(f"target deny {TARGET} --initiator {GUEST} --force --json")
    story.tap.check(done.code == 0 and not story.sessions(), "with --force it ends", str(done))
    left = [s for s in story.do("session list")["sessions"] if s.get("target") != TARGET]
    story.tap.check([s["session"] for s in left] == [s["session"] for s in others],
                    "and no other")
    story.tap.check(story.logouts() == before + 1,
                    "open-iscsi logged out by itself, as it was asked to")
    story.guest.run(f"iscsiadm -m node -T {TARGET} --logout")
    story.do(f"target delete {TARGET} --force")
    for name in ("ca", "cb"):
        story.do(f"volume delete {name} --yes")
    story.do(f"portal remove 127.0.0.1 --port {story.port}")


def play(scene):
    story = Story(scene)
    story.begin()
    scene.tap.check(story.working(0), "fio works on two disks")
    for change in (grow, luns, portals, hosts, limits, looking, file):
        begin = time.monotonic()
        change(story)
        scene.tap.note(f"{change.__name__}: {time.monotonic() - begin:.1f} s")
    scene.tap.check(story.working(story.rounds()), "fio goes on after all of it")
    story.finish()
    drop(story)
