#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every verb as a person sees it: what each prints, said once, said twice and refused, as it stands in
tests/unit/golden.txt; and the same lines with --json, held against the schema. A verb without a line
there fails. `test_golden.py --print` prints the file anew."""

import difflib
import os
import re
import shutil
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import kurad  # noqa: E402
import tapout  # noqa: E402
import tool  # noqa: E402
from initiator import Initiator  # noqa: E402

GOLDEN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "golden.txt")
HOST, T = "iqn.2026-11.kura.test:host", "iqn.2026-11.kura.test:t"
BASE = {"portals": [{"address": "127.0.0.1", "port": 0}], "loops": 1,
        "pools": [{"name": "p", "kind": "dir", "path": "@SCRATCH@/pool"}],
        "volumes": [{"name": "m", "store": "null", "size": "1M", "uuid":
                     "00000000-0000-4000-8000-000000000001"}]}
# What these print is never the same twice; of them the first words of the first lines count.
ALIVE = {"status", "stats", "top", "metrics", "trace", "verbs", "version", "check", "pool list",
         "pool show"}
LINES = """
version | status | stats | top --count 1 | metrics | trace | verbs | check | check --all
trace tasks on | trace tasks off | trace tasks maybe | log level | log level debug | log level loud
job list | job show 1 | job wait 1 | job cancel 1
pool list | pool show p | pool show pp | pool add q --kind dir --path @/q
pool add q --kind dir --path @/q | pool add q --kind dir --path @/q --if-not-exists | pool add r --kind dir
pool remove q | pool remove q | pool remove q --if-exists | pool remove p
pool import q --kind dir --path @/q | pool import q --kind dir --path @/q
volume create a --size 1M --pool p | volume create a --size 1M --pool p
volume create a --size 1M --if-not-exists | volume create b --size 1000 --pool p | volume create b --size x
volume list | volume list --all | volume show a | volume show aa | volume show m
volume limit a | volume limit a --iops 100 | volume limit a --none | volume limit aa --iops 1
volume grow a 2M | volume grow a 2M | volume grow a 1M | volume grow aa 2M | volume grow m 2M
volume shrink a 1M | volume shrink a 1M --force | volume shrink aa 1M --force
volume rename a b | volume rename a b | volume rename b m | volume rename b a
volume snapshot aa s | volume revert aa s | volume snapshot a m
volume clone a c | volume clone a c | volume clone aa d | job show 1 | job wait 1 | job cancel 1
volume export a --file @/out.raw --format raw | volume export a --file @/out.raw --format raw
volume export aa --file @/none | volume import i --file @/out.raw --pool p | volume import i --file @/out.raw
volume import j --file @/none --pool p
volume forget c | volume forget c | volume adopt c --pool p | volume adopt c --pool p | volume adopt x --pool p
volume delete c --yes | volume delete c --yes | volume delete c --yes --if-exists | volume delete m --yes
target create {T} --alias x | target create {T} | target create {T} --if-not-exists | target create t
target list | target show {T} | target show {T}s
target allow {T} --initiator {H} | target allow {T} --initiator {H} | target allow {T}s --initiator {H}
lun add {T} a | lun add {T} a | lun add {T} a --if-not-exists | lun add {T} aa | lun list | lun list {T}
target deny {T} --initiator {H} | target deny {T} --initiator {H} | target deny {T}s --initiator {H}
host create h --initiator {H} | host create h | host create h --if-not-exists | host list | host show h
host show hh | host add-initiator h {H}2 | host add-initiator h {H}2 | host add-initiator hh {H}
host remove-initiator h {H}2 | host remove-initiator h {H}2 | host remove-initiator hh {H}
target allow {T} --host h | host delete h | !login | session list | session show 1 | session show 9
lun remove {T} 0 | volume delete a --yes | target delete {T} | session close 9 | session close 9 --if-exists
session close 1 --force | !gone | host delete h --force | host delete h | host delete h --if-exists
reservation list | reservation show a | reservation show aa | reservation clear a --yes
reservation clear aa --yes | reservation clear a
lun remove {T} 0 | lun remove {T} 0 | lun remove {T} 0 --if-exists
target delete {T} | target delete {T} | target delete {T} --if-exists
portal list | portal add 127.0.0.2 --port 0 | portal add 127.0.0.2 --port 0 | portal add nowhere
portal remove 127.0.0.2 --port 0 | portal remove 127.0.0.2 --port 0 | portal remove 127.0.0.2 --port 0 --if-exists
share a --to {H} --target {T} | share a --to {H} --target {T} | share aa --to {H} | share a
connect {T} --for linux --address 192.0.2.1 | connect {T}s --for linux | connect {T} --for dos
export | apply --dry-run | apply | apply @/none | drain --timeout 0 | drain --timeout 0 | resume | resume
"""
tap = tapout.Tap()


def lines():
    return [one.strip().replace("{T}", T).replace("{H}", HOST)
            for row in LINES.strip().splitlines() for one in row.split("|")]


def plain(box, text):
    """Without what is different each time."""
    text = text.replace(box.scratch, "@")
    text = re.sub(r"[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}", "UUID", text)
    text = re.sub(r"\b6[0-9a-f]{31}\b", "NAA", text)
    text = re.sub(r"(?m)^Naa: [0-9a-f]+$", "Naa: NAA", text)
    text = re.sub(r"\b[3-6]\d{4}\b", "PORT", text)  # that the kernel chose
    text = re.sub(r"(?m)^(Created|Age|Address|Done|Exp cmd sn|Max cmd sn|Depth).*$", r"\1 ...", text)
    text = re.sub(r"\b\d+(\.\d+)?(ms|us|ns|s)\b", "TIME", text)
    return re.sub(r"[ \t]+", " ", text)


def first_words(text):
    return "\n".join(l.split()[0] for l in text.splitlines()[:1] if l.split()) + "\n"


def run(box, session, more=()):
    """(line, verb, done) of each line."""
    kura = tool.Tool(box)
    verbs = sorted(tool.Tool()("help --schema").json(), key=len, reverse=True)
    for line in lines():
        if line == "!login":
            session.append(Initiator(box.portals[0], T, isid=1, name=HOST))
        elif line == "!gone":
            session.pop().close()
        else:
            verb = next(v for v in verbs if line == v or line.startswith(v + " "))
            yield line, verb, kura.run(*line.replace("@", box.scratch).split(), *more)


def printed():
    """The golden text of this kurad, and the verbs in it."""
    box = kurad.Kurad(kurad.config_text(BASE))
    os.makedirs(box.path("pool"))
    out, seen = [], set()
    with box:
        for line, verb, done in run(box, []):
            seen.add(verb)
            text = plain(box, done.out + done.err)
            if verb in ALIVE and done.out:
                text = first_words(text)
            exit_line = f"[exit {done.code}]\n" if done.code and verb != "check" else ""
            out.append(f"$ kura {line}\n{text}" + exit_line)
    return "\n".join(out), seen


def fitting():
    """Of every line with --json: what does not fit its schema."""
    schema = tool.Tool()("help --schema").json()
    box = kurad.Kurad(kurad.config_text(BASE))
    os.makedirs(box.path("pool"))
    wrong, fine = [], set()
    with box:
        for line, verb, done in run(box, [], ("--json",)):
            if done.out:
                fine.add(verb)
                said = tool.fits(schema[verb]["result"], done.json())
            else:
                said = "" if done.code else "says nothing"
            if said:
                wrong.append(f"{line}: {said}")
    return wrong, fine, set(schema)


def main():
    if not shutil.which("qemu-img"):
        tap.skip("what verbs print", "qemu-img is not here")
        return tap.done()
    text, seen = printed()
    if "--print" in sys.argv:
        sys.stdout.write(text)
        return 0
    with open(GOLDEN, encoding="utf-8") as f:
        want = f.read().split("\n", 1)[1]
    tap.check(text == want, "what verbs print is what golden.txt says", "\n".join(
        difflib.unified_diff(want.splitlines(), text.splitlines(), "golden.txt", "now", lineterm="")))
    wrong, fine, verbs = fitting()
    tap.check(seen == verbs, "every verb has a line", str(sorted(verbs - seen)))
    tap.check(not wrong, "every answer fits its schema", "\n".join(wrong))
    tap.check(verbs - fine == {"volume snapshot", "volume revert"},
              "and every verb but those that need reflinks has had one", str(sorted(verbs - fine)))
    return tap.done()


sys.exit(main())
