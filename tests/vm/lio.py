#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""From the kernel's target to kurad; prints TAP.

In a QEMU machine under TCG the real targetcli makes targets of LIO, whose LUNs an initiator on this
machine asks who they are. What targetcli saves goes through kura import-config, kurad serves it,
and the same initiator asks again: names, LUNs, serials and NAA are what they were.
"""

import glob
import json
import os
import py_compile
import re
import shutil
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "lib")]

import inquiry  # noqa: E402
import kurad  # noqa: E402
import linux  # noqa: E402
import tapout  # noqa: E402
import tool  # noqa: E402
from machine import Machine, MachineFailed  # noqa: E402

CACHE = os.environ.get("KURA_VM_CACHE") or os.path.join(kurad.ROOT, "build", "vm")
TARGETCLI = ["targetcli-fb", "python3-rtslib-fb", "python3-configshell-fb", "python3-pyudev",
             "python3-six", "python3-pyparsing", "python3-urwid", "python3-gi",
             "gir1.2-glib-2.0", "python3.11-minimal", "libpython3.11-minimal",
             "libpython3.11-stdlib", "dbus-daemon"]
PYTHON = "usr/lib/python3.11"
UNUSED = re.compile(r"tests?|idlelib|lib2to3|ensurepip|tkinter|pydoc_data|distutils|__pycache__|"
                    r"unittest|xmlrpc|wsgiref|sqlite3|dbm|turtledemo|venv|msilib|multiprocessing|xml|"
                    r"_(test|dbm|gdbm|sqlite3|xxtest).*\.so|nis\..*")
LIBRARIES = "usr/lib/x86_64-linux-gnu"

# targetcli asks a bus which handlers there are besides the kernel's.
BUS = """<busconfig><type>system</type><listen>unix:path=/run/dbus/system_bus_socket</listen>
<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/>
<allow own="*"/></policy></busconfig>
"""
ASK = "HOME=/root DBUS_SYSTEM_BUS_ADDRESS=unix:path=/run/dbus/system_bus_socket "
PLAIN, SAFE = "iqn.2026-11.kura.test:plain", "iqn.2026-11.kura.test:safe"
HOST = "iqn.2026-11.kura.test:host"
SECRET = "a-secret-of-16-b"
# As somebody types it, LUNs not in their order, one of them in both targets.
TYPED = f"""/backstores/fileio create web /srv/web.img 16M
/backstores/fileio create db /srv/db.img 24M write_back=false
/backstores/ramdisk create scratch 8M
/iscsi create {PLAIN}
/iscsi/{PLAIN}/tpg1 set attribute generate_node_acls=1 demo_mode_write_protect=0 authentication=0
/iscsi/{PLAIN}/tpg1/luns create /backstores/fileio/web 5
/iscsi/{PLAIN}/tpg1/luns create /backstores/ramdisk/scratch 0
/iscsi create {SAFE}
/iscsi/{SAFE}/tpg1 set attribute authentication=1
/iscsi/{SAFE}/tpg1/luns create /backstores/fileio/web 0
/iscsi/{SAFE}/tpg1/luns create /backstores/fileio/db 1
/iscsi/{SAFE}/tpg1/acls create {HOST} add_mapped_luns=false
/iscsi/{SAFE}/tpg1/acls/{HOST} create 9 /backstores/fileio/db
/iscsi/{SAFE}/tpg1/acls/{HOST} set auth userid=host password={SECRET}
saveconfig /srv/saveconfig.json
"""
LUNS = ((PLAIN, 0, {}), (PLAIN, 5, {}),
        (SAFE, 9, {"name": HOST, "user": "host", "secret": SECRET}))


# --- the machine ------------------------------------------------------------------------------


def take_python(archive, folder, inside):
    """A folder of modules, compiled: an emulated processor takes its time with the text."""
    with tempfile.TemporaryDirectory() as compiled:
        for path, folders, names in os.walk(folder):
            folders[:] = [f for f in folders if not UNUSED.fullmatch(f)]
            place = os.path.join(inside, os.path.relpath(path, folder))
            for name in (n for n in names if not UNUSED.fullmatch(n)):
                source, there = os.path.join(path, name), os.path.normpath(os.path.join(place, name))
                if name.endswith(".py") and sys.version_info[:2] != (3, 11):
                    archive.file(there, source, 0o644)
                elif name.endswith(".py"):
                    out = os.path.join(compiled, "module")
                    py_compile.compile(source, out, there, doraise=True)
                    archive.file(there + "c", out, 0o644)
                elif name.endswith(".so"):
                    archive.program(source, there)


def take_targetcli(archive):
    """targetcli, its interpreter, and what they load by name."""
    archive.program(os.path.join(archive.root, "usr/bin/python3.11"), "usr/bin/python3")
    for folder in (PYTHON, "usr/lib/python3/dist-packages"):
        take_python(archive, os.path.join(archive.root, folder), folder)
    archive.file("usr/bin/targetcli", os.path.join(archive.root, "usr/bin/targetcli"))
    archive.program("/sbin/ldconfig", "sbin/ldconfig")
    for pattern in ("libgio-2.0.so.0", "libgirepository-1.0.so.1", "libudev.so.1"):
        found = [p for root in (archive.root, "/")
                 for p in glob.glob(os.path.join(root, LIBRARIES, pattern))]
        archive.program(found[0], os.path.join(LIBRARIES, pattern))
    for path in glob.glob(os.path.join(archive.root, LIBRARIES, "girepository-1.0/G*.typelib")):
        archive.file(os.path.join(LIBRARIES, "girepository-1.0", os.path.basename(path)), path, 0o644)
    for folder in ("etc/rtslib-fb-target/backup", "var/target/pr", "var/target/alua", "srv", "root/.targetcli"):
        archive.folder(folder)


KIT = linux.Kit("lio", linux.TOOLS + TARGETCLI,
                linux.MODULES + ["configfs", "target_core_mod", "target_core_file",
                                 "target_core_iblock", "iscsi_target_mod"],
                [], [], take_targetcli)


class LioMachine(Machine):
    """Its port 3260 is one of this machine's."""

    def __init__(self, image, name, folder):
        self.port = kurad.free_port()
        super().__init__(image, name, folder)

    def _command(self, image, fd):
        return [word.replace("user,id=net", f"user,id=net,hostfwd=tcp:127.0.0.1:{self.port}-:3260")
                for word in super()._command(image, fd)]


