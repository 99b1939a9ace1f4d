#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The house rules that a machine can check. Each rule is a function of the tree that yields
faults; what is exempt, and why, stands in exceptions.txt, and an exception that exempts nothing
is a fault itself.

    style.py [--root DIR] [PATH...]     only faults of the PATHs are shown
"""

import argparse
import os
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import csource  # noqa: E402
from fault import Fault  # noqa: E402
import rules  # noqa: E402
import tools  # noqa: E402

RULES = rules.ALL + tools.ALL


class Tree:
    """The tracked files below root; contents are read once."""

    def __init__(self, root, paths):
        self.root = root
        self.paths = sorted(paths)
        self.texts = {}
        self.parsed = {}

    @classmethod
    def of_git(cls, root):
        names = subprocess.run(["git", "-c", "safe.directory=*", "-C", root, "ls-files", "-z"], check=True,
                               stdout=subprocess.PIPE).stdout.decode().split("\0")
        return cls(root, [n for n in names if n and os.path.isfile(os.path.join(root, n))])

    def full(self, path):
        return os.path.join(self.root, path)

    def ending(self, *suffixes):
        return [p for p in self.paths if p.endswith(suffixes)]

    def text(self, path):
        """The file as text; None for a binary one."""
        if path not in self.texts:
            with open(self.full(path), "rb") as f:
                data = f.read()
            binary = b"\0" in data[:8192]
            self.texts[path] = None if binary else data.decode("utf-8", "replace")
        return self.texts[path]

    def lines(self, path):
        return (self.text(path) or "").splitlines()

    def source(self, path):
        if path not in self.parsed:
            self.parsed[path] = csource.Source(self.text(path) or "")
        return self.parsed[path]


class Exceptions:
    """Lines of "RULE PLACE reason"; PLACE is a path, PATH:NAME, or a folder that ends in /."""

    def __init__(self, path):
        self.path = path
        self.entries = []
        if not os.path.exists(path):
            return
        with open(path, encoding="utf-8") as f:
            for number, line in enumerate(f, 1):
                if line.strip() and not line.startswith("#"):
                    self.entries.append([number, *line.split(None, 2), 0])

    def covers(self, fault):
        covered = False
        for entry in self.entries:
            if entry[1] == fault.rule and self.matches(entry[2], fault):
                entry[-1] += 1
                covered = True
        return covered

    @staticmethod
    def matches(place, fault):
        if place.endswith("/"):
            return fault.path.startswith(place)
        return place in (fault.path, f"{fault.path}:{fault.name}")

    def unused(self):
        name = os.path.basename(self.path)
        for entry in self.entries:
            if len(entry) < 5:
                yield Fault("exceptions", name, entry[0], "an exception without a reason")
            elif not entry[-1]:
                yield Fault("exceptions", name, entry[0],
                                  f"exempts nothing: {entry[1]} {entry[2]}")


def check(tree, exceptions):
    """Every fault of the tree that is not exempt, in order of place."""
    faults = []
    for rule in RULES:
        faults += [fault for fault in rule(tree) if not exceptions.covers(fault)]
    faults += exceptions.unused()
    return sorted(faults, key=lambda f: (f.path, f.line, f.rule))


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    parser = argparse.ArgumentParser(description="check the rules of the house")
    parser.add_argument("--root", default=os.path.dirname(os.path.dirname(here)))
    parser.add_argument("paths", nargs="*", help="show only faults of these paths")
    args = parser.parse_args()
    if not os.path.exists(os.path.join(args.root, ".git")):
        print("style: not a git checkout, so nobody knows which files are ours")
        return 77
    tree = Tree.of_git(args.root)
    exceptions = Exceptions(os.path.join(here, "exceptions.txt"))
    faults = check(tree, exceptions)
    if args.paths:
        faults = [f for f in faults if f.path.startswith(tuple(args.paths))]
    for fault in faults:
        print(fault)
    print(f"style: {len(faults)} faults in {len(tree.paths)} files")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
