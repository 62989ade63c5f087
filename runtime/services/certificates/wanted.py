"""What shall be served and held, read off the topology: one certificate per entry, one pair of logins per secret."""

from domain.ids import EnvironmentId
from domain.topology import Topology
from runtime.trust.ports import Login, Wanted


def certificates(topology: Topology) -> tuple[Wanted, ...]:
    """Return the certificates of the topology whose service is in it, by name."""
    found: list[Wanted] = []
    for certificate in sorted(topology.certificates, key=lambda c: c.id):
        service = topology.service(certificate.service)
        if service is None or not service.regions:
            continue
        identity = identity_of(topology.environment, service.tenant, service.id)
        found.append(
            Wanted(
                certificate=certificate.id, service=service.id, tenant=service.tenant, region=service.regions[0],
                hostname=certificate.subject, identity=identity, issuer=certificate.issuer,
            )
        )  # fmt: skip
    return tuple(found)


def secrets(topology: Topology) -> tuple[Login, ...]:
    """Return the pairs of logins of the topology whose holder is in it, by name."""
    found: list[Login] = []
    for secret in sorted(topology.secrets, key=lambda s: s.id):
        holder = topology.service(secret.service)
        if holder is not None and holder.regions:
            found.append(
                Login(
                    secret=secret.id, service=holder.id, tenant=holder.tenant, region=holder.regions[0],
                    opens=secret.opens,
                )
            )  # fmt: skip
    return tuple(found)


def identity_of(environment: EnvironmentId, tenant: str, service: str) -> str:
    """Return the name of a workload that tells its tenant (the form of SPIFFE ids)."""
    return f"spiffe://{environment}/{tenant}/{service}"
