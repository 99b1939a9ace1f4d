# SPDX-License-Identifier: Apache-2.0
"""Responses of CHAP (RFC 1994 4.1, RFC 7143 12.1.3) for conversations.

    {chap ALGORITHM ID CHALLENGE SECRET}      as 0x and digits
    {chap64 ALGORITHM ID CHALLENGE SECRET}    as 0b and base64
    {challenge CHALLENGE}                     the challenge itself, as 0x and digits

CHALLENGE is a captured $name, which is one of the target's and so 32 bytes long, or 0x and digits.
"""

import base64
import hashlib

DIGESTS = {5: "md5", 6: "sha1", 7: "sha256", 8: "sha3_256"}
CHALLENGE_BYTES = 32


def _challenge(player, text, conn):
    if text.startswith("$"):
        return player.number(text, conn).to_bytes(CHALLENGE_BYTES, "big")
    return bytes.fromhex(text[2:])


def value(player, words, conn):
    """The value of one {...} of these."""
    if words[0] == "challenge":
        return "0x" + _challenge(player, words[1], conn).hex()
    form, algorithm, ident, challenge, secret = words
    asked = _challenge(player, challenge, conn)
    digest = hashlib.new(DIGESTS[int(algorithm)], usedforsecurity=False)
    digest.update(bytes([player.number(ident, conn)]) + secret.encode() + asked)
    if form == "chap64":
        return "0b" + base64.b64encode(digest.digest()).decode()
    return "0x" + digest.hexdigest()
