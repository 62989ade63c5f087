"""The certificate plane on this machine: keys and chains as files, one TLS listener per certificate.

Folders are `<home>/<region>/<certificate>`: a key lies in the region its service runs in and is never copied.
"""

import asyncio
import logging
from collections.abc import Mapping
from pathlib import Path

from domain.errors import NotFound
from runtime.trust.files import Versions, write_private, write_public
from runtime.trust.leaves import key_pem, new_key, read_key, signing_request
from runtime.trust.listeners import TlsListener, look
from runtime.trust.ports import Issuer, Served, Wanted

_LOG = logging.getLogger(__name__)


class LoopbackCertificates:
    """A CertificatePlane. Listeners start when they are first asked for, with what is installed then."""

    def __init__(self, home: Path, issuers: Mapping[str, Issuer]) -> None:
        self._home, self._issuers = home, issuers
        self._listeners: dict[str, TlsListener] = {}

    def issuer(self, name: str) -> Issuer:
        """Return the issuer of that name. Raises NotFound."""
        if name not in self._issuers:
            raise NotFound(f"no issuer {name}", reason="issuer_unknown")
        return self._issuers[name]

    async def request(self, wanted: Wanted, version: str) -> bytes:
        """Return the request of a version; its key is made on the first call."""
        held = self._versions(wanted).at(version) / "key.pem"
        if not held.exists():
            write_private(held, key_pem(new_key()))
        identities = [wanted.identity] if self.issuer(wanted.issuer).takes_identities() else []
        return signing_request(read_key(held.read_bytes()), [wanted.hostname], identities)

    async def stage(self, wanted: Wanted, version: str, chain: bytes) -> None:
        """Keep the chain beside the version's key."""
        write_public(self._versions(wanted).at(version) / "chain.pem", chain)

    async def chain(self, wanted: Wanted, version: str) -> bytes | None:
        """Return the chain of a version; None where none was staged."""
        found = self._versions(wanted).at(version) / "chain.pem"
        return found.read_bytes() if found.exists() else None

    async def installed(self, wanted: Wanted) -> str | None:
        """Return the version that the listener would load."""
        return self._versions(wanted).installed()

    async def install(self, wanted: Wanted, version: str) -> None:
        """Make a version the installed one, in one step."""
        self._versions(wanted).install(version)

    async def reload(self, wanted: Wanted) -> None:
        """Let the listener load what is installed. A pair it cannot load it leaves: it goes on with the old."""
        if (listener := self._listener(wanted)) is None:
            return
        try:
            listener.reload(*self._pair(wanted))
        except OSError as error:  # SSLError is one
            _LOG.warning("the listener of %s keeps the pair it has: %s", wanted.certificate, error)

    async def served(self, wanted: Wanted) -> Served:
        """Return what a real handshake shows now."""
        if (listener := self._listener(wanted)) is None:
            return Served(facts=None, chain_error="nothing is installed")
        anchors = self.issuer(wanted.issuer).anchors()
        return await asyncio.to_thread(look, listener.port, wanted.hostname, anchors)

    async def prune(self, wanted: Wanted) -> None:
        """Remove versions, and with them keys, that nobody goes back to."""
        self._versions(wanted).prune()

    def close(self) -> None:
        """Stop every listener."""
        for listener in self._listeners.values():
            listener.close()

    def _listener(self, wanted: Wanted) -> TlsListener | None:
        found = self._listeners.get(wanted.certificate)
        if found is None and self._versions(wanted).installed() is not None:
            found = self._listeners[wanted.certificate] = TlsListener(*self._pair(wanted))
        return found

    def _versions(self, wanted: Wanted) -> Versions:
        return Versions(self._home / wanted.region / wanted.certificate)

    def _pair(self, wanted: Wanted) -> tuple[Path, Path]:
        installed = self._home / wanted.region / wanted.certificate / "installed"
        return installed / "chain.pem", installed / "key.pem"
