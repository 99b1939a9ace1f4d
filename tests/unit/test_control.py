#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The control socket against clients that are wrong, rude, many, or nobody who may ask."""

import contextlib
import json
import os
import pty
import shutil
import signal
import socket
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import kurad  # noqa: E402
import tapout  # noqa: E402
import tool  # noqa: E402

TARGET = "iqn.2026-11.kura.test:control"
SLOW = float(os.environ.get("KURA_TEST_SLOW", "1"))
VOLUMES = [{"name": "a", "store": "mem", "size": "8M"}]
CLIENTS_MAX = 32  # CTL_CLIENTS_MAX
LOOKERS_MAX = 24  # CTL_LOOKERS_MAX
tap = tapout.Tap()

WRONG = {"string": (5, 1.5, True, [], ["x"], {}, None),
         "integer": ("1", "x", 1.5, 1e300, -1, True, [], {}, None),
         "boolean": ("yes", 1, 0, [], {}, None),
         "array": ("x", 5, True, {}, None, [5], [None], [["x"]], [{}])}
RIGHT = {"string": "x", "integer": 1, "boolean": True, "array": ["x"]}


def request(method, params):
    return json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}) + "\n"


def exit_of(answer):
    return answer.get("error", {}).get("data", {}).get("exit")


def works(k):
    """Whether another client is served."""
    asker = tool.Asker(k.path("control"))
    answer = asker.call("version")
    asker.close()
    return answer.get("result", {}).get("name") == "kurad"


def test_types():
    """Every argument of every verb, with values of every wrong type: none of them may run."""
    with kurad.Kurad(kurad.one_target(TARGET, VOLUMES)) as k:
        asker = tool.Asker(k.path("control"))
        bad = []
        tried = 0
        for verb, row in tool.Tool()("help --schema").json().items():
            schema = row["params"]
            members = schema["properties"]
            right = {name: RIGHT[members[name]["type"]] for name in schema["required"]}
            for name, member in members.items():
                for value in WRONG[member["type"]]:
                    answer = asker.line(request(verb, {**right, name: value}))
                    tried += 1
                    if exit_of(answer) != 2:
                        bad.append(f"{verb} {name}={value!r}: {answer}")
            for params in ({**right, "no_such": 1}, [], "x", 5):
                answer = asker.line(request(verb, params))
                tried += 1
                if exit_of(answer) != 2:
                    bad.append(f"{verb} {params!r}: {answer}")
            for name in schema["required"]:
                answer = asker.line(request(verb, {n: v for n, v in right.items() if n != name}))
                if exit_of(answer) != 2:
                    bad.append(f"{verb} without {name}: {answer}")
        asker.close()
        tap.check(not bad and tried > 500, f"{tried} wrong calls are refused with exit 2",
                  "\n".join(bad[:20]))
        tap.check(k.alive() and works(k) and tool.ask(tool.Tool(k), "status")[1]["state"] ==
                  "serving", "and nothing has changed")


ODD = (("no JSON", b"status\n"), ("a NUL", b'{"jsonrpc":"2.0",\0"id":1,"method":"version"}\n'),
       ("no UTF-8", b'{"jsonrpc":"2.0","id":1,"method":"\xff\xfe"}\n'), ("an empty line", b"\n"),
       ("very deep", b"[" * 30000 + b"]" * 30000 + b"\n"),
       ("deep parameters", b'{"jsonrpc":"2.0","id":1,"method":"version","params":' +
        b'{"a":' * 5000 + b"1" + b"}" * 5000 + b"}\n"),
       ("a batch", b'[{"jsonrpc":"2.0","id":1,"method":"version"}]\n'),
       ("a key twice", b'{"jsonrpc":"2.0","id":1,"id":2,"method":"version"}\n'),
       ("an id that is an object", b'{"jsonrpc":"2.0","id":{},"method":"version"}\n'),
       ("another version", b'{"jsonrpc":"1.0","id":1,"method":"version"}\n'),
       ("a method that is a number", b'{"jsonrpc":"2.0","id":1,"method":7}\n'),
       ("a number without end", b'{"jsonrpc":"2.0","id":' + b"9" * 5000 + b',"method":"version"}\n'),
       ("a long method", request("x" * 60000, {}).encode()),
       ("bytes of every value", bytes(b for b in range(256) if b != 10) + b"\n"))


