# SPDX-License-Identifier: Apache-2.0
"""The targets that the benchmark and its self-test drive: each is started on 127.0.0.1 with a free
port, pinned to cores, and ended by its pid. A server dies with the process that started it."""

import ctypes
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(TOP, "tests", "lib"))

import kurad  # noqa: E402 (it lies in tests/lib)

START_SECONDS = 10
NAME = "iqn.2026-11.kura.bench"


class Unavailable(Exception):
    """The server cannot be measured here; the text says why."""


def pinned(cores):
    """What a child does before exec: die with its parent, run on these cores only."""
    libc = ctypes.CDLL(None)

    def prepare():
        libc.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
        if cores:
            os.sched_setaffinity(0, cores)

    return prepare


class Server:
    """A running target; `luns` names what it offers: {subject: (target name, LUN)}."""

    program = None

    def __init__(self, scratch, cores):
        self.scratch = scratch
        self.cores = cores
        self.port = kurad.free_port()
        self.process = None
        self.luns = {}
        self.log = os.path.join(scratch, type(self).__name__.lower() + ".log")

    def spawn(self, argv, env=None):
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.scratch,
                env=env, preexec_fn=pinned(self.cores))

    def said(self):
        with open(self.log, "r", errors="replace") as log:
            return log.read()

    def wait(self, ready):
        """Calls `ready` until it says so; raises when the server ends or takes too long."""
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until:
            if self.process.poll() is not None:
                raise Unavailable("ended at once: " + self.said().strip()[-400:])
            if ready():
                return
            time.sleep(0.05)
        raise Unavailable("not ready after %d s: %s" % (START_SECONDS, self.said()[-400:]))

    def listening(self):
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
            return True
        except OSError:
            return False

    @property
    def pid(self):
        return self.process.pid

    def stop(self):
        if self.process is None or self.process.poll() is not None:
            return
        self.process.terminate()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def need(program):
    path = shutil.which(program) or shutil.which(program, path="/usr/sbin:/usr/local/sbin")
    if not path:
        raise Unavailable(program + " is not installed")
    return path


class Disks:
    """Two block devices of the kernel over files (loop(4)): one to be served as it is, the other with
    a filesystem and a file on it. Their paths are None where there can be none."""

    def __init__(self, scratch, size):
        self.folder = os.path.join(scratch, "mounted")
        self.devices = []
        self.block = self.direct = None
        try:
            self.block = self._device(os.path.join(scratch, "block.img"), size)
            self._mount(self._device(os.path.join(scratch, "direct.img"), size + (64 << 20)))
            self.direct = os.path.join(self.folder, "disk.img")
        except (OSError, subprocess.SubprocessError) as why:
            print("# without block devices: %s %s" % (why, getattr(why, "stderr", "") or ""))

    @staticmethod
    def _run(*argv):
        done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=True,
                              env=dict(os.environ, PATH=os.environ["PATH"] + ":/usr/sbin:/sbin"))
        return done.stdout.strip()

    def _device(self, path, size):
        with open(path, "wb") as f:
            os.posix_fallocate(f.fileno(), 0, size)
        self.devices.append(self._run("losetup", "--find", "--show", path))
        return self.devices[-1]

    def _mount(self, device):
        """In a mount namespace of this process, which goes with it."""
        if ctypes.CDLL(None, use_errno=True).unshare(0x00020000):  # CLONE_NEWNS
            raise OSError(ctypes.get_errno(), "no mount namespace")
        self._run("mount", "--make-rprivate", "/")
        self._run("mkfs.ext4", "-q", "-F", device)
        os.mkdir(self.folder)
        self._run("mount", device, self.folder)

    def end(self):
        if self.direct:
            self._run("umount", self.folder)
        for device in self.devices:
            self._run("losetup", "-d", device)


