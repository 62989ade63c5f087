"""A runtime over the demo world with real certificates and logins on loopback, for tests of rotation."""

from dataclasses import dataclass
from datetime import timedelta

from domain.ids import PLATFORM, PrincipalId
from domain.runtime_api import OperationRecord, Progress
from domain.topology import EntityRef
from mesh.time import OsEntropy, VirtualClock
from runtime.meaning import Meaning
from runtime.planes import Planes
from runtime.ports import Asked
from runtime.scope import TenantView
from runtime.services.certificates import operators
from runtime.services.certificates import wanted as wanting
from runtime.simulator.demo import demo_world
from runtime.simulator.record import launch
from runtime.simulator.world import World
from runtime.targets.simulated import SimulatedTarget
from runtime.targets.trust import SimulatedCertificates, SimulatedCredentials
from runtime.workers.certificate_rotation import CertificateRotationWorker
from tests.support.runtime_bench import PROD, Bench, make_bench, principal


@dataclass
class TrustBench:
    bench: Bench
    world: World
    done: int = 0

    @property
    def parts(self):
        return self.bench.services.parts

    @property
    def planes(self):
        return self.parts.planes

    async def topology(self):
        return await self.parts.target.topology(PROD)

    async def wanted(self, name):
        return next(w for w in wanting.certificates(await self.topology()) if w.certificate == name)

    async def login(self, name):
        return next(s for s in wanting.secrets(await self.topology()) if s.secret == name)

    async def look(self):
        return await CertificateRotationWorker().look(self.parts, PROD)

    async def asked(self, kind, name, tenant=PLATFORM):
        target = EntityRef(kind=kind.partition(".")[0], id=name)
        meaning = Meaning(kind=kind, arguments={target.kind: name}, target=target)
        view = TenantView(tenant, await self.topology(), self.world.spec.tenants)
        return Asked(meaning, tenant, PROD, view, desired=None, at=self.parts.clock.now(), key="k")

    def record(self, kind, name) -> OperationRecord:
        self.done += 1
        what = kind.partition(".")[0]
        return OperationRecord(
            id=f"op-{self.done}", tenant=PLATFORM, environment=PROD, idempotency_key=f"key-{self.done}", kind=kind,
            target=f"{what}/{name}", arguments={what: name}, actor=PrincipalId("ana"),
            accepted_at=self.parts.clock.now(), progress=Progress(status="accepted", fraction=0.0),
        )  # fmt: skip

    async def rotate(self, kind, name, record=None) -> Progress:
        return await operators(self.parts)[kind].step(record or self.record(kind, name))

    def run(self, **span):
        """Let time pass for the world and every clock."""
        until = self.world.now + timedelta(**span)
        self.world.advance(until)
        self.bench.clock.move_to(until)

    async def close(self):
        await self.bench.client.http.aclose()
        self.bench.services.database.close()
        self.planes.certificates.close()
        self.planes.credentials.close()


async def trust_bench(folder, spec=None) -> TrustBench:
    world = launch(spec or demo_world(), 5)
    bench = await make_bench(
        folder, lambda _clock: SimulatedTarget(world), world.spec.tenants, clock=VirtualClock(world.spec.start),
        people={f"{t.tenant}-token": principal(f"of-{t.tenant}", ("proposer", t.tenant)) for t in world.spec.tenants},
        planes=Planes(
            certificates=SimulatedCertificates(world, folder / "runtime" / "trust"),
            credentials=SimulatedCredentials(world, folder / "runtime" / "trust", OsEntropy()),
        ),
    )  # fmt: skip
    return TrustBench(bench, world)
