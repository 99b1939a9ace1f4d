#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Verbs that change what is served: each is live at once, is there after a restart, can be said
twice, and refuses what cannot be; the human's file is never touched."""

import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import kurad  # noqa: E402
import tapout  # noqa: E402
import tool  # noqa: E402

TARGET = "iqn.2026-11.kura.test:human"
MADE = "iqn.2026-11.kura.test:made"
HOST = "iqn.2026-11.kura.test:host"
VOLUMES = [{"name": "a", "store": "mem", "size": "8M"}, {"name": "b", "store": "mem", "size": "8M"}]
SLOW = float(os.environ.get("KURA_TEST_SLOW", "1"))
tap = tapout.Tap()
schema = tool.Tool()("help --schema").json()


class Box(tool.Tool):
    """A kurad and the tool for it; every answer is held against its schema."""

    def __init__(self, k):
        super().__init__(k)
        self.k = k

    def ask(self, verb, *args):
        """(exit status, answer or sentence)"""
        done = self.run(*verb.split(), *args, "--json")
        if done.code:
            try:
                return done.code, json.loads(done.err)["message"]
            except ValueError:
                return done.code, done.err
        wrong = tool.fits(schema[verb]["result"], done.json())
        if wrong:
            raise AssertionError(f"{verb}: {wrong}\n{done.out}")
        return 0, done.json()

    def sees(self, initiator=HOST):
        """{target: [LUNs]} as an initiator finds them."""
        run = subprocess.run(["iscsi-ls", "-s", "-i", initiator, f"iscsi://{self.k.host}:{self.k.port}"],
                             capture_output=True, text=True, timeout=30 * SLOW, check=False)
        found, target = {}, None
        for line in run.stdout.splitlines():
            if line.startswith("Target:"):
                target = line.split()[0].split(":", 1)[1]
                found[target] = []
            elif line.startswith("Lun:") and target:
                found[target].append(int(line.split()[0].split(":")[1]))
        return found


def done(box, name, verb, *args, **members):
    """A verb that is to succeed with these members in its answer."""
    code, answer = box.ask(verb, *args)
    tap.check(code == 0 and all(answer.get(k) == v for k, v in members.items()), name, str(answer))
    return answer


def refused(box, name, code, text, verb, *args):
    got, answer = box.ask(verb, *args)
    tap.check(got == code and text in str(answer), name, f"exit {got}: {answer}")


def test_target():
    with kurad.Kurad(kurad.one_target(TARGET, VOLUMES)) as k:
        box = Box(k)
        done(box, "a target is made", "target create", MADE, "--alias", "made", changed=True)
        refused(box, "not twice", 6, "--if-not-exists", "target create", MADE)
        done(box, "unless that is fine", "target create", MADE, "--if-not-exists", changed=False)
        refused(box, "its name is checked", 2, "iqn", "target create", "made")
        done(box, "a LUN is added", "lun add", MADE, "b", lun=0)
        tap.check(MADE not in box.sees(), "nobody enters yet")
        done(box, "an initiator may enter", "target allow", MADE, "--initiator", HOST, changed=True)
        done(box, "saying so again changes nothing", "target allow", MADE, "--initiator", HOST,
             changed=False)
        tap.check(box.sees().get(MADE) == [0], "and sees the LUN at once", str(box.sees()))
        tap.check(MADE not in box.sees("iqn.2026-11.kura.test:else"), "others do not")
        answer = done(box, "show", "target show", MADE, alias="made")
        tap.check(answer["luns"] == [{"lun": 0, "volume": "b", "readonly": False}] and
                  answer["initiators"][0]["initiator"] == HOST, "says what it has", str(answer))
        refused(box, "a name that is near", 3, f'did you mean "{MADE}"?', "target show", MADE + "s")
        k.restart()
        tap.check(box.sees().get(MADE) == [0], "all of it is there after a restart")
        done(box, "and may be taken away again", "target deny", MADE, "--initiator", HOST,
             changed=True)
        tap.check(MADE not in box.sees(), "at once")
        done(box, "delete", "target delete", MADE, changed=True)
        refused(box, "gone", 3, "there is none", "target delete", MADE)
        done(box, "unless that is fine", "target delete", MADE, "--if-exists", changed=False)


