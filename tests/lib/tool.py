# SPDX-License-Identifier: Apache-2.0
"""Runs the tool `kura` for a test: on the command line, and by the control protocol.

The tool lies beside the kurad under test, or where KURA names it.
"""

import json
import os
import pty
import socket
import subprocess
import threading

import kurad

SLOW = float(os.environ.get("KURA_TEST_SLOW", "1"))


def binary():
    """The tool under test."""
    return os.environ.get("KURA") or os.path.join(os.path.dirname(kurad.binary()), "kura")


class Done:
    """What one call of the tool left behind."""

    def __init__(self, run):
        self.code, self.out, self.err = run.returncode, run.stdout, run.stderr

    def json(self):
        return json.loads(self.out)

    def __str__(self):
        return f"exit {self.code}\n{self.out}{self.err}"


class Tool:
    """The tool for one kurad (None: without any)."""

    def __init__(self, k=None):
        self.options = ["--socket", k.path("control")] if k else []

    def run(self, *args, **more):
        return Done(subprocess.run([binary(), *self.options, *args], capture_output=True, text=True,
                                   timeout=60 * SLOW, stdin=subprocess.DEVNULL, check=False, **more))

    def __call__(self, line, **more):
        """kura("volume list --json")"""
        return self.run(*line.split(), **more)

    def json(self, line):
        """The answer as values; a refusal raises."""
        done = self(line + " --json")
        if done.code:
            raise AssertionError(f"kura {line}: {done}")
        return done.json()


class Asker:
    """A connection to the control socket."""

    def __init__(self, path):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(20 * SLOW)
        self.sock.connect(path)
        self.file = self.sock.makefile("rb")

    def line(self, text):
        self.sock.sendall(text if isinstance(text, bytes) else text.encode())
        answer = self.file.readline()
        return json.loads(answer) if answer else None

    def call(self, method, **params):
        return self.line(json.dumps({"jsonrpc": "2.0", "id": 1, "method": method,
                                     "params": params}) + "\n")

    def close(self):
        self.file.close()
        self.sock.close()


def fits(schema, value, path=""):
    """What of a value does not fit its JSON Schema, as far as ours go; "" when all does."""
    kinds = {"object": dict, "array": list, "string": str, "integer": int, "boolean": bool}
    kind = kinds[schema["type"]]
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        return f"{path}: {value!r} is no {schema['type']}"
    for name, member in value.items() if kind is dict else ():
        known = schema.get("properties", {})
        if name in known:
            wrong = fits(known[name], member, f"{path}.{name}")
            if wrong:
                return wrong
        elif schema.get("additionalProperties") is False:
            return f"{path}.{name}: not in the schema"
    for name in schema.get("required", ()):
        if name not in value:
            return f"{path}.{name}: is missing"
    for i, item in enumerate(value if kind is list and "items" in schema else ()):
        wrong = fits(schema["items"], item, f"{path}[{i}]")
        if wrong:
            return wrong
    return ""


_schema = {}


def schema():
    """What each verb takes and answers, by the tool's own word."""
    if not _schema:
        _schema.update(Tool()("help --schema").json())
    return _schema


def ask(kura, verb, *args):
    """(exit status, answer or sentence) of a verb; an answer is held against its schema."""
    done = kura.run(*verb.split(), *args, "--json")
    if done.code:
        try:
            return done.code, json.loads(done.err)["message"]
        except ValueError:
            return done.code, done.err
    wrong = fits(schema()[verb]["result"], done.json())
    if wrong:
        raise AssertionError(f"{verb}: {wrong}\n{done.out}")
    return 0, done.json()


def on_terminal(kura, line, answer):
    """(exit status, what was asked) of the tool when somebody sits there who types `answer`."""
    master, slave = pty.openpty()
    with subprocess.Popen([binary(), *kura.options, *line.split()], stdin=slave,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as run:
        os.close(slave)
        os.write(master, answer.encode())
        _, err = run.communicate(timeout=60 * SLOW)
        code = run.returncode
    os.close(master)
    return code, err


class Later(threading.Thread):
    """ask() beside what the test does: `answer` is there when it is over."""

    def __init__(self, kura, verb, *args):
        super().__init__(daemon=True)
        self.answer = None
        self.what = (kura, verb, *args)
        self.start()

    def run(self):
        self.answer = ask(*self.what)

    def wait(self):
        """The answer; None: it has none for a long time."""
        self.join(30 * SLOW)
        return self.answer