class Floor(Server):
    """The yardstick: a program that only answers. Its source lies beside the checkout, or not."""

    def __init__(self, scratch, cores, source):
        super().__init__(scratch, cores)
        self.source = source
        self.luns = {"floor": ("iqn.2026-11.lab:floor", 0)}

    def start(self):
        if not os.path.exists(self.source):
            raise Unavailable("its source is not beside the checkout")
        program = os.path.join(self.scratch, "floor")
        subprocess.run(["cc", "-O2", "-o", program, self.source, "-lpthread"], check=True)
        self.spawn([program, str(self.port)])
        self.wait(self.listening)


class Kurad(Server):
    """The project's own daemon with a volume on each store; the kernel chooses its port."""

    def __init__(self, scratch, cores, path, disk, size, disks=None, **settings):
        super().__init__(scratch, cores)
        self.path = path
        name = NAME + ":kurad"
        volumes = [{"name": "mem", "store": "mem", "size": str(size)},
                   {"name": "null", "store": "null", "size": str(size)},
                   {"name": "file", "store": "file", "path": disk, "size": str(size)}]
        if disks and disks.direct:
            volumes += [{"name": "block", "store": "block", "path": disks.block},
                        {"name": "direct", "store": "file", "path": disks.direct,
                         "size": str(size), "cache": "direct"}]
        self.luns = {"kurad-" + v["name"]: (name, i) for i, v in enumerate(volumes)}
        self.config = kurad.one_target(name, volumes, **settings)
        self.daemon = None

    def start(self):
        if not self.path:
            raise Unavailable("no kurad: build it, or name it with --kurad or KURAD")
        os.environ["KURAD"] = self.path
        wrap = ["taskset", "-c", ",".join(map(str, sorted(self.cores)))] if self.cores else []
        self.daemon = kurad.Kurad(self.config, wrap=wrap)
        try:
            self.daemon.start()
        except kurad.KuradFailed as why:
            self.daemon.cleanup()
            raise Unavailable(str(why)) from why
        self.process, self.port = self.daemon.process, self.daemon.port

    def said(self):
        return self.daemon.log() if self.daemon else ""

    def stop(self):
        if self.process is not None:
            self.process = None
            self.daemon.stop()


class Tgt(Server):
    """Debian's tgt: LUN 1 on its null backing, LUN 2 on the file."""

    control_dir = "/var/run/tgtd"
    # Its defaults are small (segments of 8 KiB); a peer is measured at its best.
    tuning = (("MaxRecvDataSegmentLength", "262144"), ("FirstBurstLength", "262144"),
              ("MaxBurstLength", "16776192"), ("InitialR2T", "No"),
              ("HeaderDigest", "CRC32C,None"), ("DataDigest", "CRC32C,None"))

    def __init__(self, scratch, cores, disk):
        super().__init__(scratch, cores)
        self.disk = disk
        self.control = None
        name = NAME + ":tgt"
        self.luns = {"tgt-null": (name, 1), "tgt-file": (name, 2)}

    def admin(self, *argv):
        done = subprocess.run(
            [need("tgtadm"), "-C", str(self.control), "--lld", "iscsi", *argv],
            stdin=subprocess.DEVNULL, capture_output=True, timeout=20)
        return done.returncode == 0

    def must(self, *argv):
        if not self.admin(*argv):
            raise Unavailable("tgtadm refused: " + " ".join(argv))

    def choose_control(self):
        """A control number that no other tgtd uses; it names the socket in its folder."""
        os.makedirs(self.control_dir, exist_ok=True)
        while True:
            number = random.randrange(1000, 32000)
            if not os.path.exists("%s/socket.%d" % (self.control_dir, number)):
                return number

    def start(self):
        program = need("tgtd")
        self.control = self.choose_control()
        self.spawn([program, "-f", "-C", str(self.control),
                    "--iscsi", "portal=127.0.0.1:%d" % self.port])
        self.wait(lambda: self.admin("--op", "show", "--mode", "sys"))
        self.must("--op", "new", "--mode", "target", "--tid", "1", "-T", NAME + ":tgt")
        self.must("--op", "new", "--mode", "logicalunit", "--tid", "1", "--lun", "1",
                  "--bstype", "null", "-b", "none")
        self.must("--op", "new", "--mode", "logicalunit", "--tid", "1", "--lun", "2",
                  "--bstype", "rdwr", "-b", self.disk)
        for key, value in self.tuning:
            self.must("--op", "update", "--mode", "target", "--tid", "1", "-n", key, "-v", value)
        self.must("--op", "bind", "--mode", "target", "--tid", "1", "-I", "ALL")

    def stop(self):
        if self.process is not None and self.process.poll() is None:
            self.admin("--op", "delete", "--mode", "target", "--tid", "1", "--force")
            self.admin("--op", "delete", "--mode", "system")
            try:
                self.process.wait(2)
            except subprocess.TimeoutExpired:
                pass
        super().stop()
        for tail in ("", ".lock"):
            path = "%s/socket.%s%s" % (self.control_dir, self.control, tail)
            if self.control and os.path.exists(path):
                os.unlink(path)


