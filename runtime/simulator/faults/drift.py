"""Drift: somebody changed by hand what runs, and the document does not know. Some of it costs, some opens a door."""

import json
from collections.abc import Callable

import numpy as np
from pydantic import JsonValue

from runtime.simulator.faults.base import Answer, Draw, Fault
from runtime.simulator.faults.room import replicas_that_fit, usd_per_replica_hour
from runtime.simulator.faults.targets import own, pick, stores
from runtime.simulator.faults.writes import field_draw, path_of, reset_by_hand, set_by_hand, still_set
from runtime.simulator.world import World

# People with a console; who it was is in the change feed.
PEOPLE = ("maria.lindt", "t.okafor", "j.ortega", "sanne", "wei.zhang", "priya.n")
# Somebody kept half of a fleet in one case of three: the others add to it before a launch and forget.
DOWN = 0.35
ELSEWHERE = ("brazilsouth", "southeastasia", "uaenorth", "centralindia")


def _person(rng: np.random.Generator) -> str:
    return pick(rng, PEOPLE)


def _scale_draw(world: World, rng: np.random.Generator) -> Draw:
    fixed = [s.id for s in own(world) if s.scaling is None]
    service = pick(rng, [s for s in fixed if replicas_that_fit(world, s) >= 1 and world.live.services[s].replicas > 1])
    before = world.live.services[service].replicas
    room = replicas_that_fit(world, service)
    more = min(room, max(2, round(before * float(rng.uniform(0.8, 2.0)))))
    after = max(1, before // 2) if rng.random() < DOWN else before + more
    return field_draw("manual_scale", ("services", service, "replicas"), before, after, _person(rng))


def _surplus(world: World, draw: Draw) -> float:
    """What replicas beyond those of the document cost."""
    more = int(draw.names["after"]) - int(draw.names["before"])
    return usd_per_replica_hour(world, draw.names["name"]) * max(more, 0)


def _image_draw(world: World, rng: np.random.Generator) -> Draw:
    service = pick(rng, [s.id for s in own(world) if s.id not in world.live.rollouts])
    before = world.live.services[service].version
    major, minor, patch = before.lstrip("v").split(".")
    after = f"v{major}.{minor}.{int(patch) + int(rng.integers(11, 60))}"
    return field_draw("manual_image", ("services", service, "version"), before, after, _person(rng))


def _firewall_draw(world: World, rng: np.random.Generator) -> Draw:
    service = pick(rng, [s.id for s in own(world)])
    before = list(world.live.services[service].ingress_from)
    after: list[JsonValue] = [*before, "0.0.0.0/0"]
    return field_draw("open_firewall", ("services", service, "ingress_from"), [*before], after, _person(rng))


def _store_drawer(
    fault: str, key: str, wrong: Callable[[World, np.random.Generator], JsonValue]
) -> Callable[[World, np.random.Generator], Draw]:
    def draw(world: World, rng: np.random.Generator) -> Draw:
        store = pick(rng, stores(world))
        before = world.data_stores[store].model_dump(mode="json")[key]
        return field_draw(fault, ("data_stores", store, key), before, wrong(world, rng), _person(rng))

    return draw


def _none_kept(_world: World, _rng: np.random.Generator) -> JsonValue:
    return 0


def _plain(_world: World, _rng: np.random.Generator) -> JsonValue:
    return False


def _abroad(world: World, rng: np.random.Generator) -> JsonValue:
    return pick(rng, [r for r in ELSEWHERE if r not in world.layout.regions])


def _correct(_world: World, draw: Draw) -> tuple[Answer, ...]:
    return (Answer(kind="drift.reconcile", target=draw.entity),)


def _comply(world: World, draw: Draw) -> tuple[Answer, ...]:
    return (*_correct(world, draw), Answer(kind="compliance.remediate", target=draw.entity))


def _configure(world: World, draw: Draw) -> tuple[Answer, ...]:
    before: JsonValue = json.loads(draw.names["before"])
    setting = {path_of(draw)[-1]: before}
    return (
        *_comply(world, draw),
        Answer(kind="data_store.configure", target=draw.entity, arguments={**setting}),
    )


def _exposing(
    name: str,
    draw: Callable[[World, np.random.Generator], Draw],
    answers: Callable[[World, Draw], tuple[Answer, ...]] = _comply,
) -> Fault:
    return Fault(
        name, name, "recover", self_heals=False, draw=draw, inject=set_by_hand, undo=reset_by_hand, present=still_set,
        answers=answers, domain="drift", exposed=still_set,
    )  # fmt: skip


MANUAL_SCALE = Fault(
    "manual_scale", "manual_scale", "recover", self_heals=False, draw=_scale_draw, inject=set_by_hand,
    undo=reset_by_hand, present=still_set, answers=_correct, domain="drift", wasted_usd_per_hour=_surplus,
)  # fmt: skip
MANUAL_IMAGE = Fault(
    "manual_image", "manual_image", "recover", self_heals=False, draw=_image_draw, inject=set_by_hand,
    undo=reset_by_hand, present=still_set, answers=_correct, domain="drift", exposed=still_set,
)  # fmt: skip
OPEN_FIREWALL = _exposing("open_firewall", _firewall_draw)
BACKUP_DISABLED = _exposing(
    "backup_disabled", _store_drawer("backup_disabled", "backup_retention_days", _none_kept), _configure
)
ENCRYPTION_OFF = _exposing("encryption_off", _store_drawer("encryption_off", "encrypted_at_rest", _plain), _configure)
RESIDENCY_VIOLATION = _exposing("residency_violation", _store_drawer("residency_violation", "replica_region", _abroad))
