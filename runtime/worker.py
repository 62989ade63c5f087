"""What a worker is: a name in the catalogue of proposers, how often it looks, and what it sees."""

from datetime import timedelta
from typing import Protocol, runtime_checkable

from domain.command_kinds import Proposer
from domain.findings import Finding
from domain.ids import EnvironmentId, PrincipalId
from runtime.parts import RuntimeParts


class Worker(Protocol):
    """Looks at one environment and says what it found. It keeps nothing between two looks but documents."""

    @property
    def name(self) -> Proposer:
        """Its name in the catalogue of proposers."""
        ...

    @property
    def every(self) -> timedelta:
        """How long it rests between two looks."""
        ...

    async def look(self, parts: RuntimeParts, environment: EnvironmentId) -> tuple[Finding, ...]:
        """Return everything that stands now; what is no longer returned counts as resolved. Raises Unavailable."""
        ...


@runtime_checkable
class Signalled(Protocol):
    """A worker that also looks at once when something changes."""

    def signal(self, parts: RuntimeParts) -> str:
        """Return what it watches for: another text than at the last look is a reason to look. Raises Unavailable."""
        ...


def principal_of(name: Proposer) -> PrincipalId:
    """Return the identity under which a worker proposes."""
    return PrincipalId(f"worker:{name}")
