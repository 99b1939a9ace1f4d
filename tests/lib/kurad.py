# SPDX-License-Identifier: Apache-2.0
"""Starts kurad for a test: generated config, scratch folder, kernel-chosen port, clean stop.

    with Kurad(config(volumes=[...], targets=[...])) as k:
        ... k.address, k.url(target, lun) ...

Leaving the block stops kurad by SIGTERM (SIGKILL after a bound) and raises KuradFailed when it
had crashed, did not stop by itself, or when a sanitizer reported something.

Environment: KURAD names the binary (default: build/gcc/kurad below the checkout), KURA_ENGINE
is handed through to it, KURA_TEST_KEEP=1 keeps the scratch folders.
"""

import ctypes
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SLOW = float(os.environ.get("KURA_TEST_SLOW", "1"))
START_SECONDS = 60 * SLOW
STOP_SECONDS = 30 * SLOW
PR_SET_PDEATHSIG = 1

SANITIZER = re.compile(
    r"ERROR: (Address|Leak|Thread|Memory)Sanitizer|WARNING: ThreadSanitizer|runtime error:")
PORTAL = re.compile(r"portal listening\b.*\baddress=\"?(\S+?):(\d+)\"?(\s|$)")
READY = "kurad ready"


class KuradFailed(Exception):
    """kurad did not start, crashed, hung at its stop, or a sanitizer spoke."""


def free_port():
    """A port for who has to be told one. It is none of those that the kernel gives to others, who
    might have it by the time when it is bound."""
    with open("/proc/sys/net/ipv4/ip_local_port_range", encoding="ascii") as f:
        first = int(f.read().split()[0])
    below = range(1024, first if first > 8192 else 65536)
    while True:
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", random.choice(below)))
            except OSError:
                continue
            return s.getsockname()[1]


def _leave(number, _frame):
    raise SystemExit(128 + number)


# A test that is told to stop still stops its kurad and takes its folder away.
if threading.current_thread() is threading.main_thread():
    signal.signal(signal.SIGTERM, _leave)


def binary():
    """The kurad under test: KURAD, or the house's own build."""
    return os.environ.get("KURAD") or os.path.join(ROOT, "build", "gcc", "kurad")


def have_binary():
    return os.access(binary(), os.X_OK)


def scratch_parent():
    """Where scratch folders go: TMPDIR, else memory, else /tmp."""
    for place in (os.environ.get("TMPDIR"), "/dev/shm", "/tmp"):
        if place and os.path.isdir(place) and os.access(place, os.W_OK):
            return place
    return "."


def scratch_folder(name="kura-test"):
    """A new folder of one's own; the caller removes it."""
    return tempfile.mkdtemp(prefix=name + ".", dir=scratch_parent())


# --- the config file ------------------------------------------------------------------------


def _value(value, depth):
    pad = "  " * (depth + 1)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return f"{value}L" if abs(value) > 0x7FFFFFFF else str(value)
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(value, dict):
        body = "".join(f"{pad}{k} = {_value(v, depth + 1)};\n" for k, v in value.items())
        return "{\n" + body + "  " * depth + "}"
    items = [_value(v, depth + 1) for v in value]
    return "( " + ", ".join(items) + " )"


def config_text(settings):
    """libconfig text of a dict of settings."""
    return "".join(f"{k} = {_value(v, 0)};\n" for k, v in settings.items())


def config(volumes, targets, portals=None, **more):
    """A whole config file with one loopback portal on a port that the kernel chooses."""
    settings = {"portals": portals or [{"address": "127.0.0.1", "port": 0}]}
    settings["volumes"] = volumes
    settings["targets"] = targets
    settings.update(more)
    return config_text(settings)


def one_target(name, volumes, initiator="*", **more):
    """The config of one target that serves each of the volumes, as LUN 0, 1, ..."""
    luns = [{"lun": i, "volume": v["name"]} for i, v in enumerate(volumes)]
    target = {"name": name, "luns": luns, "initiators": [{"name": initiator}]}
    return config(volumes, [target], **more)


# --- the process ----------------------------------------------------------------------------


