# SPDX-License-Identifier: Apache-2.0
"""Rules that a tool of Debian's checks better than we could: layout, shell, manual pages."""

import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

from fault import Fault

PLACE = re.compile(r"^(?:mandoc: )?(.+?):(\d+):(?:(\d+):)? ?(.*)$")


def run(tree, command, paths):
    """The tool's output over paths and whether it was content, in two halves at the same time."""
    def half(part):
        return subprocess.run([*command, *part], cwd=tree.root, text=True, check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    with ThreadPoolExecutor(2) as pool:
        ends = list(pool.map(half, [p for p in (paths[::2], paths[1::2]) if p]))
    return "".join(end.stdout for end in ends), not any(end.returncode for end in ends)


def tool_rule(tree, name, command, paths, seen):
    """Faults of one tool: one for every place it names that seen() takes."""
    if not paths:
        return
    if not shutil.which(command[0]):
        yield Fault(name, paths[0], 1, f"{command[0]} is not installed: ./dev deps")
        return
    output, content = run(tree, command, paths)
    for line in output.splitlines():
        match = PLACE.match(line)
        if match and match[1] in tree.paths and seen(match[4]):
            yield Fault(name, match[1], int(match[2]), match[4])
            content = True
    if not content:
        yield Fault(name, paths[0], 1, f"{command[0]} failed: {output.strip()}")


def layout(tree):
    """clang-format with the .clang-format of the root; one fault a file."""
    done = set()
    command = ["clang-format", "--dry-run", "-Werror"]
    for fault in tool_rule(tree, "format", command, tree.ending(".c", ".h"),
                           lambda text: "error:" in text):
        if fault.path not in done:
            done.add(fault.path)
            fault.text = f"clang-format would change it: clang-format -i {fault.path}"
            yield fault


def shell(tree):
    """shellcheck over every script that begins as one."""
    paths = [p for p in tree.paths if tree.text(p) and
             re.match(r"#!/(usr/)?bin/(env )?(ba)?sh\b", tree.text(p))]
    return tool_rule(tree, "shell", ["shellcheck", "--format=gcc"], paths, lambda text: True)


def manual(tree):
    """mandoc's lint over the manual pages."""
    paths = [p for p in tree.paths if re.match(r"man/.*\.[1-8]$", p)]
    return tool_rule(tree, "manual", ["mandoc", "-T", "lint", "-W", "warning"], paths,
                     lambda text: True)


def printed(tree):
    """The page of SCSI commands is what its script prints from the tables."""
    script, page = "man/kura-scsi.py", "man/kura-scsi.7"
    if script not in tree.paths:
        return
    done = subprocess.run([sys.executable, "-B", script], cwd=tree.root, text=True, check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode or done.stdout != tree.text(page):
        yield Fault("printed", page, 1, f"not of the tables as they are: {script} >{page}")


ALL = [layout, shell, manual, printed]
