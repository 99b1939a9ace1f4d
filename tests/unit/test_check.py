#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`kura check`: each thing that is wrong is found, with what to do, and gone when it is put right."""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import kurad  # noqa: E402
import tapout  # noqa: E402
import tool  # noqa: E402

TARGET = "iqn.2026-11.kura.test:check"
HOST = "iqn.2026-11.kura.test:host"
SLOW = float(os.environ.get("KURA_TEST_SLOW", "1"))
MEM = {"name": "a", "store": "mem", "size": "8M"}
IN_MEMORY = (b"tmpfs", b"ramfs")
tap = tapout.Tap()


def lies_in_memory(path):
    return subprocess.run(["stat", "-f", "-c", "%T", path], capture_output=True,
                          check=False).stdout.strip() in IN_MEMORY


# Memory is a finding of its own.
if not lies_in_memory("/var/tmp"):
    os.environ["TMPDIR"] = tempfile.tempdir = "/var/tmp"


def may(*command):
    """Whether this may be done here."""
    return not subprocess.run(command, check=False, capture_output=True).returncode


def inside(setup):
    """In a network and mounts of its own, in which a line of shell is run before kurad."""
    return ["unshare", "-n", "-m", "--propagation", "private", "sh", "-c",
            f"ip link set lo up && {setup} && exec \"$@\"", "sh"]


def enter(k, line):
    """A line of shell where kurad is."""
    subprocess.run(["nsenter", "-t", str(k.process.pid), "-n", "-m", "sh", "-c", line], check=True,
                   stdout=subprocess.DEVNULL)


def check(kura, *args):
    """(exit status, {(severity, object): finding})"""
    done = kura.run("check", "--json", *args)
    answer = done.json()
    wrong = tool.fits(tool.Tool()("help --schema").json()["check"]["result"], answer)
    if wrong:
        raise AssertionError(wrong)
    for f in answer["findings"]:
        if f["severity"] != "ok" and not f["remedy"]:
            raise AssertionError(f"no remedy: {f}")
    return done.code, {(f["severity"], f["object"]): f["finding"] for f in answer["findings"]}


def found(kura, name, severity, what, text):
    code, findings = check(kura)
    tap.check(text in findings.get((severity, what), "") and
              code == (0 if severity == "hint" else 1), name, f"exit {code}: {findings}")


def test_quiet():
    with kurad.Kurad(kurad.one_target(TARGET, [MEM], initiator=HOST)) as k:
        kura = tool.Tool(k)
        code, findings = check(kura)
        tap.check(code == 0 and all(s == "hint" for s, _ in findings), "nothing is wrong",
                  str(findings))
        tap.check(("hint", "portals") in findings, "but that only loopback is listened at")
        code, everything = check(kura, "--all")
        tap.check({("ok", "loops"), ("ok", "targets"), ("ok", "volumes"), ("ok", "files")} <=
                  set(everything), "--all says what was looked at", str(everything))
        done = kura("check")
        tap.check(done.code == 0 and done.out.splitlines()[0].split() ==
                  ["SEVERITY", "OBJECT", "FINDING", "REMEDY"], "a table for people", str(done))
        tap.check(kura("status").out.startswith("Health: ok\n"), "status begins with it",
                  kura("status").out)


TABLE = f"""SEVERITY | OBJECT | FINDING | REMEDY
hint | portals | only loopback is listened at: no other machine can connect | kura portal add ADDRESS
hint | target {TARGET} | anybody who reaches a portal may enter it | kura target allow {TARGET} \
--initiator IQN for each, then kura target deny {TARGET} --initiator '*'; or ask for a secret (CHAP)
hint | target {TARGET}2 | nobody may enter it | kura target allow {TARGET}2 --initiator IQN
hint | target {TARGET}3 | it has no LUN | kura lun add {TARGET}3 VOLUME
hint | volume spare | no target maps it | kura share spare --to IQN
warning | volume huge | it may take N MiB more, but its file system has N MiB left | make room in its \
file system, or move it to a larger one
"""


def test_rights():
    """A kurad without the capability says what pools of LVM need, and no pool of it is opened."""
    if os.geteuid() or not shutil.which("setpriv"):
        tap.skip("a kurad that may not use the device mapper", "not root, or no setpriv here")
        return
    with kurad.Kurad(kurad.one_target(TARGET, [MEM]),
                     wrap=["setpriv", "--bounding-set=-sys_admin"]) as k:
        kura = tool.Tool(k)
        if shutil.which("lvm"):
            found(kura, "without CAP_SYS_ADMIN: a hint", "hint", "lvm", "device mapper")
        for kind in ("lvm", "lvm-thin --thin-pool tp"):
            done = kura(f"pool add p --vg vg --kind {kind}")
            tap.check(done.code == 1 and "CAP_SYS_ADMIN" in done.err
                      and "kurad-lvm.conf" in done.err, f"pool add {kind} says what it needs",
                      str(done))


