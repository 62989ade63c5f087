"""What chaos keeps in the runtime's store: experiments, consents, stops and runs."""

from collections.abc import Mapping
from datetime import datetime
from typing import Literal

from pydantic import JsonValue
from sqlalchemy import Connection

from domain.base import Digest, Frozen, UtcDatetime, digest_of
from domain.errors import Conflict
from domain.ids import PLATFORM, EnvironmentId, PrincipalId, TenantId
from domain.runtime_api import OperationStatus, Progress
from runtime.documents import Documents, Place
from runtime.services.chaos.consent import Consent
from runtime.services.chaos.experiment import Experiment
from runtime.services.chaos.journal import Journal, RunStatus

Phase = Literal["before", "method", "after", "rollbacks", "ended"]


class StoredExperiment(Frozen):
    """One experiment as it was read, and by whom it was stored."""

    document: dict[str, JsonValue]
    by: PrincipalId

    @property
    def experiment(self) -> Experiment:
        """The document as an experiment."""
        return Experiment.model_validate(self.document)


class Injected(Frozen):
    """A fault that a run let happen."""

    action: str
    handle: str
    at: UtcDatetime
    back: bool = False
    """Whether it is taken back."""


class Run(Frozen):
    """How far one run has come; its journal is what it has done."""

    id: str
    experiment: str
    phase: Phase = "before"
    position: int = 0
    """The next activity of the phase."""
    paused: bool = False
    """Whether the pause before that activity is over."""
    due: UtcDatetime | None = None
    """When it goes on."""
    injected: tuple[Injected, ...] = ()
    left: tuple[str, ...] = ()
    """Handles of faults that its rollbacks could not take back."""
    ask: str = ""
    """Why somebody wants it to end."""
    journal: Journal


class Stop(Frozen):
    """Whether experiments are stopped here."""

    engaged: bool
    by: PrincipalId
    reason: str


class Said(Frozen):
    """What came under an idempotency key."""

    request: Digest


EXPERIMENTS = Documents("chaos.experiment", StoredExperiment)
CONSENTS = Documents("chaos.consent", Consent)
RUNS = Documents("chaos.run", Run)
STOPS = Documents("chaos.stop", Stop)
REQUESTS = Documents("chaos.request", Said)
THE = "the"
"""Id of documents of which a place has one."""


def is_repeated(
    connection: Connection, place: Place, who: PrincipalId, key: str | None, request: Digest, *, at: datetime | None
) -> bool:
    """Tell whether the caller sent this under the key before, and keep it, unless `at` is None, where it did not.

    Raises Conflict where another request of the caller's came under the key. Somebody else's same key is another one.
    """
    if key is None:
        return False
    name = digest_of([who, key])
    before = REQUESTS.get(connection, place, name)
    if before is not None and before.body.request != request:
        raise Conflict("the idempotency key was used for another request", reason="key_reused")
    if before is None and at is not None:
        REQUESTS.put(connection, place, name, Said(request=request), at=at)
    return before is not None


def consents_in(connection: Connection, environment: EnvironmentId) -> Mapping[TenantId, Consent]:
    """Return every tenant's consent."""
    return {found.place.tenant: found.body for found in CONSENTS.list(connection, environment)}


def stop_for(connection: Connection, environment: EnvironmentId, tenant: TenantId) -> Stop | None:
    """Return the stop that holds for a tenant's experiments: its own, or the platform's for all."""
    for whose in (PLATFORM, tenant):
        found = STOPS.get(connection, Place(environment=environment, tenant=whose), THE)
        if found is not None and found.body.engaged:
            return found.body
    return None


def noted(run: Run, /, *, phase: Phase | None = None, **changed: object) -> Run:
    """Return the run with something more in its journal, in another phase where one is given."""
    journal = run.journal.model_copy(update=changed)
    moved = run.model_copy(update={"journal": journal})
    return moved if phase is None else moved.model_copy(update={"phase": phase, "due": None})


def progress_of(run: Run) -> Progress:
    """Return how far the run's operation has come."""
    method = run.journal.experiment.get("method")
    total = len(method) if isinstance(method, list) else 1
    result: dict[str, JsonValue] = {
        "run": run.id,
        "experiment": run.experiment,
        "status": run.journal.status,
        "deviated": run.journal.deviated,
    }
    if run.left:
        result["left"] = [*run.left]
    if run.phase != "ended":
        return Progress(status="running", fraction=min(0.99, run.position / total), result=result)
    return Progress(status=_ENDINGS[run.journal.status], result=result, detail=run.journal.detail)


_ENDINGS: Mapping[RunStatus, OperationStatus] = {
    "running": "running",
    "completed": "done",
    "aborted": "cancelled",
    "failed": "failed",
    "interrupted": "failed",
}
