# SPDX-License-Identifier: Apache-2.0
"""iSCSI PDUs as tables: names to bytes and bytes to names (RFC 7143 section 11).

A Shape is one row of the RFC's drawings: opcode, the fields with their place, and the values
that fields have when nobody names them.  What no field covers is reserved, and is zero.
"""

import struct

BHS = 48
NONE = 0xFFFFFFFF


# --- CRC32C (RFC 7143 13.1) -------------------------------------------------------------------


def _crc_table():
    table = []
    for n in range(256):
        for _ in range(8):
            n = (n >> 1) ^ 0x82F63B78 if n & 1 else n >> 1
        table.append(n)
    return table


_CRC = _crc_table()


def crc32c(data):
    crc = 0xFFFFFFFF
    table = _CRC
    for byte in data:
        crc = table[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return crc ^ 0xFFFFFFFF


def digest(data):
    """The digest as it is sent: the CRC's bytes, least significant first."""
    return struct.pack("<I", crc32c(data))


def padded(data):
    return data + bytes(-len(data) % 4)


# --- the tables -------------------------------------------------------------------------------


class Field:
    """A place in the header: whole bytes, or bits within one byte."""

    def __init__(self, offset, size=0, high=0, bits=0):
        self.offset = offset
        self.size = size or 1
        self.shift = high - bits + 1 if bits else 0
        self.limit = (1 << bits) - 1 if bits else (1 << (8 * self.size)) - 1

    def put(self, header, value):
        if not 0 <= value <= self.limit:
            raise ValueError(f"value {value:#x} does not fit")
        old = int.from_bytes(header[self.offset:self.offset + self.size], "big")
        old &= ~(self.limit << self.shift)
        new = old | value << self.shift
        header[self.offset:self.offset + self.size] = new.to_bytes(self.size, "big")

    def get(self, header):
        value = int.from_bytes(header[self.offset:self.offset + self.size], "big")
        return value >> self.shift & self.limit


def bit(offset, high, bits=1):
    return Field(offset, high=high, bits=bits)


COMMON = {"I": bit(0, 6), "AHS": Field(4, 1), "DSL": Field(5, 3), "ITT": Field(16, 4)}
FINAL = {"F": bit(1, 7)}
LUN = {"LUN": Field(8, 8)}
TTT = {"TTT": Field(20, 4)}
REQUEST = {"CmdSN": Field(24, 4), "ExpStatSN": Field(28, 4)}
ANSWER = {"StatSN": Field(24, 4), "ExpCmdSN": Field(28, 4), "MaxCmdSN": Field(32, 4)}
STAGES = {"T": bit(1, 7), "C": bit(1, 6), "CSG": bit(1, 3, 2), "NSG": bit(1, 1, 2),
          "ISID": Field(8, 6), "TSIH": Field(14, 2)}


class Shape:
    """One kind of PDU."""

    def __init__(self, name, opcode, *groups, **defaults):
        self.name = name
        self.opcode = opcode
        self.fields = dict(COMMON)
        for group in groups:
            self.fields.update(group)
        self.defaults = defaults

    @property
    def is_request(self):
        return self.opcode < 0x20


SHAPES = [
    Shape("NopOut", 0x00, FINAL, LUN, TTT, REQUEST, F=1, TTT=NONE),
    Shape("Command", 0x01, FINAL, LUN, REQUEST,
          {"R": bit(1, 6), "W": bit(1, 5), "ATTR": bit(1, 2, 3), "EDTL": Field(20, 4),
           "CDB": Field(32, 16)}, F=1, ATTR=1),
    Shape("TaskRequest", 0x02, FINAL, LUN, REQUEST,
          {"Function": bit(1, 6, 7), "RefTag": Field(20, 4), "RefCmdSN": Field(32, 4),
           "ExpDataSN": Field(36, 4)}, F=1, RefTag=NONE),
    Shape("LoginRequest", 0x03, STAGES, REQUEST,
          {"VersionMax": Field(2, 1), "VersionMin": Field(3, 1), "CID": Field(20, 2)}, I=1),
    Shape("TextRequest", 0x04, FINAL, LUN, TTT, REQUEST, {"C": bit(1, 6)}, F=1, TTT=NONE),
    Shape("DataOut", 0x05, FINAL, LUN, TTT,
          {"ExpStatSN": Field(28, 4), "DataSN": Field(36, 4), "Offset": Field(40, 4)},
          TTT=NONE),
    Shape("LogoutRequest", 0x06, FINAL, REQUEST,
          {"Reason": bit(1, 6, 7), "CID": Field(20, 2)}, F=1),
    Shape("Snack", 0x10, FINAL, LUN, TTT,
          {"Type": bit(1, 3, 4), "ExpStatSN": Field(28, 4), "BegRun": Field(40, 4),
           "RunLength": Field(44, 4)}, F=1, TTT=NONE),
    Shape("NopIn", 0x20, FINAL, LUN, TTT, ANSWER, F=1, TTT=NONE),
    Shape("Response", 0x21, FINAL, ANSWER,
          {"o": bit(1, 4), "u": bit(1, 3), "O": bit(1, 2), "U": bit(1, 1),
           "Response": Field(2, 1), "Status": Field(3, 1), "SNACKTag": Field(20, 4),
           "ExpDataSN": Field(36, 4), "BidiResidual": Field(40, 4),
           "Residual": Field(44, 4)}, F=1),
    Shape("TaskResponse", 0x22, FINAL, ANSWER, {"Response": Field(2, 1)}, F=1),
    Shape("LoginResponse", 0x23, STAGES, ANSWER,
          {"VersionMax": Field(2, 1), "VersionActive": Field(3, 1), "Status": Field(36, 2)}),
    Shape("TextResponse", 0x24, FINAL, LUN, TTT, ANSWER, {"C": bit(1, 6)}, F=1, TTT=NONE),
    Shape("DataIn", 0x25, FINAL, LUN, TTT, ANSWER,
          {"A": bit(1, 6), "O": bit(1, 2), "U": bit(1, 1), "S": bit(1, 0),
           "Status": Field(3, 1), "DataSN": Field(36, 4), "Offset": Field(40, 4),
           "Residual": Field(44, 4)}, TTT=NONE),
    Shape("LogoutResponse", 0x26, FINAL, ANSWER,
          {"Response": Field(2, 1), "Time2Wait": Field(40, 2), "Time2Retain": Field(42, 2)},
          F=1),
    Shape("R2T", 0x31, FINAL, LUN, TTT, ANSWER,
          {"R2TSN": Field(36, 4), "Offset": Field(40, 4), "Length": Field(44, 4)}, F=1),
    Shape("Async", 0x32, FINAL, LUN, ANSWER,
          {"Event": Field(36, 1), "VCode": Field(37, 1), "P1": Field(38, 2),
           "P2": Field(40, 2), "P3": Field(42, 2)}, F=1, ITT=NONE),
    Shape("Reject", 0x3F, FINAL, ANSWER, {"Reason": Field(2, 1), "DataSN": Field(36, 4)},
          F=1, ITT=NONE),
]

BY_NAME = {shape.name: shape for shape in SHAPES}
BY_OPCODE = {shape.opcode: shape for shape in SHAPES}


def shape_of(header):
    """The shape of a received header, None for an opcode that has none."""
    return BY_OPCODE.get(header[0] & 0x3F)


def build(shape, values):
    """A header of the shape; values by field name over the shape's defaults."""
    header = bytearray(BHS)
    header[0] = shape.opcode
    for name, value in {**shape.defaults, **values}.items():
        if name not in shape.fields:
            raise ValueError(f"{shape.name} has no field {name}")
        try:
            shape.fields[name].put(header, value)
        except ValueError as error:
            raise ValueError(f"{shape.name} {name}: {error}") from None
    return bytes(header)


def parse(header):
    """The named fields of a header."""
    shape = shape_of(header)
    return {name: field.get(header) for name, field in shape.fields.items()}


def reserved(header):
    """The header with every named field zeroed: what is left must be zero."""
    shape = shape_of(header)
    left = bytearray(header)
    left[0] &= 0x80
    for field in shape.fields.values():
        field.put(left, 0)
    return bytes(left)


def show(header):
    """A header on one line, in the notation; fields with their usual value are left out."""
    shape = shape_of(header)
    if shape is None:
        return "raw " + header.hex(" ")
    words = [shape.name]
    for name, value in parse(header).items():
        if value == shape.defaults.get(name, 0):
            continue
        size = shape.fields[name].size
        words.append(f"{name}={value:#x}" if value > 9999 or size > 4 else f"{name}={value}")
    if any(reserved(header)):
        words.append("reserved:" + reserved(header).hex())
    return " ".join(words)


# --- text keys, sense -------------------------------------------------------------------------


def text_items(data):
    """The KEY=VALUE items of a data segment; an item without its NUL raises."""
    if not data:
        return []
    if data[-1] != 0:
        raise ValueError("text does not end with NUL")
    return data[:-1].decode("ascii", "backslashreplace").split("\0")


def sense_of(data):
    """(key, asc << 8 | ascq) of a Response's data segment, whose first two bytes count."""
    length = int.from_bytes(data[:2], "big")
    sense = data[2:2 + length]
    if length < 8 or len(sense) < length:
        raise ValueError(f"sense of {length} bytes in a segment of {len(data)}")
    code = sense[0] & 0x7F
    if code in (0x72, 0x73):
        return sense[1] & 15, sense[2] << 8 | sense[3]
    if code in (0x70, 0x71) and length >= 14:
        return sense[2] & 15, sense[12] << 8 | sense[13]
    raise ValueError(f"sense of response code {code:#x}, {length} bytes")


def sense_information(data):
    """The INFORMATION of fixed sense data when its VALID bit is set, else None."""
    sense = data[2:]
    if len(sense) < 7 or sense[0] not in (0xF0, 0xF1):
        return None
    return int.from_bytes(sense[3:7], "big")


# --- CDBs -------------------------------------------------------------------------------------


def _rw10(opcode):
    return lambda lba, blocks: struct.pack(">BBIBHB", opcode, 0, lba, 0, blocks, 0)


def _rw16(opcode):
    return lambda lba, blocks: struct.pack(">BBQIBB", opcode, 0, lba, blocks, 0, 0)


CDBS = {
    "TUR": lambda: bytes(6),
    "REQUEST_SENSE": lambda alloc=252: bytes([3, 0, 0, 0, alloc, 0]),
    "INQUIRY": lambda alloc=255: struct.pack(">BBBHB", 0x12, 0, 0, alloc, 0),
    "VPD": lambda page, alloc=255: struct.pack(">BBBHB", 0x12, 1, page, alloc, 0),
    "READ6": lambda lba, blocks: struct.pack(">IBB", 8 << 24 | lba, blocks, 0),
    "WRITE6": lambda lba, blocks: struct.pack(">IBB", 10 << 24 | lba, blocks, 0),
    "READ10": _rw10(0x28),
    "WRITE10": _rw10(0x2A),
    "READ16": _rw16(0x88),
    "WRITE16": _rw16(0x8A),
    "SYNC10": _rw10(0x35),
    "READ_CAPACITY10": lambda: bytes([0x25]) + bytes(9),
    "REPORT_LUNS": lambda alloc: struct.pack(">BBBBBBIBB", 0xA0, 0, 0, 0, 0, 0, alloc, 0, 0),
    "MODE_SENSE6": lambda page, alloc=255: bytes([0x1A, 0, page, 0, alloc, 0]),
}


def cdb(name, *args):
    """A CDB by name, 16 bytes with its padding."""
    return CDBS[name](*args).ljust(16, b"\0")


# --- data that is easy to make and hard to hit by chance --------------------------------------


def pattern(length, seed):
    """A repeatable byte pattern in which every 4 KiB differs."""
    out = bytearray()
    state = (seed * 2654435761 + 12345) & 0xFFFFFFFF
    block = 0
    while len(out) < length:
        state = (state * 1664525 + 1013904223 + block) & 0xFFFFFFFF
        word = struct.pack(">II", state, block)
        out += word * 4
        block += 1
    return bytes(out[:length])
