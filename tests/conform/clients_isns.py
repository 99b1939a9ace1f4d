# SPDX-License-Identifier: Apache-2.0
"""The name server: Debian's isnsd hears of targets and portals, goes, comes back and forgets.

Each test below is one TAP result, on a server and a kurad of its own.
"""

import os
import random
import re
import shutil
import signal
import socket
import struct
import subprocess
import threading
import time

import kurad
from clients import ClientFailed, must_say, run_client

NAME = "iqn.2026-11.kura.test:isns-"
ENTITY = "kura.under-test"
WAIT_SECONDS = 20 * float(os.environ.get("KURA_TEST_SLOW", "1"))
ADMIN = """SourceName = iqn.2026-11.kura.test:asker
Security = 0
"""
CONFIG = """SourceName = iqn.2026-11.kura.test:server
Database = {folder}/db
PIDFile = {folder}/pid
ControlSocket = {folder}/control
BindAddress = 127.0.0.1:{port}
Security = 0
SLPRegister = 0
DefaultDiscoveryDomain = 1
RegistrationPeriod = 2
"""


def until(true, what, log):
    """Waits until true() is."""
    end = time.monotonic() + WAIT_SECONDS
    while not true():
        if time.monotonic() > end:
            raise ClientFailed(f"never: {what}\n{log()}")
        time.sleep(0.05)


class Server:
    """isnsd in the foreground, with a folder of its own."""

    def __init__(self):
        self.folder = kurad.scratch_folder("kura-isns")
        self.config = os.path.join(self.folder, "isnsd.conf")
        self.process = None
        self.port = kurad.free_port()
        with open(self.config, "w", encoding="ascii") as f:
            f.write(CONFIG.format(folder=self.folder, port=self.port))
        with open(os.path.join(self.folder, "isnsadm.conf"), "w", encoding="ascii") as f:
            f.write(ADMIN)

    def said(self):
        with open(os.path.join(self.folder, "log"), encoding="utf-8", errors="replace") as f:
            return f.read()

    def answers(self):
        if self.process.poll() is not None:
            raise ClientFailed("isnsd ended\n" + self.said())
        with socket.socket() as s:
            return s.connect_ex(("127.0.0.1", self.port)) == 0

    def start(self):
        os.makedirs(os.path.join(self.folder, "db"), exist_ok=True)
        with open(os.path.join(self.folder, "log"), "ab") as log:
            self.process = subprocess.Popen(
                ["isnsd", "-f", "-4", "-c", self.config], stdin=subprocess.DEVNULL, stdout=log,
                stderr=log, preexec_fn=kurad.die_with_parent)
        until(self.answers, "isnsd listens", self.said)
        return self

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def wipe(self):
        """What a server knows that keeps nothing over a restart."""
        shutil.rmtree(os.path.join(self.folder, "db"))

    def admin(self, *what):
        return run_client("isnsadm", "-c", os.path.join(self.folder, "isnsadm.conf"), "-s",
                          f"127.0.0.1:{self.port}", *what)

    def listed(self, kind):
        """The objects of a kind, each a {attribute: value}."""
        out = self.admin("--list", kind)
        if "failed" in out:
            raise ClientFailed(out)
        return [dict(re.findall(r": ([\w/ ]+?) += +\"?([^\"\n]*)", part))
                for part in out.split("Object ")[1:]]

    def names(self):
        return {n["iSCSI name"] for n in self.listed("nodes")
                if n["iSCSI name"].startswith(NAME)}

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.kill()
        shutil.rmtree(self.folder)


def settings(port, count=2, **more):
    """So many targets at two portals; the last is reached by the second alone."""
    targets = [{"name": f"{NAME}{i}", "alias": f"alias {i}", "initiators": [{"name": "*"}],
                "luns": [{"lun": 0, "volume": "disk"}]} for i in range(count)]
    targets[-1]["portal_groups"] = [7]
    portals = [{"address": "127.0.0.1", "port": 0, "group": 3},
               {"address": "127.0.0.2", "port": 0, "group": 7,
                "advertise": "192.0.2.77:3299"}]
    isns = {"server": f"127.0.0.1:{port}", "entity": ENTITY, "refresh_seconds": 1}
    return kurad.config([{"name": "disk", "store": "mem", "size": "4M"}], targets, portals,
                        isns=isns, **more)


def registered(daemon, times=1):
    """Waits for kurad's word."""
    until(lambda: daemon.log().count("registered with the iSNS server") -
          daemon.log().count("not registered with the iSNS server") >= times,
          f"registered {times} times", daemon.log_tail)


def all_of(count):
    return {f"{NAME}{i}" for i in range(count)}


def registers(server):
    """isnsd is told targets, aliases, portals and portal groups; at a stop that they are gone"""
    with kurad.Kurad(settings(server.port)) as daemon:
        registered(daemon)
        nodes = [n for n in server.listed("nodes") if n["iSCSI name"].startswith(NAME)]
        told = {(n["iSCSI name"], n["iSCSI node type"], n["iSCSI alias"]) for n in nodes}
        want = {(f"{NAME}{i}", "Target", f"alias {i}") for i in range(2)}
        portals = {(p["Portal IP address"], p["Portal TCP/UDP port"])
                   for p in server.listed("portals")}
        groups = {(g["Portal group name"], g["Portal group address"],
                   g["Portal group tag"]) for g in server.listed("portal-groups")}
        ways = {(NAME + "0", "127.0.0.1", "3"), (NAME + "0", "192.0.2.77", "7"),
                (NAME + "1", "192.0.2.77", "7")}
        if told != want:
            raise ClientFailed(f"targets: {told}")
        if portals != {("127.0.0.1", f"{daemon.port}/tcp"), ("192.0.2.77", "3299/tcp")}:
            raise ClientFailed(f"portals: {portals}")
        if {w for w in groups if w[0].startswith(NAME)} != ways:
            raise ClientFailed(f"portal groups: {groups}")
        must_say(server.admin("--query", f"eid={ENTITY}"), ENTITY, "iSCSI")
        daemon.end()
        must_say(daemon.log(), "deregistered from the iSNS server")
        if server.names() or ENTITY in server.admin("--list", "entities"):
            raise ClientFailed("still there after the stop")
        daemon.start()


