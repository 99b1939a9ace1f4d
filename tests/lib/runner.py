#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs a table of jobs, several at a time, prints one line a job and sums up their tests.

A job is a line of six fields, separated by tabs: name, kind, load, after, limit in seconds, command.
The kind says how its tests are counted: "tap" (TAP on stdout), "automake" (the summary of make
check), "exit" (the exit status is the one test). The load is "full" for a job that keeps a processor
busy, or "light" for one that waits most of the time; each has so many places of its own. "after"
names jobs, separated by commas, that must have succeeded before; with a "~" in front it is enough
that they are over. "-" is nothing. Of the jobs that may run, the first of the table is the next.

A job whose forerunner failed is not run and counts as one failure, and so does a job that
exceeds its limit. The last line printed is "N passed, N failed, N skipped".
"""

import argparse
import os
import signal
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tapcount  # noqa: E402

COUNTERS = {"tap": tapcount.Counter, "automake": tapcount.AutomakeCounter, "exit": tapcount.ExitCounter}
LOADS = ("full", "light")
SHOW_TAIL = 60
SHOW_FAILURES = 25


class Job:
    def __init__(self, line):
        name, kind, load, after, limit, command = line.rstrip("\n").split("\t", 5)
        self.name = name
        self.kind = kind
        self.load = load
        if kind not in COUNTERS or load not in LOADS:
            raise ValueError(f"{name}: no kind is called {kind}, or no load {load}")
        self.needs = [a for a in after.split(",") if a != "-"]
        self.limit = float(limit)
        self.command = command
        self.state = "waiting"  # running, good, bad
        self.counter = COUNTERS[kind]()
        self.wrong = None
        self.lines = []
        self.seconds = 0.0
        self.process = None

    def run(self, log_path):
        """Runs the command to its end or its limit; the whole process group ends with it."""
        start = time.monotonic()
        expired = threading.Event()
        with open(log_path, "w", encoding="utf-8", errors="replace") as log:
            self.process = subprocess.Popen(
                self.command, shell=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT, start_new_session=True, text=True, errors="replace")
            timer = threading.Timer(self.limit, self._expire, [expired])
            timer.start()
            for line in self.process.stdout:
                log.write(line)
                log.flush()
                self.lines.append(line)
                self.counter.feed(line)
            status = self.process.wait()
            timer.cancel()
        self.end(signal.SIGKILL)
        self.wrong = self.counter.close(status)
        if expired.is_set():
            self.counter.failed += not self.wrong and not self.counter.failed
            self.wrong = f"stopped at its limit of {self.limit:.0f} s"
        self.seconds = time.monotonic() - start

    def _expire(self, expired):
        expired.set()
        self.end(signal.SIGTERM)
        time.sleep(3)
        self.end(signal.SIGKILL)

    def end(self, number):
        try:
            os.killpg(self.process.pid, number)
        except (ProcessLookupError, PermissionError):
            pass

    def not_run(self, why):
        self.counter.failed += 1
        self.wrong = why


class Runner:
    def __init__(self, jobs, places, log_dir, out=sys.stdout):
        self.jobs = jobs
        self.by_name = {job.name: job for job in jobs}
        self.places = places  # load: how many jobs of it at a time
        self.log_dir = log_dir
        self.out = out
        self.change = threading.Condition()
        self.started = time.monotonic()

    def say(self, text):
        print(text, file=self.out, flush=True)

    def log_path(self, job):
        return os.path.join(self.log_dir, job.name.replace("/", "-") + ".log")

    def verdict(self, job):
        """Whether a waiting job may run: "yes", "no" (not yet), or the name of what failed."""
        for need in job.needs:
            loose = need.startswith("~")
            other = self.by_name.get(need.lstrip("~"))
            if other is None:
                continue
            if other.state in ("waiting", "running"):
                return "no"
            if other.state == "bad" and not loose:
                return other.name
        return "yes"

    def next_job(self, load):
        """Takes the first job of a load that may run; None when all are taken. Called with the
        lock."""
        while True:
            waiting = [job for job in self.jobs if job.state == "waiting" and job.load == load]
            if not waiting:
                return None
            for job in waiting:
                verdict = self.verdict(job)
                if verdict == "yes":
                    job.state = "running"
                    return job
                if verdict != "no":
                    job.not_run(f"not run, because {verdict} failed")
                    self.finish(job)
                    break
            else:
                self.change.wait()

    def finish(self, job):
        job.state = "bad" if job.counter.failed else "good"
        self.report(job)
        self.change.notify_all()

    def work(self, load):
        while True:
            with self.change:
                job = self.next_job(load)
            if job is None:
                return
            try:
                job.run(self.log_path(job))
            except Exception as error:  # whatever it is, the job must not be lost
                job.not_run(f"could not be run: {error}")
            with self.change:
                self.finish(job)

    def report(self, job):
        c = job.counter
        counts = f"{c.passed} passed"
        if c.failed:
            counts += f", {c.failed} failed"
        if c.skipped:
            counts += f", {c.skipped} skipped"
        word = "FAIL" if job.state == "bad" else "ok"
        self.say(f"{word:<5} {job.name:<24} {job.seconds:6.1f} s  {counts}")
        if job.state == "bad":
            self.show(job)

    def show(self, job):
        if job.wrong:
            self.say(f"      {job.wrong}")
        if not job.lines:
            return
        for _, lines in job.counter.failures[:SHOW_FAILURES]:
            for line in lines[:20]:
                self.say(f"      | {line}")
        if not job.counter.failures or job.wrong:
            for line in job.lines[-SHOW_TAIL:]:
                self.say(f"      | {line.rstrip()}")
        self.say(f"      all of it: {self.log_path(job)}")

    def stop(self):
        for job in self.jobs:
            if job.state == "running" and job.process:
                job.end(signal.SIGTERM)

    def run(self):
        """Runs everything; returns the exit status."""
        os.makedirs(self.log_dir, exist_ok=True)
        threads = [threading.Thread(target=self.work, args=[load], daemon=True)
                   for load, places in self.places.items() for _ in range(places)]
        for thread in threads:
            thread.start()
        try:
            for thread in threads:
                thread.join()
        except KeyboardInterrupt:
            self.stop()
            self.say("interrupted")
            return 130
        return self.sum_up()

    def sum_up(self):
        passed = sum(job.counter.passed for job in self.jobs)
        failed = sum(job.counter.failed for job in self.jobs)
        skipped = sum(job.counter.skipped for job in self.jobs)
        self.say(f"{len(self.jobs)} jobs in {time.monotonic() - self.started:.0f} s")
        self.say(f"{passed} passed, {failed} failed, {skipped} skipped")
        return 1 if failed or not passed else 0


def select(jobs, prefixes):
    """The jobs whose name starts with one of prefixes, and what they need."""
    if not prefixes:
        return jobs
    by_name = {job.name: job for job in jobs}
    chosen = set()

    def choose(job):
        if job.name in chosen:
            return
        chosen.add(job.name)
        for need in job.needs:
            if not need.startswith("~") and need in by_name:
                choose(by_name[need])

    for job in jobs:
        if any(job.name.startswith(prefix) for prefix in prefixes):
            choose(job)
    return [job for job in jobs if job.name in chosen]


def main():
    parser = argparse.ArgumentParser(description="run a table of jobs and sum up their tests")
    parser.add_argument("table", type=argparse.FileType("r"))
    parser.add_argument("names", nargs="*", help="run only jobs whose name begins so")
    parser.add_argument("--jobs", type=int, default=2, help="how many full ones at a time (2)")
    parser.add_argument("--light", type=int, default=2, help="and how many light ones (2)")
    parser.add_argument("--logs", default="build/check", help="where their output is kept")
    args = parser.parse_args()
    jobs = [Job(line) for line in args.table if line.strip() and not line.startswith("#")]
    jobs = select(jobs, args.names)
    places = {"full": max(args.jobs, 1), "light": max(args.light, 1)}
    return Runner(jobs, places, args.logs).run()


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(main())