class Istgt(Server):
    """Debian's istgt on the file."""

    def __init__(self, scratch, cores, disk):
        super().__init__(scratch, cores)
        self.disk = disk
        self.luns = {"istgt-file": (NAME + ":istgt", 0)}

    def start(self):
        program = need("istgt")
        config = os.path.join(self.scratch, "istgt.conf")
        auth = os.path.join(self.scratch, "istgt-auth.conf")
        with open(auth, "w"):
            os.chmod(auth, 0o600)
        with open(config, "w") as f:
            f.write(ISTGT_CONFIG.format(base=NAME, scratch=self.scratch, auth=auth,
                                        port=self.port, control=kurad.free_port(),
                                        disk=self.disk))
        self.spawn([program, "-D", "-c", config,
                    "-p", os.path.join(self.scratch, "istgt.pid")])
        self.wait(self.listening)


ISTGT_CONFIG = """
[Global]
  NodeBase "{base}"
  PidFile {scratch}/istgt.pid
  AuthFile {auth}
  MediaDirectory {scratch}
  LogFacility "local7"
  Timeout 30
  NopInInterval 20
  DiscoveryAuthMethod Auto
  MaxSessions 16
  MaxConnections 4
  MaxR2T 32
  MaxOutstandingR2T 16
  DefaultTime2Wait 2
  DefaultTime2Retain 60
  FirstBurstLength 262144
  MaxBurstLength 1048576
  MaxRecvDataSegmentLength 262144
  InitialR2T Yes
  ImmediateData Yes
  DataPDUInOrder Yes
  DataSequenceInOrder Yes
  ErrorRecoveryLevel 0
[UnitControl]
  AuthMethod Auto
  Portal UC1 127.0.0.1:{control}
  Netmask 127.0.0.1
[PortalGroup1]
  Portal DA1 127.0.0.1:{port}
[InitiatorGroup1]
  InitiatorName "ALL"
  Netmask 127.0.0.0/8
[LogicalUnit1]
  TargetName istgt
  Mapping PortalGroup1 InitiatorGroup1
  AuthMethod Auto
  UseDigest Auto
  UnitType Disk
  QueueDepth 64
  LUN0 Storage {disk} Auto
"""


def find_generator(scratch):
    """kura-bench: the one that KURA_BENCH names, the one built beside kurad, or one compiled now
    into the scratch folder."""
    built = os.path.join(os.path.dirname(kurad.binary()), "tests", "bench", "kura-bench")
    for path in (os.environ.get("KURA_BENCH"), built):
        if path and os.access(path, os.X_OK):
            return os.path.abspath(path)
    program = os.path.join(scratch, "kura-bench")
    sources = sorted(os.path.join(HERE, f) for f in os.listdir(HERE)
                     if f.endswith(".c") and not f.startswith("test_"))
    subprocess.run([os.environ.get("CC", "cc"), "-std=gnu11", "-D_GNU_SOURCE", "-O2", "-I", TOP,
                    "-o", program, *sources, "-pthread"], check=True)
    return program
