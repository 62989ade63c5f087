"""Faults that are one field of the runtime set wrongly: by a person past the document, or by a pipeline through it.

A draw of this form names the field; values travel as JSON.
"""

import json

from pydantic import JsonValue

from domain.desired import read_path
from runtime.simulator.actuators import write_by_hand, write_externally
from runtime.simulator.faults.base import Draw
from runtime.simulator.world import World

KIND = {"services": "service", "data_stores": "data_store", "node_pools": "node_pool"}
"""What each section of a state document holds, as addresses name it."""


def field_draw(fault: str, path: tuple[str, ...], before: JsonValue, after: JsonValue, actor: str) -> Draw:
    """The draw of a fault that sets the field at `path` (section, name, keys) from `before` to `after`."""
    section, name, *keys = path
    return Draw(
        fault=fault, entity=f"{KIND[section]}/{name}",
        names={"section": section, "name": name, "keys": json.dumps(keys), "before": json.dumps(before),
               "after": json.dumps(after), "actor": actor},
        also=(f"service/{name}",) if section == "data_stores" else (),
    )  # fmt: skip


def path_of(draw: Draw) -> tuple[str, ...]:
    """The field a draw of this form is about."""
    return (draw.names["section"], draw.names["name"], *json.loads(draw.names["keys"]))


def set_by_hand(world: World, draw: Draw) -> None:
    """A person sets it, past the document: what runs differs from what shall run."""
    write_by_hand(world, path_of(draw), json.loads(draw.names["after"]), draw.names["actor"])


def reset_by_hand(world: World, draw: Draw) -> None:
    """The person puts it back."""
    write_by_hand(world, path_of(draw), json.loads(draw.names["before"]), draw.names["actor"])


def set_by_pipeline(world: World, draw: Draw) -> None:
    """A pipeline sets it, through the document: it is wrong and wanted."""
    write_externally(world, path_of(draw), json.loads(draw.names["after"]), draw.names["actor"])


def reset_by_pipeline(world: World, draw: Draw) -> None:
    """The pipeline puts it back."""
    write_externally(world, path_of(draw), json.loads(draw.names["before"]), draw.names["actor"])


def still_set(world: World, draw: Draw) -> bool:
    """Whether the field still has the wrong value."""
    return live_value(world, path_of(draw)) == json.loads(draw.names["after"])


def live_value(world: World, path: tuple[str, ...]) -> JsonValue:
    """What runs at a path, as JSON."""
    section, name = path[:2]
    return read_path(world.environment_state().model_dump(mode="json", include={section: {name}}), path)
