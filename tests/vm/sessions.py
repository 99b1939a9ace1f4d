# SPDX-License-Identifier: Apache-2.0
"""What open-iscsi negotiates and may see: digests one by one, CHAP in discovery and in both
directions by each digest, two sessions to one target, and no LUN that is another's."""

import itertools
import re

import chap
import machine
from initiator import DIGESTS, Initiator

OPEN = "iqn.2026-11.kura.test:open"
MASKED = "iqn.2026-11.kura.test:masked"
USER, SECRET = "asker", "the asker's own secret"
OUR_USER, OUR_SECRET = "storehouse", "what the storehouse knows"
DENIED = "authorization failure"
CHAP_ALL = "SHA3-256,SHA256,SHA1,MD5"


def settings():
    """(volumes, targets, more) for the configuration."""
    volumes = [{"name": f"s{i}", "store": "mem", "size": f"{16 + i}M"} for i in range(3)]
    targets = [
        {"name": OPEN, "luns": [{"lun": i, "volume": f"s{i}"} for i in range(2)],
         "initiators": [{"name": "*"}]},
        # one sees s2 as LUN 5; anybody else sees the two others
        {"name": MASKED, "luns": [{"lun": i, "volume": f"s{i}"} for i in range(2)],
         "initiators": [{"name": "*"}],
         "access": [{"host": "machine", "luns": [{"lun": 5, "volume": "s2", "readonly": True}]}]},
        chap.target(),
    ]
    hosts = [{"name": "machine", "initiators": [{"name": "iqn.2026-11.kura.test:one"}]}]
    auth = {"user": USER, "secret": SECRET, "mutual_user": OUR_USER, "mutual_secret": OUR_SECRET}
    return [*volumes, chap.volume()], targets, {"hosts": hosts, "discovery_auth": auth}


# --- discovery --------------------------------------------------------------------------------


class Discovery:
    """A discovery record with settings of its own."""

    def __init__(self, scene):
        self.guest = scene.guest
        self.start = f"iscsiadm -m discoverydb -t st -p {machine.HOST}:{scene.daemon.port} "
        self.guest.must(self.start + "-o new")

    def use(self, **settings):
        for name, value in settings.items():
            self.guest.must(self.start + "-o update -n discovery.sendtargets.auth."
                            f"{name} -v \"{value}\"")

    def ask(self):
        """(whether it was answered, what was said); the records are taken away again."""
        status, text = self.guest.run(self.start + "--discover")
        self.guest.run("iscsiadm -m node -o delete")
        return status == 0, text


def discovery(scene):
    tap, asker = scene.tap, Discovery(scene)
    told, text = asker.ask()
    tap.check(not told and OPEN not in text, "discovery without a secret is refused", text)
    asker.use(authmethod="CHAP", username=USER, password="another")
    told, text = asker.ask()
    tap.check(not told and DENIED in text.lower(), "discovery with a wrong secret is told so", text)
    asker.use(password=SECRET)
    told, text = asker.ask()
    tap.check(told and OPEN in text and MASKED in text, "discovery with CHAP", text)
    asker.use(username_in=OUR_USER, password_in=OUR_SECRET)
    told, text = asker.ask()
    tap.check(told and OPEN in text, "discovery with mutual CHAP", text)
    asker.use(password_in="not ours")
    told, text = asker.ask()
    tap.check(not told, "discovery from a target that cannot prove itself", text)


# --- CHAP of a session ------------------------------------------------------------------------


def mutual(scene):
    """Both directions by each digest; a wrong secret is called so."""
    prover = chap.Prover(scene)
    prover.use(authmethod="CHAP", username=chap.USER, password="something else than that",
               chap_algs=CHAP_ALL)
    status, text = scene.guest.run(f"iscsiadm -m node -T {chap.TARGET} --login")
    scene.tap.check(status == 24 and DENIED in text.lower(), "a wrong secret is told so",
                    f"{status} {text}")
    prover.use(password=chap.SECRET, username_in=chap.TARGET_USER,
               password_in=chap.TARGET_SECRET)
    for algorithm in chap.DIGESTS:
        prover.use(chap_algs=algorithm)
        before = scene.daemon.log().count("auth=mutual")
        done = prover.logs_in()
        scene.tap.check(done and scene.daemon.log().count("auth=mutual") == before + 1,
                        f"mutual CHAP with {algorithm}", scene.daemon.log_tail(5))
        prover.use(password_in="not the storehouse's")
        scene.tap.check(not prover.logs_in(), f"and no trust without, with {algorithm}")
        prover.use(password_in=chap.TARGET_SECRET)


