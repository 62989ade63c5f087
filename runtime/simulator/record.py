"""Worlds start here, and come back from a record: spec, seed and everything done from outside, with its time."""

from datetime import timedelta

from pydantic import Field, JsonValue

from domain.base import Frozen
from domain.desired import EnvironmentState
from domain.errors import Broken
from runtime.simulator import actuators, faults, trust
from runtime.simulator.chatter import Chatter
from runtime.simulator.faults import Draw
from runtime.simulator.spec import WorldSpec
from runtime.simulator.world import World


class Entry(Frozen):
    """One thing done to a world."""

    elapsed_s: float
    verb: str
    arguments: dict[str, JsonValue]


class Record(Frozen):
    """All it takes to live through the same world again."""

    spec: WorldSpec
    seed: int
    elapsed_s: float
    entries: tuple[Entry, ...] = Field(default=())


def launch(spec: WorldSpec, seed: int) -> World:
    """A new world with its noise."""
    world = World(spec, seed)
    if spec.chatter:
        world.processes["chatter"] = Chatter(world)
    return world


def record(world: World) -> Record:
    """The record of a world so far."""
    entries = tuple(Entry(elapsed_s=at, verb=verb, arguments=arguments) for at, verb, arguments in world.schedule)
    return Record(spec=world.spec, seed=world.seed, elapsed_s=world.elapsed_s, entries=entries)


def rebuild(kept: Record) -> World:
    """The world the record was taken of, step by step; it measures the same and emits the same events."""
    world = launch(kept.spec, kept.seed)
    for entry in kept.entries:
        world.advance(kept.spec.start + timedelta(seconds=entry.elapsed_s))
        _replay(world, entry)
    world.advance(kept.spec.start + timedelta(seconds=kept.elapsed_s))
    return world


def _replay(world: World, entry: Entry) -> None:
    done = entry.arguments
    match entry.verb:
        case "apply":
            state = EnvironmentState.model_validate(done["state"])
            actuators.apply_desired(world, state, str(done["operation"]), actor=str(done["actor"]))
        case "restart":
            actuators.restart(world, str(done["service"]), str(done["operation"]), actor=str(done["actor"]))
        case "restore_point":
            actuators.create_restore_point(world, str(done["store"]), str(done["operation"]))
        case "restore_drill":
            actuators.drill_restore(world, str(done["store"]), str(done["operation"]))
        case "trust":
            hand = trust.serve_certificate if done["what"] == "certificate" else trust.hand_over_secret
            ends_s, operation = float(str(done["ends_s"])), str(done["operation"])
            hand(world, str(done["name"]), ends_s, operation, actor=str(done["actor"]))
        case "inject":
            faults.inject(world, Draw.model_validate(done["draw"]))
        case "undo":
            faults.undo(world, Draw.model_validate(done["draw"]))
        case verb:
            raise Broken(f"a world record holds an unknown verb: {verb}")
