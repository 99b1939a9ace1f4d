#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The tool itself: its command line, help, completion, tables, refusals; not what verbs do."""

import json
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import kurad  # noqa: E402
import tapout  # noqa: E402
import tool  # noqa: E402

TARGET = "iqn.2026-11.kura.test:tool"
VOLUME = {"name": "m", "store": "mem", "size": "8M"}
tap = tapout.Tap()


def test_refusals_are_json():
    """Whoever asks for JSON gets a refusal as JSON, whoever refuses: kurad, a job, or the tool."""
    none = tool.Tool()
    none.options = ["--socket", "/nonexistent/control"]
    with kurad.Kurad(kurad.one_target(TARGET, [VOLUME])) as k:
        kura = tool.Tool(k)
        for code, who, asked, line in (
                (3, "kurad", kura, "volume show mm"), (3, "a job", kura, "volume clone mm n"),
                (2, "the command line", kura, "volume show"), (2, "one without a verb", kura, "volum"),
                (2, "a question", kura, "reservation clear m"), (5, "no kurad", none, "status"),
                (5, "no kurad to follow", none, "trace --follow"), (5, "nor to look at", none, "top"),
                (2, "help", kura, "help volum"), (2, "completion", kura, "completion csh")):
            done = asked(line + " --json")
            try:
                error = json.loads(done.err)
            except ValueError:
                error = {}
            tap.check(done.code == code and not done.out and error.get("message") and
                      error.get("data", {}).get("exit") == code, f"{who}: {line}", str(done))


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
    tap.check(done.code == 0 and done.out.count("\n") == 4, "the verbs of one noun", str(done))


# --- completion -----------------------------------------------------------------------------

ALPHA = {"name": "alpha", "store": "mem", "size": "8M"}
SPARE = {"name": "alps", "store": "mem", "size": "8M"}
# What may follow a line, or some of it: (the line, the words, whether these are all).
FOLLOWS = (
    ("kura jo", {"job"}, True),
    ("kura ", {"status", "volume", "help", "import-config"}, False),
    ("kura job ", {"list", "show", "wait", "cancel"}, True),
    ("kura status --j", {"--json"}, True),
    ("kura help volume gr", {"grow"}, True),
    ("kura completion ", {"bash", "zsh", "fish"}, True),
    ("kura volume show al", {"alpha", "alps"}, True),
    ("kura -j volume show alph", {"alpha"}, True),
    ("kura stats --volume alp", {"alpha", "alps"}, True),
    ("kura volume show --pool x alph", {"alpha"}, True),
    ("kura target show iqn", {TARGET}, True),
    (f"kura lun add {TARGET} al", {"alpha", "alps"}, True),
    ("kura connect x --for=e", {"--for=esxi"}, True),
    ("kura connect x --for w", {"windows"}, True),
    ("kura portal remove 127", {"127.0.0.1"}, True),
    ("kura volume create al", set(), True),
    ("kura --socket /nonexistent/control volume show ", set(), True),
    ("kura nothing ", set(), True),
)


class Shell:
    """A shell at a terminal of its own, at which somebody types."""

    def __init__(self, env, *command):
        self.pid, self.tty = pty.fork()
        if not self.pid:
            kurad.die_with_parent()
            os.execvpe(command[0], command, env)
        self.turn = 0

    def type(self, line):
        """What is seen from a line on until it has ended."""
        self.turn += 1
        mark = f"turn {self.turn * 1000 + 1}"
        os.write(self.tty, f"{line}\necho turn $(({self.turn}*1000+1))\n".encode())
        seen, end = "", time.monotonic() + 30 * tool.SLOW
        while mark not in seen and time.monotonic() < end:
            if select.select([self.tty], [], [], 1)[0]:
                try:
                    seen += os.read(self.tty, 65536).decode(errors="replace")
                except OSError:
                    break
        return seen

    def close(self):
        """Ends the shell and what it has started to find completions."""
        os.killpg(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.tty)


def completion_env(k):
    """Where `kura` is the tool for this kurad, and nothing of whoever runs the test."""
    os.mkdir(k.path("bin"))
    with open(k.path("bin/kura"), "w", encoding="ascii") as f:
        f.write("#!/bin/sh\n[ \"$1\" != complete ] || { shift; set -- complete --socket "
                f"'{k.path('control')}' \"$@\"; exec '{tool.binary()}' \"$@\"; }}\n"
                f"exec '{tool.binary()}' --socket '{k.path('control')}' \"$@\"\n")
    os.chmod(k.path("bin/kura"), 0o755)
    for name, shell in (("kura.bash", "bash"), ("_kura", "zsh"), ("kura.fish", "fish")):
        done = tool.Tool()("completion " + shell)
        tap.check(done.code == 0 and "kura" in done.out, f"a script for {shell}", str(done))
        with open(k.path(name), "w", encoding="ascii") as f:
            f.write(done.out)
    return {"PATH": k.path("bin") + ":" + os.environ["PATH"], "HOME": k.scratch, "TERM": "dumb",
            "LC_ALL": "C.UTF-8"}


def follows(shell, offered):
    for line, words, all_of_them in FOLLOWS:
        got = offered(line)
        tap.check(words == got if all_of_them else words <= got, f"{shell}: {line}"[:90], str(got))


