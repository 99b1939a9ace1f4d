# SPDX-License-Identifier: Apache-2.0
"""Secrets and access rules, with foreign clients: libiscsi's tools and QEMU's iSCSI driver.

One kurad serves all of them; each function below is one TAP result.
"""

import os
import re

import kurad
from clients import ClientFailed, image, must_say, run_client

ONE_WAY = "iqn.2026-11.kura.test:one-way"
MUTUAL = "iqn.2026-11.kura.test:mutual"
SHA3 = "iqn.2026-11.kura.test:sha3"
ODD = "iqn.2026-11.kura.test:odd"
MASKED = "iqn.2026-11.kura.test:masked"
MOVED = "iqn.2026-11.kura.test:moved"
USER, SECRET = "alice", "correct-horse-battery"
OUR_NAME, OUR_SECRET = "kura", "we-are-who-we-say"
INITIATOR = "iqn.2026-11.kura.test:"
HIDDEN = "iqn.2026-11.kura.test:hidden"
SECRET_FILE = "@SCRATCH@/mutual.secret"
SIZE = 16 << 20


def target(name, auth):
    return {"name": name, "luns": [{"lun": 0, "volume": "disk"}], "auth": auth,
            "initiators": [{"name": "*"}]}


def settings():
    """Targets with each kind of secret; one stands in a file of its own."""
    one = {"user": USER, "secret": SECRET}
    return kurad.config(
        [{"name": "disk", "store": "mem", "size": SIZE},
         {"name": "other", "store": "mem", "size": 2 * SIZE}],
        [{"name": HIDDEN, "luns": [{"lun": 0, "volume": "disk"}], "portal_groups": [2],
          "initiators": [{"name": INITIATOR + "farm-3"}]},
         target(ONE_WAY, one),
         target(MUTUAL, {**one, "mutual_user": OUR_NAME, "mutual_secret_file": SECRET_FILE}),
         target(SHA3, {**one, "algorithms": ["sha3-256"]}),
         target(ODD, {"user": "0xabba", "secret": "0b-is-not-base64"}),
         {"name": MOVED, "luns": [], "redirect": {"address": "127.0.0.1:1"},
          "initiators": [{"name": "*"}]},
         {"name": MASKED, "luns": [{"lun": 0, "volume": "other"}],
          "access": [{"host": "farm", "luns": [{"lun": 5, "volume": "disk", "readonly": True}]}],
          "initiators": [{"name": INITIATOR + "plain"}]}],
        [{"address": "127.0.0.1", "port": 0},
         {"address": "127.0.0.2", "port": 0, "group": 2}],
        hosts=[{"name": "farm", "initiators": [{"name": INITIATOR + "farm-*",
                                                "addresses": ["127.0.0.0/8"]}]}])


def url(daemon, name, user=USER, secret=SECRET):
    return f"iscsi://{user}%{secret}@{daemon.address}/{name}/0"


def with_target_secret(call, user, secret):
    """Runs call() while libiscsi asks targets to prove themselves."""
    words = {"LIBISCSI_CHAP_TARGET_USERNAME": user, "LIBISCSI_CHAP_TARGET_PASSWORD": secret}
    os.environ.update(words)
    try:
        return call()
    finally:
        for word in words:
            del os.environ[word]


def inq(daemon, name, **more):
    must_say(run_client("iscsi-inq", url(daemon, name, **more)), "DIRECT_ACCESS")


def refused(daemon, name, rule, **more):
    run_client("iscsi-inq", url(daemon, name, **more), expect=1)
    must_say(daemon.log(), rf"refused.*{re.escape(name)}.*{rule}")


def one_way(daemon):
    """libiscsi proves that it knows the secret"""
    inq(daemon, ONE_WAY)
    must_say(daemon.log(), r"established.*:one-way.* auth=chap")


def no_algorithm(daemon):
    """a client that knows MD5 only is refused where that is not allowed"""
    refused(daemon, SHA3, "no algorithm that is allowed")


def one_way_odd(daemon):
    """a user that looks like a number, a secret that looks like base64"""
    inq(daemon, ODD, user="0xabba", secret="0b-is-not-base64")


def mutual(daemon):
    """libiscsi has the target prove itself"""
    with_target_secret(lambda: inq(daemon, MUTUAL), OUR_NAME, OUR_SECRET)
    must_say(daemon.log(), r"established.*:mutual.* auth=mutual")


def mutual_wrong(daemon):
    """libiscsi leaves when the target's secret is not the one it knows"""
    with_target_secret(
        lambda: run_client("iscsi-inq", url(daemon, MUTUAL), expect=1), OUR_NAME, "something-else")


def mutual_not_configured(daemon):
    """a target that has no secret of its own refuses to prove itself"""
    with_target_secret(
        lambda: refused(daemon, ONE_WAY, "mutual_secret"), OUR_NAME, OUR_SECRET)


