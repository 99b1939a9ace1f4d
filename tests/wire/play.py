# SPDX-License-Identifier: Apache-2.0
"""Plays one scenario of a conversation against a target and says where it left the text."""

import copy
import re
import time

import chap
import match
import pdu
from peer import Peer, WireError, Closed

INITIATOR = "iqn.2026-11.kura.test:initiator"
TARGET = "iqn.2026-11.kura.test:wire"
FIRST_ISID = 0x00023D000000  # IANA enterprise format is 01; 00 with an OUI (RFC 7143 11.12.5)
TERM = re.compile(r"^([$]?[A-Za-z.][\w.]*|0[xX][0-9a-fA-F]+|\d+)((?:[+-](?:\d+|0x[0-9a-f]+))*)$")


class ScenarioFailed(Exception):
    """A scenario's line did not come true; the text says which and why."""


class Player:
    """Runs scenarios; one Player per target process, so that ISIDs do not repeat."""

    def __init__(self, address, verbose=False, daemon=None):
        self.address = address
        self.daemon = daemon
        self.verbose = verbose
        self.isids = 0
        self.peers = {}
        self.names = {}

    # --- values -----------------------------------------------------------------------------

    def _builtin(self, name, conn):
        """$CmdSN and the like: of this connection, or of another as $A.CmdSN."""
        if "." in name:
            conn, name = name.split(".", 1)
        peer = self.peers.get(conn)
        known = {"CmdSN": "cmd_sn", "ExpStatSN": "stat_sn", "TSIH": "tsih", "ISID": "isid",
                 "ExpCmdSN": "exp_cmd_sn", "MaxCmdSN": "max_cmd_sn"}
        if peer is None or name not in known:
            return None
        return getattr(peer, known[name]) or 0

    def is_free(self, text):
        """A plain $name that has no value yet: it captures."""
        return text.startswith("$") and text[1:].isidentifier() and text[1:] not in self.names \
            and self._builtin(text[1:], "") is None

    def number(self, text, conn=""):
        found = TERM.match(text)
        if not found:
            raise WireError(f"not a number: {text}")
        base, rest = found.groups()
        if base.startswith("$"):
            value = self.names.get(base[1:])
            if value is None:
                value = self._builtin(base[1:], conn)
            if value is None:
                raise WireError(f"{base} has no value")
        else:
            value = int(base, 0) if base[:2].lower() == "0x" else int(base)
        for term in re.findall(r"[+-][0-9a-fx]+", rest):
            value += int(term[1:], 0) * (1 if term[0] == "+" else -1)
        return value & 0xFFFFFFFF if rest else value

    def value(self, field, text, conn):
        """The value of FIELD=TEXT as a number that fits the field."""
        if text.startswith("hex:"):
            return int(text[4:], 16)
        if field == "CDB":
            name, _, args = text.partition("(")
            if name not in pdu.CDBS:
                raise WireError(f"no such CDB: {name}")
            numbers = [self.number(a, conn) for a in args.rstrip(")").split(",") if a]
            return int.from_bytes(pdu.cdb(name, *numbers), "big")
        value = self.number(text, conn)
        return value << 48 if field == "LUN" and value < 256 else value

    # --- data parts -------------------------------------------------------------------------

    def _fill(self, rest, conn):
        words = rest.split()
        return bytes([int(words[1], 16)]) * self.number(words[0], conn)

    def _pattern(self, rest, conn):
        """pattern LENGTH SEED [FROM]: a window of the pattern that starts at FROM."""
        numbers = [self.number(w, conn) for w in rest.split()] + [0]
        length, seed, begin = numbers[:3]
        return pdu.pattern(begin + length, seed)[begin:]

    def data(self, parts, conn):
        """The bytes of the data lines."""
        out = b""
        for kind, rest, line in parts:
            if kind == "text":
                out += self.expand(rest, conn).encode("latin-1") + b"\0"
            elif kind == "str":
                out += rest.strip().strip('"').encode("latin-1").decode("unicode_escape") \
                    .encode("latin-1")
            elif kind == "hex":
                out += bytes.fromhex(rest)
            elif kind == "fill":
                out += self._fill(rest, conn)
            elif kind == "zero":
                out += bytes(self.number(rest, conn))
            elif kind == "pattern":
                out += self._pattern(rest, conn)
            elif kind == "echo":
                out += self.peers[conn].sent[int(rest or "-1")]
            else:
                raise WireError(f"line {line}: {kind} cannot be sent")
        return out

    def expand(self, text, conn):
        """Replaces {expression} in text: long values, numbers that were captured."""
        def one(found):
            inner = found[1]
            if inner.startswith("x*"):
                return "x" * int(inner[2:])
            if inner == "port":
                return str(self.address[1])
            if inner.startswith("cha"):
                return chap.value(self, inner.split(), conn)
            return str(self.number(inner, conn))
        return re.sub(r"\{([^{}]+)\}", one, text)

    # --- statements -------------------------------------------------------------------------

    def peer(self, conn):
        if conn not in self.peers:
            self.isids += 1
            self.peers[conn] = Peer(self.address, FIRST_ISID + self.isids)
        return self.peers[conn]

    def send(self, statement):
        peer = self.peer(statement.conn)
        words = list(statement.words)
        options = {"hdigest": "", "ddigest": "", "cut": "", "split": "0", "pad": "00"}
        if words[0] == "raw":
            data = self.data(statement.parts, statement.conn)
            for word in words[1:]:
                options.update([word.split("=", 1)])
            peer.send(data, int(options["split"]))
            return
        shape = pdu.BY_NAME.get(words[0])
        if shape is None:
            raise WireError(f"no such PDU: {words[0]}")
        values = {}
        for word in words[1:]:
            name, _, text = word.partition("=")
            if name in options:
                options[name] = text
            else:
                values[name] = self.value(name, text, statement.conn)
        self._send_pdu(peer, shape, values, options, statement)

    def _send_defaults(self, peer, shape, values):
        fields = shape.fields
        if "CmdSN" in fields:
            values.setdefault("CmdSN", peer.cmd_sn)
        if "ExpStatSN" in fields:
            values.setdefault("ExpStatSN", peer.stat_sn or 0)
        if "ISID" in fields:
            peer.isid = values.setdefault("ISID", peer.isid)

    def _send_pdu(self, peer, shape, values, options, statement):
        self._send_defaults(peer, shape, values)
        ahs = b"".join(bytes(int(r[5:])) if r.startswith("zero ") else bytes.fromhex(r)
                       for k, r, _ in statement.parts if k == "ahs")
        parts = [p for p in statement.parts if p[0] != "ahs"]
        data = self.data(parts, statement.conn)
        values.setdefault("AHS", len(ahs) // 4)
        values.setdefault("DSL", len(data))
        header = pdu.build(shape, values)
        out = header + ahs
        out += self._digest(peer.header_digest, options["hdigest"], out)
        if data:
            body = data + bytes.fromhex(options["pad"]) * (-len(data) % 4)
            out += body + self._digest(peer.data_digest, options["ddigest"], body)
        if options["cut"]:
            out = out[:int(options["cut"])]
        self.trace("> " + pdu.show(header))
        peer.sent.append(header)
        peer.send(out, int(options["split"]))
        peer.next_cmd_sn(header)

    @staticmethod
    def _digest(on, wish, covered):
        if wish == "none" or not (on or wish):
            return b""
        good = pdu.digest(covered)
        return bytes(b ^ 0x55 for b in good) if wish == "bad" else good

    def expect(self, statement):
        peer = self.peer(statement.conn)
        first = statement.words[0]
        if first == "close":
            peer.expect_close()
        elif first == "nothing":
            peer.expect_nothing(int(statement.words[1]))
        elif first == "maybe":
            self.maybe(peer, statement)
        else:
            self.check(peer, self.take(peer), statement)

    def maybe(self, peer, statement):
        """The PDU, or the connection is closed without it."""
        plain = copy.copy(statement)
        plain.words = statement.words[1:]
        try:
            got = self.take(peer)
        except Closed:
            return
        self.check(peer, got, plain)

    def take(self, peer):
        got = peer.receive()
        self.trace("< " + got.show())
        return got

    def check(self, peer, got, statement):
        """One received PDU against one expecting statement."""
        problems = match.problems(self, peer, got, statement)
        if problems:
            raise WireError("\n".join(problems) + "\ngot: " + got.show())
        if got.shape.name == "LoginResponse" and got.fields["TSIH"]:
            peer.tsih = got.fields["TSIH"]

    # --- blocks and directives --------------------------------------------------------------

    def unordered(self, block):
        """PDUs of several tasks: any order between tasks, the given order within one ITT."""
        waiting = list(block.body)
        while waiting:
            conn = waiting[0].conn
            peer = self.peer(conn)
            got = self.take(peer)
            tag = got.fields.get("ITT")
            mine = [s for s in waiting if s.conn == conn and self._tag(s) == tag]
            if not mine:
                raise WireError("none of the expected PDUs: " + got.show())
            self.check(peer, got, mine[0])
            waiting.remove(mine[0])

    def _tag(self, statement):
        for word in statement.words[1:]:
            if word.startswith("ITT="):
                return self.number(word[4:], statement.conn)
        return pdu.BY_NAME[statement.words[0]].defaults.get("ITT", 0)

    def block(self, statement):
        kind = statement.words[0]
        if kind == "unordered":
            self.unordered(statement)
        elif kind == "repeat":
            for i in range(int(statement.words[1])):
                self.names["i"] = i
                self.run(statement.body)
        else:
            peer = self.peer(statement.conn)
            peer.hold()
            self.run(statement.body)
            peer.release()

    def directive(self, statement):
        words = statement.words
        name = words[0]
        if name in ("unordered", "repeat", "batch"):
            self.block(statement)
        elif name == "login":
            self.login(statement.conn, words[1:])
        elif name == "join":
            self.join(statement.conn, words[1])
        elif name == "offer":
            self.offer(words)
        elif name == "ready":
            self.ready(self.peer(statement.conn), words[1:])
        elif name == "ping":
            self.ping(self.peer(statement.conn))
        elif name == "logout":
            self.logout(self.peer(statement.conn))
        elif name == "stop":
            self.daemon.terminate()
        elif name == "crowd":
            for i in range(int(words[1])):
                self.login(f"crowd{i}", [])
        elif name == "idle":
            self.idle(int(words[1]))
        elif name == "sleep":
            time.sleep(int(words[1]) / 1000)
        elif name == "let":
            self.names[words[1].lstrip("$")] = self.number(words[3], statement.conn)
        elif name == "digests":
            peer = self.peer(statement.conn)
            peer.header_digest = "header" in words
            peer.data_digest = "data" in words
        elif name == "drain":
            self.peer(statement.conn).drain()
        elif name == "half-close":
            self.peer(statement.conn).sock.shutdown(1)
        elif name == "close":
            self.peers.pop(statement.conn).close()

    def idle(self, milliseconds):
        """The target must sleep: of all this time it may use a hundredth of a second."""
        if self.daemon is None:
            return
        time.sleep(0.1)
        before = self.daemon.cpu_ticks()
        time.sleep(milliseconds / 1000)
        used = self.daemon.cpu_ticks() - before
        if used > 1:
            raise WireError(f"{used} ticks of CPU in {milliseconds} ms of silence")

    def login(self, conn, words):
        """A whole login in one exchange, then TEST UNIT READY until the unit is ready."""
        wish = {"initiator": INITIATOR, "target": TARGET, "isid": "", "cid": "0", "tsih": "0",
                "cmdsn": "", "join": ""}
        flags = [w for w in words if "=" not in w]
        keys = []
        for word in words:
            name, _, text = word.partition("=")
            if name in wish:
                wish[name] = text
            elif "=" in word:
                keys.append(self.expand(word, conn))
        text = ["InitiatorName=" + wish["initiator"]]
        if "discovery" in flags:
            text.append("SessionType=Discovery")
        else:
            text += ["TargetName=" + wish["target"], "SessionType=Normal"]
        if wish["join"]:
            self.join(conn, wish["join"], wish)
        self._login_exchange(conn, wish, text + keys)
        if "discovery" not in flags and "not-ready" not in flags and not wish["join"]:
            self.ready(self.peer(conn), [])

    def join(self, conn, other, wish=None):
        """From now on this connection counts as one of the other's session."""
        peer, other = self.peer(conn), self.peers[other]
        peer.numbering = other.numbering
        peer.isid = other.isid
        if wish:
            wish["tsih"] = wish["tsih"] if wish["tsih"] != "0" else str(other.tsih)
            wish["cmdsn"] = wish["cmdsn"] or str(other.cmd_sn)

    def _login_exchange(self, conn, wish, items):
        peer = self.peer(conn)
        if wish["isid"]:
            peer.isid = self.number(wish["isid"], conn)
        values = {"T": 1, "CSG": 1, "NSG": 3, "ITT": 0x10, "CID": self.number(wish["cid"], conn),
                  "TSIH": self.number(wish["tsih"], conn), "ISID": peer.isid,
                  "CmdSN": self.number(wish["cmdsn"] or "1", conn)}
        data = b"".join(i.encode() + b"\0" for i in items)
        header = pdu.build(pdu.BY_NAME["LoginRequest"], {**values, "DSL": len(data)})
        peer.sent.append(header)
        peer.send(pdu.padded(header + data))
        peer.next_cmd_sn(header)
        got = self.take(peer)
        if got.shape is None or got.shape.name != "LoginResponse" or got.fields["Status"]:
            raise WireError("login was refused: " + got.show())
        if not got.fields["T"] or got.fields["NSG"] != 3 or not got.fields["TSIH"]:
            raise WireError("login did not reach full feature phase: " + got.show())
        peer.check_counters(got, ())
        peer.tsih = got.fields["TSIH"]
        answers = dict(i.split("=", 1) for i in pdu.text_items(got.data))
        peer.header_digest = answers.get("HeaderDigest") == "CRC32C"
        peer.data_digest = answers.get("DataDigest") == "CRC32C"
        return answers

    def offer(self, words):
        """offer KEY=VALUE [KEY=VALUE] -> RESULT: a login of its own; the answer to the first."""
        at = words.index("->")
        keys, want = [self.expand(w, "") for w in words[1:at]], words[at + 1]
        peer = self.peers.pop("", None)
        if peer:
            peer.close()
        wish = {"isid": "", "cid": "0", "tsih": "0", "cmdsn": "1"}
        kind = [f"TargetName={TARGET}", "SessionType=Normal"]
        if any(k.startswith("SessionType=") for k in keys):
            kind = []
        answers = self._login_exchange("", wish, ["InitiatorName=" + INITIATOR, *kind, *keys])
        key = keys[0].split("=")[0]
        have = answers.get(key, "nothing")
        if have not in want.split("|"):
            raise WireError(f"{keys[0]} was answered with {have}, must be {want}")

    def _ask(self, peer, name, values):
        """Sends a request and takes its answer, which must be well numbered."""
        values = {"CmdSN": peer.cmd_sn, "ExpStatSN": peer.stat_sn, **values}
        header = pdu.build(pdu.BY_NAME[name], values)
        peer.sent.append(header)
        peer.send(header + self._digest(peer.header_digest, "", header))
        peer.next_cmd_sn(header)
        got = self.take(peer)
        wrong = peer.check_counters(got, ()) if got.shape else ["no such PDU"]
        if wrong or got.fields["ITT"] != values["ITT"]:
            raise WireError(f"{name}: {wrong} " + got.show())
        return got

    def ready(self, peer, words):
        """Takes the unit attentions of a new nexus off LUN 0, or the LUNs named."""
        for lun in words or ["0"]:
            for _ in range(5):
                got = self._ask(peer, "Command", {"ITT": 0x11, "LUN": int(lun) << 48})
                if got.fields.get("Status") == 0 and got.shape.name == "Response":
                    break
            else:
                raise WireError(f"LUN {lun} does not get ready: " + got.show())

    def ping(self, peer):
        """Shows that the connection still serves."""
        got = self._ask(peer, "NopOut", {"I": 1, "ITT": 0x12})
        if got.shape.name != "NopIn":
            raise WireError("ping: " + got.show())

    def logout(self, peer):
        got = self._ask(peer, "LogoutRequest", {"I": 1, "ITT": 0x13})
        if got.shape.name != "LogoutResponse" or got.fields["Response"]:
            raise WireError("logout: " + got.show())
        peer.expect_close()

    # --- a scenario -------------------------------------------------------------------------

    def trace(self, text):
        if self.verbose:
            print("#   " + text.replace("\n", "\n#   "), flush=True)

    def run(self, statements):
        for statement in statements:
            try:
                if statement.kind == ">":
                    self.send(statement)
                elif statement.kind == "<":
                    self.expect(statement)
                else:
                    self.directive(statement)
            except ScenarioFailed:
                raise
            except (WireError, OSError, ValueError, KeyError, IndexError) as error:
                why = f"{type(error).__name__}: " if not isinstance(error, WireError) else ""
                raise ScenarioFailed(
                    f"line {statement.line}: {statement.text}\n{why}{error}") from error

    def play(self, scenario):
        """Runs one scenario on connections of its own; raises ScenarioFailed."""
        self.peers = {}
        self.names = {}
        try:
            self.run(scenario.statements)
            for name, peer in self.peers.items():
                try:
                    peer.nothing_left()
                except (WireError, Closed) as error:
                    raise ScenarioFailed(f"at the end, connection {name or 'main'}: {error}") \
                        from None
        finally:
            for peer in self.peers.values():
                peer.close()