def test_case():
    """A name in capitals is the same name: what may enter, enter no more, go, or be asked for."""
    loud = MADE.replace("kura.test:made", "Kura.Test:MADE")
    who = HOST.replace("test:host", "Test:HOST")
    with kurad.Kurad(kurad.one_target(TARGET, VOLUMES)) as k:
        box = Box(k)
        done(box, "a name in capitals", "target create", loud, target=MADE)
        done(box, "is shown", "target show", loud, target=MADE)
        done(box, "gets a LUN", "lun add", loud, "b", lun=0)
        done(box, "is entered", "target allow", loud, "--initiator", who, changed=True)
        tap.check(box.sees().get(MADE) == [0], "by who is called so in lower case", str(box.sees()))
        done(box, "and no more", "target deny", loud, "--initiator", who, changed=True)
        tap.check(MADE not in box.sees(), "at all", str(box.sees()))
        done(box, "a group", "host create", "h", "--initiator", who)
        done(box, "is left", "host remove-initiator", "h", who, changed=True)
        answer = done(box, "stats", "stats", "--target", loud)
        tap.check([l["target"] for l in answer["luns"]] in ([], [MADE]), "are of that target",
                  str(answer["luns"]))
        done(box, "and it goes", "target delete", loud, "--if-exists", changed=True)
        refused(box, "really", 3, "there is none", "target show", MADE)


def test_who_goes_is_gone():
    """Denied by name is denied from every network; a group that lost its last LUN sees no others."""
    with kurad.Kurad(kurad.one_target(TARGET, VOLUMES)) as k:
        box = Box(k)
        done(box, "a target", "target create", MADE)
        done(box, "a LUN for everybody", "lun add", MADE, "a", lun=0)
        done(box, "who may enter", "target allow", MADE, "--initiator", HOST)
        done(box, "and from a network", "target allow", MADE, "--initiator", HOST, "--address",
             "127.0.0.0/8", changed=True)
        done(box, "is denied", "target deny", MADE, "--initiator", HOST, changed=True)
        tap.check(MADE not in box.sees(), "from everywhere", str(box.sees()))
        done(box, "a group", "host create", "h", "--initiator", HOST)
        done(box, "with a LUN of its own", "lun add", MADE, "b", "--host", "h", "--lun", "5")
        done(box, "and another", "lun add", MADE, "a", "--host", "h", "--lun", "6")
        done(box, "loses one", "lun remove", MADE, "6", "--host", "h", "--force")
        tap.check(box.sees().get(MADE) == [5], "and has the other", str(box.sees()))
        done(box, "loses that", "lun remove", MADE, "5", "--host", "h", "--force")
        tap.check(MADE not in box.sees(), "and does not see those of everybody", str(box.sees()))


def test_addresses_of_nobody():
    """Networks that belong to no initiator of the verb were dropped, as if the rest were enough."""
    with kurad.Kurad(kurad.one_target(TARGET, VOLUMES)) as k:
        box = Box(k)
        done(box, "a target", "target create", MADE)
        refused(box, "a group of a network", 2, "none is named", "host create", "h", "--address",
                "10.0.0.0/8")
        done(box, "a group", "host create", "h", "--initiator", HOST, "--address", "10.0.0.0/8")
        refused(box, "which may enter from a network", 2, "none is named", "target allow", MADE,
                "--host", "h", "--address", "10.0.0.0/8")
        tap.check(not done(box, "show", "target show", MADE)["hosts"], "does not enter from anywhere")


def test_another_file():
    """apply went on with the file that was applied last, and check took it for that of the next start."""
    with kurad.Kurad(kurad.one_target(TARGET, VOLUMES)) as k:
        box = Box(k)
        other = k.path("other.conf")
        with open(other, "w", encoding="utf-8") as f:
            f.write(kurad.one_target(TARGET, VOLUMES + [{"name": "c", "store": "mem", "size": "8M"}]))
        done(box, "another file", "apply", other)
        told = [f for f in json.loads(box("check --json").out)["findings"] if f["severity"] == "warning"
                and f["object"] == "configuration " + k.config_path]
        tap.check(told and "another file was applied" in told[0]["finding"],
                  "is not what the next start serves, says check", str(told))
        answer = done(box, "apply without a file", "apply", "--force")
        tap.check(any(s["object"] == "c" for s in answer["steps"]), "is by the one of the start",
                  str(answer))
        tap.check([v["volume"] for v in done(box, "volumes", "volume list")["volumes"]] == ["a", "b"],
                  "and follows it")


