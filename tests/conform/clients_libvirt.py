# SPDX-License-Identifier: Apache-2.0
"""libvirt's iscsi-direct pool: a real libvirtd finds the LUNs of a target, with CHAP and without.

libvirtd runs in its session mode in a folder of its own, as nobody when the test is root's, so
that it touches nothing of this machine.  Each function below is one TAP result.
"""

import os
import pwd
import shutil
import signal
import subprocess
import time

import kurad
from clients import ClientFailed, must_say

OPEN = "iqn.2026-11.kura.test:libvirt"
CLOSED = "iqn.2026-11.kura.test:libvirt-chap"
INITIATOR = "iqn.2026-11.kura.test:hypervisor"
USER, SECRET = "hypervisor", "a-secret-of-libvirt"
SECONDS = 60 * float(os.environ.get("KURA_TEST_SLOW", "1"))
SIZES = [16 << 20, 24 << 20, 40 << 20]
POOL = """<pool type='iscsi-direct'>
  <name>{name}</name>
  <source>
    <host name='{host}' port='{port}'/>
    <device path='{target}'/>{auth}
    <initiator><iqn name='{initiator}'/></initiator>
  </source>
</pool>
"""
AUTH = """
    <auth type='chap' username='{user}'><secret usage='kura'/></auth>"""
SECRET_XML = """<secret ephemeral='no' private='yes'>
  <usage type='iscsi'><target>kura</target></usage>
</secret>
"""


def settings():
    volumes = [{"name": f"v{i}", "store": "mem", "size": s} for i, s in enumerate(SIZES)]
    luns = [{"lun": i, "volume": v["name"]} for i, v in enumerate(volumes)]
    who = [{"name": INITIATOR}, {"name": "iqn.2007-10.com.github:*"},
           {"name": "iqn.2008-11.org.linux-kvm*"}]
    return kurad.config(volumes, [
        {"name": OPEN, "luns": luns, "initiators": who},
        {"name": CLOSED, "luns": luns, "initiators": who,
         "auth": {"user": USER, "secret": SECRET}}])


class Libvirt:
    """libvirtd and virsh, in their own folder."""

    def __init__(self):
        self.folder = kurad.scratch_folder("kura-libvirt")
        self.env = {"PATH": os.environ["PATH"], "LC_ALL": "C", "HOME": self.folder}
        self.who = {}
        for name in ("CONFIG_HOME", "RUNTIME_DIR", "CACHE_HOME", "DATA_HOME"):
            path = self.env["XDG_" + name] = os.path.join(self.folder, name.lower())
            os.mkdir(path, 0o700)
        if os.getuid() == 0:
            nobody = pwd.getpwnam("nobody")
            self.who = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
            for path in (self.folder, *(self.env[k] for k in self.env if k.startswith("XDG"))):
                os.chown(path, nobody.pw_uid, nobody.pw_gid)
        self.socket = os.path.join(self.env["XDG_RUNTIME_DIR"], "libvirt", "libvirt-sock")
        self.process = None

    def file(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, "w", encoding="ascii") as f:
            f.write(text)
        return path

    def log(self):
        with open(os.path.join(self.folder, "log"), encoding="utf-8", errors="replace") as f:
            return f.read()

    def start(self):
        config = self.file("libvirtd.conf", 'log_outputs = "3:stderr"\nauth_unix_rw = "none"\n')
        with open(os.path.join(self.folder, "log"), "ab") as log:
            self.process = subprocess.Popen(
                ["libvirtd", "-f", config], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env=self.env, cwd=self.folder, preexec_fn=kurad.die_with_parent, **self.who)
        end = time.monotonic() + SECONDS
        while not os.path.exists(self.socket):
            if self.process.poll() is not None or time.monotonic() > end:
                raise ClientFailed("libvirtd does not come up\n" + self.log())
            time.sleep(0.05)
        return self

    def virsh(self, *words, expect=0):
        """What virsh says; it must succeed, or fail with expect=1."""
        command = ["virsh", "-q", "-c", f"storage:///session?socket={self.socket}", *words]
        if words[0].startswith("secret"):
            command[3] = command[3].replace("storage", "secret", 1)
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, errors="replace", env=self.env,
                              cwd=self.folder, timeout=SECONDS, check=False, **self.who)
        if (done.returncode != 0) != (expect != 0):
            raise ClientFailed(f"{' '.join(words)}: status {done.returncode}\n{done.stdout}\n"
                               + self.log()[-2000:])
        return done.stdout

    def pool(self, name, daemon, target, user=None):
        """Defines a pool."""
        auth = AUTH.format(user=user) if user else ""
        text = POOL.format(name=name, host=daemon.host, port=daemon.port, target=target,
                           auth=auth, initiator=INITIATOR)
        self.virsh("pool-define", self.file(name + ".xml", text))

    def secret(self, value):
        """Sets the secret of the pools, defining it when it is not there."""
        if "kura" not in self.virsh("secret-list"):
            self.virsh("secret-define", self.file("secret.xml", SECRET_XML))
        uuid = self.virsh("secret-list").split()[0]
        path = self.file("secret", value)
        self.virsh("secret-set-value", uuid, "--plain", "--file", path)

    def volumes(self, pool):
        """{name: path} of what the pool has."""
        return dict(line.split(None, 1) for line in
                    self.virsh("vol-list", pool).splitlines() if line.strip())

    def must_have_all(self, pool):
        found = {n: int(self.virsh("vol-dumpxml", n, "--pool", pool)
                        .split("<capacity unit='bytes'>")[1].split("<")[0])
                 for n in self.volumes(pool)}
        # libvirt 9 takes the number of the last block for the number of blocks
        if found != {f"unit:0:0:{i}": s - 512 for i, s in enumerate(SIZES)} and \
                found != {f"unit:0:0:{i}": s for i, s in enumerate(SIZES)}:
            raise ClientFailed(f"{pool} has {found}")

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        shutil.rmtree(self.folder)


