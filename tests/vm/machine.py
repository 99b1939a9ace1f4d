# SPDX-License-Identifier: Apache-2.0
"""A QEMU machine that runs commands: run() sends one over a virtio port and waits for its end.

The machine reaches this one's loopback as 10.0.2.2, by QEMU's user networking.
"""

import os
import re
import select
import socket
import subprocess
import time

import kurad

START_SECONDS = 90 * float(os.environ.get("KURA_TEST_SLOW", "1"))
COMMAND_SECONDS = 60 * float(os.environ.get("KURA_TEST_SLOW", "1"))
STATUS = re.compile(rb"\nKURA STATUS (\d+)\n$")
HOST = "10.0.2.2"
# What makes an emulated processor fast. Programs at the same addresses each time, for what QEMU has
# translated is found again by its address; pages that are not cleared twice; and nothing that costs
# QEMU more than it helps: string instructions that go byte by byte, a fifth level of page tables,
# looks at every address.
CPU = "max,-erms,-smap,-smep,-la57"
APPEND = "console=ttyS0 quiet panic=-1 mitigations=off norandmaps init_on_alloc=0"


class MachineFailed(Exception):
    """The machine did not come up, died, or did not answer."""


class Machine:
    """One guest; its name is also the last part of its initiator name."""

    def __init__(self, image, name, folder):
        self.name = name
        self.console = os.path.join(folder, name + ".console")
        self.socket, theirs = socket.socketpair()
        with open(self.console, "wb") as console:
            self.process = subprocess.Popen(
                self._command(image, theirs.fileno()), stdin=subprocess.DEVNULL, stdout=console,
                stderr=console, pass_fds=[theirs.fileno()], preexec_fn=kurad.die_with_parent)
        theirs.close()

    def _command(self, image, fd):
        return [
            "qemu-system-x86_64", "-accel", os.environ.get("KURA_VM_ACCEL", "tcg"), "-cpu", CPU,
            "-smp", "1", "-m", "512", "-nodefaults", "-no-reboot", "-display", "none",
            "-serial", "stdio", "-kernel", image[0], "-initrd", image[1],
            "-append", f"{APPEND} kura_name={self.name}",
            "-netdev", "user,id=net", "-device", "virtio-net-pci,netdev=net,romfile=",
            "-device", "virtio-serial-pci", "-chardev", f"socket,id=port,fd={fd}",
            "-device", "virtserialport,chardev=port,name=kura",
        ]

    def said(self, lines=30):
        """The end of what came over the console."""
        with open(self.console, encoding="utf-8", errors="replace") as f:
            return "\n".join(f.read().splitlines()[-lines:])

    def _until(self, mark, seconds, what):
        """Reads until the mark matches; returns (match, everything before it)."""
        got = b""
        end = time.monotonic() + seconds
        while True:
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.socket], [], [], left)[0]:
                raise MachineFailed(f"{self.name}: no end of '{what}' in {seconds} s\n"
                                    + got.decode("utf-8", "replace") + self.said())
            more = self.socket.recv(65536)
            if not more:
                raise MachineFailed(f"{self.name} ended during '{what}'\n{self.said()}")
            got += more
            found = mark.search(got)
            if found:
                return found, got[:found.start()].decode("utf-8", "replace")

    def ready(self):
        """Waits until it takes commands."""
        self._until(re.compile(rb"KURA READY\n$"), START_SECONDS, "boot")
        return self

    def run(self, command, seconds=COMMAND_SECONDS):
        """(exit status, what it printed) of one line of shell."""
        self.socket.sendall(command.encode() + b"\n")
        found, text = self._until(STATUS, seconds, command)
        return int(found[1]), text

    def must(self, command, seconds=COMMAND_SECONDS):
        """What a command printed that has to succeed."""
        status, text = self.run(command, seconds)
        if status:
            raise MachineFailed(f"{self.name}: '{command}' ended with {status}\n{text}")
        return text

    def end(self):
        self.socket.close()
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
