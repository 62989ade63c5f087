"""A server on a loopback port of its own that hands each connection to one function, in a thread.

Handshakes and logins are short: one after another is enough, and nobody's event loop has to be the one it began in.
"""

import contextlib
import logging
import socket
import threading
import weakref
from collections.abc import Callable

_LOG = logging.getLogger(__name__)
PATIENCE_S = 5.0
"""A peer on the same machine that says nothing for this long is gone (TLS handshakes here take 2 ms)."""


class Loopback:
    """Listens from the moment it is made until `close`, or until nobody holds it any more."""

    def __init__(self, serve: Callable[[socket.socket], None]) -> None:
        listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = listening.getsockname()[1]
        self.close = weakref.finalize(self, _shut, listening)
        """Stop listening."""
        threading.Thread(target=_accept, args=(listening, serve), daemon=True, name=f"loopback-{self.port}").start()


def _accept(listening: socket.socket, serve: Callable[[socket.socket], None]) -> None:
    while True:
        try:
            connection, _ = listening.accept()
        except OSError:
            return  # closed
        with connection:
            connection.settimeout(PATIENCE_S)
            try:
                serve(connection)
            except OSError as error:
                _LOG.debug("a peer on loopback left: %s", error)


def _shut(listening: socket.socket) -> None:
    # Closing alone would leave the other thread waiting in accept.
    with contextlib.suppress(OSError):
        listening.shutdown(socket.SHUT_RDWR)
    listening.close()


def connect(port: int) -> socket.socket:
    """Return a connection to a loopback port. Raises OSError."""
    return socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)