def test_odd():
    with kurad.Kurad(kurad.one_target(TARGET, VOLUMES)) as k:
        path = k.path("control")
        asker = tool.Asker(path)
        for name, text in ODD:
            answer = asker.line(text)
            tap.check(answer and "error" in answer and "result" not in answer, name, str(answer)[:300])
        tap.check("result" in asker.call("version"), "the same client is served afterwards")
        asker.sock.sendall(request("version", {}).encode() * 200)
        got = [json.loads(asker.file.readline()) for _ in range(200)]
        tap.check(all("result" in a for a in got), "200 requests at once have 200 answers")
        for byte in request("version", {}).encode():
            asker.sock.sendall(bytes((byte,)))
        tap.check("result" in json.loads(asker.file.readline()), "one that comes byte by byte")
        asker.close()

        asker = tool.Asker(path)
        with contextlib.suppress(OSError):
            asker.sock.sendall(b"x" * 200000)
        try:
            rest = asker.sock.recv(65536)
        except OSError:
            rest = b""
        tap.check(rest == b"", "a line that is too long ends the connection", str(rest[:100]))
        asker.close()

        half = tool.Asker(path)
        half.sock.sendall(request("version", {}).encode()[:-10])
        tap.check(works(k), "half a request holds up nobody")
        half.close()
        deaf = socket.socket(socket.AF_UNIX)
        deaf.connect(path)
        deaf.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                deaf.send(request("verbs", {}).encode())
        tap.check(works(k), "nor one who does not read")
        deaf.close()
        tap.check(works(k) and k.alive(), "nor its end")


def test_many():
    with kurad.Kurad(kurad.one_target(TARGET, VOLUMES)) as k:
        path = k.path("control")
        askers = [tool.Asker(path) for _ in range(40)]
        served, refused = 0, 0
        for asker in askers:
            try:
                answer = asker.call("version")
            except OSError:  # refused and closed before it was asked
                answer = json.loads(asker.file.readline())
            served += "result" in answer
            refused += exit_of(answer) == 8
        tap.check((served, refused) == (CLIENTS_MAX, 40 - CLIENTS_MAX),
                  "of 40 clients 32 are served and the others told to come back",
                  f"{served} {refused}")
        for asker in askers:
            asker.close()
        for _ in range(500):
            with contextlib.suppress(OSError, json.JSONDecodeError, AttributeError):
                if works(k):
                    break
        tap.check(works(k), "and are served when the others have gone")


NOBODY, KURA_GID, MONITOR_GID = 65534, 61001, 61002


def one_call(path, method, params=None):
    """What a call of one who may not be let in comes to: a line, or None when the socket is shut."""
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(20 * SLOW)
        try:
            s.connect(path)
        except PermissionError:
            return None
        with contextlib.suppress(BrokenPipeError):
            s.sendall(request(method, params or {}).encode())
        with s.makefile("rb") as f:
            return f.readline()


def monitors(k, count):
    """How many of so many clients that may only look are served at once; then root's own call."""
    here, there = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            os.close(here)
            os.setgroups([MONITOR_GID])
            os.setresgid(NOBODY, NOBODY, NOBODY)
            os.setresuid(NOBODY, NOBODY, NOBODY)
            askers = [tool.Asker(k.path("control")) for _ in range(count)]
            served = 0
            for asker in askers:
                with contextlib.suppress(OSError, AttributeError):
                    served += "result" in asker.call("version")
            os.write(there, bytes([served]))
            time.sleep(60 * SLOW)
        finally:
            os._exit(0)
    os.close(there)
    with os.fdopen(here, "rb") as f:
        served = f.read(1)[0]
    root = works(k)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return served, root


def as_user(k, method, groups=(), params=None, said=None):
    """Exit status of a call by a user that is nobody in particular; 0: done, None: shut out. What it
    was told goes to `said`."""
    here, there = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            os.setgroups(list(groups))
            os.setresgid(NOBODY, NOBODY, NOBODY)
            os.setresuid(NOBODY, NOBODY, NOBODY)
            os.write(there, one_call(k.path("control"), method, params) or b"")
        finally:
            os._exit(0)
    os.close(there)
    with os.fdopen(here, "rb") as f:
        line = f.read()
    os.waitpid(pid, 0)
    if not line:
        return None
    answer = json.loads(line)
    if said is not None:
        said.append(line.decode())
    return 0 if "result" in answer else exit_of(answer)


SECRETS = ("open sesame, target", "open sesame, host", "open sesame, discovery")


def secretive():
    """Everything that may have a secret has one."""
    auth = [{"user": f"user{i}", "secret": s} for i, s in enumerate(SECRETS)]
    return kurad.config(VOLUMES, [{"name": TARGET, "auth": auth[0], "luns": [{"lun": 0, "volume": "a"}],
                                   "access": [{"host": "h"}]}],
                        hosts=[{"name": "h", "auth": auth[1], "initiators": [{"name": "*"}]}],
                        discovery_auth=auth[2], log_level="debug")


