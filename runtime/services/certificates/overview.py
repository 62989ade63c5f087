"""Every certificate and secret as it shall be, as it lies there, and as a handshake or a login shows it."""

from datetime import datetime
from typing import Protocol

from domain.topology import Topology
from domain.trust import CertificateFacts, CertificateStatus, SecretStatus
from runtime.planes import offered
from runtime.services.certificates import wanted as wanting
from runtime.services.certificates.judging import wrong_with
from runtime.services.certificates.schedule import LIFETIME, renewal_at
from runtime.trust.leaves import facts_of, leaf_of
from runtime.trust.ports import CertificatePlane, CredentialPlane, Login, Wanted


class TrustPlanes(Protocol):
    """The two planes this is read from."""

    @property
    def certificates(self) -> CertificatePlane | None:
        """Certificates and listeners."""
        ...

    @property
    def credentials(self) -> CredentialPlane | None:
        """Logins."""
        ...


async def certificate_statuses(planes: TrustPlanes, topology: Topology, at: datetime) -> tuple[CertificateStatus, ...]:
    """Return the certificates of a topology. Raises Unavailable where the target has no such plane."""
    plane = offered(planes.certificates, "certificates")
    return tuple([await certificate_status(plane, each, at) for each in wanting.certificates(topology)])


async def certificate_status(plane: CertificatePlane, wanted: Wanted, at: datetime) -> CertificateStatus:
    """Return one certificate, by a handshake made now."""
    issuer = plane.issuer(wanted.issuer)
    installed = await installed_facts(plane, wanted)
    served = await plane.served(wanted)
    due = None
    if served.facts is not None:
        version = await plane.installed(wanted)
        chain = None if version is None else await plane.chain(wanted, version)
        wish = None if chain is None else await issuer.renewal(chain, at=at)
        facts = served.facts
        due = renewal_at(wanted.certificate, facts.serial, facts.not_before, facts.not_after, wish)
    return CertificateStatus(
        certificate=wanted.certificate, service=wanted.service, tenant=wanted.tenant, region=wanted.region,
        hostname=wanted.hostname, identity=wanted.identity, issuer=wanted.issuer, installed=installed,
        served=served.facts, wrong=wrong_with(wanted, installed, served, issuer.distrusted(), at), renewal_at=due,
    )  # fmt: skip


async def installed_facts(plane: CertificatePlane, wanted: Wanted) -> CertificateFacts | None:
    """Return what the installed files say."""
    version = await plane.installed(wanted)
    chain = None if version is None else await plane.chain(wanted, version)
    return None if chain is None else facts_of(leaf_of(chain))


async def secret_statuses(planes: TrustPlanes, topology: Topology) -> tuple[SecretStatus, ...]:
    """Return the secrets of a topology. Raises Unavailable where the target has no such plane."""
    plane = offered(planes.credentials, "credentials")
    return tuple([await secret_status(plane, each) for each in wanting.secrets(topology)])


async def secret_status(plane: CredentialPlane, login: Login) -> SecretStatus:
    """Return one secret, by a login made now."""
    pair = await plane.pair(login)
    ends = next(each.expires_at for each in pair.logins if each.user == pair.in_use)
    return SecretStatus(
        secret=login.secret, service=login.service, tenant=login.tenant, opens=login.opens, logins=pair.logins,
        in_use=pair.in_use, accepted=await plane.holder_accepted(login) is not None,
        renewal_at=None if ends is None else renewal_at(login.secret, pair.in_use, ends - LIFETIME, ends),
    )  # fmt: skip
