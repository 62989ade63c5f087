"""Releases that made things worse: slower, failing, leaking, not staying up. Only the pipeline is seen to act."""

import numpy as np

from runtime.simulator.actuators import write_externally
from runtime.simulator.faults.base import Answer, Draw, Fault
from runtime.simulator.faults.targets import headroom_per_krequest, objective_ms, pick, scalable
from runtime.simulator.live import Traits
from runtime.simulator.world import World

PIPELINE = "release-pipeline"


def next_version(version: str) -> str:
    """The minor release after `version`."""
    major, minor, *_ = version.lstrip("v").split(".")
    return f"v{major}.{int(minor) + 1}.0"


def _draw(name: str, **ranges: tuple[float, float]):  # noqa: ANN202  # the row's type says it
    def draw(world: World, rng: np.random.Generator) -> Draw:
        service = pick(rng, scalable(world))
        before = world.live.services[service].version
        numbers = {key: float(rng.uniform(low, high)) for key, (low, high) in ranges.items()}
        if "io_add_ms" in numbers:
            numbers["io_add_ms"] *= objective_ms(world, service)
        if "leak_mib_per_krequest" in numbers:
            numbers["leak_mib_per_krequest"] = headroom_per_krequest(world, service) / numbers["leak_mib_per_krequest"]
        return Draw(
            fault=name, entity=f"service/{service}", numbers=numbers,
            names={"service": service, "before": before, "after": next_version(before)},
        )  # fmt: skip

    return draw


def _release(world: World, draw: Draw) -> None:
    service, after = draw.names["service"], draw.names["after"]
    world.live.traits[service, after] = Traits(**draw.numbers)
    write_externally(world, ("services", service, "version"), after, PIPELINE)


def _withdraw(world: World, draw: Draw) -> None:
    write_externally(world, ("services", draw.names["service"], "version"), draw.names["before"], PIPELINE)


def _present(world: World, draw: Draw) -> bool:
    return world.live.services[draw.names["service"]].version == draw.names["after"]


def _rollback(_world: World, draw: Draw) -> tuple[Answer, ...]:
    return (Answer(kind="service.rollback", target=draw.entity, arguments={"to_version": draw.names["before"]}),)


def _row(name: str, **ranges: tuple[float, float]) -> Fault:
    return Fault(name, name, "recover", self_heals=False, draw=_draw(name, **ranges), inject=_release,
                 undo=_withdraw, present=_present, answers=_rollback)  # fmt: skip


# A slow code path that waits one to two latency objectives (queries in a loop) and burns some more CPU.
DEPLOY_LATENCY = _row("deploy_latency", cpu_factor=(1.2, 1.8), io_add_ms=(1.0, 2.0))
DEPLOY_ERRORS = _row("deploy_errors", error_add=(0.08, 0.3))
# Minutes until the leak fills the memory headroom at today's load.
DEPLOY_LEAK = _row("deploy_leak", leak_mib_per_krequest=(7.0, 11.0))
# Starts, answers its readiness probe and dies within a minute or two: long enough for the rollout to go on.
DEPLOY_CRASH_LOOP = _row("deploy_crash_loop", exits_after_s=(25.0, 70.0))
