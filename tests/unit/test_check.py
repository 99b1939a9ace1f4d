#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`kura check`: each thing that is wrong is found, with what to do, and gone when it is put right."""

import os
import shutil
import signal
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import kurad  # noqa: E402
import tapout  # noqa: E402
import tool  # noqa: E402

TARGET = "iqn.2026-11.kura.test:check"
HOST = "iqn.2026-11.kura.test:host"
SLOW = float(os.environ.get("KURA_TEST_SLOW", "1"))
MEM = {"name": "a", "store": "mem", "size": "8M"}
tap = tapout.Tap()


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


def test_served():
    volumes = [MEM, {"name": "spare", "store": "mem", "size": "8M"},
               {"name": "huge", "store": "file", "path": "@SCRATCH@/huge", "size": "900T"}]
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
        tap.check("0 errors, 1 warnings: kura check" in kura("status").out, "status tells",
                  kura("status").out)
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


def test_box():
    wrap = ["prlimit", "--nofile=600:600"] if shutil.which("prlimit") else []
    with kurad.Kurad(kurad.one_target(TARGET, [MEM], initiator=HOST), env={"KURA_ENGINE": "aio"},
                     wrap=wrap) as k:
        kura = tool.Tool(k)
        if wrap:
            found(kura, "too few files", "warning", "limits", "600 files")
        engine = [w for w in check(kura, "--all")[1] if w[1] == "engine"]
        tap.check(engine and engine[0][0] != "ok", "aio instead of io_uring", str(engine))


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
for test in (test_quiet, test_served, test_private, test_box, test_portal, test_pool):
    test()
sys.exit(tap.done())
