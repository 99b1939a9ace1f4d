#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Whether man/kura-scsi.7 is what man/kura-scsi.py prints from the tables of target/scsi now."""

import difflib
import importlib.util
import os
import re
import shutil
import sys
import tempfile

sys.dont_write_bytecode = True
ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
sys.path.insert(0, os.path.join(ROOT, "tests", "lib"))
import tapout  # noqa: E402

TABLES = ("commands", "vpd", "modes", "logs")
ROW = '''COMMAND(0xfe, 0x01, "MAKE TEA", CDB(0xff, 0x1f, 0, 0, 0, 0), NOWHERE, NOWHERE,
	CMD_MEDIUM | CMD_WRITES, RES_WRITE, scsi_cmd_tea)
'''


def generator():
    """The script as a module; its name is none."""
    spec = importlib.util.spec_from_file_location("scsi_page",
                                                  os.path.join(ROOT, "man", "kura-scsi.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def altered(script, folder):
    """The page of a tree with one row more."""
    to = os.path.join(folder, "target", "scsi")
    os.makedirs(to)
    for name in TABLES:
        shutil.copy(os.path.join(ROOT, "target", "scsi", name + ".def"), to)
    with open(os.path.join(to, "commands.def"), "a", encoding="utf-8") as f:
        f.write(ROW)
    return script.page(folder)


def main():
    tap = tapout.Tap()
    script = generator()
    with open(os.path.join(ROOT, "man", "kura-scsi.7"), encoding="utf-8") as f:
        checked_in = f.read()
    now = script.page(ROOT)
    differs = "\n".join(difflib.unified_diff(checked_in.splitlines(), now.splitlines(), lineterm=""))
    tap.check(not differs, "the page is of the tables as they are",
              f"run man/kura-scsi.py >man/kura-scsi.7\n{differs}")
    for name in TABLES:
        with open(os.path.join(ROOT, "target", "scsi", name + ".def"), encoding="utf-8") as f:
            names = re.findall(r'^[A-Z]+\([^"]*"([^"]+)"|^(?:VPD|MODE|LOG)\(.*"([^"]+)"\)',
                               f.read(), re.MULTILINE)
        flat = re.sub(r"\s+", " ", now)
        lost = [a or b for a, b in names if (a or b) not in flat]
        tap.check(names and not lost, f"every row of {name}.def is in it", "\n".join(lost))
    with tempfile.TemporaryDirectory(prefix="kura-manual-") as folder:
        other = altered(script, folder)
    tap.check(other != now and "FEh/01h\nMAKE TEA: 6 bytes; writes; refused where" in
              re.sub(r"(?m)^\.It ", "", other), "a row more changes the page", other[-400:])
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
