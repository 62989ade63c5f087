"""chaos.run and chaos.abort as recorded operations."""

from collections.abc import Callable
from dataclasses import dataclass

from pydantic import JsonValue

from domain.changes import ResourceChange
from domain.errors import Conflict, NotFound
from domain.ids import PLATFORM
from domain.runtime_api import OperationRecord, Progress
from runtime.documents import Place
from runtime.parts import RuntimeParts
from runtime.planes import offered
from runtime.ports import Asked, OperationPlan
from runtime.scope import TenantView
from runtime.services.chaos.experiment import Experiment
from runtime.services.chaos.leases import LeaseBook
from runtime.services.chaos.records import EXPERIMENTS, RUNS, Run
from runtime.services.chaos.reverting import Reverter
from runtime.services.chaos.running import Runner

LEASES = "chaos/leases"
"""Folder of the leases below the runtime's own."""


def reverter_of(parts: RuntimeParts) -> Reverter:
    """Return what takes faults back. Raises Unavailable where the target has no faults to offer."""
    injector = offered(parts.planes.faults, "faults on purpose")
    return Reverter(injector, LeaseBook(parts.home / LEASES), parts.clock, parts.tell)


@dataclass(frozen=True, slots=True)
class RunExperiment:
    """Runs one stored experiment."""

    parts: RuntimeParts
    runner: Runner | None

    async def plan(self, asked: Asked) -> OperationPlan:
        """Plan a run. Raises NotFound, Conflict where it runs already, Refused naming whose consent is missing."""
        runner, name = self._offered(), asked.meaning.target.id
        place = Place(environment=asked.environment, tenant=asked.tenant)
        with self.parts.database.read() as connection:
            found = EXPERIMENTS.get(connection, place, name)
        if found is None:
            raise NotFound("no such experiment")
        experiment = found.body.experiment.resolved()
        _check_places(experiment, asked)
        if running := open_runs(self.parts, place, name):
            raise Conflict(f"{name} is running already as {running[0].id}", reason="already_running")
        faults = tuple(experiment.faults.values())
        blasts = await runner.agreed(place, faults)
        for fault in faults:
            await runner.reverter.injector.prepare(asked.environment, fault)
        told: dict[str, JsonValue] = {
            "digest": experiment.digest,
            "faults": [f"{f.fault} of {f.target}, size {f.size:g}" for f in faults],
            "tenants": [*sorted({t for blast in blasts for t in blast.tenants})],
            "services": [*sorted({s for blast in blasts for s in blast.services})],
        }
        change = ResourceChange(address=f"experiment/{name}", operation="run", path="chaos", after=told)
        return OperationPlan(changes=(change,), resources=(change.address,))

    async def step(self, record: OperationRecord) -> Progress:
        """Carry the run on."""
        return await self._offered().step(record)

    async def cancel(self, record: OperationRecord) -> Progress:
        """Take everything back and end the run."""
        place = Place(environment=record.environment, tenant=record.tenant)
        ask_to_end(self.parts, place, lambda run: run.id == record.id, f"operation {record.id} was cancelled")
        return await self._offered().step(record)

    def _offered(self) -> Runner:
        return offered(self.runner, "faults on purpose")


@dataclass(frozen=True, slots=True)
class AbortExperiment:
    """Ends every run of one tenant's experiment, and takes back whatever it left.

    Another tenant's experiment of the same name is another one, also for the platform: its word for all is the stop.
    """

    parts: RuntimeParts
    reverter: Reverter | None

    async def plan(self, asked: Asked) -> OperationPlan:
        """Plan the end. Raises NotFound where the tenant has no such experiment."""
        name = asked.meaning.target.id
        place = Place(environment=asked.environment, tenant=asked.tenant)
        with self.parts.database.read() as connection:
            if EXPERIMENTS.get(connection, place, name) is None:
                raise NotFound("no such experiment")
        change = ResourceChange(address=f"experiment/{name}", operation="run", path="abort", after={})
        # Never held up by the run it ends.
        return OperationPlan(changes=(change,), resources=(f"experiment/{name}/abort",))

    async def step(self, record: OperationRecord) -> Progress:
        """Take back now; tried again for as long as something is left."""
        name = str(record.arguments["experiment"])
        place = Place(environment=record.environment, tenant=record.tenant)
        ask_to_end(self.parts, place, lambda run: run.experiment == name, "somebody aborted it", everyones=False)
        reverter = offered(self.reverter, "faults on purpose")
        mine = {
            lease.run
            for lease in reverter.book.all()
            if (lease.environment, lease.tenant, lease.experiment) == (place.environment, place.tenant, name)
        }
        left = [
            lease.handle
            for run in mine
            for lease in await reverter.revert_all("somebody aborted it", environment=place.environment, run=run)
        ]
        if left:
            return Progress(status="running", fraction=0.0, detail=f"still there: {', '.join(left)}")
        return Progress(status="done")

    async def cancel(self, record: OperationRecord) -> Progress:
        """Go on: what takes faults back is never stopped."""
        return await self.step(record)


def open_runs(parts: RuntimeParts, place: Place, experiment: str) -> tuple[Run, ...]:
    """Return the runs of an experiment that have not ended."""
    with parts.database.read() as connection:
        found = RUNS.list(connection, place.environment, [place.tenant])
    return tuple(d.body for d in found if d.body.experiment == experiment and d.body.phase != "ended")


def ask_to_end(
    parts: RuntimeParts, place: Place, which: Callable[[Run], bool], why: str, *, everyones: bool = True
) -> None:
    """Note on every such run that it is to end; with `everyones` the platform's word counts for every tenant's."""
    tenants = None if everyones and place.tenant == PLATFORM else [place.tenant]
    with parts.database.begin() as connection:
        for found in RUNS.list(connection, place.environment, tenants):
            if found.body.phase != "ended" and which(found.body):
                asked = found.body.model_copy(update={"ask": why})
                RUNS.put(connection, found.place, found.id, asked, at=parts.clock.now())


def _check_places(experiment: Experiment, asked: Asked) -> None:
    """Raise NotFound for a target that is not the tenant's, or a figure it may not see."""
    view: TenantView = asked.view
    for fault in experiment.faults.values():
        others = fault.target.startswith("external/") and view.sees(fault.target)
        if asked.tenant != PLATFORM and not others:
            view.check_owned(fault.target)
    for place in sorted(experiment.places()):
        if not view.sees(place):
            raise NotFound("no such resource")