def test_served():
    volumes = [MEM, {"name": "spare", "store": "mem", "size": "8M"},
               {"name": "huge", "store": "file", "path": "@SCRATCH@/huge", "size": "15T"}]
    targets = [{"name": TARGET, "luns": [{"lun": 0, "volume": "a"}, {"lun": 1, "volume": "huge"}],
                "initiators": [{"name": "*"}]},
               {"name": TARGET + "2", "luns": [{"lun": 0, "volume": "a"}]},
               {"name": TARGET + "3", "initiators": [{"name": HOST}]}]
    with kurad.Kurad(kurad.config(volumes, targets)) as k:
        kura = tool.Tool(k)
        findings = check(kura)[1]
        for severity, what, text in (("hint", "volume spare", "no target maps it"),
                                     ("warning", "volume huge", "its file system has"),
                                     ("hint", f"target {TARGET}", "anybody"),
                                     ("hint", f"target {TARGET}2", "nobody may enter"),
                                     ("hint", f"target {TARGET}3", "no LUN")):
            tap.check(text in findings.get((severity, what), ""), f"{what}: {text}", str(findings))
        tap.check("0 errors, 1 warning: kura check" in kura("status").out, "status tells",
                  kura("status").out)
        table = [l for l in kura("check").out.splitlines() if "  engine  " not in l]
        said = "\n".join(re.sub(r"\d+ MiB", "N MiB", re.sub(" {2,}", " | ", l)) for l in table)
        tap.check(said + "\n" == TABLE, "as people see it", said)
        kura("drain")
        found(kura, "drained", "warning", "kurad", "nobody may log in")


def test_private():
    auth = 'auth = { user = "u"; secret_file = "@SCRATCH@/secret"; };\ninitiators = ('
    text = kurad.one_target(TARGET, [MEM], initiator=HOST).replace("initiators = (", auth)
    k = kurad.Kurad(text)
    secret = k.path("secret")
    with open(secret, "w", encoding="ascii") as f:
        f.write("abcdef7890\n")
    os.chmod(secret, 0o600)
    with k:
        kura = tool.Tool(k)
        found(kura, "a short secret", "warning", "secret of u", "10 bytes")
        os.chmod(secret, 0o644)
        found(kura, "a secret that others may read", "error", f"secret {secret}", "mode 644")
        os.chmod(secret, 0o600)
        tap.check(("error", f"secret {secret}") not in check(kura)[1], "put right")
        os.chmod(k.config_path, 0o666)
        found(kura, "a configuration that others may write", "error",
              f"configuration {k.config_path}", "mode 666")
        os.chmod(k.config_path, 0o600)
        os.chmod(k.path("state"), 0o777)
        found(kura, "a state directory that others may write", "warning", f"state {k.path('state')}",
              "mode 777")


def serving(**more):
    return kurad.one_target(TARGET, [MEM], initiator=HOST, **more)


# Before it becomes kurad, a process takes io_uring away from itself, as containers do: a filter by
# which io_uring_setup (425) says EPERM; seccomp(2).
WITHOUT_RING = """
import ctypes, os, struct, sys
code = [(0x20, 0, 0, 0), (0x15, 0, 1, 425), (0x06, 0, 0, 0x00050001), (0x06, 0, 0, 0x7fff0000)]
rules = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *c) for c in code))
program = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(code), ctypes.addressof(rules)))
libc = ctypes.CDLL(None, use_errno=True)
assert not libc.prctl(38, 1, 0, 0, 0) and not libc.prctl(22, 2, program, 0, 0)
os.execvp(sys.argv[1], sys.argv[1:])
"""


def test_engine():
    with kurad.Kurad(serving(), env={"KURA_ENGINE": ""},
                     wrap=[sys.executable, "-c", WITHOUT_RING]) as k:
        findings = check(tool.Tool(k), "--all")[1]
        tap.check([s for s, w in findings if w == "engine"][0] in ("hint", "warning") and
                  any("io_uring" in f for (_, w), f in findings.items() if w == "engine"),
                  "io_uring is not allowed", str(findings))
    with kurad.Kurad(serving(engine="aio"), env={"KURA_ENGINE": ""}) as k:
        found(tool.Tool(k), "aio is wanted", "hint", "engine", "asks for aio")


