"""Quiet worlds: flapping, late and irrelevant events, benign releases, nothing wrong. Silence is the score."""

import asyncio
import tempfile
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from multiprocessing import get_context
from pathlib import Path

from domain.base import Frozen
from grounding.vectors import MemoryVectors
from mesh.simulation import Choices, open_simulated
from runtime.simulator.demo import demo_world
from runtime.simulator.twin import Twin

WORKERS = 2


class QuietWorld(Frozen):
    """What the loop did in one world with nothing to fix."""

    seed: int
    hours: float
    events: int
    incidents: int
    proposals: int
    what: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class QuietReport:
    """All quiet worlds together."""

    worlds: tuple[QuietWorld, ...]

    @property
    def proposals(self) -> int:
        """False findings: commands of any kind, tickets included."""
        return sum(world.proposals for world in self.worlds)


async def live_quietly(seed: int, hours: float, home: Path) -> QuietWorld:
    """Let a healthy demo world run under the loop and count what it proposes."""
    choices = Choices(autonomy="act", rehearsal=Twin(), vectors=MemoryVectors())
    simulated = await open_simulated(home, demo_world(), seed, choices)
    try:
        await simulated.simulation.run(simulated.world.now + timedelta(hours=hours))
        mesh = simulated.mesh
        commands = mesh.governed.commands.list("*")
        tenants = [binding.tenant for binding in simulated.world.spec.tenants]
        return QuietWorld(
            seed=seed, hours=hours, events=sum(mesh.log.count(t) for t in tenants),
            incidents=sum(len(mesh.cases.all(t)) for t in tenants), proposals=len(commands),
            what=tuple(f"{r.command.kind} {r.command.target.address} {r.state}" for r in commands),
        )  # fmt: skip
    finally:
        await simulated.mesh.close()


def play_quiet(seeds: list[int], hours: float) -> QuietReport:
    """Run one quiet world per seed over two processes."""
    with ProcessPoolExecutor(WORKERS, mp_context=get_context("spawn")) as pool:
        return QuietReport(tuple(pool.map(_job, [(seed, hours) for seed in seeds])))


def _job(job: tuple[int, float]) -> QuietWorld:
    with tempfile.TemporaryDirectory(prefix="opsmesh-") as folder:
        return asyncio.run(live_quietly(*job, home=Path(folder)))
