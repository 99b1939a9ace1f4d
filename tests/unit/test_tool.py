#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The tool itself: its command line, help, completion, tables, refusals; not what verbs do."""

import os
import re
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import kurad  # noqa: E402
import tapout  # noqa: E402
import tool  # noqa: E402

TARGET = "iqn.2026-11.kura.test:tool"
VOLUME = {"name": "m", "store": "mem", "size": "8M"}
tap = tapout.Tap()


def test_pages():
    kura = tool.Tool()
    done = kura("help")
    tap.check(done.code == 0 and "job list" in done.out and "--socket" in done.out, "help", str(done))
    for page, option, marks in (
            ("man/kura.8", "--manual", ("prints them here.\n", '.\\" END OF VERBS')),
            ("docs/rpc.md", "--reference", ("by `./dev manual`.\n", None))):
        with open(os.path.join(kurad.ROOT, page), encoding="utf-8") as f:
            text = f.read()
        begin = text.index(marks[0]) + len(marks[0])
        end = text.index(marks[1]) if marks[1] else len(text)
        tap.check(text[begin:end] == kura("help " + option).out,
                  f"{page} is what the rows say", "./dev manual prints it again")
    schema = kura("help --schema").json()
    tap.check("job list" in schema and schema["job show"]["params"]["required"] == ["job"],
              "the schema names every verb")
    for verb in schema:
        done = kura("help " + verb)
        tap.check(done.code == 0 and done.out.startswith(f"kura {verb}"), f"help {verb}", str(done))
    done = kura("help job")
    tap.check(done.code == 0 and done.out.count("\n") == 3, "the verbs of one noun", str(done))


def completes(script, line):
    """What bash would offer at the end of a line."""
    words = line.split(" ")
    code = (f"{script}\nCOMP_WORDS=({' '.join(repr(w) for w in words)}); "
            f"COMP_CWORD={len(words) - 1}; _kura; echo ${{COMPREPLY[@]}}")
    return subprocess.run(["bash", "-c", code], capture_output=True, text=True, timeout=20,
                          check=False).stdout.split()


def test_completion():
    kura = tool.Tool()
    bash = kura("completion bash").out
    tap.check("job" in completes(bash, "kura jo") and "status" in completes(bash, "kura "),
              "bash completes nouns")
    tap.check(set(completes(bash, "kura job ")) == {"list", "show", "cancel"}, "and their verbs")
    tap.check("--json" in completes(bash, "kura status --j"), "and options")
    for shell in ("zsh", "fish"):
        done = kura("completion " + shell)
        tap.check(done.code == 0 and "job" in done.out, shell, str(done))
        if shutil.which(shell):
            check = subprocess.run([shell, "-n"], input=done.out, text=True, capture_output=True,
                                   timeout=20, check=False)
            tap.check(check.returncode == 0, f"{shell} can read it", check.stderr)
    tap.check(kura("completion tcsh").code == 2, "another shell")


REFUSED = (
    ("a verb that is not", "voluem", 2, "no verb is called"),
    ("one that is near", "job lits", 2, 'did you mean "job list"?'),
    ("too little", "job show", 2, "needs job"),
    ("too much", "job show 1 2", 2, '"2" is too much'),
    ("no number", "job show one", 2, "is no number"),
    ("out of range", "job show 0", 2, "from 1 to 4294967295"),
    ("an option that is not", "job list --al", 2, "takes no --al"),
    ("an option without its value", "status --socket", 2, "needs a value"),
    ("no such object", "job show 77", 3, "none of that number"),
)


def test_refusals():
    with kurad.Kurad(kurad.one_target(TARGET, [VOLUME])) as k:
        kura = tool.Tool(k)
        for name, line, code, text in REFUSED:
            done = kura(line)
            tap.check(done.code == code and text in done.err and not done.out, name, str(done))
        done = kura("job show 77 --json")
        tap.check(done.code == 3 and '"exit": 3' in done.err, "a refusal as JSON", str(done))
    done = tool.Tool().run("--socket", "/nonexistent/control", "status")
    tap.check(done.code == 5 and "no kurad answers there" in done.err, "nobody answers", str(done))


def test_tables():
    with kurad.Kurad(kurad.one_target(TARGET, [VOLUME], loops=1)) as k:
        kura = tool.Tool(k)
        done = kura("status")
        tap.check(re.search(r"^Volumes:\n  NAME +STORE +BYTES .*\n  m +mem +8M ", done.out, re.M),
                  "an object with tables in it", str(done))
        done = kura("verbs")
        lines = done.out.splitlines()
        tap.check(lines[0].split() == ["VERB", "CLASS", "HELP"] and
                  any(l.split()[:2] == ["version", "look"] for l in lines), "a list", str(done))
        tap.check(kura("verbs --no-header").out.splitlines() == lines[1:], "and without its header")
        tap.check(not any(l != l.rstrip() for l in lines), "no line ends in blanks")
        tap.check(kura("--json verbs").json() == kura("verbs -j").json(), "options stand anywhere")
        schema = kura("help --schema").json()
        for verb in ("version", "status", "stats", "verbs", "job list"):
            wrong = tool.fits(schema[verb]["result"], kura.json(verb))
            tap.check(not wrong, f"{verb} answers by its schema", wrong)


for test in (test_pages, test_completion, test_refusals, test_tables):
    test()
sys.exit(tap.done())