def test_human():
    with kurad.Kurad(kurad.one_target(TARGET, VOLUMES)) as k:
        box = Box(k)
        with open(k.config_path, "rb") as f:
            before = f.read()
        for verb in (["target", "delete", TARGET], ["lun", "add", TARGET, "b"],
                     ["target", "allow", TARGET, "--initiator", HOST]):
            refused(box, " ".join(verb[:2]) + " on what the file names", 1, k.config_path,
                    " ".join(verb[:2]), *verb[2:])
        done(box, "share", "share", "a", "--to", HOST, "--target", MADE)
        with open(k.config_path, "rb") as f:
            tap.check(f.read() == before, "the file is as it was")
        managed = k.path("state/managed.conf")
        tap.check(os.stat(managed).st_mode & 0o777 == 0o600, "what verbs made is private")


def test_refused_is_not_written():
    """What verbs made was written, but its folder could not be synced: refused is refused, also after
    a restart."""
    with kurad.Kurad(kurad.one_target(TARGET, VOLUMES), env={"KURA_FAULT": "file_renamed=fail:3"}) as k:
        box = Box(k)
        # two visits were for the identities of the volumes
        refused(box, "a verb that cannot be kept", 1, "cannot be written", "target create", MADE)
        del k.env["KURA_FAULT"]
        k.restart()
        refused(box, "is not there after a restart", 3, "there is none", "target show", MADE)


def test_killed_before_it_is_refused():
    """A verb that would have been refused was written already, and the next start stood before it."""
    for point in ("apply_planned", "apply_ready"):
        with kurad.Kurad(kurad.one_target(TARGET, VOLUMES), env={"KURA_FAULT": point}) as k:
            box = Box(k)
            refused(box, f"killed at {point}", 5, "may or may not", "portal add", "192.0.2.99")
            k.process.wait()
            k.process = None
            del k.env["KURA_FAULT"]
            k.start()
            tap.check(len(done(box, "portals", "portal list")["portals"]) == 1,
                      "the next start has nothing of it")


