# SPDX-License-Identifier: Apache-2.0
"""What libiscsi, which others wrote, is told by INQUIRY: the identity of a LUN.

    Disk(portal, target, lun).serial, .naa, .vendor ...
"""

import ctypes

NORMAL = 2  # enum iscsi_session_type
SN, IDENTIFICATION = 0x80, 0x83
NAA = 3


class _Designator(ctypes.Structure):
    pass


_Designator._fields_ = [
    ("next", ctypes.POINTER(_Designator)), ("protocol", ctypes.c_int), ("code_set", ctypes.c_int),
    ("piv", ctypes.c_int), ("association", ctypes.c_int), ("type", ctypes.c_int),
    ("length", ctypes.c_int), ("bytes", ctypes.POINTER(ctypes.c_ubyte))]


class _Identification(ctypes.Structure):
    _fields_ = [("qualifier", ctypes.c_int), ("device", ctypes.c_int), ("page", ctypes.c_int),
                ("designators", ctypes.POINTER(_Designator))]


class _Serial(ctypes.Structure):
    _fields_ = [("qualifier", ctypes.c_int), ("device", ctypes.c_int), ("page", ctypes.c_int),
                ("text", ctypes.c_char_p)]


def _library():
    lib = ctypes.CDLL("libiscsi.so.7")
    for name in ("iscsi_create_context", "iscsi_inquiry_sync", "scsi_datain_unmarshall",
                 "iscsi_get_error"):
        getattr(lib, name).restype = ctypes.c_void_p
    lib.iscsi_get_error.restype = ctypes.c_char_p
    return lib


def have_library():
    try:
        _library()
    except OSError:
        return False
    return True


class Refused(Exception):
    """No login, or no answer."""


class Disk:
    """Logs in, asks, logs out."""

    def __init__(self, portal, target, lun, name="iqn.2026-11.kura.test:inquiry", user=None,
                 secret=None):
        self.lib = _library()
        self.lun = lun
        self.context = ctypes.c_void_p(self.lib.iscsi_create_context(name.encode()))
        try:
            self.lib.iscsi_set_targetname(self.context, target.encode())
            self.lib.iscsi_set_session_type(self.context, NORMAL)
            if user:
                self.lib.iscsi_set_initiator_username_pwd(self.context, user.encode(),
                                                          secret.encode())
            if self.lib.iscsi_full_connect_sync(self.context, portal.encode(), lun):
                raise Refused(self.lib.iscsi_get_error(self.context).decode())
            self.serial = self._page(SN, _Serial).text.decode()
            self.designators = list(self._designators())
            self.lib.iscsi_logout_sync(self.context)
        finally:
            self.lib.iscsi_destroy_context(self.context)

    def _page(self, page, kind):
        task = ctypes.c_void_p(self.lib.iscsi_inquiry_sync(self.context, self.lun, 1, page, 255))
        if not task:
            raise Refused(f"page {page:#x}")
        # the task is libiscsi's and stays until the process ends: what is told points into it
        found = self.lib.scsi_datain_unmarshall(task)
        if not found:
            raise Refused(f"page {page:#x} is not understood")
        return ctypes.cast(found, ctypes.POINTER(kind)).contents

    def _designators(self):
        at = self._page(IDENTIFICATION, _Identification).designators
        while at:
            yield at.contents.type, bytes(at.contents.bytes[:at.contents.length])
            at = at.contents.next

    @property
    def naa(self):
        """The longest NAA identifier, in hexadecimal digits."""
        return max((d.hex() for kind, d in self.designators if kind == NAA), key=len)
