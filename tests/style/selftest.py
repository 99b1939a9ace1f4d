#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Whether the style check catches what it promises: each sample breaks one rule in a small tree
that is otherwise clean, and exactly the faults of that rule must come out."""

import os
import shutil
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "lib")]
import style  # noqa: E402
from tapout import Tap  # noqa: E402

SPDX = "// SPDX-License-Identifier: Apache-2.0\n"
HASH = "# SPDX-License-Identifier: Apache-2.0\n"


def function(name, lines):
    """A function of that many lines, braces included."""
    return f"void {name}(void)\n{{\n" + "\tstep();\n" * (lines - 2) + "}\n"


CLEAN = {
    "common/a.h": SPDX + "/* Adds one. */\nint a_add(int n);\n\n"
                  "/* What is there. */\nstruct a {\n\tint (*call)(int n); /* when */\n};\n",
    "common/a.c": SPDX + '#include "common/a.h"\n#include <stdint.h>\n#include "kura_config.h"\n\n'
                  "int a_add(int n)\n{\n\treturn n + 1;\n}\n",
    "volume/v.h": SPDX + "// Opens it.\nint v_open(const char *path);\n",
    "volume/v.c": SPDX + '#include "volume/v.h"\n#include "common/a.h"\n',
    "target/scsi/s.c": SPDX + '#include "volume/v.h"\n/* SPC-4 5.13.9 */\n',
    "target/scsi/s.def": SPDX + "/* SBC-3 5.20 */\n",
    "target/iscsi/i.c": SPDX + '#include "common/a.h"\n/* RFC 7143 11.3 */\n',
    "tests/unit/t.c": SPDX + "#include <cmocka.h>\n#include \"volume/v.h\"\n",
    "target/loop/loop_uring.c": SPDX + "#include <liburing.h>\n",
    "dev": "#!/bin/sh\n" + HASH + "mktemp -d\n",
    "man/k.8": '.\\" SPDX-License-Identifier: Apache-2.0\n.Dd November 22, 2026\n.Dt K 8\n.Os\n'
               ".Sh NAME\n.Nm k\n.Nd a page\n",
    "config/keys.def": SPDX + 'LIST(config, luns, lun_count, lun, "them")\n'
                       'KEY(lun, lun, NUMBER, NULL, "0 9", "it")\n'
                       'KEY(lun, vendor, TEXT, "KURA", "8", "who")\n',
    "man/kura.conf.5": '.\\" SPDX-License-Identifier: Apache-2.0\n.Dd November 22, 2026\n'
                       ".Dt K 5\n.Os\n.Sh NAME\n.Nm k\n.Nd a page\n.Sh DESCRIPTION\n"
                       ".Ss The whole file\n.Bl -tag -width Ds\n.It Ic luns\nThem.\n.El\n"
                       ".Ss LUNs\n.Bl -tag -width Ds\n.It Ic lun\nMust be given.\n"
                       ".It Ic vendor\nWho.\n(KURA)\n.El\n",
}

# name, the rule that must speak, files laid over the clean tree
SAMPLES = [
    ("a room that includes a higher one", "staircase",
     {"volume/v.c": SPDX + '#include "volume/v.h"\n#include "target/scsi/x.h"\n',
      "target/scsi/x.h": SPDX + "/* SPC-4 6.1 */\n"}),
    ("common that includes the loop", "staircase",
     {"common/b.c": SPDX + '#include "target/loop/l.h"\n', "target/loop/l.h": SPDX}),
    ("config that includes a volume", "staircase",
     {"config/c.c": SPDX + '#include "volume/v.h"\n'}),
    ("a source that includes a test", "staircase",
     {"volume/w.c": SPDX + '#include "tests/lib/x.h"\n', "tests/lib/x.h": SPDX}),
    ("a table of a higher room", "staircase",
     {"common/b.c": SPDX + '#include "target/scsi/s.def"\n'}),
    ("an include that is not from the root", "include",
     {"volume/w.c": SPDX + '#include "v.h"\n'}),
    ("an include of a file that is not there", "include",
     {"volume/w.c": SPDX + '#include "volume/gone.h"\n'}),
    ("the own header second", "own-header",
     {"volume/v.c": SPDX + '#include "common/a.h"\n#include "volume/v.h"\n'}),
    ("liburing in a store", "library",
     {"volume/w.c": SPDX + "#include <liburing.h>\n"}),
    ("OpenSSL in common", "library",
     {"common/b.c": SPDX + "#include <openssl/evp.h>\n"}),
    ("a header of isa-l by its folder", "library",
     {"target/iscsi/j.c": SPDX + "/* RFC 7143 13.1 */\n#include <isa-l/crc.h>\n"}),
    ("cmocka outside of the tests", "library",
     {"volume/w.c": SPDX + "#include <cmocka.h>\n"}),
    ("a library that nobody chose", "library",
     {"volume/w.c": SPDX + "#include <glib.h>\n"}),
    ("a function of 101 lines", "function-length",
     {"common/b.c": SPDX + function("b_long", 101) +
      "".join(function(f"b_short{i}", 3) for i in range(12))}),
    ("too many long functions", "function-share",
     {"common/b.c": SPDX + function("b_x", 50) + function("b_y", 50) + function("b_z", 3)}),
    ("too many long functions in the tests", "function-share",
     {"tests/unit/u.c": SPDX + function("b_x", 50) + function("b_z", 3)}),
    ("a file of 800 lines", "file-length",
     {"common/b.c": SPDX + "int b;\n" * 799}),
    ("a script of 800 lines", "file-length",
     {"tests/lib/b.py": HASH + "b = 1\n" * 799}),
    ("a prototype without a comment", "prototype",
     {"common/b.h": SPDX + "/* One. */\nint b_one(void);\nint b_two(void);\n"}),
    ("a comment with an empty line below it", "prototype",
     {"common/b.h": SPDX + "/* One. */\n\nint b_one(void);\n"}),
    ("a prototype over two lines without a comment", "prototype",
     {"common/b.h": SPDX + "\nint b_one(const char *a_very_long_name_of_the_first_argument,\n"
      "\tconst char *a_very_long_name_of_the_second_argument);\n"}),
    ("a prototype with an attribute", "prototype",
     {"common/b.h": SPDX + "\nvoid b_log(const char *f, ...) __attribute__((format(printf, 1, 2)"
      "));\n"}),
    ("a prototype behind a struct and a macro", "prototype",
     {"common/b.h": SPDX + "#define B(x) (x)\nstruct b {\n\tint b; /* it */\n};\n"
      "struct b *b_new(void);\n"}),
    ("a source without its licence", "licence", {"common/b.c": "int b;\n"}),
    ("a script without its licence", "licence", {"tests/run.py": "print(1)\n"}),
    ("an open end", "word", {"common/b.c": SPDX + "/* TO" "DO: later */\n"}),
    ("an open end of the other kind", "word", {"common/b.c": SPDX + "/* FIX" "ME */\n"}),
    ("a home folder", "path", {"tests/run.py": HASH + "open('/home" "/me/disk.img')\n"}),
    ("a working folder", "path", {"tests/run.py": HASH + "open('/wo" "rk/disk.img')\n"}),
    ("too few citations", "citation",
     {"target/iscsi/i.c": SPDX + "/* RFC 7143 11.3 */\n" + "int x;\n" * 150}),
    ("a citation that is none", "citation",
     {"target/scsi/s.c": SPDX + "/* SPC-4 says so */\n", "target/scsi/s.def": SPDX}),
    ("layout that is not ours", "format", {"common/b.c": SPDX + "int  b ;\n"}),
    ("layout of a header", "format", {"common/b.h": SPDX + "#define B 1\nstruct b { int c; };\n"}),
    ("a shell script that forgets its quotes", "shell",
     {"tests/run.sh": "#!/bin/sh\n" + HASH + "rm -f $1\n"}),
    ("a key without a manual", "manual-key",
     {"config/keys.def": CLEAN["config/keys.def"] + 'KEY(lun, naa, NAA, "", "", "id")\n'}),
    ("a manual without its key", "manual-key",
     {"config/keys.def": CLEAN["config/keys.def"].replace("vendor", "seller")}),
    ("a default that the manual has wrong", "manual-key",
     {"config/keys.def": CLEAN["config/keys.def"].replace("KURA", "OTHER")}),
    ("a document that names a file that is gone", "document",
     {"docs/a.md": f"<!-- {SPDX[3:-1]} -->\nRead `common/gone.c` and `common/a.c`.\n"}),
    ("a document that names a function that is gone", "document",
     {"docs/a.md": f"<!-- {SPDX[3:-1]} -->\nRead `a_gone` and `a_add`.\n"}),
    ("a page that names a conversation that is gone", "conversation",
     {"docs/wire.md": f"<!-- {SPDX[3:-1]} -->\n| what | test |\n|---|---|\n"
                      "| it | `a.conv: here` · `a.conv: gone` |\n",
      "tests/wire/a.conv": HASH + "== here\nping\n"}),
    ("a row of that page that names none", "conversation",
     {"docs/wire.md": f"<!-- {SPDX[3:-1]} -->\n| what | test |\n|---|---|\n| it | soon |\n"}),
    ("a manual page with a broken macro", "manual",
     {"man/k.8": CLEAN["man/k.8"] + ".Sh DESCRIPTION\n.Xx wrong\n"}),
    ("a manual page that its script prints otherwise now", "printed",
     {"man/kura-scsi.7": CLEAN["man/k.8"].replace(" 8\n", " 7\n"), "man/kura-scsi.py": HASH + "print('a row more')\n"}),
]


def faults_of(files, exceptions=""):
    """The faults of a tree with those files."""
    root = tempfile.mkdtemp(prefix="kura-style.")
    try:
        for path, text in files.items():
            os.makedirs(os.path.dirname(os.path.join(root, path)), exist_ok=True)
            with open(os.path.join(root, path), "w", encoding="utf-8") as f:
                f.write(text)
        shutil.copy(os.path.join(HERE, "..", "..", ".clang-format"), root)
        listed = os.path.join(root, "exceptions.txt")
        with open(listed, "w", encoding="utf-8") as f:
            f.write(exceptions)
        return style.check(style.Tree(root, files), style.Exceptions(listed))
    finally:
        shutil.rmtree(root)


def told(faults):
    return "\n".join(str(fault) for fault in faults) or "no fault at all"


def samples(tap):
    clean = faults_of(CLEAN)
    tap.check(not clean, "a clean tree has no fault", told(clean))
    for name, rule, files in SAMPLES:
        faults = faults_of({**CLEAN, **files})
        tap.check(faults and {f.rule for f in faults} == {rule}, f"{name}: {rule}", told(faults))
    missing = {fault.rule for fault in clean} | {s[1] for s in SAMPLES}
    tap.check(len(missing) == 19, "every rule has a sample", f"{sorted(missing)}")


def exceptions(tap):
    files = {**CLEAN, "common/b.h": SPDX + "\nint b_one(void);\n\nint b_two(void);\n"}
    faults = faults_of(files, "prototype common/b.h:b_one for the test\n")
    tap.check([f.name for f in faults] == ["b_two"], "an exception covers one name", told(faults))
    faults = faults_of(files, "prototype common/b.h for the test\n")
    tap.check(not faults, "an exception covers a file", told(faults))
    faults = faults_of(files, "prototype common/ for the test\n")
    tap.check(not faults, "an exception covers a folder", told(faults))
    faults = faults_of(CLEAN, "prototype common/b.h for the test\n")
    tap.check([f.rule for f in faults] == ["exceptions"], "an idle exception is a fault",
              told(faults))
    faults = faults_of(files, "prototype common/b.h\n")
    tap.check("exceptions" in [f.rule for f in faults], "an exception needs a reason",
              told(faults))


def main():
    tap = Tap()
    samples(tap)
    exceptions(tap)
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
