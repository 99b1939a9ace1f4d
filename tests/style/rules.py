# SPDX-License-Identifier: Apache-2.0
"""The rules over our own sources: who may include whom, how long things are, what is said."""

import os
import re

from fault import Fault

# ---- the staircase

# A file belongs to the longest prefix that fits; it may include its own room and those listed.
ROOMS = {
    "common/": [],
    "target/loop/": ["common/"],
    "volume/": ["common/", "target/loop/"],
    "target/scsi/": ["common/", "target/loop/", "volume/"],
    "target/iscsi/": ["common/", "target/loop/", "volume/", "target/scsi/"],
    "config/": ["common/"],
    "rpc/": ["common/"],
    "target/ctl/": ["common/", "config/", "rpc/", "target/loop/", "volume/", "target/scsi/",
                    "target/iscsi/", "target/"],
    "target/": ["common/", "config/", "rpc/", "target/loop/", "volume/", "target/scsi/",
                "target/iscsi/", "target/ctl/"],
    "tools/": ["common/", "config/", "rpc/"],
    "tests/": ["*"],
}
GENERATED = {"kura_config.h"}


def room_of(path):
    """The room of a path; None at the top level."""
    fitting = [room for room in ROOMS if path.startswith(room)]
    return max(fitting, key=len) if fitting else None


def staircase(tree):
    """Quoted includes are written from the root and go down the stairs only."""
    known = set(tree.paths)
    for path in tree.ending(".c", ".h", ".def"):
        room = room_of(path)
        allowed = ROOMS.get(room, [])
        for line, quote, name in tree.source(path).includes():
            if quote != '"' or name in GENERATED:
                continue
            if name not in known:
                yield Fault("include", path, line, f'"{name}" is no tracked file of the tree; '
                            'includes are written from its root')
                continue
            other = room_of(name)
            if other != room and other not in allowed and "*" not in allowed:
                yield Fault("staircase", path, line,
                            f"{room or 'the top'} may not include {name}")


def own_header_first(tree):
    """X.c includes X.h before any other header, so that each header stands on its own."""
    known = set(tree.paths)
    for path in tree.ending(".c"):
        own = path[:-1] + "h"
        includes = [i for i in tree.source(path).includes() if i[2] not in GENERATED]
        if own in known and includes and includes[0][2] != own:
            yield Fault("own-header", path, includes[0][0], f'"{own}" comes first')


# ---- foreign libraries

LIBRARIES = {
    r"liburing\.h|liburing/.*": ["target/loop/loop_uring.c"],
    r"libaio\.h": ["target/loop/loop_aio.c"],
    r"libconfig\.h": ["config/config_read.c", "config/config_write.c"],
    r"jansson\.h": ["rpc/jval.c"],
    r"openssl/.*": ["common/crypto.c"],
    r"isa-l\.h|isa-l/.*": ["common/crc32c.c"],
    r"systemd/.*": ["target/notify.c"],
    r"microhttpd\.h": ["target/metrics.c"],
    r"libdevmapper\.h": ["volume/pool_dm.c"],
    r"cmocka\.h": ["tests/"],
    r"iscsi/.*": ["tests/"],
    r"sanitizer/.*": ["common/", "tests/"],
}
PLAIN = re.compile(r"(sys|linux|netinet|arpa|net|asm|asm-generic)/.*|"
                   r"(aio|assert|byteswap|ctype|dirent|dlfcn|endian|errno|fcntl|fnmatch|ftw|getopt|"
                   r"glob|grp|ifaddrs|immintrin|inttypes|libgen|limits|locale|malloc|math|netdb|"
                   r"nmmintrin|poll|pthread|pwd|regex|sched|search|semaphore|setjmp|signal|spawn|"
                   r"stdalign|stdarg|stdatomic|stdbool|stddef|stdint|stdio|stdlib|stdnoreturn|"
                   r"string|strings|syslog|termios|threads|time|uchar|unistd|wchar|wctype|"
                   r"x86intrin)\.h")


def libraries(tree):
    """The header of a foreign library is included in its one file only."""
    for path in tree.ending(".c", ".h", ".def"):
        for line, quote, name in tree.source(path).includes():
            if quote != "<" or PLAIN.fullmatch(name):
                continue
            homes = next((h for p, h in LIBRARIES.items() if re.fullmatch(p, name)), None)
            if homes is None:
                yield Fault("library", path, line, f"<{name}> belongs to no library that kura "
                            "has chosen (LIBRARIES in tests/style/rules.py)")
            elif not path.startswith(tuple(homes)):
                yield Fault("library", path, line,
                            f"<{name}> may be included only in {' and '.join(homes)}")


