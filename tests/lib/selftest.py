#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Whether the runner counts what drivers print, and believes none of them on its word."""

import io
import os
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import runner  # noqa: E402
import tapcount  # noqa: E402
from tapout import Tap  # noqa: E402

# what a driver prints, its status, and (passed, failed, skipped)
STREAMS = [
    ("one that passes", "ok 1 - a\n1..1\n", 0, (1, 0, 0)),
    ("a plan in front", "1..2\nok 1 - a\nok 2\n", 0, (2, 0, 0)),
    ("a failure", "1..2\nok 1 - a\nnot ok 2 - b\n# why\n", 1, (1, 1, 0)),
    ("a skip", "1..2\nok 1 - a # SKIP no disk\nok 2 - b\n", 0, (1, 0, 1)),
    ("a known gap", "1..1\nnot ok 1 - a # TO" "DO later\n", 0, (0, 0, 1)),
    ("everything skipped", "1..0 # SKIP nothing here\n", 0, (0, 0, 1)),
    ("two plans", "1..1\nok 1 - a\n1..2\nok 1 - b\nok 2 - c\n", 0, (3, 0, 0)),
    ("words that only look like results", "okay\nnot okay\nnotes\n1..1\nok 1\n", 0, (1, 0, 0)),
    ("no plan", "ok 1 - a\n", 0, (1, 1, 0)),
    ("nothing at all", "", 0, (0, 1, 0)),
    ("one result too few", "1..3\nok 1\nok 2\n", 0, (2, 1, 0)),
    ("one result too many", "1..1\nok 1\nok 2\n", 0, (2, 1, 0)),
    ("a crash after the plan", "1..1\nok 1\n", 139, (1, 1, 0)),
    ("a bail out", "1..1\nok 1\nBail out! no kurad\n", 0, (1, 1, 0)),
]


def streams(tap):
    for name, text, status, want in STREAMS:
        counter = tapcount.Counter()
        for line in text.splitlines(True):
            counter.feed(line)
        counter.close(status)
        got = (counter.passed, counter.failed, counter.skipped)
        tap.check(got == want, f"TAP: {name}", f"want {want}, got {got}")


def automake(tap):
    text = "# TOTAL: 6\n# PASS:  3\n# SKIP:  1\n# XFAIL: 0\n# FAIL:  1\n# XPASS: 0\n# ERROR: 1\n"
    counter = tapcount.AutomakeCounter()
    for line in text.splitlines(True):
        counter.feed(line)
    wrong = counter.close(2)
    got = (counter.passed, counter.failed, counter.skipped)
    tap.check(got == (3, 2, 1) and not wrong, "the summary of automake", f"{got} {wrong}")
    counter = tapcount.AutomakeCounter()
    counter.feed("make: *** No rule to make target\n")
    wrong = counter.close(2)
    tap.check(wrong and counter.failed == 1, "make that did not come to the tests", wrong)


def run_table(*lines, width=2, names=()):
    """Runs jobs; returns (status, what was printed)."""
    out = io.StringIO()
    with tempfile.TemporaryDirectory(prefix="kura-runner.") as logs:
        jobs = runner.select([runner.Job(line) for line in lines], names)
        status = runner.Runner(jobs, {"full": width, "light": 1}, logs, out).run()
    return status, out.getvalue()


def last(printed):
    return printed.rstrip().splitlines()[-1]


def jobs(tap):
    status, text = run_table("a\ttap\tfull\t-\t10\tprintf 'ok 1\\nok 2\\n1..2\\n'",
                             "b\texit\tfull\t-\t10\ttrue", "c\texit\tfull\t-\t10\texit 77")
    tap.check(status == 0 and last(text) == "3 passed, 0 failed, 1 skipped", "sums up", text)

    status, text = run_table("a\ttap\tfull\t-\t10\t"
                             "printf 'not ok 1 - it\\n# because\\n1..1\\n'; exit 1")
    tap.check(status == 1 and "# because" in text, "shows what failed and why", text)

    status, text = run_table("a\texit\tfull\t-\t10\techo some words; false")
    tap.check(status == 1 and "some words" in text, "shows the output of a command", text)

    status, text = run_table("a\texit\tfull\t-\t10\texit 77")
    tap.check(status == 1 and last(text) == "0 passed, 0 failed, 1 skipped",
              "nothing passed is not good", text)

    status, text = run_table("a\texit\tfull\t-\t10\tfalse", "b\texit\tfull\ta\t10\ttrue",
                             "c\texit\tfull\tb\t10\ttrue", "d\texit\tfull\t~a\t10\ttrue")
    tap.check(last(text) == "1 passed, 3 failed, 0 skipped" and
              "not run, because a failed" in text, "what builds on a failure is not run", text)

    status, text = run_table("a\texit\tfull\t-\t10\tsleep 0.3", "b\texit\tfull\ta\t10\ttrue",
                             "c\texit\tfull\t-\t10\tfalse", names=["b"])
    tap.check(last(text) == "2 passed, 0 failed, 0 skipped",
              "a chosen job brings along what it needs", text)


def trouble(tap):
    """A runner that cannot even begin a job, here for want of a place for its log, says so."""
    out = io.StringIO()
    with tempfile.TemporaryDirectory(prefix="kura-runner.") as logs:
        one = runner.Runner([runner.Job("a\texit\tfull\t-\t10\ttrue")], {"full": 1}, logs, out)
        one.log_path = lambda job: os.path.join(logs, "gone", "a.log")
        status = one.run()
    text = out.getvalue()
    tap.check(status == 1 and last(text) == "0 passed, 1 failed, 0 skipped" and
              "could not be run" in text, "a job that cannot be run is a failure", text)


def limits(tap):
    start = time.monotonic()
    status, text = run_table("a\ttap\tfull\t-\t0.5\techo ok 1; (sleep 60 & sleep 60); echo 1..1")
    took = time.monotonic() - start
    tap.check(status == 1 and "stopped at its limit" in text and took < 10,
              "a job and its children end at the limit", f"{took:.1f} s\n{text}")


def places(tap):
    with tempfile.TemporaryDirectory(prefix="kura-runner.") as d:
        # each waits until the other has begun
        meet = "touch {0}/{1}; while [ ! -e {0}/{2} ]; do sleep 0.02; done"
        a, b = meet.format(d, "a", "b"), meet.format(d, "b", "a")
        status, text = run_table(f"a\texit\tfull\t-\t20\t{a}", f"b\texit\tfull\t-\t20\t{b}")
        tap.check(status == 0, "two jobs at a time", text)
        c, e = meet.format(d, "c", "e"), meet.format(d, "e", "c")
        status, text = run_table(f"a\texit\tfull\t-\t20\t{c}", f"b\texit\tlight\t-\t20\t{e}",
                                 width=1)
        tap.check(status == 0, "a light job beside a full one", text)
        status, text = run_table(f"a\texit\tfull\t-\t20\ttouch {d}/x; sleep 0.3; rm {d}/x",
                                 f"b\texit\tfull\t-\t20\t[ ! -e {d}/x ]", width=1)
        tap.check(status == 0, "or one of a load", text)


def main():
    tap = Tap()
    streams(tap)
    automake(tap)
    jobs(tap)
    trouble(tap)
    limits(tap)
    places(tap)
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