# --- digests and sessions ---------------------------------------------------------------------

WRITE_READ = ("dd if=/dev/urandom of=/tmp/data bs=64k count=16 2>/dev/null; "
              "dd if=/tmp/data of={0} bs=64k oflag=direct 2>/dev/null && "
              "dd if={1} of=/tmp/back bs=64k count=16 iflag=direct 2>/dev/null && "
              "cmp /tmp/data /tmp/back")


def digests(scene, initiator):
    for head, data in itertools.product(("off", "on"), repeat=2):
        initiator.update({"node.conn[0].iscsi.HeaderDigest": DIGESTS[head],
                          "node.conn[0].iscsi.DataDigest": DIGESTS[data]})
        disk = initiator.login(2)[0]
        status, text = scene.guest.run(WRITE_READ.format(disk, disk))
        want = "/".join({"off": "none", "on": "crc32c"}[d] for d in (head, data))
        said = re.findall(r"session established .*digests=(\S+)", scene.daemon.log())[-1].lower()
        scene.tap.check(status == 0 and said == want, f"digests {want}", f"{said} {text}")
        initiator.logout()


def two_sessions(scene, initiator):
    tap, guest = scene.tap, scene.guest
    initiator.update({"node.session.nr_sessions": "2"})
    initiator.node("--login")
    text = guest.must("iscsiadm -m session")
    tap.check(text.count(OPEN) == 2, "two sessions to one target", text)
    disks = initiator.disks_of(0, 2)
    tap.check(len(disks) == 2, "each with its disk", f"{disks}")
    names = [guest.must(f"cat /sys/block/{d[5:]}/device/wwid") for d in disks]
    tap.check(len(set(names)) == 1, "which are one disk", f"{names}")
    status, text = guest.run(WRITE_READ.format(*disks))
    tap.check(status == 0, "what is written by the one is read by the other", text)
    tsih = re.findall(rf"session established .*target={OPEN} tsih=(\w+)", scene.daemon.log())
    tap.check(len(set(tsih[-2:])) == 2, "kurad has two sessions", f"{tsih}")
    initiator.logout()
    status, text = guest.run("iscsiadm -m session")
    tap.check(status != 0 and not initiator.disks(), "logout ends both, and takes the disks", text)
    initiator.update({"node.session.nr_sessions": "1"})


def masked(scene):
    initiator = Initiator(scene.guest, MASKED, scene.daemon.port)
    initiator.new_node()
    disks = initiator.login(1)
    text = scene.guest.must("cat /sys/class/scsi_device/*/device/vendor | grep -c KURA; lsscsi -g")
    scene.tap.check(list(disks) == [5] and text.startswith("1\n"),
                    "a masked LUN is not there, nor any other", f"{disks} {text}")
    scene.tap.check(scene.guest.must(f"cat /sys/block/{disks[5][5:]}/size").strip() ==
                    str(18 << 11), "the one that is has the right size")
    status, text = scene.guest.run(f"dd if=/dev/zero of={disks[5]} bs=4096 count=1 oflag=direct")
    scene.tap.check(status != 0, "and may not be written by this host", text)
    for scan in ("0 0 0", "0 0 1"):
        scene.guest.run(f"for h in /sys/class/scsi_host/host*; do echo '{scan}' >$h/scan; done")
    scene.tap.check(list(initiator.disks()) == [5], "nor when it is looked for by its number")
    initiator.logout()


def play(scene):
    discovery(scene)
    mutual(scene)
    initiator = Initiator(scene.guest, OPEN, scene.daemon.port)
    initiator.new_node()
    digests(scene, initiator)
    two_sessions(scene, initiator)
    masked(scene)
