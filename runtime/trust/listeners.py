"""A TLS listener, and a client that looks at what it serves.

A listener holds the pair it last loaded: a new file changes nothing until it is told to reload. The client lets OpenSSL
check the chain, and nobody but the caller judge time: certificates follow the runtime's clock, not the machine's.
"""

import socket
import ssl
from pathlib import Path

from cryptography import x509

from runtime.trust.leaves import facts_of
from runtime.trust.loopback import Loopback, connect
from runtime.trust.ports import Served

_NO_CHECK_TIME = 0x200000
"""X509_V_FLAG_NO_CHECK_TIME of OpenSSL's x509_vfy.h."""


class TlsListener:
    """Serves one pair of key and chain on a loopback port, TLS 1.3 only."""

    def __init__(self, chain: Path, key: Path) -> None:
        self._context = _context(chain, key)
        self._loopback = Loopback(self._shake)

    @property
    def port(self) -> int:
        """Return the port it listens on."""
        return self._loopback.port

    def reload(self, chain: Path, key: Path) -> None:
        """Serve another pair from the next connection on. A pair that does not fit is refused and changes nothing."""
        self._context = _context(chain, key)

    def close(self) -> None:
        """Stop listening."""
        self._loopback.close()

    def _shake(self, connection: socket.socket) -> None:
        with self._context.wrap_socket(connection, server_side=True) as secured:
            secured.recv(1)  # the client hangs up; until then its alert would meet a closed port


def _context(chain: Path, key: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_cert_chain(chain, key)
    return context


def look(port: int, hostname: str, anchors: bytes) -> Served:
    """Return what is served to a client that asks for `hostname` and trusts `anchors` (PEM)."""
    try:
        leaf = _handshake(port, hostname, _client(anchors))
    except ssl.SSLCertVerificationError as error:
        return _unverified(port, hostname, error.verify_message)
    except OSError as error:
        return Served(facts=None, chain_error=str(error))
    return Served(facts=facts_of(leaf))


def _unverified(port: int, hostname: str, why: str) -> Served:
    try:
        leaf = _handshake(port, hostname, _client(None))
    except OSError as error:
        return Served(facts=None, chain_error=str(error))
    return Served(facts=facts_of(leaf), chain_error=why)


def _client(anchors: bytes | None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False  # judged apart, so that a wrong chain and a wrong name are told apart
    if anchors is None:
        context.verify_mode = ssl.CERT_NONE  # only to read what the verifying handshake before refused
        return context
    context.load_verify_locations(cadata=anchors.decode())
    context.verify_flags |= ssl.VerifyFlags(_NO_CHECK_TIME)
    return context


def _handshake(port: int, hostname: str, context: ssl.SSLContext) -> x509.Certificate:
    with connect(port) as raw, context.wrap_socket(raw, server_hostname=hostname) as secured:
        shown = secured.getpeercert(binary_form=True)
    if shown is None:
        raise ConnectionError("the peer showed no certificate")
    return x509.load_der_x509_certificate(shown)
