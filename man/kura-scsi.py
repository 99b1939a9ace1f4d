#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Prints the manual page kura-scsi(7) from the tables that kurad is built from.

    man/kura-scsi.py [TREE] >man/kura-scsi.7

The page is checked in; tests/unit/test_manual.py, a part of `make check`, compares it.
"""

import os
import re
import sys
import textwrap

HERE = os.path.dirname(os.path.abspath(__file__))
FLAGS = [("CMD_WRITES", "refused where the LUN is write-protected"),
         ("CMD_THIN", "only where UNMAP is offered"),
         ("CMD_ALWAYS", "answered for LUNs that are not there, and before a unit attention"),
         ("CMD_UNAVAILABLE", "also by a target port that is unavailable")]
POLICIES = {"RES_WRITE": "writes", "RES_READ": "reads", "RES_INFO": "questions",
            "RES_INFO | PASS_LOST": "questions", "RES_CAPACITY": "never", "RES_ALWAYS": "never",
            "RES_OUT": "by key", "RES_START": "unless start", "RES_PREVENT": "unless allow",
            "RES_READ_BUFFER": "reads", "RES_WRITE_BUFFER": "writes"}

HEAD = r""".\" SPDX-License-Identifier: Apache-2.0
.\" Printed by man/kura-scsi.py from the tables in target/scsi; change these, then print it again.
.Dd November 22, 2026
.Dt KURA-SCSI 7
.Os
.Sh NAME
.Nm kura-scsi
.Nd SCSI commands and pages that kurad answers
.Sh DESCRIPTION
A LUN of
.Xr kurad 8
is a disk by SPC-4 and SBC-3.
This page lists what initiators may ask of it.
Any other operation code is answered with INVALID COMMAND OPERATION CODE, any other service action,
page, or bit of a CDB with INVALID FIELD IN CDB and a field pointer.
REPORT SUPPORTED OPERATION CODES tells initiators the same as this page, with the bits of each CDB
that are looked at.
.Ss Commands
Each has its operation code, its service action if there is one, its name, the bytes of its CDB,
and when a reservation of another I_T nexus is in its way
.Pq RESERVATION CONFLICT :
.Bl -tag -width "unless start"
.It never
At no time.
.It questions
While it is reserved by RESERVE(6) or RESERVE(10).
.It reads
While it is reserved by these, and by an Exclusive Access persistent reservation from which this
nexus is not free.
.It writes
While there is any reservation from which this nexus is not free.
.It by key
PERSISTENT RESERVE OUT itself says which nexus may do what.
.It unless start
As
.Dq writes ,
but never when it only makes the medium ready.
.It unless allow
As
.Dq writes ,
but never when it allows the removal.
.El
.Pp
A nexus is free of a reservation that it holds, and if it is registered, of one of the types
Registrants Only and All Registrants.
When persistent reservations that were to last could not be read again, everything but what tells
what the LUN is gets DATA PROTECT, 44h/01h, until REPLACE LOST RESERVATION.
.Pp
"""

TAIL = r""".Sh SEE ALSO
.Xr kura.conf 5 ,
.Xr kurad 8
.Sh STANDARDS
SCSI Primary Commands \- 4
.Pq SPC-4 ,
SCSI Block Commands \- 3
.Pq SBC-3 ,
and of later ones ORWRITE(32), GET LBA STATUS(32) and its report types
.Pq SBC-5 ,
and WRITE ATOMIC(16)
.Pq SBC-4 .
"""


def _split(text):
    """The arguments of a row: text between the commas that are in no parentheses."""
    out, depth, start = [], 0, 0
    for at, char in enumerate(text):
        depth += (char == "(") - (char == ")")
        if char == "," and not depth:
            out.append(text[start:at])
            start = at + 1
    return [re.sub(r"\s+", " ", word).strip().strip('"') for word in out + [text[start:]]]


def _end(text, at):
    """Where the parenthesis that opens at `at` is closed."""
    depth = 0
    for end in range(at, len(text)):
        depth += (text[end] == "(") - (text[end] == ")")
        if not depth:
            return end
    raise ValueError("a row without an end")


def rows(tree, name, macro):
    """The rows of a table: the arguments of each."""
    with open(os.path.join(tree, "target", "scsi", name + ".def"), encoding="utf-8") as f:
        text = re.sub(r"/\*.*?\*/", "", f.read(), flags=re.DOTALL)
    starts = [m.end() - 1 for m in re.finditer(rf"^{macro}\(", text, re.MULTILINE)]
    if not starts:
        raise ValueError(f"{name}.def has no row")
    return [_split(text[at + 1:_end(text, at)]) for at in starts]


def _code(text):
    return f"{int(text, 16):02X}h"


def _list(lines, items):
    lines.append('.Bl -tag -width "XXh/XXh" -compact')
    for tag, text in items:
        lines += [f".It {tag}", text]
    lines.append(".El")


def _command(row):
    opcode, action, name, usage, _, _, flags, passes, _ = row
    tag = _code(opcode) + ("" if action == "NO_ACTION" else "/" + _code(action))
    words = [f"{len(_split(usage[4:-1]))} bytes", POLICIES[passes]]
    words += [text for flag, text in FLAGS if flag in flags.split(" | ")]
    return tag, f"{name}: {'; '.join(words)}"


def _wrapped(line):
    """A line of text as mandoc likes it; macros stay as they are."""
    return line if line.startswith(".") else textwrap.fill(line, 80, break_on_hyphens=False)


def page(tree):
    """The whole page, as a text."""
    lines = []
    _list(lines, [_command(r) for r in rows(tree, "commands", "COMMAND")])
    lines += [".Pp", "All but those for LUNs that are not there can also be refused because of "
              "the state of the target", "port, of a sanitize operation, or of the medium.",
              ".Ss Vital product data", "Pages of INQUIRY with EVPD:", ".Pp"]
    _list(lines, [(_code(code), name) for code, _, _, name in rows(tree, "vpd", "VPD")])
    lines += [".Ss Mode pages", "Of MODE SENSE and MODE SELECT.",
              "What can be changed: WCE, where the volume has a cache that can be lost, D_SENSE "
              "and SWP.", "They can be saved.", ".Pp"]
    _list(lines, [(f"{_code(p)}/{_code(s)}", name)
                  for p, s, _, _, name in rows(tree, "modes", "MODE")])
    lines += [".Ss Log pages", "Of LOG SENSE:", ".Pp"]
    _list(lines, [(f"{_code(p)}/{_code(s)}",
                   name + ("; only where UNMAP is offered" if thin == "true" else ""))
                  for p, s, thin, _, name in rows(tree, "logs", "LOG")])
    return "".join(_wrapped(line) + "\n" for line in
                   [*HEAD.splitlines(), *lines, *TAIL.splitlines()])


if __name__ == "__main__":
    sys.stdout.write(page(sys.argv[1] if len(sys.argv) > 1 else os.path.dirname(HERE)))
