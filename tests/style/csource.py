# SPDX-License-Identifier: Apache-2.0
"""Reads C as clang-format lays it out: functions, prototypes and includes, with their lines.

Not a parser. It leans on the layout that the format check enforces: a function's braces stand
alone in the first column, and whatever is at depth 0 ends in ";" or "}".
"""

import re

TOKEN = re.compile(
    r"/\*.*?\*/|//[^\n]*|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'", re.DOTALL)
INCLUDE = re.compile(r"^[ \t]*#[ \t]*include[ \t]+([<\"])([^>\"]+)[>\"]", re.MULTILINE)
DIRECTIVE = re.compile(r"^[ \t]*#(?:[^\n\\]|\\\n|\\.)*", re.MULTILINE)
NOT_PROTOTYPE = re.compile(r"^(typedef|_Static_assert|static_assert)\b|^[^(]*\(\s*\*|=")
NAME = re.compile(r"(\w+)\s*\(")


def blank(match):
    """The same number of lines, nothing on them."""
    return re.sub(r"[^\n]", " ", match[0])


class Function:
    def __init__(self, name, line, length):
        self.name = name
        self.line = line
        self.length = length


class Prototype:
    def __init__(self, name, line, documented):
        self.name = name
        self.line = line
        self.documented = documented


class Source:
    def __init__(self, text):
        self.text = text
        self.lines = text.splitlines()
        code = DIRECTIVE.sub(blank, TOKEN.sub(self._plain, text))
        self.code = code.splitlines()

    @staticmethod
    def _plain(match):
        """Comments become blanks; strings stay strings, without what could be a brace."""
        if match[0][0] == "/":
            return blank(match)
        return match[0][0] + re.sub(r"[^\n]", "x", match[0][1:-1]) + match[0][-1]

    def includes(self):
        """(line, quote, name) of each include."""
        bare = re.sub(r"/\*.*?\*/", blank, self.text, flags=re.DOTALL)
        for match in INCLUDE.finditer(bare):
            yield bare.count("\n", 0, match.start()) + 1, match[1], match[2]

    def functions(self):
        """Every function with a body, its length counted from brace to brace."""
        start = None
        for index, line in enumerate(self.code):
            if line.rstrip() == "{":
                start = index
            elif line.rstrip() == "}" and start is not None:
                yield Function(self._name_above(start), start + 1, index - start + 1)
                start = None

    def _name_above(self, brace):
        """The name of the function whose body opens on line index brace."""
        head = ""
        for line in reversed(self.code[max(0, brace - 20):brace]):
            if re.search(r"[;}]\s*$", line) or not line.strip() and head:
                break
            head = line + " " + head
        match = NAME.search(head)
        return match[1] if match else "?"

    def _statements(self):
        """(first line index, text) of everything at depth 0 that ends in a semicolon."""
        depth, first, text = 0, None, ""
        for index, line in enumerate(self.code):
            for char in line:
                if char == "{":
                    depth += 1
                elif char == "}":
                    depth -= 1
                    if depth == 0:
                        first, text = None, ""
                elif depth == 0:
                    if char == ";":
                        if first is not None:
                            yield first, text
                        first, text = None, ""
                    else:
                        if first is None and not char.isspace():
                            first = index
                        text += char
            text += " "

    def prototypes(self):
        """Every function that is declared here, and whether a comment stands directly above."""
        for first, text in self._statements():
            text = text.strip()
            if "(" not in text or NOT_PROTOTYPE.search(text):
                continue
            above = self.lines[first - 1].strip() if first else ""
            documented = above.endswith("*/") or above.startswith("//")
            yield Prototype(NAME.search(text)[1], first + 1, documented)
