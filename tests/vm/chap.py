# SPDX-License-Identifier: Apache-2.0
"""CHAP as open-iscsi does it: each of its digests, one way and mutual, and secrets that are wrong
on either side."""

import machine
from initiator import Initiator

TARGET = "iqn.2026-11.kura.test:chap"
USER, SECRET = "machine", "the machine's secret"
TARGET_USER, TARGET_SECRET = "storehouse", "the storehouse's own"
DIGESTS = ["MD5", "SHA1", "SHA256", "SHA3-256"]


def volume():
    return {"name": "private", "store": "mem", "size": "16M"}


def target():
    """The target of the configuration that asks for CHAP."""
    return {"name": TARGET, "luns": [{"lun": 0, "volume": "private"}],
            "initiators": [{"name": "*"}],
            "auth": {"user": USER, "secret": SECRET,
                     "mutual_user": TARGET_USER, "mutual_secret": TARGET_SECRET}}


class Prover:
    """The node record of that target."""

    def __init__(self, scene):
        self.scene = scene
        self.initiator = Initiator(scene.guest, TARGET, scene.daemon.port)
        self.initiator.new_node()

    def use(self, **settings):
        """Changes settings of node.session.auth."""
        self.initiator.update({f"node.session.auth.{k}": v for k, v in settings.items()})

    def logs_in(self):
        """Whether a login succeeds; logs out again."""
        try:
            self.initiator.node("--login")
        except machine.MachineFailed:
            return False
        self.initiator.logout()
        return True


def play(scene):
    prover = Prover(scene)
    tap = scene.tap
    tap.check(not prover.logs_in(), "nobody gets in without CHAP")
    prover.use(authmethod="CHAP", username=USER, password="something else than that")
    tap.check(not prover.logs_in(), "nobody gets in with a wrong secret")
    prover.use(password=SECRET)
    for algorithm in DIGESTS:
        prover.use(chap_algs=algorithm)
        tap.check(prover.logs_in(), f"CHAP with {algorithm}", scene.daemon.log_tail(5))
    prover.use(username_in=TARGET_USER, password_in=TARGET_SECRET)
    tap.check(prover.logs_in() and "auth=mutual" in scene.daemon.log(), "mutual CHAP",
              scene.daemon.log_tail(5))
    prover.use(password_in="not the storehouse's")
    tap.check(not prover.logs_in(), "the machine does not trust a target with a wrong secret")
