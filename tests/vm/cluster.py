#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Two Debians under Pacemaker share a disk and serve it with kura's agents, by the resources of
docs/guide-cluster.md: what a host has written and reserved is there after a move, and after the node
that served it has lost its power; prints TAP.

cluster.py FOLDER: a root with the package, Pacemaker and crmsh installed; it becomes the machines'
disks, and gets the cluster's configuration.
"""

import base64
import os
import re
import shutil
import subprocess
import sys
import time

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
LIB = os.path.join(os.path.dirname(HERE), "lib")
sys.path[:0] = [HERE, LIB]

import debian  # noqa: E402
import kurad  # noqa: E402

GUIDE = os.path.join(kurad.ROOT, "docs", "guide-cluster.md")
SLOW = float(os.environ.get("KURA_TEST_SLOW", "1"))
SECONDS = 120 * SLOW
KIT = debian.KIT._replace(name="cluster", modules=debian.KIT.modules + ["virtio_net"])
NODES = {"na": "10.9.0.1", "nb": "10.9.0.2"}
ADDRESS = "10.9.0.7"
PACEMAKER = "corosync", "pacemaker"
COROSYNC = """totem {
	version: 2
	cluster_name: kura
	transport: udpu
	crypto_cipher: none
	crypto_hash: none
	token: 15000
}
nodelist {
	node {
		name: na
		nodeid: 1
		ring0_addr: 10.9.0.1
	}
	node {
		name: nb
		nodeid: 2
		ring0_addr: 10.9.0.2
	}
}
quorum {
	provider: corosync_votequorum
	two_node: 1
	wait_for_all: 0
}
"""
# A host: registers with APTPL, reserves and writes; or looks what there is.
CLIENT = f"""
import sys
sys.path.insert(0, "/usr/local/lib/kura-test")
from initiator import Initiator
host = Initiator(("{ADDRESS}", 3260), "@TARGET@", 1, "@HOST@")
host.settle()
def reserve(action, key, new, aptpl):
    data = key.to_bytes(8, "big") + new.to_bytes(8, "big") + bytes((0, 0, 0, 0, aptpl, 0, 0, 0))
    return host.command(bytes((0x5F, action, 5, 0, 0, 0, 0, 0, 24, 0)), write=data)[0]
if "take" in sys.argv:
    print(reserve(0, 0, 0xABCD, 1), reserve(1, 0xABCD, 0, 0),
          host.command(bytes((0x2A, 0, 0, 0, 0, 8, 0, 0, 1, 0)), write=b"kura" * 128)[0])
