"""Drives a simulated world and the loop together in virtual time: the demo's, the tests' and the evals' engine.

Each round moves the world, delivers what its platform tells to intake (late, twice or in flaps, as it comes), then
lets the loop take one step. The loop sees the world only through intake and readers.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from domain.events import IncomingEvent
from domain.ids import PrincipalId, TenantId
from domain.principals import EventSourceKey
from grounding.event_log import EventLog
from mesh.time import VirtualClock
from runtime.simulator.world import World

ROUND = timedelta(seconds=30)
"""How often the loop looks: half the shortest hold of an alert."""
PLATFORM_SOURCE = "/runtime"


@dataclass(frozen=True, slots=True)
class Simulation:
    """A world, its clock and the loop over it."""

    world: World
    clock: VirtualClock
    log: EventLog
    step: Callable[[], Awaitable[None]]

    async def run(self, until: datetime, *, stop: Callable[[], bool] = lambda: False, loop: bool = True) -> None:
        """Advance to an instant, or until `stop` says so after a round. Without `loop` only the world moves."""
        while self.world.now < until and not stop():
            self.world.advance(min(self.world.now + ROUND, until))
            self.clock.move_to(self.world.now)
            self.deliver()
            if loop:
                await self.step()

    def deliver(self) -> int:
        """Hand what the world's platform sent to intake, each tenant's events under its own credential."""
        by_tenant: dict[TenantId, list[IncomingEvent]] = {}
        due = self.world.journal.drain(self.world.elapsed_s)
        for sent in due:
            by_tenant.setdefault(sent.tenant, []).append(sent.event)
        for tenant, events in by_tenant.items():
            self.log.accept(platform_sender(tenant), events)
        return len(due)


def platform_sender(tenant: TenantId) -> EventSourceKey:
    """Return the credential under which the embedded platform sends a tenant's events."""
    return EventSourceKey(
        id=PrincipalId(f"source:runtime:{tenant}"), source=PLATFORM_SOURCE, tenants=(tenant,), trust="platform"
    )
