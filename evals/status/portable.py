"""The row that abstractions are nobody's cloud: the same commands over two compute targets lead to the same state.

One target simulates a whole platform, the other is a few dictionaries: nothing above them knows which it has.
"""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from pydantic import JsonValue

from domain.changes import Patch
from domain.desired import EnvironmentState, apply_patches
from domain.ids import CommandId, EnvironmentId, PrincipalId
from evals.service_cases import Case, Check, Measured
from evals.status.tables import named_after_a_cloud
from mesh.time import VirtualClock
from runtime import state
from runtime.convergence import Convergence
from runtime.engine.embedded import EmbeddedEngine
from runtime.simulator.demo import demo_world
from runtime.simulator.world import World
from runtime.targets.memory import MemoryTarget
from runtime.targets.simulated import SimulatedTarget
from storage.engine import Database
from storage.tables.runtime import create_runtime_tables

PROD = EnvironmentId("prod")
Target = SimulatedTarget | MemoryTarget
COMMANDS: tuple[tuple[str, tuple[str, ...], JsonValue], ...] = (
    (
        "scaling_policy.update",
        ("services", "checkout", "scaling"),
        {"min_replicas": 4, "max_replicas": 20, "target_cpu_utilisation": 0.5},
    ),
    ("service.resize", ("services", "checkout", "cpu_millicores"), 900),
    ("service.configure", ("services", "checkout", "config", "timeout_ms"), "2500"),
    ("traffic.shift", ("services", "checkout", "traffic", "region_weights"), {"westeurope": 0.6, "northeurope": 0.4}),
    ("tenant.throttle", ("tenants", "acme-retail", "rate_limit_rps"), 120.0),
    ("tenant.rebind", ("tenants", "acme-retail", "primary_region"), "northeurope"),
)
"""What each kind writes, of every section that tenants have."""


class Provincial(MemoryTarget):
    """A target that only knows regions by its own names: the planted break."""

    async def live(self, environment: EnvironmentId) -> EnvironmentState:
        """Return the state in its own words."""
        held = await super().live(environment)
        bound = {n: t.model_copy(update={"primary_region": "west-europe-1"}) for n, t in held.tenants.items()}
        return held.model_copy(update={"tenants": bound})


async def _led(target: Target, folder: Path, world: World) -> list[EnvironmentState]:
    """Return what runs after each command, applied twice by the runtime's own machinery."""
    folder.mkdir(parents=True, exist_ok=True)  # noqa: ASYNC240  # a case runs alone
    clock, database = VirtualClock(world.now), Database(f"sqlite:///{folder / 'runtime.db'}")
    create_runtime_tables(database.engine)
    with database.begin() as connection:
        state.register(connection, PROD, world.spec.tenants, await target.live(PROD), at=clock.now())
    convergence = Convergence(database, clock, EmbeddedEngine(target, clock), target, {})
    seen: list[EnvironmentState] = []
    for number, (_, path, value) in enumerate(COMMANDS):
        with database.begin() as connection:
            patch, at = Patch(op="set", path=path, value=value), clock.now()
            after = apply_patches(state.current(connection, PROD), [patch], command=CommandId(f"c{number}"), at=at)
            state.append(connection, after, actor=PrincipalId("executor"), key=f"k{number}", at=at)
        await convergence.follow(PROD)
        await convergence.follow(PROD)
        seen.append(await target.live(PROD))
    return seen


def _same(one: Sequence[EnvironmentState], other: Sequence[EnvironmentState]) -> int:
    return sum(a == b for a, b in zip(one, other, strict=True))


async def _carried(home: Path, kind: type[MemoryTarget]) -> Measured:
    world = World(demo_world().model_copy(update={"retention_steps": 60}), seed=1)
    simulated = SimulatedTarget(world)
    memory = kind(await simulated.topology(PROD), await simulated.live(PROD))
    first = await _led(simulated, home / "simulated", world)
    second = await _led(memory, home / "memory", world)
    twice = [k for k in range(len(COMMANDS)) if (simulated.effects(f"k{k}"), memory.effects(f"k{k}")) != (1, 1)]
    written = sum(before != after for before, after in pairwise(first)) + 1
    return Measured(
        checks=(
            Check(name="commands that leave both targets in the same state", value=_same(first, second),
                  bound=len(COMMANDS)),
            Check(name="commands that change what runs", value=written, bound=len(COMMANDS)),
            Check(name="commands without exactly one effect on each", value=len(twice), bound=0),
            Check(name="shapes named after a cloud", value=named_after_a_cloud(), bound=0),
        ),
        figures={}, reference="the simulated platform against a target of a few dictionaries",
    )  # fmt: skip


async def _run(_seed: int, home: Path) -> Measured:
    return await _carried(home, MemoryTarget)


async def _provincial(_seed: int, home: Path) -> Measured:
    return await _carried(home, Provincial)


PORTABLE = Case(
    "portable", "status", "the same commands over two compute targets", _run, _provincial,
    "one target calls regions by names of its own",
)  # fmt: skip
