#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The OCF agents by their own verbs against a kurad: what Pacemaker does, in its order."""

import os
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import kurad  # noqa: E402
import tapout  # noqa: E402
import tool  # noqa: E402
from initiator import Initiator  # noqa: E402

AGENTS = os.path.join(kurad.ROOT, "contrib", "ocf")
FIXED = "iqn.2026-11.kura.test:fixed"
TARGET = "iqn.2026-11.kura.test:moving"
VOLUMES = [{"name": "a", "store": "mem", "size": "8M"}, {"name": "b", "store": "mem", "size": "8M"}]
SUCCESS, GENERIC, UNIMPLEMENTED, INSTALLED, CONFIGURED, NOT_RUNNING = 0, 1, 3, 5, 6, 7
tap = tapout.Tap()


class Agent:
    """One resource: an agent with its parameters."""

    def __init__(self, name, k, **parameters):
        self.name = name
        self.env = {"PATH": os.environ["PATH"], "OCF_ROOT": "/nonexistent",
                    "OCF_RESKEY_kura": tool.binary(), "OCF_RESKEY_socket": k.path("control"),
                    "OCF_RESKEY_state": k.path("state")}
        self.env.update({"OCF_RESKEY_" + key: value for key, value in parameters.items()})
        self.said = ""

    def __call__(self, action):
        done = subprocess.run([os.path.join(AGENTS, self.name), action], capture_output=True,
                              text=True, env=self.env, timeout=60 * tool.SLOW, check=False)
        self.said = f"{self.name} {action}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.returncode

    def is_seen(self, wanted, what):
        code = self("monitor")
        tap.check(code == wanted, what, self.said)

    def does(self, action, wanted, what, said=""):
        code = self(action)
        tap.check(code == wanted and said in self.said, what, self.said)


def test_metadata():
    for name in ("kura-target", "kura-lun", "kura-pool"):
        done = subprocess.run([os.path.join(AGENTS, name), "meta-data"], capture_output=True,
                              text=True, timeout=20 * tool.SLOW, check=False)
        root = ET.fromstring(done.stdout)
        actions = {a.get("name"): a for a in root.iter("action")}
        tap.check(done.returncode == 0 and root.get("name") == name and
                  root.findtext("version") == "1.1" and
                  set(actions) == {"start", "stop", "monitor", "meta-data", "validate-all"},
                  f"{name} says what it is", done.stdout)
        tap.check(all(p.find("content") is not None and p.findtext("longdesc") and
                      p.findtext("shortdesc") for p in root.iter("parameter")),
                  "and each of its parameters")
        with open(os.path.join(AGENTS, name), encoding="utf-8") as f:
            text = f.read()
        tap.check(all("OCF_RESKEY_" + p.get("name") in text for p in root.iter("parameter")
                      if p.get("name") not in ("kura", "socket", "state")),
                  "and uses them all")


def test_life(k, kura):
    target = Agent("kura-target", k, target=TARGET, initiators="iqn.2026-11.kura.test:host iqn.1991-05.*")
    lun = Agent("kura-lun", k, target=TARGET, volume="a", lun="3", naa="5000000000000001",
                readonly="yes")
    for agent in (target, lun):
        agent.does("validate-all", SUCCESS, f"{agent.name} takes its parameters")
        agent.is_seen(NOT_RUNNING, "it is not there before")
        agent.does("stop", SUCCESS, "a stop of what is not there")
    lun.does("start", GENERIC, "a LUN without its target is refused", "there is none")
    for agent in (target, lun):
        agent.does("start", SUCCESS, f"{agent.name} starts")
        agent.is_seen(SUCCESS, "and is there")
        agent.does("start", SUCCESS, "another start changes nothing")
    shown = kura.json("target show " + TARGET)
    tap.check({i["initiator"] for i in shown["initiators"]} ==
              {"iqn.2026-11.kura.test:host", "iqn.1991-05.*"}, "who may enter", str(shown))
    listed = kura.json("lun list " + TARGET)["luns"]
    tap.check([(l["lun"], l["volume"], l["readonly"]) for l in listed] == [(3, "a", True)],
              "what they see", str(listed))
    other = Agent("kura-lun", k, target=TARGET, volume="b", lun="3")
    other.is_seen(NOT_RUNNING, "another volume by that number is another resource")
    other.does("start", GENERIC, "which cannot start", "3")
    again = Agent("kura-lun", k, target=TARGET, volume="a", lun="4")
    again.does("start", GENERIC, "nor the same volume by another number", "another number")
    for agent in (lun, target):
        agent.does("stop", SUCCESS, f"{agent.name} stops")
        agent.is_seen(NOT_RUNNING, "and is gone")
    tap.check([t["target"] for t in kura.json("target list")["targets"]] == [FIXED],
              "nothing is left of it")


