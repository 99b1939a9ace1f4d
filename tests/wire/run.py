#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Plays the golden conversations against kurad and prints TAP, one result for each scenario.

    tests/wire/run.py [-v] [--address HOST:PORT] [FILE.conv ...] [--only WORD]

Each file gets a fresh kurad with the file's config (its `|` lines, else default.conf).  With
--address an already running target is spoken to instead.
"""

import argparse
import glob
import os
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "lib")]

import conv  # noqa: E402
import kurad  # noqa: E402
import tapout  # noqa: E402
from play import Player, ScenarioFailed  # noqa: E402


def default_config():
    with open(os.path.join(HERE, "default.conf"), encoding="utf-8") as f:
        return f.read()


def play_all(tap, conversation, address, options, daemon):
    """Every scenario of one file on one target."""
    name = os.path.basename(conversation.path)[:-len(".conv")]
    player = Player(address, options.verbose, daemon)
    for scenario in conversation.scenarios:
        title = f"{name}: {scenario.title}"
        if options.only and options.only not in title:
            continue
        if options.verbose:
            print(f"# --- {title}", flush=True)
        try:
            player.play(scenario)
            tap.ok(title)
        except ScenarioFailed as error:
            tap.not_ok(title, f"{name}.conv {error}")
        except OSError as error:
            tap.not_ok(title, f"{name}.conv line {scenario.line}: {error}")
        if daemon and daemon.asked:  # the scenario has stopped it, as it should be stopped
            daemon.restart()
            player.address = daemon.host, daemon.port
        if daemon and not daemon.alive():
            tap.note("kurad is gone; the rest of this file cannot run")
            return


def play_file(tap, path, options):
    """One file; a kurad that crashed or did not stop well is a failure of its own."""
    name = os.path.basename(path)
    try:
        conversation = conv.read(path)
    except conv.BadConversation as error:
        tap.not_ok(f"{name}: can be read", str(error))
        return
    if options.address:
        host, _, port = options.address.rpartition(":")
        play_all(tap, conversation, (host.strip("[]"), int(port)), options, None)
        return
    text = "\n".join(conversation.config) or default_config()
    try:
        with kurad.Kurad(text) as daemon:
            play_all(tap, conversation, (daemon.host, daemon.port), options, daemon)
            if options.log:
                print(daemon.log())
    except kurad.KuradFailed as error:
        tap.not_ok(f"{name}: kurad starts, stays and stops well", str(error))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("files", nargs="*")
    parser.add_argument("-v", "--verbose", action="store_true", help="every PDU as a comment")
    parser.add_argument("--log", action="store_true", help="kurad's log after each file")
    parser.add_argument("--address", help="a target that runs already, HOST:PORT")
    parser.add_argument("--only", help="only scenarios whose title holds this word")
    options = parser.parse_args()
    tap = tapout.Tap()
    for path in options.files or sorted(glob.glob(os.path.join(HERE, "*.conv"))):
        play_file(tap, path, options)
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