# ---- lengths

FUNCTION_MOST = 100
FUNCTION_USUAL = 45
FUNCTION_SHARE = 0.90
FILE_MOST = 800


def lengths(tree):
    """No function over 100 lines, no file over 800."""
    for path in tree.ending(".c", ".h", ".def", ".py", ".sh"):
        number = len(tree.lines(path))
        if number >= FILE_MOST:
            yield Fault("file-length", path, number, f"{number} lines; at most {FILE_MOST - 1}")
    for path in tree.ending(".c", ".h"):
        for function in tree.source(path).functions():
            if function.length > FUNCTION_MOST:
                yield Fault("function-length", path, function.line,
                            f"{function.length} lines; at most {FUNCTION_MOST}", function.name)


def length_share(tree):
    """Nine functions in ten under 45 lines, in the sources and in the tests."""
    for name, tests in (("sources", False), ("tests", True)):
        functions = [(f.length, p, f) for p in tree.ending(".c", ".h")
                     if p.startswith("tests/") == tests for f in tree.source(p).functions()]
        short = sum(length < FUNCTION_USUAL for length, _, _ in functions)
        if functions and short < FUNCTION_SHARE * len(functions):
            length, path, function = max(functions, key=lambda f: f[0])
            yield Fault("function-share", path, function.line,
                        f"only {short} of {len(functions)} functions of the {name} are under "
                        f"{FUNCTION_USUAL} lines; the longest is this one, {length} lines",
                        function.name)


# ---- what is said

def prototypes(tree):
    """Every prototype in a header has its comment directly above."""
    for path in tree.ending(".h"):
        if path.startswith("tests/"):
            continue
        for prototype in tree.source(path).prototypes():
            if not prototype.documented:
                yield Fault("prototype", path, prototype.line,
                            "no comment directly above", prototype.name)


LICENCE = "SPDX-License-Identifier: Apache-2.0"
NO_LICENCE_LINE = {"LICENSE"}


DEBIAN = "packaging/debian/"


def licence(tree):
    """Every text file says its licence within its first three lines."""
    for path in tree.paths:
        if os.path.basename(path) in NO_LICENCE_LINE or tree.text(path) in (None, ""):
            continue
        if path.startswith(DEBIAN):  # its copyright file speaks for all of them
            continue
        if not any(LICENCE in line for line in tree.lines(path)[:3]):
            yield Fault("licence", path, 1, f'no "{LICENCE}" in the first three lines')


# Spelled in pieces, because this file is checked as well.
WORDS = re.compile(r"\b(TO" r"DO|FIX" r"ME|X" r"XX)\b")
PATHS = re.compile(r"(?<![\w.$}/~-])/(work|root|home|Users)/\w|/tmp" r"/kura/")


def forbidden(tree):
    """No open ends in the text, and no path of somebody's machine."""
    for path in tree.paths:
        if os.path.basename(path) in NO_LICENCE_LINE:
            continue
        for number, line in enumerate(tree.lines(path), 1):
            word, place = WORDS.search(line), PATHS.search(line)
            if word:
                yield Fault("word", path, number, f"{word[0]}: finish it, or file an issue")
            if place:
                yield Fault("path", path, number, f"{place[0]}: a path of one machine")


CITED_ROOMS = ["target/iscsi/", "target/scsi/"]
CITATION = re.compile(r"\b(RFC \d{4} \d+(\.\d+)*|(SPC|SBC|SAM)-\d \d+(\.\d+)*)")
CITATIONS_PER_1000 = 10


def citations(tree):
    """Ten citations of a standard for every thousand lines of the rooms that implement one."""
    for room in CITED_ROOMS:
        paths = [p for p in tree.ending(".c", ".h", ".def") if p.startswith(room)]
        number = sum(len(tree.lines(p)) for p in paths)
        cited = sum(len(CITATION.findall(tree.text(p) or "")) for p in paths)
        if number and cited * 1000 < CITATIONS_PER_1000 * number:
            yield Fault("citation", paths[0], 1,
                        f"{cited} citations in {number} lines of {room}; at least "
                        f"{CITATIONS_PER_1000} per 1000")


