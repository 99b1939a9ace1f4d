# SPDX-License-Identifier: Apache-2.0
"""Reads a golden conversation (the notation is described in README.md beside this file).

A file becomes a Conversation: the config lines, and scenarios of statements.  Nothing is
evaluated here, so a typing mistake is found before anything runs, and with its line.
"""

import re

SEND, EXPECT, DIRECTIVE = ">", "<", ":"
STATEMENT = re.compile(r"^([A-Z]?)([<>:])\s*(.*)$")
BLOCKS = ("unordered", "repeat", "batch")
VERBS = ("login", "join", "ready", "close", "half-close", "drain", "digests", "sleep", "let", "ping",
         "logout",
         "offer", "stop", "crowd", "idle")
PARTS = ("text", "str", "hex", "fill", "pattern", "zero", "sense", "any", "ahs", "echo", "no",
         "exact", "...")


class BadConversation(Exception):
    """A mistake in the .conv file itself."""


class Statement:
    """One line with its indented data lines, or a block with its statements."""

    def __init__(self, kind, conn, words, line, text):
        self.kind = kind
        self.conn = conn
        self.words = words
        self.line = line
        self.text = text
        self.parts = []
        self.body = []


class Scenario:
    def __init__(self, title, line):
        self.title = title
        self.line = line
        self.statements = []


class Conversation:
    def __init__(self, path):
        self.path = path
        self.config = []
        self.scenarios = []


def _statement(line, number):
    match = STATEMENT.match(line)
    if match:
        conn, kind, rest = match.groups()
    else:
        conn, kind, rest = "", DIRECTIVE, line
    words = rest.split()
    if not words:
        raise BadConversation(f"line {number}: nothing after the mark")
    if kind == DIRECTIVE and words[0] not in VERBS + BLOCKS:
        raise BadConversation(f"line {number}: no such directive: {words[0]}")
    return Statement(kind, conn, words, number, line.strip())


def _part(line, number):
    word, _, rest = line.strip().partition(" ")
    if word not in PARTS:
        raise BadConversation(f"line {number}: no such data line: {word}")
    return word, rest.strip() if word != "str" else rest, number


def parse(path, text):
    """The conversation in the text; raises BadConversation."""
    conv = Conversation(path)
    stack = []
    last = None
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.rstrip()
        if not line or line.lstrip().startswith("#"):
            continue
        if line.startswith("|"):
            conv.config.append(line[1:].strip())
        elif line.startswith("== "):
            if len(stack) > 1:
                raise BadConversation(f"line {number}: a block is still open")
            conv.scenarios.append(Scenario(line[3:].strip(), number))
            stack = [conv.scenarios[-1].statements]
            last = None
        elif not stack:
            raise BadConversation(f"line {number}: before the first scenario (== title)")
        elif line[0] in " \t":
            if last is None:
                raise BadConversation(f"line {number}: data of nothing")
            last.parts.append(_part(line, number))
        elif line == "end":
            if len(stack) < 2:
                raise BadConversation(f"line {number}: end of nothing")
            stack.pop()
            last = None
        else:
            last = _statement(line, number)
            stack[-1].append(last)
            if last.kind == DIRECTIVE and last.words[0] in BLOCKS:
                stack.append(last.body)
    if len(stack) > 1:
        raise BadConversation("a block is still open at the end of the file")
    return conv


def read(path):
    with open(path, encoding="utf-8") as f:
        return parse(path, f.read())
