"""An estate of certificates and logins for the cases: real signatures, listeners and logins, in virtual time."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from domain.command_kinds import CommandKind
from domain.desired import EnvironmentState
from domain.events import IncomingEvent
from domain.findings import Act
from domain.ids import PLATFORM, EnvironmentId, PrincipalId, TenantId
from domain.runtime_api import OperationRecord, Progress
from domain.topology import Certificate, RuntimeService, Secret, Topology
from mesh.time import OsEntropy, UlidIds, VirtualClock
from runtime.parts import RuntimeParts
from runtime.planes import Planes
from runtime.services.certificates import operators
from runtime.services.certificates import wanted as wanting
from runtime.services.certificates.overview import certificate_statuses, secret_statuses
from runtime.services.certificates.reissue import PER_WAVE, Wave, next_wave
from runtime.targets.memory import MemoryTarget
from runtime.trust.authority import LocalAuthority
from runtime.trust.certificates import LoopbackCertificates
from runtime.trust.credentials import LoopbackCredentials
from runtime.workers.certificate_rotation import findings
from storage.engine import Database
from storage.tables.runtime import create_runtime_tables

START, PROD, ISSUER = datetime(2026, 3, 10, 9, 0, tzinfo=UTC), EnvironmentId("prod"), "platform-ca"
LASTS = timedelta(days=90)


class Heard:
    """Hears nothing: these cases tell nobody."""

    def tell(self, tenant: TenantId, event: IncomingEvent) -> None:
        """Drop it."""


@dataclass(slots=True)
class TrustPlace:
    """A topology, its planes and its clock, with the worker's eyes and the operators' hands."""

    topology: Topology
    clock: VirtualClock
    parts: RuntimeParts
    certificates: LoopbackCertificates
    credentials: LoopbackCredentials
    done: list[OperationRecord] = field(default_factory=list[OperationRecord])

    async def look(self, *, per_wave: int = PER_WAVE) -> tuple[tuple[Act, ...], Wave | None]:
        """Return what the worker proposes now, and the wave of a mass re-issue that is due."""
        at = self.clock.now()
        statuses = await certificate_statuses(self.parts.planes, self.topology, at)
        secrets = await secret_statuses(self.parts.planes, self.topology)
        tiers = {s.id: s.tier for s in self.topology.services}
        wave = next_wave(statuses, tiers, {}, at, per_wave=per_wave)
        found = findings(self.topology, statuses, secrets, wave, at)
        return tuple(act for finding in found for act in finding.acts), wave

    async def carry_out(self, kind: CommandKind, name: str) -> Progress:
        """Do one operation as the runtime does after an approval."""
        what = kind.partition(".")[0]
        record = OperationRecord(
            id=f"op-{len(self.done)}", tenant=PLATFORM, environment=PROD, idempotency_key=f"key-{len(self.done)}",
            kind=kind, target=f"{what}/{name}", arguments={what: name}, actor=PrincipalId("executor"),
            accepted_at=self.clock.now(), progress=Progress(status="accepted", fraction=0.0),
        )  # fmt: skip
        self.done.append(record)
        return await operators(self.parts)[kind].step(record)

    def close(self) -> None:
        """Stop every listener."""
        self.certificates.close()
        self.credentials.close()
        self.parts.database.close()


Make = Callable[[Path, dict[str, LocalAuthority]], LoopbackCertificates]


async def trust_place(
    seed: int, folder: Path, services: int, make: Make = LoopbackCertificates, *, logins: bool = True
) -> TrustPlace:
    """Open an estate whose certificates were issued at drawn times within the last two thirds of their lives."""
    rng = np.random.default_rng(seed)
    topology, clock = _topology(services, rng, logins=logins), VirtualClock(START)
    authority = LocalAuthority(folder / "authority", ISSUER, START - timedelta(days=365))
    certificates = make(folder / "certificates", {ISSUER: authority})
    credentials = LoopbackCredentials(folder / "credentials", OsEntropy(), clock.now)
    database = Database(f"sqlite:///{folder / 'runtime.db'}")
    create_runtime_tables(database.engine)
    parts = RuntimeParts(
        database=database, clock=clock, ids=UlidIds(clock, seed=seed), entropy=OsEntropy(),
        target=MemoryTarget(topology, EnvironmentState()),
        planes=Planes(certificates=certificates, credentials=credentials), home=folder, tell=Heard(),
    )  # fmt: skip
    place = TrustPlace(topology, clock, parts, certificates, credentials)
    ages = [timedelta(hours=float(h)) for h in rng.uniform(0, 24 * 59, size=2 * services)]
    await _fill(place, ages)
    return place


async def _fill(place: TrustPlace, ages: Sequence[timedelta]) -> None:
    plane = place.certificates
    for number, wanted in enumerate(wanting.certificates(place.topology)):
        at = START - ages[number]
        chain = await plane.issuer(ISSUER).issue(await plane.request(wanted, "first"), at=at, lifetime=LASTS)
        await plane.stage(wanted, "first", chain)
        await plane.install(wanted, "first")
    for number, login in enumerate(wanting.secrets(place.topology)):
        ends = START - ages[-1 - number] + LASTS
        await place.credentials.create(login, login.users[0], version="first", expires_at=ends)
        await place.credentials.switch(login, login.users[0], version="first")


def _topology(services: int, rng: np.random.Generator, *, logins: bool) -> Topology:
    names = [f"s{n:03d}" for n in range(services)]
    tenants, regions = ("acme", "borealis", "cinder"), ("north", "west")
    made = tuple(
        RuntimeService(
            id=name, tenant=TenantId(tenants[int(rng.integers(3))]), environment=PROD, compute_target="t",
            owner_team="t", tier=(0, 1, 2, 3)[int(rng.integers(4))], regions=(regions[int(rng.integers(2))],),
        )
        for name in names
    )  # fmt: skip
    return Topology(
        environment=PROD, regions=regions, services=made,
        certificates=tuple(
            Certificate(id=f"{n}-tls", service=n, subject=f"{n}.example.net", not_after=START, issuer=ISSUER)
            for n in names
        ),
        secrets=tuple(Secret(id=f"{n}-at-db", service=n, opens="service/db") for n in names if logins),
    )  # fmt: skip