def many(server):
    """isnsd is told 120 targets at two portals, more than one message holds"""
    with kurad.Kurad(settings(server.port, 120)) as daemon:
        registered(daemon)
        if server.names() != all_of(120) or len(server.listed("portal-groups")) < 239:
            raise ClientFailed(server.admin("--list", "nodes")[-500:])


def comes_back(server):
    """isnsd dies and comes back with nothing: one line each, and all is told again"""
    with kurad.Kurad(settings(server.port)) as daemon:
        registered(daemon)
        server.kill()
        until(lambda: "not registered with" in daemon.log(), "a word", daemon.log_tail)
        time.sleep(1.5)  # it tries again meanwhile, and is silent
        server.wipe()
        server.start()
        registered(daemon, 2)
        until(lambda: server.names() == all_of(2), "all of them again", daemon.log_tail)
        if daemon.log().count("not registered with") != 1:
            raise ClientFailed(daemon.log_tail())
        must_say(daemon.log(), "iSNS server is back")


def starts_alone(server):
    """kurad starts without isnsd, serves, and registers when it is there"""
    server.kill()
    with kurad.Kurad(settings(server.port)) as daemon:
        until(lambda: "not registered with" in daemon.log(), "a word", daemon.log_tail)
        run_client("iscsi-inq", daemon.url(NAME + "0"))
        server.start()
        registered(daemon)


def forgotten(server):
    """what somebody took away at isnsd is registered again"""
    with kurad.Kurad(settings(server.port)) as daemon:
        registered(daemon)
        server.admin("--deregister", f"eid={ENTITY}")
        registered(daemon, 2)
        must_say(daemon.log(), "has forgotten us")
        if server.names() != all_of(2):
            raise ClientFailed(server.admin("--list", "nodes"))


def dies(server):
    """isnsd, which forgets what is silent for 2 seconds, keeps a kurad that lives, forgets one that
    died, and takes it back"""
    daemon = kurad.Kurad(settings(server.port))
    try:
        daemon.start()
        registered(daemon)
        time.sleep(5)  # by its questions it stays known
        if server.names() != all_of(2) or "forgotten" in daemon.log():
            raise ClientFailed("forgotten alive\n" + daemon.log_tail())
        daemon.process.kill()
        daemon.process.wait()
        until(lambda: not server.names(), "forgotten", server.said)
        daemon.start()
        registered(daemon, 2)
        until(lambda: server.names() == all_of(2), "there again", server.said)
        daemon.stop()
    finally:
        daemon.cleanup()


def hangs(server):
    """a stop does not wait for an isnsd that does not answer"""
    with kurad.Kurad(settings(server.port)) as daemon:
        registered(daemon)
        server.process.send_signal(signal.SIGSTOP)
        try:
            daemon.end()
        finally:
            server.process.send_signal(signal.SIGCONT)
        must_say(daemon.log(), "not deregistered from the iSNS server", "kurad stopped")
        daemon.start()


def _babble(listener, rng, heard):
    """Answers each message with the right header, or none, and bytes at random."""
    while True:
        try:
            conn, _ = listener.accept()
        except OSError:
            return
        with conn:
            conn.settimeout(5)
            try:
                head = conn.recv(12, socket.MSG_WAITALL)
                version, function, length, _, transaction, _ = struct.unpack(">6H", head)
                conn.recv(length, socket.MSG_WAITALL)
                body = bytes(4) + rng.randbytes(4 * rng.randrange(12))
                if rng.randrange(4):
                    head = struct.pack(">6H", version, function | 0x8000, len(body), 0x4C00,
                                       transaction, 0)
                else:
                    head = rng.randbytes(12)
                conn.sendall(head + body)
            except (OSError, struct.error):
                pass
        heard.append(1)


def babbles(_server):
    """a server that says anything does no harm"""
    heard = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_babble, args=(listener, random.Random(4171), heard),
                         daemon=True).start()
        with kurad.Kurad(settings(listener.getsockname()[1])) as daemon:
            until(lambda: len(heard) > 3, "it is asked again", daemon.log_tail)
            run_client("iscsi-inq", daemon.url(NAME + "0"))
        listener.shutdown(socket.SHUT_RDWR)


ALL = [registers, many, comes_back, starts_alone, forgotten, dies, hangs, babbles]


def run(tap, only=None):
    """Each on its own server."""
    for test in ALL:
        name = "client: " + " ".join(test.__doc__.split())
        if only and only not in name and only not in "isns " + test.__name__:
            continue
        try:
            with Server() as server:
                test(server)
            tap.ok(name)
        except (ClientFailed, kurad.KuradFailed) as error:
            tap.not_ok(name, str(error))
