"""Certificates and credentials as they are told: what shall be, what lies on disk, what a handshake or login shows.

Names, instants and digests only: no private key, password or hash of one is ever in these shapes.
"""

from datetime import datetime, timedelta
from typing import Literal

from domain.base import Digest, Frozen, Slug, UtcDatetime
from domain.ids import EnvironmentId, TenantId

Wrong = Literal[
    "unreachable",
    "expired",
    "not_yet_valid",
    "wrong_name",
    "wrong_tenant",
    "wrong_chain",
    "issuer_distrusted",
    "not_reloaded",
]
"""What can be wrong with what a listener serves; `not_reloaded`: it is another certificate than the one installed."""


class CertificateFacts(Frozen):
    """What is written in one leaf certificate."""

    serial: str
    """Hexadecimal."""
    issuer: str
    """Common name of who signed it."""
    names: tuple[str, ...]
    identities: tuple[str, ...] = ()
    """URI names: `spiffe://<environment>/<tenant>/<service>`."""
    not_before: UtcDatetime
    not_after: UtcDatetime
    fingerprint: Digest


class CertificateStatus(Frozen):
    """One certificate as it shall be, as it lies on disk, and as its listener serves it."""

    certificate: Slug
    service: Slug
    tenant: TenantId
    region: Slug
    hostname: str
    identity: str
    issuer: Slug
    installed: CertificateFacts | None
    served: CertificateFacts | None
    wrong: tuple[Wrong, ...]
    """Empty where a client with a right clock would accept what is served."""
    renewal_at: UtcDatetime | None
    """When it is renewed next; the past where it is due."""

    def issued_within(self, span: timedelta, at: datetime) -> bool:
        """Tell whether what is served was signed within a time before `at`; authorities date back by an hour."""
        return self.served is not None and at - self.served.not_before < span + timedelta(hours=1)


class CredentialFacts(Frozen):
    """One login of a secret's pair."""

    user: Slug
    expires_at: UtcDatetime | None
    """None where there is no such login (any more)."""


class SecretStatus(Frozen):
    """One secret: its pair of logins, the one its holder uses, and whether that one opens the door now."""

    secret: Slug
    service: Slug
    tenant: TenantId
    opens: str
    logins: tuple[CredentialFacts, ...]
    in_use: Slug
    accepted: bool
    renewal_at: UtcDatetime | None


class CertificatesAnswer(Frozen):
    """The tenant's certificates and secrets in one environment."""

    environment: EnvironmentId
    tenant: TenantId
    at: UtcDatetime
    certificates: tuple[CertificateStatus, ...]
    secrets: tuple[SecretStatus, ...]