def die_with_parent():
    """In a child, before exec: be killed when the test ends, however it ends."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Kurad:
    """One kurad.  start() returns when it serves; stop() checks that it went well."""

    def __init__(self, text, args=(), env=None, wrap=()):
        self.text = text
        self.args = list(args)
        self.wrap = list(wrap)
        self.env = dict(os.environ, **(env or {}))
        self.env.setdefault("ASAN_OPTIONS", "detect_leaks=1:abort_on_error=0")
        self.env.setdefault("UBSAN_OPTIONS", "print_stacktrace=1")
        self.scratch = scratch_folder()
        self.log_path = os.path.join(self.scratch, "kurad.log")
        self.config_path = os.path.join(self.scratch, "kura.conf")
        self.process = None
        self.asked = False  # to stop, by terminate()
        self.portals = []

    def path(self, name):
        """A path in this kurad's scratch folder."""
        return os.path.join(self.scratch, name)

    def log(self):
        """Everything kurad has said so far."""
        try:
            with open(self.log_path, encoding="utf-8", errors="replace") as f:
                return f.read()
        except FileNotFoundError:
            return ""

    def log_tail(self, lines=25):
        return "\n".join(self.log().splitlines()[-lines:])

    def _command(self):
        state = self.path("state")
        os.makedirs(state, exist_ok=True)
        return self.wrap + [binary(), "--config", self.config_path, "--state", state,
                            "--control", self.path("control"), *self.args]

    def spawn(self):
        """Starts the process without waiting for anything."""
        with open(self.config_path, "w", encoding="utf-8") as f:
            f.write(self.text.replace("@SCRATCH@", self.scratch))
        os.chmod(self.config_path, 0o600)  # it may hold secrets
        with open(self.log_path, "ab") as log:
            try:
                self.process = subprocess.Popen(
                    self._command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                    env=self.env, cwd=self.scratch, preexec_fn=die_with_parent)
            except OSError as error:
                raise KuradFailed(f"{binary()}: {error.strerror}; build it, or name it in KURAD") \
                    from None
        return self

    def start(self):
        """Starts it and waits until it serves."""
        begin = len(self.log())
        self.spawn()
        end = time.monotonic() + START_SECONDS
        while READY not in self.log()[begin:]:
            if self.process.poll() is not None:
                raise KuradFailed(f"kurad ended with {self.process.returncode} before it was "
                                  f"ready\n{self.log_tail()}")
            if time.monotonic() > end:
                self._kill()
                raise KuradFailed(f"kurad not ready in {START_SECONDS} s\n{self.log_tail()}")
            time.sleep(0.01)
        self.portals = [(m[1].strip("[]"), int(m[2])) for m in PORTAL.finditer(self.log()[begin:])]
        if not self.portals:
            self._kill()
            raise KuradFailed("kurad is ready but named no portal\n" + self.log_tail())
        return self

    @property
    def host(self):
        return self.portals[0][0]

    @property
    def port(self):
        return self.portals[0][1]

    @property
    def address(self):
        """The first portal as HOST:PORT, an IPv6 address in brackets."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    def url(self, target, lun=0):
        return f"iscsi://{self.address}/{target}/{lun}"

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def cpu_ticks(self):
        """CPU time used so far, in clock ticks."""
        with open(f"/proc/{self.process.pid}/stat", encoding="ascii", errors="replace") as f:
            fields = f.read().rsplit(")", 1)[1].split()
        return int(fields[11]) + int(fields[12])

    def _kill(self):
        if self.alive():
            self.process.kill()
            self.process.wait()

    def _check(self, code):
        found = SANITIZER.search(self.log())
        if found:
            text = self.log()[max(0, found.start() - 200):found.start() + 6000]
            raise KuradFailed("a sanitizer reported:\n" + text)
        if code != 0:
            raise KuradFailed(f"kurad ended with {code}\n{self.log_tail()}")

    def terminate(self):
        """Asks it to stop, and does not wait: end() does."""
        self.asked = True
        self.process.send_signal(signal.SIGTERM)

    def end(self, seconds=STOP_SECONDS):
        """SIGTERM, a bounded wait, and the verdict; the scratch folder stays."""
        if self.process is None:
            return
        asked, self.asked = self.asked, False
        if not asked and self.process.poll() is not None:
            code = self.process.returncode
            self.process = None
            self._check(code)
            raise KuradFailed("kurad ended by itself\n" + self.log_tail())
        if not asked:
            self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._kill()
            self.process = None
            raise KuradFailed(f"kurad did not stop in {seconds} s after SIGTERM\n"
                              + self.log_tail()) from None
        self.process = None
        self._check(code)

    def restart(self):
        """Stops and starts it again on the same config and scratch folder."""
        self.end()
        return self.start()

    def cleanup(self):
        self._kill()
        if os.environ.get("KURA_TEST_KEEP") != "1":
            shutil.rmtree(self.scratch, ignore_errors=True)

    def stop(self):
        """end() and the scratch folder goes."""
        try:
            self.end()
        finally:
            self.cleanup()

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            self.cleanup()
            raise

    def __exit__(self, kind, value, trace):
        if kind is None:
            self.stop()
            return
        crashed = not self.alive() or SANITIZER.search(self.log())
        tail = self.log_tail(60)
        self.cleanup()
        if crashed:
            raise KuradFailed(f"kurad died or a sanitizer spoke during: {value}\n{tail}") from value