# --- the tests --------------------------------------------------------------------------------


def plain(virt, daemon):
    """a pool is defined, started, refreshed, and has every LUN with its size"""
    virt.pool("plain", daemon, OPEN)
    virt.virsh("pool-start", "plain")
    virt.must_have_all("plain")
    for _ in range(3):
        virt.virsh("pool-refresh", "plain")
    virt.must_have_all("plain")
    must_say(virt.virsh("pool-info", "plain"), r"State: +running",
             r"Capacity: +(79\.99|80\.00) MiB")
    must_say(virt.volumes("plain")["unit:0:0:1"], "iscsi-" + OPEN + "-lun-1")


def attention(virt, daemon):
    """a refresh is not put off by what a LUN has to tell after a restart and a change of modes"""
    daemon.restart()
    virt.virsh("pool-refresh", "plain")
    for setting in ("on", "off"):
        done = subprocess.run(["iscsi-swp", f"--swp={setting}", daemon.url(OPEN, 1)],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              timeout=SECONDS, check=False)
        if done.returncode:
            raise ClientFailed(done.stdout)
        virt.virsh("pool-refresh", "plain")
    virt.must_have_all("plain")


def wiped(virt, daemon):
    """vol-wipe fills a LUN with zeros, and no other"""
    for lun in (0, 1):
        _io(daemon, lun, "write -P 0x5a 0 16M")
    virt.virsh("vol-wipe", "unit:0:0:0", "--pool", "plain")
    _io(daemon, 0, f"read -P 0 0 {SIZES[0] - 512}")
    _io(daemon, 1, "read -P 0x5a 0 16M")


def _io(daemon, lun, what):
    done = subprocess.run(["qemu-io", "-f", "raw", "-c", what, daemon.url(OPEN, lun)],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          timeout=SECONDS, check=False)
    if done.returncode or "failed" in done.stdout:
        raise ClientFailed(done.stdout)


def chap(virt, daemon):
    """a pool with CHAP, by a secret that libvirtd keeps"""
    virt.secret(SECRET)
    virt.pool("closed", daemon, CLOSED, USER)
    virt.virsh("pool-start", "closed")
    virt.must_have_all("closed")
    virt.virsh("pool-refresh", "closed")
    virt.must_have_all("closed")
    must_say(daemon.log(), f"target={CLOSED}.*auth=chap|auth=chap.*target={CLOSED}")


def chap_wrong(virt, daemon):
    """a pool with a wrong secret, or with none, does not start"""
    virt.virsh("pool-destroy", "closed")
    virt.secret("something-else-than-that")
    virt.virsh("pool-start", "closed", expect=1)
    virt.pool("none", daemon, CLOSED)
    virt.virsh("pool-start", "none", expect=1)
    virt.secret(SECRET)
    virt.virsh("pool-start", "closed")
    virt.must_have_all("closed")


def away(virt, _daemon):
    """pools are stopped and undefined"""
    for name in ("plain", "closed"):
        virt.virsh("pool-destroy", name)
    for name in ("plain", "closed", "none"):
        virt.virsh("pool-undefine", name)
    if virt.virsh("pool-list", "--all").strip():
        raise ClientFailed(virt.virsh("pool-list", "--all"))


ALL = [plain, attention, wiped, chap, chap_wrong, away]


def _run_all(tap, virt, daemon):
    for test in ALL:
        name = "libvirt: " + test.__doc__
        try:
            test(virt, daemon)
            tap.ok(name)
        except (ClientFailed, subprocess.TimeoutExpired) as error:
            tap.not_ok(name, f"{error}\n{daemon.log_tail(8)}")


def run(tap, only=None):
    """All of them, in their order, on one kurad and one libvirtd."""
    if only and only not in "libvirt":
        return
    virt = Libvirt()
    try:
        with kurad.Kurad(settings()) as daemon:
            # a pool remembers the port, so it is kept over a restart
            daemon.text = daemon.text.replace("port = 0;", f"port = {daemon.port};")
            _run_all(tap, virt.start(), daemon)
    except (ClientFailed, kurad.KuradFailed) as error:
        tap.not_ok("libvirt: kurad and libvirtd start, stay and stop well", str(error))
    finally:
        virt.stop()