# --- who the LUNs are -------------------------------------------------------------------------


def seen(portal):
    """(target, LUN, serial, NAA) of each, as libiscsi is told."""
    found = []
    for target, lun, login in LUNS:
        disk = inquiry.Disk(portal, target, lun, **login)
        found.append((target, lun, disk.serial.strip(), disk.naa))
    return found


def write(guest, path, text):
    guest.must("printf '%b' '" + text.replace("\n", "\\n") + f"' >{path}")


def on_lio(tap, image, folder):
    """What is seen of LIO, and the text that targetcli saved; None: the machine failed."""
    guest = LioMachine(image, "lio", folder)
    try:
        guest.ready()
        guest.must("mount -t configfs none /sys/kernel/config; ldconfig; mkdir -p /run/dbus")
        write(guest, "/srv/bus.conf", BUS)
        guest.must("dbus-daemon --config-file=/srv/bus.conf --fork")
        write(guest, "/srv/typed", TYPED)
        said = guest.must(ASK + "targetcli </srv/typed", 240)
        if guest.run("test -s /srv/saveconfig.json")[0]:
            raise MachineFailed(said)
        saved = guest.must("cat /srv/saveconfig.json")
        tap.note("targetcli " + guest.run(ASK + "targetcli --version", 120)[1].strip())
        return seen(f"127.0.0.1:{guest.port}"), saved
    except (MachineFailed, inquiry.Refused) as error:
        tap.not_ok("targetcli makes targets that serve", f"{error}\n{guest.said()}")
        return None
    finally:
        guest.end()


def on_kurad(tap, saved, folder):
    path = os.path.join(folder, "saveconfig.json")
    with open(path, "w", encoding="utf-8") as f:
        f.write(saved)
    done = tool.Tool().run("import-config", "lio", path, "--with-secrets")
    tap.check(done.code == 0, "import-config takes what targetcli saved", str(done))
    text = re.sub(r"^portals = \(.*?^\);\n", "", done.out, flags=re.M | re.S)
    text = text.replace('"/srv/', '"@SCRATCH@/')
    k = kurad.Kurad('portals = ( { address = "127.0.0.1"; port = 0; } );\n' + text)
    for name, size in (("web.img", 16), ("db.img", 24)):
        with open(k.path(name), "wb") as f:
            f.truncate(size << 20)
    with k:
        return seen(k.address)


def play(tap, image, folder):
    there = on_lio(tap, image, folder)
    if not there:
        return
    before, saved = there
    names = {o["name"]: o["wwn"] for o in json.loads(saved)["storage_objects"]}
    tap.check([b[2] for b in before] == [names["scratch"], names["web"], names["db"]],
              "LIO serves them, by the serials that targetcli saved", f"{before}\n{names}")
    try:
        after = on_kurad(tap, saved, folder)
        tap.check(before == after, "kurad serves the same names, LUNs, serials and NAA",
                  f"{before}\n{after}")
    except (kurad.KuradFailed, inquiry.Refused) as error:
        tap.not_ok("kurad serves what import-config printed", str(error))


def main():
    tap = tapout.Tap()
    begin = time.monotonic()
    if not inquiry.have_library():
        tap.skip("disks move from LIO to kurad", "no libiscsi here")
        return tap.done()
    try:
        image = linux.image(os.path.join(CACHE, "linux"), KIT)
    except (linux.NoMachine, OSError, subprocess.TimeoutExpired) as error:
        tap.not_ok("Debian's kernel and targetcli can be had", str(error))
        return tap.done()
    tap.note(f"machine made in {time.monotonic() - begin:.1f} s")
    folder = kurad.scratch_folder("kura-vm")
    try:
        play(tap, image, folder)
    finally:
        shutil.rmtree(folder)
    tap.note(f"{time.monotonic() - begin:.1f} s")
    return tap.done()


sys.exit(main())
