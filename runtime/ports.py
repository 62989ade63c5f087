"""What the runtime asks of a compute target, of whoever knows callers, and of whoever takes proposals.

Telemetry comes through `domain.ports.TelemetryReader` and `SpanReader`; a target usually is all of these at once.
"""

from collections.abc import Sequence
from typing import Protocol

from domain.changes import Patch
from domain.commands import Proposal
from domain.desired import EnvironmentState
from domain.ids import EnvironmentId
from domain.ports import SpanReader, TelemetryReader
from domain.principals import EventSourceKey, Principal
from domain.topology import Topology


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
