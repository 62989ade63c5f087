"""CertificateRotationWorker: renews what is due, and finds what is served wrongly, by handshakes and logins.

A file that was renewed but never loaded looks fine on disk; only a handshake shows it. A service's certificate and the
secrets of it that are due soon are replaced in one plan: one window for one service. Policy and people decide.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from domain.base import Severity
from domain.command_kinds import Proposer
from domain.findings import Act, Finding
from domain.ids import EnvironmentId, TenantId
from domain.topology import EntityRef, Topology
from domain.trust import CertificateStatus, SecretStatus
from runtime import state
from runtime.parts import RuntimeParts
from runtime.services.certificates.overview import certificate_statuses, secret_statuses
from runtime.services.certificates.reissue import Wave, next_wave
from runtime.services.certificates.schedule import LIFETIME, WINDOW, urgency

TOGETHER = WINDOW * LIFETIME
"""A secret due within the width of a window is replaced with its service's certificate: it could be due now as well."""
SURE = 0.95
"""A date that has come is not in doubt; what a new certificate does to old clients is, a little."""


@dataclass(frozen=True, slots=True)
class CertificateRotationWorker:
    """A Worker. Its findings are `certificate.expiring`, `.served_wrong`, `.reissue` and `secret.expiring`."""

    name: Proposer = "certificate_rotation"
    every: timedelta = timedelta(minutes=15)
    """Windows are days wide; a look at twenty listeners and logins costs a tenth of a second."""

    async def look(self, parts: RuntimeParts, environment: EnvironmentId) -> tuple[Finding, ...]:
        """Return everything that is due or wrong now."""
        if parts.planes.certificates is None or parts.planes.credentials is None:
            return ()
        at = parts.clock.now()
        topology = await parts.target.topology(environment)
        with parts.database.read() as connection:
            bound = state.bound_tenants(connection, environment)
        statuses = await certificate_statuses(parts.planes, topology, at)
        secrets = await secret_statuses(parts.planes, topology)
        allowed = {b.tenant: b.residency.allowed_regions for b in bound}
        wave = next_wave(statuses, {s.id: s.tier for s in topology.services}, allowed, at)
        return findings(topology, statuses, secrets, wave, at)


def findings(
    topology: Topology,
    statuses: Sequence[CertificateStatus],
    secrets: Sequence[SecretStatus],
    wave: Wave | None,
    at: datetime,
) -> tuple[Finding, ...]:
    """Return what follows from how things stand. Pure."""
    found: list[Finding] = []
    joined: set[str] = set()
    for status in statuses:
        if "issuer_distrusted" in status.wrong:
            continue  # replaced in waves, with all others of that issuer
        if set(status.wrong) - {"expired"}:
            found.append(_served_wrong(topology, status))
        elif status.renewal_at is not None and at >= status.renewal_at:
            near = [s for s in secrets if s.service == status.service and _due(s, at + TOGETHER)]
            joined |= {s.secret for s in near}
            found.append(_expiring(topology, status, near, at))
    found += [_secret_expiring(topology, s, at) for s in secrets if s.secret not in joined and _due(s, at)]
    return (*found, *(_reissue(topology, wave) if wave is not None else ()))


def _due(secret: SecretStatus, at: datetime) -> bool:
    return secret.renewal_at is not None and at >= secret.renewal_at


def _expiring(topology: Topology, status: CertificateStatus, near: Sequence[SecretStatus], at: datetime) -> Finding:
    served = status.served
    assert served is not None  # noqa: S101  # it has a date of renewal
    severity = urgency(served.not_before, served.not_after, at)
    ends = served.not_after.isoformat()
    why = f"{status.certificate} ends at {ends}"
    return _finding(
        topology, status.tenant, "certificate.expiring", f"certificate/{status.certificate}",
        episode=f"{served.serial}:{severity}", severity=severity, summary=f"{why}: it is due to be renewed",
        evidence=(f"a handshake with {status.hostname} shows serial {served.serial}, valid until {ends}",),
        acts=(_rotate(status, why), *(_replace(s, "due soon, and its service is being served anew") for s in near)),
    )  # fmt: skip


