#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A read that is aborted while its data waits to be sent: what was begun is sent to its end or not,
but never becomes the data of somebody else, whose commands get the memory next."""

import os
import socket
import struct
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import kurad  # noqa: E402
import tapout  # noqa: E402
from initiator import Initiator, read10, write10  # noqa: E402

TARGET = "iqn.2026-11.kura.test:aborted"
MIB = 1 << 20
READ = 4 * MIB
READS = 5  # more than what lies in socket buffers
PIECE = 64 << 10
ABORT_TASK_SET = 2
TMF_RESPONSE, DATA_IN = 0x22, 0x25
tap = tapout.Tap()


class Greedy(Initiator):
    """One that asks for much and takes little at a time."""

    def __init__(self, address):
        super().__init__(address, TARGET, 1, keys=(("MaxRecvDataSegmentLength", "4096"),))
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 << 10)

    def abort_all(self):
        self.itt += 1
        self.send(struct.pack(">BB14xIIIII12x", 0x42, 0x80 | ABORT_TASK_SET, self.itt, 0xFFFFFFFF,
                              self.cmd_sn, self.exp_stat_sn, 0))


def fill(session, lun, stamp):
    for lba in range(0, READ // 512, PIECE // 512):
        session.command(write10(lba, PIECE // 512), write=bytes([stamp]) * PIECE, lun=lun)


def test_whose_data():
    volumes = [{"name": name, "store": "file", "path": f"@SCRATCH@/{name}.img", "size": "8M"}
               for name in ("mine", "theirs")]
    with kurad.Kurad(kurad.one_target(TARGET, volumes, loops=1)) as k:
        other = Initiator(k.portals[0], TARGET, 2, "iqn.2026-11.kura.test:other")
        for lun, stamp in ((0, 0x11), (1, 0x99)):
            other.command(bytes(6), lun=lun)
            fill(other, lun, stamp)
        greedy = Greedy(k.portals[0])
        greedy.settle()
        for _ in range(READS):
            greedy.start(read10(0, READ // 512), read=READ)
        time.sleep(0.5)  # as much is on its way as there is room for
        greedy.abort_all()
        tags = [other.start(read10(0, READ // 512), read=READ, lun=1) for _ in range(READS)]
        ends = [other.finish(tag) for tag in tags]
        tap.check(all(end == (0, None, b"\x99" * READ) for end in ends),
                  "another host reads meanwhile")
        seen, strange = 0, 0
        while True:
            pdu = greedy.receive()
            if pdu.opcode == TMF_RESPONSE:
                break
            seen += len(pdu.data)
            strange += len(pdu.data) - pdu.data.count(b"\x11")
        tap.check(0 < seen < READS * READ, "some of what was aborted had been sent", str(seen))
        tap.check(strange == 0, "and is of the volume that was read", f"{strange} of {seen}")
        tap.check(greedy.command(bytes(6))[0] == 0, "the session goes on, with nothing behind")


def main():
    if not kurad.have_binary():
        print("1..0 # SKIP no kurad")
        return 0
    test_whose_data()
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
