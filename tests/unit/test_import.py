#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""kura import-config: what tgt-admin and targetcli wrote becomes a configuration that kurad takes.

What is printed of the inputs in tests/import is kept beside them (--write makes it again); a disk
that tgtd served is served by kurad afterwards, and a foreign initiator takes it for the same.
"""

import glob
import json
import os
import random
import re
import shutil
import socket
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import inquiry  # noqa: E402
import kurad  # noqa: E402
import tapout  # noqa: E402
import tool  # noqa: E402

FOLDER = os.path.join(kurad.ROOT, "tests", "import")
INPUTS = (("lio", "saveconfig.json"), ("tgt", "tgt-dump.conf"), ("tgt", "written.conf"))
# What a kernel with these objects told in VPD page 83, read in the machine that wrote the file.
TOLD_BY_LIO = {"web": "60014053d7ca51a7e6946fba71d92582", "db": "6001405068c9527ea0543d694e6dd2a9",
               "scratch": "600140576a908666d34463f868e006e4"}
tap = tapout.Tap()


def imported(kind, path, *more, cwd=FOLDER):
    return tool.Tool().run("import-config", kind, path, *more, cwd=cwd)


def golden(name):
    return os.path.join(FOLDER, name + ".kura")


def write_golden():
    for kind, name in INPUTS:
        with open(golden(name), "w", encoding="utf-8") as f:
            f.write(imported(kind, name).out)


def test_golden():
    for kind, name in INPUTS:
        done = imported(kind, name)
        with open(golden(name), encoding="utf-8") as f:
            tap.check(done.code == 0 and done.out == f.read(), f"{name} becomes what it did",
                      str(done))
        told = [line.removeprefix("kura: not carried over: ") for line in done.err.splitlines()]
        tap.check((told or "dump" in name) and all(f"#   {line}\n" in done.out for line in told),
                  "what is left out is said twice", str(done))


def test_same_as_the_kernel():
    out = imported("lio", "saveconfig.json").out
    for volume, naa in TOLD_BY_LIO.items():
        tap.check(re.search(rf'volume = "{volume}";(\n +\w+ = .*)*\n +naa = "{naa}";', out),
                  f"the NAA of {volume} is the one that LIO told")


# ---- what kurad says


def checks(scratch, text):
    path = os.path.join(scratch, "kura.conf")
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    os.chmod(path, 0o600)
    return subprocess.run([kurad.binary(), "--check", "--config", path], capture_output=True,
                          text=True, timeout=60 * tool.SLOW, check=False)


def has_isns():
    return "built without iSNS" not in checks_text('isns = { server = "192.0.2.9:3205"; };')


def checks_text(text):
    scratch = kurad.scratch_folder()
    try:
        return checks(scratch, text).stderr
    finally:
        shutil.rmtree(scratch)


def without_isns(text):
    return text if has_isns() else re.sub(r"isns = \{[^}]*\};\n", "", text)


def test_check():
    scratch = kurad.scratch_folder()
    try:
        for kind, name in INPUTS:
            done = imported(kind, name, "--secret-dir", scratch)
            files = re.findall(rf"^#   ({re.escape(scratch)}/\S+)  \(", done.out, re.M)
            for number, file in enumerate(files):
                with open(file, "w", encoding="ascii") as f:
                    f.write(f"secret-number-{number}\n")
                os.chmod(file, 0o600)
            said = checks(scratch, without_isns(done.out))
            tap.check(files and said.returncode == 0, f"kurad --check takes {name}", said.stderr)
            known = imported(kind, name, "--with-secrets")
            tap.check("secret12" in known.out or "with#hash" in known.out or "dump" in name,
                      "and secrets, when they are asked for", known.out)
            tap.check(not re.search(r"secret12|secret1234|#hash", done.out + done.err),
                      "which are nowhere otherwise", done.out)
            if "dump" not in name:
                said = checks(scratch, without_isns(known.out))
                tap.check(said.returncode == 0, f"{name} with its secrets", said.stderr)
    finally:
        shutil.rmtree(scratch)


# ---- wrong input

WRONG = (
    ("tgt", "<target iqn.2026-11.example:a>\n", ":1: <target> has no end"),
    ("tgt", "a b\n</target>\n", ":2: </target> ends nothing; no block is open"),
    ("tgt", "<target iqn.a>\n<backing-store /a>\n</target>\n", ":3: </target> ends nothing; "
     "<backing-store> of line 2 is open"),
    ("tgt", "\n<target x\n", ":2: the tag has no end"),
    ("tgt", "target iqn.2026-11.example:a\n", ":1: a target is a block with a name"),
    ("tgt", "include /nonexistent/file\n", ":1: \"/nonexistent/file\" cannot be read"),
    ("tgt", "include self.conf\n", "nested more than"),
    ("tgt", "note <<END\ntext\nEND\n", ":1: a value over several lines"),
    ("tgt", "<target iqn.2026-11.example:a>\n<backing-store /a>\nlun one\n</backing-store>\n"
     "</target>\n", ":2: \"one\" is no number"),
    ("tgt", "/* no end\n", "a comment has no end"),
    ("tgt", "a\0b\n", "is no text file"),
    ("tgt", "x" * 70000, "has more than"),
    ("lio", "{\n\"targets\": [\n}\n", ":3: is no JSON"),
    ("lio", "[]", "has no storage_objects and no targets"),
    ("lio", '{"targets": 7}', "targets is no list"),
    ("lio", '{"targets": [7]}', "targets[0] is no object"),
    ("lio", '{"storage_objects": [{"name": "a"}]}', "has no name or no plugin"),
    ("lio", '{"targets": [{"fabric": "iscsi", "wwn": "iqn.x", "tpgs": [{"luns": {}}]}]}',
     "target iqn.x luns is no list"),
    ("lio", json.dumps({"targets": [{"fabric": "iscsi", "wwn": "iqn.x", "tpgs": [
        {"luns": [{"index": i} for i in range(257)]}]}]}), "has more than 256 LUNs"),
    ("lio", json.dumps({"storage_objects": [{"name": "a", "plugin": "ramdisk", "size": 4096}],
                        "targets": [{"fabric": "iscsi", "wwn": "iqn.2026-11.x.y:z", "tpgs": [
                            {"luns": [{"index": 0, "storage_object": "/backstores/ramdisk/a"}],
                             "portals": [{"ip_address": "192.0.2.7", "port": 1 + i}
                                         for i in range(300)]}]}]}), "more than 256 portals"),
)


def test_wrong():
    scratch = kurad.scratch_folder()
    try:
        for kind, text, why in WRONG:
            path = os.path.join(scratch, "self.conf")
            with open(path, "w", encoding="utf-8") as f:
                f.write(text)
            done = imported(kind, path)
            tap.check(done.code == 1 and why in done.err and path in done.err and not done.out,
                      f"{kind}: {why}"[:70], str(done))
    finally:
        shutil.rmtree(scratch)
    for line, why in (("", "of what"), ("tgt", "which file"), ("scst x", "reads no"),
                      ("tgt a b", "too much"), ("tgt --secrets", "takes no")):
        done = tool.Tool()("import-config " + line)
        tap.check(done.code == 2 and why in done.err, f"import-config {line}: {why}", str(done))
    for line in ("help import-config", "import-config --help"):
        done = tool.Tool()(line)
        tap.check(done.code == 0 and "--secret-dir" in done.out, line, str(done))
    done = imported("tgt", "/nonexistent.conf")
    tap.check(done.code == 1 and "/nonexistent.conf: cannot be read: No such file" in done.err,
              "a file that is not there", str(done))


def test_many():
    """Thousands of one name are told apart soon; more than there can be are refused."""
    scratch = kurad.scratch_folder()
    try:
        path = os.path.join(scratch, "saveconfig.json")
        for count, code in ((2000, 0), (20001, 1)):
            disks = [{"name": "disk", "plugin": "fileio", "dev": f"/srv/{i}/disk"}
                     for i in range(count)]
            with open(path, "w", encoding="ascii") as f:
                json.dump({"storage_objects": disks, "targets": []}, f)
            done = imported("lio", path)
            names = set(re.findall(r'name = "(.*)";', done.out))
            tap.check(done.code == code and len(names) == (0 if code else count),
                      f"{count} volumes", done.err[:300])
    finally:
        shutil.rmtree(scratch)


def mutated(rng, data):
    data = bytearray(data)
    for _ in range(rng.randint(1, 6)):
        at = rng.randrange(len(data))
        what = rng.randrange(4)
        if what == 0:
            data[at] = rng.randrange(256)
        elif what == 1:
            del data[at:at + rng.randint(1, 200)]
        elif what == 2:
            data[at:at] = data[rng.randrange(len(data)):][:rng.randint(1, 200)]
        else:
            data[at:at] = rng.choice((b'"', b"<", b">", b"/", b"{", b"}", b"\\\n", b"\0", b"-1",
                                      b"99999999999999999999", b"null", b"\xff", b" "))
        if not data:
            return b" "
    return bytes(data)


def test_mutated():
    """Whatever comes, the answer is a configuration or a sentence."""
    scratch = kurad.scratch_folder()
    rng = random.Random(6)
    try:
        shutil.copytree(os.path.join(FOLDER, "conf.d"), os.path.join(scratch, "conf.d"))
        bad = ""
        for kind, name in INPUTS:
            with open(os.path.join(FOLDER, name), "rb") as f:
                data = f.read()
            for turn in range(60):
                path = os.path.join(scratch, name)
                with open(path, "wb") as f:
                    f.write(mutated(rng, data))
                run = subprocess.run([tool.binary(), "import-config", kind, path],
                                     capture_output=True, timeout=60 * tool.SLOW, check=False)
                if run.returncode not in (0, 1) or (run.returncode and not run.stderr):
                    bad = f"{name}, turn {turn}: exit {run.returncode}\n{run.stderr.decode(errors='replace')}"
        tap.check(not bad, "180 inputs that nobody wrote", bad)
    finally:
        shutil.rmtree(scratch)


# ---- from tgtd to kurad


class Tgtd:
    """A tgtd on loopback with a control port of its own."""

    def __init__(self):
        self.port = kurad.free_port()
        self.control = str(1000 + os.getpid() % 30000)
        self.process = subprocess.Popen(
            ["tgtd", "-f", "-C", self.control, "--iscsi", f"portal=127.0.0.1:{self.port}"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            preexec_fn=kurad.die_with_parent)
        end = time.monotonic() + 20
        while self.admin("tgtadm", "--op", "show", "--mode", "sys").returncode:
            if time.monotonic() > end or self.process.poll() is not None:
                raise RuntimeError("tgtd does not answer")
            time.sleep(0.05)

    def admin(self, program, *args):
        return subprocess.run([program, "-C", self.control, *args], capture_output=True, text=True,
                              timeout=60, check=False)

    def end(self):
        self.process.kill()
        self.process.wait()
        for path in glob.glob(f"/var/run/tgtd/socket.{self.control}*"):
            os.unlink(path)


MOVED = """
<target iqn.2026-11.kura.test:one>
	backing-store {0}/b.img
	backing-store {0}/a.img
