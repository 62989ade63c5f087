"""Both planes in memory: real keys, requests and signatures, but no file, no socket, no process that holds anything.

For tests and for targets that have no listeners yet. What the loopback planes show by a handshake or a login is worked
out here from what was loaded, by the same rules.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from typing import NamedTuple

from cryptography import x509
from cryptography.exceptions import InvalidSignature

from domain.errors import Invalid, NotFound
from domain.ports import Entropy
from domain.trust import CredentialFacts
from runtime.trust.files import KEPT
from runtime.trust.leaves import Key, facts_of, leaf_of, new_key, signing_request
from runtime.trust.ports import Issuer, Login, Pair, Served, Wanted

_PASSWORD_BYTES = 32


@dataclass
class _Listener:
    keys: dict[str, Key] = field(default_factory=dict[str, Key])
    chains: dict[str, bytes] = field(default_factory=dict[str, bytes])
    installed: str | None = None
    loaded: bytes | None = None
    """The chain it serves."""


class MemoryCertificates:
    """A CertificatePlane. As with a listener of its own, what is installed first is served at once."""

    def __init__(self, issuers: Mapping[str, Issuer]) -> None:
        self._issuers = issuers
        self._listeners: dict[str, _Listener] = {}

    def issuer(self, name: str) -> Issuer:
        """Return the issuer of that name. Raises NotFound."""
        if name not in self._issuers:
            raise NotFound(f"no issuer {name}", reason="issuer_unknown")
        return self._issuers[name]

    async def request(self, wanted: Wanted, version: str) -> bytes:
        """Return the request of a version; its key is made on the first call."""
        keys = self._at(wanted).keys
        if version not in keys:
            keys[version] = new_key()
        identities = [wanted.identity] if self.issuer(wanted.issuer).takes_identities() else []
        return signing_request(keys[version], [wanted.hostname], identities)

    async def stage(self, wanted: Wanted, version: str, chain: bytes) -> None:
        """Keep the chain beside the version's key."""
        self._at(wanted).chains[version] = chain

    async def chain(self, wanted: Wanted, version: str) -> bytes | None:
        """Return the chain of a version; None where none was staged."""
        return self._at(wanted).chains.get(version)

    async def installed(self, wanted: Wanted) -> str | None:
        """Return the version that would be loaded."""
        return self._at(wanted).installed

    async def install(self, wanted: Wanted, version: str) -> None:
        """Make a version the installed one."""
        self._at(wanted).installed = version

    async def reload(self, wanted: Wanted) -> None:
        """Load what is installed. A chain that is not of the version's key is left: the old is served on."""
        held = self._at(wanted)
        version = held.installed or ""
        if version in held.keys and version in held.chains:
            chain = held.chains[version]
            if leaf_of(chain).public_key() == held.keys[version].public_key():
                held.loaded = chain

    async def served(self, wanted: Wanted) -> Served:
        """Return what a client would meet now."""
        held = self._at(wanted)
        if held.loaded is None:
            await self.reload(wanted)
        if held.loaded is None:
            return Served(facts=None, chain_error="nothing is installed")
        anchors = self.issuer(wanted.issuer).anchors()
        return Served(facts=facts_of(leaf_of(held.loaded)), chain_error=_chain_error(held.loaded, anchors))

    async def prune(self, wanted: Wanted) -> None:
        """Remove all but the installed version and the newest others."""
        held = self._at(wanted)
        for old in [version for version in held.keys if version != held.installed][: -(KEPT - 1)]:
            del held.keys[old]
            held.chains.pop(old, None)

    def _at(self, wanted: Wanted) -> _Listener:
        return self._listeners.setdefault(wanted.certificate, _Listener())


def _chain_error(chain: bytes, anchors: bytes) -> str:
    """Tell why a chain, leaf first, does not lead to an anchor; time is judged elsewhere."""
    links = x509.load_pem_x509_certificates(chain)
    roots = x509.load_pem_x509_certificates(anchors)
    if not any(_signed(links[-1], root) for root in roots):
        return "no trusted root signed it"
    return "" if all(_signed(*pair) for pair in pairwise(links)) else "a link is not signed"


def _signed(certificate: x509.Certificate, by: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(by)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


class _Opens(NamedTuple):
    """What opens for one user."""

    version: str
    password: bytes
    expires_at: datetime


class MemoryCredentials:
    """A CredentialPlane. What is accepted, what is kept and what a holder has are three things, as on a real one."""

    def __init__(self, entropy: Entropy, now: Callable[[], datetime]) -> None:
        self._entropy, self._now = entropy, now
        self._opens: dict[tuple[str, str], _Opens] = {}
        self._kept: dict[tuple[str, str], bytes] = {}
        self._held: dict[str, tuple[str, bytes]] = {}

    async def pair(self, login: Login) -> Pair:
        """Return how the pair stands."""
        first, second = (self._facts(login, user) for user in login.users)
        return Pair(logins=(first, second), in_use=self._held.get(login.secret, (login.users[0], b""))[0])

    async def create(self, login: Login, user: str, *, version: str, expires_at: datetime) -> None:
        """Make a new password for a user, once per version. What was the user's before no longer opens."""
        if user not in login.users:
            raise Invalid(f"{user} is not of the pair of {login.secret}", reason="user_unknown")
        known = self._opens.get((login.opens, user))
        if known is None or known.version != version:
            password = self._entropy.token_bytes(_PASSWORD_BYTES)
            self._kept[login.secret, user] = password
            self._opens[login.opens, user] = _Opens(version, password, expires_at)

    async def switch(self, login: Login, user: str, *, version: str) -> None:
        """Hand the user's login to the holder."""
        del version
        self._held[login.secret] = (user, self._kept[login.secret, user])

    async def accepted(self, login: Login, user: str) -> bool:
        """Tell whether the kept password of a user opens now."""
        kept = self._kept.get((login.secret, user))
        return kept is not None and self._try(login, user, kept)

    async def holder_accepted(self, login: Login) -> str | None:
        """Return the user as which the holder is let in now; None where it is refused."""
        held = self._held.get(login.secret)
        return held[0] if held is not None and self._try(login, *held) else None

    async def revoke(self, login: Login, user: str) -> None:
        """Let the user's password open nothing any more."""
        self._opens.pop((login.opens, user), None)

    async def forget(self, login: Login, user: str) -> None:
        """Remove the kept password of a user."""
        self._kept.pop((login.secret, user), None)

    def _try(self, login: Login, user: str, password: bytes) -> bool:
        known = self._opens.get((login.opens, user))
        return known is not None and known.password == password and self._now() < known.expires_at

    def _facts(self, login: Login, user: str) -> CredentialFacts:
        known = self._opens.get((login.opens, user))
        return CredentialFacts(user=user, expires_at=None if known is None else known.expires_at)
