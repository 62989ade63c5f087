"""What rotating needs of a platform: who issues, where certificates lie and are served, where logins are kept.

An adapter holds private keys and passwords to itself: requests and chains pass these ports, secrets never do.
"""

from datetime import datetime, timedelta
from typing import Protocol

from domain.base import Frozen, Slug, TimeRange
from domain.ids import TenantId
from domain.trust import CertificateFacts, CredentialFacts


class Wanted(Frozen):
    """One certificate as it shall be."""

    certificate: Slug
    service: Slug
    tenant: TenantId
    region: Slug
    """Where its key lies and its listener runs."""
    hostname: str
    identity: str
    """`spiffe://<environment>/<tenant>/<service>`."""
    issuer: Slug


class Served(Frozen):
    """What a handshake showed."""

    facts: CertificateFacts | None
    """None where nothing answered."""
    chain_error: str = ""
    """Why the chain does not lead to a trusted root; empty where it does."""


class Issuer(Protocol):
    """Signs requests: a local authority, or a public one over ACME."""

    async def issue(self, request: bytes, *, at: datetime, lifetime: timedelta) -> bytes:
        """Return the chain (PEM, leaf first) for a PEM request. An issuer with a profile of its own ignores `lifetime`.

        Raises Invalid for a request it refuses, Unavailable where it does not answer or wants to be asked later.
        """
        ...

    async def renewal(self, chain: bytes, *, at: datetime) -> TimeRange | None:
        """Return when it wishes the certificate to be renewed (RFC 9773); None where it has no wish."""
        ...

    def takes_identities(self) -> bool:
        """Tell whether it signs URI names that tell a workload's tenant; public issuers do not."""
        ...

    def anchors(self) -> bytes:
        """Return the roots a client of its certificates trusts, in PEM form."""
        ...

    def distrusted(self) -> tuple[str, ...]:
        """Return common names of issuing certificates that no longer count."""
        ...

    def signs_as(self) -> str:
        """Return the common name it signs with at present."""
        ...

    def distrust(self) -> None:
        """Sign as another from now on, and let what was signed so far no longer count.

        Raises Refused where that is not ours to say.
        """
        ...


class CertificatePlane(Protocol):
    """Where certificates lie, one folder per version, and the listeners that serve them."""

    def issuer(self, name: str) -> Issuer:
        """Return the issuer of that name. Raises NotFound."""
        ...

    async def request(self, wanted: Wanted, version: str) -> bytes:
        """Return the PEM request of a version; its key is made on the first call."""
        ...

    async def stage(self, wanted: Wanted, version: str, chain: bytes) -> None:
        """Keep the chain beside the version's key."""
        ...

    async def chain(self, wanted: Wanted, version: str) -> bytes | None:
        """Return the chain of a version; None where none was staged."""
        ...

    async def installed(self, wanted: Wanted) -> str | None:
        """Return the version that the listener would load."""
        ...

    async def install(self, wanted: Wanted, version: str) -> None:
        """Make a version the installed one, in one step."""
        ...

    async def reload(self, wanted: Wanted) -> None:
        """Let the listener load what is installed. A pair it cannot load it leaves: it goes on with the old."""
        ...

    async def served(self, wanted: Wanted) -> Served:
        """Return what a real handshake shows now."""
        ...

    async def prune(self, wanted: Wanted) -> None:
        """Remove versions, and with them keys, that nobody goes back to."""
        ...


class Login(Frozen):
    """One secret: a pair of logins `<holder>-a` and `<holder>-b` at what it opens."""

    secret: Slug
    service: Slug
    tenant: TenantId
    region: Slug
    opens: str

    @property
    def users(self) -> tuple[str, str]:
        """Return the two users of the pair."""
        return f"{self.service}-a", f"{self.service}-b"


class Pair(Frozen):
    """How a pair stands."""

    logins: tuple[CredentialFacts, CredentialFacts]
    in_use: Slug
    """The user its holder logs in as."""


class CredentialPlane(Protocol):
    """Where logins are kept and tried."""

    async def pair(self, login: Login) -> Pair:
        """Return how the pair stands."""
        ...

    async def create(self, login: Login, user: str, *, version: str, expires_at: datetime) -> None:
        """Make a new password for a user, once per version. What was the user's before no longer opens."""
        ...

    async def switch(self, login: Login, user: str, *, version: str) -> None:
        """Hand the user's login to the holder, which uses it from its next connection on."""
        ...

    async def accepted(self, login: Login, user: str) -> bool:
        """Tell whether a real login with the kept password of a user is accepted now."""
        ...

    async def holder_accepted(self, login: Login) -> str | None:
        """Return the user as which the holder's own login is accepted now; None where it is refused."""
        ...

    async def revoke(self, login: Login, user: str) -> None:
        """Let the user's password open nothing any more. It is kept until `forget`, to prove that it is dead."""
        ...

    async def forget(self, login: Login, user: str) -> None:
        """Remove the kept password of a user."""
        ...
