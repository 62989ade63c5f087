"""A simulated incident for a person to decide on: autonomy `propose`, answers through the ordinary API."""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import httpx
from pydantic import TypeAdapter

from domain.commands import CommandRecord, State
from domain.decisions import DecideResult
from domain.ids import PrincipalId, TenantId
from domain.principals import ANY, Principal, RoleGrant
from mesh.serving import local_client
from mesh.simulation import Choices, SimulatedMesh, open_simulated
from mesh.stages import Watcher
from runtime.simulator import faults
from runtime.simulator.demo import demo_world
from runtime.simulator.twin import Twin
from runtime.simulator.verdict import hurting

CALM = timedelta(minutes=10)
_RESULT: TypeAdapter[DecideResult] = TypeAdapter(DecideResult)
VIEWER = Principal(
    id=PrincipalId("person:you"),
    kind="person",
    name="You",
    grants=tuple(RoleGrant(role=role, tenant=TenantId(ANY)) for role in ("viewer", "approver", "operator")),
)
"""Whoever sits at the demo's keyboard: may approve in the simulated world, which lasts as long as the demo."""


@dataclass(frozen=True, slots=True)
class Guide:
    """One incident and the person's way to answer."""

    simulated: SimulatedMesh
    client: httpx.AsyncClient

    async def run_until_asked(self, at_most: timedelta) -> None:
        """Let the world run until somebody is asked, or the time is over."""
        until = self.simulated.world.now + at_most
        await self.simulated.simulation.run(until, stop=lambda: self.waiting() is not None or self._over())

    def waiting(self) -> CommandRecord | None:
        """Return a command that waits for a person."""
        store = self.simulated.mesh.governed.commands
        return next(iter(store.list("*", states=[State.AWAITING_APPROVAL])), None)

    async def answer(self, record: CommandRecord, *, approve: bool) -> DecideResult:
        """Send the person's answer to exactly the digest shown."""
        verb = "approve" if approve else "reject"
        answer = await self.client.post(f"/v1/commands/{record.command.id}/{verb}", json={"digest": record.digest})
        answer.raise_for_status()
        return _RESULT.validate_json(answer.content)

    def world_is_well(self) -> bool:
        """Tell the world's own truth."""
        return not hurting(self.simulated.world)

    async def close(self) -> None:
        """Close client and mesh."""
        await self.client.aclose()
        await self.simulated.mesh.close()

    def _over(self) -> bool:
        states = {r.state for r in self.simulated.mesh.governed.commands.list("*")}
        return State.SUCCEEDED in states and self.waiting() is None


async def open_guide(home: Path, fault: str, seed: int, watcher: Watcher) -> Guide:
    """Open a world, let it be calm, and let the fault happen."""
    choices = Choices(autonomy="propose", watcher=watcher, rehearsal=Twin())
    simulated = await open_simulated(home, demo_world(), seed, choices)
    simulated.mesh.principals.bootstrap()
    issued = simulated.mesh.principals.add(VIEWER, by=PrincipalId("service:mesh"))
    await simulated.simulation.run(simulated.world.now + CALM)
    faults.inject(simulated.world, faults.draw(simulated.world, fault, seed))
    return Guide(simulated, local_client(simulated.mesh, issued.token))
