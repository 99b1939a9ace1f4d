#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The life of kurad: options, start, portals, signals, the stop, the service manager, questions."""

import contextlib
import json
import os
import signal
import socket
import stat
import struct
import subprocess
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import kurad  # noqa: E402
import tapout  # noqa: E402
import tool  # noqa: E402
from guest import wait_for  # noqa: E402

TARGET = "iqn.2026-11.kura.test:life"
VOLUME = {"name": "m", "store": "mem", "size": "8M"}
SLOW = float(os.environ.get("KURA_TEST_SLOW", "1"))
tap = tapout.Tap()


def config(**more):
    return kurad.one_target(TARGET, [VOLUME], **more)


def run(*args, **more):
    """kurad for a moment: (status, stdout, stderr)."""
    done = subprocess.run([kurad.binary(), *args], capture_output=True, text=True,
                          timeout=20 * SLOW, stdin=subprocess.DEVNULL, **more)
    return done.returncode, done.stdout, done.stderr


@contextlib.contextmanager
def folder():
    path = kurad.scratch_folder()
    try:
        yield path
    finally:
        subprocess.run(["rm", "-rf", path], check=False)


def write(path, text):
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    return path


# --- a session by hand ----------------------------------------------------------------------


class Session:
    """Just enough of an initiator to log in, wait, and log out."""

    def __init__(self, address, number=1):
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self.sock = socket.socket(family, socket.SOCK_STREAM)
        self.sock.settimeout(20 * SLOW)
        self.sock.connect(address)
        self.isid = bytes([0x80, 0, 0, 0, 0, number])
        self.stat_sn = 0

    def send(self, opcode, flags, middle, data=b""):
        head = struct.pack(">BBHB", opcode, flags, 0, 0) + len(data).to_bytes(3, "big") + middle
        self.sock.sendall(head.ljust(48, b"\0") + data + b"\0" * (-len(data) % 4))

    def receive(self):
        """(header, data) of the next PDU, None at the end."""
        header = self.exactly(48)
        if header is None:
            return None
        size = int.from_bytes(header[5:8], "big")
        data = self.exactly(size + -size % 4)
        self.stat_sn = int.from_bytes(header[24:28], "big") + 1
        return header, data[:size]

    def exactly(self, size):
        got = b""
        while len(got) < size:
            try:
                piece = self.sock.recv(size - len(got))
            except ConnectionResetError:
                return None
            if not piece:
                return None
            got += piece
        return got

    def login(self, target=TARGET):
        keys = f"InitiatorName=iqn.2026-11.kura.test:me\0TargetName={target}\0".encode()
        middle = self.isid + struct.pack(">HIHHII", 0, 7, 1, 0, 1, 0)
        self.send(0x43, 0x87, middle, keys)
        header, _ = self.receive()
        return header[36]

    def command(self, number, cdb, data=b"", flags=0x80, want=0):
        """Sends a SCSI command with its data in the same PDU."""
        middle = bytes(8) + struct.pack(">IIII", 100 + number, want, number, self.stat_sn)
        self.send(0x01, flags, middle + cdb.ljust(16, b"\0"), data)

    def ready(self):
        """TEST UNIT READY until the unit attention of the new nexus is gone; the next CmdSN."""
        for number in range(1, 10):
            self.command(number, b"")
            header, _ = self.receive()
            if header[3] == 0:
                return number + 1
        raise AssertionError("the unit does not become ready")

    def write(self, number, block, data):
        """WRITE (10) of whole blocks, as immediate data."""
        cdb = struct.pack(">BBIBHB", 0x2A, 0, block, 0, len(data) // 512, 0)
        self.command(number, cdb, data, 0xA0, len(data))

    def logout(self):
        self.send(0x46, 0x80, bytes(8) + struct.pack(">IHHII", 8, 1, 0, 1, self.stat_sn))
        return self.receive()

    def close(self):
        self.sock.close()


# --- options --------------------------------------------------------------------------------


def test_options():
    code, out, _ = run("--version")
    tap.check(code == 0 and out.startswith("kurad "), "--version", out)
    code, out, _ = run("--help")
    tap.check(code == 0 and "--config FILE" in out, "--help", out)
    code, _, err = run("--nonsense")
    tap.check(code == 2 and "--help" in err, "an unknown option ends with status 2", err)
    code, _, err = run("extra")
    tap.check(code == 2 and '"extra"' in err, "a stray word ends with status 2", err)


def test_check():
    with folder() as f:
        image = os.path.join(f, "d.img")
        volume = {"name": "d", "store": "file", "path": image, "size": "1M"}
        good = write(os.path.join(f, "good"), kurad.one_target(TARGET, [volume]))
        code, out, err = run("--config", good, "--check")
        tap.check((code, out, err) == (0, "", ""), "--check of a good file is silent", err)
        tap.check(not os.path.exists(image), "--check makes no file")
        bad = write(os.path.join(f, "bad"), "loops = 99;\nvolums = ();\n")
        code, _, err = run("--config", bad, "--check")
        lines = err.splitlines()
        tap.check(code == 1 and lines[0] == f"{bad}:1: loops: 99 is out of range; write a number "
                  "from 0 to 64" and lines[1].startswith(f"{bad}:2: volums: no such key in the "
                  "file; did you mean \"volumes\"?") and lines[2] == f"kurad: 2 mistakes in {bad}",
                  "--check prints every mistake", err)
        code, _, err = run("--config", os.path.join(f, "none"), "--check")
        tap.check(code == 1 and "cannot be read: No such file" in err, "a missing file", err)
        lonely = write(os.path.join(f, "lonely"), f'targets = ( {{ name = "{TARGET}"; }} );')
        code, _, err = run("--config", lonely, "--check")
        tap.check(code == 0 and "nobody may log in" in err and "(warning)" in err,
                  "nobody unless listed is a warning", err)


# --- start ----------------------------------------------------------------------------------


def refused(name, settings, *wanted, args=()):
    """kurad must not start on these settings, and say all of `wanted`."""
    with folder() as f:
        conf = write(os.path.join(f, "kura.conf"), settings.replace("@SCRATCH@", f))
        state = [] if "--state" in args else ["--state", os.path.join(f, "state")]
        code, _, err = run("--config", conf, "--control", os.path.join(f, "c"), *state, *args)
        tap.check(code == 1 and all(w in err for w in wanted), name, f"status {code}\n{err}")


def test_failures():
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        port = busy.getsockname()[1]
        refused("a port in use", config(portals=[{"address": "127.0.0.1", "port": port}]),
                f"portal 127.0.0.1:{port}: cannot listen: Address already in use; another program "
                "listens there")
    refused("an address that the host does not have",
            config(portals=[{"address": "192.0.2.77", "port": 0}]),
            "portal 192.0.2.77:0: cannot listen", "no interface has this address")
    refused("a state folder that cannot be made", config(),
            "/nonexistent/state: cannot be made", "--state", args=("--state", "/nonexistent/state"))
    missing = {"name": "d", "store": "file", "path": "@SCRATCH@/none/d.img", "size": "1M"}
    refused("a volume that cannot be opened", kurad.one_target(TARGET, [missing]),
            'kura.conf:5: volume "d":')
    refused("a control socket that cannot be made", config(), "/nonexistent/x/c",
            "give a --control", args=("--control", "/nonexistent/x/c"))


def test_one_state_directory():
    """Two on one state directory would each write over what verbs of the other made."""
    with kurad.Kurad(config()) as k:
        other = kurad.Kurad(config(), args=["--state", k.path("state")])
        try:
            other.spawn()
            code = other.process.wait(20 * SLOW)
            tap.check(code == 1 and "another kurad keeps its state there" in other.log(),
                      "a second kurad does not start on the state of the first", other.log_tail())
        finally:
            other.cleanup()
        tap.check(k.alive(), "which goes on")
        k.restart()


def test_portals():
    portals = [{"address": "127.0.0.1", "port": 0}, {"address": "::1", "port": 0},
               {"address": "*", "port": 0}]
    with kurad.Kurad(config(portals=portals)) as k:
        hosts = [h for h, _ in k.portals]
        tap.check(hosts == ["127.0.0.1", "::1", "0.0.0.0", "::"], "a line for each portal",
                  str(k.portals))
        tap.check(k.portals[2][1] == k.portals[3][1], "\"*\" is one port in both families")
        for host, port in k.portals:
            reach = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
            session = Session((reach, port))
            tap.check(session.login() == 0, f"a login at {host}")
            session.close()
        log = k.log()
        tap.check(log.index("volume open volume=m") < log.index("target offered") <
                  log.index("portal listening") < log.index("kurad ready"),
                  "volumes, targets, portals, ready", log)


# The kernel chooses 40001 or 40003: an odd one of the lower half.
CROWDED = """
import os, socket, sys
with open("/proc/sys/net/ipv4/ip_local_port_range", "w") as f:
    f.write("40000 40007")
taken = socket.socket(socket.AF_INET6)
taken.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
taken.bind(("::", 40001))
taken.listen()
taken.set_inheritable(True)
os.execv(sys.argv[1], sys.argv[1:])
"""


def test_port_of_another():
    """The port that the kernel chose for IPv4 may be somebody's of IPv6."""
    if subprocess.run(["unshare", "-n", "true"], capture_output=True, check=False).returncode:
        tap.skip("a port that is free in one family only", "no network of its own here")
        return
    k = kurad.Kurad(config(portals=[{"address": "*", "port": 0}]))
    k.wrap = ["unshare", "-n", sys.executable, "-c", CROWDED]
    with k:
        ports = {port for _, port in k.portals}
        tap.check(len(k.portals) == 2 and len(ports) == 1 and 40001 not in ports,
                  "a port is chosen that is free in both families", str(k.portals))


def test_restart():
    volume = {"name": "d", "store": "file", "path": "@SCRATCH@/d.img", "size": "8M"}
    with kurad.Kurad(kurad.one_target(TARGET, [volume, VOLUME])) as k:
        first = [v["uuid"] for v in ask(k, "status")["result"]["volumes"]]
        k.restart()
        again = [v["uuid"] for v in ask(k, "status")["result"]["volumes"]]
        tap.check(first == again and len(set(first)) == 2, "identities outlive a restart",
                  f"{first} {again}")


def test_spreading():
    with kurad.Kurad(config(loops=3)) as k:
        sessions = [Session((k.host, k.port), i) for i in range(9)]

        def spread():
            return sorted(l["connections"] for l in ask(k, "status")["result"]["loops"])
        tap.check(wait_for(lambda: spread() == [3, 3, 3]), "nine connections on three loops",
                  str(spread()))
        for s in sessions[:4]:
            s.close()
        wait_for(lambda: sum(spread()) == 5)
        more = [Session((k.host, k.port), i) for i in range(4)]
        tap.check(wait_for(lambda: spread() == [3, 3, 3]), "new ones go to the least loaded",
                  str(spread()))
        for s in sessions + more:
            s.close()


# --- signals and the stop -------------------------------------------------------------------


def test_hup():
    with kurad.Kurad(config()) as k:
        k.process.send_signal(signal.SIGHUP)
        tap.check(wait_for(lambda: "configuration followed" in k.log()), "SIGHUP is answered by a line", k.log())
        session = Session((k.host, k.port))
        tap.check(session.login() == 0, "and kurad serves on")
        session.close()


def test_stop_polite():
    """The session is told, logs out, and kurad does not wait any longer."""
    with kurad.Kurad(config(stop_seconds=600)) as k:
        session = Session((k.host, k.port))
        session.login()
        k.process.send_signal(signal.SIGTERM)
        header, _ = session.receive()
        tap.check(header[0] & 0x3F == 0x32 and header[36] == 1,
                  "a session is asked to log out (AsyncEvent 1)", header.hex())
        answer = session.logout()
        tap.check(answer and answer[0][0] & 0x3F == 0x26, "its logout is answered")
        code = k.process.wait(30 * SLOW)
        tap.check(code == 0, "and then kurad ends with status 0", f"status {code}\n{k.log_tail()}")
        k.start()


def test_stop_deaf():
    """A session that never answers holds the stop up no longer than stop_seconds."""
    with kurad.Kurad(config(stop_seconds=2)) as k:
        session = Session((k.host, k.port))
        session.login()
        k.end(seconds=30 * SLOW)
        tap.check("kurad stopped" in k.log(), "a deaf session is closed, and the stop is clean",
                  k.log_tail())
        session.close()
        k.start()


def slow_config(milliseconds, **more):
    volume = {"name": "d", "store": "file", "path": "@SCRATCH@/d.img", "size": "8M",
              "layers": [{"kind": "delay", "options": f"ms={milliseconds} op=write"}]}
    return kurad.one_target(TARGET, [volume], **more)


def commands(k):
    """How many commands of each session have not ended."""
    return [s["commands"] for s in tool.Tool(k).json("session list")["sessions"]]


def test_stop_writes():
    """What is being written when the stop begins is finished and answered."""
    block = os.urandom(512)
    with kurad.Kurad(slow_config(3000, stop_seconds=60)) as k:
        session = Session((k.host, k.port))
        session.login()
        number = session.ready()
        session.write(number, 3, block)
        tap.check(wait_for(lambda: commands(k) == [1]), "a write is under way")
        k.process.send_signal(signal.SIGTERM)
        seen = {}
        while 0x21 not in seen and (got := session.receive()):
            seen[got[0][0] & 0x3F] = got[0]
        tap.check(0x32 in seen and 0x21 in seen and seen[0x21][3] == 0,
                  "a write in flight is answered during the stop", str(seen))
        session.close()
        code = k.process.wait(20 * SLOW)
        with open(k.path("d.img"), "rb") as f:
            f.seek(3 * 512)
            tap.check(code == 0 and f.read(512) == block, "and is on the disk", k.log_tail())
        k.start()


def test_stop_stuck():
    """A disk that hangs does not make the stop hang."""
    k = kurad.Kurad(slow_config(600000, stop_seconds=1)).start()
    try:
        session = Session((k.host, k.port))
        session.login()
        number = session.ready()
        session.write(number, 3, bytes(512))
        tap.check(wait_for(lambda: commands(k) == [1]), "a write is under way")
        k.process.send_signal(signal.SIGTERM)
        code = k.process.wait(30 * SLOW)
        tap.check(code == 1 and "stop_seconds are over" in k.log(),
                  "a stuck write is left after stop_seconds", f"status {code}\n{k.log_tail()}")
        session.close()
    finally:
        k.cleanup()


def test_stop_at_once():
    k = kurad.Kurad(config(stop_seconds=60)).start()
    try:
        session = Session((k.host, k.port))
        session.login()
        k.process.send_signal(signal.SIGINT)
        wait_for(lambda: "kurad stopping" in k.log())
        k.process.send_signal(signal.SIGTERM)
        code = k.process.wait(20 * SLOW)
        tap.check(code == 1 and "a second signal" in k.log(), "a second signal ends it at once",
                  f"status {code}\n{k.log_tail()}")
        session.close()
    finally:
        k.cleanup()


# --- the service manager --------------------------------------------------------------------


def has_systemd():
    with open(kurad.binary(), "rb") as f:
        return b"libsystemd" in f.read()


class Manager:
    """The receiving end of sd_notify."""

    def __init__(self, path):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.bind(path)
        self.sock.settimeout(0.1)
        self.lines = []
        self.over = False
        self.thread = threading.Thread(target=self.listen)
        self.thread.start()

    def listen(self):
        while not self.over:
            try:
                self.lines += self.sock.recv(4096).decode().splitlines()
            except socket.timeout:
                pass

    def close(self):
        self.over = True
        self.thread.join()
        self.sock.close()


def test_manager():
    with folder() as f:
        path = os.path.join(f, "notify")
        manager = Manager(path)
        env = {"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "400000"}
        try:
            with kurad.Kurad(config(loops=2), env=env) as k:
                tap.check(wait_for(lambda: "READY=1" in manager.lines), "READY=1",
                          str(manager.lines))
                tap.check(wait_for(lambda: manager.lines.count("WATCHDOG=1") >= 3),
                          "WATCHDOG=1, again and again", str(manager.lines))
                k.process.send_signal(signal.SIGHUP)
                again = wait_for(lambda: manager.lines.count("READY=1") == 2)
                said = [m for m in manager.lines if not m.startswith(("WATCHDOG", "STATUS"))]
                tap.check(again and said[1] == "RELOADING=1"
                          and said[2].startswith("MONOTONIC_USEC=") and said[3] == "READY=1",
                          "RELOADING=1 with its time, then READY=1", str(said))
                k.end()
                tap.check(wait_for(lambda: "STOPPING=1" in manager.lines), "STOPPING=1",
                          str(manager.lines))
                k.start()
        finally:
            manager.close()


def given_socket(address="127.0.0.1"):
    s = socket.socket()
    s.bind((address, 0))
    s.listen()
    os.set_inheritable(s.fileno(), True)
    return s


def activated(k, sock):
    """Starts `k` with `sock` as descriptor 3, as a service manager would."""
    fd = sock.fileno()
    k.wrap = ["/bin/sh", "-c", f'exec 3<&{fd}; [ {fd} = 3 ] || exec {fd}<&-; '
              'export LISTEN_FDS=1 LISTEN_PID=$$; exec "$@"', "sh"]
    real = subprocess.Popen

    def popen(*args, **more):
        return real(*args, pass_fds=(fd,), **more)
    subprocess.Popen = popen
    try:
        return k.start()
    finally:
        subprocess.Popen = real


def test_activation():
    with given_socket() as sock:
        port = sock.getsockname()[1]
        cases = [("the portal of the configuration", [{"address": "127.0.0.1", "port": port}], 1),
                 ("a socket beside the portals", [{"address": "127.0.0.1", "port": 0}], 2)]
        for name, portals, count in cases:
            k = kurad.Kurad(config(portals=portals))
            activated(k, sock)
            try:
                tap.check(("127.0.0.1", port) in k.portals and len(k.portals) == count and
                          "given=yes" in k.log(), f"{name} is given", k.log())
                session = Session(("127.0.0.1", port))
                tap.check(session.login() == 0, f"a login there: {name}")
                session.close()
            finally:
                k.stop()
        k = kurad.Kurad(config())
        k.text = k.text[k.text.index("volumes"):]
        activated(k, sock)
        tap.check(k.portals == [("127.0.0.1", port)], "no portal is bound but what is given",
                  k.log())
        k.stop()


def test_activation_dual():
    """One IPv6 socket for everything, as a socket unit with BindIPv6Only=both makes it."""
    with socket.socket(socket.AF_INET6) as sock:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        sock.bind(("::", 0))
        sock.listen()
        port = sock.getsockname()[1]
        k = kurad.Kurad(config(portals=[{"address": "127.0.0.1", "port": port},
                                        {"address": "::1", "port": port}]))
        activated(k, sock)
        try:
            tap.check(k.portals == [("::", port)], "a socket for all serves every portal", k.log())
            for host in "127.0.0.1", "::1":
                session = Session((host, port))
                tap.check(session.login() == 0, f"a login at {host} by it")
                session.close()
            tap.check("peer=127.0.0.1:" in k.log() and "ffff" not in k.log(),
                      "an IPv4 peer is shown as one", k.log())
        finally:
            k.stop()


# --- questions ------------------------------------------------------------------------------


def ask(k, method, **more):
    asker = tool.Asker(k.path("control"))
    try:
        return asker.line(json.dumps({"jsonrpc": "2.0", "id": 5, "method": method, **more}) + "\n")
    finally:
        asker.close()


def test_questions():
    volumes = [dict(VOLUME, layers=[{"kind": "stats"}])]
    with kurad.Kurad(kurad.one_target(TARGET, volumes, loops=2)) as k:
        path = k.path("control")
        mode = stat.S_IMODE(os.stat(path).st_mode)
        tap.check(mode == 0o600, "the control socket is its owner's", oct(mode))
        answer = ask(k, "version")
        tap.check(answer["id"] == 5 and answer["result"]["name"] == "kurad", "version", str(answer))
        result = ask(k, "status")["result"]
        tap.check(len(result["loops"]) == 2 and result["connections"] == 0 and
                  result["engine"] in ("uring", "aio") and
                  result["volumes"][0]["bytes"] == 8 << 20 and
                  result["targets"][0]["luns"] == [{"lun": 0, "volume": "m"}], "status",
                  str(result))
        session = Session((k.host, k.port))
        session.login()
        result = ask(k, "stats")["result"]
        tap.check(result["counters"]["iscsi_logins"] == 1 and
                  result["volumes"][0]["name"] == "m" and
                  result["volumes"][0]["write"]["count"] == 0, "stats", str(result))
        session.close()
        result = ask(k, "verbs")["result"]
        tap.check({"version", "status", "stats", "verbs"} <= {v["verb"] for v in result["verbs"]},
                  "verbs", str(result))
        answers = [(ask(k, "nonsense"), -32601), (ask(k, "status", params={"x": 1}), -32602)]
        asker = tool.Asker(path)
        for text, code in (("nonsense\n", -32700), ("[]\n", -32600), ("{}\n", -32600), ("\n", -32700),
                           ('{"jsonrpc":"2.0","id":{},"method":"status"}\n', -32600),
                           (b'{"jsonrpc":"2.0","id":1,"method":"\xff"}\n', -32700)):
            answers.append((asker.line(text), code))
        tap.check(all(a["error"]["code"] == c for a, c in answers), "mistakes are told",
                  str(answers))
        two = '{"jsonrpc":"2.0","method":"status"}\n{"jsonrpc":"2.0","id":9,"method":"version"}\n'
        tap.check(asker.line(two)["id"] == 9, "a notification is not answered")
        tap.check(asker.line('{"jsonrpc":"2.0","id":null,"method":"version"}\n')["id"] is None,
                  "an id of null")
        tap.check(hung_up(asker, b"x" * (70 << 10)), "a request without end is cut off")
        asker.close()
        many = crowd(path, 40)
        tap.check(k.alive() and len(many) >= 16, "more askers than places")
        for a in many:
            a.close()
        tap.check(wait_for(lambda: answers_again(k)), "and then it answers again")
        code, _, err = run("--config", k.config_path, "--state", k.path("state2"), "--control", path)
        tap.check(code == 1 and "another kurad answers there" in err,
                  "a second kurad does not take the socket", err)
        k.process.kill()
        k.process.wait()
        tap.check(os.path.exists(path), "a killed kurad leaves its socket")
        k.start()
        tap.check(answers_again(k), "the next one replaces it")
        k.end()
        tap.check(not os.path.exists(path), "and removes it at the end")
        k.start()


def answers_again(k):
    try:
        return ask(k, "version") is not None
    except OSError:
        return False


def crowd(path, count):
    """As many askers as get in."""
    askers = []
    for _ in range(count):
        try:
            askers.append(tool.Asker(path))
        except BlockingIOError:
            break
    return askers


def hung_up(asker, data):
    try:
        return asker.line(data) is None
    except OSError:
        return True


def main():
    if not kurad.have_binary():
        tap.skip("the life of kurad", f"{kurad.binary()} is not built")
        return tap.done()
    tests = [test_options, test_check, test_failures, test_one_state_directory, test_portals,
             test_port_of_another, test_restart, test_spreading, test_hup, test_stop_polite,
             test_stop_deaf, test_stop_writes, test_stop_stuck, test_stop_at_once, test_questions]
    manager = [test_manager, test_activation, test_activation_dual]
    for test in tests + (manager if has_systemd() else []):
        try:
            test()
        except Exception as error:  # one that breaks must not hide the others
            tap.not_ok(f"{test.__name__} to its end", f"{type(error).__name__}: {error}")
    if not has_systemd():
        tap.skip("readiness, watchdog, activation", "built without libsystemd")
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