held = host.command(bytes((0x5E, 1, 0, 0, 0, 0, 0, 1, 0, 0)), read=256)[2]
data = host.command(bytes((0x28, 0, 0, 0, 0, 8, 0, 0, 1, 0)), read=512)[2]
print("HELD", held[8:16].hex(), held[21], "DATA", data[:4].decode())
"""
KEPT = "HELD 000000000000abcd 5 DATA kura"


class Node(debian.Debian):
    """One with a disk that both have, and a wire to the other."""

    def __init__(self, image, name, folder, disk):
        self.folder = folder
        super().__init__(image, name, folder, [disk])

    def _command(self, image, fd):
        command = super()._command(image, fd)
        command[command.index("-m") + 1] = "1024"
        command[command.index("-append") + 1] += " net.ifnames=0"
        at = command.index("-netdev")
        number = list(NODES).index(self.name)
        wire = f"stream,id=net,server={'off' if number else 'on'},addr.type=unix," \
               f"addr.path={self.folder}/wire"
        command[at:at + 4] = [
            "-netdev", wire,
            "-device", f"virtio-net-pci,netdev=net,romfile=,mac=52:54:00:00:00:0{number}"]
        return command + [
            "-drive", f"file={self.folder}/shared,if=none,id=shared,format=raw,file.locking=off",
            "-device", "virtio-blk-pci,drive=shared,share-rw=on"]

    def up(self):
        self.ready()
        self.must(f"hostname {self.name}; ip link set lo up; "
                  f"ip addr add {NODES[self.name]}/24 dev eth0; ip link set eth0 up")

    def resources(self):
        """What runs where: {resource: node}."""
        text = self.run("crm_mon -1", SECONDS)[1]
        return dict(re.findall(r"(disk-\w+)\s+\(\S+\s+Started (\w+)", text)), text

    def within(self, wanted, seconds=150):
        """Whether all of the group runs there, before long."""
        end = time.monotonic() + seconds * SLOW
        while True:
            found, text = self.resources()
            if len(found) == 5 and set(found.values()) == {wanted}:
                return True, text
            if time.monotonic() > end:
                return False, text + self.run("journalctl -b -o cat -n 60 --no-pager")[1]
            time.sleep(1)


# --- what the machines have --------------------------------------------------------------------


def put(root, path, text):
    path = os.path.join(root, path)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)


def blocks(guide):
    """The indented blocks of a guide, as text."""
    found = re.findall(r"(?:^(?:    .*)?\n)*^    .*\n(?:^(?:    .*)?\n)*", guide, re.MULTILINE)
    return [re.sub(r"^    ", "", block, flags=re.MULTILINE).strip() for block in found]


def resources(guide):
    """The guide's, with this test's disk and address."""
    text = next(block for block in blocks(guide) if block.startswith("primitive"))
    for its, ours in (("/dev/drbd0", "/dev/vdb"), ("xfs", "ext4"), ("192.0.2.7", ADDRESS)):
        assert its in text, its
        text = text.replace(its, ours)
    return text


def furnish(root, guide):
    put(root, "etc/corosync/corosync.conf", COROSYNC)
    put(root, "etc/hosts", "127.0.0.1 localhost\n" + "".join(
        f"{address} {name}\n" for name, address in NODES.items()))
    put(root, "etc/systemd/system/kurad.service.d/cluster.conf",
        next(block for block in blocks(guide) if block.startswith("[Service]")) + "\n")
    put(root, "usr/local/lib/kura-test/resources", resources(guide) + "\n")
    for name in os.listdir(LIB):
        if name.endswith(".py"):
            shutil.copy(os.path.join(LIB, name), os.path.join(root, "usr/local/lib/kura-test", name))
    wants = os.path.join(root, "etc/systemd/system/multi-user.target.wants")
    for unit in ("kurad", *PACEMAKER):
        if os.path.lexists(f"{wants}/{unit}.service"):
            os.unlink(f"{wants}/{unit}.service")


# --- the play ---------------------------------------------------------------------------------


def host(node, target, name, *words):
    script = CLIENT.replace("@TARGET@", target).replace("@HOST@", name)
    code = base64.b64encode(script.encode()).decode()
    return node.run(f"echo {code} | base64 -d >/run/host.py; python3 /run/host.py {' '.join(words)}",
                    SECONDS)[1]


def form(tap, nodes):
    first = nodes["na"]
    first.must("mkfs.ext4 -q /dev/vdb && mount -t ext4 /dev/vdb /mnt && truncate -s 64M /mnt/disk && "
               "umount /mnt")
    for node in nodes.values():
        node.must(f"systemctl start {' '.join(PACEMAKER)}", SECONDS)
    end = time.monotonic() + SECONDS
    while "Online: [ na nb ]" not in first.run("crm_mon -1")[1] and time.monotonic() < end:
        time.sleep(1)
    first.must("crm configure property stonith-enabled=false no-quorum-policy=ignore "
               "start-failure-is-fatal=false && crm node standby nb", SECONDS)
    first.must("crm configure load update /usr/local/lib/kura-test/resources", SECONDS)
    end = time.monotonic() + SECONDS
    while first.run("kura volume adopt disk --pool disks")[0] and time.monotonic() < end:
        time.sleep(1)
    good, text = first.within("na")
    tap.check(good, "the resources of the guide start, by real agents of Pacemaker", text)


def play(tap, nodes, guide):
    target = re.search(r"target=(\S+)", resources(guide))[1]
    name = re.search(r'initiators="(\S+)', resources(guide))[1]
    form(tap, nodes)
    said = host(nodes["nb"], target, name, "take")
    tap.check(said.split()[:3] == ["0"] * 3 and KEPT in said, "a host reserves and writes", said)
    nodes["na"].must("crm node online nb && crm node standby na", SECONDS)
    good, text = nodes["nb"].within("nb")
    tap.check(good, "a node in standby: the other one has it all", text)
    said = host(nodes["na"], target, name)
    tap.check(KEPT in said, "what was written and reserved is there", said)
    nodes["na"].must("crm node online na", SECONDS)
    nodes["nb"].end()  # its power fails
    good, text = nodes["na"].within("na")
    tap.check(good, "a node without power: the other one has it all", text)
    said = host(nodes["na"], target, name)
    tap.check(KEPT in said, "what was written and reserved is there once more", said)


def run(tap, root, folder):
    with open(GUIDE, encoding="utf-8") as f:
        guide = f.read()
    furnish(root, guide)
    image = debian.image(KIT)
    base = os.path.join(folder, "na.disk")
    debian.disk(root, base, 2 << 30)
    subprocess.run(["cp", "--sparse=always", base, os.path.join(folder, "nb.disk")], check=True,
                   timeout=120)
    with open(os.path.join(folder, "shared"), "wb") as shared:
        shared.truncate(128 << 20)
    nodes = {}
    try:
        for name in NODES:
            nodes[name] = Node(image, name, folder, os.path.join(folder, name + ".disk"))
            time.sleep(0.5)  # the first one has the wire's socket
        for node in nodes.values():
            node.up()
        play(tap, nodes, guide)
    finally:
        for node in nodes.values():
            node.end()


sys.exit(debian.drive("kura-cluster", run))