def test_limits():
    if not may("setpriv", "--bounding-set=-ipc_lock", "prlimit", "--nofile=600:600", "true"):
        tap.skip("limits", "needs setpriv and prlimit as root")
        return
    with kurad.Kurad(serving(), wrap=["prlimit", "--nofile=600:600"]) as k:
        found(tool.Tool(k), "too few files", "warning", "limits", "600 files")
    with kurad.Kurad(serving(), wrap=["setpriv", "--bounding-set=-ipc_lock", "prlimit",
                                      "--memlock=8388608:8388608"]) as k:
        kura = tool.Tool(k)
        if kura.json("status")["engine"] == "uring":
            found(kura, "too little may be locked", "warning", "limits", "8192 KiB of memory")
        else:
            tap.check(("warning", "limits") not in check(kura)[1], "aio locks nothing")


def test_network():
    if not may(*inside("sysctl -qw net.ipv4.tcp_sack=0"), "true"):
        tap.skip("TCP settings", "no network namespaces here")
        return
    with kurad.Kurad(serving(), wrap=inside(
            "sysctl -qw net.ipv4.tcp_sack=0 net.ipv4.tcp_rmem='4096 16384 65536'")) as k:
        kura = tool.Tool(k)
        found(kura, "no selective acknowledgements", "warning", "network", "tcp_sack is off")
        tap.check("allows 65536 bytes" in check(kura)[1].get(("hint", "network"), ""),
                  "small buffers", str(check(kura)))
        for remedy in (f["remedy"] for f in kura("check --json").json()["findings"]
                       if f["object"] == "network"):
            enter(k, remedy.split(", and")[0])
        tap.check(check(kura, "--all")[1].get(("ok", "network")), "the remedies are commands")


def test_discard():
    """A file system that has no holes, in a mount of its own."""
    if not may("unshare", "-m", "true"):
        tap.skip("a volume that cannot discard", "no mount namespaces here")
        return
    k = kurad.Kurad(kurad.one_target(TARGET, [
        {"name": "a", "store": "file", "path": "@SCRATCH@/plain/a", "size": "1M"},
        {"name": "b", "store": "file", "path": "@SCRATCH@/plain/b", "size": "1M", "thin": False}],
        initiator=HOST))
    os.mkdir(k.path("plain"))
    k.wrap = inside(f"mount -t ramfs none {k.path('plain')}")
    with k:
        findings = tool.Tool(k)("check --json").json()["findings"]
        about = [(f["object"], f["finding"]) for f in findings if "volume" in f["object"]]
        tap.check([o for o, f in about if "discard" in f] == ["volume a"], "it cannot discard",
                  str(about))
        tap.check([o for o, f in about if "in memory" in f] == ["volume a", "volume b"],
                  "and is lost with the next boot", str(about))


def test_state():
    if not may("unshare", "-m", "true"):
        tap.skip("the state in memory", "no mount namespaces here")
        return
    k = kurad.Kurad(serving())
    os.mkdir(k.path("state"))
    k.wrap = inside(f"mount -t tmpfs none {k.path('state')} && chmod 700 {k.path('state')}")
    with k:
        found(tool.Tool(k), "the state in memory", "warning", f"state {k.path('state')}",
              "next boot")


def test_state_of_a_cluster():
    """Below /run it is in memory on purpose."""
    if not may("unshare", "-m", "true"):
        tap.skip("a state below /run", "no mount namespaces here")
        return
    k = kurad.Kurad(serving(), args=["--state", "/run/kura/state"])
    k.wrap = inside("mount -t tmpfs none /run && mkdir -m 700 -p /run/kura/state")
    with k:
        found(tool.Tool(k), "a state below /run", "hint", "state /run/kura/state", "below /run")


def test_next_start():
    """What the files say now and what is served."""
    with kurad.Kurad(serving()) as k:
        kura, what = tool.Tool(k), f"configuration {k.config_path}"
        for line in ("target create iqn.2026-11.kura.test:x", f"portal add 127.0.0.2 --port {k.port}",
                     "lun add iqn.2026-11.kura.test:x a --lun 7", "host create h",
                     f"host add-initiator h {HOST}", "share a --to iqn.2026-11.kura.test:y",
                     f"target deny {TARGET} --initiator {HOST}",
                     "target delete iqn.2026-11.kura.test:x --force", "log level debug"):
            kura(line)
        tap.check(check(kura, "--all")[1].get(("ok", what)), "verbs change both", str(check(kura)))
        with open(k.config_path, encoding="ascii") as f:
            before = f.read()
        write(k, before.replace(":host", ":guest"))
        found(kura, "a change that nobody followed", "warning", what, "does not follow it")
        tap.check("does not follow" in kura("check").out, "people see it")
        kura("apply")
        tap.check(check(kura, "--all")[1].get(("ok", what)), "followed", str(check(kura)))
        write(k, before.replace(":host", ":guest") + "loops = 3;\n")
        kura("apply")
        found(kura, "what waits for a restart", "warning", what, "does not follow it")
        hosts = kurad.config_text({"hosts": [{"name": "h"}]})
        write(k, before.replace(":host", ":guest") + hosts)
        found(kura, "a name that verbs have used", "error", what, "would not start again")
        text = check(kura)[1].get(("error", what), "")
        tap.check("managed.conf" in text and '"h"' in text, "and where it stands", text)
        write(k, before.replace(":host", ":guest"))
        tap.check(check(kura, "--all")[1].get(("ok", what)), "put right")


