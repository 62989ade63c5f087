"""Answers HTTP challenges (RFC 8555, 8.3): a token's answer under its well-known path, while somebody waits for it."""

import socket
from collections.abc import Generator
from contextlib import contextmanager

from runtime.trust.loopback import Loopback

_LONGEST = 4096
_PREFIX = b"GET /.well-known/acme-challenge/"


class HttpChallenges:
    """A listener on a loopback port of its own; an ACME server reaches it through whatever leads port 80 here."""

    def __init__(self) -> None:
        self._answers: dict[bytes, bytes] = {}
        self._loopback = Loopback(self._serve)
        self.close = self._loopback.close

    @property
    def port(self) -> int:
        """Return the port it listens on."""
        return self._loopback.port

    @contextmanager
    def answering(self, token: str, answer: str) -> Generator[None]:
        """Answer for one token within the block."""
        self._answers[token.encode()] = answer.encode()
        try:
            yield
        finally:
            del self._answers[token.encode()]

    def _serve(self, connection: socket.socket) -> None:
        with connection.makefile("rb") as lines:
            asked = lines.readline(_LONGEST)
            while lines.readline(_LONGEST) not in {b"\r\n", b""}:
                pass
        answer = (
            self._answers.get(asked.removeprefix(_PREFIX).partition(b" ")[0]) if asked.startswith(_PREFIX) else None
        )
        status = b"200 OK" if answer is not None else b"404 Not Found"
        body = answer or b""
        head = b"HTTP/1.1 %s\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % (status, len(body))
        connection.sendall(head + body)
