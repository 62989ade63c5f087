"""Experiments, consents and the stop over HTTP.

An experiment and a consent are documents without effect, so they are stored as they come, not proposed: what has an
effect is chaos.run, which goes through the one door and cites the digest of what was stored. A stop takes effect at
once: it only ever takes faults back. Lifting it, like consent, takes a person who may approve.
"""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Response
from pydantic import Field, JsonValue
from sqlalchemy import Connection

from domain.base import Digest, Frozen, Slug, digest_of
from domain.errors import Invalid, NotFound, Refused
from domain.ids import PLATFORM, EnvironmentId
from domain.principals import Role
from runtime.api.caller import Access, Acting, Services, Who, enter, enter_writing
from runtime.api.frame import Frame, Framed, check_match
from runtime.documents import Place
from runtime.parts import RuntimeServices
from runtime.services.chaos.consent import MOST_SERVICES, Consent
from runtime.services.chaos.experiment import Experiment
from runtime.services.chaos.journal import Journal
from runtime.services.chaos.leases import Lease, LeaseBook
from runtime.services.chaos.operators import LEASES, ask_to_end, reverter_of
from runtime.services.chaos.records import (
    CONSENTS,
    EXPERIMENTS,
    RUNS,
    STOPS,
    THE,
    Run,
    Stop,
    StoredExperiment,
    is_repeated,
    stop_for,
)

router = APIRouter(prefix="/runtime", tags=["chaos"])
DECIDING_ROLES: frozenset[Role] = frozenset({"approver", "admin"})
STOPPING_ROLES: frozenset[Role] = frozenset({"approver", "operator", "admin"})
Named = Annotated[Slug, Path()]
Where = Annotated[Slug, Query()]


class ExperimentBody(Frozen):
    """An experiment to keep under a name."""

    environment: EnvironmentId
    id: Slug
    experiment: Experiment


class ConsentBody(Frozen):
    """What the acting tenant agrees to, in place of what it agreed to before."""

    environment: EnvironmentId
    consent: Consent


class StopBody(Frozen):
    """Stop the acting tenant's experiments (the platform: all), or allow them again."""

    environment: EnvironmentId
    engaged: bool = True
    reason: str = Field(default="", max_length=500)


class OpenFault(Frozen):
    """A fault that is not taken back yet."""

    handle: str
    target: str
    until: str
    attempts: int
    error: str


class ExperimentAnswer(Frozen):
    """One experiment, its runs and what of them is still there."""

    id: Slug
    version: int
    digest: Digest
    title: str
    document: dict[str, JsonValue]
    runs: tuple[str, ...]
    """Ids of its runs, oldest first."""
    open_faults: tuple[OpenFault, ...]


class ConsentAnswer(Frozen):
    """A tenant's consent; nothing agreed to where it has given none."""

    tenant: Slug
    version: int
    consent: Consent


class StopAnswer(Frozen):
    """Whether experiments are stopped for the tenant, and which faults could not be taken back."""

    engaged: bool
    reason: str
    left: tuple[OpenFault, ...]


@router.post("/experiments")
async def store_experiment(
    runtime: Services, who: Who, tenant: Acting, framed: Framed, body: ExperimentBody, response: Response
) -> ExperimentAnswer:
    """Keep an experiment. It has no effect until chaos.run is asked for it."""
    here = await enter_writing(runtime, who, tenant, body.environment)
    place = _place(here)
    document = body.experiment.document
    body.experiment.resolved()
    with runtime.database.begin() as connection:
        repeated = _repeated(runtime, connection, here, framed, body)
        found = EXPERIMENTS.get(connection, place, body.id)
        version = 0 if found is None else found.version
        if not repeated:
            check_match(framed, version)
        # A repeated request is answered, not done again: somebody else may have written since.
        if not (framed.dry_run or repeated) and (found is None or found.body.document != document):
            stored = StoredExperiment(document=document, by=who.id)
            version = EXPERIMENTS.put(connection, place, body.id, stored, at=runtime.clock.now())
    response.headers["ETag"] = f'"{version}"'
    return _answer(runtime, place, body.id, version, body.experiment)