def every_verb(k):
    """A monitor, and each verb: those that look are answered, the others not, and no secret is told."""
    values = {"target": TARGET, "host": "h", "volume": "a", "pool": "p", "for": "linux"}
    rows = {v["verb"]: v["class"] for v in tool.Tool(k).json("verbs")["verbs"]}
    wrong, said = [], []
    for verb, row in tool.Tool()("help --schema").json().items():
        schema = row["params"]
        params = {name: values.get(name, RIGHT[schema["properties"][name]["type"]])
                  for name in schema["required"]}
        for name, words in (("kind", "dir"), ("tasks", "on"), ("file", "/x"), ("size", 4096)):
            if name in params and type(params[name]) is type(words):
                params[name] = words
        code = as_user(k, verb, (MONITOR_GID,), params, said)
        if (code == 7) == (rows[verb] == "look") or code == 2:
            wrong.append(f"{verb}: {code} {said[-1]}")
    tap.check(not wrong and len(said) > 50, "a monitor may look, by every verb, and do nothing else",
              "\n".join(wrong))
    told = "".join(said) + k.log() + tool.Tool(k)("export").out
    tap.check(not any(s in told for s in SECRETS), "no secret is told, nor logged")


def test_users():
    if os.geteuid() or not shutil.which("unshare"):
        tap.skip("who may ask", "needs root")
        return
    config = secretive()
    with open("/etc/group", encoding="utf-8") as f:
        groups = [g for g in f.read().splitlines() if g.split(":")[0] not in ("kura", "kura-monitor")]
    k = kurad.Kurad(config)
    names = k.path("group")
    k.wrap = ["unshare", "-m", "--propagation", "private", "sh", "-c",
              f"mount --bind {names} /etc/group && exec \"$@\"", "sh"]
    probe = subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False)
    if probe.returncode:
        k.cleanup()
        tap.skip("who may ask", "no mount namespaces here")
        return
    os.chmod(k.scratch, 0o711)
    with open(names, "w", encoding="utf-8") as f:
        f.write("\n".join(groups) + "\n")
    with k:
        tap.check(oct(os.stat(k.path("control")).st_mode & 0o777) == "0o600" and
                  as_user(k, "version") is None, "without groups the socket is root's")
        k.end()
        with open(names, "a", encoding="utf-8") as f:
            f.write(f"kura:x:{KURA_GID}:\nkura-monitor:x:{MONITOR_GID}:\n")
        k.start()
        tap.check(as_user(k, "version") == 7 and as_user(k, "resume") == 7, "nobody may not ask")
        tap.check(as_user(k, "status", (MONITOR_GID,)) == 0, "a monitor looks")
        tap.check(as_user(k, "drain", (MONITOR_GID,)) == 7, "and changes nothing")
        tap.check(tool.ask(tool.Tool(k), "status")[1]["state"] == "serving", "really")
        tap.check(as_user(k, "drain", (KURA_GID,)) == 0, "the group kura changes")
        tap.check(tool.ask(tool.Tool(k), "status")[1]["state"] == "drained", "really")
        tap.check(f"uid={NOBODY}" in k.log(), "the log says who")
        as_user(k, "resume", (KURA_GID,))
        every_verb(k)
        served, root = monitors(k, 40)
        tap.check(served == LOOKERS_MAX and root, "monitors, as many as come, do not keep root out",
                  f"{served} {root}")
        k.end()
        with open(names, "w", encoding="utf-8") as f:
            members = ",".join(f"member{i}" for i in range(3000))
            f.write("\n".join(groups) + f"\nkura-monitor:x:{MONITOR_GID}:{members}\n")
        k.start()
        tap.check(as_user(k, "status", (MONITOR_GID,)) == 0, "a group of thousands is one as well")
        many = range(70000, 70400)
        tap.check(as_user(k, "status", (*many, MONITOR_GID)) == 0, "and so is one of hundreds")


def test_others_socket():
    """A socket of another kind is another program's, and was taken for one of a dead kurad."""
    k = kurad.Kurad(kurad.one_target(TARGET, VOLUMES))
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
            other.bind(k.path("control"))
            code = k.spawn().process.wait(20 * SLOW)
            tap.check(code == 1 and os.path.exists(k.path("control")) and "or another program" in
                      k.log(), "a socket of another program stays its own", f"{code} {k.log_tail()}")
    finally:
        k.cleanup()


