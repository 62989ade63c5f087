"""Faults of the simulated world on purpose: its own fault table, within the sizes it would draw itself.

The target and the size are chosen, not drawn: a generator that answers what was asked for drives the table's draws, so
that targets which a fault does not fit, and sizes beyond its range, cannot be had.
"""

import numpy as np
from pydantic import JsonValue

from domain.errors import Conflict, Invalid, NotFound
from domain.ids import EnvironmentId
from runtime.injection.ports import FaultName, InjectFault
from runtime.simulator import faults
from runtime.simulator.faults import Draw
from runtime.simulator.world import World


class _Chosen(np.random.Generator):
    """Answers every choice with one position and every quantity with one share of its range."""

    def __init__(self, position: int, size: float) -> None:
        super().__init__(np.random.PCG64(0))
        self._position, self._size = position, size
        self.choices = 0
        """How many there were to choose from last."""

    def integers(self, low: int, *_: object, **__: object) -> int:  # pyright: ignore[reportIncompatibleMethodOverride]  # only what draws call
        self.choices = low
        return min(self._position, low - 1)

    def uniform(self, low: float = 0.0, high: float = 1.0, *_: object) -> float:  # pyright: ignore[reportIncompatibleMethodOverride]  # only what draws call
        return low + self._size * (high - low)


def chosen(world: World, fault: FaultName, target: str, region: str | None, size: float) -> Draw:
    """Return the draw of a fault with that target and size. Raises Invalid where the fault does not fit the target."""
    row, position, choices = faults.fault_named(fault), 0, 1
    while position < choices:
        generator = _Chosen(position, size)
        drawn = row.draw(world, generator)
        if drawn.entity == target and region in {None, drawn.names.get("region")}:
            return drawn
        position, choices = position + 1, generator.choices
    raise Invalid(f"{fault} does not fit {target}", reason="target_unfit")


class SimulatedFaults:
    """A FaultInjector over one world."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def prepare(self, environment: EnvironmentId, fault: InjectFault) -> dict[str, JsonValue]:
        """Choose the fault; its recipe is the world's own record of it."""
        world = self._of(environment)
        drawn = chosen(world, fault.fault, fault.target, fault.region, fault.size)
        if faults.present(world, drawn):
            raise Conflict(f"{fault.fault} is there already", reason="fault_present")
        return {"draw": drawn.model_dump(mode="json")}

    async def inject(self, environment: EnvironmentId, handle: str, recipe: dict[str, JsonValue]) -> None:
        """Let it happen, once."""
        world, drawn = self._read(environment, recipe)
        if handle not in world.effects:
            world.effects[handle] = 1
            faults.inject(world, drawn)

    async def revert(self, environment: EnvironmentId, handle: str, recipe: dict[str, JsonValue]) -> None:
        """Take the cause away where it is still there."""
        del handle
        world, drawn = self._read(environment, recipe)
        if faults.present(world, drawn):
            faults.undo(world, drawn)

    async def active(self, environment: EnvironmentId, handle: str, recipe: dict[str, JsonValue]) -> bool:
        """Tell whether the cause is there."""
        del handle
        return faults.present(*self._read(environment, recipe))

    def _read(self, environment: EnvironmentId, recipe: dict[str, JsonValue]) -> tuple[World, Draw]:
        return self._of(environment), Draw.model_validate(recipe["draw"])

    def _of(self, environment: EnvironmentId) -> World:
        if environment != self._world.spec.environment:
            raise NotFound("no such environment")
        return self._world