</target>
<target iqn.2026-11.kura.test:two>
	<backing-store {0}/c.img>
		lun 12
		scsi_sn SHELF-7
	</backing-store>
	incominguser alice alicesecret12
</target>
"""
ALICE = {"user": "alice", "secret": "alicesecret12"}
DISKS = (("one", 1, {}), ("one", 2, {}), ("two", 12, ALICE))
DUMPED = (("one", 1, {}), ("one", 2, {}), ("two", 1, ALICE))  # which forgets LUN and serial
PORTAL = 'portals = ( { address = "127.0.0.1"; port = 0; } );\n'


def seen(portal, disks=DISKS, prefix="iqn.2026-11.kura.test:"):
    found = []
    for target, lun, login in disks:
        disk = inquiry.Disk(portal, prefix + target, lun, **login)
        found.append((target, lun, disk.serial.strip(), disk.naa))
    return found


def seen_on_tgtd(source, disks):
    """What an initiator sees of a configuration in tgtd, and what tgt-admin dumps of it."""
    tgtd = Tgtd()
    try:
        done = tgtd.admin("tgt-admin", "-c", source, "--execute")
        if done.returncode:
            raise RuntimeError(done.stdout + done.stderr)
        return (seen(f"127.0.0.1:{tgtd.port}", disks), tgtd.admin("tgt-admin", "--dump").stdout)
    finally:
        tgtd.end()


def seen_on_kurad(source, disks):
    done = imported("tgt", source, "--with-secrets")
    with kurad.Kurad(done.out + PORTAL) as k:
        return seen(k.address, disks)


def test_moved():
    if not shutil.which("tgtd") or not shutil.which("tgt-admin") or os.getuid():
        tap.skip("a disk moves from tgtd to kurad", "no tgt here, or not root")
        return
    if not inquiry.have_library():
        tap.skip("a disk moves from tgtd to kurad", "no libiscsi here")
        return
    scratch = kurad.scratch_folder()
    try:
        for name in "abc":
            with open(f"{scratch}/{name}.img", "wb") as f:
                f.truncate(8 << 20)
        source = os.path.join(scratch, "targets.conf")
        with open(source, "w", encoding="ascii") as f:
            f.write(MOVED.format(scratch))
        before, dump = seen_on_tgtd(source, DISKS)
        after = seen_on_kurad(source, DISKS)
        tap.check(len(before) == len(DISKS) and before == after,
                  "an initiator sees the same serials and NAA as on tgtd", f"{before}\n{after}")
        source = os.path.join(scratch, "dump.conf")
        with open(source, "w", encoding="ascii") as f:
            f.write(dump.replace("PLEASE_CORRECT_THE_PASSWORD", ALICE["secret"]))
        before = seen_on_tgtd(source, DUMPED)[0]
        after = seen_on_kurad(source, DUMPED)
        tap.check(before == after, "and the same of what tgt-admin dumped", f"{dump}{before}\n{after}")
    finally:
        shutil.rmtree(scratch)


# ---- from LIO to kurad

OF_LIO = (("open", 0, {}), ("open", 1, {}), ("open", 3, {}),
          ("cluster", 0, {"name": "iqn.1993-08.org.debian:01:node1", "user": "node1",
                          "secret": "node1secret12"}),
          ("cluster", 1, {"name": "iqn.1993-08.org.debian:01:node1", "user": "node1",
                          "secret": "node1secret12"}),
          ("cluster", 7, {"name": "iqn.1993-08.org.debian:01:backup", "user": "backup",
                          "secret": "backupsecret1"}))


def test_moved_from_lio():
    """What targetcli wrote, served: disks are files of ours, the rest is as it was."""
    if not inquiry.have_library():
        tap.skip("disks move from LIO to kurad", "no libiscsi here")
        return
    with open(os.path.join(FOLDER, "saveconfig.json"), encoding="utf-8") as f:
        saved = json.load(f)
    uuid = {o["name"]: o.get("wwn") for o in saved["storage_objects"]}
    text = imported("lio", "saveconfig.json", "--with-secrets").out
    text = re.sub(r'store = "block";\n( +)path = "/dev/(\w+)";',
                  r'store = "file";\n\1path = "@SCRATCH@/\2";\n\1size = "8M";', text)
    text = text.replace('"/srv/', '"@SCRATCH@/').replace('"127.0.0.1";', '"127.0.0.1"; port = 0;')
    text = text.replace('"10.0.2.15";\n        port = 3261;', '"127.0.0.2"; port = 0;')
    k = kurad.Kurad(text)
    for name in ("web.img", "log.img", "ram0", "loop0"):
        with open(k.path(name), "wb") as f:
            f.truncate({"web.img": 64, "log.img": 16}.get(name, 8) << 20)
    with k:
        found = seen(k.address, OF_LIO, "iqn.2003-01.org.example:")
    want = [(target, lun, uuid[name]) for (target, lun, _), name in
            zip(OF_LIO, ("log", "scratch", "archive", "web", "db", "web"))]
    tap.check([f[:3] for f in found] == want, "an initiator sees LIO's LUNs and serials",
              f"{found}\n{want}")
    naa = dict(zip(("log", "scratch", "archive", "web", "db"), (f[3] for f in found)))
    tap.check(all(naa[name] == told for name, told in TOLD_BY_LIO.items()),
              "and the NAA that LIO told", str(naa))


if sys.argv[1:] == ["--write"]:
    write_golden()
    sys.exit(0)
for test in (test_golden, test_same_as_the_kernel, test_check, test_wrong, test_many, test_mutated,
             test_moved, test_moved_from_lio):
    test()
sys.exit(tap.done())
