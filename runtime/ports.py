"""What the runtime asks of a compute target, of whoever knows callers, and of whoever takes proposals.

Telemetry comes through `domain.ports.TelemetryReader` and `SpanReader`; a target usually is all of these at once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from domain.changes import Patch, ResourceChange
from domain.commands import Proposal
from domain.desired import DesiredState, EnvironmentState
from domain.events import IncomingEvent
from domain.findings import Finding
from domain.ids import EnvironmentId, EventKey, TenantId
from domain.plans import PlanWindow
from domain.ports import SpanReader, TelemetryReader
from domain.principals import EventSourceKey, Principal
from domain.releases import ServiceReading, VersionReading
from domain.runtime_api import OperationRecord, Progress
from domain.topology import Topology
from runtime.meaning import Meaning
from runtime.scope import TenantView


class ComputeTarget(Protocol):
    """Where services run. Both effects are idempotent under their key: the second call with it changes nothing."""

    async def apply(self, environment: EnvironmentId, state: EnvironmentState, *, key: str) -> None:
        """Make the state live. Raises Unavailable when the target does not answer."""
        ...

    async def restart(self, environment: EnvironmentId, service: str, *, key: str) -> None:
        """Restart the replicas of a service one after another."""
        ...

    async def live(self, environment: EnvironmentId) -> EnvironmentState:
        """Return what runs now, in the form of a desired state."""
        ...


class EffectCounter(Protocol):
    """The target's own count, by which the guarantee "at most once" is checked."""

    def effects(self, key: str) -> int:
        """Return how many times an effect took place under the key."""
        ...


class Inventory(Protocol):
    """What exists, whoever may see it."""

    async def topology(self, environment: EnvironmentId) -> Topology:
        """Return the whole topology of the environment."""
        ...


class PlatformWrites(Protocol):
    """What the platform's own teams changed past our door (their deployments), to be taken into desired state."""

    async def drain(self, environment: EnvironmentId) -> Sequence[tuple[str, Patch]]:
        """Return (actor, patch) of every such write since the last call, oldest first."""
        ...


class RuntimeTarget(ComputeTarget, Inventory, PlatformWrites, TelemetryReader, SpanReader, Protocol):
    """All that the API needs of one target; the embedded ones are all of it in one object."""


@dataclass(frozen=True, slots=True)
class Asked:
    """An operation somebody asks for, with all that its plan may depend on."""

    meaning: Meaning
    tenant: TenantId
    environment: EnvironmentId
    view: TenantView
    desired: DesiredState
    at: datetime
    key: str


@dataclass(frozen=True, slots=True)
class OperationPlan:
    """What an operation would do."""

    changes: tuple[ResourceChange, ...]
    """The preview. It is planned again before the effect, and must be the same then."""
    resources: tuple[str, ...]
    """Addresses for which fencing numbers are kept: two operations on one of them exclude each other."""


class Operator(Protocol):
    """Carries out one kind of operation. What it knows between two steps lies in documents or with the target."""

    async def plan(self, asked: Asked) -> OperationPlan:
        """Plan without effect. Raises Invalid, Refused, or NotFound for what is missing or out of view."""
        ...

    async def step(self, record: OperationRecord) -> Progress:
        """Go as far as it goes now; called again until it ends. Idempotent under the record's key.

        Raises Unavailable where the target does not answer: it is tried again.
        """
        ...

    async def cancel(self, record: OperationRecord) -> Progress:
        """Stop and clean up. Raises Refused where that is no longer possible."""
        ...


class Turn(Protocol):
    """A service's own control loop."""

    async def turn(self) -> None:
        """Look once and do what is due. Raises Unavailable where the target does not answer: it is tried again."""
        ...


@dataclass(frozen=True, slots=True)
class Announced:
    """An event that announced what a worker found."""

    key: EventKey
    trace: str | None
    """Its W3C traceparent."""


class Tell(Protocol):
    """Takes what the runtime's services and workers tell into the event log, under the platform's credential."""

    def tell(self, tenant: TenantId, event: IncomingEvent) -> None:
        """Take one event. The same id again is a duplicate and changes nothing."""
        ...


class Heard(Protocol):
    """Knows what the platform's own events said of a matter before a worker found it."""

    def announced(self, finding: Finding, types: Sequence[str], since: datetime) -> Announced | None:
        """Return the newest such event about the finding's resource, to its tenant; None where there is none."""
        ...


class TrafficPlane(Protocol):
    """What is measured where requests are led to versions: at proxies, in traces, from replicas."""

    async def versions(
        self, environment: EnvironmentId, service: str, start: datetime, end: datetime
    ) -> tuple[VersionReading, ...]:
        """Return what each version of a service did over [start, end), while it had a second one. NotFound as usual."""
        ...

    async def served(self, environment: EnvironmentId, service: str, start: datetime, end: datetime) -> ServiceReading:
        """Return what a service did as a whole over [start, end), whichever versions it had. NotFound as usual."""
        ...


class Authenticator(Protocol):
    """Turns a presented token into who holds it."""

    def authenticate(self, token: str) -> Principal | EventSourceKey:
        """Return the holder. Raises Unauthenticated for any token that does not count."""
        ...


class ProposeWrite(Protocol):
    """Takes a write without a grant as a proposal. Must give the same address again for the same key."""

    async def propose(self, proposal: Proposal, *, idempotency_key: str) -> str:
        """Record the proposal as a PROPOSED command and return the address where it can be followed."""
        ...

    async def propose_plan(
        self,
        proposals: Sequence[Proposal],
        *,
        window: PlanWindow,
        compensate_in: Sequence[int] | None,
        idempotency_key: str,
    ) -> str:
        """Record several proposals as one change plan, run in this order inside the window; return its address.

        `compensate_in` names positions in the order of their undo; None means all that have an inverse, last first.
        """
        ...