def write(k, text):
    with open(k.config_path, "w", encoding="ascii") as f:
        f.write(text)


def test_control():
    if os.geteuid() or not may("unshare", "-m", "true"):
        tap.skip("the control socket", "needs root and mount namespaces")
        return
    k = kurad.Kurad(serving())
    groups = k.path("group")
    with open("/etc/group", encoding="utf-8") as f:
        others = "".join(l for l in f if l.split(":")[0] not in ("kura", "kura-monitor"))
    with open(groups, "w", encoding="utf-8") as f:
        f.write(others)
    os.chmod(k.scratch, 0o755)
    k.wrap = inside(f"mount --bind {groups} /etc/group")
    with k:
        kura, path = tool.Tool(k), k.path("control")
        what = f"control socket {path}"
        tap.check("root alone" in check(kura, "--all")[1].get(("ok", what), ""), "root alone asks")
        with open(groups, "a", encoding="utf-8") as f:
            f.write("kura:x:61001:\n")
        found(kura, "a group that came later", "warning", what, "its mode (600) keeps")
        os.chmod(path, 0o666)
        tap.check("can" in check(kura, "--all")[1].get(("ok", what), ""), "put right")
        os.chmod(k.scratch, 0o700)
        found(kura, "a folder that nobody may look into", "warning", what, "mode of its folder")
        os.chmod(k.scratch, 0o777)
        found(kura, "a folder that everybody may change", "error", what, "may write in its folder")
        os.chmod(k.scratch, 0o700)


def test_portal():
    """An address that an interface loses, in a network of its own."""
    probe = subprocess.run(["unshare", "-n", "ip", "link", "set", "lo", "up"], check=False,
                           capture_output=True)
    if probe.returncode:
        tap.skip("an address that is lost", "no network namespaces here")
        return
    text = kurad.config([MEM], [{"name": TARGET, "luns": [{"lun": 0, "volume": "a"}],
                                 "initiators": [{"name": HOST}]}],
                        [{"address": "192.0.2.1", "port": 0}])
    with kurad.Kurad(text, wrap=["unshare", "-n", "sh", "-c", "ip link set lo up && "
                                 "ip addr add 192.0.2.1/32 dev lo && exec \"$@\"", "sh"]) as k:
        kura = tool.Tool(k)
        tap.check(check(kura, "--all")[1].get(("ok", "portals")), "an address that is there")
        subprocess.run(["nsenter", "-t", str(k.process.pid), "-n", "ip", "addr", "del",
                        "192.0.2.1/32", "dev", "lo"], check=True)
        found(kura, "an address that is lost", "error", "portal 192.0.2.1", "no interface")


def test_pool():
    """A pool's file system fills up, in a mount of its own."""
    probe = subprocess.run(["unshare", "-m", "true"], check=False, capture_output=True)
    if probe.returncode:
        tap.skip("a pool that fills up", "no mount namespaces here")
        return
    text = kurad.one_target(TARGET, [MEM], initiator=HOST) + kurad.config_text(
        {"pools": [{"name": "p", "kind": "dir", "path": "@SCRATCH@/pool"}]})
    k = kurad.Kurad(text)
    folder = k.path("pool")
    os.mkdir(folder)
    k.wrap = ["unshare", "-m", "--propagation", "private", "sh", "-c",
              f"mount -t tmpfs -o size=8M none {folder} && exec \"$@\"", "sh"]
    with k:
        kura = tool.Tool(k)
        inside = f"/proc/{k.process.pid}/root{folder}/ballast"
        tap.check(check(kura, "--all")[1].get(("ok", "pools")), "a pool with room")
        for megabytes, severity in ((7, "warning"), (8, "error")):
            with open(inside, "wb") as f:
                f.write(bytes(megabytes * 1000000))
            found(kura, f"{megabytes} of its 8 MB are used", severity, "pool p", "percent of its room")
        os.unlink(inside)
        tap.check(("error", "pool p") not in check(kura)[1], "and has room again")


signal.alarm(int(120 * SLOW))
for test in (test_quiet, test_rights, test_served, test_private, test_engine, test_limits,
             test_network, test_discard, test_state, test_state_of_a_cluster, test_next_start,
             test_control, test_portal, test_pool):
    test()
sys.exit(tap.done())
