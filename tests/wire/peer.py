# SPDX-License-Identifier: Apache-2.0
"""One connection of the wire tests: bytes in and out, digests, and the sequence numbers.

The Peer keeps the initiator's side of the counters so that a scenario names them only where
they are the point: CmdSN and ExpStatSN are filled in on what is sent, and StatSN, ExpCmdSN and
MaxCmdSN of everything received are checked against RFC 7143 4.2.2.
"""

import os
import select
import socket
import time

import pdu

SLOW = float(os.environ.get("KURA_TEST_SLOW", "1"))
ANSWER_SECONDS = 5.0
MAX_SEGMENT = 1 << 24


class WireError(Exception):
    """The other side did something else than what the scenario says."""


class Closed(WireError):
    """The other side closed the connection."""


def later(a, b):
    """a - b in serial arithmetic (RFC 7143 4.2.2, RFC 1982): negative when a is before b."""
    return ((a - b + 0x80000000) & 0xFFFFFFFF) - 0x80000000


class Received:
    """A PDU as it came."""

    def __init__(self, header, ahs, data):
        self.header = header
        self.ahs = ahs
        self.data = data
        self.shape = pdu.shape_of(header)
        self.fields = pdu.parse(header) if self.shape else {}

    def show(self):
        text = pdu.show(self.header)
        if self.data:
            text += f"\n    data ({len(self.data)}): {self.data[:96]!r}"
        return text


class Numbering:
    """CmdSN of a session: its connections count together (RFC 7143 4.2.2.1)."""

    def __init__(self):
        self.cmd_sn = 1
        self.ahead = set()


