# SPDX-License-Identifier: Apache-2.0
"""A small iSCSI initiator for tests that need two sessions at once and commands in flight.

    a = Initiator(daemon.portals[0], TARGET, isid=1)
    status, sense, data = a.command(bytes([0x12, 0, 0, 0, 96, 0]), read=96)

One connection a session, no digests.  Initiator is not thread-safe: one thread, one session.
"""

import os
import socket
import struct

SLOW = float(os.environ.get("KURA_TEST_SLOW", "1"))

GOOD, CHECK, CONFLICT = 0x00, 0x02, 0x18
LOGIN_KEYS = (("SessionType", "Normal"), ("InitialR2T", "No"), ("ImmediateData", "Yes"),
              ("MaxRecvDataSegmentLength", "262144"), ("FirstBurstLength", "65536"),
              ("MaxBurstLength", "262144"), ("DefaultTime2Wait", "0"))


class Lost(Exception):
    """The connection is gone."""


class Pdu:
    """What came: opcode, header and data."""

    def __init__(self, header, data):
        self.opcode = header[0] & 0x3F
        self.header = header
        self.data = data
        self.itt = struct.unpack_from(">I", header, 16)[0]
        self.status = header[3]


class Initiator:
    """A session that is logged in."""

    def __init__(self, address, target, isid, name="iqn.2026-11.kura.test:host", keys=()):
        self.name, self.isid = name, isid
        self.sock = socket.create_connection(address, timeout=20 * SLOW)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.cmd_sn, self.exp_stat_sn, self.itt = 1, 1, 1
        self.read_data = {}
        self._login(target, keys)

    @property
    def port_name(self):
        """The name of its initiator port (SPC-4 7.6.4.6)."""
        return f"{self.name},i,0x00023d{self.isid:06x}"

    # --- PDUs ---------------------------------------------------------------------------------

    def send(self, header, data=b""):
        header = bytearray(header)
        header[5:8] = len(data).to_bytes(3, "big")
        try:
            self.sock.sendall(bytes(header) + data + bytes(-len(data) % 4))
        except OSError as error:
            raise Lost(str(error)) from None

    def _exactly(self, count):
        got = bytearray()
        while len(got) < count:
            try:
                part = self.sock.recv(count - len(got))
            except OSError as error:
                raise Lost(str(error)) from None
            if not part:
                raise Lost("closed")
            got += part
        return bytes(got)

    def receive(self):
        """The next PDU; pings are answered on the way."""
        while True:
            header = self._exactly(48)
            length = int.from_bytes(header[5:8], "big")
            data = self._exactly(length + -length % 4)[:length]
            pdu = Pdu(header, data)
            if pdu.opcode not in (0x31, 0x25) or (pdu.opcode == 0x25 and header[1] & 0x01):
                self.exp_stat_sn = struct.unpack_from(">I", header, 24)[0] + 1
            if pdu.opcode == 0x20 and header[20:24] != b"\xff" * 4:
                self.send(struct.pack(">BB14xI4sII16x", 0x40, 0x80, 0xFFFFFFFF, header[20:24],
                                      self.cmd_sn, self.exp_stat_sn))
                continue
            return pdu

    def _login(self, target, keys):
        pairs = dict((("InitiatorName", self.name), ("TargetName", target)) + LOGIN_KEYS)
        pairs.update(dict(keys))
        text = b"".join(f"{k}={v}\0".encode() for k, v in pairs.items())
        self.send(struct.pack(">BBBB4x6sHIHHII16x", 0x43, 0x87, 0, 0,
                              bytes((0x00, 0x02, 0x3D)) + self.isid.to_bytes(3, "big"),
                              0, 0, 1, 0, self.cmd_sn, 0), text)
        answer = self.receive()
        if answer.opcode != 0x23 or answer.header[36] or answer.header[1] & 0x83 != 0x83:
            raise Lost(f"login refused: {answer.header[36]:02x}{answer.header[37]:02x}")

    # --- commands -----------------------------------------------------------------------------

    def start(self, cdb, read=0, write=b"", immediate=True, lun=0):
        """Sends a command and does not wait; its tag."""
        self.itt += 1
        flags = 0x81 | (0x40 if read else 0) | (0x20 if write else 0)
        header = struct.pack(">BB6xQIIII16s", 0x01, flags, lun << 48, self.itt,
                             read or len(write), self.cmd_sn, self.exp_stat_sn, cdb)
        self.cmd_sn = (self.cmd_sn + 1) & 0xFFFFFFFF
        self.send(header, write if immediate else b"")
        return self.itt

    def data_out(self, itt, r2t, data):
        """Sends what an R2T asks for."""
        self.send(struct.pack(">BB6x8sI4s4xI4xIII", 0x05, 0x80, r2t.header[8:16], itt,
                              r2t.header[20:24], self.exp_stat_sn, 0, 0, 0), data)

    def finish(self, itt):
        """Waits for the answer: (status, sense key and codes, data)."""
        while True:
            pdu = self.receive()
            if pdu.opcode == 0x25:
                self.read_data[pdu.itt] = self.read_data.get(pdu.itt, b"") + pdu.data
            if pdu.itt == itt and (pdu.opcode == 0x21
                                   or (pdu.opcode == 0x25 and pdu.header[1] & 0x01)):
                return pdu.status, sense_of(pdu), self.read_data.pop(itt, b"")

    def command(self, cdb, read=0, write=b"", lun=0):
        return self.finish(self.start(cdb, read, write, lun=lun))

    def close(self):
        self.sock.close()

    # --- a few of them ------------------------------------------------------------------------

    def settle(self):
        """Fetches unit attentions until there is none; gives those that there were."""
        told = []
        while True:
            status, sense, _ = self.command(bytes(6))
            if status != CHECK or sense[0] != 6:
                return told
            told.append(sense[1:])

    def reserve_out(self, action, key=0, sark=0, kind=0, flags=0):
        """PERSISTENT RESERVE OUT: (status, sense)."""
        cdb = struct.pack(">BBBxxIx", 0x5F, action, kind, 24)
        return self.command(cdb, write=struct.pack(">QQ4xBxxx", key, sark, flags))[:2]

    def keys(self):
        """READ KEYS: (PRGENERATION, the keys)."""
        data = self.command(struct.pack(">BB5xHx", 0x5E, 0, 1024), read=1024)[2]
        generation, length = struct.unpack_from(">II", data)
        return generation, list(struct.unpack_from(f">{length // 8}Q", data, 8))

    def reservation(self):
        """READ RESERVATION: (type, key), or None."""
        data = self.command(struct.pack(">BB5xHx", 0x5E, 1, 64), read=64)[2]
        if len(data) < 24:
            return None
        return data[21] & 0x0F, struct.unpack_from(">Q", data, 8)[0]


def sense_of(pdu):
    """(key, ASC, ASCQ) of a SCSI Response."""
    if pdu.opcode != 0x21 or len(pdu.data) < 16:
        return None
    return pdu.data[4] & 0x0F, pdu.data[14], pdu.data[15]


def write10(lba, blocks):
    return struct.pack(">BBIBHB", 0x2A, 0, lba, 0, blocks, 0)


def read10(lba, blocks):
    return struct.pack(">BBIBHB", 0x28, 0, lba, 0, blocks, 0)