def appears(path):
    end = time.monotonic() + 30 * SLOW
    while not os.path.exists(path) and time.monotonic() < end:
        time.sleep(0.02)
    return os.path.exists(path)


def interrupt(kura):
    """Somebody at a terminal waits for a job and does not want to any more."""
    master, slave = pty.openpty()
    with subprocess.Popen([tool.binary(), *kura.options, "job", "wait", "1"], stdin=slave,
                          stdout=subprocess.PIPE, stderr=slave, text=True) as run:
        os.close(slave)
        said = os.read(master, 4096)  # its bar: it waits
        run.send_signal(signal.SIGINT)
        out, _ = run.communicate(timeout=60 * SLOW)
        with contextlib.suppress(OSError):
            while more := os.read(master, 4096):
                said += more
        tap.check(run.returncode == 1 and not out and b"job 1 goes on" in said,
                  "Ctrl-C leaves the job, and is not taken for its end", f"{run.returncode} {said}")
    os.close(master)


def box_with(tools, script, **more):
    """A kurad, not started, for which these tools are a script of ours; @ is its folder."""
    k = kurad.Kurad(kurad.one_target(TARGET, VOLUMES, **more))
    os.mkdir(k.path("bin"))
    for name in tools:
        with open(k.path("bin/" + name), "w", encoding="ascii") as f:
            f.write(script.replace("@", k.scratch))
        os.chmod(k.path("bin/" + name), 0o755)
    with open(k.path("image"), "wb") as f:
        f.truncate(1 << 20)
    k.env["PATH"] = k.path("bin") + ":" + k.env["PATH"]
    return k


LVM = ("lvm", "lvs", "vgs", "pvs")
# Tells that it was started, and ends with who has started it, or when it may go.
STUCK = """#!/bin/sh
: >'@/stuck'
while kill -0 $PPID 2>/dev/null && ! [ -e '@/go' ]; do sleep 0.1; done
exit 1
"""


def test_late():
    """A verb that ends later than the connections, but in time: the stop is a clean one."""
    with box_with(LVM, STUCK, stop_seconds=int(4 * SLOW)) as k:
        asked = tool.Later(tool.Tool(k), "pool import", "l", "--kind", "lvm", "--vg", "none")
        appears(k.path("stuck"))
        k.terminate()
        end = time.monotonic() + 30 * SLOW
        while "every connection is closed" not in k.log() and time.monotonic() < end:
            time.sleep(0.02)
        open(k.path("go"), "wb").close()
        code = k.process.wait(30 * SLOW)
        asked.wait()
        tap.check(code == 0 and "in the middle" not in k.log(), "what ends late ends well",
                  f"{code}\n{k.log_tail()}")


def test_image_that_hangs():
    """qemu-img looked at an image on a file system that hung, and nothing ended that job."""
    with box_with(("qemu-img",), STUCK) as k:
        kura = tool.Tool(k)
        kura("pool add p --kind dir --path " + k.path("pool"))
        kura(f"volume import i --pool p --file {k.path('image')} --detach")
        appears(k.path("stuck"))
        interrupt(kura)
        kura("job cancel 1")
        done = kura("job wait 1")
        tap.check(done.code == 1 and "ended as asked" in done.err, "job cancel ends it", str(done))


def test_stuck():
    """A verb never ends, as a tool that it needs does not: SIGHUP waits for it, the stop does not."""
    k = box_with(LVM, STUCK, stop_seconds=2)
    try:
        k.start()
        kura = tool.Tool(k)
        asked = tool.Later(kura, "pool add", "l", "--kind", "lvm", "--vg", "none")
        tap.check(appears(k.path("stuck")), "pool add is stuck", k.log_tail())
        k.process.send_signal(signal.SIGHUP)
        tap.check(works(k), "SIGHUP or not, others are answered")
        k.terminate()
        try:
            code = k.process.wait(30 * SLOW)
        except subprocess.TimeoutExpired:
            code = None
        tap.check(code == 1 and "in the middle of a verb" in k.log(), "kurad ends all the same",
                  f"{code}\n{k.log_tail()}")
        asked.wait()
        k._kill()
        k.process, k.asked = None, False
        open(k.path("go"), "wb").close()
        k.start()
        tap.check(not kura.json("pool list")["pools"], "and the next start has nothing of it")
        k.end()
    finally:
        k.cleanup()


signal.alarm(int(180 * SLOW))
for test in (test_types, test_odd, test_many, test_users, test_others_socket, test_late,
             test_image_that_hangs, test_stuck):
    test()
sys.exit(tap.done())