@router.get("/experiments")
async def experiments(runtime: Services, who: Who, tenant: Acting, environment: Where) -> list[ExperimentAnswer]:
    """List the tenant's experiments."""
    place = _place(await enter(runtime, who, tenant, environment))
    with runtime.database.read() as connection:
        found = EXPERIMENTS.list(connection, place.environment, [place.tenant])
    return [_answer(runtime, place, d.id, d.version, d.body.experiment) for d in found]


@router.get("/experiments/{name}")
async def experiment(
    runtime: Services, who: Who, tenant: Acting, name: Named, environment: Where, response: Response
) -> ExperimentAnswer:
    """Return one experiment; the ETag is its version."""
    place = _place(await enter(runtime, who, tenant, environment))
    with runtime.database.read() as connection:
        found = EXPERIMENTS.get(connection, place, name)
    if found is None:
        raise NotFound("no such experiment")
    response.headers["ETag"] = f'"{found.version}"'
    return _answer(runtime, place, name, found.version, found.body.experiment)


@router.get("/experiments/{name}/journal", response_model_exclude_none=True)
async def journal(
    runtime: Services, who: Who, tenant: Acting, name: Named, environment: Where,
    run: Annotated[Slug | None, Query()] = None,
) -> Journal:  # fmt: skip
    """Return the journal of a run, the newest where none is named, in the Chaos Toolkit's format."""
    place = _place(await enter(runtime, who, tenant, environment))
    found = [r for r in _runs(runtime, place, name) if run in {None, r.id}]
    if not found:
        raise NotFound("no such run")
    return found[-1].journal


@router.get("/chaos-consents")
async def consent(runtime: Services, who: Who, tenant: Acting, environment: Where) -> ConsentAnswer:
    """Return what the tenant agrees to."""
    place = _place(await enter(runtime, who, tenant, environment))
    with runtime.database.read() as connection:
        found = CONSENTS.get(connection, place, THE)
    nothing = Consent(faults=(), services=(), windows=(), max_share=0.0)
    if found is None:
        return ConsentAnswer(tenant=place.tenant, version=0, consent=nothing)
    return ConsentAnswer(tenant=place.tenant, version=found.version, consent=found.body)


@router.put("/chaos-consents")
async def give_consent(
    runtime: Services, who: Who, tenant: Acting, framed: Framed, body: ConsentBody, response: Response
) -> ConsentAnswer:
    """Replace what the tenant agrees to. Only a person who may approve for it can."""
    here = await enter_writing(runtime, who, tenant, body.environment)
    _check_person(here)
    if len(body.consent.services) > MOST_SERVICES:
        raise Invalid(f"at most {MOST_SERVICES} services by name; say * for all", reason="too_many_services")
    place = _place(here)
    with runtime.database.begin() as connection:
        repeated = _repeated(runtime, connection, here, framed, body)
        found = CONSENTS.get(connection, place, THE)
        version, stands = (0, body.consent) if found is None else (found.version, found.body)
        if not repeated:
            check_match(framed, version)
            stands = body.consent
        if not (framed.dry_run or repeated) and (found is None or found.body != stands):
            version = CONSENTS.put(connection, place, THE, stands, at=runtime.clock.now())
    response.headers["ETag"] = f'"{version}"'
    return ConsentAnswer(tenant=place.tenant, version=version, consent=stands)


