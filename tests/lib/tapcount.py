# SPDX-License-Identifier: Apache-2.0
"""Counts the tests of a driver from what it prints; tapout.py is the other side.

What counts is one line per test, "ok" or "not ok"; a plan that does not match the number of
results is a failure of its own, so that a driver which dies half way cannot look good.
"""

import re

RESULT = re.compile(r"^(not )?ok\b\s*(\d+)?\s*(?:- )?([^#]*)(?:#\s*(\w+)\b\s*(.*))?$")
PLAN = re.compile(r"^1\.\.(\d+)\s*(?:#\s*(skip)\w*\b\s*(.*))?$", re.IGNORECASE)
# What automake prints below its rule when a whole "make check" is over.
SUMMARY = re.compile(r"^# (PASS|SKIP|FAIL|XFAIL|XPASS|ERROR):\s+(\d+)$")


class Counter:
    """Counts what a driver printed. A stream may hold several plans, one after the other."""

    def __init__(self):
        self.passed = self.failed = self.skipped = 0
        self.results = self.planned = self.plans = 0
        self.bailed = None
        self.failures = []

    def feed(self, line):
        line = line.rstrip("\r\n")
        result = RESULT.match(line)
        plan = None if result else PLAN.match(line)
        if result:
            self._result(result)
        elif plan:
            self.plans += 1
            self.planned += int(plan[1])
            if plan[1] == "0":
                self.skipped += 1
        elif line.startswith("Bail out!"):
            self.bailed = line
        elif line.startswith("#") and self.failures and self.results == self.failures[-1][0]:
            self.failures[-1][1].append(line)

    def _result(self, match):
        self.results += 1
        word = (match[4] or "").lower()
        if word.startswith("skip") or (word == "todo" and match[1]):
            self.skipped += 1
        elif match[1]:
            self.failed += 1
            self.failures.append((self.results, [match[0]]))
        else:
            self.passed += 1

    def close(self, status):
        """The stream ended and the driver exited with status: returns what is wrong, or None."""
        wrong = None
        if self.bailed:
            wrong = self.bailed
        elif self.plans == 0:
            wrong = "no plan was printed"
        elif self.planned != self.results:
            wrong = f"{self.planned} tests were planned, {self.results} gave a result"
        elif status != 0 and not self.failed:
            wrong = f"the driver ended with status {status}"
        if wrong:
            self.failed += 1
        return wrong


class AutomakeCounter(Counter):
    """Counts the summary of "make check" instead of single results. With VERBOSE=1 it comes twice
    (the last one counts), and the logs of the programs that failed say what to show."""

    def __init__(self):
        super().__init__()
        self.summary = {}
        self.showing = False

    def feed(self, line):
        line = line.rstrip()
        match = SUMMARY.match(line)
        if match:
            self.plans = 1
            self.summary[match[1]] = int(match[2])
        if re.match(r"not ok\b|ERROR: .* - ", line):
            self.failures.append((0, [line]))
            self.showing = True
        elif re.match(r"(# )?(not )?ok\b|PASS: |[=#] ?", line) and not line.startswith("# "):
            self.showing = False
        elif self.showing:
            self.failures[-1][1].append(line)

    def close(self, status):
        number = self.summary.get
        self.passed = number("PASS", 0)
        self.skipped = number("SKIP", 0) + number("XFAIL", 0)
        self.failed = number("FAIL", 0) + number("ERROR", 0) + number("XPASS", 0)
        return super().close(status)


class ExitCounter(Counter):
    """One result for a command that prints no TAP: its exit status. 77 means skipped."""

    def feed(self, line):
        pass

    def close(self, status):
        if status == 0:
            self.passed = 1
        elif status == 77:
            self.skipped = 1
        else:
            self.failed = 1
        return None