def test_as_much_as_is_read_again():
    """Verbs wrote more than a start reads, and the next one did not serve anything."""
    k = kurad.Kurad(kurad.one_target(TARGET, VOLUMES))
    names = ",".join(f'{{name = "iqn.2026-11.kura.test:{"i" * 180}{n}";}}' for n in range(1000))
    groups = [f'{{name = "h{i}"; initiators = ({names});}}' for i in range((15 << 20) // len(names))]
    os.makedirs(k.path("state"))
    with open(k.path("state/managed.conf"), "w", encoding="ascii") as f:
        f.write("hosts = (" + ",".join(groups) + ");\n")
    os.chmod(k.path("state/managed.conf"), 0o600)
    with k:
        box = Box(k)
        tap.check(len(done(box, "a start reads much", "host list")["hosts"]) == len(groups), "all of it")
        refused(box, "and verbs write no more", 1, "that a start reads", "target create", MADE)


def test_luns():
    with kurad.Kurad(kurad.one_target(TARGET, VOLUMES)) as k:
        box = Box(k)
        done(box, "target", "target create", MADE)
        done(box, "a number that is asked for", "lun add", MADE, "a", "--lun", "7", lun=7)
        done(box, "the first that is free", "lun add", MADE, "b", "--readonly", lun=0)
        refused(box, "a volume once in a target", 6, "is LUN 7", "lun add", MADE, "a")
        done(box, "remove", "lun remove", MADE, "7", changed=True)
        refused(box, "a number that is taken", 6, "taken", "lun add", MADE, "a", "--lun", "0")
        done(box, "another one", "lun add", MADE, "a", "--lun", "7", lun=7)
        done(box, "again is fine", "lun add", MADE, "a", "--if-not-exists", changed=False)
        refused(box, "no such volume", 3, 'did you mean "a"?', "lun add", MADE, "aa")
        answer = done(box, "list", "lun list", MADE)
        tap.check([(l["lun"], l["volume"], l["readonly"]) for l in answer["luns"]] ==
                  [(0, "b", True), (7, "a", False)], "the LUNs of one target", str(answer))
        done(box, "remove", "lun remove", MADE, "7", changed=True)
        refused(box, "not twice", 3, "has none", "lun remove", MADE, "7")
        done(box, "unless that is fine", "lun remove", MADE, "7", "--if-exists", changed=False)


def test_hosts():
    with kurad.Kurad(kurad.one_target(TARGET, VOLUMES)) as k:
        box = Box(k)
        done(box, "a host group", "host create", "h", "--initiator", HOST, changed=True)
        refused(box, "not twice", 6, "add-initiator", "host create", "h")
        done(box, "one more", "host add-initiator", "h", HOST + "2", changed=True)
        done(box, "the same", "host add-initiator", "h", HOST + "2", changed=False)
        done(box, "target", "target create", MADE)
        done(box, "LUNs of its own", "lun add", MADE, "a", "--host", "h", "--lun", "5", lun=5)
        tap.check(box.sees().get(MADE) == [5] and box.sees(HOST + "2").get(MADE) == [5],
                  "which its initiators see", str(box.sees()))
        answer = done(box, "show", "host show", "h")
        tap.check(answer["luns"][0]["volume"] == "a" and len(answer["initiators"]) == 2,
                  "says what it sees", str(answer))
        done(box, "one leaves", "host remove-initiator", "h", HOST + "2", changed=True)
        tap.check(MADE not in box.sees(HOST + "2"), "and sees nothing")
        refused(box, "not while a target names it", 4, "--force", "host delete", "h")
        done(box, "by force", "host delete", "h", "--force", changed=True)
        tap.check(MADE not in box.sees(), "then nobody enters")
        refused(box, "no such group", 3, "there is none", "lun add", MADE, "b", "--host", "h")


def test_share():
    with kurad.Kurad(kurad.one_target(TARGET, VOLUMES)) as k:
        box = Box(k)
        answer = done(box, "share", "share", "b", "--to", HOST, lun=0, volume="b")
        tap.check(answer["target"].startswith("iqn.") and answer["target"].endswith(":b") and
                  answer["portals"] == [k.address], "names the target and where it is", str(answer))
        tap.check(box.sees().get(answer["target"]) == [0], "which is usable at once")
        again = done(box, "again, with somebody else", "share", "b", "--to", HOST + "2", lun=0)
        tap.check(again["target"] == answer["target"] and
                  box.sees(HOST + "2").get(answer["target"]) == [0], "is the same target")
        refused(box, "with nobody", 2, "--to", "share", "b")
        for kind in ("linux", "qemu", "libvirt", "xen", "xcp-ng", "esxi", "proxmox", "windows"):
            text = done(box, f"connect --for {kind}", "connect", answer["target"], "--for", kind,
                        "--address", "192.0.2.7")["commands"]
            tap.check(answer["target"] in text and "192.0.2.7" in text and "%" not in text,
                      "is filled in", text)
        for address, told in (("2001:db8::7", "[2001:db8::7]:"), ("[2001:db8::7]", "[2001:db8::7]:")):
            text = done(box, f"connect --address {address}", "connect", answer["target"], "--for",
                        "linux", "--address", address)["commands"]
            tap.check(f" -p {told}{k.port} " in text, "is told as it is dialled", text)
        for address in ("192.0.2.7:3260", "[2001:db8::7]:3260"):
            refused(box, f"connect --address {address}", 2, "has a port", "connect",
                    answer["target"], "--for", "linux", "--address", address)
        with open(k.path("secret"), "w", encoding="ascii", opener=lambda p, f: os.open(p, f, 0o600)) as f:
            f.write("open sesame, please")
        done(box, "a target with a secret", "target create", MADE, "--user", "joe", "--secret-file",
             k.path("secret"))
        text = done(box, "is to be told", "connect", MADE, "--for", "linux")["commands"]
        tap.check(text.startswith("# ") and '"joe"' in text.splitlines()[0] and "sesame" not in text,
                  "to the host, but not here", text)
        text = done(box, "where it is", "connect", answer["target"], "--for", "linux")["commands"]
        tap.check(f" -p {k.address} " in text, "with its own port", text)
        url = f"iscsi://{k.host}:{k.port}/{answer['target']}/0"
        run = subprocess.run(["iscsi-inq", "-i", HOST, url], capture_output=True, text=True,
                             timeout=30 * SLOW, check=False)
        tap.check(run.returncode == 0 and "KURA" in run.stdout, "iscsi-inq logs in", run.stderr)


def test_share_apart():
    """Two volumes whose names make the same name of a target, and one that is to be read only: nobody
    gets in where he was not let in, nor writes where he was to read."""
    volumes = [{"name": n, "store": "mem", "size": "8M"} for n in ("a_b", "a-b")]
    with kurad.Kurad(kurad.one_target(TARGET, VOLUMES + volumes)) as k:
        box = Box(k)
        name = done(box, "a volume", "share", "a_b", "--to", HOST, lun=0)["target"]
        refused(box, "one that would be in its target", 6, "--target", "share", "a-b", "--to",
                HOST + "2")
        tap.check(name not in box.sees(HOST + "2"), "whose host is not let in", str(box.sees(HOST + "2")))
        done(box, "the same target, by name", "share", "a-b", "--to", HOST, "--target", name, lun=1)
        refused(box, "to be read only, but it is mapped to be written", 6, "may be written", "share",
                "a_b", "--to", HOST + "3", "--readonly")
        tap.check(name not in box.sees(HOST + "3"), "lets nobody in", str(box.sees(HOST + "3")))
        done(box, "apart", "share", "a_b", "--to", HOST + "3", "--readonly", "--target", MADE, lun=0)
        done(box, "again", "share", "a_b", "--to", HOST + "3", "--readonly", "--target", MADE, lun=0)


def test_portals():
    with kurad.Kurad(kurad.one_target(TARGET, VOLUMES)) as k:
        box = Box(k)
        done(box, "another address", "portal add", "127.0.0.2", "--port", "0", changed=True)
        answer = done(box, "list", "portal list")
        ours, other = answer["portals"]
        tap.check([ours["address"], other["address"]] == [k.host, "127.0.0.2"], "has both",
                  str(answer))
        tap.check(ours["port"] == k.port and
                  f"portal listening address=127.0.0.2:{other['port']}\n" in k.log(),
                  "with the ports that the kernel chose", str(answer))
        done(box, "the same", "portal add", "127.0.0.2", "--port", str(other["port"]),
             changed=False, port=other["port"])
        done(box, "named as it was", "portal add", "127.0.0.2", "--port", "0", changed=False,
             port=other["port"])
        refused(box, "the same for another group", 6, "another group", "portal add", "127.0.0.2",
                "--port", "0", "--group", "2")
        refused(box, "or told otherwise", 6, "another advertise", "portal add", "127.0.0.2", "--port",
                "0", "--advertise", "192.0.2.7:3260")
        refused(box, "no address", 2, "address", "portal add", "nowhere")
        refused(box, "one of another machine", 1, "192.0.2.99", "portal add", "192.0.2.99")
        answer = done(box, "list", "portal list")
        tap.check(len(answer["portals"]) == 2, "is not kept", str(answer))
        done(box, "remove", "portal remove", "127.0.0.2", "--port", str(other["port"]),
             changed=True)
        done(box, "once more", "portal add", "127.0.0.2", "--port", "0", changed=True)
        done(box, "as it was named", "portal remove", "127.0.0.2", "--port", "0", changed=True)
        refused(box, "the human's", 1, k.config_path, "portal remove", k.host, "--port",
                str(done(box, "list", "portal list")["portals"][0]["port"]))


def test_export():
    with kurad.Kurad(kurad.one_target(TARGET, VOLUMES)) as k:
        box = Box(k)
        done(box, "share", "share", "b", "--to", HOST, "--target", MADE)
        text = box("export").out
        tap.check(TARGET in text and MADE in text, "export has both files' objects", text)
        path = k.path("export.conf")
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        check = subprocess.run([kurad.binary(), "--check", "--config", path, "--state",
                                k.path("nothing")], capture_output=True, text=True, timeout=20,
                               check=False)
        tap.check(check.returncode == 0, "and reads as a configuration", check.stderr)
        with open(k.config_path, encoding="utf-8") as f:
            wanted = f.read()
        with open(k.config_path, "w", encoding="utf-8") as f:
            f.write(wanted + "# changed\nping_seconds = 7;\n")
        answer = done(box, "apply --dry-run", "apply", "--dry-run")
        tap.check([s["state"] for s in answer["steps"]] == ["planned"], "says one step", str(answer))
        answer = done(box, "apply", "apply")
        tap.check([s["state"] for s in answer["steps"]] == ["done"], "does it", str(answer))
        tap.check(not done(box, "apply again", "apply")["steps"], "and has nothing left to do")
        with open(k.config_path, "w", encoding="utf-8") as f:
            f.write(wanted + "nonsense = 1;\n")
        refused(box, "a file with a mistake", 1, "nonsense", "apply")
        os.mkfifo(k.path("pipe"))
        refused(box, "a pipe, for which every change would wait", 1, "no plain file", "apply",
                k.path("pipe"))


for test in (test_target, test_case, test_who_goes_is_gone, test_addresses_of_nobody,
             test_another_file, test_human, test_refused_is_not_written,
             test_killed_before_it_is_refused, test_as_much_as_is_read_again, test_luns, test_hosts,
             test_share, test_share_apart, test_portals, test_export):
    test()
sys.exit(tap.done())
