# SPDX-License-Identifier: Apache-2.0
"""Prints TAP for the test drivers written in Python.

One Tap object per program; it may be used from several threads.  The plan comes last, so a
driver need not know its number of tests beforehand, and a driver that dies leaves no plan.
"""

import sys
import threading


class Tap:
    """Numbers and prints results; done() prints the plan and gives the exit status."""

    def __init__(self, out=None):
        self.out = out or sys.stdout
        self.lock = threading.Lock()
        self.count = 0
        self.failed = 0
        self.skipped = 0

    def _line(self, text, diagnosis):
        lines = [text]
        for line in (diagnosis or "").rstrip("\n").splitlines():
            lines.append("# " + line)
        self.out.write("\n".join(lines) + "\n")
        self.out.flush()

    def ok(self, name):
        with self.lock:
            self.count += 1
            self._line(f"ok {self.count} - {name}", None)

    def not_ok(self, name, diagnosis=""):
        with self.lock:
            self.count += 1
            self.failed += 1
            self._line(f"not ok {self.count} - {name}", diagnosis)

    def skip(self, name, reason):
        with self.lock:
            self.count += 1
            self.skipped += 1
            self._line(f"ok {self.count} - {name} # SKIP {reason}", None)

    def check(self, condition, name, diagnosis=""):
        """One result from a condition; gives the condition back."""
        if condition:
            self.ok(name)
        else:
            self.not_ok(name, diagnosis)
        return bool(condition)

    def note(self, text):
        with self.lock:
            self._line("# " + text, None)

    def done(self):
        """Prints the plan; returns the exit status for the program."""
        with self.lock:
            if self.count == 0:
                self._line("1..0 # SKIP nothing was asked for", None)
            else:
                self._line(f"1..{self.count}", None)
            return 1 if self.failed else 0