class Peer:
    """A connection to the target and what the initiator knows about it."""

    def __init__(self, address, isid):
        host, port = address
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.sock = socket.socket(family, socket.SOCK_STREAM)
        self.sock.settimeout(ANSWER_SECONDS * SLOW)
        self.sock.connect((host, port))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = bytearray()
        self.sent = []
        self.isid = isid
        self.tsih = 0
        self.numbering = Numbering()
        self.stat_sn = None
        self.exp_cmd_sn = None
        self.max_cmd_sn = None
        self.header_digest = False
        self.data_digest = False
        self.digests_after_login = None
        self.held = None

    @property
    def cmd_sn(self):
        return self.numbering.cmd_sn

    @cmd_sn.setter
    def cmd_sn(self, value):
        self.numbering.cmd_sn = value

    @property
    def ahead(self):
        return self.numbering.ahead

    # --- sending ----------------------------------------------------------------------------

    def next_cmd_sn(self, header):
        """After a request went out: the CmdSN that follows it (RFC 7143 4.2.2.1)."""
        shape = pdu.shape_of(header)
        if not shape or not shape.is_request or "CmdSN" not in shape.fields:
            return
        fields = pdu.parse(header)
        if shape.name == "LoginRequest":
            self.cmd_sn = fields["CmdSN"]
            return
        if not fields["I"]:
            self.ahead.add(fields["CmdSN"])
        while self.cmd_sn in self.ahead:
            self.ahead.remove(self.cmd_sn)
            self.cmd_sn = (self.cmd_sn + 1) & 0xFFFFFFFF

    def send(self, data, piece=0):
        """Sends the bytes, at once or in pieces; inside a batch they wait for its end."""
        if self.held is not None:
            self.held += data
            return
        try:
            if not piece:
                self.sock.sendall(data)
                return
            for at in range(0, len(data), piece):
                self.sock.sendall(data[at:at + piece])
                time.sleep(0.002)
        except (BrokenPipeError, ConnectionResetError):
            pass  # what it means is seen when the answer is read

    def hold(self):
        self.held = bytearray()

    def release(self):
        data, self.held = self.held, None
        self.send(bytes(data))

    # --- receiving --------------------------------------------------------------------------

    def _fill(self, count, deadline):
        while len(self.buffer) < count:
            left = deadline - time.monotonic()
            if left <= 0:
                got = f", only {len(self.buffer)} bytes of {count}" if self.buffer else ""
                raise WireError("no answer in time" + got)
            self.sock.settimeout(left)
            try:
                got = self.sock.recv(1 << 18)
            except socket.timeout:
                continue
            except ConnectionResetError:
                raise Closed("the connection was reset") from None
            if not got:
                rest = f" with {len(self.buffer)} bytes of a PDU" if self.buffer else ""
                raise Closed("the connection was closed" + rest)
            self.buffer += got

    def _take(self, count, deadline):
        self._fill(count, deadline)
        data = bytes(self.buffer[:count])
        del self.buffer[:count]
        return data

    def _check_digest(self, what, covered, deadline):
        got = self._take(4, deadline)
        if got != pdu.digest(covered):
            raise WireError(f"{what} digest {got.hex()}, right is {pdu.digest(covered).hex()}")

    def receive(self):
        """The next whole PDU, its digests and padding checked, the counters not yet."""
        deadline = time.monotonic() + ANSWER_SECONDS * SLOW
        header = self._take(pdu.BHS, deadline)
        ahs_length = header[4] * 4
        length = int.from_bytes(header[5:8], "big")
        if length > MAX_SEGMENT:
            raise WireError(f"a data segment of {length} bytes: {pdu.show(header)}")
        ahs = self._take(ahs_length, deadline)
        if self.header_digest:
            self._check_digest("header", header + ahs, deadline)
        data = self._take(len(pdu.padded(bytes(length))), deadline)
        if self.data_digest and length:
            self._check_digest("data", data, deadline)
        if any(data[length:]):
            raise WireError("padding is not zero: " + pdu.show(header))
        return Received(header, ahs, data[:length])

    def expect_close(self):
        deadline = time.monotonic() + ANSWER_SECONDS * SLOW
        try:
            self._fill(1, deadline)
        except Closed:
            return
        got = self.receive()
        raise WireError("should have closed, but sent: " + got.show())

    def drain(self):
        """Takes whatever comes, until the target closes."""
        deadline = time.monotonic() + ANSWER_SECONDS * SLOW
        try:
            while True:
                self._fill(1, deadline)
                self.buffer.clear()
        except Closed:
            return

    def expect_nothing(self, milliseconds):
        if not self.buffer:
            ready, _, _ = select.select([self.sock], [], [], milliseconds / 1000)
            if not ready:
                return
        try:
            got = self.receive()
        except Closed as closed:
            raise WireError(f"should have stayed silent, but {closed}") from None
        raise WireError("should have stayed silent, but sent: " + got.show())

    def nothing_left(self):
        """At the end of a scenario: nothing more may have come."""
        ready, _, _ = select.select([self.sock], [], [], 0)
        if ready and not self.buffer:
            try:
                self.buffer += self.sock.recv(1 << 16)
            except OSError:
                return
        if len(self.buffer) >= pdu.BHS:
            raise WireError("one PDU too many: " + pdu.show(bytes(self.buffer[:pdu.BHS])))

    def close(self):
        self.sock.close()

    # --- the counters of RFC 7143 4.2.2 -----------------------------------------------------

    def stat_sn_rule(self, got):
        """(what StatSN must be or None for any, whether it advances) for this PDU."""
        name, fields = got.shape.name, got.fields
        if name == "DataIn" and not fields["S"]:
            return 0, False
        if name == "LoginResponse" and fields["Status"] >> 8:
            return None, False
        advances = name != "R2T" and not (name == "NopIn" and fields["ITT"] == pdu.NONE)
        return self.stat_sn, advances

    def check_counters(self, got, named):
        """Problems with StatSN, ExpCmdSN and MaxCmdSN, those that are named left out."""
        wrong = []
        fields = got.fields
        if "StatSN" not in fields:
            return wrong
        want, advances = self.stat_sn_rule(got)
        if "StatSN" not in named and want is not None and fields["StatSN"] != want:
            wrong.append(f"StatSN is {fields['StatSN']}, must be {want}")
        if advances:
            self.stat_sn = (fields["StatSN"] + 1) & 0xFFFFFFFF
        if got.shape.name == "LoginResponse" and fields["Status"] >> 8:
            return wrong
        if "ExpCmdSN" not in named:
            wrong += self._check_exp_cmd_sn(fields["ExpCmdSN"])
        if "MaxCmdSN" not in named:
            wrong += self._check_max_cmd_sn(fields["MaxCmdSN"], fields["ExpCmdSN"])
        self.exp_cmd_sn = fields["ExpCmdSN"]
        self.max_cmd_sn = fields["MaxCmdSN"]
        return wrong

    def _check_exp_cmd_sn(self, value):
        if later(value, self.cmd_sn) > 0:
            return [f"ExpCmdSN is {value}, but {self.cmd_sn} was not sent yet"]
        if self.exp_cmd_sn is not None and later(value, self.exp_cmd_sn) < 0:
            return [f"ExpCmdSN went back from {self.exp_cmd_sn} to {value}"]
        return []

    def _check_max_cmd_sn(self, value, exp_cmd_sn):
        if later(value, exp_cmd_sn) < -1:
            return [f"MaxCmdSN {value} is below ExpCmdSN {exp_cmd_sn} - 1"]
        if self.max_cmd_sn is not None and later(value, self.max_cmd_sn) < 0:
            return [f"MaxCmdSN went back from {self.max_cmd_sn} to {value}"]
        return []
