# SPDX-License-Identifier: Apache-2.0
"""A session that listens, for tests of what a target says of its own accord."""

import os
import struct
import threading
import time

from initiator import Initiator, Lost

SLOW = float(os.environ.get("KURA_TEST_SLOW", "1"))
ASYNC, LOGOUT_RSP = 0x32, 0x26
ASK_LOGOUT, DROP_SESSION = 1, 3  # RFC 7143 11.9.1


def wait_for(what, seconds=15):
    """Whether it became true in time."""
    end = time.monotonic() + seconds * SLOW
    while not what():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


class Guest(threading.Thread):
    """A session that listens: it notes the events of asynchronous messages, and logs out when it is
    asked to, if `polite`."""

    def __init__(self, k, target, isid, polite=True, name="iqn.2026-11.kura.test:host"):
        super().__init__(daemon=True)
        self.initiator = Initiator(k.portals[0], target, isid, name)
        self.polite, self.events, self.logged_out, self.lost = polite, [], False, False
        self.start()

    def run(self):
        i = self.initiator
        try:
            while True:
                pdu = i.receive()
                if pdu.opcode == ASYNC:
                    self.events.append(pdu.header[36])
                    if pdu.header[36] == ASK_LOGOUT and self.polite:
                        i.send(struct.pack(">BB14xIHxxII16x", 0x46, 0x80, 7, 0, i.cmd_sn,
                                           i.exp_stat_sn))
                elif pdu.opcode == LOGOUT_RSP:
                    self.logged_out = True
        except Lost:
            self.lost = True
