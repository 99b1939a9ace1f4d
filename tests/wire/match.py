# SPDX-License-Identifier: Apache-2.0
"""Holds a received PDU against the line that expects it; every byte counts unless it is named
as free with `*`."""

import pdu

COUNTERS = ("StatSN", "ExpCmdSN", "MaxCmdSN")


def _default(peer, got, name):
    """What a field that the line does not name must be; None for a field that is free."""
    if got.shape.name == "LoginResponse":
        if name == "ISID":
            return peer.isid
        if name == "TSIH":
            final = got.fields["T"] and got.fields["NSG"] == 3 and not got.fields["Status"]
            return None if final else pdu.parse(peer.sent[-1]).get("TSIH", 0)
    return got.shape.defaults.get(name, 0)


def _field(player, peer, got, name, text, conn):
    """The problem with one field, or None; captures into a free $name."""
    value = got.fields[name]
    if text == "*":
        return None
    if text is not None and player.is_free(text):
        player.names[text[1:]] = value
        return None
    if text is not None:
        wants = [player.value(name, one, conn) for one in text.split("|")]
        if value in wants:
            return None
        want = wants[0]
    else:
        want = _default(peer, got, name)
    if want is None or want == value:
        return None
    return f"{name} is {value} ({value:#x}), must be {want} ({want:#x})"


def _text(player, got, parts, conn):
    """Keys as a set: every text line once, nothing else unless `...` allows it."""
    try:
        items = pdu.text_items(got.data)
    except ValueError as error:
        return [str(error)]
    wrong = []
    for kind, rest, _ in parts:
        if kind == "text":
            wrong += _text_item(player, items, player.expand(rest, conn))
        elif kind == "no":
            wrong += [f"must not say {i}" for i in items if i.split("=")[0] == rest]
    if items and not any(p[0] == "..." for p in parts):
        wrong.append("not expected: " + " ".join(items))
    return wrong


def _text_item(player, items, want):
    key, _, value = want.partition("=")
    if want in items:
        items.remove(want)
        return []
    for item in items:
        got_key, _, got_value = item.partition("=")
        if got_key != key:
            continue
        if value == "*":
            items.remove(item)
            return []
        if player.is_free(value):
            player.names[value[1:]] = int(got_value, 0)
            items.remove(item)
            return []
        return [f"answered {item}, must be {want}"]
    return [f"no answer {want}"]


def _sense(got, rest):
    """sense KEY/ASC/ASCQ [info=N] in hexadecimal; a * is free."""
    codes, _, info = rest.partition(" info=")
    key, asc, ascq = codes.split("/")
    try:
        have = pdu.sense_of(got.data)
    except ValueError as error:
        return [str(error)]
    have = f"{have[0]:x}", f"{have[1] >> 8:02x}", f"{have[1] & 255:02x}"
    told = pdu.sense_information(got.data)
    if info and told != int(info, 0):
        return [f"INFORMATION is {told}, must be {info}"]
    if key == have[0] and asc in ("*", have[1]) and ascq in ("*", have[2]):
        return []
    return [f"sense is {'/'.join(have)}, must be {codes}"]


def _bytes(got, want):
    if got.data == want:
        return []
    if len(got.data) != len(want):
        return [f"{len(got.data)} bytes of data, must be {len(want)}"]
    at = next(i for i in range(len(want)) if got.data[i] != want[i])
    return [f"data differs from byte {at}: {got.data[at:at + 16].hex()}, "
            f"must be {want[at:at + 16].hex()}"]


def _data(player, got, statement):
    kinds = {p[0] for p in statement.parts}
    if kinds & {"text", "...", "no"} and "exact" not in kinds:
        return _text(player, got, statement.parts, statement.conn)
    if "sense" in kinds:
        return _sense(got, statement.parts[0][1])
    if "any" in kinds:
        rest = statement.parts[0][1]
        if rest and len(got.data) != player.number(rest, statement.conn):
            return [f"{len(got.data)} bytes of data, must be {rest}"]
        return []
    parts = [p for p in statement.parts if p[0] != "exact"]
    return _bytes(got, player.data(parts, statement.conn))


def problems(player, peer, got, statement):
    """Everything that is wrong with the PDU, as lines; also moves the counters on."""
    words = statement.words
    if words[0] not in pdu.BY_NAME:
        return [f"no such PDU: {words[0]}"]
    if got.shape is None or got.shape.name != words[0]:
        return [f"is not a {words[0]}"]
    named = dict(w.split("=", 1) for w in words[1:])
    unknown = [n for n in named if n not in got.shape.fields and n != "reserved"]
    if unknown:
        return [f"{words[0]} has no field {' '.join(unknown)}"]
    wrong = peer.check_counters(got, named)
    for name in got.shape.fields:
        if name in ("DSL",) or (name in COUNTERS and name not in named):
            continue
        problem = _field(player, peer, got, name, named.get(name), statement.conn)
        if problem:
            wrong.append(problem)
    if got.fields.get("T") and got.fields.get("NSG") == 3 and got.fields.get("TSIH") == 0 \
            and not got.fields["Status"] and "TSIH" not in named:
        wrong.append("TSIH of the last Login Response is 0")
    if any(pdu.reserved(got.header)) and named.get("reserved") != "*":
        wrong.append("reserved bits are set: " + pdu.reserved(got.header).hex())
    return wrong + _data(player, got, statement)