def test_capitals(k, kura):
    """A cluster that spells a name in capitals must not take what it has not stopped for stopped."""
    target = Agent("kura-target", k, target=TARGET.upper().replace("IQN", "iqn"), initiators="*")
    lun = Agent("kura-lun", k, target=target.env["OCF_RESKEY_target"], volume="a", lun="03")
    for agent in (target, lun):
        agent.does("start", SUCCESS, f"{agent.name} by a name in capitals starts")
        agent.is_seen(SUCCESS, "and is there")
    k.end()
    target.does("stop", GENERIC, "without a kurad it has not stopped", "managed.conf")
    k.start()
    for agent in (lun, target):
        agent.does("stop", SUCCESS, f"{agent.name} stops")
        agent.is_seen(NOT_RUNNING, "and is gone")
    tap.check([t["target"] for t in kura.json("target list")["targets"]] == [FIXED],
              "nothing is left of it")


def test_wrong(k, kura):
    agent = Agent("kura-target", k, target=FIXED)
    agent.does("start", CONFIGURED, "what kura.conf names is not for the cluster", "kura.conf names")
    tap.check(kura("target show " + FIXED).code == 0, "and stays")
    agent = Agent("kura-target", k, target=TARGET, initiators="nobody")
    agent.does("start", GENERIC, "an initiator that is none", "nobody")
    agent.is_seen(NOT_RUNNING, "leaves no target without it")
    Agent("kura-target", k).does("validate-all", CONFIGURED, "no target", "target is needed")
    Agent("kura-target", k, target=TARGET, user="u").does(
        "validate-all", CONFIGURED, "a user without a secret", "secret_file")
    Agent("kura-lun", k, target=TARGET, volume="a", lun="one").does(
        "validate-all", CONFIGURED, "a number that is none", "no number")
    Agent("kura-lun", k, target=TARGET, volume="a", lun="1", kura="/nonexistent/kura").does(
        "monitor", INSTALLED, "no tool", "is not installed")
    Agent("kura-lun", k).does("promote", UNIMPLEMENTED, "nothing is promoted", "usage")


def test_no_daemon(k):
    target = Agent("kura-target", k, target=TARGET, initiators="*")
    lun = Agent("kura-lun", k, target=TARGET, volume="a", lun="0")
    gone = Agent("kura-target", k, target=TARGET + "2")
    target.does("start", SUCCESS, "a target")
    lun.does("start", SUCCESS, "and its LUN")
    k.end()
    for agent in (target, lun):
        agent.is_seen(NOT_RUNNING, f"{agent.name} without a kurad is not there")
        agent.does("stop", GENERIC, "but would come back with it, so it has not stopped",
                   "managed.conf")
    gone.does("stop", SUCCESS, "what would not come back has")
    k.start()
    target.is_seen(SUCCESS, "and it does come back")
    target.does("stop", SUCCESS, "and stops")


