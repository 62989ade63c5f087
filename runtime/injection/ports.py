"""What chaos asks of a target, and of whoever can tell what Opsmesh's loop has done."""

from datetime import datetime
from typing import Annotated, Literal, Protocol

from pydantic import Field, JsonValue, StringConstraints

from domain.base import Frozen, UtcDatetime
from domain.ids import EnvironmentId

FaultName = Literal[
    "deploy_latency",
    "deploy_errors",
    "deploy_leak",
    "traffic_surge",
    "dependency_slow",
    "dependency_failing",
    "network_delay",
    "network_loss",
    "node_loss",
    "zone_loss",
    "pool_exhaustion",
    "cache_flush",
]
"""Faults an experiment may name: each has an undo that needs nothing but its own record."""
Place = Annotated[str, StringConstraints(pattern=r"^(\$\{\w+\}|[A-Za-z0-9][A-Za-z0-9._:/@+-]*)$", max_length=200)]
"""An address, or `${key}` of the document's configuration."""


class InjectFault(Frozen):
    """Let a fault happen, and hold it as long as somebody watches."""

    type: Literal["opsmesh.fault"]
    fault: FaultName
    target: Place
    region: Place | None = None
    """Where the fault is kept to; needed by the faults of a network path."""
    size: float = Field(gt=0, le=1, default=0.5)
    """Between the least and the largest the target allows."""
    lease_s: int = Field(ge=1, le=3600, default=120)
    """How long the fault outlives whoever watches it; every look at the experiment renews it."""


class FaultInjector(Protocol):
    """Lets faults of a closed list happen, within bounds, and takes them back."""

    async def prepare(self, environment: EnvironmentId, fault: InjectFault) -> dict[str, JsonValue]:
        """Work a fault out without effect: all that its undo will need. Raises Invalid, or Conflict if it is there."""
        ...

    async def inject(self, environment: EnvironmentId, handle: str, recipe: dict[str, JsonValue]) -> None:
        """Let it happen; the second time under a handle changes nothing. Raises Unavailable."""
        ...

    async def revert(self, environment: EnvironmentId, handle: str, recipe: dict[str, JsonValue]) -> None:
        """Take it back, from the recipe alone; what is gone already stays gone. Raises Unavailable."""
        ...

    async def active(self, environment: EnvironmentId, handle: str, recipe: dict[str, JsonValue]) -> bool:
        """Tell whether the cause is there now."""
        ...


class LoopSeen(Frozen):
    """When the loop first came to a stage, None where it has not."""

    detected: UtcDatetime | None = None
    proposed: UtcDatetime | None = None
    fixed: UtcDatetime | None = None


class LoopWitness(Protocol):
    """Tells what Opsmesh's loop did about some entities, from its own records."""

    async def seen(self, environment: EnvironmentId, entities: frozenset[str], since: datetime) -> LoopSeen:
        """Return the first incident since then that names one of the addresses, and what came of it."""
        ...