# ---- the manual and the table of keys

KEYS, MANUAL = "config/keys.def", "man/kura.conf.5"
ROW = re.compile(r'^(KEY|LIST|GROUP)\((\w+),\s*(\w+)(?:,\s*(\w+),\s*(NULL|"[^"]*"))?', re.MULTILINE)
SECTIONS = {"config": "The whole file", "portal": "Portals", "pool": "Pools", "volume": "Volumes",
            "limit": "Limits", "layer": "Layers", "target": "Targets", "lun": "LUNs", "initiator": "Initiators",
            "auth": "Authentication", "host": "Host groups", "access": "Access",
            "redirect": "Redirection", "isns": "Name server"}


def manual_items(tree):
    """{(section, key): (line, text of the item)} of the manual page."""
    items, section, current = {}, None, None
    for number, line in enumerate(tree.lines(MANUAL), 1):
        if line.startswith((".Ss ", ".Sh ")):
            section, current = line[4:], None
        elif line.startswith(".It Ic "):
            current = (section, line[7:])
            items[current] = (number, "")
        elif current:
            items[current] = (items[current][0], items[current][1] + line + "\n")
    return items


def promised(row):
    """What the manual has to say of a key's default, or "" when there is nothing to say."""
    default = row[5]
    if row[1] != "KEY" or row[4] == "SIZE" or default in (None, '""'):
        return ""
    return "Must be given" if default == "NULL" else f"({default[1:-1]})"


def manual_keys(tree):
    """Every row of the table of keys is in the manual with its default, and nothing else is."""
    if KEYS not in tree.paths or MANUAL not in tree.paths:
        return
    items = manual_items(tree)
    rows = list(ROW.finditer(tree.text(KEYS)))
    for row in rows:
        line = tree.text(KEYS).count("\n", 0, row.start()) + 1
        item = items.pop((SECTIONS.get(row[2]), row[3]), None)
        if not item:
            yield Fault("manual-key", KEYS, line, f"{row[2]}.{row[3]} is not in {MANUAL}")
        elif promised(row) not in item[1]:
            yield Fault("manual-key", MANUAL, item[0],
                        f'{row[3]}: the page does not say "{promised(row)}"')
    for (_, key), (line, _) in items.items():
        yield Fault("manual-key", MANUAL, line, f"{key} is no row of {KEYS}")


# ---- the documents

QUOTED = re.compile(r"`([^`\n]+)`")
FILE = re.compile(r"[a-z][\w.-]*(/[\w.-]+)+\.(c|h|def|py|sh|md|txt|conv|mk)")
SYMBOL = re.compile(r"[a-z]+(_[a-z0-9]+)+")


def documents(tree):
    """A file or a function that a document names is there. Patterns and NAMEs are left alone."""
    code = "\n".join(tree.text(p) or "" for p in tree.ending(".c", ".h", ".def", "dev"))
    words = set(re.findall(r"\w+", code))
    for path in tree.ending(".md"):
        for number, line in enumerate(tree.lines(path), 1):
            for quoted in QUOTED.findall(line):
                named = quoted.split("(")[0]
                if FILE.fullmatch(named) and "NAME" not in named and named not in tree.paths:
                    yield Fault("document", path, number, f"there is no {named}")
                if SYMBOL.fullmatch(named) and named not in words:
                    yield Fault("document", path, number, f"nothing is called {named}")


# ---- the list of the protocol's rules, and the conversations that prove them

WIRE = "docs/wire.md"
SCENARIO = re.compile(r"`([\w-]+\.conv): ([^`]+)`")


def conversations(tree):
    """Every conversation that the page names is there, and every row of it names one."""
    titles = {(os.path.basename(p), line[3:].strip()) for p in tree.ending(".conv")
              for line in tree.lines(p) if line.startswith("== ")}
    for number, line in enumerate(tree.lines(WIRE) if WIRE in tree.paths else [], 1):
        named = SCENARIO.findall(line)
        for name, title in named:
            if (name, title) not in titles:
                yield Fault("conversation", WIRE, number, f"{name} has no \"{title}\"")
        if line.startswith("|") and not line.startswith(("| what |", "|---")) and not named:
            yield Fault("conversation", WIRE, number, "a row without a conversation")


ALL = [staircase, own_header_first, libraries, lengths, length_share, prototypes, licence,
       forbidden, citations, manual_keys, documents, conversations]
