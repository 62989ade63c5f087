"""A demo world with chaos over it: one tenant's experiment, its consent, and the figures cases are about."""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from pydantic import JsonValue

from domain.arguments import ChaosStep
from domain.errors import Refused
from domain.ids import EnvironmentId, PrincipalId, TenantId
from domain.runtime_api import OperationRecord, Progress
from grounding.vectors import MemoryVectors
from mesh.embedded import EmbeddedRuntime
from mesh.on_call import Approver
from mesh.simulation import ROUND, Choices, SimulatedMesh, open_simulated
from runtime.documents import Place
from runtime.meaning import operation_meaning
from runtime.parts import RuntimeParts
from runtime.ports import Asked
from runtime.scope import TenantView
from runtime.services import chaos
from runtime.services.chaos.consent import Consent, ConsentWindow
from runtime.services.chaos.experiment import read_experiment
from runtime.services.chaos.journal import Journal
from runtime.services.chaos.records import CONSENTS, EXPERIMENTS, RUNS, THE, StoredExperiment
from runtime.simulator.demo import demo_world
from runtime.state import bound_tenants, current

TENANT, NAME = TenantId("acme-retail"), "trial"
AGREED = Consent(
    faults=("deploy_errors", "deploy_leak", "dependency_slow"), services=("*",),
    windows=(ConsentWindow(from_hour_utc=0, to_hour_utc=24),), max_share=0.5,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ChaosPlace:
    """One simulated mesh with an experiment in it."""

    simulated: SimulatedMesh
    parts: RuntimeParts
    place: Place

    def store(self, document: JsonValue, consent: Consent | None = AGREED) -> None:
        """Keep the experiment and the tenant's consent."""
        at = self.parts.clock.now()
        stored = StoredExperiment(document=read_experiment(document).document, by=PrincipalId("eval"))
        with self.parts.database.begin() as connection:
            EXPERIMENTS.put(connection, self.place, NAME, stored, at=at)
            if consent is not None:
                CONSENTS.put(connection, self.place, THE, consent, at=at)

    async def planned(self) -> str:
        """Plan a run; return why it is refused, nothing where it is not."""
        with self.parts.database.read() as connection:
            bound = bound_tenants(connection, self.place.environment)
            desired = current(connection, self.place.environment)
        topology = await self.parts.target.topology(self.place.environment)
        asked = Asked(
            meaning=operation_meaning("chaos.run", ChaosStep(experiment=NAME), self.place.environment), tenant=TENANT,
            environment=self.place.environment, view=TenantView(TENANT, topology, bound), desired=desired,
            at=self.parts.clock.now(), key="plan",
        )  # fmt: skip
        try:
            await chaos.operators(self.parts)["chaos.run"].plan(asked)
        except Refused as error:
            return str(error)
        return ""

    async def lived(self, most: timedelta) -> tuple[Journal, float]:
        """Carry one run through, past the door; return its journal and how long a fault of it was there, in seconds."""
        operators, world = chaos.operators(self.parts), self.simulated.world
        record = OperationRecord(
            id="run-1", tenant=TENANT, environment=self.place.environment, idempotency_key="k", kind="chaos.run",
            target=f"experiment/{NAME}", arguments={"experiment": NAME}, actor=PrincipalId("eval"),
            accepted_at=self.parts.clock.now(), progress=Progress(status="accepted", fraction=0.0),
        )  # fmt: skip
        hurt_s, end = 0.0, world.now + most
        progress = await operators["chaos.run"].step(record)
        while progress.status == "running" and world.now < end:
            leases = (self.parts.home / "chaos/leases").glob("*.lease")
            hurt_s += ROUND.total_seconds() if any(leases) else 0.0
            await self.simulated.simulation.run(world.now + ROUND, loop=False)
            progress = await operators["chaos.run"].step(record)
        return self.journal(), hurt_s

    def journal(self) -> Journal:
        """Return the newest run's journal."""
        with self.parts.database.read() as connection:
            return RUNS.list(connection, self.place.environment)[-1].body.journal


async def chaos_place(seed: int, folder: Path, *, warm_up: timedelta = timedelta(minutes=30)) -> ChaosPlace:
    """Open a mesh over the demo world, with people on call."""
    choices = Choices(autonomy="act", approver=Approver(), warm_up=warm_up, vectors=MemoryVectors(), loops=("chaos",))
    simulated = await open_simulated(folder, demo_world(), seed, choices)
    runtime = simulated.mesh.runtime
    if not isinstance(runtime, EmbeddedRuntime):
        raise TypeError("a simulated mesh has its runtime in this process")
    environment = EnvironmentId(simulated.world.spec.environment)
    return ChaosPlace(simulated, runtime.services.parts, Place(environment=environment, tenant=TENANT))