@router.post("/chaos-stops")
async def stop(
    runtime: Services, who: Who, tenant: Acting, framed: Framed, body: StopBody, response: Response
) -> StopAnswer:
    """Stop experiments and take all their faults back, at once; or allow them again.

    No idempotency key holds a stop up, whatever it was used for: stopping twice does no harm. A repeated request to
    allow them again lifts no stop that came since.
    """
    here = await enter_writing(runtime, who, tenant, body.environment)
    place = _place(here)
    if body.engaged and not who.reach(STOPPING_ROLES).allows(here.tenant, here.environment):
        raise Refused("a role that may stop is needed", reason="role_missing")
    if not body.engaged:
        _check_person(here)
    with runtime.database.begin() as connection:
        repeated = not body.engaged and _repeated(runtime, connection, here, framed, body)
        if not repeated:
            check_match(framed, _stop_version(connection, place))
        if framed.dry_run or repeated:
            return _stopped(runtime, place, response)
        said = Stop(engaged=body.engaged, by=who.id, reason=body.reason)
        STOPS.put(connection, place, THE, said, at=runtime.clock.now())
    if body.engaged:
        ask_to_end(runtime.parts, place, lambda _: True, f"experiments are stopped: {body.reason}")
        reverter = reverter_of(runtime.parts)
        await reverter.revert_all("all experiments are stopped", environment=place.environment, tenant=place.tenant)
    return _stopped(runtime, place, response)


@router.get("/chaos-stops")
async def stopped(runtime: Services, who: Who, tenant: Acting, environment: Where, response: Response) -> StopAnswer:
    """Tell whether experiments are stopped for the tenant; the ETag is the version of its own stop."""
    return _stopped(runtime, _place(await enter(runtime, who, tenant, environment)), response)


def _stopped(runtime: RuntimeServices, place: Place, response: Response) -> StopAnswer:
    with runtime.database.read() as connection:
        found = stop_for(connection, place.environment, place.tenant)
        response.headers["ETag"] = f'"{_stop_version(connection, place)}"'
    left = tuple(_open(lease) for lease in _leases(runtime, place))
    return StopAnswer(engaged=found is not None, reason="" if found is None else found.reason, left=left)


def _stop_version(connection: Connection, place: Place) -> int:
    found = STOPS.get(connection, place, THE)
    return 0 if found is None else found.version


def _place(here: Access) -> Place:
    return Place(environment=here.environment, tenant=here.tenant)


def _repeated(runtime: RuntimeServices, connection: Connection, here: Access, framed: Frame, body: Frozen) -> bool:
    at = None if framed.dry_run else runtime.clock.now()
    return is_repeated(
        connection, _place(here), here.who.id, framed.key, digest_of(body.model_dump(mode="json")), at=at
    )


def _check_person(here: Access) -> None:
    if here.who.kind != "person" or not here.who.reach(DECIDING_ROLES).allows(here.tenant, here.environment):
        raise Refused("a person who may approve for the tenant is needed", reason="role_missing")


def _runs(runtime: RuntimeServices, place: Place, name: str) -> tuple[Run, ...]:
    with runtime.database.read() as connection:
        found = RUNS.list(connection, place.environment, [place.tenant])
    return tuple(d.body for d in found if d.body.experiment == name)


def _leases(runtime: RuntimeServices, place: Place) -> tuple[Lease, ...]:
    every = LeaseBook(runtime.parts.home / LEASES).all()
    return tuple(
        one for one in every if one.environment == place.environment and place.tenant in {PLATFORM, one.tenant}
    )


def _open(lease: Lease) -> OpenFault:
    return OpenFault(
        handle=lease.handle, target=lease.target, until=lease.until.isoformat(), attempts=lease.attempts,
        error=lease.error,
    )  # fmt: skip


def _answer(
    runtime: RuntimeServices, place: Place, name: str, version: int, document: Experiment
) -> ExperimentAnswer:  # fmt: skip
    return ExperimentAnswer(
        id=name, version=version, digest=document.digest, title=document.title, document=document.document,
        runs=tuple(run.id for run in _runs(runtime, place, name)),
        open_faults=tuple(_open(lease) for lease in _leases(runtime, place) if lease.experiment == name),
    )  # fmt: skip