def _served_wrong(topology: Topology, status: CertificateStatus) -> Finding:
    wrong = ", ".join(status.wrong)
    serial = "nothing" if status.served is None else f"serial {status.served.serial}"
    installed = "nothing" if status.installed is None else f"serial {status.installed.serial}"
    return _finding(
        topology, status.tenant, "certificate.served_wrong", f"certificate/{status.certificate}",
        episode=f"{serial}:{wrong}", severity="error",
        summary=f"clients of {status.hostname} meet a certificate they must refuse: {wrong}",
        evidence=(f"a handshake shows {serial}", f"installed is {installed}"),
        acts=(_rotate(status, f"what is served is {wrong}"),),
    )  # fmt: skip


def _secret_expiring(topology: Topology, secret: SecretStatus, at: datetime) -> Finding:
    ends = next(each.expires_at for each in secret.logins if each.user == secret.in_use) or at
    severity = urgency(ends - LIFETIME, ends, at)
    why = f"the login {secret.in_use} ends at {ends.isoformat()}"
    let_in = "is let in" if secret.accepted else "is refused"
    return _finding(
        topology, secret.tenant, "secret.expiring", f"secret/{secret.secret}",
        episode=f"{secret.in_use}:{ends.isoformat()}:{severity}", severity=severity,
        summary=f"{secret.secret}: {why}",
        evidence=(f"{secret.service} {let_in} at {secret.opens} as {secret.in_use}", why),
        acts=(_replace(secret, why),),
    )  # fmt: skip


def _reissue(topology: Topology, wave: Wave) -> tuple[Finding, ...]:
    """One finding, and so one plan, per tenant; what residency forbids is told to the platform."""
    found = [
        _finding(
            topology, tenant, "certificate.reissue", f"tenant/{tenant}",
            episode=",".join(sorted(s.certificate for s in statuses)), severity="error",
            summary=f"{len(statuses)} certificates in {wave.region} are of an issuer that is no longer trusted",
            evidence=(f"{wave.left} more follow in later waves",),
            acts=tuple(_rotate(s, "its issuer is no longer trusted") for s in statuses),
        )
        for tenant, statuses in wave.of_tenant.items()
    ]  # fmt: skip
    if wave.held:
        names = ", ".join(wave.held)
        found.append(
            _finding(
                topology, TenantId("platform"), "certificate.reissue", f"environment/{topology.environment}",
                episode=names, severity="error", summary=f"held, their region is not one their tenant allows: {names}",
                evidence=(), acts=(),
            )
        )  # fmt: skip
    return tuple(found)


def _rotate(status: CertificateStatus, why: str) -> Act:
    return Act(
        kind="certificate.rotate", arguments={"certificate": status.certificate},
        target=EntityRef(kind="certificate", id=status.certificate), rationale=why, confidence=SURE,
    )  # fmt: skip


def _replace(secret: SecretStatus, why: str) -> Act:
    return Act(
        kind="secret.rotate", arguments={"secret": secret.secret},
        target=EntityRef(kind="secret", id=secret.secret), rationale=why, confidence=SURE,
    )  # fmt: skip


def _finding(  # noqa: PLR0913  # a finding's own fields
    topology: Topology, tenant: TenantId, kind: str, resource: str, *, episode: str, severity: Severity, summary: str,
    evidence: tuple[str, ...], acts: tuple[Act, ...],
) -> Finding:  # fmt: skip
    return Finding(
        owner="certificate_rotation", kind=kind, tenant=tenant, environment=topology.environment, resource=resource,
        episode=episode, severity=severity, summary=summary, evidence=evidence, acts=acts,
    )  # fmt: skip
