# SPDX-License-Identifier: Apache-2.0
"""One place that breaks one rule."""


class Fault:
    def __init__(self, rule, path, line, text, name=None):
        self.rule = rule
        self.path = path
        self.line = line
        self.text = text
        self.name = name  # of the function or prototype, for the exceptions

    def __str__(self):
        name = f" {self.name}:" if self.name else ""
        return f"{self.path}:{self.line}: [{self.rule}]{name} {self.text}"
