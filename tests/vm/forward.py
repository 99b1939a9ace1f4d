# SPDX-License-Identifier: Apache-2.0
"""A way to a port of this machine that can be cut and opened again."""

import contextlib
import socket
import threading

HOST = "127.0.0.1"


class Way:
    """Listens on a port of the kernel's choice, the same for life, and hands everything on to the
    address `to`."""

    def __init__(self, to):
        self.to = to
        self.port = 0
        self.lock = threading.Lock()
        self.listener = None
        self.open_sockets = set()
        self.open()

    def open(self):
        self.listener = socket.create_server((HOST, self.port))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, args=(self.listener,), daemon=True).start()

    def _accept(self, listener):
        while True:
            try:
                near, _ = listener.accept()
                far = socket.create_connection(self.to)
            except OSError:
                return
            with self.lock:
                alive = listener is self.listener
                self.open_sockets.update({near, far})
            if not alive:
                self._close(near, far)
            for pair in ((near, far), (far, near)):
                threading.Thread(target=self._copy, args=pair, daemon=True).start()

    def _copy(self, source, sink):
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 18):
                sink.sendall(data)
        self._close(source, sink)

    def _close(self, *sockets):
        for s in sockets:
            with contextlib.suppress(OSError):
                s.shutdown(socket.SHUT_RDWR)
            with self.lock:
                known = s in self.open_sockets
                self.open_sockets.discard(s)
            if known:
                s.close()

    def cut(self):
        """Ends every connection and takes no other."""
        with self.lock:
            listener, self.listener = self.listener, None
            sockets = list(self.open_sockets)
        if listener:
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        self._close(*sockets)
