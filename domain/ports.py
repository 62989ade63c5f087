"""Ports: what one room asks of another, as Protocols of one to three methods. The mesh ties them.

Adapters do not inherit; the type checker and the contract suites hold them to their port.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from domain.changes import Patch, ResourceChange
from domain.commands import Command, Prediction, Proposal
from domain.desired import DesiredState, EnvironmentState
from domain.events import IncomingEvent
from domain.evidence import ChangeRecord, EvidencePack, LogPattern, MetricSeries, SpanStats
from domain.ids import EnvironmentId, TenantId
from domain.intake import Channel, IntakeReport, LogRecord, MetricPoint, RefusedInput, SpanRecord, TelemetryReport
from domain.outcomes import ActionPlan, EffectReceipt
from domain.principals import EventSourceKey
from domain.subscriptions import FeedEntry, Subscriber
from domain.tenancy import RuntimeTenantBinding
from domain.topology import Topology


class Clock(Protocol):
    """The only source of time."""

    def now(self) -> datetime:
        """Return the present instant in UTC."""
        ...


class Ids(Protocol):
    """The only source of fresh ids."""

    def ulid(self) -> str:
        """Return a new time-ordered ULID."""
        ...


class Entropy(Protocol):
    """The only source of unguessable bytes: credentials, salts, keys."""

    def token_bytes(self, length: int) -> bytes:
        """Return that many random bytes."""
        ...


class CrashPoints(Protocol):
    """Named points at which the harness may kill the process or inject a fault. In production it does nothing."""

    def reach(self, point: str, **context: str) -> None:
        """Tell that the point was reached; may not return."""
        ...


class Embedder(Protocol):
    """Text to vectors; the name is recorded with a collection and never mixed."""

    @property
    def name(self) -> str:
        """Name and version of the embedding."""
        ...

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """Return one unit vector per text."""
        ...


class RuntimeReader(Protocol):
    """What can be read of the runtime within one tenant's scope. Every call is bounded in time and size."""

    async def topology(self, environment: EnvironmentId) -> Topology:
        """Return the topology snapshot."""
        ...

    async def bindings(self, environment: EnvironmentId) -> tuple[RuntimeTenantBinding, ...]:
        """Return the bindings visible to the reader."""
        ...

    async def desired(self, environment: EnvironmentId) -> DesiredState:
        """Return the desired-state document."""
        ...


class TelemetryReader(Protocol):
    """Metric windows, what changed, logs and spans of the runtime."""

    async def series(
        self, environment: EnvironmentId, entities: Sequence[str], start: datetime, end: datetime
    ) -> tuple[MetricSeries, ...]:
        """Return all series of the entities (all entities when empty) over [start, end)."""
        ...

    async def changes(self, environment: EnvironmentId, start: datetime, end: datetime) -> tuple[ChangeRecord, ...]:
        """Return what changed, oldest first."""
        ...

    async def logs(
        self, environment: EnvironmentId, start: datetime, split: datetime, end: datetime
    ) -> tuple[LogPattern, ...]:
        """Return log patterns with counts in [start, split) and [split, end)."""
        ...


class SpanReader(Protocol):
    """Self times of operations from traces."""

    async def spans(
        self, environment: EnvironmentId, start: datetime, split: datetime, end: datetime
    ) -> tuple[SpanStats, ...]:
        """Return span statistics in [start, split) and [split, end)."""
        ...


class Action(Protocol):
    """A typed effect on the runtime. `plan` has no effect; `apply` is idempotent under the command's key."""

    async def plan(self, proposal: Proposal, *, at: datetime) -> ActionPlan:
        """Preview the command as resource changes, with inverse and preconditions."""
        ...

    async def apply(self, command: Command, *, grant: str) -> EffectReceipt:
        """Do it, once. Raises OutcomeUnknown when the answer was lost."""
        ...

    async def status(self, command: Command) -> EffectReceipt:
        """Ask the target under the idempotency key whether the effect happened."""
        ...


class ActionVerifier(Protocol):
    """The part of an action that tells whether the written state is reached and plans its undo."""

    async def verify(self, command: Command) -> bool:
        """Tell whether the runtime's live state holds what the command wrote."""
        ...

    async def ended(self, command: Command) -> bool:
        """Tell whether the runtime is done with it: what takes long is judged afterwards."""
        ...

    async def account(self, command: Command) -> str:
        """Say what the runtime recorded that it did, with its figures; empty where it keeps no record of its own."""
        ...

    async def plan_undo(self, command: Command, *, at: datetime) -> ActionPlan:
        """Plan the restore of the fields we wrote that still hold our value; Conflict when they do not."""
        ...


class Rehearsal(Protocol):
    """The digital twin: what would the command change, from readings alone."""

    def rehearse(self, pack: EvidencePack, proposal: Proposal, *, horizon_s: int) -> Prediction:
        """Predict with and without the command under common random numbers."""
        ...


class Engine(Protocol):
    """Applies desired state to a target."""

    async def preview(self, before: EnvironmentState, after: EnvironmentState) -> tuple[ResourceChange, ...]:
        """Return the changes an apply would make."""
        ...

    async def apply(self, desired: DesiredState, *, key: str) -> None:
        """Make the target's state the desired one; idempotent under the key."""
        ...


class PatchPlanner(Protocol):
    """Dry run of patches at the runtime's door."""

    async def dry_run(self, environment: EnvironmentId, patches: Sequence[Patch]) -> tuple[ResourceChange, ...]:
        """Return the changes the patches would make, with no effect."""
        ...


class TenantScope(Protocol):
    """Whoever acts: the tenants and environments a call may see."""

    def allows(self, tenant: TenantId, environment: EnvironmentId | None = None) -> bool:
        """Tell whether the tenant's data may be read in this scope."""
        ...


class EventIntake(Protocol):
    """Takes events in. Nothing is dropped silently: each item is accepted, a duplicate, or in quarantine."""

    def accept(
        self, sender: EventSourceKey, items: Sequence[IncomingEvent | RefusedInput], *, channel: Channel = "events"
    ) -> IntakeReport:
        """Take a batch; the report adds up to what was sent. Raises Unavailable."""
        ...

    def refuse(self, sender: EventSourceKey, refused: RefusedInput, *, channel: Channel) -> str:
        """Keep an input that never became an event; return the quarantine id. Raises Unavailable."""
        ...


class TelemetryIntake(Protocol):
    """Takes metric points, log records and spans in, within the tenant's limits of size and cardinality."""

    def accept_metrics(
        self, sender: EventSourceKey, tenant: TenantId, points: Sequence[MetricPoint]
    ) -> TelemetryReport:
        """Take samples. Raises Unavailable."""
        ...

    def accept_logs(self, sender: EventSourceKey, tenant: TenantId, records: Sequence[LogRecord]) -> TelemetryReport:
        """Take log lines. Raises Unavailable."""
        ...

    def accept_spans(self, sender: EventSourceKey, tenant: TenantId, spans: Sequence[SpanRecord]) -> TelemetryReport:
        """Take spans; one already known by its id is counted, not stored twice. Raises Unavailable."""
        ...


class FeedbackSink(Protocol):
    """Takes what was decided, came out and was learned: a knowledge platform, an observability back end."""

    async def deliver(self, to: Subscriber, entry: FeedEntry) -> None:
        """Hand one event over. The same id again must change nothing at the receiver.

        Raises Unavailable to be tried again, Invalid where this event will never be taken, NotFound where the
        receiver is gone for good.
        """
        ...