def test_pool():
    """Two nodes and one pool: what is registered on the one holds on the other."""
    with kurad.Kurad(kurad.config([], [])) as one, kurad.Kurad(kurad.config([], [])) as two:
        folder = one.path("shared")
        tool.Tool(one).json(f"pool add p --kind dir --path {folder}")
        tool.Tool(one).json("volume create vm1 --size 8M")
        resources = {}
        for k in (one, two):
            resources[k] = [Agent("kura-pool", k, pool="p", path=folder),
                            Agent("kura-target", k, target=TARGET, initiators="iqn.2026-11.kura.test:*"),
                            Agent("kura-lun", k, target=TARGET, volume="vm1", lun="0")]
        for agent in resources[one]:
            agent.does("start", SUCCESS, f"{agent.name} starts")
            agent.is_seen(SUCCESS, "and is there")
        resources[two][0].does("start", GENERIC, "a second node cannot have the pool, too",
                               "a pool of another process already")
        resources[two][0].is_seen(NOT_RUNNING, "and has not")
        host = Initiator(one.portals[0], TARGET, 1)
        host.settle()
        tap.check(host.reserve_out(0, 0, 0xA, flags=1)[0] == 0, "a host registers, to last")
        for agent in reversed(resources[one]):
            agent.does("stop", SUCCESS, f"{agent.name} stops")
            agent.is_seen(NOT_RUNNING, "and is gone")
        for agent in resources[two]:
            agent.does("start", SUCCESS, f"{agent.name} starts on the other node")
        host = Initiator(two.portals[0], TARGET, 1)
        host.settle()
        tap.check(host.keys()[1] == [0xA], "and the host is registered there", str(host.keys()))
        resources[two][0].does("stop", SUCCESS, "a pool that is in use stops, too")
        resources[two][0].does("stop", SUCCESS, "a stop of what is not there")
        tap.check(tool.Tool(two).json("volume list")["volumes"] == [] and
                  os.path.exists(os.path.join(folder, "vm1")), "its volumes stay in it")
        Agent("kura-pool", two, pool="p").does("validate-all", CONFIGURED, "no path",
                                               "path is needed")
        Agent("kura-pool", two, pool="p", kind="lvm-thin", vg="vg").does(
            "validate-all", CONFIGURED, "no thin pool", "thin_pool is needed")
        Agent("kura-pool", two, pool="p", kind="zfs").does(
            "validate-all", CONFIGURED, "a kind that is none", "lvm-thin")


def test_tester(k, kura):
    """The cluster's own judge, where it is installed."""
    root = os.environ.get("OCF_ROOT", "/usr/lib/ocf")
    if not shutil.which("ocf-tester") or not os.path.isdir(root):
        tap.skip("ocf-tester", "no resource-agents here")
        return
    for name, more in (("kura-target", ("initiators=*",)), ("kura-lun", ("volume=a", "lun=1")),
                       ("kura-pool", ("pool=p", "path=" + k.path("pool")))):
        agent = Agent(name, k)
        if name == "kura-lun":
            kura("target create " + TARGET)
        os.makedirs(k.path("pool"), exist_ok=True)
        options = [*(() if name == "kura-pool" else ("target=" + TARGET,)), *more,
                   *(f"{key}={agent.env['OCF_RESKEY_' + key]}" for key in ("kura", "socket", "state"))]
        done = subprocess.run(["ocf-tester", "-n", "it", *(w for o in options for w in ("-o", o)),
                               os.path.join(AGENTS, name)], capture_output=True, text=True,
                              env={"PATH": os.environ["PATH"], "OCF_ROOT": root},
                              timeout=120 * tool.SLOW, check=False)
        tap.check(done.returncode == 0, f"ocf-tester finds nothing in {name}",
                  done.stdout + done.stderr)
    kura("target delete --if-exists " + TARGET)


test_metadata()
with kurad.Kurad(kurad.config(VOLUMES, [{"name": FIXED}])) as running:
    test_life(running, tool.Tool(running))
    test_capitals(running, tool.Tool(running))
    test_wrong(running, tool.Tool(running))
    test_tester(running, tool.Tool(running))
    test_no_daemon(running)
test_pool()
sys.exit(tap.done())
