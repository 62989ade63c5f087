"""The run journal: what each agent run was given and answered, what is watched, what came out, who was paged.

A run's input is stored before the run starts, so a crash repeats the same run whole. Everything is scoped by tenant.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import cast

from pydantic import JsonValue, TypeAdapter
from sqlalchemy import Connection, RowMapping, insert, select, update
from sqlalchemy.exc import IntegrityError

from domain.base import Frozen, UtcDatetime
from domain.evidence import Diagnosis, Evidence, EvidencePack
from domain.ids import CommandId, EnvironmentId, IncidentId, RunId, TenantId
from domain.outcomes import Outcome, Verification
from domain.ports import Clock, Ids
from storage.engine import Database
from storage.tables.journal import cursors, outcomes, pages, runs, watches


class RunStep(Frozen):
    """One node of an agent run: what it did, in one line, and how long it took."""

    node: str
    text: str
    duration_ms: float = 0.0


class Run(Frozen):
    """One agent run as journalled."""

    id: RunId
    tenant: TenantId
    environment: EnvironmentId
    incident: IncidentId
    agent: str
    attempt: int
    status: str
    started_at: UtcDatetime
    ended_at: UtcDatetime | None = None
    diagnosis: Diagnosis | None = None
    steps: tuple[RunStep, ...] = ()
    proposals: tuple[CommandId, ...] = ()
    look_again_at: UtcDatetime | None = None
    """The run asked to be left alone until then."""
    trace: str | None = None


class Watch(Frozen):
    """A command under verification: which services, until when, and how they stood before."""

    command: CommandId
    tenant: TenantId
    environment: EnvironmentId
    incident: IncidentId | None
    started_at: UtcDatetime
    hold_until: UtcDatetime
    entities: tuple[str, ...]
    before: dict[str, tuple[float | None, float | None, float | None]]
    """Latency p95 ms, error rate, request rate per entity just before the effect."""


class Page(Frozen):
    """A call for a human with a filled-in runbook."""

    id: str
    tenant: TenantId
    command: CommandId | None
    incident: IncidentId | None
    reason: str
    runbook: str
    owner_team: str
    at: UtcDatetime


class Journal:
    """Reads and writes the loop's memory in one store."""

    def __init__(self, database: Database, clock: Clock, ids: Ids) -> None:
        self._database = database
        self._clock = clock
        self._ids = ids

    def start_run(self, pack: EvidencePack, *, agent: str, attempt: int, trace: str | None) -> RunId | None:
        """Store a run's input. None when this evidence was already run for this incident, agent and attempt."""
        run = RunId(self._ids.ulid())
        row = {
            "id": run, "tenant": pack.tenant, "environment": pack.environment, "incident": pack.incident.id,
            "agent": agent, "attempt": attempt, "evidence_digest": pack.digest, "pack": pack.model_dump(mode="json"),
            "status": "running", "started_at": self._clock.now(), "trace": trace,
        }  # fmt: skip
        try:
            with self._database.begin() as connection:
                connection.execute(insert(runs).values(row))
        except IntegrityError:
            return None
        return run

    def finish_run(
        self,
        run: RunId,
        diagnosis: Diagnosis,
        steps: Sequence[RunStep],
        proposals: Sequence[CommandId],
        *,
        look_again_at: datetime | None = None,
    ) -> None:
        """Store a run's answer."""
        with self._database.begin() as connection:
            connection.execute(
                update(runs)
                .where(runs.c.id == run)
                .values(
                    status="done",
                    diagnosis=diagnosis.model_dump(mode="json"),
                    steps=[step.model_dump(mode="json") for step in steps],
                    proposals=list(proposals),
                    look_again_at=look_again_at,
                    ended_at=self._clock.now(),
                )
            )

    def unfinished_runs(self) -> tuple[tuple[Run, EvidencePack], ...]:
        """Return runs that a crash left behind, with their input, to be run again whole."""
        with self._database.read() as connection:
            rows = (
                connection.execute(select(runs).where(runs.c.status == "running").order_by(runs.c.id)).mappings().all()
            )
        return tuple((_run(row), EvidencePack.model_validate(row["pack"])) for row in rows)

    def runs(self, tenant: TenantId, incident: IncidentId) -> tuple[Run, ...]:
        """Return the runs of an incident, oldest first."""
        query = select(*_WITHOUT_PACK).where(runs.c.tenant == tenant, runs.c.incident == incident).order_by(runs.c.id)
        with self._database.read() as connection:
            return tuple(_run(row) for row in connection.execute(query).mappings())

    def pack(self, tenant: TenantId, run: RunId) -> EvidencePack | None:
        """Return the evidence a run was given."""
        query = select(runs.c.pack).where(runs.c.tenant == tenant, runs.c.id == run)
        with self._database.read() as connection:
            found = connection.execute(query).scalar_one_or_none()
        return None if found is None else EvidencePack.model_validate(found)

    def items(self, tenant: TenantId, run: RunId) -> tuple[Evidence, ...]:
        """Return the citable items of a run's evidence, without the series and lines behind them."""
        query = select(runs.c.pack["items"]).where(runs.c.tenant == tenant, runs.c.id == run)
        with self._database.read() as connection:
            found = connection.execute(query).scalar_one_or_none()
        return _ITEMS.validate_python(found or ())

    def start_watch(self, connection: Connection, watch: Watch) -> None:
        """Store a watch in the caller's transaction; a second one for the same command is ignored."""
        held = connection.execute(select(watches.c.command).where(watches.c.command == watch.command)).first()
        if held is None:
            connection.execute(insert(watches).values(**watch.model_dump(mode="python"), done=False))

    def open_watches(self) -> tuple[Watch, ...]:
        """Return the watches without a verdict, oldest first."""
        query = select(watches).where(watches.c.done.is_(False)).order_by(watches.c.started_at, watches.c.command)
        with self._database.read() as connection:
            return tuple(
                Watch.model_validate({k: row[k] for k in Watch.model_fields})
                for row in connection.execute(query).mappings()
            )

    def close_watch(self, connection: Connection, verification: Verification) -> None:
        """Store the verdict in the caller's transaction."""
        body = verification.model_dump(mode="json")
        connection.execute(
            update(watches).where(watches.c.command == verification.command).values(done=True, verification=body)
        )

    def verification(self, tenant: TenantId, command: CommandId) -> Verification | None:
        """Return the verdict on a command, if there is one."""
        query = select(watches.c.verification).where(watches.c.tenant == tenant, watches.c.command == command)
        with self._database.read() as connection:
            found = connection.execute(query).scalar_one_or_none()
        return None if found is None else Verification.model_validate(found)

    def record_outcome(self, connection: Connection, outcome: Outcome) -> None:
        """Store a verified outcome once, in the caller's transaction."""
        held = connection.execute(select(outcomes.c.command).where(outcomes.c.command == outcome.command)).first()
        if held is None:
            row = outcome.model_dump(
                mode="json", include={"command", "tenant", "environment", "incident", "kind", "state"}
            )
            connection.execute(insert(outcomes).values(**row, body=outcome.model_dump(mode="json"), at=outcome.at))

    def has_outcome(self, tenant: TenantId, command: CommandId) -> bool:
        """Tell whether a command's outcome is stored."""
        query = select(outcomes.c.command).where(outcomes.c.tenant == tenant, outcomes.c.command == command)
        with self._database.read() as connection:
            return connection.execute(query).first() is not None

    def outcomes(self, tenant: TenantId, incident: IncidentId | None = None) -> tuple[Outcome, ...]:
        """Return the tenant's outcomes, oldest first."""
        query = select(outcomes.c.body).where(outcomes.c.tenant == tenant).order_by(outcomes.c.at)
        if incident is not None:
            query = query.where(outcomes.c.incident == incident)
        with self._database.read() as connection:
            return tuple(Outcome.model_validate(body) for body in connection.execute(query).scalars())

    def page(self, connection: Connection, page: Page) -> None:
        """Store a page in the caller's transaction; the same reason about the same command pages once."""
        same = select(pages.c.id).where(
            pages.c.tenant == page.tenant, pages.c.command == page.command, pages.c.reason == page.reason
        )
        if page.command is None or connection.execute(same).first() is None:
            connection.execute(insert(pages).values(**page.model_dump(mode="python")))

    def pages(self, tenant: TenantId) -> tuple[Page, ...]:
        """Return the tenant's pages, oldest first."""
        query = select(pages).where(pages.c.tenant == tenant).order_by(pages.c.id)
        with self._database.read() as connection:
            return tuple(
                Page.model_validate({k: row[k] for k in Page.model_fields})
                for row in connection.execute(query).mappings()
            )

    def cursor(self, consumer: str) -> str | None:
        """Return how far a consumer has read."""
        with self._database.read() as connection:
            return connection.execute(
                select(cursors.c.position).where(cursors.c.consumer == consumer)
            ).scalar_one_or_none()

    def move_cursor(self, connection: Connection, consumer: str, position: str) -> None:
        """Advance a consumer in the caller's transaction."""
        done = connection.execute(update(cursors).where(cursors.c.consumer == consumer).values(position=position))
        if done.rowcount == 0:
            connection.execute(insert(cursors).values(consumer=consumer, position=position))


_ITEMS = TypeAdapter(tuple[Evidence, ...])
_WITHOUT_PACK = tuple(column for column in runs.c if column.name != "pack")
"""A pack is hundreds of kilobytes, and who lists runs does not read it."""


def _run(row: RowMapping) -> Run:
    started, ended = cast("datetime", row["started_at"]), cast("datetime | None", row["ended_at"])
    steps = cast("list[dict[str, JsonValue]] | None", row["steps"]) or []
    return Run(
        id=row["id"], tenant=row["tenant"], environment=row["environment"], incident=row["incident"],
        agent=row["agent"], attempt=row["attempt"], status=row["status"], started_at=started, ended_at=ended,
        diagnosis=None if row["diagnosis"] is None else Diagnosis.model_validate(row["diagnosis"]),
        steps=tuple(RunStep.model_validate(step) for step in steps),
        proposals=tuple(row["proposals"] or ()), look_again_at=row["look_again_at"], trace=row["trace"],
    )  # fmt: skip