def bash_offers(k, env):
    """What the function leaves, with the part before a colon that bash keeps to itself."""
    code = (f". {k.path('kura.bash')}; COMP_LINE=$1 COMP_POINT=${{#1}}; _kura; "
            "printf '%s\\n' \"${COMPREPLY[@]}\"")

    def offered(line):
        said = subprocess.run(["bash", "-c", code, "bash", line], capture_output=True, text=True,
                              env=env, timeout=60 * tool.SLOW, check=False).stdout.split()
        word = line.rsplit(" ", 1)[1]
        kept = re.match(r"(.*[:=])?", word)[0]
        return {kept + s for s in said}
    return offered


def fish_offers(k, env):
    def offered(line):
        said = subprocess.run(
            ["fish", "--no-config", "-c", f"source {k.path('kura.fish')}; complete -C $argv[1]", line],
            capture_output=True, text=True, env=env, cwd=k.path("bin"), timeout=60 * tool.SLOW,
            check=False).stdout.splitlines()
        return {s.split("\t")[0] for s in said} - {"kura"}  # a file of that folder
    return offered


def typed(k, env, shell, start):
    """The tab key at a terminal; what is completed there runs."""
    if not shutil.which(shell):
        tap.skip(f"{shell} at a terminal", f"no {shell} here")
        return
    there = Shell(env, *start)
    try:
        there.type({"bash": f". {k.path('kura.bash')}",
                    "zsh": f"fpath=({k.scratch} $fpath); autoload -U compinit; compinit -u -D"}[shell])
        seen = there.type(f"kura target show {TARGET[:-3]}\t --json")
        tap.check(f'"target": "{TARGET}"' in seen, f"{shell}: tab completes an iSCSI name", seen)
        seen = there.type("kura volu\tsho\talph\t--j\t")
        tap.check('"volume": "alpha"' in seen, f"{shell}: and each word", seen)
    finally:
        there.close()


def test_completion():
    with kurad.Kurad(kurad.one_target(TARGET, [ALPHA, SPARE])) as k:
        env = completion_env(k)
        follows("bash", bash_offers(k, env))
        if shutil.which("fish"):
            follows("fish", fish_offers(k, env))
        else:
            tap.skip("fish completes", "no fish here")
        typed(k, env, "bash", ("bash", "--noprofile", "--norc", "-i"))
        typed(k, env, "zsh", ("zsh", "-f", "-i"))
    tap.check(tool.Tool()("completion tcsh").code == 2, "another shell")


REFUSED = (
    ("a verb that is not", "voluem", 2, "no verb is called"),
    ("an option before the verb", "--bogus status", 2, "there is no option --bogus"),
    ("help on a verb of a noun", "help volume nix", 2, 'no verb is called "volume nix"'),
    ("a word that is needed", "pool add p", 2, "needs --kind dir|lvm|lvm-thin|block:"),
    ("one of many words", "connect x", 2, "one of: linux qemu libvirt"),
    ("a size in its own units", "volume create v --size 5000000T", 2, "from 512 to 4194304T"),
    ("half of one", "volume", 2, '"volume" is half of a verb: create, list, show,'),
    ("its other half", "list", 2, "target list, lun list,"),
    ("help on one that is near", "help volme lst", 2, 'did you mean "volume list"?'),
    ("help on its beginning", "help vol", 2, 'did you mean "volume create"?'),
    ("one that is near", "job lits", 2, 'did you mean "job list"?'),
    ("too little", "job show", 2, "needs job"),
    ("too much", "job show 1 2", 2, '"2" is too much'),
    ("too much, for want of an option", "volume create v 10G", 2, "did you mean --size 10G?"),
    ("the end of a name", "target show tol", 3, f'did you mean "{TARGET}"'),
    ("no iSCSI name", "target create bogus", 2, 'kura: "bogus" is no iSCSI name'),
    ("no number", "job show one", 2, "is no number"),
    ("out of range", "job show 0", 2, "from 1 to 4294967295"),
    ("an option that is not", "job list --al", 2, "takes no --al"),
    ("an option without its value", "status --socket", 2, "needs a value"),
    ("no such object", "job show 77", 3, "none of that number"),
)


def test_refusals():
    with kurad.Kurad(kurad.one_target(TARGET, [VOLUME])) as k:
        kura = tool.Tool(k)
        with open("/dev/full", "w", encoding="utf-8") as full:
            done = subprocess.run([tool.binary(), *kura.options, "volume", "list"], stdout=full,
                                  stderr=subprocess.PIPE, text=True, timeout=60, check=False)
        tap.check(done.returncode == 1 and "No space left" in done.stderr,
                  "what cannot be printed is said", str(done))
        for name, line, code, text in REFUSED:
            done = kura(line)
            tap.check(done.code == code and text in done.err and not done.out, name, str(done))
        names = [w for i in range(400) for w in ("--initiator", f"iqn.2026-11.x:{'i' * 180}{i}")]
        done = kura.run("host", "create", "h", *names)
        tap.check(done.code == 2 and "say it in several" in done.err, "more than kurad takes at once",
                  str(done)[:300])
        done = kura("-- job list")
        tap.check(done.code == 0 and done.out.startswith("JOB"), "-- before the verb", str(done))
        done = kura("volume clone m n --detach")
        tap.check(done.code == 0 and done.out == "Job: 1\n", "a job has a number", str(done))
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


for test in (test_pages, test_completion, test_refusals, test_refusals_are_json, test_tables):
    test()
sys.exit(tap.done())