def wrong(daemon):
    """a wrong secret and a wrong user are refused, in the same words"""
    refused(daemon, ONE_WAY, "the user or the secret is wrong", secret="wrong")
    refused(daemon, ODD, "the user or the secret is wrong", user="bob")


def none(daemon):
    """an initiator without a secret is refused"""
    run_client("iscsi-inq", daemon.url(ONE_WAY), expect=1)
    must_say(daemon.log(), "CHAP is not among|a secret is asked for")


def qemu(daemon):
    """qemu-img writes and compares with a secret in the URL"""
    source = image(daemon, "a.raw", SIZE, 1)
    run_client("qemu-img", "convert", "-n", "-f", "raw", "-O", "raw", source,
               url(daemon, MUTUAL))
    run_client("qemu-img", "compare", "-f", "raw", "-F", "raw", source, url(daemon, MUTUAL))
    os.unlink(source)


def qemu_wrong(daemon):
    """qemu-img with a wrong secret is refused"""
    run_client("qemu-img", "info", url(daemon, ODD, secret="wrong"), expect=1)


def masked(daemon):
    """two initiators see different LUNs of one target, a third none

    iscsi-ls visits the targets from the last to the first, and stops at the first that refuses."""
    seen = {}
    for name in ("plain", "farm-1", "farm"):
        out = run_client("iscsi-ls", "-i", INITIATOR + name, "-s", f"iscsi://{daemon.address}",
                         expect=1)  # by the targets that ask for a secret
        part = out.partition(MASKED)[2].partition("Target:")[0]
        seen[name] = re.findall(r"Lun:(\d+) ", part)
    if seen != {"plain": ["0"], "farm-1": ["5"], "farm": []}:
        raise ClientFailed(f"seen: {seen}")


def masked_data(daemon):
    """a masked LUN cannot be opened, one's own can"""
    own = ("-i", INITIATOR + "farm-2")
    must_say(run_client("iscsi-readcapacity16", *own, "-s", daemon.url(MASKED, 5)), str(SIZE))
    run_client("iscsi-readcapacity16", *own, daemon.url(MASKED, 0), expect=1)
    must_say(run_client("iscsi-inq", *own, daemon.url(MASKED, 5)), "DIRECT_ACCESS")


def second_group(daemon):
    """a second portal group is told with its tag, and serves"""
    host, port = daemon.portals[1]
    out = run_client("iscsi-ls", "-i", INITIATOR + "farm-1", f"iscsi://{host}:{port}")
    must_say(out, re.escape(f"{MASKED} Portal:127.0.0.2:{port},2"))
    run_client("iscsi-inq", "-i", INITIATOR + "farm-1", f"iscsi://{host}:{port}/{MASKED}/5")


def only_second_group(daemon):
    """a target of the second portal group alone is shown and served there alone"""
    own = ("-i", INITIATOR + "farm-3")
    host, port = daemon.portals[1]
    there = f"{host}:{port}"
    must_say(run_client("iscsi-ls", *own, f"iscsi://{there}"), re.escape(HIDDEN))
    run_client("iscsi-inq", *own, f"iscsi://{there}/{HIDDEN}/0")
    run_client("iscsi-inq", *own, daemon.url(HIDDEN), expect=1)
    if HIDDEN in run_client("iscsi-ls", *own, f"iscsi://{daemon.address}"):
        raise ClientFailed("shown by the first group too")


def moved(daemon):
    """libiscsi follows a redirection, to where nobody listens"""
    run_client("iscsi-inq", daemon.url(MOVED), expect=1)
    must_say(daemon.log(), rf"redirected.*{re.escape(MOVED)}.*address=127.0.0.1:1")


def nothing_told(daemon):
    """no secret stands in the log"""
    for secret in (SECRET, OUR_SECRET, "0b-is-not-base64"):
        if secret in daemon.log():
            raise ClientFailed("the log tells a secret")


ALL = [one_way, no_algorithm, one_way_odd, mutual, mutual_wrong, mutual_not_configured, wrong,
       none, qemu, qemu_wrong, masked, masked_data, second_group, only_second_group, moved, nothing_told]


def write_secret(daemon):
    """The file must be private, or kurad does not take it."""
    path = daemon.path(os.path.basename(SECRET_FILE))
    with open(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600), "w", encoding="ascii") as f:
        f.write(OUR_SECRET + "\n")


def run(tap, only=None):
    """All of them, on one kurad."""
    tests = [t for t in ALL if not only or only in t.__name__ or only in t.__doc__]
    if not tests:
        return
    daemon = kurad.Kurad(settings())
    write_secret(daemon)
    try:
        with daemon:
            for test in tests:
                name = "client: " + test.__doc__.partition("\n")[0]
                try:
                    test(daemon)
                    tap.ok(name)
                except ClientFailed as error:
                    tap.not_ok(name, str(error))
    except kurad.KuradFailed as error:
        tap.not_ok("client with a secret: kurad starts, stays and stops well", str(error))
